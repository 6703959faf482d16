"""Command lines run in this process: a new one would import torch each time."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Done:
    """How a command ended and what it said."""

    status: int
    out: str
    err: str


@pytest.fixture
def command(repository, monkeypatch, capsys):
    """Run a script of tools/ with arguments."""

    def run(script: str, *arguments: object) -> Done:
        spec = importlib.util.spec_from_file_location("command", repository / "tools" / script)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        capsys.readouterr()
        status = module.main()
        said = capsys.readouterr()
        return Done(status, said.out, said.err)

    return run
