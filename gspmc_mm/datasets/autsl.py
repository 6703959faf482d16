"""AUTSL (Turkish Sign Language, 226 signs, 43 signers): its videos and label files as a clip list.

Videos are `{train,val,test}/signerX_sampleY_color.mp4` (512 x 512, 30 frames per second; `_depth` beside them), labels
`{train,validation,test}_labels.csv` without a header (`signer0_sample1,41`), the signs
`SignList_ClassId_TR_EN.csv` (`ClassId,TR,EN`; two Turkish signs are "you" in English). The splits are the official
ones, 31, 6 and 6 signers.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from gspmc_mm.datasets.data_set_report import DataSetError, DataSetReport
from gspmc_mm.poses.clip_list import VIDEO_SUFFIXES, ClipList, VideoClip, read_text

NUM_CLASSES = 226
#: Clips and signers of the official splits.
SPLITS: Mapping[str, tuple[int, int]] = {"train": (28_142, 31), "val": (4_418, 6), "test": (3_742, 6)}
SIGN_LIST = "SignList_ClassId_TR_EN.csv"

_CLIP = re.compile(r"(signer\d+)_sample\d+")
_VIDEO = re.compile(r"(signer\d+_sample\d+)(?:_(color|depth))?", re.IGNORECASE)
_SPLIT_NAMES = {"train": "train", "val": "val", "validation": "val", "test": "test"}


def read_autsl(
    videos: str | os.PathLike[str],
    labels: str | os.PathLike[str] | None = None,
    *,
    language: str = "tr",
) -> tuple[ClipList, DataSetReport]:
    """List the videos of AUTSL.

    Args:
        videos: the folder with the videos, in folders of their splits or in one, searched to the bottom.
        labels: the folder with the label files and the list of signs; by default `videos`.
        language: of the glosses, 'tr' or 'en' (signs that are one word in English get the Turkish one beside it).

    Returns:
        The labelled clips that are there and that nothing contradicts, in the splits `train`, `val` and `test`; and
        what was found.

    Raises:
        FileNotFoundError: a folder, the list of signs or every label file is missing.
        DataSetError: the list of signs cannot be understood.
    """
    videos = Path(videos)
    if not videos.is_dir():
        raise FileNotFoundError(f"{videos}: there is no such folder of videos")
    folder = videos if labels is None else Path(labels)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: there is no such folder of labels")
    report = DataSetReport("AUTSL")
    classes = _read_signs(_only(folder, SIGN_LIST), language)
    rows = _read_labels(folder, report)
    found = _find_videos(videos, report)
    clips = []
    for clip_id, (split, label) in rows.items():
        if clip_id not in found:
            report.differ("label, no video", clip_id, f"in the labels of {split}")
            continue
        path, side = found[clip_id]
        if side is not None and side != split:
            report.contradict("label against folder", path, f"the labels put it into {split}, the folder into {side}")
            continue
        signer = clip_id.partition("_")[0]
        clips.append(VideoClip(clip_id, path, label, classes[label], signer, (split,)))
    for clip_id, (path, side) in found.items():
        if clip_id not in rows:
            report.differ("video, no label", path, f"{clip_id} is in no label file" + (f" ({side})" if side else ""))
    if not clips:
        raise FileNotFoundError(
            f"{videos}: none of the {len(rows):,} labelled videos is in it or below, such as "
            f"train/{next(iter(rows))}_color.mp4"
        )
    clip_list = ClipList(tuple(clips), classes, videos.resolve(), "AUTSL")
    _count(clip_list, rows, report)
    return clip_list, report


def _read_signs(path: Path, language: str) -> tuple[str, ...]:
    if language not in ("tr", "en"):
        raise DataSetError(f"language {language!r}: the signs have names in 'tr' and 'en'")
    rows = list(csv.DictReader(io.StringIO(read_text(path))))
    if not rows or not {"ClassId", "TR", "EN"} <= set(rows[0]):
        raise DataSetError(f"{path}: the first line has to name the columns ClassId, TR and EN")
    words: dict[int, tuple[str, str]] = {}
    for line, row in enumerate(rows, start=2):
        number = (row["ClassId"] or "").strip()
        if not number.isdigit() or int(number) in words:
            raise DataSetError(f"{path}, line {line}: ClassId is {number!r}; expected each number once")
        words[int(number)] = ((row["TR"] or "").strip(), (row["EN"] or "").strip())
    if set(words) != set(range(NUM_CLASSES)):
        lacking = sorted(set(range(NUM_CLASSES)) - set(words))
        raise DataSetError(
            f"{path}: {len(words)} signs; expected ClassId 0 to {NUM_CLASSES - 1}"
            + (f" ({lacking[0]} is missing)" if lacking else "")
        )
    times = Counter(english for _, english in words.values())
    glosses = []
    for label in range(NUM_CLASSES):
        turkish, english = words[label]
        if language == "tr":
            glosses.append(turkish)
        else:
            glosses.append(english if times[english] == 1 else f"{english} ({turkish})")
    if len(set(glosses)) != NUM_CLASSES or not all(glosses):
        raise DataSetError(f"{path}: two signs have one name, or one has none")
    return tuple(glosses)


def _read_labels(folder: Path, report: DataSetReport) -> dict[str, tuple[str, int]]:
    """Clip id to split and label, of all rows that nothing contradicts."""
    rows: dict[str, tuple[str, int]] = {}
    dropped: set[str] = set()
    files = 0
    for split, path in _label_files(folder, report).items():
        files += 1
        for line, values in enumerate(csv.reader(io.StringIO(read_text(path))), start=1):
            if not values:
                continue
            where = f"{path.name}, line {line}"
            clip_id = values[0].strip().removesuffix("_color")
            number = values[1].strip() if len(values) == 2 else ""
            if not _CLIP.fullmatch(clip_id) or not number.isdigit():
                report.contradict("unreadable row", where, f"{','.join(values)[:60]!r}; expected 'signer0_sample1,41'")
            elif int(number) >= NUM_CLASSES:
                report.contradict(
                    "no such class", where, f"{clip_id} has label {number}; expected 0 to {NUM_CLASSES - 1}"
                )
            elif clip_id in rows or clip_id in dropped:
                before = rows.pop(clip_id, None)
                dropped.add(clip_id)
                told = "more than once" if before is None else f"as class {before[1]} of {before[0]}"
                report.contradict("labelled twice", where, f"{clip_id} is class {number} here and was labelled {told}")
            else:
                rows[clip_id] = (split, int(number))
    if not files:
        raise FileNotFoundError(
            f"{folder}: no label files in it or below (train_labels.csv, validation_labels.csv, ...)"
        )
    return rows


def _label_files(folder: Path, report: DataSetReport) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*_labels.csv")):
        split = _SPLIT_NAMES.get(path.name.lower().removesuffix("_labels.csv"))
        if split is None:
            report.differ("other label file", path.name, "of no split that is known; left out")
        elif split in found:
            raise DataSetError(f"two label files for {split}: {found[split]} and {path}; keep one of them")
        else:
            found[split] = path
    for split in SPLITS:
        if split not in found:
            report.differ("no label file", split, f"no {split}_labels.csv; its clips are left out")
    return found


def _find_videos(videos: Path, report: DataSetReport) -> dict[str, tuple[str, str | None]]:
    """Clip id to path below the folder and the split of the folder it lies in, None if that is named otherwise."""
    found: dict[str, tuple[str, str | None]] = {}
    depth = 0
    for path in sorted(videos.rglob("*")):
        if path.suffix.lower() not in VIDEO_SUFFIXES or path.name.startswith("."):
            continue
        shown = path.relative_to(videos)
        match = _VIDEO.fullmatch(path.stem)
        if match is None:
            report.differ("other video", shown.as_posix(), "not named like signer0_sample1_color.mp4; left out")
            continue
        if (match[2] or "").lower() == "depth":
            depth += 1
            continue
        clip_id = match[1].lower()
        sides = [_SPLIT_NAMES[part.lower()] for part in shown.parts[:-1] if part.lower() in _SPLIT_NAMES]
        if clip_id in found:
            report.contradict("clip twice", shown.as_posix(), f"{found[clip_id][0]} is the same clip; the first counts")
            continue
        if path.stat().st_size == 0:
            report.differ("empty file", shown.as_posix(), "0 bytes")
        found[clip_id] = (shown.as_posix(), sides[-1] if sides else None)
    if depth:
        report.notes.append(f"{depth:,} depth videos are not listed")
    return found


def _count(clips: ClipList, rows: Mapping[str, tuple[str, int]], report: DataSetReport) -> None:
    home: dict[str, str] = {}
    for split, (known_clips, known_signers) in SPLITS.items():
        signers = sorted({clip_id.partition("_")[0] for clip_id, (name, _) in rows.items() if name == split})
        report.counts[f"labels of {split}"] = (sum(name == split for name, _ in rows.values()), known_clips)
        report.counts[f"clips of {split}"] = (len(clips.of_split(split)), known_clips)
        report.counts[f"signers of {split}"] = (len(signers), known_signers)
        for signer in signers:
            if signer in home:
                report.contradict("signer in two splits", signer, f"in {home[signer]} and in {split}")
            home.setdefault(signer, split)
    report.counts["signs"] = (len({clip.label for clip in clips.clips}), NUM_CLASSES)


def _only(folder: Path, name: str) -> Path:
    found: Sequence[Path] = sorted(folder.rglob(name))
    if not found:
        raise FileNotFoundError(f"{folder}: no {name} in it or below")
    if len(found) > 1:
        raise DataSetError(f"{name} is there twice: {found[0]} and {found[1]}; keep one of them")
    return found[0]
