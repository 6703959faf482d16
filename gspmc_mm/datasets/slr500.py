"""SLR-500 (Chinese Sign Language, 500 signs, 50 signers, 5 takes each): its videos as a clip list.

A video is named `P01_25_19_2._color.mp4` (with that point) or, in older copies, `P01_01_00_0_color.avi`: signer 1,
class (25 - 1) * 20 + 19 = 499, take 2. It lies in a folder of its class, `000499/` or `499/`, or in none. The word of a
class stands in `dictionary.txt` ("000000<TAB>word") or in lists `video_path,class_name`. `gloss_label.txt` has the same
words in ANOTHER order, which is not that of the classes; it is only used to check the words.

Splits in the literature: signers 1 to 35 train and 36 to 50 test (gsp35), or 36 and 14 (sota36). There is no validation
split; `<split>_fit` and `<split>_val` part the training signers, so that the test signers are seen by nobody before the
end.
"""

from __future__ import annotations

import csv
import io
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from gspmc_mm.datasets.data_set_report import DataSetError, DataSetReport
from gspmc_mm.poses.clip_list import VIDEO_SUFFIXES, ClipList, VideoClip, read_text
from gspmc_mm.poses.clip_splits import carve_split, with_splits

NUM_CLASSES, NUM_SIGNERS, NUM_TAKES = 500, 50, 5
CLIPS_OF_CLASS = NUM_SIGNERS * NUM_TAKES
#: Clips of a class in the copies that are handed out, where they are fewer than 250 (55 in all, signers 1 to 35).
KNOWN_GAPS = {468: 210, 469: 235}
#: Signers who train; the others test.
SPLITS = {"gsp35": range(1, 36), "sota36": range(1, 37)}
#: Clips of the splits without the known gaps.
SPLIT_SIZES = {"gsp35_train": 87_500, "gsp35_test": 37_500, "sota36_train": 90_000, "sota36_test": 35_000}

_NAME = re.compile(r"P(\d+)_(\d+)_(\d+)_(\d+)(?:\._|_|\.)?(color|depth)?", re.IGNORECASE)
_DICTIONARY_LINE = re.compile(r"(\d+)[\t ,]+(.+)")


def read_slr500(
    videos: str | os.PathLike[str],
    labels: str | os.PathLike[str] | None = None,
    *,
    val_fraction: float = 0.12,
    seed: int = 0,
) -> tuple[ClipList, DataSetReport]:
    """List the videos of SLR-500.

    Args:
        videos: the folder with the videos, in any of the known layouts, searched to the bottom.
        labels: the folder with `dictionary.txt` or the lists `*.csv` (video_path,class_name) and perhaps
            `gloss_label.txt`; without it they are looked for in `videos` and the folder above.
        val_fraction: share of the training clips of `<split>_val` (whole signers; 4 of 35 by default).
        seed: of the choice of the validation signers.

    Returns:
        The clips that nothing contradicts, with the splits `gsp35_train`, `gsp35_test`, `gsp35_fit`, `gsp35_val` and
        the same of `sota36`; and what was found.

    Raises:
        FileNotFoundError: a folder is not there or has no such videos.
        DataSetError: a file of labels cannot be understood.
    """
    videos = Path(videos)
    if not videos.is_dir():
        raise FileNotFoundError(f"{videos}: there is no such folder of videos")
    report = DataSetReport("SLR-500")
    classes, listed = _read_labels(_label_folder(videos, labels), report)
    clips = _list_videos(videos, classes, report)
    if not clips:
        raise FileNotFoundError(
            f"{videos}: no video of SLR-500 in it or below, such as 000499/P01_25_19_2._color.mp4"
            + (f" ({report.faults[0].subject}: {report.faults[0].message})" if report.faults else "")
        )
    if listed:
        _compare_with_lists(clips, listed, report)
    clip_list = ClipList(tuple(clips), classes, videos.resolve(), "SLR-500")
    added: dict[str, list[str]] = {}
    for name, train in SPLITS.items():
        for clip in clips:
            side = "train" if int(clip.signer[1:]) in train else "test"
            added.setdefault(f"{name}_{side}", []).append(clip.clip_id)
    clip_list = with_splits(clip_list, added)
    if len(clip_list_signers(clip_list, "gsp35_train")) > 1:
        # Drawn from signers 1 to 35 for both, so that no validation signer of one is a test signer of the other.
        drawn = carve_split(clip_list, "fit", "val", fraction=val_fraction, seed=seed, among="gsp35_train")
        held = clip_list_signers(drawn, "val")
        for name in SPLITS:
            clip_list = carve_split(clip_list, f"{name}_fit", f"{name}_val", signers=held, among=f"{name}_train")
    else:
        report.differ("no validation split", "gsp35_train", "fewer than two training signers cannot be parted")
    _count(clip_list, report)
    return clip_list, report


def clip_list_signers(clips: ClipList, split: str) -> tuple[str, ...]:
    """The signers of a split, sorted."""
    return tuple(sorted({clip.signer for clip in clips.of_split(split)}))


def parse_name(stem: str) -> tuple[int, int, int, str] | None:
    """What the name of a video without its suffix says: signer, class, take and stream; None for other names.

    The stream is 'color', 'depth' or ''.

    Raises:
        DataSetError: it is named like a video of SLR-500, but there is no such signer, class or take.
    """
    match = _NAME.fullmatch(stem)
    if match is None:
        return None
    signer, major, minor, take = (int(match[i]) for i in range(1, 5))
    if not 1 <= signer <= NUM_SIGNERS:
        raise DataSetError(f"signer {signer}; expected 1 to {NUM_SIGNERS} (the splits count from 1)")
    if not (1 <= major <= 25 and 0 <= minor < 20):
        raise DataSetError(f"class {major}_{minor:02d}; expected 1_00 to 25_19")
    if not 0 <= take < NUM_TAKES:
        raise DataSetError(f"take {take}; expected 0 to {NUM_TAKES - 1}")
    return signer, (major - 1) * 20 + minor, take, (match[5] or "").lower()


def _list_videos(videos: Path, classes: Sequence[str], report: DataSetReport) -> list[VideoClip]:
    clips: dict[str, VideoClip] = {}
    depth = 0
    for path in sorted(videos.rglob("*")):
        if path.suffix.lower() not in VIDEO_SUFFIXES or path.name.startswith("."):
            continue
        shown = path.relative_to(videos).as_posix()
        try:
            named = parse_name(path.stem)
        except DataSetError as error:
            report.contradict("impossible name", shown, str(error))
            continue
        if named is None:
            report.differ("other video", shown, "not named like P01_25_19_2._color.mp4; left out")
            continue
        signer, label, take, stream = named
        if stream == "depth":
            depth += 1
            continue
        folder = path.parent.name
        if re.fullmatch(r"\d{3}|\d{6}", folder) and path.parent != videos and int(folder) != label:
            report.contradict("name against folder", shown, f"the name says class {label}, the folder {int(folder)}")
            continue
        clip_id = f"P{signer:02d}_{label // 20 + 1:02d}_{label % 20:02d}_{take}"
        if clip_id in clips:
            report.contradict("clip twice", shown, f"{clips[clip_id].video} is the same clip; the first counts")
            continue
        if path.stat().st_size == 0:
            report.differ("empty file", shown, "0 bytes")
        clips[clip_id] = VideoClip(clip_id, shown, label, classes[label], f"P{signer:02d}")
    if depth:
        report.notes.append(f"{depth:,} depth videos are not listed")
    return list(clips.values())


def _label_folder(videos: Path, labels: str | os.PathLike[str] | None) -> list[Path]:
    """The files of labels that there are."""
    if labels is not None:
        folder = Path(labels)
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder}: there is no such folder of labels")
        return sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".txt", ".csv"))
    return sorted(
        path
        for folder in (videos, videos.resolve().parent)
        for name in ("*.txt", "*.csv")
        for path in folder.glob(name)
    )


def _read_labels(files: Sequence[Path], report: DataSetReport) -> tuple[tuple[str, ...], dict[str, tuple[str, str]]]:
    """Word by class; and the listed clips: id to (name of the list, word)."""
    words: dict[int, str] = {}
    source = ""
    listed: dict[str, tuple[str, str]] = {}
    for path in files:
        if path.name.lower() == "dictionary.txt":
            words, source = _read_dictionary(path), str(path)
    for path in files:
        if path.suffix.lower() == ".csv":
            for clip_id, label, word in _read_list(path, report):
                if clip_id in listed:
                    report.contradict("listed twice", clip_id, f"in {listed[clip_id][0]} and in {path.name}")
                listed.setdefault(clip_id, (path.name, word))
                if words.setdefault(label, word) != word:
                    report.contradict(
                        "word of a class", f"{path.name}: {clip_id}", f"{word!r}; class {label} is {words[label]!r}"
                    )
                source = source or str(path)
    gloss_list = next((path for path in files if path.name.lower() == "gloss_label.txt"), None)
    if not words:
        hint = f"; {gloss_list} has the words, but not in the order of the classes" if gloss_list else ""
        report.differ("no words", "dictionary.txt", f"not found, so the signs have their numbers for names{hint}")
        return tuple(f"{label:03d}" for label in range(NUM_CLASSES)), listed
    lacking = sorted(set(range(NUM_CLASSES)) - set(words))
    surplus = sorted(set(words) - set(range(NUM_CLASSES)))
    if lacking or surplus:
        raise DataSetError(
            f"{source}: {len(words)} classes; expected 0 to {NUM_CLASSES - 1} "
            f"({'without ' + str(lacking[0]) if lacking else 'with ' + str(surplus[0])})"
        )
    repeated = [word for word, number in Counter(words.values()).items() if number > 1]
    for word in repeated:
        labels = [label for label in sorted(words) if words[label] == word]
        report.differ("word twice", word, f"of classes {', '.join(map(str, labels))}; their numbers are added")
        for label in labels:
            words[label] = f"{word} ({label})"
    if gloss_list is not None:
        _compare_words(gloss_list, {words[label] for label in words}, report)
    return tuple(words[label] for label in range(NUM_CLASSES)), listed


def _read_dictionary(path: Path) -> dict[int, str]:
    words: dict[int, str] = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        match = _DICTIONARY_LINE.fullmatch(line.strip())
        if match is None:
            raise DataSetError(f"{path}, line {number}: {line[:60]!r}; expected '000000<TAB>word'")
        label = int(match[1])
        if label in words:
            raise DataSetError(f"{path}, line {number}: class {label} comes a second time")
        words[label] = _word(match[2])
    return words


def _read_list(path: Path, report: DataSetReport) -> list[tuple[str, int, str]]:
    """Clip id, class and word of each line of a list; nothing for a CSV of another kind."""
    rows = csv.DictReader(io.StringIO(read_text(path)))
    if not {"video_path", "class_name"} <= set(rows.fieldnames or ()):
        return []
    found = []
    # Lists of the two sides of gsp35 are recognised by their names.
    side = next((side for side in ("train", "test") if side in path.stem.lower()), None)
    for row in rows:
        video = row["video_path"].replace("\\", "/")
        where = f"{path.name}, line {rows.line_num}"
        try:
            named = parse_name(Path(video).stem)
        except DataSetError as error:
            report.contradict("impossible name", where, str(error))
            continue
        if named is None:
            report.contradict("impossible name", where, f"{video!r} is not named like P01_25_19_2._color.mp4")
            continue
        signer, label, take, _ = named
        folder = Path(video).parent.name
        if folder.isdigit() and int(folder) != label:
            report.contradict("name against folder", where, f"{video}: the name says class {label}")
            continue
        if side is not None and (signer in SPLITS["gsp35"]) != (side == "train"):
            report.contradict("signer on the wrong side", where, f"signer {signer} in a list for {side} (gsp35)")
        found.append((f"P{signer:02d}_{label // 20 + 1:02d}_{label % 20:02d}_{take}", label, _word(row["class_name"])))
    return found


def _compare_words(path: Path, words: set[str], report: DataSetReport) -> None:
    others = [_word(line) for line in read_text(path).splitlines() if line.strip()]
    for word in sorted(set(others) ^ words):
        where = "only there" if word in others else "not there"
        report.differ("words of gloss_label.txt", word, f"{where}: {path}")
    report.notes.append(f"the order of {path.name} is not that of the classes and was not used")


def _compare_with_lists(clips: list[VideoClip], listed: dict[str, tuple[str, str]], report: DataSetReport) -> None:
    there = {clip.clip_id for clip in clips}
    for clip_id, (name, _) in listed.items():
        if clip_id not in there:
            report.differ("listed, no video", clip_id, f"in {name}")
    for clip in clips:
        if clip.clip_id not in listed:
            report.differ("video, not listed", clip.video, "in none of the lists")


def _count(clips: ClipList, report: DataSetReport) -> None:
    by_class = Counter(clip.label for clip in clips.clips)
    report.counts["clips"] = (len(clips), NUM_CLASSES * CLIPS_OF_CLASS)
    report.counts["signs"] = (len(by_class), NUM_CLASSES)
    report.counts["signers"] = (len({clip.signer for clip in clips.clips}), NUM_SIGNERS)
    for name, known in SPLIT_SIZES.items():
        report.counts[name] = (len(clips.of_split(name)), known)
    for label in range(NUM_CLASSES):
        found = by_class.get(label, 0)
        if found != CLIPS_OF_CLASS:
            known = KNOWN_GAPS.get(label)
            kind = "known gap" if found == known else "clips of a class"
            report.differ(kind, f"class {label} ({clips.classes[label]})", f"{found} of {CLIPS_OF_CLASS} clips")
    for name in SPLITS:
        held = clip_list_signers(clips, f"{name}_val")
        if held:
            report.notes.append(
                f"{name}_val: {', '.join(held)} ({len(clips.of_split(f'{name}_val')):,} clips); "
                f"{name}_fit: the other training signers ({len(clips.of_split(f'{name}_fit')):,})"
            )


def _word(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()
