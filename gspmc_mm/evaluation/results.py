"""What an experiment leaves behind in `docs/results/NAME.json`: records of these kinds, checked when written and read.

| kind | says | written by |
|---|---|---|
| `folds` | accuracy of some variants on the pooled held-out clips | `tools/analysis/results.py folds` |
| `comparison` | two runs on the same clips, and whether they differ | `tools/analysis/compare.py` |
| `fusion` | streams alone and fused | `tools/analysis/fuse_streams.py` |
| `ablation` | one table of variants | `tools/analysis/ablate.py` |
| `robustness` | accuracy against severity of what is done to the clips | `tools/analysis/robustness.py` |
| `text_probe` | texts read off skeletons without a network | `tools/analysis/text_probe.py` |
| `figures` | pictures that belong to no table; read from a `NAME.figure.json` | `tools/analysis/figures.py` |

All accuracies, differences and published figures are shares (0.5 is 50 %); the page turns them into percent. Every
record names what failed and what has not been run (`failed`, `missing`): its table then says that it is incomplete.
`docs/results.md` is built from these files and from nothing else.

Example:
    record = AblationRecord(
        title="Table 5", provenance=gather_provenance(seed=[0, 1, 2]), table="table5", data="synthsign",
        rows=[AblationRow(name="all texts", config="configs/...py", seeds=[0, 1, 2], top1=estimate_accuracy(runs))],
    )
    write_record("docs/results/table5_synthsign.json", record)
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import Field, TypeAdapter, ValidationError

from gspmc_mm.files import write_json

from .result_kinds import (
    AblationRecord,
    AblationRow,
    Accuracy,
    ComparisonRecord,
    Confusion,
    Difference,
    Failure,
    FiguresRecord,
    FoldsRecord,
    FoldsRow,
    FusionRecord,
    FusionRow,
    Published,
    RobustnessCell,
    RobustnessDifference,
    RobustnessRecord,
    SeedDifference,
    TextProbeRecord,
    TextProbeRow,
)

__all__ = [
    "AblationRecord",
    "AblationRow",
    "Accuracy",
    "ComparisonRecord",
    "Confusion",
    "Difference",
    "Failure",
    "FiguresRecord",
    "FoldsRecord",
    "FoldsRow",
    "FusionRecord",
    "FusionRow",
    "Published",
    "Record",
    "ResultsError",
    "RobustnessCell",
    "RobustnessDifference",
    "RobustnessRecord",
    "SeedDifference",
    "TextProbeRecord",
    "TextProbeRow",
    "parse_record",
    "read_figure",
    "read_record",
    "read_records",
    "write_record",
]

_SHOWN_PROBLEMS = 8

Record = (
    FoldsRecord | ComparisonRecord | FusionRecord | AblationRecord | RobustnessRecord | TextProbeRecord | FiguresRecord
)
_RECORD: TypeAdapter[Record] = TypeAdapter(Annotated[Record, Field(discriminator="kind")])


class ResultsError(ValueError):
    """A record that cannot be what it claims: names the file, the field and the value."""


def write_record(path: str | os.PathLike[str], record: Record) -> Path:
    """Write a record as JSON, whole or not at all.

    Raises:
        ResultsError: The file name does not end in `.json`.
    """
    path = Path(path)
    if path.suffix != ".json":
        raise ResultsError(f"a record is written as .json, found the name {path}")
    return write_json(path, record.model_dump(mode="json"))


def parse_record(content: Any, where: str) -> Record:
    """A record from the content of a JSON file.

    Raises:
        ResultsError: Another kind, a field too many or too few, a value that cannot be; `where` stands before it.
    """
    try:
        return _RECORD.validate_python(content, strict=False)
    except ValidationError as error:
        problems = [
            f"{'.'.join(str(part) for part in problem['loc']) or 'record'}: {problem['msg']}"
            for problem in error.errors(include_url=False)
        ]
        more = f"; and {len(problems) - _SHOWN_PROBLEMS} more" if len(problems) > _SHOWN_PROBLEMS else ""
        raise ResultsError(f"{where}: {'; '.join(problems[:_SHOWN_PROBLEMS])}{more}") from error


def read_record(path: str | os.PathLike[str]) -> Record:
    """Read a record that `write_record` wrote.

    Raises:
        FileNotFoundError: There is no such file.
        ResultsError: No JSON, or see `parse_record`.
    """
    return parse_record(_read_json(Path(path)), str(path))


def _read_json(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"no record at {path}")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ResultsError(f"{path} is no JSON: {error}") from error


def read_records(folder: str | os.PathLike[str]) -> dict[str, Record]:
    """All records of a folder by the name of their file without `.json`, sorted; empty where there is no folder.

    Raises:
        ResultsError: See `read_record` and `read_figure`.
    """
    paths = sorted(Path(folder).glob("*.json"))
    return {path.stem: read_figure(path) if path.stem.endswith(".figure") else read_record(path) for path in paths}


def read_figure(path: str | os.PathLike[str]) -> FiguresRecord:
    """The record of a picture from the `NAME.figure.json` that `tools/analysis/figures.py` writes beside it.

    The picture is NAME.svg (or .png) in the same folder, which lies under the folder of the page.

    Raises:
        ResultsError: No JSON object with `figure` and `provenance`.
    """
    path = Path(path)
    content = _read_json(path)
    if not isinstance(content, dict) or not {"figure", "provenance"} <= set(content):
        raise ResultsError(f"{path} is no figure: it has no `figure` and `provenance`")
    name = path.name.removesuffix(".figure.json")
    ending = "svg" if path.with_name(f"{name}.svg").is_file() else "png"
    record = {
        "kind": "figures",
        "title": content.get("title") or str(content["figure"]),
        "provenance": content["provenance"],
        "figures": [f"{path.parent.name}/{name}.{ending}"],
    }
    return cast(FiguresRecord, parse_record(record, str(path)))
