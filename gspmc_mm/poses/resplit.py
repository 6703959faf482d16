"""A list of clips that has changed, and the store that was made from it: what differs, and mending it.

Splits, signers and labels are small columns beside the points. A store gets those of the list without anything being
extracted again: each file is written anew from the bytes of the old one, and only these columns and the header differ.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from gspmc_mm.files import replacing
from gspmc_mm.poses.clip_list import ClipList
from gspmc_mm.poses.errors import PoseStoreError
from gspmc_mm.poses.file_format import METADATA_KEY
from gspmc_mm.poses.header import StoreHeader
from gspmc_mm.poses.store import PoseStore


class ClipFacts(NamedTuple):
    """What a list says of a clip that a store keeps beside its points."""

    label: int
    signer: str
    splits: tuple[str, ...]

    def differences(self, other: ClipFacts) -> tuple[str, ...]:
        """Names of the fields in which two differ; the order of splits means nothing."""
        ours, theirs = (facts._replace(splits=tuple(sorted(facts.splits))) for facts in (self, other))
        return tuple(name for name in self._fields if getattr(ours, name) != getattr(theirs, name))


@dataclass(frozen=True)
class Resplit:
    """What a list has made of the files of a store.

    Attributes:
        clips: label, signer and splits of every clip of the files by its id, as they are now.
        changed: ids of the clips that had other splits, another signer or another gloss before.
        relabelled: of these, the ones that had another gloss.
        unlisted: ids of the clips that the list has not; they keep splits, signer and gloss.
        absent: ids of the clips of the list that the files have not.
        written: the files that were written anew; the others were as the list has it.
    """

    clips: dict[str, ClipFacts]
    changed: tuple[str, ...]
    relabelled: tuple[str, ...]
    unlisted: tuple[str, ...]
    absent: tuple[str, ...]
    written: tuple[Path, ...]


@dataclass(frozen=True)
class _Plan:
    """One file: its header, and its clips with the labels of the list, before and after."""

    path: Path
    header: StoreHeader
    before: dict[str, ClipFacts]
    after: dict[str, ClipFacts]
    classes: list[str] | None

    @property
    def changes(self) -> dict[str, tuple[str, ...]]:
        """Names of the fields that change, by clip id."""
        found = {clip_id: facts.differences(self.before[clip_id]) for clip_id, facts in self.after.items()}
        return {clip_id: fields for clip_id, fields in found.items() if fields}


def listed_facts(clips: ClipList) -> dict[str, ClipFacts]:
    """What a list says, by clip id."""
    return {clip.clip_id: ClipFacts(clip.label, clip.signer, clip.splits) for clip in clips.clips}


def stored_facts(store: PoseStore) -> dict[str, ClipFacts]:
    """What a store says, by clip id; reads no points."""
    splits: list[list[str]] = [[] for _ in range(len(store))]
    for name in store.split_names:
        for index in store.indices(name).tolist():
            splits[index].append(name)
    columns = zip(store.clip_ids.tolist(), store.labels.tolist(), store.signers.tolist(), splits, strict=True)
    return {clip_id: ClipFacts(label, signer, tuple(names)) for clip_id, label, signer, names in columns}


def resplit(files: Sequence[str | os.PathLike[str]], clips: ClipList, command: str = "") -> Resplit:
    """Give the files of a store the splits, signers, labels and signs of a list.

    All files are looked at before the first is written. Each is written whole or not at all, and one that is as the
    list has it is left alone: after a kill the same call does what is missing. The points keep their bytes.

    Args:
        files: the `.arrow` files.
        clips: the list. It has every sign of the store; it may have more, and labels follow the glosses.
        command: the command line, for the note in the header.

    Raises:
        FileNotFoundError: a file does not exist.
        PoseStoreError: a file is damaged, the list lacks a sign of the store, or labels cannot be told apart.
    """
    listed = listed_facts(clips)
    plans = [_plan(Path(path), clips, listed) for path in files]
    said = f"resplit {datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds')}: {command}"
    written = [plan for plan in plans if plan.changes or plan.classes != plan.header.classes]
    for plan in written:
        note = "\n".join(filter(None, (plan.header.note, said)))
        header = plan.header.model_copy(update={"classes": plan.classes, "note": note})
        rewrite(plan.path, header, {name: _column(plan.after, name) for name in ("label", "signer", "splits")})
    now = {clip_id: facts for plan in plans for clip_id, facts in plan.after.items()}
    changes = {clip_id: fields for plan in plans for clip_id, fields in plan.changes.items()}
    return Resplit(
        clips=now,
        changed=tuple(changes),
        relabelled=tuple(clip_id for clip_id, fields in changes.items() if "label" in fields),
        unlisted=tuple(clip_id for clip_id in now if clip_id not in listed),
        absent=tuple(clip_id for clip_id in listed if clip_id not in now),
        written=tuple(plan.path for plan in written),
    )


def rewrite(
    path: str | os.PathLike[str], header: StoreHeader, columns: Mapping[str, Mapping[str, Any]] | None = None
) -> None:
    """Give a file of a store another header and other values in small columns; all other bytes are copied.

    The new file takes the place of the old one when it is on disk, whole.

    Args:
        path: one `.arrow` file, of any writer.
        header: the new header, with the layout of the old one.
        columns: the new values by clip id, by name of the column.
    """
    columns = columns or {}
    with pa.memory_map(os.fspath(path)) as source, replacing(path) as temporary:
        reader = pa.ipc.open_file(source)
        schema = reader.schema.with_metadata({**reader.schema.metadata, METADATA_KEY: header.to_json().encode()})
        with open(temporary, "wb") as file:
            with pa.ipc.new_file(file, schema) as writer:
                for number in range(reader.num_record_batches):
                    writer.write_batch(_exchanged(reader.get_batch(number), schema, columns))
            file.flush()
            os.fsync(file.fileno())  # without it a power cut could leave the final name with nothing behind it


def _plan(path: Path, clips: ClipList, listed: Mapping[str, ClipFacts]) -> _Plan:
    store = PoseStore(path)
    labels = _new_labels(path, store.header.classes, clips)
    before = {
        clip_id: facts._replace(label=labels.get(facts.label, facts.label))
        for clip_id, facts in stored_facts(store).items()
    }
    after = {clip_id: listed.get(clip_id, facts) for clip_id, facts in before.items()}
    if store.header.classes is not None:
        return _Plan(path, store.header, before, after, list(clips.classes))
    for clip_id, facts in after.items():
        if facts.label != before[clip_id].label:
            raise PoseStoreError(
                f"{path}: clip {clip_id!r} has label {before[clip_id].label} there and {facts.label} in "
                f"{_name(clips)}, and the store has no names of signs that say which is meant; give the list the "
                "labels of the store"
            )
    return _Plan(path, store.header, before, after, None)


def _new_labels(path: Path, classes: Sequence[str] | None, clips: ClipList) -> dict[int, int]:
    """The label that the list has for the sign of each label of a file; none is named that stays."""
    if classes is None or list(classes) == list(clips.classes):
        return {}
    labels = {gloss: label for label, gloss in enumerate(clips.classes)}
    if len(labels) < len(clips.classes):
        twice = next(gloss for label, gloss in enumerate(clips.classes) if labels[gloss] != label)
        raise PoseStoreError(
            f"{_name(clips)}: two signs are called {twice!r}, and labels cannot follow the glosses; give them names "
            "that differ"
        )
    lost = [gloss for gloss in classes if gloss not in labels]
    if lost:
        raise PoseStoreError(
            f"{path} has signs that {_name(clips)} has not: {', '.join(map(repr, lost[:5]))} ({len(lost)} of "
            f"{len(classes)}). A list may bring signs and not lose any: keep them in it (signs without a clip are "
            "named in its .classes.txt), or extract into another store"
        )
    return {label: labels[gloss] for label, gloss in enumerate(classes)}


def _name(clips: ClipList) -> str:
    return f"the list {clips.source or clips.name}"


def _column(clips: Mapping[str, ClipFacts], name: str) -> dict[str, Any]:
    return {clip_id: getattr(facts, name) for clip_id, facts in clips.items()}


def _exchanged(batch: pa.RecordBatch, schema: pa.Schema, columns: Mapping[str, Mapping[str, Any]]) -> pa.RecordBatch:
    ids = batch.column("clip_id").to_pylist()
    arrays = [
        pa.array([columns[field.name][clip_id] for clip_id in ids], field.type)
        if field.name in columns
        else batch.column(field.name)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
