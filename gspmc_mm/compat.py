"""Repairs that let the stock OpenMMLab wheels run on PyTorch 2.6 to 2.14, with or without a GPU.

Each repair names the versions that need it and how we will know that it can go. Nothing here changes
what a component computes. `apply()` is called once, when `gspmc_mm` is imported, before anything of
mmaction's models is touched.

| repair | needed by | can go when |
|---|---|---|
| `provide_missing_drn` | mmaction2 1.2.0 (PyPI wheel) | the wheel contains `mmaction/models/localizers/drn` |
| `skip_vindlu` | mmaction2 1.2.0 + transformers >= 5 | mmaction imports with the current transformers |
| `provide_missing_mmcv_ops` | mmcv-lite 2.1 with mmpose / mmdet | a full mmcv builds against current PyTorch |
| `load_local_checkpoint` | mmengine 0.10.7 + torch >= 2.6 | its own checkpoints load under weights_only |
| `load_http_checkpoint` | mmengine 0.10.7, which unpickles its downloads | mmengine downloads under weights_only |
| `PlainCheckpointHook` | mmengine 0.10.7 + torch >= 2.6 | mmengine saves only tensors and plain values |
| `DeviceAwareDistributedDataParallel` | mmengine 0.10.7 without a GPU | mmengine drops `device_ids` on the CPU |
| `init_cpu_process_group` | mmengine 0.10.7 without a GPU | `--launcher pytorch` no longer calls `cuda.set_device` |
"""

from __future__ import annotations

import errno
import importlib.util
import os
import pickle
import sys
import types
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import barrier, get_dist_info
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer
from mmengine.model import MMDistributedDataParallel
from mmengine.registry import HOOKS, MODEL_WRAPPERS
from mmengine.runner import CheckpointLoader
from mmengine.runner import checkpoint as mmengine_checkpoint
from mmengine.utils.dl_utils import load_url

# How a HistoryBuffer is written as plain values; the key marks the dict on the way back.
_BUFFER_KEY = "history_buffer"


class UnsafeCheckpointError(pickle.UnpicklingError, ValueError):
    """A checkpoint holds more than tensors and plain values; loading it could run code."""


def _stand_in(name: str, message: str) -> type:
    """A class `name` that raises `message` as soon as somebody uses it."""

    def refuse(self: object, *args: object, **kwargs: object) -> None:
        raise ImportError(message)

    return type(name, (torch.nn.Module,), {"__init__": refuse, "__doc__": message})


def _package_folder(package: str) -> Path | None:
    """The folder of an installed package, found without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def provide_missing_drn() -> bool:
    """Stand in for `mmaction.models.localizers.drn`, which the wheel of mmaction2 1.2.0 lacks.

    Without it `import mmaction.models` fails. DRN is a temporal localizer that nothing here uses; who
    builds it gets an ImportError that says so. Returns whether a stand-in was put in place.
    """
    folder = _package_folder("mmaction")
    if folder is None or (folder / "models" / "localizers" / "drn").is_dir():
        return False
    package = "mmaction.models.localizers.drn"
    if package in sys.modules:
        return False
    outer, inner = types.ModuleType(package), types.ModuleType(f"{package}.drn")
    outer.__path__ = []  # a package, so that `from .drn.drn import DRN` resolves
    inner.DRN = _stand_in(
        "DRN",
        "DRN is missing in the mmaction2 1.2.0 wheel; install mmaction2 from source to use it.",
    )
    outer.drn = inner
    sys.modules[package], sys.modules[f"{package}.drn"] = outer, inner
    return True


def skip_vindlu() -> None:
    """Keep mmaction2 1.2.0 from importing its video-text models, which break on transformers 5.

    Its `models.multimodal` imports names that transformers has dropped since, and takes every other model down
    with it. Nothing here uses those models; a multilingual CLIP tower needs a current transformers.
    """
    from mmaction.utils import dependency

    dependency.WITH_MULTIMODAL = False


def provide_missing_mmcv_ops() -> bool:
    """Stand in for the one compiled operator that mmpose and mmdet import by name.

    mmcv builds no compiled operators against a current PyTorch and mmcv-lite ships none. HRNet needs
    none either, but importing mmpose reaches `mmcv.ops.MultiScaleDeformableAttention`. A full mmcv is
    left alone. Returns whether a stand-in was put in place.
    """
    folder = _package_folder("mmcv")
    # mmcv-lite ships the Python side of `mmcv/ops` too; what it lacks is the compiled `mmcv._ext`.
    if folder is None or any(folder.glob("_ext*")) or "mmcv.ops" in sys.modules:
        return False
    ops = types.ModuleType("mmcv.ops")
    message = "needs a full mmcv with compiled operators; mmcv-lite is installed."
    for path, name in (
        ("multi_scale_deform_attn", "MultiScaleDeformableAttention"),
        ("roi_align", "RoIAlign"),
    ):
        operator = _stand_in(name, f"mmcv.ops.{name} {message}")
        module = types.ModuleType(f"mmcv.ops.{path}")
        setattr(module, name, operator)
        setattr(ops, name, operator)
        setattr(ops, path, module)
        sys.modules[f"mmcv.ops.{path}"] = module
    ops.__path__ = []
    sys.modules["mmcv.ops"] = ops
    return True


def _harmless_types() -> list[Any]:
    """What mmengine's own checkpoints hold beside tensors: records of numbers, no code.

    numpy's pickles name functions of `numpy.core` (numpy 1) or `numpy._core` (numpy 2); both rebuild
    plain arrays. An array of dtype object cannot come through: its elements are unpickled under the
    same restriction.
    """
    core = np._core if hasattr(np, "_core") and hasattr(np._core, "multiarray") else np.core
    multiarray = core.multiarray
    allowed: list[Any] = [HistoryBuffer, np.ndarray, np.dtype]
    allowed += [type(np.dtype(kind)) for kind in ("f8", "f4", "i8", "i4", "u1", "bool")]
    for function in (multiarray._reconstruct, multiarray.scalar):
        allowed.append((function, f"numpy.core.multiarray.{function.__name__}"))
        allowed.append((function, f"numpy._core.multiarray.{function.__name__}"))
    # A HistoryBuffer refers to its own statistics methods through getattr; numpy writes the bytes of an
    # array as encoded text. Both are replaced by functions that do just that.
    allowed.append((_statistics_method, "builtins.getattr"))
    allowed.append((_encode_text, "_codecs.encode"))
    return allowed


def _statistics_method(owner: type, name: str) -> Any:
    """`getattr` for the statistics methods of HistoryBuffer and for nothing else."""
    if owner is not HistoryBuffer or name not in ("min", "max", "current", "mean", "statistics"):
        raise pickle.UnpicklingError(f"GLOBAL getattr({owner!r}, {name!r}) is not allowed")
    return getattr(HistoryBuffer, name)


def _encode_text(text: str, encoding: str) -> bytes:
    """What `_codecs.encode` does in numpy's pickles, for text to bytes only."""
    return text.encode(encoding)


def load_local_checkpoint(filename: str, map_location: Any = None) -> dict:
    """Load a checkpoint file under `weights_only=True`.

    Our own checkpoints hold tensors and plain values only. Checkpoints written by a stock mmengine hold
    its log buffers too; they are let through by name. Anything else is refused, unread.

    Args:
        filename: Path of the file.
        map_location: As in `torch.load`.

    Raises:
        FileNotFoundError: There is no such file.
        UnsafeCheckpointError: The file holds objects whose loading could execute code.
        ValueError: The file is no checkpoint, or is cut off.
    """
    path = Path(filename).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint {path} does not exist; training writes its checkpoints to the work_dir.")
    with _guarded(str(path), "Take an earlier one of the same work_dir."):
        return torch.load(path, map_location=map_location, weights_only=True)


def load_http_checkpoint(
    filename: str, map_location: Any = None, model_dir: str | None = None, progress: bool = False
) -> dict:
    """Download a checkpoint, rank 0 first, and load it under `weights_only=True`.

    mmengine's own loader would unpickle whatever it has downloaded. It stands behind http:// and https://, and behind
    the names of model zoos (openmmlab://, torchvision://, mmcls://).

    Args:
        filename: The URL.
        map_location: As in `torch.load`.
        model_dir: Where the file is kept; torch's hub folder by default.
        progress: Whether to show a progress bar.

    Raises:
        UnsafeCheckpointError: The file holds objects whose loading could execute code.
        ValueError: The file is no checkpoint, or is cut off.
    """
    rank, _ = get_dist_info()
    if rank > 0:
        barrier()
    try:
        with _guarded(filename, "Remove the copy that torch's hub folder keeps and try again."):
            return load_url(
                filename,
                model_dir=model_dir,
                map_location=map_location,
                progress=progress,
                weights_only=True,
            )
    finally:
        if rank == 0:
            barrier()


@contextmanager
def _guarded(name: str, advice: str) -> Iterator[None]:
    """Let mmengine's harmless types through `torch.load`, and say in our words what went wrong."""
    try:
        with torch.serialization.safe_globals(_harmless_types()):
            yield
    except pickle.UnpicklingError as error:
        lines = [line.strip() for line in str(error).split("\n") if line.strip()]
        if any("Unsupported operand" in line for line in lines):  # no pickle of torch.save at all
            reason = next(line for line in lines if "Unsupported operand" in line)
            raise ValueError(_unreadable(name, reason, advice)) from error
        reason = next((line for line in lines if "global" in line.lower()), lines[0])
        raise UnsafeCheckpointError(
            f"checkpoint {name} was refused: it holds more than tensors and plain values, and loading it "
            f"could execute code ({reason}). Nothing of it was run. If you trust where it comes from, "
            "load it yourself with torch.load(..., weights_only=False) and save its state_dict alone."
        ) from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise  # not to be read, or not to be reached: the system's own words are the clearest
        # Bytes that are no checkpoint make the unpickler stumble in any way there is.
        raise ValueError(_unreadable(name, str(error) or type(error).__name__, advice)) from error


def _unreadable(name: str, reason: str, advice: str) -> str:
    """The words for a file that cannot be a whole checkpoint."""
    return f"checkpoint {name} cannot be read ({reason}): the file is cut off or is no checkpoint. {advice}"


# What weights_only lets through; a subclass of them (an enum, a named tuple) is pickled as a call of its class.
_PLAIN = (type(None), bool, int, float, complex, str, bytes, torch.Size, torch.dtype, torch.device)

# Records for a reader: nothing is computed from them, so their text is enough where weights_only knows no other form.
_RECORDS = ("meta", "message_hub")


def _to_plain(value: Any, where: str = "") -> Any:
    """Numpy values, buffers and odd containers as what weights_only lets through.

    Args:
        value: Any part of a checkpoint.
        where: Its keys, joined by dots. Below `meta` and `message_hub` any other value becomes its text.

    Raises:
        TypeError: A value elsewhere that could not be read again.
    """
    if isinstance(value, HistoryBuffer):
        log, count = value.data
        return {
            _BUFFER_KEY: True,
            "log": torch.as_tensor(np.asarray(log, dtype=np.float64)),
            "count": torch.as_tensor(np.asarray(count, dtype=np.float64)),
            "max_length": value.max_length,
        }
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, Counter):  # the milestones of a MultiStepLR
        return Counter(_plain_items(value, where))
    if isinstance(value, OrderedDict):
        return OrderedDict(_plain_items(value, where))
    if isinstance(value, Mapping):
        return dict(_plain_items(value, where))
    if type(value) in _PLAIN or isinstance(value, torch.Tensor):
        return value
    for container in (tuple, list, set):
        if isinstance(value, container):
            return container(_to_plain(item, f"{where}.{number}") for number, item in enumerate(value))
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if where.split(".")[0] in _RECORDS:
        return str(value)
    raise TypeError(
        f"checkpoint: {where} is {value!r} of type {type(value).__name__}, which could not be read again under "
        "weights_only; write it as tensors, numbers, texts, lists and dicts"
    )


def _plain_items(value: Mapping, where: str) -> dict[Any, Any]:
    """The items of a mapping, keys and values plain."""
    return {_to_plain(key, where): _to_plain(item, f"{where}.{key}") for key, item in value.items()}


def _from_plain(value: Any) -> Any:
    """The reverse of `_to_plain` for the message hub: buffers become HistoryBuffer again."""
    if isinstance(value, Mapping) and value.get(_BUFFER_KEY) is True:
        return HistoryBuffer(value["log"].tolist(), value["count"].tolist(), value["max_length"])
    return value


@HOOKS.register_module()
class PlainCheckpointHook(Hook):
    """Write checkpoints that hold tensors and plain values only; read them back.

    mmengine keeps HistoryBuffer and numpy objects in the `message_hub` of a checkpoint and data-set
    metainfo of any type in its `meta` (and in the hub). Both are made plain before saving, what has no plain form by
    its text; the buffers are built again after loading, so that `--resume` continues the log.

    Raises:
        TypeError: At saving, when another entry of the checkpoint holds what could not be loaded again.
    """

    priority = "VERY_LOW"  # after every hook that still adds something to the checkpoint

    def before_save_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Make everything but the weights and optimizer state plain."""
        for key in checkpoint:
            if key not in ("state_dict", "optimizer"):
                checkpoint[key] = _to_plain(checkpoint[key], key)

    def after_load_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Give the message hub its buffers back."""
        hub = checkpoint.get("message_hub")
        if hub is not None:
            hub["log_scalars"] = OrderedDict((key, _from_plain(value)) for key, value in hub["log_scalars"].items())


@MODEL_WRAPPERS.register_module()
class DeviceAwareDistributedDataParallel(MMDistributedDataParallel):
    """mmengine's DDP wrapper that also runs on the CPU.

    mmengine passes `device_ids` whatever the device, and DDP refuses them for a module on the CPU. Name it
    in a config: `model_wrapper_cfg=dict(type='DeviceAwareDistributedDataParallel')`.
    """

    def __init__(self, module: torch.nn.Module, device_ids: Any = None, **kwargs: Any) -> None:
        on_cpu = all(parameter.device.type == "cpu" for parameter in module.parameters())
        super().__init__(module=module, device_ids=None if on_cpu else device_ids, **kwargs)


def init_cpu_process_group(launcher: str) -> bool:
    """Join the process group with gloo when a distributed launcher runs on a machine without a GPU.

    mmengine's `--launcher pytorch` calls `torch.cuda.set_device` at once; a group that exists already is
    taken as it is. Returns whether a group was made.
    """
    if launcher == "none" or torch.cuda.is_available():
        return False
    if launcher != "pytorch":
        raise ValueError(
            f"--launcher {launcher} needs a GPU; on a machine without one use --launcher pytorch "
            "(tools/dist_train.sh does)."
        )
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("gloo")
    return True


def apply() -> None:
    """Put every repair that works by patching in place. Safe to call more than once."""
    provide_missing_drn()
    skip_vindlu()
    provide_missing_mmcv_ops()
    # mmengine reads every local checkpoint through the scheme with the empty prefix.
    CheckpointLoader.register_scheme(prefixes="", loader=load_local_checkpoint, force=True)
    CheckpointLoader.register_scheme(prefixes=["http://", "https://"], loader=load_http_checkpoint, force=True)
    # openmmlab://, torchvision://, mmcls:// and their older names look up an address and call this by name.
    mmengine_checkpoint.load_from_http = load_http_checkpoint
