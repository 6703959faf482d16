"""Accuracy of one or several networks on clips that something has happened to: noise, lost points, hidden parts, ...

    python tools/analysis/robustness.py CONFIG CKPT [CONFIG2 CKPT2 ...] --work-dir DIR

CKPT is a checkpoint, or a folder VARIANT/seedS of tools/analysis/signer_folds.py: then the network of every fold is
tested on the signers that it has not seen, and the clips are pooled. All networks see the same corrupted clips. The
predictions of every cell (corruption, severity) are kept in DIR/NAME; the same command goes on where it was stopped.
Written: DIR/robustness.json, .md, .png and .svg. The exit status is 0 only when every cell was measured.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def wide_console():
    """Standard output; wide enough for the tables where it is a file."""
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=200)


class ListCorruptions(argparse.Action):
    """Prints what there is and stops, as `--help` does."""

    def __call__(self, parser: argparse.ArgumentParser, *found: object) -> None:
        """Print the table."""
        from rich.table import Table

        from gspmc_mm.evaluation.corruptions import CORRUPTIONS

        table = Table()
        for heading in ("name", "what", "severity", "measured by default"):
            table.add_column(heading)
        for name, entry in CORRUPTIONS.items():
            table.add_row(name, entry.title, entry.unit, ", ".join(f"{value:g}" for value in entry.severities))
        wide_console().print(table)
        parser.exit()


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "networks", nargs="+", metavar="CONFIG CKPT", help="pairs; the first is what others stand beside"
    )
    parser.add_argument("--work-dir", type=Path, required=True)
    parser.add_argument("--names", nargs="+", help="what tables call the networks; default: the names of the configs")
    parser.add_argument(
        "--corruptions",
        nargs="+",
        default=[],
        metavar="NAME[=S,S]",
        help="only these, with these severities; --list says which there are",
    )
    parser.add_argument(
        "--list", action=ListCorruptions, nargs=0, help="list the corruptions and their severities, and stop"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the corruptions; default: %(default)s")
    parser.add_argument("--device", help="default: the GPU if any")
    parser.add_argument("--title", default="Robustness", help="default: %(default)s")
    parser.add_argument("--data", help="name of the data set and split; default: the config's ann_file and split")
    parser.add_argument(
        "--json",
        type=Path,
        metavar="docs/results/NAME.json",
        help="write the record here too, and the figure beside it, for the page of results",
    )
    parser.add_argument(
        "--cfg-options", nargs="+", default=[], metavar="k=v", help="settings of all configs to override"
    )
    args = parser.parse_args(argv)
    if len(args.networks) % 2:
        parser.error("give pairs: CONFIG CKPT [CONFIG2 CKPT2 ...]")
    if args.names is not None and len(args.names) != len(args.networks) // 2:
        parser.error(f"{len(args.networks) // 2} networks and {len(args.names)} --names")
    return args


def main(argv: list[str] | None = None) -> int:
    """Measure and report; 0 when every cell was measured."""
    args = parse_args(argv)
    # after the arguments are read: the package brings torch with it, --help does not need it
    from rich.console import Console

    from gspmc_mm.evaluation.experiments.planning import parse_options
    from gspmc_mm.evaluation.robustness import find_contender, plan_cells

    try:
        cells = plan_cells(args.corruptions)
        pairs = list(zip(args.networks[::2], args.networks[1::2], strict=True))
        names = args.names or distinct_names(pairs)
        if len(set(names)) != len(names):
            raise ValueError(f"two networks are called the same: {', '.join(names)}; tell them apart with --names")
        options = parse_options(args.cfg_options)
        contenders = [
            find_contender(name, config, checkpoint, options)
            for name, (config, checkpoint) in zip(names, pairs, strict=True)
        ]
        return measure(args, contenders, cells, Console(stderr=True))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130


def distinct_names(pairs: list[tuple[str, str]]) -> list[str]:
    """Names of the configs; with the checkpoint's place where a config comes more than once."""
    stems = [Path(config).stem for config, _ in pairs]
    return [
        stem if stems.count(stem) == 1 else f"{stem}_{Path(checkpoint).parent.name}_{Path(checkpoint).stem}"
        for stem, (_, checkpoint) in zip(stems, pairs, strict=True)
    ]


def measure(args: argparse.Namespace, contenders: list, cells: list, console) -> int:
    """Measure what is not there yet, then write the table and the figure."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from gspmc_mm.evaluation.robustness import Measurement

    measured: dict[str, dict] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        for contender in contenders:
            possible = [cell for cell in cells if contender.why_not(cell) is None]
            measurement = Measurement(contender, args.work_dir / contender.name, args.seed, args.device)
            kept = {cell: found for cell in possible if (found := measurement.kept(cell)) is not None}
            left = [cell for cell in possible if cell not in kept]
            console.print(f"{contender.name}: {len(possible)} cells, {len(kept)} of them measured before")
            measured[contender.name] = kept
            if not left:
                continue
            bar = progress.add_task(contender.name, total=measurement.clips * len(left))
            for cell in left:
                progress.update(bar, description=f"{contender.name}: {cell.title}")
                kept[cell] = measurement.measure(cell, advance_of(progress, bar))
            measured[contender.name] = {cell: kept[cell] for cell in possible}
            progress.update(bar, description=contender.name)
    report(args, contenders, measured, cells)
    return 0


def advance_of(progress, bar):
    """What moves a bar on by some clips."""

    def advance(clips: int) -> None:
        progress.advance(bar, clips)

    return advance


def report(args: argparse.Namespace, contenders: list, measured: dict, cells: list) -> None:
    """Print the table, write it with its record, and draw it."""
    from rich.table import Table
    from severity_panels import severity_panels

    from gspmc_mm.evaluation.provenance import config_inputs, gather_provenance
    from gspmc_mm.evaluation.results import write_record
    from gspmc_mm.evaluation.robustness_report import (
        robustness_header,
        robustness_markdown,
        robustness_record,
        robustness_rows,
    )
    from gspmc_mm.files import write_text
    from gspmc_mm.visualization.severity import draw_severity

    data = {}
    for contender in contenders:
        for run in contender.runs:
            data |= config_inputs({"test": run.config.test_dataloader.to_dict(), "checkpoint": str(run.checkpoint)})
    record = robustness_record(
        contenders,
        measured,
        cells,
        title=args.title,
        data=args.data or describe_data(contenders[0]),
        provenance=gather_provenance(seed=args.seed, data=data),
    )
    console = wide_console()
    table = Table(title=f"{record.title}: {record.data}")
    for heading in robustness_header(record):
        table.add_column(heading)
    for row in robustness_rows(record):
        table.add_row(*row)
    console.print(table)
    for text in filter(None, (record.independence, record.note)):
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    out = args.work_dir / "robustness"
    written = [write_record(f"{out}.json", record), write_text(f"{out}.md", robustness_markdown(record))]
    panels = severity_panels(record)
    written += draw_severity(panels, out, title=f"{record.title}: {record.data}")
    if args.json is not None:
        picture = args.json.with_suffix("")
        draw_severity(panels, picture, title=f"{record.title}: {record.data}")
        figure = f"{args.json.parent.name}/{args.json.stem}.svg"  # relative to docs/, where the page lies
        written.append(write_record(args.json, record.model_copy(update={"figures": (figure,)})))
    for path in written:
        console.print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)


def describe_data(contender) -> str:
    """The test data of a contender in a few words."""
    sets = [run.config.test_dataloader.dataset for run in contender.runs]
    splits = list(dict.fromkeys(str(one.get("split")) for one in sets))
    words = " + ".join(splits) if len(splits) < 3 else f"{splits[0]} to {splits[-1]} pooled"
    return f"{sets[0].get('ann_file')}, {words}"


if __name__ == "__main__":
    sys.exit(main())
