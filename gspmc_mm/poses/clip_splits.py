"""Splits of a clip list: adding them, and carving one part out of another so that no signer is in both."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace

from gspmc_mm.poses.clip_list import ClipList, ClipListError, VideoClip


def with_splits(clips: ClipList, added: dict[str, Sequence[str]]) -> ClipList:
    """The list with the clips of these ids in further splits (split name to ids)."""
    more: dict[str, list[str]] = {}
    for name, members in added.items():
        for clip_id in members:
            more.setdefault(clip_id, []).append(name)
    changed = tuple(
        replace(clip, splits=tuple(dict.fromkeys((*clip.splits, *more.get(clip.clip_id, ()))))) for clip in clips.clips
    )
    return replace(clips, clips=changed)


def carve_split(
    clips: ClipList,
    train: str = "train",
    test: str = "test",
    *,
    signers: Sequence[str] | None = None,
    fraction: float = 0.2,
    seed: int = 0,
    among: str | None = None,
    by: str = "signer",
) -> ClipList:
    """Part clips into two new splits that have no signer in common.

    The signers who are held out are named, or drawn: in an order that depends on the seed and on their names only (so a
    further signer does not change who comes first), each is taken who brings the held out clips nearer to `fraction`,
    at least one and never all.

    Args:
        clips: the list.
        train: name of the split for the clips that stay.
        test: name of the split for the clips that are held out.
        signers: who is held out; drawn if not given.
        fraction: wanted share of the clips that are held out.
        seed: of the draw.
        among: the split whose clips are parted; all clips by default.
        by: 'signer', or 'clip' for data of a single signer: takes of each sign are held out, and what is measured on
            them says nothing about other people.

    Returns:
        The list with the two splits added. `notes` names signs that only one of the two sides has.

    Raises:
        ClipListError: a signer is unknown, there is only one, a named one is not there, or all are named.
    """
    if by not in ("signer", "clip"):
        raise ClipListError(f"splits are carved by 'signer' or by 'clip', not by {by!r}")
    if not 0 < fraction < 1:
        raise ClipListError(f"the share that is held out is {fraction:g}; expected a number between 0 and 1")
    parted = clips.clips if among is None else clips.of_split(among)
    where = clips.name if among is None else f"{clips.name}, split {among!r}"
    if by == "clip":
        held = _takes_held_out(parted, fraction, seed)
    else:
        chosen = _signers_held_out(parted, where, signers, fraction, seed)
        held = {clip.clip_id for clip in parted if clip.signer in chosen}
    kept = [clip for clip in parted if clip.clip_id not in held]
    if not held or not kept:
        raise ClipListError(f"{where}: {len(parted)} clips cannot be parted in two; give more takes of each sign")
    result = with_splits(clips, {train: [clip.clip_id for clip in kept], test: sorted(held)})
    seen, tested = {clip.gloss for clip in kept}, {clip.gloss for clip in parted if clip.clip_id in held}
    notes = list(clips.notes)
    for glosses, lacking in ((tested - seen, train), (seen - tested, test)):
        if glosses:
            notes.append(
                f"no clip of {lacking!r} shows {', '.join(map(repr, sorted(glosses)[:5]))} ({len(glosses)} signs)"
            )
    return replace(result, notes=tuple(notes))


def _signers_held_out(
    clips: Sequence[VideoClip], where: str, signers: Sequence[str] | None, fraction: float, seed: int
) -> set[str]:
    counts: dict[str, int] = {}
    for clip in clips:
        counts[clip.signer] = counts.get(clip.signer, 0) + 1
    if "" in counts:
        raise ClipListError(
            f"{where}: the signer of {counts['']} clips is unknown, so that nobody can be held out; fill the column "
            "`signer`, name the videos <signer>_<n>, or part by clip"
        )
    if len(counts) < 2:
        raise ClipListError(f"{where}: only {len(counts)} signer; record another one, or part by clip")
    if signers is not None:
        unknown = sorted(set(signers) - set(counts))
        if unknown:
            raise ClipListError(
                f"{where}: no clip of signer {unknown[0]!r}; the signers are {', '.join(sorted(counts))}"
            )
        if set(signers) == set(counts):
            raise ClipListError(
                f"{where}: all {len(counts)} signers are held out ({', '.join(sorted(counts)[:5])}), so that nobody is "
                "left to learn from; name fewer"
            )
        return set(signers)
    wanted = fraction * len(clips)
    order = sorted(counts, key=_drawn(seed))
    chosen: list[str] = []
    total = 0
    for signer in order:
        if len(chosen) < len(order) - 1 and abs(total + counts[signer] - wanted) < abs(total - wanted):
            chosen.append(signer)
            total += counts[signer]
    # Nobody brought it nearer: the one with the fewest clips.
    return set(chosen) or {min(order, key=counts.__getitem__)}


def _takes_held_out(clips: Sequence[VideoClip], fraction: float, seed: int) -> set[str]:
    """Of each sign with several clips about the fraction, at least one and never all."""
    by_gloss: dict[str, list[str]] = {}
    for clip in clips:
        by_gloss.setdefault(clip.gloss, []).append(clip.clip_id)
    held: set[str] = set()
    for ids in by_gloss.values():
        if len(ids) > 1:
            held.update(sorted(ids, key=_drawn(seed))[: min(max(round(fraction * len(ids)), 1), len(ids) - 1)])
    return held


def _drawn(seed: int) -> Callable[[str], bytes]:
    """The key of a random order that is the same on every machine."""

    def key(name: str) -> bytes:
        return hashlib.sha256(f"{seed}:{name}".encode()).digest()

    return key
