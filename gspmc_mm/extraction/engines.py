"""Choosing where the work is done."""

from __future__ import annotations

import copy
import os
from dataclasses import replace

from gspmc_mm.extraction.clip_work import Recipe
from gspmc_mm.extraction.errors import ExtractionError
from gspmc_mm.extraction.ray_actors import RayEngine
from gspmc_mm.extraction.stations import make_station
from gspmc_mm.extraction.worker_pool import Engine, LocalPool

#: Clips that a station with one network gets at once: enough that the start of a piece, when the network has nothing to
#: do yet, does not count.
CLIPS_PER_PIECE = 32
# Decoding one clip may take its whole time; a station answers after that at the latest.
STATION_PATIENCE = 3.0


def local_engine(
    recipe: Recipe, workers: int | None = None, devices: tuple[str, ...] = (), timeout: float | None = None
) -> Engine:
    """Processes of this machine.

    Args:
        recipe: how clips are extracted.
        workers: processes that decode (for an estimator with independent frames: beside one process for each device)
            or that do all the work; None: one for each core that this process may use.
        devices: devices with a network each; none given: the estimator's own.
        timeout: seconds that one clip may take; None: no limit.
    """
    workers = workers or usable_cores()
    if not recipe.estimator.independent_frames:
        if len(devices) > 1:
            raise ExtractionError(f"{len(devices)} devices were named, but this estimator uses one; see --workers")
        return LocalPool([make_station(recipe, 1)] * workers, timeout=timeout)
    devices = devices or (recipe.estimator.device,)
    decoders = max(1, workers // len(devices))
    stations = [make_station(on_device(recipe, device), decoders, timeout) for device in devices]
    patience = None if timeout is None else STATION_PATIENCE * timeout
    return LocalPool(stations, piece=CLIPS_PER_PIECE, timeout=patience, threads=None)


def ray_engine(
    recipe: Recipe,
    workers: int | None = None,
    decoders: int = 4,
    address: str | None = None,
    timeout: float | None = None,
) -> Engine:
    """Actors of a Ray cluster: one with each GPU for a network on 'cuda', one on each CPU for the others.

    Args:
        recipe: how clips are extracted.
        workers: actors; None: as many as the cluster has room for.
        decoders: CPUs, and decoding processes, of an actor with independent frames.
        address: of the cluster; None: RAY_ADDRESS, or a Ray of its own on this machine.
        timeout: seconds that one clip may take; None: no limit.
    """
    independent = recipe.estimator.independent_frames
    return RayEngine(
        make_station(recipe, decoders, timeout),
        actors=workers,
        cpus=decoders if independent else 1,
        gpus=1 if recipe.estimator.device.startswith("cuda") else 0,
        piece=CLIPS_PER_PIECE if independent else 1,
        address=address,
        timeout=timeout,
    )


def on_device(recipe: Recipe, device: str) -> Recipe:
    """The same recipe with its estimator on a device."""
    estimator = copy.copy(recipe.estimator)
    estimator.device = device
    return replace(recipe, estimator=estimator)


def usable_cores() -> int:
    """Cores that this process may use, which in a container or a Slurm job are not all of the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
