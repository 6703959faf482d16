from __future__ import annotations

import json
import runpy
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

PROFILES = ["--profile", "gf0020", "--profile", "gf0021=alphabet*", "--embedder", "none"]


@dataclass
class Done:
    """How a command line ended."""

    status: int
    out: str
    err: str


@pytest.fixture
def run(repository, monkeypatch, capsys) -> Callable[..., Done]:
    """Runs a script of tools/gsp in this process, which has the slow imports behind it."""

    def command(script: str, *arguments: object) -> Done:
        path = repository / "tools" / "gsp" / script
        monkeypatch.setattr(sys, "argv", [str(path), *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "300")
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(path), run_name="__main__")
        return Done(end.value.code, *capsys.readouterr())

    return command


@pytest.mark.parametrize("script", ["build_kb.py", "query.py"])
def test_help_needs_no_heavy_imports(repository, script):
    code = (
        f"import sys; sys.argv = ['x', '--help']; sys.modules['torch'] = None; exec(open('tools/gsp/{script}').read())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=repository)
    assert (done.returncode, "KB" in done.stdout) == (0, True)


def test_a_base_is_built_rebuilt_and_asked(run, sources, tmp_path):
    kb = tmp_path / "kb"
    done = run("build_kb.py", sources, "--out", kb, *PROFILES)
    assert done.status == 0, done.err
    assert "entries: 15 (tr 7, zh 8; handshape 3, sign 12)" in done.out
    assert "warning: 1 entries are flagged" in done.out
    assert "1 lines or rows belong to no entry, the first: line 1" in done.out
    assert f"unchanged {kb}" in run("build_kb.py", sources, "--out", kb, *PROFILES).out

    shown = run("query.py", kb, "忠诚", "-k", "1")
    assert shown.status == 0
    assert "1. 忠诚  [exact 1.0000: rank 1 by exact (1.000)]" in shown.out
    assert "'手势同“爱”' -> lexicon:爱:1" in shown.out
    found = json.loads(run("query.py", kb, "祖父", "-k", "1", "--json").out)
    assert (found["route"], found["entry"]["headword"]) == ("alias", "爷爷")
    assert "lexicon:坏词:1: instruction-like text" in run("query.py", kb, "--flagged").out
    nothing = run("query.py", kb, "zzzz", "--kind", "handshape", "--language", "zh")
    assert (nothing.status, nothing.err) == (1, "nothing found for 'zzzz'\n")


def test_errors_are_one_line_and_status_1(run, tmp_path):
    done = run("build_kb.py", tmp_path / "none.txt", "--out", tmp_path / "kb")
    assert (done.status, done.out) == (1, "")
    assert done.err == f"error: source {tmp_path / 'none.txt'} does not exist\n"
    done = run("query.py", tmp_path / "kb", "love")
    assert done.status == 1
    assert done.err.startswith("error: no knowledge base at")
    assert run("query.py", tmp_path / "kb").status == 2


def test_the_signs_of_wlasl_are_all_in_asl_lex(run, shared_data, tmp_path):
    from gspmc_mm.gsp.knowledge.base import KnowledgeBase
    from gspmc_mm.gsp.knowledge.references import gather_grounds
    from gspmc_mm.gsp.knowledge.retrieval import Retriever

    source = shared_data / "asl_lex" / "signdata-2020-10-28.csv"
    done = run("build_kb.py", source, "--out", tmp_path / "kb", "--embedder", "none")
    assert done.status == 0, done.err
    assert "profile asl_lex (read)" in done.out
    import numpy as np

    names = np.load(shared_data / "wlasl100" / "wlasl100_hands.npz")["class_names"]
    retriever = Retriever(KnowledgeBase.open(tmp_path / "kb"))
    routes = {str(name): gather_grounds(retriever, str(name), language="en").route for name in names}
    assert {name: route for name, route in routes.items() if route not in ("exact", "alias")} == {}
