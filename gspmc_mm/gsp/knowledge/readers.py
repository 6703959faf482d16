"""From files to lines or rows, one after the other, so that a file of a gigabyte needs no gigabyte of memory."""

from __future__ import annotations

import codecs
import csv
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gspmc_mm.extras import how_to_install
from gspmc_mm.gsp.knowledge.entries import KnowledgeBaseError

TABLE_SUFFIXES = (".csv", ".tsv", ".xlsx", ".jsonl")
TEXT_SUFFIXES = (".txt", ".md", ".docx", ".pdf")
SUFFIXES = (*TABLE_SUFFIXES, *TEXT_SUFFIXES)

# In GB 18030 an accented letter of Western Windows and the letter behind it are a Chinese character in the middle of a
# word; in Chinese text few characters stand beside a Latin letter.
_CHINESE_ENCODINGS = ("gb18030", "gbk")
_MOST_IN_WORDS = 0.5
_HAN = re.compile("[㐀-鿿]")
_HAN_IN_WORD = re.compile("(?<=[A-Za-z])[㐀-鿿]|[㐀-鿿](?=[A-Za-z])")

# Stands at the name of a column that occurs a second time.
SECOND = " (again)"

_BLOCK = 1 << 20
# Zero-width marks, soft hyphens and other characters that are not seen but would keep words from matching are
# left in: they are reported as hidden characters. What no text has is dropped.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")
_MAX_CELL = 1 << 26


@dataclass(frozen=True)
class Line:
    """A line of running text.

    Attributes:
        text: without white space around it; '' is a break between paragraphs.
        number: from 1, in the file.
        page: page of the file, where it has pages.
    """

    text: str
    number: int
    page: int | None = None


@dataclass(frozen=True)
class Row:
    """A row of a table: values by column name, its number, and the sheet of a workbook that it is in."""

    values: Mapping[str, str]
    number: int
    sheet: str = ""


@dataclass
class ReadingNotes:
    """What a reader has to say beside the text: pages that are pictures."""

    scanned_pages: list[int] = field(default_factory=list)


def find_sources(paths: Sequence[str | os.PathLike[str]]) -> list[Path]:
    """The files named, and those with a known suffix inside of the folders named, each once.

    Raises:
        FileNotFoundError: a path does not exist.
        KnowledgeBaseError: a file of another kind is named, or a folder holds none that is read.
    """
    found: dict[Path, Path] = {}
    for name in paths:
        path = Path(name)
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and _is_visible(p, path))
            if not inside:
                raise KnowledgeBaseError(f"{path}: no file in this folder ends in one of {', '.join(SUFFIXES)}")
            found.update({p.resolve(): p for p in inside})
        elif not path.is_file():
            raise FileNotFoundError(f"source {path} does not exist")
        elif path.suffix.lower() not in SUFFIXES:
            raise KnowledgeBaseError(f"{path}: found {path.suffix or 'no suffix'}, expected {', '.join(SUFFIXES)}")
        else:
            found.setdefault(path.resolve(), path)
    return list(found.values())


def _is_visible(path: Path, folder: Path) -> bool:
    return path.is_file() and not any(part.startswith((".", "~$")) for part in path.relative_to(folder).parts)


def is_table(path: Path) -> bool:
    """Whether a file is read as rows with named columns."""
    return path.suffix.lower() in TABLE_SUFFIXES


def read_lines(path: Path, encodings: Sequence[str], notes: ReadingNotes) -> Iterator[Line]:
    """The lines of a txt, md, docx or pdf file in reading order.

    Raises:
        KnowledgeBaseError: the file cannot be decoded or is broken.
        ImportError: the package for docx or pdf is not installed; the message names the extra.
    """
    suffix = path.suffix.lower()
    if suffix == ".docx":
        yield from _docx_lines(path)
    elif suffix == ".pdf":
        from gspmc_mm.gsp.knowledge.pdf_pages import read_pages

        number = 0
        for page in read_pages(path):
            if page.scanned:
                # what little text it has, such as a running foot, belongs to no entry
                notes.scanned_pages.append(page.number)
                continue
            for text in page.lines:
                number += 1
                yield Line(clean(text), number, page.number)
    else:
        with path.open(encoding=find_encoding(path, encodings), newline=None) as file:
            for number, text in enumerate(file, start=1):
                yield Line(clean(text), number)


def read_rows(path: Path, encodings: Sequence[str]) -> Iterator[Row]:
    """The rows of a csv, tsv, xlsx (all its sheets) or jsonl file; column names are the keys.

    Raises:
        KnowledgeBaseError: the file cannot be decoded, is broken, or has no column names.
        ImportError: the package for xlsx is not installed; the message names the extra.
    """
    suffix = path.suffix.lower()
    if suffix == ".jsonl":
        yield from _json_rows(path, encodings)
    elif suffix == ".xlsx":
        yield from _sheet_rows(path)
    else:
        yield from _named(path, _separated_rows(path, encodings, "\t" if suffix == ".tsv" else ""))


def column_names(path: Path, encodings: Sequence[str]) -> frozenset[str]:
    """The column names of a table (the keys of the first object of a jsonl file), as written."""
    for row in read_rows(path, encodings):
        return frozenset(row.values)
    return frozenset()


def find_encoding(path: Path, encodings: Sequence[str]) -> str:
    """The first of the encodings that the whole file can be decoded with; UTF-16 is known by its first bytes.

    A Chinese encoding has to give Chinese text: it decodes most texts of Western Windows too.

    Raises:
        KnowledgeBaseError: none of them; names the place.
    """
    with path.open("rb") as file:
        start = file.read(2)
    if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    failures = []
    for encoding in encodings:
        decoder = codecs.getincrementaldecoder(encoding)()
        is_chinese = codecs.lookup(encoding).name in _CHINESE_ENCODINGS
        done = han = in_words = 0
        try:
            with path.open("rb") as file:
                while block := file.read(_BLOCK):
                    text = decoder.decode(block)
                    done += len(block)
                    if is_chinese:
                        han += len(_HAN.findall(text))
                        in_words += len(_HAN_IN_WORD.findall(text))
                decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            failures.append(f"{encoding} fails near byte {done + error.start}")
            continue
        if in_words <= _MOST_IN_WORDS * han:
            return encoding
        failures.append(f"{encoding} gives no Chinese text: {in_words} of {han} characters stand inside of Latin words")
    raise KnowledgeBaseError(
        f"{path}: cannot be decoded ({'; '.join(failures)}); save it as UTF-8, or name its encoding in the profile"
    )


def clean(text: str) -> str:
    """A text without control characters, and every white space one space, or one tabulator where one was in it."""
    text = _CONTROL.sub("", text)
    if "\t" not in text:
        return " ".join(text.split())
    return "\t".join(" ".join(piece.split()) for piece in text.strip().split("\t") if piece.strip())


def _docx_lines(path: Path) -> Iterator[Line]:
    try:
        import docx
        from docx.table import Table
    except ImportError as error:
        raise ImportError(f"{path}: reading docx needs python-docx: {how_to_install('gsp')}") from error
    try:
        document = docx.Document(str(path))
    except Exception as error:  # python-docx raises KeyError, BadZipFile, its own and more
        raise KnowledgeBaseError(f"{path}: cannot be read as docx ({error}); save it as .docx again") from None
    number = 0
    for block in document.iter_inner_content():
        if isinstance(block, Table):
            # a dictionary set as a table: the cells of a row, told apart by tabulators
            texts = ["\t".join(" ".join(cell.text.split()) for cell in row.cells) for row in block.rows]
        else:
            texts = [clean(line) for line in block.text.split("\n")]
        for text in texts:
            number += 1
            yield Line(text, number)


def _json_rows(path: Path, encodings: Sequence[str]) -> Iterator[Row]:
    with path.open(encoding=find_encoding(path, encodings)) as file:
        for number, text in enumerate(file, start=1):
            if not text.strip():
                continue
            try:
                values = json.loads(text)
            except json.JSONDecodeError as error:
                raise KnowledgeBaseError(
                    f"{path}, line {number}: not JSON ({error.msg}, column {error.colno})"
                ) from None
            if not isinstance(values, dict):
                raise KnowledgeBaseError(f"{path}, line {number}: found {type(values).__name__}, expected an object")
            yield Row({str(key): _cell(value) for key, value in values.items()}, number)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return "; ".join(clean(str(item)) for item in value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a page number that a spreadsheet keeps as 12.0
    return "\n".join(clean(line) for line in str(value).splitlines()).strip()


def _separated_rows(path: Path, encodings: Sequence[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(_MAX_CELL)
    with path.open(encoding=find_encoding(path, encodings), newline="") as file:
        if not delimiter:
            first = file.readline()
            delimiter = max(",;\t", key=first.count)
            file.seek(0)
        try:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            for values in reader:
                yield reader.line_num, values
        except csv.Error as error:
            raise KnowledgeBaseError(f"{path}, line {reader.line_num}: {error}; check the quotes around it") from None


def _sheet_rows(path: Path) -> Iterator[Row]:
    try:
        import openpyxl
    except ImportError as error:
        raise ImportError(f"{path}: reading xlsx needs openpyxl: {how_to_install('gsp')}") from error
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except Exception as error:  # openpyxl raises BadZipFile, KeyError, its own and more
        raise KnowledgeBaseError(f"{path}: cannot be read as xlsx ({error}); save it as .xlsx again") from None
    try:
        for sheet in book.worksheets:
            cells = ([_cell(value) for value in values] for values in sheet.iter_rows(values_only=True))
            yield from _named(path, enumerate(cells, start=1), sheet.title)
    finally:
        book.close()


def _named(path: Path, rows: Iterable[tuple[int, list[str]]], sheet: str = "") -> Iterator[Row]:
    """Rows as values by the names of the first row; empty rows are left out, and columns of a sheet without a name."""
    names: list[str] = []
    for number, values in rows:
        if not any(value.strip() for value in values):
            continue
        if not names:
            names = _distinct([value.strip().removeprefix("\ufeff") for value in values])
            continue
        if not sheet and any(value.strip() for value in values[len(names) :]):
            raise KnowledgeBaseError(
                f"{path}, line {number}: found {len(values)} values, expected {len(names)} ({', '.join(names)}); "
                "a text that holds the separator has to stand in quotes"
            )
        yield Row({name: _cell(value) for name, value in zip(names, values, strict=False) if name}, number, sheet)


def _distinct(names: Sequence[str]) -> list[str]:
    """Column names, the second of two equal ones with a mark; it matters only if the column is used."""
    return [name if name not in names[:i] else f"{name}{SECOND}" for i, name in enumerate(names)]
