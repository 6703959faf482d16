"""mmaction2's pickles of poses: read without running them, written, and turned into a store.

The form is the one of mmaction's `PoseDataset`: either a list of annotations or
`dict(split={name: [ids]}, annotations=[...])`, an annotation being a dict with `frame_dir` (or
`filename`), `label`, `total_frames`, `keypoint` (M, T, V, 2 or 3), `keypoint_score` (M, T, V) and
`img_shape` / `original_shape` (height, width), for M persons.
"""

from __future__ import annotations

import logging
import numbers
import os
import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from gspmc_mm.files import replacing
from gspmc_mm.poses.clip import PoseClip
from gspmc_mm.poses.errors import PoseStoreError
from gspmc_mm.poses.header import StoreHeader
from gspmc_mm.poses.store import PoseStore
from gspmc_mm.poses.writer import PoseStoreWriter

_log = logging.getLogger(__name__)


def read_mmaction_pickle(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a pickle of mmaction2 without letting it run code.

    Only numpy arrays, dtypes and scalars and Python's own containers can be made. The arrays are
    handed out as they are in the file, with any number of persons and two or three coordinates.

    Returns:
        `dict(annotations=list of dict, split=dict of name to list of ids, or None)`.

    Raises:
        FileNotFoundError: there is no such file.
        PoseStoreError: the pickle asks for anything else, is damaged, or an annotation is not as
            it has to be; the message names the file, and the annotation and its field.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such pickle")
    content = load_plain_pickle(path)
    if isinstance(content, Mapping):
        if "annotations" not in content:
            raise PoseStoreError(
                f"{path}: expected the keys 'split' and 'annotations', found {sorted(map(str, content))[:10]}"
            )
        annotations, split = content["annotations"], content.get("split")
    else:
        annotations, split = content, None
    if not isinstance(annotations, (list, tuple)) or not annotations:
        raise PoseStoreError(
            f"{path}: expected a list of annotations with at least one in it, found {type(annotations).__name__}"
        )
    for number, annotation in enumerate(annotations):
        _check_annotation(f"{path}: annotation {number}", annotation)
    annotations = [
        {
            key: value.view(np.ndarray) if isinstance(value, _PickledArray) else value
            for key, value in annotation.items()
        }
        for annotation in annotations
    ]
    if split is not None:
        split = _check_split(path, split, {_identifier(annotation) for annotation in annotations})
    return {"annotations": annotations, "split": split}


def write_mmaction_pickle(store: PoseStore, path: str | os.PathLike[str]) -> None:
    """Write all clips of a store as one pickle that mmaction's `PoseDataset` reads.

    Each annotation has one person, float32 pixels and, beside what mmaction asks for, `signer` and
    `fps`. A store without splits becomes a plain list, which is what `PoseDataset(split=None)`
    expects. Like every reader of such a pickle, this holds the whole set in memory.
    """
    path = Path(path)
    annotations = [_annotation(store.clip(index)) for index in range(len(store))]
    content: Any = annotations
    if store.split_names:
        split = {name: [str(clip_id) for clip_id in store.clip_ids[store.indices(name)]] for name in store.split_names}
        content = {"split": split, "annotations": annotations}
    with replacing(path) as temporary, open(temporary, "wb") as file:
        pickle.dump(content, file, protocol=4)


def import_mmaction_pickle(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    header: StoreHeader,
    *,
    fps: float = 0.0,
    third_is_score: bool = False,
    clip_scores: bool = False,
    overwrite: bool = False,
) -> PoseStore:
    """Turn a pickle of mmaction2 into a pose store.

    Where an annotation has several persons, the one with the highest sum of scores is taken: which
    one is logged clip by clip (INFO), and how many clips that concerns is added to the header's
    note. `signer` and `fps` are taken from the annotation if it has them.

    Args:
        path: the pickle.
        out: the `.arrow` file to write.
        header: header of the new store (its layout says what the points are).
        fps: frames per second of annotations that do not say, 0 = unknown.
        third_is_score: in annotations without `keypoint_score`, the third coordinate is the
            confidence. Never guessed: it may as well be a depth.
        clip_scores: set scores above 1 (the peak of a heat map can be) to 1 instead of refusing; how many clips had
            such scores is added to the header's note.
        overwrite: replace an existing `out`.

    Raises:
        PoseStoreError: the pickle or one of its clips is not as it has to be.
    """
    content = read_mmaction_pickle(path)
    splits: dict[str, list[str]] = {}
    for name, members in (content["split"] or {}).items():
        for member in members:
            splits.setdefault(member, []).append(name)

    crowded = clipped = 0
    persons = []
    for annotation in content["annotations"]:
        keypoint, score = _points(f"{path}: {_identifier(annotation)!r}", annotation, third_is_score)
        person = _main_person(score)
        if len(score) > 1:
            crowded += 1
            _log.info(
                "%s: person %d of %d taken (highest sum of scores, %.1f)",
                *(_identifier(annotation), person, len(score), float(score[person].sum())),
            )
        keypoint, score = keypoint[person], score[person]
        if score.max() > 1:
            if not clip_scores:
                raise PoseStoreError(
                    f"{path}: clip {_identifier(annotation)!r}: scores run from {score.min():g} to {score.max():g}; "
                    "expected [0, 1]. If they are peaks of heat maps, which can lie above 1, say clip_scores=True to "
                    "set those to 1"
                )
            clipped += 1
            score = np.minimum(score, 1)
        persons.append((keypoint, score))
    note = f"imported from {Path(path).name}"
    if crowded:
        note += (
            f"; {crowded} of {len(persons)} clips had several persons, of whom the one with the "
            "highest sum of scores was taken"
        )
    if clipped:
        note += f"; {clipped} of {len(persons)} clips had scores above 1, which were set to 1"
    header = header.model_copy(update={"note": "; ".join(filter(None, (header.note, note)))})

    with PoseStoreWriter(out, header, overwrite) as writer:
        for annotation, (keypoint, score) in zip(content["annotations"], persons, strict=True):
            clip_id = _identifier(annotation)
            height, width = _image_shape(annotation)
            writer.add(
                PoseClip(
                    clip_id=clip_id,
                    keypoint=keypoint,
                    score=score,
                    label=annotation["label"],
                    signer=str(annotation.get("signer", "")),
                    fps=float(annotation.get("fps", fps)),
                    image_size=(int(width), int(height)),
                    splits=tuple(splits.get(clip_id, ())),
                )
            )
    return PoseStore(out)


class _RestrictedUnpickler(pickle.Unpickler):
    """Makes numpy arrays, dtypes and scalars and builtin containers; refuses everything else."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        super().__init__(file)
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise PoseStoreError(
                f"{self._path}: the pickle asks for {module}.{name}, which poses do not need; it "
                "could run code, so it was not run and nothing of it was loaded. If you trust its "
                "source, save it again with plain lists, dicts and numpy arrays only"
            ) from None


class _Maker:
    """A function that a pickle may call.

    An object with slots and not the function itself, so that the pickle cannot set attributes
    (such as its defaults) on a function that the rest of the program uses.
    """

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        object.__setattr__(self, "_function", function)

    def __setattr__(self, name: str, value: object) -> None:
        raise pickle.UnpicklingError(f"a pickle may not set {name}")

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)


class _PickledDtype:
    """Stands for `numpy.dtype` while a pickle is read.

    The real one takes its inner flags from the pickle: with forged flags an array of objects takes
    plain bytes for pointers. Numbers and strings are all that poses need.
    """

    __slots__ = ("_code", "_order")

    def __init__(self, code: Any) -> None:
        if not isinstance(code, str) or not re.fullmatch(r"[biufcSU]\d{1,4}", code):
            raise pickle.UnpicklingError(f"an array of type {code!r}, which poses do not need")
        self._code = code
        self._order = "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        # (version, byte order, sub-array, names, fields, ...)
        if state[1] not in ("<", ">", "=", "|") or state[2:5] != (None, None, None):
            raise pickle.UnpicklingError("an array of a compound type, which poses do not need")
        self._order = state[1]

    def real(self) -> np.dtype:
        return np.dtype(self._code).newbyteorder(self._order)


class _PickledArray(np.ndarray):
    """An array while a pickle is read: takes its type from a `_PickledDtype` only."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        version, shape, dtype, fortran, data = state
        super().__setstate__((version, shape, _real(dtype), fortran, data))


def _real(dtype: Any) -> np.dtype:
    if not isinstance(dtype, _PickledDtype):
        raise pickle.UnpicklingError("an array without a type")
    return dtype.real()


def _make_dtype(code: Any, align: object = False, copy: object = False) -> _PickledDtype:
    return _PickledDtype(code)


def _make_array(*args: Any) -> np.ndarray:
    raise pickle.UnpicklingError("numpy.ndarray called directly, which no array asks for")


_ARRAY = _Maker(_make_array)


def _reconstruct(kind: Any, shape: tuple[int, ...], code: bytes) -> np.ndarray:
    if kind is not _ARRAY or shape != (0,):
        raise pickle.UnpicklingError("not the beginning of a numpy array")
    return np.ndarray.__new__(_PickledArray, shape, "b")


def _scalar(dtype: Any, data: bytes) -> np.generic:
    return np.frombuffer(data, _real(dtype), 1)[0]


def _from_buffer(data: Any, dtype: Any, shape: tuple[int, ...], order: str) -> np.ndarray:
    return np.frombuffer(data, _real(dtype)).reshape(shape, order=order)


def _encode(text: str, encoding: str) -> bytes:
    # How pickles of protocol 2 hold bytes.
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in {encoding}")
    return text.encode("latin1")


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _ARRAY,
    ("numpy", "dtype"): _Maker(_make_dtype),
    ("_codecs", "encode"): _Maker(_encode),
    **{
        (module, name): kind
        for module in ("builtins", "__builtin__")
        for name, kind in (("set", set), ("frozenset", frozenset), ("bytearray", bytearray))
    },
    # numpy 1 wrote numpy.core, numpy 2 writes numpy._core.
    **{
        (f"numpy.{core}.{module}", name): maker
        for core in ("core", "_core")
        for module, name, maker in (
            ("multiarray", "_reconstruct", _Maker(_reconstruct)),
            ("multiarray", "scalar", _Maker(_scalar)),
            ("numeric", "_frombuffer", _Maker(_from_buffer)),
        )
    },
}


def load_plain_pickle(path: Path) -> Any:
    """What a pickle holds, if that is numbers, strings, numpy arrays of them and Python's containers.

    Raises:
        PoseStoreError: it asks for anything else, or is damaged.
    """
    with open(path, "rb") as file:
        try:
            return _RestrictedUnpickler(file, path).load()
        except PoseStoreError:
            raise
        except Exception as error:  # a damaged pickle fails in any way
            raise PoseStoreError(
                f"{path}: this is no complete pickle of poses ({type(error).__name__}: {error}); copy or make it again"
            ) from error


def _identifier(annotation: Mapping[str, Any]) -> str:
    # In the order in which mmaction's PoseDataset looks for it.
    return annotation["filename"] if "filename" in annotation else annotation["frame_dir"]


def _image_shape(annotation: Mapping[str, Any]) -> tuple[int, int]:
    return annotation["img_shape" if "img_shape" in annotation else "original_shape"]


def _check_annotation(where: str, annotation: Any) -> None:
    if not isinstance(annotation, Mapping):
        raise PoseStoreError(f"{where}: expected a dict, found {type(annotation).__name__}")
    if not {"filename", "frame_dir"} & set(annotation):
        raise PoseStoreError(f"{where}: neither 'frame_dir' nor 'filename' is given")
    clip_id = _identifier(annotation)
    if not isinstance(clip_id, str) or not clip_id:
        raise PoseStoreError(f"{where}: its name is {clip_id!r}; expected a string")
    where = f"{where} ({clip_id!r})"
    for key in ("label", "total_frames", "keypoint"):
        if key not in annotation:
            raise PoseStoreError(f"{where}: {key!r} is missing")
    for key, lowest in (("label", 0), ("total_frames", 1)):
        value = annotation[key]
        if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < lowest:
            raise PoseStoreError(f"{where}: {key} is {value!r}; expected a whole number from {lowest}")
    _check_arrays(where, annotation)


def _check_arrays(where: str, annotation: Mapping[str, Any]) -> None:
    keypoint = annotation["keypoint"]
    if not _is_real_array(keypoint) or keypoint.ndim != 4 or keypoint.shape[3] not in (2, 3):
        raise PoseStoreError(
            f"{where}: keypoint is {_describe(keypoint)}; expected real numbers of the shape "
            "(persons, frames, points, 2 or 3)"
        )
    if 0 in keypoint.shape:
        raise PoseStoreError(f"{where}: keypoint is empty, of the shape {keypoint.shape}")
    if annotation["total_frames"] != keypoint.shape[1]:
        raise PoseStoreError(
            f"{where}: total_frames is {annotation['total_frames']}, but keypoint has {keypoint.shape[1]} frames"
        )
    score = annotation.get("keypoint_score")
    if score is not None and (not _is_real_array(score) or score.shape != keypoint.shape[:3]):
        raise PoseStoreError(
            f"{where}: keypoint_score is {_describe(score)}; expected real numbers of the shape {keypoint.shape[:3]}"
        )
    if keypoint.shape[3] == 2:
        if score is None:
            raise PoseStoreError(f"{where}: 'keypoint_score' is missing")
        if not {"img_shape", "original_shape"} & set(annotation):
            raise PoseStoreError(f"{where}: neither 'img_shape' nor 'original_shape' is given")
    for key in ("img_shape", "original_shape"):
        if key in annotation:
            shape = annotation[key]
            if (
                not isinstance(shape, (tuple, list, np.ndarray))
                or len(shape) != 2
                or not all(isinstance(n, numbers.Integral) and n > 0 for n in shape)
            ):
                raise PoseStoreError(f"{where}: {key} is {shape!r}; expected (height, width)")


def _check_split(path: Path, split: Any, known: set[str]) -> dict[str, list[str]]:
    if not isinstance(split, Mapping):
        raise PoseStoreError(f"{path}: 'split' is a {type(split).__name__}; expected a dict")
    checked = {}
    for name, members in split.items():
        if not isinstance(name, str) or not isinstance(members, (list, tuple, set, frozenset, np.ndarray)):
            raise PoseStoreError(f"{path}: split {name!r} is a {type(members).__name__}; expected a list of names")
        unknown = [m for m in members if not isinstance(m, str) or m not in known]
        if unknown:
            raise PoseStoreError(
                f"{path}: split {name!r} names {len(unknown)} clips that are not among the "
                f"annotations, such as {unknown[0]!r}"
            )
        checked[name] = [str(member) for member in members]
    return checked


def _points(where: str, annotation: Mapping[str, Any], third_is_score: bool) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (M, T, V, 2) and scores (M, T, V) of an annotation."""
    keypoint, score = annotation["keypoint"], annotation.get("keypoint_score")
    if keypoint.shape[3] == 3:
        if score is not None or not third_is_score:
            raise PoseStoreError(
                f"{where}: keypoint has three coordinates, and a pose store holds two, in pixels. "
                "Leave the third out, or say third_is_score if it is the confidence"
            )
        if not {"img_shape", "original_shape"} & set(annotation):
            raise PoseStoreError(f"{where}: neither 'img_shape' nor 'original_shape' is given")
        keypoint, score = keypoint[..., :2], keypoint[..., 2]
    return keypoint, score


def _main_person(score: np.ndarray) -> int:
    """The person with the highest sum of scores (M, T, V); the first of equals."""
    return int(np.argmax(score.astype(np.float64).sum(axis=(1, 2))))


def _annotation(clip: PoseClip) -> dict[str, Any]:
    width, height = clip.image_size
    return {
        "frame_dir": clip.clip_id,
        "label": clip.label,
        "img_shape": (height, width),
        "original_shape": (height, width),
        "total_frames": clip.num_frames,
        "keypoint": clip.keypoint[None],
        "keypoint_score": clip.score[None],
        "signer": clip.signer,
        "fps": clip.fps,
    }


def _is_real_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "fiu"


def _describe(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} of the shape {value.shape}"
    return f"a {type(value).__name__}"
