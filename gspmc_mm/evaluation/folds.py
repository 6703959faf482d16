"""Arithmetic of signer folds: pooling, accuracy with intervals, paired comparison, the report."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .accuracy import class_means, per_class_accuracy
from .intervals import mcnemar, wilson_interval
from .predictions import Predictions, PredictionsError, align, name_some

TOPK = (1, 5)
_FOLD_NUMBER = re.compile(r"(?<![A-Za-z])(fold[_-]?)(?:\d+|\{fold\})|\{fold\}")


def any_fold(split: str) -> str:
    """The name of a split with K for the number of its fold: `fold3_train` and `fold{fold}_train` are `foldK_train`.

    Other numbers are part of the name: `gsp35_train` stays as it is.
    """
    return _FOLD_NUMBER.sub(lambda found: f"{found[1] or ''}K", split)


def pool_folds(folds: Mapping[int, Predictions], signers_disjoint: bool = True) -> Predictions:
    """Put the predictions of all folds together, every clip exactly once.

    Args:
        folds: Predictions on the held-out clips, by fold.
        signers_disjoint: Refuse a signer who is held out in two folds (a signer-wise split has
            none). Signers named '' (unknown) are not looked at.

    Returns:
        All clips, sorted by clip id; `info` holds the info of every fold.

    Raises:
        PredictionsError: No fold, a clip in two folds, other classes, or a signer in two folds.
    """
    if not folds:
        raise PredictionsError("no folds to pool")
    first_fold, first = next(iter(folds.items()))
    for fold, run in folds.items():
        if run.num_classes != first.num_classes or run.classes != first.classes:
            raise PredictionsError(
                f"folds {first_fold} and {fold} do not have the same classes "
                f"({first.num_classes} and {run.num_classes}, or other names)"
            )
    for (fold, run), (other_fold, other) in itertools.combinations(folds.items(), 2):
        clips = set(run.clip_id.tolist()) & set(other.clip_id.tolist())
        if clips:
            raise PredictionsError(
                f"clips held out in fold {fold} and in fold {other_fold}: {name_some(clips)}; "
                "pooling counts every clip once"
            )
        signers = (set(run.signer.tolist()) & set(other.signer.tolist())) - {""}
        if signers_disjoint and signers:
            raise PredictionsError(
                f"signers held out in fold {fold} and in fold {other_fold}: {name_some(signers)}; "
                "these are no signer folds"
            )
    runs = list(folds.values())
    pooled = Predictions(
        clip_id=np.concatenate([run.clip_id for run in runs]),
        label=np.concatenate([run.label for run in runs]),
        scores=np.concatenate([run.scores for run in runs]),
        signer=np.concatenate([run.signer for run in runs]),
        classes=first.classes,
        info={"folds": {str(fold): dict(run.info) for fold, run in folds.items()}},
    )
    return pooled.take(np.argsort(pooled.clip_id))


def check_held_out(
    train: Mapping[str, str], test: Mapping[str, str], where: str, signers_disjoint: bool = True
) -> None:
    """Refuse a fold whose training part holds clips, or signers, of its test part.

    Args:
        train: Signer by clip id, of the training split.
        test: Signer by clip id, of the test split.
        where: What the message calls the fold.
        signers_disjoint: Refuse shared signers too; signers named '' are not looked at.

    Raises:
        PredictionsError: An empty part, or what is shared.
    """
    if not train or not test:
        raise PredictionsError(f"{where}: {len(train)} training and {len(test)} test clips")
    clips = set(train) & set(test)
    if clips:
        raise PredictionsError(f"{where}: clips in training and in test: {name_some(clips)}")
    signers = (set(train.values()) & set(test.values())) - {""}
    if signers_disjoint and signers:
        raise PredictionsError(f"{where}: signers in training and in test: {name_some(signers)}")


def accuracy_summary(predictions: Predictions, z: float = 1.96) -> dict[str, Any]:
    """Top-1 and top-5 of a set of clips, ready for JSON.

    Returns:
        `clips`, `signers` (known ones) and, for each k, `top{k}` with `correct`, `value`, `low`,
        `high` (Wilson) and `per_class` (mean over the classes that occur); shares in [0, 1].
    """
    n = len(predictions)
    if n == 0:
        raise PredictionsError("no clips: the accuracy of nothing is undefined")
    summary: dict[str, Any] = {
        "clips": n,
        "signers": len(set(predictions.signer.tolist()) - {""}),
    }
    for k in TOPK:
        hits = predictions.hits(k)
        low, high = wilson_interval(int(hits.sum()), n, z)
        summary[f"top{k}"] = {
            "correct": int(hits.sum()),
            "value": float(hits.mean()),
            "low": low,
            "high": high,
            "per_class": per_class_accuracy(hits, predictions.label, predictions.num_classes),
        }
    return summary


def class_table(predictions: Predictions) -> list[dict[str, Any]]:
    """Clips and top-1 share of every class that occurs, the weakest first."""
    means = class_means(predictions.hits(1), predictions.label, predictions.num_classes)
    counts = np.bincount(predictions.label, minlength=predictions.num_classes)
    rows = [
        {
            "label": int(label),
            "class": predictions.classes[label] if predictions.classes else str(label),
            "clips": int(counts[label]),
            "top1": float(means[label]),
        }
        for label in np.flatnonzero(counts)
    ]
    return sorted(rows, key=_weakest_first)


def _weakest_first(row: Mapping[str, Any]) -> tuple[float, int]:
    return row["top1"], row["label"]


def mean_and_deviation(values: Iterable[float]) -> dict[str, float | int | None]:
    """Mean, standard deviation (n - 1; None for one value) and number of values."""
    values = list(values)
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "std": deviation, "n": len(values)}


def compare_pair(first: Predictions, second: Predictions) -> dict[str, Any]:
    """McNemar comparison of two runs on the same clips, for top-1 and top-5.

    Returns:
        For each k, `top{k}` with `difference` (second minus first, a share), `only_first`,
        `only_second` and `p_value`.

    Raises:
        PredictionsError: The runs are not about the same clips.
    """
    runs = align({"first": first, "second": second})
    result = {}
    for k in TOPK:
        test = mcnemar(runs["first"].hits(k), runs["second"].hits(k))
        result[f"top{k}"] = {
            "difference": test.difference,
            "only_first": test.only_first,
            "only_second": test.only_second,
            "p_value": test.p_value,
        }
    return result


def fold_report(
    runs: Mapping[str, Mapping[int, Mapping[int, Predictions]]], signers_disjoint: bool = True
) -> tuple[dict[str, Any], dict[str, dict[int, Predictions]]]:
    """Everything that is said about one or several variants, ready for JSON.

    Args:
        runs: Predictions by variant, seed and fold; every variant has the same seeds and folds.
        signers_disjoint: See `pool_folds`.

    Returns:
        The report, and the pooled predictions by variant and seed. The report holds `variants`
        (per seed: `folds`, `pooled`, `classes`; and `over_seeds`: mean and deviation of the pooled
        figures) and `comparisons` (every pair of variants: per seed, and over seeds).

    Raises:
        PredictionsError: Folds or variants do not fit each other.
    """
    pooled = {
        name: {seed: pool_folds(folds, signers_disjoint) for seed, folds in seeds.items()}
        for name, seeds in runs.items()
    }
    # One set of clips for all variants and seeds, or no figure of one stands beside another.
    align({f"{name}, seed {s}": run for name, seeds in pooled.items() for s, run in seeds.items()})
    variants = {}
    for name, seeds in runs.items():
        per_seed = {
            str(seed): {
                "folds": {str(fold): accuracy_summary(run) for fold, run in folds.items()},
                "pooled": accuracy_summary(pooled[name][seed]),
                "classes": class_table(pooled[name][seed]),
            }
            for seed, folds in seeds.items()
        }
        over_seeds = {}
        for k in TOPK:
            summaries = [entry["pooled"][f"top{k}"] for entry in per_seed.values()]
            over_seeds[f"top{k}"] = mean_and_deviation(entry["value"] for entry in summaries)
            over_seeds[f"top{k}_per_class"] = mean_and_deviation(entry["per_class"] for entry in summaries)
        variants[name] = {"seeds": per_seed, "over_seeds": over_seeds}
    comparisons = []
    for first, second in itertools.combinations(runs, 2):
        if set(runs[first]) != set(runs[second]):
            raise PredictionsError(
                f"{first} has seeds {sorted(runs[first])}, {second} {sorted(runs[second])}: pairs need the same"
            )
        seeds = {str(seed): compare_pair(pooled[first][seed], pooled[second][seed]) for seed in runs[first]}
        over_seeds = {f"top{k}": mean_and_deviation(e[f"top{k}"]["difference"] for e in seeds.values()) for k in TOPK}
        comparisons.append({"first": first, "second": second, "seeds": seeds, "over_seeds": over_seeds})
    return {"variants": variants, "comparisons": comparisons}, pooled


ACCURACY_HEADER = (
    "config", "seed", "fold", "clips", "top-1", "top-1 95 %", "top-5", "top-5 95 %",
    "per-class top-1 / top-5",
)  # fmt: skip
COMPARISON_HEADER = (
    "pair", "seed", "top-k", "difference (points)", "only first right", "only second right",
    "McNemar p",
)  # fmt: skip


def accuracy_rows(report: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Cells under `ACCURACY_HEADER`: every fold, the pool of each seed, the mean over seeds."""
    rows = []
    for name, variant in report["variants"].items():
        for seed, entry in variant["seeds"].items():
            named = [*entry["folds"].items(), ("pooled", entry["pooled"])]
            for fold, summary in named:
                rows.append((name, seed, fold, *_accuracy_cells(summary)))
        if len(variant["seeds"]) > 1:
            over = variant["over_seeds"]
            rows.append(
                (name, "mean", "pooled", "", _spread(over["top1"]), "", _spread(over["top5"]), "",
                 f"{_spread(over['top1_per_class'])} / {_spread(over['top5_per_class'])}")
            )  # fmt: skip
    return rows


def comparison_rows(report: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Cells under `COMPARISON_HEADER`: every pair of variants on the pooled clips."""
    rows = []
    for entry in report["comparisons"]:
        pair = f"{entry['second']} - {entry['first']}"
        for k in TOPK:
            for seed, result in entry["seeds"].items():
                test = result[f"top{k}"]
                rows.append(
                    (pair, seed, str(k), f"{100 * test['difference']:+.1f}",
                     str(test["only_first"]), str(test["only_second"]), f"{test['p_value']:.2g}")
                )  # fmt: skip
            if len(entry["seeds"]) > 1:
                over = entry["over_seeds"][f"top{k}"]
                spread = f"{100 * over['mean']:+.1f} +- {100 * over['std']:.1f}"
                rows.append((pair, "mean", str(k), spread, "", "", ""))
    return rows


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |"
                     for line in lines)  # fmt: skip


def report_markdown(report: Mapping[str, Any], title: str) -> str:
    """The report as a Markdown page; `report` also holds `provenance` and `splits`."""
    parts = [
        f"# {title}",
        "Shares of clips in percent; every clip is predicted once, by the model that has not seen "
        "its fold. Intervals: Wilson, 95 %. Per-class: mean over the classes that occur.",
        markdown_table(ACCURACY_HEADER, accuracy_rows(report)),
    ]
    if report["comparisons"]:
        parts += [
            "## Paired comparison",
            "Same clips, exact McNemar test. Clips of one signer are not independent, so the "
            "p-values are on the hopeful side.",
            markdown_table(COMPARISON_HEADER, comparison_rows(report)),
        ]
    provenance = report["provenance"]
    versions = ", ".join(f"{name} {version}" for name, version in provenance["versions"].items())
    git = provenance["git"]
    commit = "none" if git is None else git["commit"] + (" (modified)" if git["modified"] else "")
    parts += [
        "## Where this comes from",
        "\n".join(
            [
                f"- command: `{provenance['command']}`",
                f"- time: {provenance['time']}",
                f"- splits: {report['splits']}",
                f"- seeds: {provenance['seed']}",
                f"- versions: {versions}",
                f"- commit: {commit}",
                f"- processor: {provenance['host']['cpu']}, {provenance['host']['cores']} cores; "
                f"GPUs: {', '.join(provenance['host']['gpus']) or 'none'}",
                *(f"- data: `{name}` {value}" for name, value in provenance["data"].items()),
            ]
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _spread(value: Mapping[str, Any]) -> str:
    deviation = value["std"]
    if deviation is None or math.isnan(deviation):
        return _percent(value["mean"])
    return f"{_percent(value['mean'])} +- {_percent(deviation)}"


def _accuracy_cells(summary: Mapping[str, Any]) -> tuple[str, ...]:
    cells = [str(summary["clips"])]
    for k in TOPK:
        entry = summary[f"top{k}"]
        cells += [_percent(entry["value"]), f"{_percent(entry['low'])}-{_percent(entry['high'])}"]
    top1, top5 = summary["top1"]["per_class"], summary["top5"]["per_class"]
    return (*cells, f"{_percent(top1)} / {_percent(top5)}")
