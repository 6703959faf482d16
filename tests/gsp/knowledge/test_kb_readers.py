from __future__ import annotations

import json
from pathlib import Path

import pytest

from gspmc_mm.gsp.knowledge import readers
from gspmc_mm.gsp.knowledge.entries import KnowledgeBaseError
from gspmc_mm.gsp.knowledge.parsing import Skipped, parse_rows
from gspmc_mm.gsp.knowledge.profiles import load_profile
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


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "Die rechte Hand berührt die Wange, Handfläche nach außen; größer führen."),
        ("cp1252", "La mano derecha señala el corazón, después el índice toca la sién."),
        ("cp1252", "La main droite est levée à côté du visage."),
        ("cp1254", "ÇALIŞMAK: İki yumruk üst üste vurulur, öne iner."),
        ("cp1254", "Sağ el göğse konur, işaret parmağı çeneye değer."),
    ],
)
def test_a_text_of_western_windows_is_not_taken_for_chinese(tmp_path, encoding, text):
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode(encoding))
    with pytest.raises(KnowledgeBaseError, match=r"cannot be decoded .*gb18030 .*; save it as UTF-8"):
        find_encoding(path, ("utf-8-sig", "gb18030"))


@pytest.mark.parametrize(
    "text",
    [
        "爷爷（祖父） yéye",
        "一手轻抚另一手拇指指背。",
        "學校,雙手側立",
        "右手伸食指，從頭部向下轉動兩下，表示變換。",
        "LOVE: “爱”",
        "abc",
    ],
)
def test_chinese_text_is_known_as_such(tmp_path, text):
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode("gb18030"))
    assert find_encoding(path, ("ascii", "gb18030")) == ("ascii" if text.isascii() else "gb18030")


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


def test_all_sheets_with_the_columns_are_read_and_the_others_are_named(tmp_path):
    import openpyxl

    path = tmp_path / "a.xlsx"
    book = openpyxl.Workbook()
    book.active.title = "A"
    for row in (["headword", "text"], ["love", "Cross the arms."], ["hate"]):
        book.active.append(row)
    notes, second = book.create_sheet("Notes"), book.create_sheet("B")
    notes.append(["About this book"])
    notes.append(["made", "by", "hand"])
    second.append(["text", "page", "headword"])
    second.append(["Tap the chin.", 3, "mother", None, "a remark"])
    book.save(path)
    skipped = Skipped()
    drafts = list(parse_rows(read_rows(path, UTF8), load_profile("table"), path, skipped))
    assert [(d.headword, d.text, d.page) for d in drafts] == [
        ("love", "Cross the arms.", None),
        ("mother", "Tap the chin.", 3),
    ]
    assert skipped.count == 2
    assert skipped.first == "sheet 'A', row 3: 'hate'; sheet 'Notes' has no columns of entries"


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
