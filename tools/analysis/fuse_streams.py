"""Fuse streams: a weighted mean of class probabilities, clip by clip id.

    python tools/analysis/fuse_streams.py j=j.npz b=b.npz jm=jm.npz bm=bm.npz
    python tools/analysis/fuse_streams.py j=WORK/j b=WORK/b jm=WORK/jm bm=WORK/bm      # folders of signer_folds.py
    python tools/analysis/fuse_streams.py j=j.npz b=b.npz --fit val:j=j_val.npz b=b_val.npz

A stream is NAME=PLACE[,PLACE...]: an .npz of SignAccuracy's dump, a folder of signer_folds.py (its folds are pooled,
its seeds averaged), or a quoted pattern such as 'runs/j/fold*/predictions.npz' (folds). Several places: several seeds.
Weights are 2:2:1:1 for j, b, jm, bm, or --weights, or fitted on validation clips by --fit, each fold on its own; clips
that are tested, or that the networks were trained on, are refused there. The exit status is 0 only if everything was
written.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("streams", nargs="+", metavar="NAME=PLACE", help="predictions of a stream")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--weights", nargs="+", type=float, metavar="W", help="one for each stream; only ratios matter")
    how.add_argument(
        "--fit",
        nargs="+",
        metavar="NAME=PLACE",
        help="validation predictions of the same streams; WORD:NAME=PLACE says what the validation is called",
    )
    parser.add_argument("--intersect", action="store_true", help="leave out clips that a stream lacks; they are named")
    parser.add_argument("--published", choices=("slr500", "autsl"), help="put published figures beside ours")
    parser.add_argument("--title", default="Stream fusion", help="of the table (%(default)s)")
    parser.add_argument("--data", default="", help="what the data set is called")
    parser.add_argument(
        "--out",
        type=Path,
        help="write OUT.json (docs/results/NAME.json for the page), OUT.md and OUT.tex; with or without .json",
    )
    parser.add_argument("--scores", type=Path, help="write the fused predictions, .npz; {seed} where there are several")
    args = parser.parse_args(argv)
    if len(args.streams) < 2:
        parser.error("fusion needs at least two streams")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Fuse, print and write; 1 where something does not fit."""
    args = parse_args(argv)
    # after the arguments are read: the package brings torch with it, --help does not need it
    from rich.console import Console

    from gspmc_mm.evaluation import gather_provenance, save_predictions
    from gspmc_mm.evaluation.published import published_figures, published_note
    from gspmc_mm.evaluation.results import write_record
    from gspmc_mm.evaluation.results_tables import latex_table, tables
    from gspmc_mm.evaluation.run_files import read_sources
    from gspmc_mm.evaluation.stream_fusion import fitted_weighting, fixed_weighting, fuse_sources, fusion_record
    from gspmc_mm.files import write_text

    console = Console() if sys.stdout.isatty() else Console(width=200)
    try:
        streams = read_sources(args.streams)
        if args.fit:
            called, fit_texts = split_fit(args.fit)
            weighting = fitted_weighting(streams, read_sources(fit_texts), called)
        else:
            weighting = fixed_weighting(streams, args.weights)
        result = fuse_sources(streams, weighting, args.intersect)
        data = {name: mark for stream in streams for name, mark in stream.data.items()}
        record = fusion_record(
            args.title,
            streams,
            result,
            weighting,
            gather_provenance(seed=list(result.fused), data=data),
            args.data,
            published_figures(args.published) if args.published else (),
            published_note(args.published) if args.published else "",
        )
        (sheet,) = tables(record)
        console.print(sheet.to_rich())
        for key, weights in record.fold_weights.items():
            shown = ", ".join(f"{s.name} {weight:.3f}" for s, weight in zip(streams, weights, strict=True))
            console.print(f"weights {key}: {shown}", markup=False, highlight=False)
        for name, clips in record.left_out.items():
            console.print(f"left out, stream {name} lacks: {', '.join(clips)}", markup=False, highlight=False)
        if record.note:
            console.print(f"note: {record.note}", markup=False, highlight=False)
        if args.scores:
            for seed, predictions in result.fused.items():
                save_predictions(seed_path(args.scores, seed, len(result.fused)), predictions)
        if args.out:
            base = args.out.with_suffix("") if args.out.suffix == ".json" else args.out
            write_text(Path(f"{base}.md"), sheet.to_markdown())
            write_text(Path(f"{base}.tex"), latex_table(sheet, args.title))
            console.print(f"written: {write_record(f'{base}.json', record)}, .md, .tex", markup=False, highlight=False)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def split_fit(texts: Sequence[str]) -> tuple[str, list[str]]:
    """What the validation is called (`val` unless it is said), and its streams."""
    called, mark, first = texts[0].partition(":")
    if mark and "=" not in called:
        return called, [text for text in (first, *texts[1:]) if text]
    return "val", list(texts)


def seed_path(path: Path, seed: int, seeds: int) -> Path:
    """Where the fused scores of a seed go.

    Raises:
        ValueError: Several seeds and one name.
    """
    if seeds > 1 and "{seed}" not in str(path):
        raise ValueError(f"--scores {path}: {seeds} seeds need {{seed}} in the name")
    return Path(str(path).replace("{seed}", str(seed)))


if __name__ == "__main__":
    sys.exit(main())
