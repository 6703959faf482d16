"""Recognise signs in new material: videos, folders of videos, or pose stores. No labels are needed.

    python tools/predict.py CONFIG CHECKPOINT new_video.mp4
    python tools/predict.py CONFIG CHECKPOINT videos data/new/poses --top 3 --out work_dirs/new.json

Poses of videos are extracted with the estimator that the network was trained on, then go through the test pipeline of
the config. The exit status is 0 only if every clip was recognised.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="config of the training")
    parser.add_argument("checkpoint", help="what it left, epoch_N.pth")
    parser.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="video, folder of videos, list of clips (CSV), or pose store"
    )
    parser.add_argument("--top", type=int, default=5, metavar="K", help="guesses a clip; default: %(default)s")
    parser.add_argument("--out", help="also write them: .json, or .csv with a row for each guess")
    parser.add_argument(
        "--classes", metavar="FILE", help="names of the signs, one a line by label; default: what the training knows"
    )
    parser.add_argument(
        "--estimator", help="for videos, as tools/pose/extract.py takes it; default: that of the training poses"
    )
    parser.add_argument("--device", help="of the network (and of mmpose): cpu, cuda, cuda:1; default: the GPU if any")
    parser.add_argument(
        "--cfg-options", nargs="+", default=[], metavar="k=v", help="settings of the config to override"
    )
    args = parser.parse_args(argv)
    if args.top < 1:
        parser.error(f"--top is {args.top}; expected 1 or more")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Recognise and report; 1 if a clip could not be."""
    args = parse_args(argv)
    # after the arguments are read: the package brings torch with it, --help does not need it
    from gspmc_mm.evaluation.checkpoint_facts import trained_facts
    from gspmc_mm.evaluation.experiments.planning import parse_options
    from gspmc_mm.evaluation.inference import load_trained, read_config
    from gspmc_mm.evaluation.recognition import (
        check_out,
        choose_estimator,
        compare_estimators,
        read_material,
        recognise,
        write_recognised,
    )

    try:
        if args.out:
            check_out(args.out)
        config = read_config(args.config, parse_options(args.cfg_options))
        material = read_material(args.inputs)
        facts = trained_facts(config, args.checkpoint, args.classes)
        recipe, notes = choose_estimator(facts, args.estimator) if material.videos is not None else (None, [])
        for name, store in material.stores.items():
            notes += compare_estimators(facts, store.header.estimator, name)
        if not facts.classes:
            notes.append("the names of the signs are not known, so they are numbers; give them with --classes FILE")
        for note in notes:
            print(f"note: {note}", file=sys.stderr)
        trained = load_trained(config, args.checkpoint, args.device)
        with Display(0 if material.videos is None else len(material.videos)) as display:
            recognised, failed = recognise(trained, material, facts, recipe, args.top, display.advance)
        if args.out and recognised:
            info = {
                "config": args.config,
                "checkpoint": args.checkpoint,
                "names_from": facts.classes_from,
                "estimator": dict(recipe.info) if recipe else {},
            }
            write_recognised(args.out, recognised, failed, info)
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr)
        return 130
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    show(recognised, failed)
    if args.out and recognised:
        print(f"wrote {args.out}")
    return 1 if failed else 0


class Display:
    """A bar over the videos whose poses are extracted."""

    def __init__(self, videos: int) -> None:
        from rich.console import Console
        from rich.progress import Progress

        console = Console(stderr=True)
        self._bar = Progress(console=console, disable=not (videos and console.is_terminal), transient=True)
        self._task = self._bar.add_task("poses", total=videos)

    def __enter__(self) -> Display:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def advance(self) -> None:
        """After each video."""
        self._bar.advance(self._task)


def show(recognised: Sequence[Any], failed: Sequence[Any]) -> None:
    """One line a clip; then the videos that could not be used."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    several = len({one.input for one in (*recognised, *failed)}) > 1

    def named(one: Any) -> list[str]:
        return [escape(one.input), escape(one.clip)] if several else [escape(one.clip)]

    def table(title: str | None, *headings: str) -> Table:
        made = Table(title=title)
        for heading in (*(("input",) if several else ()), "clip", *headings):
            made.add_column(heading, overflow="fold", justify="right" if heading == "p" else "left")
        return made

    console = Console()
    if recognised:
        signs = table(None, "sign", "p", "or")
        for one in recognised:
            best, *others = one.signs
            rest = ", ".join(f"{guess.gloss} {guess.probability:.2f}" for guess in others)
            signs.add_row(*named(one), escape(best.gloss), f"{best.probability:.2f}", escape(rest))
        console.print(signs)
    if failed:
        reasons = table(f"{len(failed)} videos could not be used", "reason", "what was found")
        for one in failed:
            reasons.add_row(*named(one), one.reason, escape(one.message))
        console.print(reasons)


if __name__ == "__main__":
    sys.exit(main())
