"""What is to be trained and tested: variants, seeds and folds as runs, checked before anything is started.

A run is one fold of one variant and seed. It lives in `WORK_DIR/VARIANT/seedS/foldK`, and its `fold.json` says what it
depends on: a finished run counts only for the same config, data, splits and seed.

The learning rate of a config is for its `auto_scale_lr.base_batch_size` clips a step. Where a step of all processes has
another number of clips, the training scales it (`--auto-scale-lr`), and the identity names the number as
`global_batch`. A record without it is one whose rate was taken as it stands in the config.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict, DictAction

from gspmc_mm.evaluation.folds import check_held_out
from gspmc_mm.evaluation.predictions import Predictions, check_clips, load_predictions
from gspmc_mm.evaluation.provenance import config_hash, config_inputs
from gspmc_mm.evaluation.signer_independence import split_names


class ExperimentError(ValueError):
    """A request that cannot be carried out, told before anything is run."""


def cosine_options(epochs: int) -> list[str]:
    """Settings (`key=value`) that stretch the schedules `sgd_cosine_*.py` over a number of epochs, 3 at least."""
    if epochs < 3:
        raise ExperimentError(f"{epochs} epochs: two are the warm-up, so 3 are the least")
    ends = (f"param_scheduler.1.end={epochs}", f"param_scheduler.1.T_max={epochs - 2}")
    return [f"train_cfg.max_epochs={epochs}", *ends]


@dataclass(frozen=True)
class Variant:
    """One thing to be measured: a config and what is changed in it (`key=value` strings).

    Attributes:
        environment: `NAME=value` strings that the config reads (`{{$NAME:default}}`).
    """

    name: str
    config: Path
    options: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()

    def load(self) -> Config:
        """The config as it stands in the file, in this variant's environment."""
        with _environment(self.environment):
            return Config.fromfile(self.config, import_custom_modules=False)


@dataclass(frozen=True)
class RunPlan:
    """What all variants have in common.

    Attributes:
        work_dir: Where the runs live.
        folds: Numbers of the folds; a data set with one split only has fold 0.
        seeds: Seeds of the trainings.
        train_split: Name of the training split, `{fold}` in it stands for the number.
        test_split: The same for the clips that are predicted; several splits are joined by commas.
        val_split: What the curves are taken on during training; the test split if None.
        options: Changes of all configs.
        shared_signers: Whether a signer may be in training and in test.
        replace_changed: Move runs of another config or other data aside instead of refusing.
        processes: Processes of a training, each with a batch of its own.
    """

    work_dir: Path
    folds: Sequence[int] = (0, 1, 2, 3, 4)
    seeds: Sequence[int] = (0,)
    train_split: str = "fold{fold}_train"
    test_split: str = "fold{fold}_test"
    val_split: str | None = None
    options: Sequence[str] = ()
    shared_signers: bool = False
    replace_changed: bool = False
    processes: int = 1


@dataclass
class FoldRun:
    """One fold of one variant and seed.

    Attributes:
        identity: What the predictions depend on; a finished fold counts only if it is the same.
        expected: Clip ids of the test split, where the data set is a pose store.
        auto_scale_lr: Whether the training scales its learning rate to the clips of a step.
        record: What `fold.json` holds.
    """

    variant: Variant
    seed: int
    fold: int
    folder: Path
    train_options: tuple[str, ...]
    test_options: tuple[str, ...]
    identity: dict[str, Any]
    expected: list[str] | None = None
    auto_scale_lr: bool = False
    record: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{self.variant.name} seed {self.seed} fold {self.fold}"

    @property
    def predictions(self) -> Path:
        """Where the scores of the held-out clips are written."""
        return self.folder / "predictions.npz"

    @property
    def done(self) -> bool:
        """Whether training and test have been finished."""
        return bool(self.record.get("tested")) and self.predictions.is_file()

    def load_predictions(self) -> Predictions:
        """The scores of the held-out clips, checked to be those of the split.

        Raises:
            ValueError: They are incomplete, damaged or of other clips.
        """
        predictions = load_predictions(self.predictions)
        if self.expected is not None:
            check_clips(predictions.clip_id.tolist(), self.expected, str(self.predictions))
        return predictions


def parse_variant(text: str) -> Variant:
    """`NAME=CONFIG[:k=v,...]`; commas inside a value are kept, as in `k=[1,2]` or `k=1,2`."""
    match = re.fullmatch(r"([\w.+-]+)=([^:=]+)(?::(.+))?", text)
    if match is None:
        raise ExperimentError(f"--variants expects NAME=CONFIG[:k=v,...], found {text!r}")
    name, config, options = match.groups()
    parts = tuple(re.split(r",(?=[\w.]+=)", options)) if options else ()
    return Variant(name, Path(config), parts)


def plan_runs(plan: RunPlan, variants: Sequence[Variant], to_run: bool = True) -> list[FoldRun]:
    """All runs of all variants, checked against the data and against what lies in the work dir.

    Args:
        plan: What they have in common.
        variants: What is measured.
        to_run: Whether they are to be carried out. If not, what is finished is taken up, and what lies there of
            something else is left alone: the run is as good as not made.

    Raises:
        ExperimentError: Two variants of one name, a config that does not suit, a fold that was run with
            something else.
        ValueError: The splits of the data are not what they should be.
    """
    if re.search(r"[,()\[\]]", str(plan.work_dir)):
        raise ExperimentError(f"--work-dir may not hold commas or brackets, found {plan.work_dir}")
    for what, values in (
        ("variants", [variant.name for variant in variants]),
        ("folds", plan.folds),
        ("seeds", plan.seeds),
    ):
        if len(set(values)) != len(values):
            raise ExperimentError(f"two {what} are called the same: {list(values)}")
    runs = []
    for variant in variants:
        if not variant.config.is_file():
            raise FileNotFoundError(f"no config at {variant.config} (variant {variant.name})")
        config = variant.load()
        config.merge_from_dict(parse_options([*plan.options, *variant.options]))
        inputs = config_inputs(config.to_dict())
        for fold in plan.folds:
            runs += _plan_fold(plan, variant, config, inputs, fold)
    for run in runs:
        record, reason = _recorded(run)
        if reason and to_run:
            _make_room(run, reason, plan.replace_changed)
        elif record:
            run.record = record
    return runs


def steps_clips(config: Config, processes: int) -> tuple[int, int | None]:
    """Clips of a step of all processes, and the number that the learning rate is for (None: the config names none)."""
    clips = processes * config.train_dataloader.get("batch_size", 1)
    return clips, (config.get("auto_scale_lr") or {}).get("base_batch_size")


def _plan_fold(plan: RunPlan, variant: Variant, config: Config, inputs: dict[str, str], fold: int) -> list[FoldRun]:
    """The runs of one fold of one variant, one for each seed."""
    train, test = _fill(plan.train_split, fold), _fill(plan.test_split, fold)
    val = test if plan.val_split is None else _fill(plan.val_split, fold)
    hooks = [str(hook.get("type")) for hook in config.get("custom_hooks") or []]
    if val == test and any("EarlyStopping" in hook for hook in hooks):
        raise ExperimentError(
            f"{variant.config} stops early by its validation, which here is the test split {test}: "
            "name another with --val-split"
        )
    splits = {"train_dataloader": train, "test_dataloader": test}
    if config.get("val_dataloader") is not None:
        splits["val_dataloader"] = val
    options = [f"{_split_key(config, loader)}={split}" for loader, split in splits.items()]
    dump_key = _evaluator_key(config)
    changed = Config(config.to_dict())
    changed.merge_from_dict(parse_options(options))
    expected = _expected_clips(config, train, test, fold, plan.shared_signers)
    clips, base = steps_clips(config, plan.processes)
    usual = base or steps_clips(config, 1)[0]
    batch = {} if clips == usual else {"global_batch": clips}
    runs = []
    for seed in plan.seeds:
        folder = plan.work_dir / variant.name / f"seed{seed}" / f"fold{fold}"
        common = (*plan.options, *variant.options, *options)
        runs.append(
            FoldRun(
                variant=variant,
                seed=seed,
                fold=fold,
                folder=folder,
                train_options=common,
                test_options=(*common, f"{dump_key}={folder / 'predictions.npz'}"),
                identity={
                    "config_sha256": config_hash(changed.to_dict()),
                    "inputs": inputs,
                    "splits": splits,
                    "seed": seed,
                    **batch,
                },
                expected=expected,
                auto_scale_lr=base is not None and clips != base,
            )
        )
    return runs


def parse_options(options: Sequence[str]) -> dict[str, Any]:
    """`key=value` strings as mmengine's own command lines read them."""
    if not options:
        return {}
    wrong = [option for option in options if "=" not in option]
    if wrong:
        raise ExperimentError(f"expected key=value, found {wrong[0]!r}")
    parser = argparse.ArgumentParser()
    parser.add_argument("--cfg-options", nargs="+", action=DictAction)
    return parser.parse_args(["--cfg-options", *options]).cfg_options


@contextlib.contextmanager
def _environment(settings: Sequence[str]) -> Iterator[None]:
    """Environment variables for as long as a config is read."""
    wanted = dict(setting.split("=", 1) for setting in settings)
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _fill(template: str, fold: int) -> str:
    """The name of a fold's split."""
    try:
        return template.format(fold=fold)
    except (KeyError, IndexError, ValueError) as error:
        raise ExperimentError(f"a split template may hold {{fold}} only, found {template!r}") from error


def inner_dataset(config: Config, loader: str) -> tuple[str, ConfigDict]:
    """Key and config of the data set inside a loader, under any wrappers (`RepeatDataset`, ...)."""
    if config.get(loader) is None:
        raise ExperimentError(f"{config.filename} has no {loader}")
    key, dataset = f"{loader}.dataset", config[loader].get("dataset")
    while isinstance(dataset, dict) and isinstance(dataset.get("dataset"), dict):
        key, dataset = f"{key}.dataset", dataset["dataset"]
    if not isinstance(dataset, dict) or "datasets" in dataset:
        raise ExperimentError(
            f"{config.filename}: {key} is not one data set with a split (several data sets in one "
            "cannot be cut into folds here)"
        )
    return key, dataset


def _split_key(config: Config, loader: str) -> str:
    """The config key that names a loader's split."""
    return f"{inner_dataset(config, loader)[0]}.split"


def _evaluator_key(config: Config) -> str:
    """The config key that names the dump of the test's `SignAccuracy`."""
    evaluator = config.get("test_evaluator")
    several = isinstance(evaluator, list | tuple)
    for i, entry in enumerate(evaluator if several else [evaluator]):
        if isinstance(entry, dict) and str(entry.get("type")).endswith("SignAccuracy"):
            return f"test_evaluator.{i}.dump" if several else "test_evaluator.dump"
    raise ExperimentError(
        f"{config.filename}: the test_evaluator holds no dict(type='SignAccuracy'), which writes "
        f"the predictions that are pooled; found {evaluator}"
    )


def _expected_clips(config: Config, train: str, test: str, fold: int, shared_signers: bool) -> list[str] | None:
    """Clip ids of the test split after a check that training holds none of them.

    None where the data set is no pose store: then the folds are only checked against each other.
    """
    signers: list[Mapping[str, str]] = []
    for loader, split in (("train_dataloader", train), ("test_dataloader", test)):
        path = inner_dataset(config, loader)[1].get("ann_file")
        if path is None or not (str(path).endswith(".arrow") or Path(path).is_dir()):
            return None
        from gspmc_mm.poses import PoseStore

        store = PoseStore(path)
        signers.append({str(store.clip_ids[i]): str(store.signers[i]) for i in store.indices(split_names(split))})
    check_held_out(*signers, where=f"fold {fold}", signers_disjoint=not shared_signers)
    return list(signers[1])


def _recorded(run: FoldRun) -> tuple[dict[str, Any] | None, str]:
    """What `fold.json` holds of this run, and '' or why what lies in its folder is not this run.

    Raises:
        ExperimentError: The file is damaged.
    """
    path = run.folder / "fold.json"
    if not path.is_file():
        begun = (run.folder / "last_checkpoint").exists()
        return None, "holds a training that was not started by this command" if begun else ""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        old = record["identity"]
    except (ValueError, KeyError, TypeError) as error:
        raise ExperimentError(f"{path} is damaged ({error}): move {run.folder} away") from error
    if old == run.identity:
        return record, ""
    changed = [key for key in sorted({*old, *run.identity}) if old.get(key) != run.identity.get(key)]
    return None, f"was run with another {' and '.join(changed)}"


def _make_room(run: FoldRun, reason: str, replace_changed: bool) -> None:
    """Move aside what lies in the folder of a run, or refuse.

    Raises:
        ExperimentError: The folder holds a run of another config, other data or unknown origin, and is to stay.
    """
    if not replace_changed:
        raise ExperimentError(f"{run.folder} {reason}: give another --work-dir, or --replace-changed to move it aside")
    number = 1
    while (aside := run.folder.with_name(f"{run.folder.name}.replaced-{number}")).exists():
        number += 1
    run.folder.rename(aside)
