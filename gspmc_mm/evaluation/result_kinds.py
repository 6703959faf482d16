"""The kinds of result records as models: what each holds, and what it cannot be; see `results.py`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from .signer_bootstrap import Drawn

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Gap = Annotated[float, Field(ge=-1.0, le=1.0)]
Count = Annotated[int, Field(ge=0, strict=True)]
Text = Annotated[str, Field(min_length=1)]

_FACTS = ("time", "command", "seed", "data", "versions", "git", "host")


class _Part(BaseModel):
    """Frozen; a field that is not known is an error rather than lost; NaN and infinity are no figures."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Accuracy(_Part):
    """A top-k accuracy on a set of clips, averaged over seeds.

    Attributes:
        clips: Number of clips of each seed.
        mean: Share of hits, the mean over the seeds.
        std: Standard deviation over the seeds (n - 1); None for one seed.
        seeds: Number of seeds.
        low: Lower end of the 95 % interval.
        high: Upper end.
        interval: What the interval is: `signers` (bootstrap over signers, each clip averaged over the seeds),
            `signers and clips` (over the clips of the drawn signers too, where signers are few) or `wilson` (clips
            taken as independent).
        per_class: Mean over the classes that occur of their share of hits (P-C).
        per_class_low: Lower end of its 95 % interval, a bootstrap like that of `low`; None where signers are not known.
        per_class_high: Upper end.
    """

    clips: Annotated[int, Field(ge=1, strict=True)]
    mean: Share
    std: Annotated[float, Field(ge=0.0)] | None = None
    seeds: Annotated[int, Field(ge=1, strict=True)] = 1
    low: Share
    high: Share
    interval: Drawn | Literal["wilson"]
    per_class: Share | None = None
    per_class_low: Share | None = None
    per_class_high: Share | None = None

    @model_validator(mode="after")
    def _check_order(self) -> Accuracy:
        if self.low > self.high:
            raise ValueError(f"the interval [{self.low}, {self.high}] is turned round")
        if (self.std is None) != (self.seeds == 1):
            raise ValueError(f"{self.seeds} seed(s) and a deviation of {self.std}: one seed has none, several have one")
        return self


class Failure(_Part):
    """A run that ended badly: its name (variant, seed, fold) and what was said at the end."""

    run: Text
    reason: Text


class Published(_Part):
    """Somebody's printed figure; `row` is the row of ours that it stands beside, '' for a row of its own."""

    method: Text
    row: str = ""
    top1: Share
    top5: Share | None = None


class _Record(_Part):
    """What all kinds of records hold.

    Attributes:
        title: Heading of the table.
        provenance: From `gather_provenance`.
        note: What a reader has to know beside the figures, e.g. that the data are synthetic.
        independence: Whether signers of the test were trained on, from `signer_independence`.
        seconds: Computing time of the runs, where it is known.
        trained: Commit, machine and versions of the trainings, where they were recorded; `provenance` is that of
            collecting them.
        figures: Pictures of this record, as paths relative to `docs/`.
        failed: Runs that ended badly.
        missing: Runs that belong to the table and have not been made.
    """

    title: Text
    provenance: dict[str, Any]
    note: str = ""
    independence: str = ""
    seconds: Annotated[float, Field(ge=0.0)] | None = None
    trained: tuple[str, ...] = ()
    figures: tuple[str, ...] = ()
    failed: tuple[Failure, ...] = ()
    missing: tuple[str, ...] = ()

    @field_validator("provenance")
    @classmethod
    def _check_facts(cls, facts: dict[str, Any]) -> dict[str, Any]:
        lacking = [name for name in _FACTS if name not in facts]
        if lacking:
            raise ValueError(f"provenance lacks {', '.join(lacking)}: take it from gather_provenance()")
        return facts

    @field_validator("figures")
    @classmethod
    def _check_figures(cls, figures: tuple[str, ...]) -> tuple[str, ...]:
        for figure in figures:
            if os.path.isabs(figure) or ".." in Path(figure).parts:
                raise ValueError(f"a figure is a path relative to docs/, found {figure!r}")
        return figures

    def troubles(self) -> Iterator[tuple[str, str]]:
        """What is not there: run and reason, for every run that failed or is missing."""
        for failure in self.failed:
            yield failure.run, failure.reason
        for run in self.missing:
            yield run, "not run"

    @property
    def incomplete(self) -> bool:
        """Whether a run failed or has not been made."""
        return next(self.troubles(), None) is not None


class Confusion(_Part):
    """Two signs that are taken for one another: so many of the clips of both, all seeds together."""

    signs: tuple[str, str]
    count: Count
    of: Count


class FoldsRow(_Part):
    """One variant on the pooled clips of all folds; no accuracy where a fold of every seed is lacking.

    Attributes:
        name: Name of the variant.
        config: Path of its config.
        cfg_options: What was changed in the config.
        command: The training of its first fold.
        seeds: Seeds whose folds are all there.
        top1: None where no seed is whole.
        top5: As `top1`.
        ece: Expected calibration error of top-1, the mean over the seeds.
        confused: The pairs that are confused most.
        seconds: Computing time of all its folds.
    """

    name: Text
    config: str
    cfg_options: tuple[str, ...] = ()
    command: str = ""
    seeds: tuple[int, ...] = ()
    top1: Accuracy | None = None
    top5: Accuracy | None = None
    ece: Share | None = None
    confused: tuple[Confusion, ...] = ()
    seconds: Annotated[float, Field(ge=0.0)] | None = None


class FoldsRecord(_Record):
    """Variants on held-out signers, every clip predicted once; `splits` says how the data set `data` was cut."""

    kind: Literal["folds"] = "folds"
    data: Text
    splits: str
    folds: tuple[int, ...]
    rows: Annotated[tuple[FoldsRow, ...], Field(min_length=1)]


class SeedDifference(_Part):
    """One seed of both runs on the same clips: difference (second minus first) and exact McNemar test."""

    first_seed: int
    second_seed: int
    difference: Gap
    only_first: Count
    only_second: Count
    p_value: Share


class Difference(_Part):
    """Second minus first, at one k.

    Attributes:
        mean: Difference of the accuracies, each the mean over its seeds.
        std: Deviation over pairs of seeds; None for one pair or where seeds are not paired.
        low: Lower end of the 95 % interval, bootstrap over signers (few: over their clips too).
        high: Upper end.
        low_seeds: The same with the seeds of each run drawn anew as well; None where both have one.
        high_seeds: Upper end.
        pairs: McNemar for every pair of seeds.
    """

    mean: Gap
    std: Annotated[float, Field(ge=0.0)] | None = None
    low: Gap
    high: Gap
    low_seeds: Gap | None = None
    high_seeds: Gap | None = None
    pairs: tuple[SeedDifference, ...]


class ComparisonRecord(_Record):
    """Two runs on the same clips; `sentence` says whether they differ by more than noise.

    `per_class_low` and `per_class_high` are the 95 % interval of the difference in P-C top-1, a bootstrap like that of
    `Difference.low`.
    """

    kind: Literal["comparison"] = "comparison"
    data: str = ""
    first: Text
    second: Text
    first_top1: Accuracy
    first_top5: Accuracy
    second_top1: Accuracy
    second_top5: Accuracy
    top1: Difference
    top5: Difference
    per_class_low: Gap | None = None
    per_class_high: Gap | None = None
    signers: Annotated[int, Field(ge=2, strict=True)]
    draws: Annotated[int, Field(ge=1, strict=True)]
    bootstrap_seed: int
    verdict: Literal["first", "second", "noise"]
    sentence: Text


class FusionRow(_Part):
    """A stream alone (its share of the weights), or the fusion (`weight` None)."""

    name: Text
    files: tuple[str, ...] = ()
    weight: Share | None = None
    top1: Accuracy
    top5: Accuracy
    ece: Share | None = None


class FusionRecord(_Record):
    """Streams alone and fused, on the same clips.

    Attributes:
        data: Name of the data set.
        seeds: Seeds that were fused, each with the same seed of the other streams.
        weighting: `fixed` in advance, or `fitted` on validation clips.
        fitted_on: What the weights were fitted on; empty where they are fixed.
        fold_weights: Weights in the order of the streams by seed and fold (`seed 0 fold 1`), where fitted by fold.
        streams: In the order of the command line.
        fused: All streams together.
        left_out: Clips that not every stream has, by stream (`--intersect`).
        published: To stand beside ours.
    """

    kind: Literal["fusion"] = "fusion"
    data: str = ""
    seeds: tuple[int, ...] = ()
    weighting: Literal["fixed", "fitted"]
    fitted_on: str = ""
    fold_weights: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    streams: Annotated[tuple[FusionRow, ...], Field(min_length=2)]
    fused: FusionRow
    left_out: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    published: tuple[Published, ...] = ()


class AblationRow(_Part):
    """One line of an ablation table.

    Attributes:
        name: What the line is called.
        config: Path of its config.
        seeds: Seeds that are all there.
        folds: Folds that were pooled; empty for one fixed split.
        top1: None where it has not been run or did not end well.
        top5: As `top1`.
        published: The paper's top-1, as a share.
        differences: This line minus another in top-1 on the same clips, by the name of the other; see
            `AblationRecord.references`. None of lines that have no figure, or where signers are not known.
        failed: Runs of this line that ended badly.
        missing: Runs of this line that have not been made.
        seconds: Computing time of its runs.
    """

    name: Text
    config: str
    seeds: tuple[int, ...] = ()
    folds: tuple[int, ...] = ()
    top1: Accuracy | None = None
    top5: Accuracy | None = None
    published: Share | None = None
    differences: dict[str, Difference] = Field(default_factory=dict)
    failed: tuple[Failure, ...] = ()
    missing: tuple[str, ...] = ()
    seconds: Annotated[float, Field(ge=0.0)] | None = None


class AblationRecord(_Record):
    """A table of variants that differ in one thing; `incomplete` also where a line is.

    `references` names the lines that every other is compared with; the first line where there are none.
    """

    kind: Literal["ablation"] = "ablation"
    table: Text
    data: Text
    split: str = ""
    references: tuple[str, ...] = ()
    rows: Annotated[tuple[AblationRow, ...], Field(min_length=1)]

    def troubles(self) -> Iterator[tuple[str, str]]:
        """See `_Record`; those of the lines too."""
        yield from super().troubles()
        for row in self.rows:
            for failure in row.failed:
                yield failure.run, failure.reason
            for run in row.missing:
                yield run, "not run"
            if row.top1 is None and not row.failed and not row.missing:
                yield row.name, "no figure"


class RobustnessCell(_Part):
    """Top-1 of one checkpoint under one corruption at one severity (0: untouched), Wilson 95 %."""

    checkpoint: Text
    corruption: Text
    severity: float
    clips: Annotated[int, Field(ge=1, strict=True)]
    top1: Share
    low: Share
    high: Share
    top5: Share | None = None


class RobustnessDifference(_Part):
    """Top-1 of one checkpoint minus that of the first one, on the same clips under the same corruption.

    `low` and `high`: 95 % interval, bootstrap over signers (few: over their clips too); None where fewer than two
    signers are known.
    """

    checkpoint: Text
    corruption: Text
    severity: float
    difference: Gap
    low: Gap | None = None
    high: Gap | None = None
    p_value: Share


class RobustnessRecord(_Record):
    """Accuracy against severity, for one or several checkpoints.

    Attributes:
        data: Name of the data set and split.
        checkpoints: Path (or hash) of each checkpoint, by the name that the cells use.
        corruptions: What each corruption does and the unit of its severity, by name; the order of the table.
        cells: One for every checkpoint, corruption and severity.
        differences: Of the further checkpoints to the first, in every cell that both have.
    """

    kind: Literal["robustness"] = "robustness"
    data: Text
    checkpoints: dict[str, str] = Field(min_length=1)
    corruptions: dict[str, str] = Field(min_length=1)
    cells: tuple[RobustnessCell, ...]
    differences: tuple[RobustnessDifference, ...] = ()

    @model_validator(mode="after")
    def _check_names(self) -> RobustnessRecord:
        seen = set()
        for cell in self.cells:
            if cell.checkpoint not in self.checkpoints:
                raise ValueError(f"a cell of checkpoint {cell.checkpoint!r}, which is not among the checkpoints")
            if cell.corruption not in self.corruptions:
                raise ValueError(f"a cell of corruption {cell.corruption!r}, which is not among the corruptions")
            key = (cell.checkpoint, cell.corruption, cell.severity)
            if key in seen:
                raise ValueError(f"two cells for {cell.checkpoint}, {cell.corruption} at {cell.severity}")
            seen.add(key)
        return self


class TextProbeRow(_Part):
    """One text bank (or a control): top-1 of its texts read off the skeletons.

    Attributes:
        name: Of the bank.
        encoder: Of its texts; '' where there are none.
        alike: Mean cosine between texts of different signs, as they are in the bank; None where there are none.
        unseen: Top-1 among signs that were left out of the regression.
        seen: Top-1 among all signs, all of them in the regression.
    """

    name: Text
    encoder: str = ""
    alike: Gap | None = None
    unseen: Accuracy
    seen: Accuracy


class TextProbeRecord(_Record):
    """How much of some text banks can be read off the skeletons, see `text_probe.py`.

    Attributes:
        data: Name of the data set.
        split: Training and test parts.
        term: Which texts.
        group: Signs left out at a time; 1 / group is chance.
        ridge: Of the regression.
        rows: Banks and controls.
    """

    kind: Literal["text_probe"] = "text_probe"
    data: Text
    split: Text
    term: Text
    group: Annotated[int, Field(ge=2, strict=True)]
    ridge: Annotated[float, Field(gt=0.0)]
    rows: Annotated[tuple[TextProbeRow, ...], Field(min_length=1)]


class FiguresRecord(_Record):
    """Pictures that belong to no table, with what they were drawn from in `provenance`; `note` is their legend."""

    kind: Literal["figures"] = "figures"
    figures: Annotated[tuple[str, ...], Field(min_length=1)]
