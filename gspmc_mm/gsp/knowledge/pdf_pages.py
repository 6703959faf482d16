"""The text of PDF pages in reading order, columns one after the other, with pypdfium2."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gspmc_mm.extras import how_to_install
from gspmc_mm.gsp.knowledge.entries import KnowledgeBaseError

# A page with fewer characters than this and pictures over this share of it is taken as scanned, and so is one with so
# few lines and pictures over most of it: a scan with a running foot or a stamp of the library.
_FEW_CHARACTERS = 16
_PICTURE_SHARE = 0.3
_FEW_LINES = 3
_MOST_OF_PAGE = 0.7
# The gap between two columns lies in the middle part of the page and is at least so wide (share of the page).
_MIDDLE = (0.3, 0.7)
_GAP_SHARE = 0.012
# So many lines must stand on each side, and so few (share) may cross the gap, as headings do.
_LINES_PER_COLUMN = 3
_CROSSING_SHARE = 0.2
# In heights of a line: how far apart characters of one fragment stand at most, the width of a space, of the step
# between a headword and what follows on its line, and of the one between paragraphs.
_NEAR, _SPACE, _STEP, _PARAGRAPH = 0.8, 0.1, 1.5, 1.2
# What PDFium puts between lines, and in place of characters that it cannot read.
_BREAKS = frozenset("\x00\r\n\ufffe\uffff")


@dataclass(frozen=True)
class Fragment:
    """A piece of a line and its box in points; the origin is at the bottom left, as in PDF."""

    text: str
    left: float
    bottom: float
    right: float
    top: float


@dataclass(frozen=True)
class Page:
    """A page: number from 1, its lines in reading order, and whether it is a picture with next to no text."""

    number: int
    lines: tuple[str, ...]
    scanned: bool


def read_pages(path: Path) -> Iterator[Page]:
    """The pages of a PDF file, one after the other.

    Raises:
        ImportError: pypdfium2 is not installed.
        KnowledgeBaseError: the file cannot be opened (broken, or with a password), or a page of it not be read.
    """
    try:
        import pypdfium2
    except ImportError as error:
        raise ImportError(f"{path}: reading pdf needs pypdfium2: {how_to_install('gsp')}") from error
    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        raise KnowledgeBaseError(
            f"{path}: cannot be opened as PDF ({error}); is it whole, and without password?"
        ) from None
    try:
        for number in range(1, len(document) + 1):
            try:
                page = _read_page(document, number)
            except pypdfium2.PdfiumError as error:
                raise KnowledgeBaseError(
                    f"{path}, page {number}: cannot be read ({error}); is the file whole? Save it again with another "
                    "program, or without this page"
                ) from None
            yield page
    finally:
        document.close()


def _read_page(document, number: int) -> Page:
    page = document[number - 1]
    try:
        text_page = page.get_textpage()
        try:
            lines = tuple(order_lines(_fragments(text_page), page.get_width()))
        finally:
            text_page.close()
        return Page(number, lines, _is_scanned(lines, _picture_share(page)))
    finally:
        page.close()


def _is_scanned(lines: Sequence[str], picture_share: float) -> bool:
    few_characters = sum(len(line.replace(" ", "")) for line in lines) < _FEW_CHARACTERS
    few_lines = sum(map(bool, lines)) <= _FEW_LINES
    return (few_characters and picture_share >= _PICTURE_SHARE) or (few_lines and picture_share >= _MOST_OF_PAGE)


def order_lines(fragments: Sequence[Fragment], width: float) -> list[str]:
    """Lines in reading order: what goes across the page cuts it, between the cuts the left column comes first.

    Args:
        fragments: the pieces of text of a page, in any order.
        width: of the page.
    """
    gap = find_gap(fragments, width)
    if gap is None:
        return _lines(fragments)
    lines: list[str] = []
    band: list[Fragment] = []
    for row in _rows(fragments):
        if any(f.left < gap < f.right for f in row):
            lines += _columns(band, gap)
            lines += _lines(row)
            band = []
        else:
            band += row
    return lines + _columns(band, gap)


def find_gap(fragments: Sequence[Fragment], width: float) -> float | None:
    """Where the gap between two columns lies, or None if there is one column.

    It is the widest vertical strip in the middle of the page that almost no line crosses, with lines on both sides. A
    list of headwords with their texts beside them is one column: the headwords do not fill theirs.
    """
    rows = _rows(fragments)
    pieces = [piece for row in rows for piece in _joined(row, width * _GAP_SHARE)]
    edges = sorted({f.right for f in pieces} | {f.left for f in pieces})
    best: tuple[float, float] | None = None
    for left, right in itertools.pairwise(edges):
        middle = (left + right) / 2
        if not _MIDDLE[0] * width < middle < _MIDDLE[1] * width or right - left < _GAP_SHARE * width:
            continue
        crossing = sum(f.left < middle < f.right for f in pieces)
        before = [f for f in pieces if f.right <= middle]
        after = [f for f in pieces if f.left >= middle]
        enough = min(len(before), len(after)) >= _LINES_PER_COLUMN and crossing <= _CROSSING_SHARE * len(pieces)
        if enough and _is_filled(before, middle) and (best is None or right - left > best[0]):
            best = (right - left, middle)
    return best[1] if best else None


def _is_filled(pieces: Sequence[Fragment], gap: float) -> bool:
    """Whether a quarter of the lines left of a gap are at least half as long as there is room."""
    room = gap - min(f.left for f in pieces)
    return 4 * sum(f.right - f.left > room / 2 for f in pieces) >= len(pieces)


def _columns(fragments: Sequence[Fragment], gap: float) -> list[str]:
    left = [f for f in fragments if f.right <= gap]
    return _lines(left) + _lines([f for f in fragments if f.right > gap])


def _lines(fragments: Sequence[Fragment]) -> list[str]:
    """One text per line; a wide vertical step is a break between paragraphs ('')."""
    lines: list[str] = []
    previous: list[Fragment] = []
    for row in _rows(fragments):
        if previous:
            height = max(f.top - f.bottom for f in previous)
            step = min(f.bottom for f in previous) - max(f.top for f in row)
            if step > _PARAGRAPH * height:
                lines.append("")
        lines.append(_line_text(row))
        previous = row
    return lines


def _line_text(row: Sequence[Fragment]) -> str:
    text = row[0].text
    for before, after in itertools.pairwise(row):
        gap = after.left - before.right
        height = max(after.top - after.bottom, before.top - before.bottom, 1.0)
        # a wide step inside of a line separates a headword from what follows
        text += ("\t" if gap > _STEP * height else " " if gap > _SPACE * height else "") + after.text
    return text


def _rows(fragments: Sequence[Fragment]) -> list[list[Fragment]]:
    """Fragments that share a line, from the top down and from left to right."""
    rows: list[list[Fragment]] = []
    for fragment in sorted(fragments, key=_from_top):
        middle = (fragment.top + fragment.bottom) / 2
        for row in reversed(rows[-3:]):
            if min(f.bottom for f in row) < middle < max(f.top for f in row):
                row.append(fragment)
                break
        else:
            rows.append([fragment])
    return [sorted(row, key=_from_left) for row in rows]


def _joined(row: Sequence[Fragment], gap: float) -> list[Fragment]:
    """The fragments of a line, those closer than `gap` as one."""
    pieces = [row[0]]
    for fragment in row[1:]:
        last = pieces[-1]
        if fragment.left - last.right < gap:
            pieces[-1] = Fragment(
                last.text + fragment.text,
                last.left,
                min(last.bottom, fragment.bottom),
                max(last.right, fragment.right),
                max(last.top, fragment.top),
            )
        else:
            pieces.append(fragment)
    return pieces


def _from_top(fragment: Fragment) -> tuple[float, float]:
    return -(fragment.top + fragment.bottom), fragment.left


def _from_left(fragment: Fragment) -> float:
    return fragment.left


def _fragments(text_page) -> list[Fragment]:
    """Runs of characters that stand close to one another on a line.

    The box of a character is the font's, not that of its ink: a line of dashes is as high as one of letters.
    """
    from pypdfium2 import raw

    page, box = text_page.raw, raw.FS_RECTF()
    fragments: list[Fragment] = []
    text, space, left, bottom, right, top = "", False, 0.0, 0.0, 0.0, 0.0
    for index in range(raw.FPDFText_CountChars(page)):
        character = chr(raw.FPDFText_GetUnicode(page, index))
        if character in _BREAKS or not raw.FPDFText_GetLooseCharBox(page, index, box):
            space = True
            continue
        if character.isspace():
            space = True
            continue
        height = max(top - bottom, box.top - box.bottom)
        overlap = min(top, box.top) - max(bottom, box.bottom)
        near = -0.5 * height < box.left - right < _NEAR * height and overlap > 0.5 * height
        if text and near:
            text += f" {character}" if space and box.left - right > _SPACE * height else character
            left, bottom = min(left, box.left), min(bottom, box.bottom)
            right, top = max(right, box.right), max(top, box.top)
        else:
            if text:
                fragments.append(Fragment(_whole(text), left, bottom, right, top))
            text, left, bottom, right, top = character, box.left, box.bottom, box.right, box.top
        space = False
    if text:
        fragments.append(Fragment(_whole(text), left, bottom, right, top))
    return fragments


def _whole(text: str) -> str:
    """A text in which PDFium's halves of rare characters are put together."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _picture_share(page) -> float:
    """Share of the page that pictures cover (overlaps count twice)."""
    from pypdfium2.raw import FPDF_PAGEOBJ_IMAGE

    width, height = page.get_size()
    area = 0.0
    for item in page.get_objects(filter=(FPDF_PAGEOBJ_IMAGE,), max_depth=4):
        left, bottom, right, top = item.get_bounds()
        area += max(0.0, min(right, width) - max(left, 0.0)) * max(0.0, min(top, height) - max(bottom, 0.0))
    return area / (width * height) if width and height else 0.0
