from __future__ import annotations

import builtins
import enum
import importlib.util
import os
import pickle
import random
import shutil
import sys
from collections import Counter, OrderedDict
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModel, MMDistributedDataParallel
from mmengine.runner import CheckpointLoader, Runner, load_checkpoint
from torch import nn

from gspmc_mm import compat
from gspmc_mm.compat import (
    DeviceAwareDistributedDataParallel,
    PlainCheckpointHook,
    UnsafeCheckpointError,
    init_cpu_process_group,
    load_local_checkpoint,
)

# ---- stand-ins ----

DRN = "mmaction.models.localizers.drn"


def wheel_lacks(package: str, *path: str) -> bool:
    return not Path(importlib.util.find_spec(package).origin).parent.joinpath(*path).exists()


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A pretended installation: `installed('mmcv', 'ops/nms.py')`; forgets the stand-ins in place."""
    for name in [n for n in sys.modules if n.startswith((DRN, "mmcv.ops"))]:
        monkeypatch.delitem(sys.modules, name)

    def install(package, *files):
        for file in files:
            (tmp_path / package / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / package / file).touch()
        monkeypatch.setattr(compat, "_package_folder", lambda name: tmp_path / name)

    yield install
    for name in [n for n in sys.modules if n.startswith((DRN, "mmcv.ops"))]:
        del sys.modules[name]


def test_mmaction_models_import_and_drn_refuses():
    import mmaction.models  # noqa: F401  fails with the bare wheel

    if not wheel_lacks("mmaction", "models", "localizers", "drn"):
        pytest.skip("this mmaction2 has DRN")
    from mmaction.models.localizers import DRN as stand_in

    with pytest.raises(ImportError, match="install mmaction2 from source"):
        stand_in(vocab_size=3)


def test_mmcv_operator_can_be_named_and_refuses():
    if list(Path(importlib.util.find_spec("mmcv").origin).parent.glob("_ext*")):
        pytest.skip("a full mmcv is installed")
    from mmcv.ops import MultiScaleDeformableAttention
    from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttention as same

    assert same is MultiScaleDeformableAttention
    with pytest.raises(ImportError, match="mmcv-lite is installed"):
        MultiScaleDeformableAttention(embed_dims=8)
    with pytest.raises(ImportError):
        from mmcv.ops import nms  # noqa: F401  no stand-in: nothing that we need names it


def test_a_full_mmcv_is_left_alone(installed):
    installed("mmcv", "ops/__init__.py", "_ext.cpython-311-x86_64-linux-gnu.so")
    assert not compat.provide_missing_mmcv_ops()
    assert "mmcv.ops" not in sys.modules


def test_mmcv_lite_gets_the_stand_in_though_it_has_a_folder_ops(installed):
    installed("mmcv", "ops/__init__.py", "ops/multi_scale_deform_attn.py")
    assert compat.provide_missing_mmcv_ops()
    assert not compat.provide_missing_mmcv_ops()  # once


def test_a_whole_mmaction_is_left_alone(installed):
    installed("mmaction", "models/localizers/drn/drn.py")
    assert not compat.provide_missing_drn()
    assert DRN not in sys.modules


def test_without_the_packages_nothing_is_made(monkeypatch, installed):
    monkeypatch.setattr(compat, "_package_folder", lambda name: None)
    assert not compat.provide_missing_drn()
    assert not compat.provide_missing_mmcv_ops()
    assert compat._package_folder("mmcv") is None


def test_apply_twice():
    before = {name for name in sys.modules if "drn" in name or "mmcv.ops" in name}
    compat.apply()
    assert {name for name in sys.modules if "drn" in name or "mmcv.ops" in name} == before


# ---- checkpoints that are read ----


class Code:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (builtins.open, (str(self.path), "w"))


class Attribute:
    """Unpickled, it is an attribute of a class."""

    def __init__(self, owner, name):
        self.owner, self.name = owner, name

    def __reduce__(self):
        return (getattr, (self.owner, self.name))


class Call:
    """Unpickled, it calls something harmless-looking with arguments of its choice."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return (self.function, self.arguments)


@pytest.mark.parametrize("new_format", [True, False])
def test_a_checkpoint_with_code_is_refused_and_nothing_runs(tmp_path, new_format):
    path, made = tmp_path / "bad.pth", tmp_path / "made"
    torch.save(
        {"state_dict": {"weight": torch.ones(2)}, "meta": Code(made)},
        path,
        _use_new_zipfile_serialization=new_format,
    )
    with pytest.raises(UnsafeCheckpointError, match="Nothing of it was run") as caught:
        load_local_checkpoint(path)
    assert str(path) in str(caught.value)
    assert "open" in str(caught.value)  # what it wanted to call
    with pytest.raises(UnsafeCheckpointError):
        load_checkpoint(nn.Linear(2, 2), str(path))  # the way of mmengine, its tools and mmaction's
    assert not made.exists()
    torch.load(path, weights_only=False)["meta"].close()
    assert made.exists()  # the bait is real


@pytest.mark.parametrize(
    "bait",
    [
        Attribute(HistoryBuffer, "__init__"),
        Attribute(np.ndarray, "tofile"),
        Attribute(HistoryBuffer, "_statistics_methods"),
        Call(eval, "1"),
        Call(os.getcwd),
        Call(np.load, "x.npy", None, True),
        np.array([Call(os.getcwd)], dtype=object),
    ],
    ids=["init", "tofile", "table", "eval", "os", "numpy", "object array"],
)
def test_what_is_let_through_is_no_way_around(tmp_path, bait):
    torch.save({"meta": bait}, tmp_path / "bad.pth")
    with pytest.raises(UnsafeCheckpointError):
        load_local_checkpoint(tmp_path / "bad.pth")


def test_downloads_are_guarded_too(tmp_path, monkeypatch):
    made = tmp_path / "made"
    torch.save({"weight": torch.ones(2)}, tmp_path / "good.pth")
    torch.save({"meta": Code(made)}, tmp_path / "bad.pth")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    monkeypatch.setattr(
        torch.hub,
        "download_url_to_file",
        lambda url, target, *_, **__: shutil.copy(tmp_path / url.rsplit("/", 1)[1], target),
    )
    for scheme in ("http", "https"):
        loaded = CheckpointLoader.load_checkpoint(f"{scheme}://example.org/good.pth", map_location="cpu")
        assert torch.equal(loaded["weight"], torch.ones(2))
        with pytest.raises(UnsafeCheckpointError, match=r"bad\.pth"):
            CheckpointLoader.load_checkpoint(f"{scheme}://example.org/bad.pth")
    assert not made.exists()


@pytest.mark.parametrize("zoo", ["openmmlab", "open-mmlab", "torchvision", "modelzoo", "mmcls"])
def test_names_of_model_zoos_are_guarded_too(tmp_path, monkeypatch, zoo):
    made = tmp_path / "made"
    torch.save({"state_dict": {"backbone.weight": torch.ones(2)}}, tmp_path / "good.pth")
    torch.save({"meta": Code(made)}, tmp_path / "bad.pth")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    monkeypatch.setattr(
        torch.hub,
        "download_url_to_file",
        lambda url, target, *_, **__: shutil.copy(tmp_path / url.rsplit("/", 1)[1], target),
    )
    addresses = {name: f"https://example.org/{name}.pth" for name in ("good", "bad")}
    for table in ("get_external_models", "get_torchvision_models", "get_mmcls_models"):
        monkeypatch.setattr(f"mmengine.runner.checkpoint.{table}", lambda: addresses)
    loaded = CheckpointLoader.load_checkpoint(f"{zoo}://good", map_location="cpu")
    (weight,) = loaded["state_dict"].values()  # mmcls takes the prefix off
    assert torch.equal(weight, torch.ones(2))
    with pytest.raises(UnsafeCheckpointError, match=r"bad\.pth"):
        CheckpointLoader.load_checkpoint(f"{zoo}://bad")
    assert not made.exists()


def test_truncated_checkpoint(tmp_path):
    path = tmp_path / "epoch_3.pth"
    torch.save({"state_dict": {"weight": torch.randn(100, 100)}}, path)
    whole = path.read_bytes()
    for size in (0, 1, 10, 1000, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"epoch_3.pth cannot be read .* cut off or is no checkpoint"):
            load_local_checkpoint(path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_files_that_are_no_checkpoint(tmp_path):
    path, rng = tmp_path / "x.pth", random.Random(0)
    contents = [b"a note, not a checkpoint", b"\x80\x02}q\x00.", *(rng.randbytes(200) for _ in range(60))]
    for content in contents:
        path.write_bytes(content)
        with pytest.raises((ValueError, UnsafeCheckpointError), match=r"x\.pth"):
            load_local_checkpoint(path)


def test_missing_checkpoint(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.pth does not exist"):
        load_local_checkpoint(tmp_path / "absent.pth")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load_local_checkpoint(tmp_path)


def test_home_folder_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    torch.save({"a": 1}, tmp_path / "x.pth")
    assert load_local_checkpoint("~/x.pth") == {"a": 1}


# ---- checkpoints that are written ----


class Toy(BaseModel):
    """The smallest model that a Runner trains."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 1)

    def forward(self, inputs, mode="tensor"):
        y = self.linear(inputs if torch.is_tensor(inputs) else torch.stack(inputs)).mean()
        return {"loss": y**2, "figure": y} if mode == "loss" else y


class Data(torch.utils.data.Dataset):
    """Four samples, with meta information of many types."""

    def __init__(self, **more):
        self.metainfo = {
            "classes": ("a", "b"),
            "mean": np.array([0.5, 1.5]),
            "count": np.int64(3),
            **more,
        }

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return {"inputs": torch.full((2,), float(index))}


def train(work_dir, epochs, hooks=(), resume=False, **meta):
    """A Runner after its training; checkpoints `epoch_N.pth` in the folder."""
    torch.manual_seed(0)
    runner = Runner(
        model=Toy(),
        work_dir=str(work_dir),
        train_dataloader={
            "batch_size": 2,
            "num_workers": 0,
            "sampler": {"type": "DefaultSampler", "shuffle": False},
            "dataset": Data(**meta),
        },
        train_cfg={"by_epoch": True, "max_epochs": epochs},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9}},
        param_scheduler={"type": "MultiStepLR", "milestones": [1, 3], "end": 9},
        default_hooks={"logger": {"type": "LoggerHook", "interval": 1}},
        custom_hooks=list(hooks),
        resume=resume,
        default_scope="mmengine",
        experiment_name=f"{work_dir.name}_{epochs}_{resume}",
        cfg=ConfigDict(work_dir=str(work_dir)),
    )
    runner.train()
    return runner


@pytest.fixture(scope="module")
def _own_scope():
    from mmengine.registry import DefaultScope

    saved = DefaultScope._instance_dict.copy()
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(saved)


@pytest.fixture(scope="module")
def stock(tmp_path_factory, _own_scope):
    folder = tmp_path_factory.mktemp("stock")
    return train(folder, 2), folder / "epoch_2.pth"


@pytest.fixture(scope="module")
def plain(tmp_path_factory, _own_scope):
    folder = tmp_path_factory.mktemp("plain")
    return train(folder, 2, [PlainCheckpointHook()], folder=Path("data")), folder / "epoch_2.pth"


def test_stock_mmengine_checkpoint_is_read(stock):
    runner, path = stock
    with pytest.raises(pickle.UnpicklingError):  # no longer? then this repair can go
        torch.load(path, weights_only=True)
    checkpoint = load_local_checkpoint(path)
    assert torch.equal(checkpoint["state_dict"]["linear.weight"], runner.model.linear.weight)
    buffer = checkpoint["message_hub"]["log_scalars"]["train/loss"]
    assert isinstance(buffer, HistoryBuffer)
    assert np.array_equal(buffer.data[0], runner.message_hub.get_scalar("train/loss").data[0])
    assert buffer.mean() == runner.message_hub.get_scalar("train/loss").mean()
    found = checkpoint["meta"]["dataset_meta"]
    assert np.array_equal(found["mean"], [0.5, 1.5])
    assert found["count"] == 3


def test_our_checkpoint_loads_without_any_allow_list(plain):
    runner, path = plain
    checkpoint = torch.load(path, weights_only=True)
    assert torch.equal(checkpoint["state_dict"]["linear.weight"], runner.model.linear.weight)
    meta = checkpoint["meta"]["dataset_meta"]
    assert meta["classes"] == ("a", "b")
    assert meta["mean"] == [0.5, 1.5]
    assert type(meta["count"]) is int
    assert meta["folder"] == "data"
    momentum = checkpoint["optimizer"]["state"][0]["momentum_buffer"]
    assert torch.equal(momentum, runner.optim_wrapper.state_dict()["state"][0]["momentum_buffer"])
    # Only the hub's form changed; the running objects did not.
    assert isinstance(runner.message_hub.get_scalar("train/loss"), HistoryBuffer)


def test_message_hub_round_trip_through_resume(plain):
    first, path = plain
    runner = train(path.parent, 4, [PlainCheckpointHook()], resume=True)
    assert runner.iter == 8
    for name in ("train/loss", "train/figure", "train/lr"):
        before, after = (r.message_hub.get_scalar(name) for r in (first, runner))
        known = len(before.data[0])
        assert len(after.data[0]) == 2 * known
        assert np.array_equal(after.data[0][:known], before.data[0])
        assert np.array_equal(after.data[1][:known], before.data[1])
    assert isinstance(runner.param_schedulers[0].milestones, Counter)
    # And a training without a break comes to the same weights.
    unbroken = train(path.parent / "unbroken", 4, [PlainCheckpointHook()])
    assert torch.equal(runner.model.linear.weight, unbroken.model.linear.weight)
    assert runner.optim_wrapper.get_lr() == unbroken.optim_wrapper.get_lr()


def test_plain_values():
    value = {
        "ordered": OrderedDict(a=np.float32(1.5)),
        "config": ConfigDict(b=[np.bool_(True), (np.int16(2),)]),
        "array": np.arange(3),
        "counter": Counter({3: 2}),
        "path": Path("x"),
        "tensor": torch.ones(1),
        "text": "y",
        "none": None,
    }
    plain = compat._to_plain(value)
    assert type(plain["ordered"]) is OrderedDict
    assert type(plain["ordered"]["a"]) is float
    assert type(plain["config"]) is dict
    assert plain["config"] == {"b": [True, (2,)]}
    assert plain["array"] == [0, 1, 2]
    assert type(plain["counter"]) is Counter
    assert plain["path"] == "x"
    assert plain["tensor"] is value["tensor"]
    assert (plain["text"], plain["none"]) == ("y", None)


class Kind(enum.IntEnum):
    """Pickled as a call of its class, though it is an int."""

    SMALL = 1


def test_records_without_a_plain_form_are_kept_as_text(tmp_path):
    day = datetime(2024, 5, 17)
    odd = {"day": day, "class": nn.Linear, "kinds": [Kind.SMALL], "numpy": np.array([day], dtype=object), day: {day}}
    checkpoint = {"meta": {"dataset_meta": odd, "seed": 0}, "message_hub": {"log_scalars": {}, "runtime_info": odd}}
    PlainCheckpointHook().before_save_checkpoint(None, checkpoint)
    torch.save(checkpoint, tmp_path / "x.pth")
    loaded = torch.load(tmp_path / "x.pth", weights_only=True)
    assert loaded["meta"]["seed"] == 0
    for found in (loaded["meta"]["dataset_meta"], loaded["message_hub"]["runtime_info"]):
        assert found["day"] == "2024-05-17 00:00:00"
        assert found["class"] == "<class 'torch.nn.modules.linear.Linear'>"
        assert found["kinds"] == [str(Kind.SMALL)]
        assert found["numpy"] == ["2024-05-17 00:00:00"]
        assert found["2024-05-17 00:00:00"] == {"2024-05-17 00:00:00"}


def test_state_that_could_not_be_read_again_is_named_at_saving():
    checkpoint = {"param_schedulers": [{"begin": 0, "since": datetime(2024, 5, 17)}]}
    with pytest.raises(TypeError, match=r"param_schedulers\.0\.since is datetime.* of type datetime"):
        PlainCheckpointHook().before_save_checkpoint(None, checkpoint)


def test_buffer_round_trip_keeps_everything(tmp_path):
    buffer = HistoryBuffer([1.25, float("nan"), 3.0], [1, 2, 1], max_length=7)
    torch.save(compat._to_plain({"b": buffer}), tmp_path / "x.pth")
    back = compat._from_plain(torch.load(tmp_path / "x.pth", weights_only=True)["b"])
    assert isinstance(back, HistoryBuffer)
    assert np.array_equal(back.data[0], buffer.data[0], equal_nan=True)
    assert np.array_equal(back.data[1], buffer.data[1])
    assert back.max_length == 7
    back.update(2.0)
    assert back.current() == 2.0
    for other in (3, "text", {"log": 1}, torch.ones(1)):
        assert compat._from_plain(other) is other


def test_checkpoint_without_a_message_hub_is_no_trouble():
    PlainCheckpointHook().after_load_checkpoint(None, {"state_dict": {}})


# ---- distributed on the CPU ----


@pytest.fixture
def _group(tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("_group")
def test_ddp_wrapper_on_the_cpu():
    from mmengine.registry import MODEL_WRAPPERS

    toy = Toy()
    wrapped = MODEL_WRAPPERS.build({"type": "DeviceAwareDistributedDataParallel", "module": toy, "device_ids": [0]})
    assert isinstance(wrapped, DeviceAwareDistributedDataParallel)
    wrapped(torch.ones(3, 2), mode="loss")["loss"].backward()
    assert toy.linear.weight.grad is not None
    with pytest.raises(ValueError, match="device_ids"):  # no longer? then this repair can go
        MMDistributedDataParallel(module=toy, device_ids=[0])


@pytest.mark.usefixtures("_group")
def test_an_existing_group_is_taken(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    init_cpu_process_group("pytorch")
    assert torch.distributed.get_world_size() == 1


def test_no_launcher_no_group():
    assert not init_cpu_process_group("none")
    assert not torch.distributed.is_initialized()


def test_group_from_torchruns_variables(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    made = []
    monkeypatch.setattr(torch.distributed, "init_process_group", made.append)
    assert init_cpu_process_group("pytorch")
    assert made == ["gloo"]


def test_other_launchers_need_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="slurm needs a GPU"):
        init_cpu_process_group("slurm")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert not init_cpu_process_group("slurm")
    assert not init_cpu_process_group("pytorch")
    assert not torch.distributed.is_initialized()
