from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from gspmc_mm.gsp.knowledge.base import KnowledgeBase, KnowledgeBaseError, build_knowledge_base
from gspmc_mm.gsp.knowledge.pdf_pages import Fragment, find_gap, order_lines, read_pages

_SPEC = importlib.util.spec_from_file_location("pdf_maker", Path(__file__).with_name("pdf_maker.py"))
pdf_maker = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(pdf_maker)
column, write_pdf = pdf_maker.column, pdf_maker.write_pdf

LEFT = [
    "爱（喜爱） ài",
    "一手轻抚另一手拇指指背，",
    "表示“怜爱”之意。",
    "办公",
    "左手横伸，掌心向上，右手",
    "在左手掌心上点两下。",
]
RIGHT = ["气氛", "一手打手指字母“Q”的指式，", "在胸前转动一圈。", "爷爷", "一手伸食指。"]


def lines_of(page) -> list[str]:
    return [line for line in page.lines if line]


def test_columns_are_read_one_after_the_other_below_the_heading_that_crosses_them(tmp_path):
    heading = "国家通用手语常用词表 第一部分"
    page = [(150, 760, 16, heading), *column(320, 700, RIGHT), *column(40, 700, LEFT), (300, 30, 10, "12")]
    (read,) = read_pages(write_pdf(tmp_path / "a.pdf", [page]))
    assert lines_of(read) == [heading, *LEFT, *RIGHT, "12"]
    assert not read.scanned


def test_a_heading_between_columns_cuts_them(tmp_path):
    heading = "第二部分 这一行从页面的左边一直到右边"
    page = [*column(40, 700, LEFT), *column(320, 700, RIGHT), (120, 560, 16, heading)]
    page += [
        *column(40, 500, ["上面", "一手食指直立，向上一指。", "下面"]),
        *column(320, 500, ["左边", "左手拍一下右臂的外侧。", "右边"]),
    ]
    (read,) = read_pages(write_pdf(tmp_path / "a.pdf", [page]))
    below = ["上面", "一手食指直立，向上一指。", "下面", "左边", "左手拍一下右臂的外侧。", "右边"]
    assert lines_of(read) == [*LEFT, *RIGHT, heading, *below]


def test_one_column_and_headwords_beside_their_texts_are_no_two_columns(tmp_path):
    words = ["上面", "下面", "左边", "右边", "中间"]
    texts = [f"一手伸食指，朝着{word}的方向指一下，然后放下来。" for word in words]
    page = [*column(40, 700, words), *column(220, 700, texts)]
    (read,) = read_pages(write_pdf(tmp_path / "a.pdf", [page]))
    assert lines_of(read) == [f"{word}\t{text}" for word, text in zip(words, texts, strict=True)]


def test_pictures_without_text_are_scanned_and_empty_pages_are_not(tmp_path):
    path = write_pdf(tmp_path / "a.pdf", [column(40, 700, LEFT), None, []])
    assert [(page.number, page.scanned) for page in read_pages(path)] == [(1, False), (2, True), (3, False)]


def test_a_scan_with_a_running_foot_is_reported_and_its_foot_is_no_text(tmp_path):
    foot = [(150, 30, 10, "Copy of the library of the institute")]
    over_a_picture = column(40, 700, LEFT)  # recognised text lies over the scan: there is nothing to report
    path = write_pdf(tmp_path / "a.pdf", [column(40, 700, LEFT), foot, over_a_picture, foot], pictures=(2, 3))
    assert [page.scanned for page in read_pages(path)] == [False, True, False, False]
    report = build_knowledge_base([path], tmp_path / "kb", profile="gf0020", embedder="none")
    assert report.manifest.sources[0].scanned_pages == (2,)
    first = KnowledgeBase.open(report.path).lookup("办公")[0]
    assert first.text == "左手横伸，掌心向上，右手在左手掌心上点两下。"


def test_a_page_that_cannot_be_read_is_named(tmp_path):
    path = write_pdf(tmp_path / "a.pdf", [column(40, 700, LEFT)] * 2)
    head, page, rest = path.read_bytes().rpartition(b"/Type /Page /Parent")
    path.write_bytes(head + b"/Type /Pxxx /Parent" + rest)
    assert page
    with pytest.raises(KnowledgeBaseError, match=r"a\.pdf, page 2: cannot be read .* Save it again"):
        list(read_pages(path))


def test_a_two_column_lexicon_with_a_scanned_page_becomes_entries_and_a_report(tmp_path):
    path = write_pdf(tmp_path / "lexicon.pdf", [[*column(40, 700, LEFT), *column(320, 700, RIGHT)], None])
    report = build_knowledge_base([path], tmp_path / "kb", profile="gf0020", embedder="none")
    kb = KnowledgeBase.open(report.path)
    assert [(e.headword, e.page) for e in kb] == [("爱", 1), ("办公", 1), ("气氛", 1), ("爷爷", 1)]
    assert kb.lookup("喜爱")[0].text == "一手轻抚另一手拇指指背，表示“怜爱”之意。"
    assert kb.lookup("气氛")[0].text == "一手打手指字母“Q”的指式，在胸前转动一圈。"
    assert report.manifest.sources[0].scanned_pages == (2,)


def test_the_gap_is_the_widest_strip_that_few_lines_cross():
    left = [Fragment("x" * 20, 50, y, 240, y + 10) for y in range(100, 700, 20)]
    right = [Fragment("y" * 20, 320, y, 540, y + 10) for y in range(100, 700, 20)]
    assert find_gap([*left, *right], 600) == pytest.approx(280)
    assert find_gap(left, 600) is None
    crossing = [Fragment("z" * 40, 50, y, 540, y + 10) for y in range(700, 1000, 20)]
    assert find_gap([*left[:10], *right[:10], *crossing], 600) is None


def test_lines_far_from_one_another_are_paragraphs():
    fragments = [Fragment(text, 50, y, 200, y + 10) for text, y in (("a", 700), ("b", 688), ("c", 640))]
    assert order_lines(fragments, 600) == ["a", "b", "", "c"]
