"""An audit of a pose store: what is wrong with its clips and its splits, before a training finds out.

Every finding has a kind. Errors are what makes a result worthless or a clip useless; warnings are what a person should
look at. A kind can be allowed, which makes a warning of an error: a data set whose official splits share signers is
still what it is.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np

from gspmc_mm.poses.audit_copies import Copy, find_copies
from gspmc_mm.poses.audit_measures import HANDS, Measures, measure_store
from gspmc_mm.poses.clip_list import ClipList
from gspmc_mm.poses.errors import PoseStoreError
from gspmc_mm.poses.store import PoseStore

ERROR, WARNING = "error", "warning"
LEDGERS = "ledger*.jsonl"  # what an extraction leaves beside its shards

#: Kind of finding: how bad it is, and what it is.
KINDS: Mapping[str, tuple[str, str]] = {
    "damaged-points": (ERROR, "the points are not those that were written; copy or make the file again"),
    "empty": (ERROR, "no point is seen in any frame"),
    "one-frame": (ERROR, "a single frame, which has no movement"),
    "frozen": (ERROR, "no point moves from the first frame to the last"),
    "shared-clips": (ERROR, "clips in two splits that should have none in common"),
    "shared-signers": (ERROR, "signers in two splits that should have none in common"),
    "shared-videos": (ERROR, "clips of one video in two splits that should have none in common"),
    "copy-across-splits": (ERROR, "the same recording in two splits"),
    "copy-of-another-sign": (ERROR, "the same recording with two labels"),
    "unlearnable-signs": (ERROR, "signs to be tested that no clip of the training split shows"),
    "no-hands": (WARNING, "no hand is seen in any frame"),
    "missing-hands": (WARNING, "hands are seen in less than a third of the frames"),
    "low-confidence": (WARNING, "the mean confidence of the points that are seen is below 0.35"),
    "jumps": (WARNING, "the body or a hand leaps, so a point was lost and found elsewhere"),
    "partly-frozen": (WARNING, "half of the clip or more stands still"),
    "outside": (WARNING, "a quarter of the points or more lies outside the picture"),
    "copy": (WARNING, "the same recording twice in one split"),
    "short": (WARNING, "fewer than 8 frames"),
    "long": (WARNING, "more than four times as long as the clips are on average"),
    "frame-rate": (WARNING, "another frame rate than most clips"),
    "picture-size": (WARNING, "a picture of another shape than that of most clips"),
    "unknown-frame-rate": (WARNING, "the frame rate is not known"),
    "unknown-signers": (WARNING, "the signers are not known, so nobody can say whether splits share them"),
    "signs-without-clips": (WARNING, "signs that no clip shows"),
    "few-clips": (WARNING, "signs with fewer than three clips in the training split"),
    "left-handed": (WARNING, "signers whose left hand does more than their right one"),
    "not-extracted": (WARNING, "videos that the extraction could not use"),
}

# Roles of the splits of one family (`gsp35_train`, `gsp35_test`, ...), training ones first.
_TRAIN, _HELD = ("train", "fit", "training"), ("val", "dev", "valid", "validation", "test")
_LOW_CONFIDENCE, _FEW_HANDS, _OUTSIDE = 0.35, 1 / 3, 0.25
_SHORT, _LONG, _FEW_CLIPS = 8, 4.0, 3
_LEFT_SHARE, _ENOUGH_CLIPS = 0.4, 3
_ALIKE = 0.1  # frame rates and shapes that differ by less than a tenth are alike
_COMMON = 0.05  # a frame rate or shape that this share of the clips has is no outlier


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        kind: one of `KINDS`.
        severity: 'error' or 'warning'.
        subject: the clip, split, sign or signer.
        message: what was found.
        clips: numbers of the clips that show it.
    """

    kind: str
    severity: str
    subject: str
    message: str
    clips: tuple[int, ...] = ()


@dataclass
class AuditReport:
    """Everything that an audit found.

    Attributes:
        store: what was audited.
        measures: of every clip.
        findings: errors first, by kind.
        splits: a row for each split (and for all clips, named ''): its numbers by column.
        copies: pairs of clips of one recording.
    """

    store: PoseStore
    measures: Measures
    findings: list[Finding] = field(default_factory=list)
    splits: dict[str, dict[str, float]] = field(default_factory=dict)
    copies: list[Copy] = field(default_factory=list)

    @property
    def errors(self) -> list[Finding]:
        """The findings that are errors."""
        return [finding for finding in self.findings if finding.severity == ERROR]

    @property
    def by_kind(self) -> dict[str, list[Finding]]:
        """Findings by kind, those with errors first, in the order of `KINDS`."""
        found: dict[str, list[Finding]] = {}
        for kind in sorted(KINDS, key=lambda kind: KINDS[kind][0] != ERROR):
            matches = [finding for finding in self.findings if finding.kind == kind]
            if matches:
                found[kind] = matches
        return found


def audit_store(
    store: PoseStore,
    *,
    clips: ClipList | None = None,
    allow: Collection[str] = (),
    on_clip: Callable[[], object] | None = None,
) -> AuditReport:
    """Audit a store.

    Args:
        store: the store.
        clips: the list it was extracted from; with it, clips of one video in two splits are found.
        allow: kinds whose errors are only warned of.
        on_clip: called after each clip that was measured.

    Raises:
        PoseStoreError: `allow` names a kind that there is not.
    """
    unknown = sorted(set(allow) - set(KINDS))
    if unknown:
        raise PoseStoreError(f"no kind of finding is called {unknown[0]!r}; they are {', '.join(KINDS)}")
    measures = measure_store(store, on_clip)
    report = AuditReport(store, measures, copies=find_copies(store, measures))
    raw = [
        *_clip_findings(store, measures),
        *_outliers(store),
        *_split_findings(store, clips),
        *_copy_findings(store, report.copies),
        *_label_findings(store),
        *_left_handed(store, measures),
        *_ledger_findings(store),
    ]
    for kind, subject, message, numbers in raw:
        severity = WARNING if kind in allow else KINDS[kind][0]
        report.findings.append(Finding(kind, severity, subject, message, tuple(int(n) for n in numbers)))
    report.findings.sort(key=lambda finding: (finding.severity != ERROR, list(KINDS).index(finding.kind)))
    for name in ("", *store.split_names):
        report.splits[name] = _summary(store, measures, store.indices(name or None))
    return report


def compared_splits(names: Collection[str]) -> list[tuple[str, str]]:
    """Pairs of splits that should have nothing in common: those of one family with different roles.

    `gsp35_train` and `gsp35_test` are compared, `gsp35_train` and `sota36_test` are not. Splits whose names have no
    known role are left alone.
    """
    families: dict[str, dict[str, str]] = {}
    for name in names:
        for separator in ("_", "/", "-"):
            family, found, role = name.rpartition(separator)
            if found and role.lower() in (*_TRAIN, *_HELD):
                families.setdefault(family, {})[role.lower()] = name
                break
        else:
            if name.lower() in (*_TRAIN, *_HELD):
                families.setdefault("", {})[name.lower()] = name
    order = (*_TRAIN, *_HELD)
    pairs = []
    for roles in families.values():
        ordered = sorted(roles, key=order.index)
        pairs += [(roles[a], roles[b]) for a, b in combinations(ordered, 2)]
    return pairs


_Raw = tuple[str, str, str, Collection[int]]


def _clip_findings(store: PoseStore, measures: Measures) -> Iterator[_Raw]:
    for index in range(len(store)):
        name, frames = str(store.clip_ids[index]), int(store.frames[index])
        here = (index,)
        if (measures.digests[index] != store.digests[index]).any():
            yield "damaged-points", name, f"{frames} frames, whose digest differs from that of the store", here
            continue  # what else could be said of it would be said of other points
        if measures.seen[index] == 0:
            yield "empty", name, f"{frames} frames", here
            continue
        if frames == 1:
            yield "one-frame", name, "1 frame", here
        elif measures.still[index] == frames - 1:
            yield "frozen", name, f"{frames} equal frames", here
        elif measures.still[index] + 1 >= max(frames / 2, _SHORT):
            yield "partly-frozen", name, f"{measures.still[index] + 1} of {frames} frames are equal", here
        if 1 < frames < _SHORT:
            yield "short", name, f"{frames} frames", here
        hands = measures.hands[index]
        if not np.isnan(hands).all():
            most = float(np.nanmax(hands))
            each = ", ".join(f"{part.split('_')[0]} {share:.0%}" for part, share in zip(HANDS, hands, strict=True))
            if most == 0:
                yield "no-hands", name, f"{frames} frames", here
            elif most < _FEW_HANDS:
                yield "missing-hands", name, f"seen: {each}", here
        if measures.confidence[index] < _LOW_CONFIDENCE:
            yield "low-confidence", name, f"mean {measures.confidence[index]:.2f}", here
        if measures.jumps[index] >= max(2, 0.05 * frames):
            yield "jumps", name, f"{measures.jumps[index]} leaps in {frames} frames", here
        if measures.outside[index] >= _OUTSIDE:
            yield "outside", name, f"{measures.outside[index]:.0%} of the points", here


def _outliers(store: PoseStore) -> Iterator[_Raw]:
    median = float(np.median(store.frames))
    for index in np.flatnonzero(store.frames > _LONG * median):
        yield "long", str(store.clip_ids[index]), f"{store.frames[index]} frames; the median is {median:g}", (index,)
    unknown = np.flatnonzero(store.fps == 0)
    if len(unknown):
        yield "unknown-frame-rate", f"{len(unknown)} clips", "speeds were measured as if at 25 per second", ()
    rates = np.round(store.fps, 1)
    yield from _odd_ones(store, rates, np.flatnonzero(store.fps > 0), "frame-rate", "frames per second")
    shapes = np.round(store.image_sizes[:, 0] / store.image_sizes[:, 1], 1)
    yield from _odd_ones(store, shapes, np.arange(len(store)), "picture-size", "times as wide as high")


def _odd_ones(store: PoseStore, values: np.ndarray, rows: np.ndarray, kind: str, unit: str) -> Iterator[_Raw]:
    """Clips with a value that hardly any other clip has; one finding for all values that are common but not usual."""
    counts = Counter(values[rows].tolist())
    if len(counts) < 2:
        return
    usual = counts.most_common(1)[0][0]
    odd = {value: n for value, n in counts.items() if abs(np.log(value / usual)) > _ALIKE}
    common = {value: n for value, n in odd.items() if n > _COMMON * len(rows)}
    if common:
        told = ", ".join(f"{n} clips {value:g}" for value, n in sorted(common.items()))
        yield kind, f"{sum(common.values())} clips", f"{told} {unit}; most have {usual:g}", ()
    for index in rows:
        if values[index] in odd and values[index] not in common:
            message = f"{values[index]:g} {unit}; most have {usual:g}"
            yield kind, str(store.clip_ids[index]), message, (index,)


def _split_findings(store: PoseStore, clips: ClipList | None) -> Iterator[_Raw]:
    video_of = {} if clips is None else {clip.clip_id: str(clips.path(clip)) for clip in clips.clips}
    unknown = np.flatnonzero(store.signers == "")
    if len(unknown):
        yield "unknown-signers", f"{len(unknown)} clips", "of which nobody knows who signs", ()
    for first, second in compared_splits(store.split_names):
        ours, theirs = (set(store.indices(name).tolist()) for name in (first, second))
        if ours <= theirs or theirs <= ours:
            continue  # a part of the training split that was kept for validation
        where = f"{first} and {second}"
        if ours & theirs:
            shared = sorted(ours & theirs)
            yield "shared-clips", where, f"{len(shared)}, such as {store.clip_ids[shared[0]]!r}", shared[:4]
        signers = [{str(store.signers[i]) for i in side} - {""} for side in (ours, theirs)]
        both = sorted(signers[0] & signers[1])
        if both:
            told = ", ".join(both[:5]) + (", ..." if len(both) > 5 else "")
            yield "shared-signers", where, f"{len(both)} of {len(signers[0] | signers[1])}: {told}", ()
        videos = [
            {video_of[name] for name in map(str, store.clip_ids[sorted(side)]) if name in video_of}
            for side in (ours, theirs)
        ]
        both = sorted(videos[0] & videos[1])
        if both and not ours & theirs:
            yield "shared-videos", where, f"{len(both)}, such as {Path(both[0]).name}", ()


def _copy_findings(store: PoseStore, copies: list[Copy]) -> Iterator[_Raw]:
    members = {name: set(store.indices(name).tolist()) for name in store.split_names}
    pairs = [
        (a, b)
        for a, b in compared_splits(store.split_names)
        if not (members[a] <= members[b] or members[b] <= members[a])
    ]
    for copy in copies:
        names = tuple(str(store.clip_ids[i]) for i in (copy.first, copy.second))
        how = (
            "equal in every point"
            if copy.identical
            else f"they differ by {copy.distance:.3f} of the width of the signer"
        )
        here = (copy.first, copy.second)
        labels = store.labels[list(here)]
        across = [
            f"{a} and {b}"
            for a, b in pairs
            if (copy.first in members[a] and copy.second in members[b])
            or (copy.first in members[b] and copy.second in members[a])
        ]
        if across:
            yield "copy-across-splits", f"{names[0]} = {names[1]}", f"in {'; in '.join(across)}; {how}", here
        if labels[0] != labels[1]:
            told = " and ".join(_gloss(store, int(label)) for label in labels)
            yield "copy-of-another-sign", f"{names[0]} = {names[1]}", f"{told}; {how}", here
        elif not across:
            yield "copy", f"{names[0]} = {names[1]}", how, here


def _label_findings(store: PoseStore) -> Iterator[_Raw]:
    count = len(store.header.classes or ()) or int(store.labels.max()) + 1
    shown = np.bincount(store.labels, minlength=count)
    without = np.flatnonzero(shown == 0)
    if len(without):
        yield "signs-without-clips", f"{len(without)} of {count} signs", _glosses(store, without), ()
    for first, second in compared_splits(store.split_names):
        if first.lower().split("_")[-1].split("/")[-1].split("-")[-1] not in _TRAIN:
            continue
        trained = np.bincount(store.labels[store.indices(first)], minlength=count)
        tested = np.bincount(store.labels[store.indices(second)], minlength=count)
        lacking = np.flatnonzero((trained == 0) & (tested > 0))
        if len(lacking):
            yield "unlearnable-signs", f"{first} and {second}", f"{len(lacking)}: {_glosses(store, lacking)}", ()
    for name in store.split_names:
        if name.lower() in _TRAIN or any(name.lower().endswith(f"{s}{role}") for s in "_/-" for role in _TRAIN):
            trained = np.bincount(store.labels[store.indices(name)], minlength=count)
            few = np.flatnonzero((trained > 0) & (trained < _FEW_CLIPS))
            if len(few):
                yield "few-clips", name, f"{len(few)}: {_glosses(store, few)}", ()


def _left_handed(store: PoseStore, measures: Measures) -> Iterator[_Raw]:
    for signer in sorted(set(store.signers.tolist()) - {""}):
        clips = np.flatnonzero(store.signers == signer)
        way = measures.path[clips].sum(axis=1)
        clips, way = clips[way > 0], way[way > 0]
        if len(clips) < _ENOUGH_CLIPS:
            continue
        share = float(np.median(measures.path[clips, 1] / way))
        if share < _LEFT_SHARE:
            message = f"the right hand makes {share:.0%} of the way of both (median of {len(clips)} clips)"
            yield "left-handed", signer, message, clips[:2]


def _ledger_findings(store: PoseStore) -> Iterator[_Raw]:
    """What the extraction wrote down beside the shards: clips that failed and are in no shard."""
    known = set(store.clip_ids.tolist())
    failed: dict[str, str] = {}
    for ledger in sorted(store.files[0].parent.glob(LEDGERS)):
        for line in ledger.read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:
                continue  # the last line of a run that was killed
            if isinstance(entry, dict) and entry.get("status") == "failed" and entry.get("clip_id") not in known:
                failed[str(entry.get("clip_id"))] = f"{entry.get('reason', '')}: {entry.get('message', '')}"
    for name, reason in failed.items():
        yield "not-extracted", name, reason, ()


def _summary(store: PoseStore, measures: Measures, rows: np.ndarray) -> dict[str, float]:
    frames = store.frames[rows]
    per_sign = list(Counter(store.labels[rows].tolist()).values())
    hands = measures.hands[rows]
    left, right = (float(np.mean(side)) if len(side) else np.nan for side in hands.T)
    return {
        "clips": len(rows),
        "signers": len(set(store.signers[rows].tolist()) - {""}),
        "signs": len(per_sign),
        "fewest": min(per_sign),
        "most": max(per_sign),
        "frames_min": int(frames.min()),
        "frames_median": float(np.median(frames)),
        "frames_max": int(frames.max()),
        "left_hand": left,
        "right_hand": right,
        "confidence": float(measures.confidence[rows].mean()),
    }


def _gloss(store: PoseStore, label: int) -> str:
    return repr(store.header.classes[label]) if store.header.classes else str(label)


def _glosses(store: PoseStore, labels: np.ndarray) -> str:
    return ", ".join(_gloss(store, int(label)) for label in labels[:8]) + (", ..." if len(labels) > 8 else "")
