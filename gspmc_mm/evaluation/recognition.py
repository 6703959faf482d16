"""Recognise signs in new material, videos or pose stores, that nobody has labelled."""

from __future__ import annotations

import copy
import csv
import io
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from gspmc_mm.extraction import ESTIMATORS, Recipe, local_engine, make_estimator, run_extraction
from gspmc_mm.extraction.engines import usable_cores
from gspmc_mm.files import write_json, write_text
from gspmc_mm.poses import PoseStore
from gspmc_mm.poses.clip_list import UNLABELLED, ClipList, VideoClip, read_clip_list
from gspmc_mm.poses.file_format import SUFFIX

from .checkpoint_facts import TrainedFacts
from .inference import InferenceError, Trained, clip_loader, clip_name, pipeline_steps

DEFAULT_ESTIMATOR = "mediapipe"  # that of tools/pose/extract.py
OUT_SUFFIXES = (".json", ".csv")


@dataclass(frozen=True)
class Guess:
    """A sign that a clip may show: its number, its name and how probable the network finds it."""

    label: int
    gloss: str
    probability: float


@dataclass(frozen=True)
class Recognised:
    """A clip and the signs it may show, the most probable first.

    Attributes:
        input: what the user named: a video, a folder, a list of clips or a pose store.
        clip: name of the clip in it.
        signs: the best guesses.
    """

    input: str
    clip: str
    signs: tuple[Guess, ...]


@dataclass(frozen=True)
class Failed:
    """A video without poses: `reason` is one of `gspmc_mm.extraction.REASONS`, `message` says what was found."""

    input: str
    clip: str
    reason: str
    message: str


@dataclass(frozen=True)
class Material:
    """What is to be recognised.

    Attributes:
        stores: pose stores by the name that the user gave.
        videos: all videos, numbered, so that names may come twice; None if there are none.
        origins: name that the user gave, and clip, of each of the videos by its number.
    """

    stores: Mapping[str, PoseStore]
    videos: ClipList | None
    origins: Mapping[str, tuple[str, str]]


def read_material(inputs: Sequence[str | os.PathLike[str]]) -> Material:
    """Tell pose stores from videos. What is said about the signs of a clip is not looked at.

    Args:
        inputs: videos, folders of videos, lists of clips (CSV) or pose stores.

    Raises:
        FileNotFoundError: There is no such file, or neither videos nor a store in a folder.
        PoseStoreError: A store cannot be read.
        ClipListError: A list contradicts itself.
    """
    stores: dict[str, PoseStore] = {}
    clips: list[VideoClip] = []
    origins: dict[str, tuple[str, str]] = {}
    for name in dict.fromkeys(map(os.fspath, inputs)):
        path = Path(name)
        if path.suffix == SUFFIX or (path.is_dir() and any(path.glob(f"*{SUFFIX}"))):
            stores[name] = PoseStore(path)
            continue
        listed = read_clip_list(path)
        for clip in listed.clips:
            number = f"{len(clips):06d}"
            origins[number] = (name, clip.clip_id)
            video = os.path.abspath(listed.path(clip))
            clips.append(replace(clip, clip_id=number, video=video, label=0, gloss=UNLABELLED, splits=()))
    videos = ClipList(tuple(clips), (UNLABELLED,), Path.cwd(), "videos to recognise") if clips else None
    return Material(stores, videos, origins)


def choose_estimator(facts: TrainedFacts, wanted: str | None) -> tuple[Recipe, list[str]]:
    """How to extract poses for a network: as those that it was trained on, or as the user wants.

    Args:
        facts: of the training.
        wanted: name of an estimator as tools/pose/extract.py takes it; None to take that of the training.

    Returns:
        The recipe, and what the user should know about it.

    Raises:
        InferenceError: The estimator of the training has no name on the command line.
        ExtractionError: There is no such estimator.
        ImportError: It is not installed; names the extra.
    """
    notes = []
    name = wanted
    if name is None and facts.estimator:
        # An estimator's version begins with its package, which is its name on the command line.
        name = facts.estimator["version"].partition(" ")[0]
        if name not in ESTIMATORS:
            raise InferenceError(
                f"the network was trained on poses of {_named(facts.estimator)} ({facts.estimator_from}), which is "
                f"none of {', '.join(ESTIMATORS)}; name it with --estimator module:Class, or extract the poses "
                "yourself and give the store"
            )
    elif name is None:
        name = DEFAULT_ESTIMATOR
        notes.append(
            f"nothing says which estimator the training poses are of; taking {name}, as tools/pose/extract.py does. "
            "If it was another one, name it with --estimator"
        )
    recipe = Recipe(make_estimator(name))
    notes += compare_estimators(facts, recipe.info, "the videos")
    return recipe, notes


def compare_estimators(facts: TrainedFacts, estimator: Mapping[str, str], what: str) -> list[str]:
    """A word of warning if poses are not of the estimator that the network learnt from; none if nobody knows."""
    if not facts.estimator or not estimator.get("name") or dict(estimator) == dict(facts.estimator):
        return []
    return [
        f"the poses of {what} are of {_named(estimator)}, but the network was trained on poses of "
        f"{_named(facts.estimator)} ({facts.estimator_from}): expect mistakes. Extract with the same estimator, "
        "version, options and weights (tools/pose/extract.py) and give the store"
    ]


def extract_videos(
    material: Material,
    recipe: Recipe,
    folder: str | os.PathLike[str],
    device: str = "cpu",
    advance: Callable[[], None] | None = None,
) -> tuple[PoseStore | None, list[Failed]]:
    """Poses of the videos, in a store.

    Args:
        material: with videos.
        recipe: see `choose_estimator`.
        folder: of the store.
        device: of an estimator that is a network of PyTorch; the others choose by themselves.
        advance: called after every video.

    Returns:
        The store, None if no video could be used, and the videos that could not.
    """
    engine = local_engine(recipe, min(usable_cores(), len(material.videos)), devices=(device,))
    report = run_extraction(
        material.videos, recipe, folder, engine, on_outcome=None if advance is None else lambda _: advance()
    )
    failed = [
        Failed(*material.origins[entry["clip_id"]], entry["reason"], entry["message"]) for entry in report.failures
    ]
    return (PoseStore(folder) if report.done else None), failed


@torch.no_grad()
def recognise_store(
    trained: Trained, store: PoseStore, facts: TrainedFacts, top: int, origin: Callable[[str], tuple[str, str]]
) -> list[Recognised]:
    """The signs that the clips of a store show; its labels are not looked at.

    The clips go through the test pipeline of the config. Several samples of a clip are averaged as probabilities.

    Args:
        trained: network and config.
        store: any pose store whose points the pipeline can take.
        facts: with the names of the signs.
        top: how many guesses a clip.
        origin: name of a clip in the store to the names that the user knows, (input, clip).

    Raises:
        LayoutError: The store has other points than the pipeline needs.
    """
    config = copy.deepcopy(trained.config)
    files = [os.fspath(file) for file in store.files]
    pipeline = pipeline_steps(config)
    config.test_dataloader.dataset = dict(type="SignPoseDataset", ann_file=files, pipeline=pipeline, test_mode=True)
    trained.model.cls_head.average_clips = "prob"
    recognised = []
    for batch in clip_loader(config):
        for sample in trained.model.test_step(batch):
            clip = clip_name(sample, len(recognised))
            signs = best_guesses(sample.pred_score.cpu().numpy(), facts, top)
            recognised.append(Recognised(*origin(clip), signs))
    return recognised


def recognise(
    trained: Trained,
    material: Material,
    facts: TrainedFacts,
    recipe: Recipe | None,
    top: int = 5,
    advance: Callable[[], None] | None = None,
) -> tuple[list[Recognised], list[Failed]]:
    """The signs of all clips, videos first; poses of videos are kept only while they are needed.

    Args:
        trained: network and config.
        material: see `read_material`.
        facts: of the training.
        recipe: how poses are extracted; not needed where there are no videos.
        top: how many guesses a clip.
        advance: called after every video.
    """
    recognised: list[Recognised] = []
    failed: list[Failed] = []
    if material.videos is not None:
        with tempfile.TemporaryDirectory(prefix="gspmc_poses_") as folder:
            device = str(next(trained.model.parameters()).device)
            store, failed = extract_videos(material, recipe, folder, device, advance)
            if store is not None:
                recognised += recognise_store(trained, store, facts, top, material.origins.__getitem__)
    for name, store in material.stores.items():
        recognised += recognise_store(trained, store, facts, top, lambda clip, name=name: (name, clip))
    return recognised, failed


def best_guesses(probabilities: np.ndarray, facts: TrainedFacts, top: int) -> tuple[Guess, ...]:
    """The most probable of C signs, from probabilities (C,); of equals the one with the smaller label first."""
    order = np.argsort(-probabilities, kind="stable")[:top].tolist()
    return tuple(Guess(label, facts.gloss(label), float(probabilities[label])) for label in order)


def check_out(path: str | os.PathLike[str]) -> None:
    """Refuse a file name that `write_recognised` does not know.

    Raises:
        ValueError: Another ending than .json or .csv.
    """
    if Path(path).suffix not in OUT_SUFFIXES:
        raise ValueError(f"{os.fspath(path)}: predictions are written as {' or '.join(OUT_SUFFIXES)}")


def write_recognised(
    path: str | os.PathLike[str],
    recognised: Sequence[Recognised],
    failed: Sequence[Failed],
    info: Mapping[str, object],
) -> Path:
    """Write predictions, whole or not at all.

    `.json`: an object with what `info` says, the `clips` with their signs, and the `failed` videos. `.csv`: a row for
    each guess, with the columns input, clip, rank, label, gloss, probability; videos that failed are not in it.

    Raises:
        ValueError: Another ending.
    """
    check_out(path)
    if Path(path).suffix == ".json":
        return write_json(path, {**info, "clips": list(map(asdict, recognised)), "failed": list(map(asdict, failed))})
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("input", "clip", "rank", "label", "gloss", "probability"))
    for one in recognised:
        for rank, guess in enumerate(one.signs, start=1):
            table.writerow((one.input, one.clip, rank, guess.label, guess.gloss, f"{guess.probability:.6f}"))
    return write_text(path, text.getvalue())


def _named(estimator: Mapping[str, str]) -> str:
    return repr(" ".join(filter(None, (estimator.get(key) for key in ("name", "version", "weights")))))
