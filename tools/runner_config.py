"""What the command lines that start an mmengine Runner share."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from mmengine.config import Config

from gspmc_mm.compat import init_cpu_process_group


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
