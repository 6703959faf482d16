"""Many trainings as one experiment: planned, run, resumed and collected; signer folds and ablations are made of it."""

from .execution import Launcher, RunFailed, SlurmLauncher, TorchrunLauncher, locked, run_all, stop_on_sigterm
from .planning import ExperimentError, FoldRun, RunPlan, Variant, cosine_options, parse_variant, plan_runs

__all__ = [
    "ExperimentError",
    "FoldRun",
    "Launcher",
    "RunFailed",
    "RunPlan",
    "SlurmLauncher",
    "TorchrunLauncher",
    "Variant",
    "cosine_options",
    "locked",
    "parse_variant",
    "plan_runs",
    "run_all",
    "stop_on_sigterm",
]
