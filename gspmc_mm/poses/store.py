"""Reading a pose store: cheap to open, lazily read, shared between processes by the page cache."""

from __future__ import annotations

import hashlib
import json
import mmap
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gspmc_mm.poses.clip import PoseClip
from gspmc_mm.poses.errors import PoseStoreError
from gspmc_mm.poses.file_format import COLUMNS, METADATA_KEY, SUFFIX
from gspmc_mm.poses.header import StoreHeader
from gspmc_mm.poses.quantization import KEYPOINT_DTYPE, SCORE_DTYPE, dequantize
from gspmc_mm.skeleton import Layout, get_layout

_MAGIC = b"ARROW1"
StorePath = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


class PoseStore:
    """A pose store: one file, or several shards that are read as one.

    Opening reads the small columns (ids, labels, ...) and notes where in the file each clip lies;
    the key points are read when a clip is asked for, straight from a memory map. Processes that
    open the same files share those pages. Pickling keeps the paths only and opens them again.

    Args:
        path: one `.arrow` file, a folder whose `*.arrow` files are the shards (in the order of
            their names), or a list of files.

    Attributes:
        files: the files, absolute.
        header: the header (of the first shard; layout, estimator and classes of all are equal).
        clip_ids: (N,) object array of str.
        signers: (N,) object array of str, '' where unknown.
        labels: (N,) int64.
        frames: (N,) int64 number of frames.
        fps: (N,) float64 frames per second, 0 where unknown.
        image_sizes: (N, 2) int64 width and height in pixels.
        digests: (N, 16) uint8 of the points, taken when they were written; the audit compares them, reading does not.

    Raises:
        FileNotFoundError: a file does not exist, or a folder has no shard.
        PoseStoreError: a file is truncated, no pose store or of another version; shards do not
            belong together; an id comes twice.
    """

    def __init__(self, path: StorePath) -> None:
        self.files = _find_files(path)
        shards = [_Shard.open(file) for file in self.files]
        self.header = shards[0].header
        for shard in shards[1:]:
            _check_same_kind(shards[0], shard)
        self._maps = [shard.map for shard in shards]
        self._shard = np.repeat(np.arange(len(shards)), [len(shard.labels) for shard in shards])
        self._keypoint_start = np.concatenate([shard.keypoint_start for shard in shards])
        self._score_start = np.concatenate([shard.score_start for shard in shards])
        self.digests = np.concatenate([shard.digests for shard in shards])
        self.clip_ids = np.concatenate([shard.clip_ids for shard in shards])
        self.signers = np.concatenate([shard.signers for shard in shards])
        self.labels = np.concatenate([shard.labels for shard in shards])
        self.frames = np.concatenate([shard.frames for shard in shards])
        self.fps = np.concatenate([shard.fps for shard in shards])
        self.image_sizes = np.concatenate([shard.image_sizes for shard in shards])
        self._splits = self._merge_splits(shards)
        self._check_unique()

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        shards = "" if len(self.files) == 1 else f" in {len(self.files)} shards"
        return (
            f"{type(self).__name__}({len(self)} clips{shards}, layout {self.layout.name!r}, "
            f"splits {list(self.split_names)}, {self.files[0].parent})"
        )

    def __getstate__(self) -> dict[str, object]:
        return {"files": self.files, "sizes": [len(memory) for memory in self._maps]}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__init__(state["files"])  # type: ignore[misc]
        for file, memory, size in zip(self.files, self._maps, state["sizes"], strict=True):
            if len(memory) != size:
                raise PoseStoreError(
                    f"{file}: the store has changed ({size} bytes before, {len(memory)} now) since "
                    "it was opened by the process that handed it over; start that one again"
                )

    @cached_property
    def layout(self) -> Layout:
        """The layout of the points."""
        return get_layout(self.header.layout)

    @property
    def split_names(self) -> tuple[str, ...]:
        """Names of the splits, in the order in which they first appear."""
        return tuple(self._splits)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (64 hex digits) over everything that training sees.

        Covers layout, estimator, classes and, clip by clip in order, id, label, signer, frames,
        fps, image size, splits and the digest of the points that was taken when the clip was
        written. Independent of sharding, date, note and command; reads no key points.
        """
        kind = self.header.model_dump(include={"layout", "estimator", "classes", "units"})
        facts = {
            "header": kind,
            "clip_ids": self.clip_ids.tolist(),
            "signers": self.signers.tolist(),
            "splits": {name: self._splits[name].tolist() for name in sorted(self._splits)},
        }
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
        for column in (self.labels, self.frames, self.image_sizes):
            digest.update(column.astype("<i8").tobytes())
        digest.update(self.fps.astype("<f8").tobytes())
        digest.update(self.digests.tobytes())
        return digest.hexdigest()

    def indices(self, split: str | Sequence[str] | None = None) -> np.ndarray:
        """Numbers of the clips of a split or of several together, (n,) int64 ascending; of all clips for None.

        Raises:
            PoseStoreError: there is no such split (the ones there are, are listed).
        """
        if split is None:
            return np.arange(len(self))
        if not isinstance(split, str):
            return np.unique(np.concatenate([self.indices(name) for name in split]))
        if split not in self._splits:
            known = ", ".join(repr(name) for name in self._splits) or "none"
            raise PoseStoreError(
                f"{self.files[0].parent if len(self.files) > 1 else self.files[0]}: no split "
                f"{split!r}; the splits of this store are: {known}"
            )
        return self._splits[split].copy()

    def stored(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """The integers of one clip as they lie in the file, without a copy.

        Returns:
            int16 (T, V, 2) eighths of a pixel from the image centre, and uint8 (T, V) confidences
            in 255ths; read-only views of the memory map.

        Raises:
            PoseStoreError: the index is out of range.
        """
        index = self._check_index(index)
        memory = self._maps[self._shard[index]]
        frames, joints = int(self.frames[index]), self.header.num_joints
        points = frames * joints
        start = int(self._keypoint_start[index])
        _will_need(memory, start, points * 2 * KEYPOINT_DTYPE.itemsize)
        keypoint = np.frombuffer(memory, KEYPOINT_DTYPE, points * 2, start)
        score = np.frombuffer(memory, SCORE_DTYPE, points, int(self._score_start[index]))
        return keypoint.reshape(frames, joints, 2), score.reshape(frames, joints)

    def clip(
        self,
        index: int,
        frames: Sequence[int] | np.ndarray | None = None,
        joints: Sequence[int] | np.ndarray | None = None,
    ) -> PoseClip:
        """Read one clip.

        Args:
            index: number of the clip.
            frames: numbers of the frames wanted, in any order, repeats allowed; None for all.
            joints: numbers of the points wanted; None for all.

        Returns:
            The clip, with `keypoint` (len(frames), len(joints), 2) and `score` accordingly.

        Raises:
            PoseStoreError: index, frames or joints are out of range or no whole numbers.
        """
        keypoint, score = self.points(index, frames, joints)
        return PoseClip(
            clip_id=str(self.clip_ids[index]),
            keypoint=keypoint,
            score=score,
            label=int(self.labels[index]),
            signer=str(self.signers[index]),
            fps=float(self.fps[index]),
            image_size=(int(self.image_sizes[index, 0]), int(self.image_sizes[index, 1])),
            splits=self._splits_of(int(index)),
        )

    def points(
        self,
        index: int,
        frames: Sequence[int] | np.ndarray | None = None,
        joints: Sequence[int] | np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Points of one clip, or of some frames and joints of it; the arguments are those of `clip`.

        Returns:
            float32 (len(frames), len(joints), 2) pixels and (len(frames), len(joints)) confidences.

        Raises:
            PoseStoreError: index, frames or joints are out of range or no whole numbers.
        """
        keypoint, score = self.stored(index)
        clip_id = str(self.clip_ids[index])
        if frames is not None:
            frames = _check_selection(frames, len(keypoint), f"clip {clip_id!r}: frames")
            keypoint, score = _take(keypoint, frames, axis=0), score.take(frames, axis=0)
        if joints is not None:
            joints = _check_selection(joints, keypoint.shape[1], f"clip {clip_id!r}: joints")
            keypoint, score = _take(keypoint, joints, axis=1), score.take(joints, axis=1)
        width, height = self.image_sizes[index].tolist()
        return dequantize(keypoint, score, (width, height))

    def _splits_of(self, index: int) -> tuple[str, ...]:
        found = []
        for name, members in self._splits.items():
            place = np.searchsorted(members, index)
            if place < len(members) and members[place] == index:
                found.append(name)
        return tuple(found)

    def _check_index(self, index: int) -> int:
        if not 0 <= index < len(self):
            raise PoseStoreError(f"clip {index} does not exist: the store has {len(self)} clips")
        return int(index)

    def _merge_splits(self, shards: list[_Shard]) -> dict[str, np.ndarray]:
        parts: dict[str, list[np.ndarray]] = {}
        first = 0
        for shard in shards:
            for name, members in shard.splits.items():
                parts.setdefault(name, []).append(members + first)
            first += len(shard.labels)
        return {name: np.concatenate(members) for name, members in parts.items()}

    def _check_unique(self) -> None:
        if len(set(self.clip_ids.tolist())) == len(self):
            return
        seen: dict[str, int] = {}
        for index, clip_id in enumerate(self.clip_ids):
            if clip_id in seen:
                files = [self.files[self._shard[i]] for i in (seen[clip_id], index)]
                raise PoseStoreError(
                    f"the clip id {clip_id!r} comes twice: in {files[0]} and in {files[1]}; "
                    "the shards of a store have no clip in common"
                )
            seen[clip_id] = index


@dataclass
class _Shard:
    """One file: its small columns in memory, and where the points of each clip lie in it."""

    file: Path
    header: StoreHeader
    map: mmap.mmap
    clip_ids: np.ndarray
    signers: np.ndarray
    labels: np.ndarray
    frames: np.ndarray
    fps: np.ndarray
    image_sizes: np.ndarray
    digests: np.ndarray
    splits: dict[str, np.ndarray]
    keypoint_start: np.ndarray
    score_start: np.ndarray

    @classmethod
    def open(cls, file: Path) -> _Shard:
        memory = _map_file(file)
        # A reader over the bytes of our own map, and not `pyarrow.memory_map`: that one asks the
        # system to read ahead each batch it looks at, which at opening would be the whole file.
        source = pa.py_buffer(memory)
        try:
            reader = pa.ipc.open_file(pa.BufferReader(source))
            header = _check_schema(file, reader.schema)
            batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
            for batch in batches:
                batch.validate()  # lengths against buffers only, so it reads next to nothing
        except (pa.ArrowException, OSError) as error:
            raise PoseStoreError(f"{file}: the file is damaged: {error}") from error
        if not batches:
            raise PoseStoreError(f"{file}: the store has no clips")
        starts = [_point_starts(file, batch, source, header.num_joints) for batch in batches]
        small = pa.Table.from_batches(batches).select([n for n, _ in COLUMNS[:-2]])
        split_names, members = _read_splits(small["splits"].combine_chunks())
        return cls(
            file=file,
            header=header,
            map=memory,
            clip_ids=_strings(small["clip_id"]),
            signers=_strings(small["signer"]),
            labels=small["label"].to_numpy().astype(np.int64),
            frames=small["frames"].to_numpy().astype(np.int64),
            fps=small["fps"].to_numpy().astype(np.float64),
            image_sizes=np.stack([small[side].to_numpy().astype(np.int64) for side in ("width", "height")], axis=1),
            digests=_fixed_bytes(small["digest"]),
            splits=dict(zip(split_names, members, strict=True)),
            keypoint_start=np.concatenate([keypoint for keypoint, _ in starts]),
            score_start=np.concatenate([score for _, score in starts]),
        )


def _find_files(path: StorePath) -> list[Path]:
    if isinstance(path, (str, os.PathLike)):
        path = Path(path)
        if path.is_dir():
            files = sorted(path.glob(f"*{SUFFIX}"))
            if not files:
                raise FileNotFoundError(f"{path}: the folder has no pose store (*{SUFFIX})")
        else:
            files = [path]
    else:
        files = [Path(file) for file in path]
        if not files:
            raise FileNotFoundError("no file of a pose store was named")
    for file in files:
        if not file.is_file():
            raise FileNotFoundError(f"{file}: there is no such pose store")
    # Absolute, so that a worker with another working folder opens the same files.
    return [Path(os.path.abspath(file)) for file in files]


def _map_file(file: Path) -> mmap.mmap:
    with open(file, "rb") as opened:
        start = opened.read(len(_MAGIC))
        if start != _MAGIC:
            raise PoseStoreError(f"{file}: this is no pose store: it does not begin as an Arrow IPC file does")
        memory = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
    if memory[-len(_MAGIC) :] != _MAGIC or len(memory) < 64:
        raise PoseStoreError(
            f"{file}: the pose store is truncated: the end of the file is missing "
            f"({len(memory)} bytes are there); copy or make it again"
        )
    if hasattr(mmap, "MADV_RANDOM"):
        # Clips are read in random order: reading ahead past a clip would be reading for nothing.
        memory.madvise(mmap.MADV_RANDOM)
    return memory


def _will_need(memory: mmap.mmap, start: int, size: int) -> None:
    """Ask for the pages of one clip at once, rather than page by page as they are touched."""
    if hasattr(mmap, "MADV_WILLNEED"):
        first = start - start % mmap.PAGESIZE
        memory.madvise(mmap.MADV_WILLNEED, first, start + size - first)


def _check_schema(file: Path, schema: pa.Schema) -> StoreHeader:
    text = (schema.metadata or {}).get(METADATA_KEY)
    if text is None:
        raise PoseStoreError(
            f"{file}: an Arrow file, but no pose store: its schema metadata has no {METADATA_KEY.decode()!r}"
        )
    header = StoreHeader.from_json(text, str(file))
    for name, kind in COLUMNS:
        places = schema.get_all_field_indices(name)
        found = schema.field(places[0]).type if len(places) == 1 else None
        if found is None or not _same_type(found, kind):
            raise PoseStoreError(
                f"{file}: the column {name!r} is {'missing' if found is None else f'of type {found}'}; expected {kind}"
            )
    return header


def _same_type(found: pa.DataType, expected: pa.DataType) -> bool:
    """Equal up to the name and the nullability of list items, which other writers choose freely."""
    for is_list in (pa.types.is_list, pa.types.is_large_list):
        if is_list(expected):
            return is_list(found) and found.value_type == expected.value_type
    return found == expected


def _point_starts(
    file: Path, batch: pa.RecordBatch, source: pa.Buffer, num_joints: int
) -> tuple[np.ndarray, np.ndarray]:
    """Where in the file the key points and the scores of each clip of a batch begin (bytes)."""
    for name, _ in COLUMNS:
        if batch.column(name).null_count:
            raise PoseStoreError(f"{file}: the column {name!r} has empty values")
    frames = batch.column("frames").to_numpy().astype(np.int64)
    starts = []
    for name, per_frame, dtype in (
        ("keypoint", num_joints * 2, KEYPOINT_DTYPE),
        ("score", num_joints, SCORE_DTYPE),
    ):
        column = batch.column(name)
        offsets = column.offsets.to_numpy()
        wrong = np.diff(offsets) != frames * per_frame
        if wrong.any() or (frames < 1).any():
            clip = int(np.argmax(wrong | (frames < 1)))
            raise PoseStoreError(
                f"{file}: clip {batch.column('clip_id')[clip].as_py()!r}: {name} has "
                f"{offsets[clip + 1] - offsets[clip]} values; {frames[clip]} frames of "
                f"{num_joints} points need {frames[clip] * per_frame}"
            )
        values = column.buffers()[3]
        begin = values.address - source.address
        if begin < 0 or begin + values.size > source.size:
            raise PoseStoreError(
                f"{file}: the record batches are compressed; a pose store is memory-mapped and "
                "has to be written without compression"
            )
        if offsets[0] < 0 or offsets[-1] * dtype.itemsize > values.size:
            raise PoseStoreError(f"{file}: the file is damaged: {name} is shorter than it says")
        starts.append(begin + offsets[:-1] * dtype.itemsize)
    return starts[0], starts[1]


def _strings(column: pa.ChunkedArray) -> np.ndarray:
    # Through a dictionary, so that a signer's name is one Python object and not 2,500 of them.
    encoded = column.combine_chunks().dictionary_encode()
    values = np.array([*encoded.dictionary.to_pylist(), None], dtype=object)[:-1]
    return values[encoded.indices.to_numpy()]


def _fixed_bytes(column: pa.ChunkedArray) -> np.ndarray:
    array = column.combine_chunks()
    width = array.type.byte_width
    data = np.frombuffer(array.buffers()[1], np.uint8).reshape(-1, width)
    return data[array.offset : array.offset + len(array)].copy()


def _read_splits(column: pa.ListArray) -> tuple[list[str], list[np.ndarray]]:
    encoded = column.flatten().dictionary_encode()
    owner = pc.list_parent_indices(column).to_numpy().astype(np.int64)
    code = encoded.indices.to_numpy()
    names = encoded.dictionary.to_pylist()
    return names, [owner[code == i] for i in range(len(names))]


def _check_same_kind(first: _Shard, other: _Shard) -> None:
    for field in ("layout", "num_joints", "units", "estimator", "classes"):
        ours, theirs = getattr(first.header, field), getattr(other.header, field)
        if ours != theirs:
            raise PoseStoreError(
                f"{other.file} is no shard of the same store as {first.file}: {field} is "
                f"{_short(theirs)} there and {_short(ours)} here. Poses of different kinds are not "
                "mixed; open the files apart, or extract them with the same settings"
            )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 160 else text[:157] + "..."


def _take(keypoint: np.ndarray, chosen: np.ndarray, axis: int) -> np.ndarray:
    """Rows or columns of (T, V, 2) int16; x and y are moved as one number of 32 bits."""
    pairs = keypoint.view(np.int32)[..., 0].take(chosen, axis=axis)
    return pairs[..., None].view(KEYPOINT_DTYPE)


def _check_selection(chosen: Sequence[int] | np.ndarray, count: int, what: str) -> np.ndarray:
    array = np.asarray(chosen)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise PoseStoreError(f"{what} must be a list of whole numbers, got {array.dtype} of shape {array.shape}")
    outside = (array < 0) | (array >= count)
    if outside.any():
        raise PoseStoreError(f"{what} has {int(array[outside][0])}, but there are only {count} (0 to {count - 1})")
    return array
