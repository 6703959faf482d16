from __future__ import annotations

import json
from pathlib import Path

import pytest

from gspmc_mm.gsp.knowledge import readers
from gspmc_mm.gsp.knowledge.entries import KnowledgeBaseError
from gspmc_mm.gsp.knowledge.readers import (
    ReadingNotes,
    clean,
    find_encoding,
    find_sources,
    read_lines,
    read_rows,
)

UTF8 = ("utf-8-sig",)


def rows(path: Path, encodings=UTF8) -> list[dict[str, str]]:
    return [dict(row.values) for row in read_rows(path, encodings)]


@pytest.mark.parametrize(
    ("encoding", "content"), [("utf-8", "爷爷"), ("utf-8-sig", "爷爷"), ("gb18030", "爷爷"), ("utf-16", "爷爷")]
)
def test_lines_are_read_in_the_encoding_that_fits(tmp_path, encoding, content):
    path = tmp_path / "a.txt"
    path.write_bytes(f"{content}\n一手。\n".encode(encoding))
    lines = [line.text for line in read_lines(path, ("utf-8-sig", "gb18030"), ReadingNotes())]
    assert lines == [content, "一手。"]


def test_what_cannot_be_decoded_is_named_with_its_place(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"abc\xff\xfe\xfdrest")
    with pytest.raises(KnowledgeBaseError, match=r"a\.txt.*utf-8-sig fails near byte 3"):
        find_encoding(path, UTF8)


def test_a_character_cut_by_the_reading_block_is_no_error(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"x" + "爱".encode() * 400_000)
    assert find_encoding(path, UTF8) == "utf-8-sig"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separated_values(tmp_path, separator):
    path = tmp_path / ("a.tsv" if separator == "\t" else "a.csv")
    head, row = separator.join(("headword", "text")), separator.join(("爱", f'"一手{separator}轻抚 ""拇指"""'))
    path.write_text(f"\ufeff{head}\n\n{row}\n", encoding="utf-8")
    assert rows(path) == [{"headword": "爱", "text": clean(f'一手{separator}轻抚 "拇指"')}]


def test_a_row_with_too_many_values_is_named(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("headword,text\nlove,arms crossed, on the chest\n", encoding="utf-8")
    with pytest.raises(KnowledgeBaseError, match=r"line 2: found 3 values, expected 2"):
        rows(path)


def test_json_lines(tmp_path):
    path = tmp_path / "a.jsonl"
    values = [
        {"headword": "爱", "aliases": ["喜爱", "怜爱"], "text": "一手", "page": 3.0, "x": None},
        {"headword": "b"},
    ]
    path.write_text("\n\n".join(json.dumps(value, ensure_ascii=False) for value in values), encoding="utf-8")
    assert rows(path) == [
        {"headword": "爱", "aliases": "喜爱; 怜爱", "text": "一手", "page": "3", "x": ""},
        {"headword": "b"},
    ]


@pytest.mark.parametrize(("line", "message"), [('{"a": ', "line 2: not JSON"), ("[1]", "line 2: found list")])
def test_broken_json_lines_are_named(tmp_path, line, message):
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"headword": "a"}}\n{line}\n', encoding="utf-8")
    with pytest.raises(KnowledgeBaseError, match=message):
        rows(path)


def test_spreadsheets(tmp_path):
    import openpyxl

    path = tmp_path / "a.xlsx"
    book = openpyxl.Workbook()
    book.active.append(["词目", "说明", "页"])
    book.active.append(["爱", "一手轻抚\n另一手", 12])
    book.active.append([None, None, None])
    book.save(path)
    assert rows(path) == [{"词目": "爱", "说明": "一手轻抚\n另一手", "页": "12"}]


def test_documents_with_paragraphs_and_tables(tmp_path):
    import docx

    path = tmp_path / "a.docx"
    document = docx.Document()
    document.add_paragraph("爱（喜爱）\n一手轻抚。")
    table = document.add_table(rows=1, cols=2)
    table.rows[0].cells[0].text, table.rows[0].cells[1].text = "恨", "双手\n握拳。"
    document.add_paragraph("终")
    document.save(path)
    lines = [line.text for line in read_lines(path, UTF8, ReadingNotes())]
    assert [line for line in lines if line] == ["爱（喜爱）", "一手轻抚。", "恨\t双手 握拳。", "终"]


@pytest.mark.parametrize("name", ["a.docx", "a.xlsx", "a.pdf"])
def test_broken_files_are_named(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"no such thing")
    with pytest.raises(KnowledgeBaseError, match=name):
        list(read_rows(path, UTF8) if name.endswith("xlsx") else read_lines(path, UTF8, ReadingNotes()))


def test_control_characters_are_dropped_and_white_space_is_one():
    assert clean("a\x00b\u3000 c\t \td\x1b") == "ab c\td"


def test_sources_are_files_and_folders_with_what_can_be_read(tmp_path):
    for name in ("b.txt", "a.csv", "notes.doc", ".hidden.txt", "sub/c.md", "~$b.docx"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    found = find_sources([tmp_path, tmp_path / "b.txt"])
    assert [path.name for path in found] == ["a.csv", "b.txt", "c.md"]
    with pytest.raises(FileNotFoundError, match=r"none\.txt"):
        find_sources([tmp_path / "none.txt"])
    with pytest.raises(KnowledgeBaseError, match=r"found \.doc, expected"):
        find_sources([tmp_path / "notes.doc"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(KnowledgeBaseError, match="no file in this folder"):
        find_sources([tmp_path / "empty"])


def test_a_large_file_is_read_in_pieces(tmp_path, monkeypatch):
    import tracemalloc

    monkeypatch.setattr(readers, "_BLOCK", 1 << 14)
    path = tmp_path / "a.txt"
    with path.open("w", encoding="utf-8") as file:
        for number in range(20_000):
            file.write(f"爱{number}\n一手轻抚另一手拇指指背。\n")
    tracemalloc.start()
    count = sum(1 for _ in read_lines(path, UTF8, ReadingNotes()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 40_000
    assert peak < 0.3e6 < 0.9e6 < path.stat().st_size
