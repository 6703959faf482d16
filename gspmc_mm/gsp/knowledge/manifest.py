"""What a knowledge base is made of and where its data lie: `manifest.json` in its folder.

The folder of a knowledge base holds the manifest and one data folder, which the manifest names. A new build
writes a new data folder and then replaces the manifest, so that a reader sees the old base or the new one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gspmc_mm.files import replacing
from gspmc_mm.gsp.knowledge.entries import KnowledgeBaseError

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
ENTRIES = "entries.sqlite"
WORDS = "words"
VECTORS = "vectors"


class SourceRecord(BaseModel):
    """One file that was read: what it was, how it was read, and what came out.

    Attributes:
        path: as it was given.
        name: what entries call it; entry ids begin with it.
        sha256: of the file's bytes.
        reading: hash of everything else that decides the entries (profile, language, version of the readers).
        profile: name of the profile.
        size: bytes.
        entries: how many entries it gave.
        entries_sha256: hash of those entries.
        scanned_pages: pages that are pictures without text; they need character recognition first.
        skipped: lines or rows that belong to no entry.
        skipped_first: the first of them, to look at.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    name: str
    sha256: str
    reading: str
    profile: str
    size: int
    entries: int
    entries_sha256: str
    scanned_pages: tuple[int, ...] = ()
    skipped: int = 0
    skipped_first: str = ""


class Manifest(BaseModel):
    """The content of `manifest.json`.

    `embedder` is what was asked for, `embedder_id` what that was (weights, host). `files` are the bytes of every file
    in the data folder; manifests from before it was kept have none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1] = FORMAT_VERSION
    data: str = Field(pattern=r"^data-[0-9a-f]{16}$")
    sources: tuple[SourceRecord, ...]
    entries: int
    languages: Mapping[str, int]
    kinds: Mapping[str, int]
    flagged: int
    corpus_hash: str
    embedder: str
    embedder_id: str = ""
    embedder_note: str = ""
    vectors: int = 0
    vector_dim: int = 0
    vector_index: Literal["", "flat", "ivf"] = ""
    created: str
    command: str
    versions: Mapping[str, str]
    files: Mapping[str, int] = Field(default_factory=dict)


def file_sizes(data: Path) -> dict[str, int]:
    """Bytes of every file of a data folder, by its path there."""
    files = sorted(path for path in data.rglob("*") if path.is_file())
    return {path.relative_to(data).as_posix(): path.stat().st_size for path in files}


def find_damage(folder: Path, manifest: Manifest) -> str | None:
    """What is missing from the data of a knowledge base, or has another size than it was written with; None: nothing.

    Sizes are compared and not content: a gigabyte takes no time to look at. What has the right size and cannot be read
    is found by the reader of the file.
    """
    data = folder / manifest.data
    if not manifest.files:
        expected = [ENTRIES, WORDS, *([VECTORS] if manifest.vectors else ())]
        return next((f"{data / name} is missing" for name in expected if not (data / name).exists()), None)
    for name, size in manifest.files.items():
        path = data / name
        if not path.is_file():
            return f"{path} is missing"
        if path.stat().st_size != size:
            return f"{path} has {path.stat().st_size} bytes, it was written with {size}"
    return None


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a knowledge base.

    Raises:
        FileNotFoundError: the folder is none, or holds no finished knowledge base.
        KnowledgeBaseError: the manifest is broken or of another version.
    """
    path = folder / MANIFEST
    if not path.is_file():
        why = "the folder is there, but its building has not been finished" if folder.is_dir() else "no such folder"
        raise FileNotFoundError(f"no knowledge base at {folder} ({why}); tools/gsp/build_kb.py builds one")
    try:
        return Manifest.model_validate_json(path.read_text("utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise KnowledgeBaseError(
            f"{path}: not the manifest of a knowledge base of format {FORMAT_VERSION} ({_first_line(error)}); "
            "build it again into an empty folder"
        ) from None


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Write the manifest in one step."""
    with replacing(folder / MANIFEST) as temporary:
        temporary.write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
        with temporary.open("rb") as file:
            os.fsync(file.fileno())


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
