"""Files that are whole or not there."""

from __future__ import annotations

import json
import os
import stat

import pytest

from gspmc_mm.files import replacing, write_json, write_text


def permissions(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_replaced_at_the_end_only(tmp_path):
    path = write_text(tmp_path / "new" / "folder" / "a.txt", "old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(path.parent) == ["a.txt"]


def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path):
    path = write_text(tmp_path / "a.txt", "old")

    def write_half():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        write_half()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_block_that_writes_nothing_does_not_make_an_empty_file(tmp_path):
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "a.txt"):
        pass
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o002])
def test_others_may_read_a_file_whatever_its_library_thinks(tmp_path, umask):
    before = os.umask(umask)
    try:
        with replacing(tmp_path / "bank") as temporary:
            temporary.write_text("vectors")
            temporary.chmod(0o600)  # as safetensors leaves its files
        assert permissions(tmp_path / "bank") == 0o666 & ~umask
    finally:
        os.umask(before)


def test_the_temporary_name_ends_as_asked(tmp_path):
    with replacing(tmp_path / "clip.mp4", suffix=".tmp.mp4") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.endswith(".tmp.mp4")
        temporary.write_bytes(b"film")
    assert (tmp_path / "clip.mp4").read_bytes() == b"film"


def test_json_is_indented_utf8_and_never_nan(tmp_path):
    path = write_json(tmp_path / "a.json", {"gloss": "teşekkür", "top1": 0.5})
    assert "teşekkür" in path.read_text(encoding="utf-8")
    assert json.loads(path.read_text(encoding="utf-8")) == {"gloss": "teşekkür", "top1": 0.5}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"top1": float("nan")})
    assert json.loads(path.read_text(encoding="utf-8"))["top1"] == 0.5
