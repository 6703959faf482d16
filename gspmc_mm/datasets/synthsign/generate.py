"""Makes the synthsign data set, a pose store and its description set. SYNTHETIC signs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gspmc_mm.datasets.synthsign.lexicon import NOTE, get_signs
from gspmc_mm.datasets.synthsign.observation import perform
from gspmc_mm.datasets.synthsign.profile import SignerProfile, draw_signer
from gspmc_mm.datasets.synthsign.texts import describe_all
from gspmc_mm.descriptions import save_descriptions
from gspmc_mm.poses import PoseClip, PoseStoreWriter, StoreHeader

GENERATOR_VERSION = "1"
STORE_NAME = "poses.arrow"
DESCRIPTIONS_NAME = "descriptions.json"


@dataclass(frozen=True)
class SynthSignSpec:
    """What to make.

    Attributes:
        signs: the first so many signs of the lexicon.
        signers: number of signers; the splits divide them.
        takes: times each signer performs each sign.
        seed: of everything. A clip depends on seed, sign, signer and take, not on the other counts.
        noise: factor on jitter, losses and the variation between takes.
    """

    signs: int = 40
    signers: int = 12
    takes: int = 4
    seed: int = 0
    noise: float = 1.0

    def __post_init__(self) -> None:
        get_signs(self.signs)
        if self.signers < 3:
            raise ValueError(f"three splits need at least 3 signers, got {self.signers}")
        if self.takes < 1:
            raise ValueError(f"takes must be at least 1, got {self.takes}")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, got {self.seed}")
        if not 0.0 <= self.noise <= 5.0:
            raise ValueError(f"noise must lie in 0..5, got {self.noise}")

    @property
    def clips(self) -> int:
        """Number of clips."""
        return self.signs * self.signers * self.takes


def signer_splits(signers: int) -> dict[str, tuple[int, ...]]:
    """Signers of each split: about a sixth each for val and test, the rest train; disjoint."""
    if signers < 3:
        raise ValueError(f"three splits need at least 3 signers, got {signers}")
    held_out = max(1, round(signers / 6))
    first = signers - 2 * held_out
    return {
        "train": tuple(range(first)),
        "val": tuple(range(first, first + held_out)),
        "test": tuple(range(first + held_out, signers)),
    }


def make_clip(
    spec: SynthSignSpec, label: int, signer: int, take: int, profile: SignerProfile | None = None
) -> PoseClip:
    """One clip; it depends on seed, noise, sign, signer and take only.

    Args:
        spec: seed and noise are used; the counts are used for the split only.
        label: number of the sign.
        signer: number of the signer.
        take: number of the take.
        profile: the signer ``draw_signer(spec.seed, signer)``, if it has been drawn already.
    """
    profile = profile or draw_signer(spec.seed, signer)
    rng = np.random.default_rng([spec.seed, label, signer, take])
    performance = perform(get_signs(spec.signs)[label], profile, rng, spec.noise)
    split = next(name for name, who in signer_splits(spec.signers).items() if signer in who)
    return PoseClip(
        clip_id=f"synth_sign{label:03d}_signer{signer:03d}_take{take:02d}",
        keypoint=performance.keypoint,
        score=performance.score,
        label=label,
        signer=f"synthetic{signer:03d}",
        fps=performance.fps,
        image_size=performance.image_size,
        splits=(split,),
    )


def make_clips(spec: SynthSignSpec) -> Iterator[PoseClip]:
    """All clips, signer by signer."""
    for signer in range(spec.signers):
        profile = draw_signer(spec.seed, signer)
        for label in range(spec.signs):
            for take in range(spec.takes):
                yield make_clip(spec, label, signer, take, profile)


def generate(
    out: str | os.PathLike[str],
    spec: SynthSignSpec,
    command: str = "",
    overwrite: bool = False,
    on_clip: Callable[[], object] | None = None,
) -> tuple[Path, Path]:
    """Write ``poses.arrow`` and ``descriptions.json`` into the folder ``out``.

    Each file appears whole or not at all; the store comes last, so a store that is there has its
    descriptions beside it.

    Args:
        out: folder, made if needed.
        spec: what to make.
        command: the command line, for the header of the store.
        overwrite: replace files that exist.
        on_clip: called after each clip (progress).

    Returns:
        Paths of the store and of the description set.

    Raises:
        FileExistsError: a file is there and ``overwrite`` is false.
    """
    folder = Path(out)
    store_path, text_path = folder / STORE_NAME, folder / DESCRIPTIONS_NAME
    for path in (store_path, text_path):
        if path.exists() and not overwrite:
            raise FileExistsError(f"{path} exists already; remove it or ask for it to be overwritten")
    signs = get_signs(spec.signs)
    header = StoreHeader(
        layout="wholebody133",
        estimator={"name": "synthsign", "version": GENERATOR_VERSION, "weights": "none"},
        classes=[sign.gloss for sign in signs],
        command=command,
        note=f"{NOTE} (kinematic signer; {spec})",
    )
    descriptions = describe_all(signs)
    with PoseStoreWriter(store_path, header, overwrite=overwrite) as writer:
        for clip in make_clips(spec):
            writer.add(clip)
            if on_clip is not None:
                on_clip()
        save_descriptions(descriptions, text_path)
    return store_path, text_path
