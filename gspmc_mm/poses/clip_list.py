"""Which videos there are, what they show and who signs in them: the list that poses are extracted from.

A list is a CSV file, or a folder `videos/<gloss>/<signer>_<n>.mp4` that says the same by its names. The CSV has a
header; its columns in any order:

    video     path of the video, relative to the folder of the CSV, or absolute
    gloss     name of the sign
    label     number of the sign, from 0; without this column the sorted glosses are numbered
    clip_id   name of the clip, unique; without this column the path without its suffix
    signer    who signs; '' where unknown
    splits    names of the splits, separated by ';'
    start     first frame of the clip in its video, from 0 (for videos with several signs)
    end       one more than its last frame

Only `video` and `gloss` have to be there. Signs that no clip of the list shows have their names in a text file beside
it, `<name>.classes.txt`, one gloss per line in the order of the labels; it is written and read with the list.
"""

from __future__ import annotations

import csv
import io
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gspmc_mm.files import write_text

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".mts", ".flv", ".ogv", ".3gp"}
)
COLUMNS = ("clip_id", "video", "label", "gloss", "signer", "splits", "start", "end")
UNLABELLED = "unlabelled"
CLASSES_SUFFIX = ".classes.txt"

_SIGNER_AND_TAKE = re.compile(r"(.+)_\d+")


class ClipListError(ValueError):
    """A list of videos that contradicts itself or lacks something: names the file and the row."""


@dataclass(frozen=True)
class VideoClip:
    """One clip of a list.

    Attributes:
        clip_id: name of the clip, unique in its list.
        video: path of the video, relative to the root of the list or absolute.
        label: number of the sign, from 0.
        gloss: name of the sign.
        signer: who signs, '' if unknown.
        splits: names of the splits the clip belongs to.
        start: first frame of the clip in its video, from 0; None for the beginning.
        end: one more than its last frame; None for the end.
    """

    clip_id: str
    video: str
    label: int
    gloss: str
    signer: str
    splits: tuple[str, ...] = ()
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True)
class ClipList:
    """Clips and the signs that they show.

    Attributes:
        clips: the clips.
        classes: gloss by label; signs that no clip shows have a name too.
        root: folder that relative paths of videos start from, absolute.
        name: name of the list or folder it comes from.
        notes: what the reader could not know and took for given, in words.
        source: path that the list was read from, as it was given; '' if it was made otherwise.
    """

    clips: tuple[VideoClip, ...]
    classes: tuple[str, ...]
    root: Path
    name: str
    notes: tuple[str, ...] = ()
    source: str = field(default="", compare=False)

    def __len__(self) -> int:
        return len(self.clips)

    def path(self, clip: VideoClip) -> Path:
        """Where the video of a clip lies."""
        return self.root / clip.video

    def missing(self) -> tuple[VideoClip, ...]:
        """The clips whose video does not exist."""
        return tuple(clip for clip in self.clips if not self.path(clip).is_file())

    def of_split(self, split: str) -> tuple[VideoClip, ...]:
        """The clips of a split."""
        return tuple(clip for clip in self.clips if split in clip.splits)

    @property
    def split_names(self) -> tuple[str, ...]:
        """Names of the splits, in the order in which they first appear."""
        return tuple(dict.fromkeys(name for clip in self.clips for name in clip.splits))


def read_clip_list(path: str | os.PathLike[str]) -> ClipList:
    """Read a CSV, a folder of videos or the path of one video.

    A folder is `<gloss>/<signer>_<n>.<any video suffix>`, or holds videos without sub-folders; of these (and of a
    single video) the sign is unknown: they get label 0 and the gloss 'unlabelled', and `notes` says so.

    Raises:
        FileNotFoundError: there is no such path, or no video in the folder.
        ClipListError: the list contradicts itself; names the row, what it has and what was expected.
    """
    path = Path(path)
    if path.is_dir():
        clips = _read_folder(path)
    elif not path.is_file():
        raise FileNotFoundError(f"{path}: no such list of clips (a CSV), folder of videos, or video")
    elif path.suffix.lower() in VIDEO_SUFFIXES:
        clips = _unlabelled([path], path.parent, path.stem)
    else:
        clips = _read_csv(path)
    return replace(clips, source=str(path))


def write_clip_list(clips: ClipList, path: str | os.PathLike[str]) -> Path:
    """Write a list as CSV, whole or not at all.

    Videos below the folder of the CSV get relative paths, so that the folder can be moved; others absolute ones. Where
    a sign has no clip, the names of the signs are written beside it (`<name>.classes.txt`).

    Raises:
        ClipListError: the path does not end in `.csv`.
    """
    path = Path(path)
    if path.suffix.lower() != ".csv":
        raise ClipListError(f"{path}: a list of clips is written as .csv")
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(os.path.abspath(path.parent))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    cut = any(clip.start is not None or clip.end is not None for clip in clips.clips)
    columns = COLUMNS if cut else COLUMNS[:-2]
    writer.writerow(columns)
    for clip in clips.clips:
        video = Path(os.path.abspath(clips.path(clip)))
        shown = video.relative_to(folder).as_posix() if video.is_relative_to(folder) else str(video)
        values = {**vars(clip), "video": shown, "splits": ";".join(clip.splits)}
        writer.writerow(["" if values[column] is None else values[column] for column in columns])
    names = path.with_suffix(CLASSES_SUFFIX)
    if _classes_of(clips.clips) == clips.classes:
        names.unlink(missing_ok=True)  # of an earlier list of this name
    else:
        write_text(names, "\n".join(clips.classes) + "\n")
    write_text(path, text.getvalue())
    return path


def number_glosses(glosses: Iterable[str]) -> tuple[str, ...]:
    """Different glosses in the order of their labels: sorted by code point, whatever the language of the machine."""
    return tuple(sorted(set(glosses)))


def check_clips(clips: Sequence[VideoClip], classes: Sequence[str], where: str) -> None:
    """Refuse clips that contradict one another or the names of the signs.

    Raises:
        ClipListError: an id or a video comes twice, a label is not that of its gloss, a cut has no frames.
    """
    if not clips:
        raise ClipListError(f"{where}: there are no clips in it")
    ids: set[str] = set()
    cuts: dict[tuple[str, int | None, int | None], str] = {}
    for clip in clips:
        name = f"{where}: clip {clip.clip_id!r}"
        if clip.clip_id in ids:
            raise ClipListError(f"{name} comes twice; ids are unique")
        ids.add(clip.clip_id)
        if not 0 <= clip.label < len(classes):
            raise ClipListError(f"{name} has label {clip.label}, but there are {len(classes)} signs (from 0)")
        if classes[clip.label] != clip.gloss:
            raise ClipListError(
                f"{name} has label {clip.label} and gloss {clip.gloss!r}, but label {clip.label} is "
                f"{classes[clip.label]!r} elsewhere; a label has one gloss"
            )
        cut = (clip.video, clip.start, clip.end)
        if cut in cuts:
            raise ClipListError(f"{name} is the same video as clip {cuts[cut]!r}: {clip.video}; take one of them out")
        cuts[cut] = clip.clip_id
        first, last = clip.start or 0, clip.end
        if first < 0 or (last is not None and last <= first):
            raise ClipListError(f"{name} runs from frame {first} to {last}, which is no frame at all")
        if len(set(clip.splits)) != len(clip.splits):
            raise ClipListError(f"{name} names a split twice: {';'.join(clip.splits)}")


def _read_folder(folder: Path) -> ClipList:
    here = sorted(file for file in folder.iterdir() if _is_video(file))
    inside = sorted(file for sub in folder.iterdir() if sub.is_dir() for file in sub.iterdir() if _is_video(file))
    name = folder.resolve().name
    if here and inside:
        raise ClipListError(
            f"{folder}: some videos lie in it ({here[0].name}) and some in folders below ({inside[0].parent.name}); "
            "expected <gloss>/<signer>_<n>.mp4 for all of them"
        )
    if here:
        return _unlabelled(here, folder, name)
    if not inside:
        suffixes = " ".join(sorted(VIDEO_SUFFIXES))
        raise FileNotFoundError(f"{folder}: no videos as <gloss>/<signer>_<n>.mp4 in it (known suffixes: {suffixes})")
    # Some systems take the accents of file names apart; two spellings of one gloss are one gloss.
    glosses = [unicodedata.normalize("NFC", file.parent.name) for file in inside]
    classes = number_glosses(glosses)
    labels = {gloss: label for label, gloss in enumerate(classes)}
    clips = []
    for file, gloss in zip(inside, glosses, strict=True):
        named = _SIGNER_AND_TAKE.fullmatch(file.stem)
        signer = unicodedata.normalize("NFC", named.group(1)) if named else ""
        video = file.relative_to(folder)
        clips.append(VideoClip(video.with_suffix("").as_posix(), video.as_posix(), labels[gloss], gloss, signer))
    check_clips(clips, classes, str(folder))
    unnamed = [clip.video for clip in clips if not clip.signer]
    notes = ()
    if unnamed:
        notes = (
            f"the signer of {len(unnamed)} videos is unknown: {unnamed[0]} and the like are not named <signer>_<n>",
        )
    return ClipList(tuple(clips), classes, folder.resolve(), name, notes)


def _unlabelled(files: Sequence[Path], root: Path, name: str) -> ClipList:
    clips = tuple(VideoClip(file.stem, file.name, 0, UNLABELLED, "") for file in files)
    check_clips(clips, (UNLABELLED,), str(root))
    note = f"the signs of the {len(clips)} videos are unknown: all have label 0, {UNLABELLED!r}"
    return ClipList(clips, (UNLABELLED,), root.resolve(), name, (note,))


def _is_video(file: Path) -> bool:
    # Names with a dot in front are no videos but what systems keep beside them (._clip.mp4).
    return file.suffix.lower() in VIDEO_SUFFIXES and not file.name.startswith(".") and file.is_file()


def _read_csv(path: Path) -> ClipList:
    rows = _rows(path)
    numbered = [bool(row["label"]) for _, row in rows]
    if any(numbered) and not all(numbered):
        line = rows[numbered.index(False)][0]
        raise ClipListError(f"{path}, line {line}: no label, but other lines have one; give all or none")
    labels = {gloss: label for label, gloss in enumerate(number_glosses(row["gloss"] for _, row in rows))}
    clips = []
    for line, row in rows:
        where = f"{path}, line {line}"
        label = _whole(row["label"], f"{where}: label") if row["label"] else labels[row["gloss"]]
        clips.append(
            VideoClip(
                clip_id=row["clip_id"] or Path(row["video"]).with_suffix("").as_posix(),
                video=row["video"],
                label=label,
                gloss=row["gloss"],
                signer=row["signer"],
                splits=tuple(name.strip() for name in row["splits"].split(";") if name.strip()),
                start=_whole(row["start"], f"{where}: start") if row["start"] else None,
                end=_whole(row["end"], f"{where}: end") if row["end"] else None,
            )
        )
    names = path.with_suffix(CLASSES_SUFFIX)
    classes = tuple(read_text(names).splitlines()) if names.is_file() else _classes_of(clips)
    gaps = [label for label, gloss in enumerate(classes) if not gloss]
    if gaps:
        raise ClipListError(
            f"{path}: no clip has label {gaps[0]}, but labels run to {len(classes) - 1}. Labels count from 0; if the "
            f"sign has no video here, write the glosses of all labels into {names.name}, one a line"
        )
    check_clips(clips, classes, str(path))
    return ClipList(tuple(clips), classes, path.resolve().parent, path.stem, _notes_on_splits(clips))


def _notes_on_splits(clips: Sequence[VideoClip]) -> tuple[str, ...]:
    """A word on clips that were left out of the splits; a list without any split is not meant to have some."""
    left_out = [clip.clip_id for clip in clips if not clip.splits]
    if not left_out or len(left_out) == len(clips):
        return ()
    return (
        f"{len(left_out)} of {len(clips)} clips are in no split: {left_out[0]} and the like are neither for training "
        "nor for testing; fill `splits` for them, or leave the column out to have all clips parted",
    )


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Line number and values ('' where there is none) of each row."""
    reader = csv.reader(io.StringIO(read_text(path)))
    header = [name.strip().lower() for name in next(reader, [])]
    lacking = [name for name in ("video", "gloss") if name not in header]
    unknown = [name for name in header if name not in COLUMNS]
    if lacking or unknown or len(set(header)) != len(header):
        raise ClipListError(
            f"{path}: the first line is {','.join(header)[:200]!r}; expected the names of columns: video and gloss, "
            f"and of {', '.join(name for name in COLUMNS if name not in ('video', 'gloss'))} those that there are"
        )
    rows = []
    for values in reader:
        if not any(value.strip() for value in values):
            continue
        if len(values) != len(header):
            raise ClipListError(
                f"{path}, line {reader.line_num}: {len(values)} values; the first line names {len(header)} columns"
            )
        row = {**dict.fromkeys(COLUMNS, ""), **dict(zip(header, map(str.strip, values), strict=True))}
        for name in ("video", "gloss"):
            if not row[name]:
                raise ClipListError(f"{path}, line {reader.line_num}: no {name}")
        # Backslashes separate folders in lists from Windows and are in no name of a video.
        row["video"] = row["video"].replace("\\", "/")
        row["gloss"] = unicodedata.normalize("NFC", row["gloss"])
        rows.append((reader.line_num, row))
    return rows


def read_text(path: Path) -> str:
    """A text in UTF-8 (with or without a byte order mark) or, failing that, in GB 18030.

    Raises:
        ClipListError: it is in neither.
    """
    content = path.read_bytes()
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ClipListError(f"{path}: neither UTF-8 nor GB 18030; save it as UTF-8")


def _classes_of(clips: Sequence[VideoClip]) -> tuple[str, ...]:
    """Gloss by label as the clips say it, '' for labels that none has."""
    known = {clip.label: clip.gloss for clip in reversed(clips)}
    return tuple(known.get(label, "") for label in range(max(known, default=-1) + 1))


def _whole(text: str, what: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ClipListError(f"{what} is {text!r}; expected a whole number") from None
