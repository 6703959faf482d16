"""The signs that are to be described: labels, glosses and other names."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gspmc_mm.gsp.knowledge.entries import split_aliases


class ClassListError(ValueError):
    """A class list that cannot be used: says where, what was found and what was expected."""


@dataclass(frozen=True)
class ClassRow:
    """A sign of the class list: label, gloss and other names of it."""

    label: int
    gloss: str
    aliases: tuple[str, ...] = ()


def read_classes(path: str | os.PathLike[str]) -> tuple[ClassRow, ...]:
    """Read a class list: CSV with the columns label, gloss and, if there, aliases ('a; b').

    Raises:
        FileNotFoundError: there is no such file.
        ClassListError: names the line, what was found and what was expected.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"class list {path} does not exist; expected a CSV with the columns label,gloss and optionally aliases"
        )
    rows = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            columns = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            if missing := [name for name in ("label", "gloss") if name not in columns]:
                raise ClassListError(
                    f"{path}: no column {' and no column '.join(missing)}; found {', '.join(columns) or 'nothing'}, "
                    "expected label,gloss and optionally aliases in the first line"
                )
            for values in reader:
                rows.append(_class_row(values, f"{path}, line {reader.line_num}"))
    except UnicodeDecodeError as error:
        raise ClassListError(f"{path}: not UTF-8 ({error}); save the file as UTF-8") from None
    except csv.Error as error:
        raise ClassListError(f"{path}: not a CSV file ({error})") from None
    return check_classes(rows, str(path))


def check_classes(rows: Sequence[ClassRow], source: str = "class list") -> tuple[ClassRow, ...]:
    """Class rows sorted by label.

    Raises:
        ClassListError: there is no sign, or the labels do not run from 0 without gaps.
    """
    rows = sorted(rows, key=_label)
    if not rows:
        raise ClassListError(f"{source}: there is no sign in it")
    for expected, row in enumerate(rows):
        if row.label != expected:
            problem = "is there twice" if row.label < expected else f"comes where {expected} was expected"
            raise ClassListError(f"{source}: label {row.label} ({row.gloss!r}) {problem}; labels are 0, 1, 2, ...")
    return tuple(rows)


def _class_row(values: Mapping[str | None, Any], where: str) -> ClassRow:
    if None in values:
        raise ClassListError(f"{where}: more fields than columns; put a field with commas into double quotes")
    label, gloss = (values.get("label") or "").strip(), " ".join((values.get("gloss") or "").split())
    if not label.isascii() or not label.isdigit():
        raise ClassListError(f"{where}: found label {label!r}, expected a whole number from 0")
    if not gloss:
        raise ClassListError(f"{where}: the gloss of label {label} is empty")
    return ClassRow(int(label), gloss, split_aliases(values.get("aliases") or ""))


def _label(row: ClassRow) -> int:
    return row.label
