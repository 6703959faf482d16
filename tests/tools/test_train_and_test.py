from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from gspmc_mm.evaluation import load_predictions
from gspmc_mm.evaluation.inference import InferenceError, load_trained, read_config
from gspmc_mm.models import bfloat16_is_native

GSPMC, BASELINE = "configs/gspmc_synthsign_j.py", "configs/ctrgcn_synthsign_j.py"


def weights(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)["state_dict"]


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def accuracy(said: str) -> str:
    line = next(line for line in said.splitlines() if "Epoch(test)" in line)
    return line[line.index("acc/top1") : line.index("data_time")]


@pytest.fixture(scope="module")
def place(synthsign: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train")
    shutil.copytree(synthsign / "data", folder / "data")
    return folder


@pytest.fixture(scope="module")
def train(commands, place, tiny, repository):
    def run(config: str, work: str, *arguments: object, options: tuple[str, ...] = ()):
        return commands.run(
            "tools/train.py",
            *(repository / config, "--work-dir", work, *arguments, "--cfg-options", *tiny, *options),
            cwd=place,
        )

    return run


@pytest.fixture(scope="module")
def evaluate(commands, place, tiny, repository):
    def run(config: str, checkpoint: str, *arguments: object, options: tuple[str, ...] = ()):
        return commands.run(
            "tools/test.py",
            *(repository / config, checkpoint, "--work-dir", "tested", *arguments),
            *("--cfg-options", *tiny, *options),
            cwd=place,
        )

    return run


@pytest.fixture(scope="module")
def gspmc(train, place) -> Path:
    done = train(GSPMC, "work/gspmc")
    assert done.status == 0, done.said
    return place / "work" / "gspmc"


@pytest.fixture(scope="module")
def baseline(train, place) -> Path:
    done = train(BASELINE, "work/baseline")
    assert done.status == 0, done.said
    return place / "work" / "baseline"


@pytest.mark.parametrize("model", ["gspmc", "baseline"])
def test_what_a_training_leaves(model, request, repository):
    work = request.getfixturevalue(model)
    assert sorted(p.name for p in work.glob("*.pth")) == [f"epoch_{k}.pth" for k in (1, 2, 3)]
    assert (work / "last_checkpoint").read_text() == str(work / "epoch_3.pth")
    (run,) = [folder for folder in work.iterdir() if folder.is_dir()]
    assert "Epoch(val) [3]" in (run / f"{run.name}.log").read_text()
    lines = [json.loads(line) for line in (run / "vis_data" / "scalars.json").read_text().splitlines()]
    assert [line["epoch"] for line in lines if "loss_cls" in line] == [1, 2, 3]
    assert [line["step"] for line in lines if "acc/top1" in line] == [1, 2, 3]
    assert all(("loss_con" in line) == (model == "gspmc") for line in lines if "loss_cls" in line)

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    curves = EventAccumulator(str(run / "vis_data")).Reload()
    assert {"loss_cls", "lr", "acc/top1"} <= set(curves.Tags()["scalars"])
    assert [event.step for event in curves.Scalars("acc/top1")] == [1, 2, 3]

    checkpoint = torch.load(work / "epoch_3.pth", weights_only=True)  # plain torch, nothing allowed beside
    assert {"state_dict", "optimizer", "param_schedulers", "message_hub", "meta"} <= set(checkpoint)
    assert checkpoint["meta"]["seed"] == 0
    assert any("text_projections" in name for name in checkpoint["state_dict"]) == (model == "gspmc")
    # The texts stay in the bank.
    assert not any("text_vectors" in name for name in checkpoint["state_dict"])


def test_testing_twice_gives_the_same_and_writes_both_dumps(evaluate, gspmc, place):
    first = evaluate(GSPMC, "work/gspmc/epoch_3.pth", "--dump", "out/predictions.npz")
    assert first.status == 0, first.said
    second = evaluate(GSPMC, "work/gspmc/epoch_3.pth", "--dump", "out/predictions.pkl")
    assert second.status == 0, second.said
    assert accuracy(first.said) == accuracy(second.said)

    npz = load_predictions(place / "out" / "predictions.npz")
    assert len(npz) == 8
    assert npz.info["checkpoint"] == "work/gspmc/epoch_3.pth"
    assert f"acc/top1: {npz.hits(1).mean():.4f}" in accuracy(first.said)
    with open(place / "out" / "predictions.pkl", "rb") as file:
        dumped = pickle.load(file)  # written a moment ago
    by_clip = {sample["clip_id"]: sample for sample in dumped}
    for clip, label, scores in zip(npz.clip_id, npz.label, npz.scores, strict=True):
        np.testing.assert_array_equal(by_clip[clip]["pred_score"].numpy(), scores)
        assert int(by_clip[clip]["gt_label"]) == label
    assert sorted(p.name for p in (place / "out").iterdir()) == ["predictions.npz", "predictions.pkl"]


def test_without_texts_the_same_network_is_tested(evaluate, gspmc, place):
    """The checkpoint of GSP-MC in the baseline's config; no text bank is needed, not even by GSP-MC's own."""
    done = evaluate(BASELINE, "work/gspmc/epoch_3.pth", "--dump", "plain.npz")
    assert done.status == 0, done.said
    done = evaluate(
        GSPMC,
        "work/gspmc/epoch_3.pth",
        *("--dump", "bankless.npz"),
        options=("model.cls_head.text_bank=no/such.safetensors",),
    )
    assert done.status == 0, done.said
    plain, bankless = (load_predictions(place / name) for name in ("plain.npz", "bankless.npz"))
    np.testing.assert_array_equal(plain.scores, bankless.scores)
    assert np.ptp(plain.scores) > 0


def test_a_checkpoint_of_another_network_is_refused(evaluate, baseline, place):
    options = ("model.backbone.base_channels=16", "model.cls_head.in_channels=32")
    done = evaluate(BASELINE, "work/baseline/epoch_3.pth", "--dump", "wrong.npz", options=options)
    assert done.status != 0
    assert "work/baseline/epoch_3.pth is not of the network" in done.last
    assert "in the file and" in done.last
    assert not (place / "wrong.npz").exists()


def test_fused_and_in_bfloat16(evaluate, gspmc, place):
    dumps = {}
    for name, switches in (("plain", ()), ("fused", ("--fuse",)), ("bf16", ("--fuse", "--bf16"))):
        done = evaluate(GSPMC, "work/gspmc/epoch_3.pth", "--dump", f"{name}_precision.npz", *switches)
        assert done.status == 0, done.said
        dumps[name] = load_predictions(place / f"{name}_precision.npz"), accuracy(done.said)
    (plain, plain_accuracy), (fused, fused_accuracy), (bf16, _) = dumps.values()
    assert fused_accuracy == plain_accuracy
    np.testing.assert_allclose(fused.scores, plain.scores, rtol=1e-4, atol=1e-6)
    assert not np.array_equal(fused.scores, plain.scores)  # it was fused
    np.testing.assert_allclose(bf16.scores, plain.scores, atol=0.05)
    assert not np.array_equal(bf16.scores, fused.scores)
    assert bf16.scores.dtype == np.float32


def test_another_stream_than_that_of_the_training_is_refused(evaluate, baseline, place, repository):
    path = place / "work" / "baseline" / "epoch_3.pth"
    checkpoint = torch.load(path, weights_only=True)
    trained = checkpoint["meta"]["network_input"]
    assert (trained["stream"], trained["extra"]) == ("j", [])
    option = "test_dataloader.dataset.pipeline_overrides.SkeletonStream.stream"
    done = evaluate(BASELINE, "work/baseline/epoch_3.pth", "--dump", "bones.npz", options=(f"{option}=b",))
    assert done.status != 0
    assert "the pipeline gives stream 'b', but the network was trained on stream 'j'" in done.last
    assert not (place / "bones.npz").exists()

    # The measurements without a runner refuse it too; a checkpoint from before the entry is taken as it is.
    changes = dict(base_channels=8, num_stages=3, inflate_stages=(3,), down_stages=(3,))
    changes = {"model.backbone": changes, "model.cls_head": dict(in_channels=16, num_classes=4)}
    config = read_config(repository / BASELINE, {**changes, option: "b"})
    with pytest.raises(InferenceError, match=r"stream 'b', but the network was trained on stream 'j' .*epoch_3\.pth"):
        load_trained(config, path, "cpu")
    del checkpoint["meta"]["network_input"]
    torch.save(checkpoint, place / "old.pth")
    load_trained(config, place / "old.pth", "cpu")
    load_trained(read_config(repository / BASELINE, changes), path, "cpu")
    done = evaluate(BASELINE, "old.pth", options=(f"{option}=b",))
    assert done.status == 0, done.said


def test_seed(train, gspmc, place):
    done = train(GSPMC, "work/again", "--no-validate")  # validation draws nothing that training needs
    assert done.status == 0, done.said
    assert "Epoch(val)" not in done.said
    assert same(weights(gspmc / "epoch_3.pth"), weights(place / "work" / "again" / "epoch_3.pth"))
    done = train(GSPMC, "work/other", "--seed", 1, "--no-validate")
    assert done.status == 0, done.said
    assert not same(weights(gspmc / "epoch_3.pth"), weights(place / "work" / "other" / "epoch_3.pth"))


def test_auto_scale_lr_and_deterministic(train, place):
    done = train(
        BASELINE,
        "work/scaled",
        *("--auto-scale-lr", "--deterministic"),
        options=("auto_scale_lr.base_batch_size=8", "train_cfg.max_epochs=1"),
    )
    assert done.status == 0, done.said
    (scalars,) = (place / "work" / "scaled").glob("*/vis_data/scalars.json")
    first = json.loads(scalars.read_text().splitlines()[0])
    assert first["lr"] == pytest.approx(first["base_lr"] / 2)  # batch 4 in place of 8


def test_a_batch_that_the_learning_rate_is_not_meant_for_is_told(train, place):
    quick = "train_cfg.max_epochs=1"
    other = train(BASELINE, "work/other_batch", options=("auto_scale_lr.base_batch_size=8", quick))
    assert "A step has 4 clips (1 process(es) of 4), but the learning rate is meant for 8" in other.words
    gathered = ("optim_wrapper.accumulative_counts=2", "auto_scale_lr.base_batch_size=8")
    meant = train(BASELINE, "work/meant_batch", options=(*gathered, quick))
    assert meant.status == 0, meant.said
    assert "the learning rate is meant for" not in meant.words


def test_a_mistake_is_told_without_a_traceback(train, place):
    done = train(BASELINE, "work/no_data", options=("train_dataloader.dataset.ann_file=data/none.arrow",))
    assert done.status == 1
    assert done.last.startswith("error: ")
    assert "pose file 'data/none.arrow' does not exist" in done.last
    assert "Traceback" not in done.said


def test_auto_scale_lr_needs_the_batch_size_of_the_config(train, place, repository, tmp_path):
    config = tmp_path / "no_batch_size.py"
    config.write_text(f'_base_ = "{repository / BASELINE}"\nauto_scale_lr = dict(_delete_=True)\n')
    done = train(config, "work/none", "--auto-scale-lr")
    assert done.status != 0
    assert "auto_scale_lr = dict(enable=False, base_batch_size=...)" in done.last
    assert not (place / "work" / "none").exists()


@pytest.mark.parametrize("config", [GSPMC, BASELINE])
def test_amp_without_a_gpu_is_bfloat16(train, place, config):
    done = train(config, f"work/amp_{Path(config).stem}", "--amp")
    assert done.status == 0, done.said
    work = place / "work" / f"amp_{Path(config).stem}"
    assert read_config(str(work / Path(config).name)).optim_wrapper.type == "CpuAmpOptimWrapper"
    trained = weights(work / "epoch_3.pth")
    assert all(value.dtype == torch.float32 for value in trained.values() if value.is_floating_point())
    assert all(torch.isfinite(value).all() for value in trained.values())
    # the processor is told of if it has to imitate bfloat16, and only then
    assert ("no instructions for bfloat16" in done.words) == (bfloat16_is_native() is False)


@pytest.mark.parametrize("tool", ["tools/train.py", "tools/test.py"])
def test_unknown_config(commands, place, tool):
    checkpoint = ["epoch_1.pth"] if tool == "tools/test.py" else []
    done = commands.run(tool, "configs/no_such.py", *checkpoint, cwd=place)
    assert done.status != 0
    assert "config configs/no_such.py does not exist" in done.last
    assert "Traceback" not in done.said


def test_names_that_do_not_exist(evaluate, gspmc, place):
    done = evaluate(GSPMC, "work/gspmc/epoch_9.pth")
    assert done.status != 0
    assert "checkpoint work/gspmc/epoch_9.pth does not exist" in done.last
    done = evaluate(GSPMC, "work/gspmc/epoch_3.pth", "--dump", "predictions.txt")
    assert done.status != 0
    assert "has to end in .npz or .pkl" in done.last


def test_help_of_every_tool(commands, repository, tmp_path):
    tools = [path for path in sorted((repository / "tools").rglob("*.py")) if "__main__" in path.read_text()]
    assert len(tools) > 8
    for path in tools:
        done = commands.run(path.relative_to(repository), "--help", cwd=tmp_path)
        assert done.status == 0, f"{path}:\n{done.said}"
        assert done.said.startswith("usage:"), f"{path}:\n{done.said}"
    assert list(tmp_path.iterdir()) == []
