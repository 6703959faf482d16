from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub

import gspmc_mm  # noqa: F401  (registers the metric)
from gspmc_mm.evaluation import SignAccuracy, load_predictions


def samples(scores: torch.Tensor, labels: list[int], **extra) -> list[dict]:
    return [
        {
            "pred_score": row,
            "gt_label": torch.tensor([label]),
            "clip_id": f"clip{i}",
            "signer": f"p{i % 2}",
        }
        | extra
        for i, (row, label) in enumerate(zip(scores, labels, strict=True))
    ]


def evaluate(metric: SignAccuracy, batch: list[dict]) -> dict:
    metric.process(None, batch)
    return metric.evaluate(len(batch))


def test_figures_equal_a_loop() -> None:
    torch.manual_seed(0)
    scores = torch.randint(0, 4, (60, 7)).float()
    labels = torch.randint(0, 6, (60,)).tolist()  # class 6 never occurs
    figures = evaluate(SignAccuracy(), samples(scores, labels))
    for k in (1, 5):
        per_class: dict[int, list[bool]] = {}
        for row, label in zip(scores.tolist(), labels, strict=True):
            best = sorted(range(7), key=lambda c: (-row[c], c))[:k]
            per_class.setdefault(label, []).append(label in best)
        every = [hit for hits in per_class.values() for hit in hits]
        macro = sum(sum(hits) / len(hits) for hits in per_class.values()) / len(per_class)
        assert figures[f"acc/top{k}"] == pytest.approx(sum(every) / 60)
        assert figures[f"acc/top{k}_per_class"] == pytest.approx(macro)
    assert next(iter(figures)) == "acc/top1"
    assert figures["acc/top1"] != figures["acc/top1_per_class"]


def test_fewer_classes_than_five() -> None:
    figures = evaluate(SignAccuracy(), samples(torch.tensor([[0.0, 1.0], [0.0, 1.0]]), [0, 1]))
    assert figures["acc/top1"] == 0.5
    assert figures["acc/top5"] == figures["acc/top5_per_class"] == 1.0


def test_built_from_the_registry_through_mmengines_evaluator() -> None:
    from mmaction.structures import ActionDataSample
    from mmengine.evaluator import Evaluator
    from mmengine.registry import init_default_scope

    init_default_scope("mmaction")
    evaluator = Evaluator({"type": "SignAccuracy", "prefix": "sign"})
    sample = ActionDataSample()
    sample.set_gt_label(1)
    sample.set_pred_score(torch.tensor([0.2, 0.8]))
    evaluator.process([sample])
    assert evaluator.evaluate(1)["sign/top1"] == 1.0


def test_dump(tmp_path: Path) -> None:
    path = tmp_path / "p.npz"
    metric = SignAccuracy(dump=str(path))
    metric.dataset_meta = {"classes": ["a", "b", "c"]}
    scores = torch.tensor([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]], dtype=torch.float16)
    evaluate(metric, samples(scores, [1, 2]))
    kept = load_predictions(path)
    assert kept.clip_id.tolist() == ["clip0", "clip1"]
    assert kept.signer.tolist() == ["p0", "p1"]
    assert kept.label.tolist() == [1, 2]
    assert kept.classes == ("a", "b", "c")
    np.testing.assert_array_equal(kept.scores, scores.float().numpy())


@pytest.mark.parametrize(
    ("stage", "kept"), [("val", "fold0_val"), ("test", "val + test"), ("train", None)], ids=["val", "test", "neither"]
)
def test_the_dump_says_which_split(stage: str, kept: str | None, tmp_path: Path) -> None:
    config = Config(
        {
            "val_dataloader": {"dataset": {"type": "RepeatDataset", "dataset": {"split": "fold0_val"}}},
            "test_dataloader": {"dataset": {"datasets": [{"split": "val"}, {"split": ["test"]}]}},
        }
    )
    hub = MessageHub.get_instance(f"split of {stage}")
    hub.update_info("cfg", config.pretty_text)
    hub.update_info("loop_stage", stage)
    evaluate(SignAccuracy(dump=tmp_path / "p.npz"), samples(torch.zeros(1, 3), [0]))
    assert load_predictions(tmp_path / "p.npz").info.get("split") == kept


def test_nan_is_refused_by_clip_and_nothing_is_written(tmp_path: Path) -> None:
    scores = torch.zeros(3, 4)
    scores[1, 2] = float("nan")
    with pytest.raises(ValueError, match="NaN class scores for clip clip1:"):
        evaluate(SignAccuracy(dump=tmp_path / "p.npz"), samples(scores, [0, 1, 2]))
    assert list(tmp_path.iterdir()) == []


def test_bad_samples() -> None:
    good = torch.zeros(1, 3)
    with pytest.raises(ValueError, match="clip clip0 has label 3"):
        evaluate(SignAccuracy(), samples(good, [3]))
    with pytest.raises(ValueError, match="clip clip0: one label per clip, found 2"):
        evaluate(SignAccuracy(), samples(good, [0], gt_label=torch.tensor([0, 1])))
    with pytest.raises(ValueError, match=r"clip0: pred_score is a tensor \(C,\), found \(1, 3\)"):
        evaluate(SignAccuracy(), samples(good, [0], pred_score=good))
    with pytest.raises(ValueError, match="topk"):
        SignAccuracy(topk=(0,))
    with pytest.raises(ValueError, match=r"\.npz"):
        SignAccuracy(dump="scores.pkl")


def test_a_dump_needs_clip_ids_and_the_classes_of_the_model(tmp_path: Path) -> None:
    batch = samples(torch.zeros(1, 3), [0])
    del batch[0]["clip_id"]
    assert evaluate(SignAccuracy(), batch)["acc/top1"] == 1.0
    with pytest.raises(ValueError, match="meta_keys"):
        evaluate(SignAccuracy(dump=tmp_path / "p.npz"), batch)
    metric = SignAccuracy(dump=tmp_path / "p.npz")
    metric.dataset_meta = {"classes": ["a", "b"]}
    with pytest.raises(ValueError, match="2 class names for 3 scores"):
        evaluate(metric, samples(torch.zeros(1, 3), [0]))


def test_an_empty_split_is_told() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match="no clip was evaluated"):
            SignAccuracy().evaluate(0)


def test_the_dump_says_which_checkpoint(tmp_path: Path) -> None:
    from mmengine.config import Config
    from mmengine.logging import MessageHub

    checkpoint = tmp_path / "epoch_1.pth"
    # A real one: it is read, for what the network was trained on.
    trained = Config({"train_dataloader": {"dataset": {"type": "RepeatDataset", "dataset": {"split": "gsp35_fit"}}}})
    torch.save({"state_dict": {}, "meta": {"cfg": trained.pretty_text}}, checkpoint)
    config = Config({"load_from": str(checkpoint), "work_dir": "w", "model": {"alpha": 0.5}})
    hub = MessageHub.get_instance(f"test-{tmp_path.name}")
    hub.update_info("cfg", config.pretty_text)
    try:
        evaluate(SignAccuracy(dump=tmp_path / "p.npz"), samples(torch.zeros(1, 3), [0]))
    finally:
        MessageHub._instance_dict.pop(hub.instance_name)
    info = load_predictions(tmp_path / "p.npz").info
    assert info["checkpoint"] == str(checkpoint)
    assert len(info["checkpoint_sha256"]) == 64
    assert len(info["config_sha256"]) == 64
    assert info["train_split"] == "gsp35_fit"


def test_a_validation_on_the_way_is_of_this_training_and_bare_weights_say_nothing(tmp_path: Path) -> None:
    checkpoint, store = tmp_path / "weights.pth", tmp_path / "data.npz"
    torch.save({"weight": torch.zeros(1)}, checkpoint)
    store.write_bytes(b"clips")
    dataset = {"dataset": {"split": ["fold0_train", "more"], "ann_file": str(store)}}
    config = Config({"load_from": str(checkpoint), "train_dataloader": dataset, "val_dataloader": dataset})
    infos = {}
    for stage in ("val", "test"):
        hub = MessageHub.get_instance(f"training of {stage}")
        hub.update_info("cfg", config.pretty_text)
        hub.update_info("loop_stage", stage)
        evaluate(SignAccuracy(dump=tmp_path / "p.npz"), samples(torch.zeros(1, 3), [0]))
        infos[stage] = load_predictions(tmp_path / "p.npz").info
    assert infos["val"]["train_split"] == "fold0_train + more"
    assert list(infos["val"]["train_data"]) == [str(store)]
    assert "train_split" not in infos["test"]
    assert "train_data" not in infos["test"]
