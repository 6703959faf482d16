"""Make the synthsign data set (SYNTHETIC signs, no real language): poses.arrow, descriptions.json.

Example:
    python tools/data/synthsign.py --out data/synthsign --signs 40 --signers 12 --takes 4 --seed 0
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gspmc_mm.datasets.synthsign import (
    SIGNS,
    SynthSignSpec,
    dictionary_descriptions,
    generate,
    get_signs,
    signer_splits,
    ungrounded_descriptions,
)
from gspmc_mm.datasets.synthsign.preview import draw_preview
from gspmc_mm.descriptions import save_descriptions


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = SynthSignSpec()
    parser.add_argument("--out", type=Path, help="folder for poses.arrow and descriptions.json")
    parser.add_argument(
        "--signs",
        type=int,
        default=default.signs,
        help=f"the first N of {len(SIGNS)} signs (%(default)s)",
    )
    parser.add_argument("--signers", type=int, default=default.signers, help="(%(default)s)")
    parser.add_argument("--takes", type=int, default=default.takes, help="of each sign by each signer (%(default)s)")
    parser.add_argument("--seed", type=int, default=default.seed, help="(%(default)s)")
    parser.add_argument(
        "--noise",
        type=float,
        default=default.noise,
        help="factor on jitter, lost points and variation between takes (%(default)s)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    parser.add_argument("--preview", type=Path, metavar="PNG", help="draw frames of a few signs")
    parser.add_argument(
        "--stand-ins",
        type=Path,
        metavar="FOLDER",
        help="write descriptions_raw.json and descriptions_kb.json there: stand-ins by rules for the texts of Table 4",
    )
    args = parser.parse_args(argv)
    if args.out is None and args.preview is None and args.stand_ins is None:
        parser.error("nothing to do: give --out FOLDER, --preview PNG or --stand-ins FOLDER")
    return args


def main(argv: list[str] | None = None) -> int:
    """Run; 0 when everything asked for is there, 1 with a message when it could not be made."""
    args = parse_args(argv)
    console = Console(stderr=True)
    try:
        spec = SynthSignSpec(args.signs, args.signers, args.takes, args.seed, args.noise)
        if args.out is not None:
            words = sys.argv[1:] if argv is None else argv
            command = shlex.join(["tools/data/synthsign.py", *words])
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            with Progress(*columns, console=console) as progress:
                task = progress.add_task("synthetic clips", total=spec.clips)
                paths = generate(args.out, spec, command, args.overwrite, lambda: progress.advance(task))
            counts = ", ".join(f"{k} {len(v)}" for k, v in signer_splits(spec.signers).items())
            print(f"{spec.clips} clips of {spec.signs} SYNTHETIC signs; signers: {counts}")
            for path in paths:
                print(path)
        if args.stand_ins is not None:
            signs = get_signs(args.signs)
            for name, texts in (
                ("descriptions_raw.json", ungrounded_descriptions(signs, args.seed)),
                ("descriptions_kb.json", dictionary_descriptions(signs)),
            ):
                save_descriptions(texts, args.stand_ins / name)
                print(args.stand_ins / name)
        if args.preview is not None:
            print(draw_preview(args.preview, spec))
    except (ValueError, OSError) as error:
        console.print(f"[bold red]synthsign:[/] {error}", highlight=False)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
