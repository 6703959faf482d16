"""What the command lines that start an mmengine Runner share."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmengine.config import Config

from gspmc_mm.compat import UnsafeCheckpointError, init_cpu_process_group
from gspmc_mm.datasets import PoseDataError
from gspmc_mm.descriptions import TextBankError
from gspmc_mm.evaluation import PredictionsError
from gspmc_mm.poses import PoseStoreError
from gspmc_mm.skeleton import LayoutError

# What a user can mend; anything else is a fault of the program, of which the traceback is wanted.
MISTAKES = (
    FileNotFoundError,
    LayoutError,
    PoseDataError,
    PoseStoreError,
    PredictionsError,
    TextBankError,
    UnsafeCheckpointError,
)


@contextmanager
def mistakes_told() -> Iterator[None]:
    """End the program with the sentence of a mistake that the user can mend, without a traceback before it.

    Raises:
        SystemExit: One of `MISTAKES` was raised inside.
    """
    try:
        yield
    except MISTAKES as error:
        raise SystemExit(f"error: {error}") from error


def distributed_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what torchrun and Slurm need."""
    parser.add_argument(
        "--launcher",
        choices=["none", "pytorch", "slurm", "mpi"],
        default="none",
        help="job launcher",
    )
    parser.add_argument(
        "--local_rank",
        "--local-rank",
        type=int,
        default=0,
        help="set by old launchers; torchrun does not",
    )


def config_from_arguments(arguments: argparse.Namespace) -> Config:
    """Read the config, apply --cfg-options, --work-dir and --launcher, join the process group.

    Raises:
        SystemExit: The file does not exist.
    """
    if not Path(arguments.config).is_file():
        raise SystemExit(f"config {arguments.config} does not exist; see configs/ for what there is")
    os.environ.setdefault("LOCAL_RANK", str(arguments.local_rank))
    cfg = Config.fromfile(arguments.config)
    if arguments.cfg_options:
        cfg.merge_from_dict(arguments.cfg_options)
    cfg.launcher = arguments.launcher
    if arguments.work_dir is not None:
        cfg.work_dir = arguments.work_dir
    elif cfg.get("work_dir") is None:
        cfg.work_dir = str(Path("work_dirs") / Path(arguments.config).stem)
    init_cpu_process_group(arguments.launcher)
    return cfg
