"""Writing a pose store, clip by clip, so that a broken run leaves no half store behind."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa

from gspmc_mm.poses.clip import PoseClip, check_clip
from gspmc_mm.poses.errors import PoseStoreError
from gspmc_mm.poses.file_format import DIGEST_BYTES, SUFFIX, make_schema
from gspmc_mm.poses.header import StoreHeader
from gspmc_mm.poses.quantization import KEYPOINT_DTYPE, SCORE_DTYPE, quantize

# Small enough to be held in memory twice, large enough that 125,000 clips make some 230 batches.
BATCH_BYTES = 32 * 2**20


class PoseStoreWriter:
    """Writes one pose store file (or one shard of a store).

    A context manager. The clips go to `<path>.tmp` and the file takes its name when the block ends
    without an exception; otherwise nothing is left. Only a killed process leaves its `.tmp`, which
    readers do not look at and the next writer of the same path overwrites. Clips are on disk after
    each record batch of about 32 MB, so that memory does not grow with the store.

    Args:
        path: the file to write, ending in `.arrow`. Its folder is made if needed.
        header: what the store says about itself.
        overwrite: replace a file that exists.

    Raises:
        PoseStoreError: the file exists, a clip is not sound (see `check_clip`), an id comes twice,
            a point lies too far outside the image, or the block ends without any clip.
    """

    def __init__(self, path: str | os.PathLike[str], header: StoreHeader, overwrite: bool = False) -> None:
        self.path = Path(path)
        self.header = header
        if self.path.suffix != SUFFIX:
            raise PoseStoreError(f"{self.path}: the name of a pose store ends in {SUFFIX}")
        if self.path.exists() and not overwrite:
            raise PoseStoreError(f"{self.path} exists already; remove it, or ask for it to be overwritten")
        self._temporary = self.path.with_name(self.path.name + ".tmp")
        self._schema = make_schema(header.to_json())
        self._num_classes = None if header.classes is None else len(header.classes)
        self._ids: set[str] = set()
        self._pending: list[tuple[PoseClip, np.ndarray, np.ndarray]] = []
        self._pending_bytes = 0
        self._file: pa.NativeFile | None = None
        self._writer: pa.RecordBatchFileWriter | None = None

    def __len__(self) -> int:
        return len(self._ids)

    def __enter__(self) -> PoseStoreWriter:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = pa.OSFile(str(self._temporary), mode="wb")
        self._writer = pa.ipc.new_file(self._file, self._schema)
        return self

    def add(self, clip: PoseClip) -> None:
        """Add one clip.

        Raises:
            PoseStoreError: names the clip and what is wrong with it; the clip is not added.
        """
        if self._writer is None:
            raise PoseStoreError(f"{self.path}: clips are added inside a `with` block only")
        check_clip(clip, self.header.num_joints, self._num_classes)
        if clip.clip_id in self._ids:
            raise PoseStoreError(f"clip {clip.clip_id!r}: the store has a clip of this id already")
        try:
            keypoint, score = quantize(clip.keypoint, clip.score, clip.image_size)
        except ValueError as error:
            raise PoseStoreError(f"clip {clip.clip_id!r}: {error}") from error
        self._ids.add(clip.clip_id)
        self._pending.append((clip, keypoint, score))
        self._pending_bytes += keypoint.nbytes + score.nbytes
        if self._pending_bytes >= BATCH_BYTES:
            self._flush()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                if not self._ids:
                    raise PoseStoreError(f"{self.path}: no clip was added, so nothing was written")
                self._finish()
        finally:
            self._writer = None
            if self._file is not None and not self._file.closed:
                self._file.close()
            with contextlib.suppress(FileNotFoundError):  # it has got its final name by now
                self._temporary.unlink()

    def _finish(self) -> None:
        self._flush()
        self._writer.close()
        self._file.close()
        # Without this a power cut could leave the final name with an empty file behind it.
        with open(self._temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(self._temporary, self.path)

    def _flush(self) -> None:
        if self._pending:
            self._writer.write_batch(_record_batch(self._pending, self._schema))
            self._pending = []
            self._pending_bytes = 0


def clip_digest(keypoint: np.ndarray, score: np.ndarray) -> bytes:
    """BLAKE2b (16 bytes) over the stored key points, then the stored scores, of one clip."""
    digest = hashlib.blake2b(np.ascontiguousarray(keypoint), digest_size=DIGEST_BYTES)
    digest.update(np.ascontiguousarray(score))
    return digest.digest()


def _record_batch(clips: list[tuple[PoseClip, np.ndarray, np.ndarray]], schema: pa.Schema) -> pa.RecordBatch:
    columns: dict[str, object] = {
        "clip_id": [clip.clip_id for clip, _, _ in clips],
        "label": [int(clip.label) for clip, _, _ in clips],
        "signer": [clip.signer for clip, _, _ in clips],
        "frames": [clip.num_frames for clip, _, _ in clips],
        "fps": [float(clip.fps) for clip, _, _ in clips],
        "width": [int(clip.image_size[0]) for clip, _, _ in clips],
        "height": [int(clip.image_size[1]) for clip, _, _ in clips],
        "digest": [clip_digest(keypoint, score) for _, keypoint, score in clips],
        "splits": [list(clip.splits) for clip, _, _ in clips],
    }
    arrays = [pa.array(columns[name], schema.field(name).type) for name in columns]
    keypoints = _ragged([keypoint for _, keypoint, _ in clips], KEYPOINT_DTYPE)
    scores = _ragged([score for _, _, score in clips], SCORE_DTYPE)
    arrays.append(keypoints.cast(schema.field("keypoint").type))
    arrays.append(scores.cast(schema.field("score").type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _ragged(rows: list[np.ndarray], dtype: np.dtype) -> pa.LargeListArray:
    offsets = np.concatenate([[0], np.cumsum([row.size for row in rows])]).astype(np.int64)
    values = np.concatenate([row.reshape(-1) for row in rows]).astype(dtype, copy=False)
    return pa.LargeListArray.from_arrays(offsets, pa.array(values))
