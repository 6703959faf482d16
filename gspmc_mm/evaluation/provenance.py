"""What is written next to every result, so that it can be believed and repeated."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

_PACKAGES = ("numpy", "torch", "mmengine", "mmaction2", "mmcv-lite", "mmcv")
# Files named in a config whose content decides what comes out of a run.
_INPUT_SUFFIXES = frozenset({".arrow", ".safetensors", ".pkl", ".json", ".npz", ".pth"})
_CHUNK = 1 << 20


def gather_provenance(
    *,
    seed: int | list[int] | None = None,
    data: Mapping[str, str] | None = None,
    command: str | None = None,
) -> dict[str, Any]:
    """Facts about this run, ready for JSON.

    Args:
        seed: The seed or seeds that the result rests on.
        data: Fingerprints by name or path, e.g. from `config_inputs`.
        command: The command line; this process's own by default.

    Returns:
        `time` (UTC, ISO 8601), `command`, `seed`, `data`, `versions` (python, gspmc_mm and the
        packages that matter, those that are installed), `git` (`commit`, `modified`; None where
        the package is not run from a checkout) and `host` (system, processor, cores, GPUs).
    """
    return {
        "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "command": shlex.join(sys.argv) if command is None else command,
        "seed": seed,
        "data": dict(data or {}),
        "versions": package_versions(),
        "git": git_state(),
        "host": {
            "system": platform.platform(),
            "cpu": _cpu_name(),
            "cores": os.cpu_count(),
            "gpus": _gpu_names(),
        },
    }


def origin(facts: Mapping[str, Any]) -> str:
    """Commit, machine and versions of `gather_provenance` in one line."""
    git, host, versions = facts["git"], facts["host"], facts["versions"]
    commit = "none" if not git else f"{git['commit'][:9]}{' with changes' if git.get('modified') else ''}"
    machine = ", ".join(host["gpus"]) or f"{host['cpu']}, {host['cores']} cores"
    return f"commit {commit} · {machine} · PyTorch {versions.get('torch', '-')}, Python {versions.get('python', '-')}"


def origins(records: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The different origins of recorded runs (`fold.json`), those without one left out."""
    return tuple(dict.fromkeys(origin(record["provenance"]) for record in records if "provenance" in record))


def package_versions() -> dict[str, str]:
    """Versions of Python, of this package and of the packages that decide its results."""
    import gspmc_mm

    versions = {"python": platform.python_version(), "gspmc_mm": gspmc_mm.__version__}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def git_state() -> dict[str, Any] | None:
    """Commit of the checkout that this package runs from, or None where it is none.

    `modified` says whether anything but `docs/` differs from the commit: the results are written there, and one of
    them does not change how the next comes about.
    """
    package = Path(__file__).resolve().parents[1]

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", str(package), *arguments], capture_output=True, text=True, timeout=20)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    top = git("rev-parse", "--show-toplevel")
    # An installed copy may lie inside somebody else's repository: its commit says nothing here.
    if top is None or Path(top).resolve() / package.name != package:
        return None
    commit = git("rev-parse", "HEAD")
    if commit is None:
        return None
    return {"commit": commit, "modified": bool(git("status", "--porcelain", "--", ":/", ":(top,exclude)docs"))}


def fingerprint(path: str | os.PathLike[str]) -> str:
    """Identity of a data file's content.

    A pose store (`.arrow`, or a folder of them) says its own; any other file is hashed.

    Raises:
        FileNotFoundError: There is no such file, or the folder is no pose store.
    """
    path = Path(path)
    if path.suffix == ".arrow" or (path.is_dir() and any(path.glob("*.arrow"))):
        from gspmc_mm.poses import PoseStore

        return str(PoseStore(path).fingerprint)
    if not path.is_file():
        raise FileNotFoundError(f"no data file at {path}: nothing to take a fingerprint of")
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"


def config_inputs(config: Mapping[str, Any]) -> dict[str, str]:
    """Fingerprints of the existing data files that a config names (stores, banks, checkpoints).

    Args:
        config: A config as nested dicts and lists.

    Returns:
        Fingerprint by path, in the order of the paths.
    """
    paths = {
        text
        for text in _strings(config)
        if (Path(text).suffix in _INPUT_SUFFIXES and Path(text).is_file())
        or (os.sep in text and Path(text).is_dir() and any(Path(text).glob("*.arrow")))
    }
    return {path: fingerprint(path) for path in sorted(paths)}


def config_hash(config: Mapping[str, Any]) -> str:
    """SHA-256 of a config's values, whatever the order of its keys; without what changes no result, see `_decisive`."""
    text = json.dumps(_decisive(config), sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _decisive(value: Any) -> Any:
    """Settings without the `cache` of data sets, which only makes the same batches faster."""
    if isinstance(value, Mapping):
        is_dataset = value.get("type") == "SignPoseDataset"
        return {key: _decisive(item) for key, item in value.items() if not (is_dataset and key == "cache")}
    if isinstance(value, (list, tuple)):
        return [_decisive(item) for item in value]
    return value


def current_run_info() -> dict[str, Any]:
    """What mmengine knows about the run in this process: config hash, checkpoint, place, epoch, splits.

    `split` is that of the validation or test which is going on, `train_split` and `train_data` (fingerprints by path)
    are what the network was trained on, where its checkpoint says so: weights of a fusion may be fitted on neither a
    test nor on clips that were trained on.

    Empty outside of an mmengine runner.
    """
    from mmengine.config import Config
    from mmengine.logging import MessageHub

    hub = MessageHub.get_current_instance()
    text = hub.get_info("cfg")
    if not text:
        return {}
    config = Config.fromstring(text, file_format=".py").to_dict()
    checkpoint = config.get("load_from")
    info: dict[str, Any] = {
        "config_sha256": config_hash(config),
        "work_dir": config.get("work_dir"),
        "checkpoint": checkpoint,
        "epoch": hub.get_info("epoch"),
        "seed": hub.get_info("seed"),
        "split": " + ".join(loader_splits(config.get(f"{hub.get_info('loop_stage')}_dataloader"))) or None,
    }
    trainings = []
    if checkpoint and Path(checkpoint).is_file():
        info["checkpoint_sha256"] = fingerprint(checkpoint).removeprefix("sha256:")
        trainings.append(_train_loader_of(checkpoint))
    if hub.get_info("loop_stage") == "val":  # a validation on the way: this very training
        trainings.append(config.get("train_dataloader"))
    info["train_split"] = " + ".join(dict.fromkeys(split for one in trainings for split in loader_splits(one))) or None
    info["train_data"] = config_inputs({"trainings": trainings}) or None
    return {key: value for key, value in info.items() if value is not None}


def _train_loader_of(checkpoint: str) -> Mapping[str, Any] | None:
    """The training loader in the config that mmengine keeps in a checkpoint; None in one that holds weights alone."""
    from mmengine.config import Config
    from mmengine.runner.checkpoint import CheckpointLoader

    content = CheckpointLoader.load_checkpoint(checkpoint, map_location="cpu", logger="silent")
    text = (content.get("meta") or {}).get("cfg")
    if not isinstance(text, str):
        return None
    return Config.fromstring(text, file_format=".py").to_dict().get("train_dataloader")


def loader_splits(dataset: Any) -> Iterator[str]:
    """The splits that a loader's config names, under any wrappers of its data sets."""
    if isinstance(dataset, Mapping):
        split = dataset.get("split")
        if split is not None:
            yield from [split] if isinstance(split, str) else split
        for inner in [dataset.get("dataset"), *(dataset.get("datasets") or ())]:
            yield from loader_splits(inner)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)


def _cpu_name() -> str:
    facts = Path("/proc/cpuinfo")  # Linux; elsewhere platform knows the name
    if facts.is_file():
        for line in facts.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _gpu_names() -> list[str]:
    import torch

    if not torch.cuda.is_available():
        return []
    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
