"""tools/analysis/text_probe.py on the tiny synthetic set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gspmc_mm.evaluation.results import TextProbeRecord, read_record


def test_a_bank_is_probed_and_recorded(tool: Callable, networks, monkeypatch, tmp_path: Path, capsys) -> None:
    monkeypatch.chdir(networks.folder)
    out = tmp_path / "probe.json"
    bank = next(networks.folder.rglob("text_bank.safetensors"))
    command = [str(networks.baseline), f"texts={bank}", "--folds", "0", "--train-split", "train", "--test-split", "val"]
    assert tool("text_probe")([*command, "--group", "2", "--out", str(out), "--cfg-options", *networks.options]) == 0
    record = read_record(out)
    assert isinstance(record, TextProbeRecord)
    assert next(row.name for row in record.rows) == "texts"
    assert len(record.rows) == 3
    assert record.rows[0].encoder == "use-multilingual"
    assert record.rows[1].alike is None
    assert record.group == 2
    assert str(bank) in record.provenance["data"]
    said = capsys.readouterr().out
    assert "chance on signs never seen 50.0" in said
    assert str(out) in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("{bank}", "{bank}"), "two banks are called 'text_bank'"),
        (("no_such.safetensors",), "no_such.safetensors"),
        (("{bank}", "--term", "tail"), "no term 'tail'"),
        (("{bank}", "--group", "3"), "take 2 to 2"),
    ],
)
def test_what_cannot_be_probed(
    tool: Callable, networks, monkeypatch, tmp_path: Path, capsys, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(networks.folder)
    bank = str(next(networks.folder.rglob("text_bank.safetensors")))
    command = [str(networks.baseline), *(text.format(bank=bank) for text in arguments), "--folds", "0"]
    command += ["--train-split", "train", "--test-split", "val", "--out", str(tmp_path / "out.json")]
    assert tool("text_probe")([*command, "--cfg-options", *networks.options]) == 1
    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
