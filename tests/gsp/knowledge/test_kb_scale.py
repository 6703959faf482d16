"""The made-up lexicon of tools/analysis/knowledge_base_scale.py."""

from __future__ import annotations

import runpy

import pytest


@pytest.mark.parametrize("documents", [1, 3])
def test_the_lexicon_is_the_same_in_one_file_and_in_several(repository, tmp_path, documents):
    write = runpy.run_path(str(repository / "tools/analysis/knowledge_base_scale.py"))["write_lexicon"]
    total = write(tmp_path / "one", 1, 50, 45)
    assert write(tmp_path / "lexicon", documents, 50, 45) == total
    files = sorted((tmp_path / "lexicon").iterdir())
    lines = [file.read_text("utf-8").splitlines() for file in files]
    assert [len(part) // 2 for part in lines] == {1: [50], 3: [16, 17, 17]}[documents]
    together = [line for part in lines for line in part]
    assert together == (tmp_path / "one" / "lexicon_001.txt").read_text("utf-8").splitlines()
    assert len(set(together[::2])) == 50
    assert sum(map(len, together)) == total
