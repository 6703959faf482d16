from __future__ import annotations

import logging
from unittest import mock

import mmaction.engine  # noqa: F401  AAGCN's initialiser is registered there
import pytest
import torch
from mmaction.registry import MODELS
from mmengine.runner import load_checkpoint

from gspmc_mm.models.part_pooled_recognizer import with_sign_graph
from gspmc_mm.skeleton import get_layout

LABELS = [0, 1, 4, 4]


def config(bank_path=None, layout="sign87", backbone=None, pooling=True, **head):
    backbone = backbone or {
        "type": "PartCTRGCN",
        "layout": layout,
        "base_channels": 8,
        "num_stages": 3,
        "inflate_stages": (2,),
        "down_stages": (3,),
    }
    return {
        "type": "PartPooledGCNRecognizer",
        "backbone": backbone,
        **({"part_pooling": {"type": "PartPooling", "layout": layout}} if pooling else {}),
        "cls_head": {
            "type": "TextConditionedHead",
            "num_classes": 6,
            "in_channels": 16,
            "text_dim": 16,
            "text_bank": bank_path,
            **head,
        },
    }


def build(*args, **kwargs):
    model = MODELS.build(config(*args, **kwargs))
    model.init_weights()
    return model


def inputs(batch=4, clips=1, people=1, frames=6, joints=87):
    return torch.randn(batch, clips, people, frames, joints, 3)


def total(losses):
    return sum(value for key, value in losses.items() if "loss" in key)


def test_one_step_teaches_everything(bank, bank_path, make_samples):
    model = build(bank_path)
    model.backbone.blocks[0].graph.alpha.data.fill_(0.1)
    losses = model(inputs(), make_samples(bank, LABELS), mode="loss")
    total(losses).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
    assert model.cls_head.text_projections["left_hand"].weight.grad.abs().sum() > 0


def test_part_terms_see_the_joints_of_their_part(bank, bank_path, make_samples):
    model = build(bank_path).eval()
    features = torch.randn(4, 1, 16, 3, 87)
    changed = features.clone()
    changed[..., list(get_layout("sign87").parts["mouth"])] += torch.randn(4, 1, 16, 3, 10)
    values = []
    for each in (features, changed):
        with mock.patch.object(model, "extract_feat", return_value=(each, {})):
            values.append(model(inputs(), make_samples(bank, LABELS), mode="loss"))
    same = {key for key, value in values[0].items() if torch.equal(value, values[1][key])}
    assert {"con_body", "con_left_hand", "con_right_hand"} <= same
    assert not {"con_mouth", "con_global", "con_synonym", "loss_cls"} & same


def test_parse_losses_of_mmengine_adds_cls_and_con_only(bank, bank_path, make_samples):
    model = build(bank_path)
    losses = model(inputs(), make_samples(bank, LABELS), mode="loss")
    loss, logged = model.parse_losses(losses)
    assert loss.item() == pytest.approx((losses["loss_cls"] + losses["loss_con"]).item())
    assert "con_left_hand" in logged


def test_logits_with_and_without_texts_are_the_same_bits(bank_path, tmp_path, capsys, caplog):
    trained = build(bank_path).eval()
    with torch.no_grad():
        for buffer in trained.buffers():
            if buffer.dtype.is_floating_point and buffer.ndim == 1:
                buffer.uniform_(0.5, 1.5)
    path = tmp_path / "gspmc.pth"
    torch.save({"state_dict": trained.state_dict(), "meta": {}}, path)
    x = inputs(clips=2)
    expected = trained(x, mode="tensor", stage="head")
    capsys.readouterr()
    caplog.set_level(logging.DEBUG)
    for pooling in (True, False):
        assert not torch.equal(build(pooling=pooling).eval()(x, mode="tensor", stage="head"), expected)
        # As the Runner loads it, and as torch does with strict=True.
        for load in (
            lambda model: load_checkpoint(model, str(path), map_location="cpu"),
            lambda model: load_checkpoint(model, str(path), map_location="cpu", strict=True),
            lambda model: model.load_state_dict(trained.state_dict(), strict=True),
        ):
            model = build(pooling=pooling).eval()
            load(model)
            assert torch.equal(model(x, mode="tensor", stage="head"), expected)
    said = (capsys.readouterr().out + caplog.text).lower()
    assert "unexpected key" not in said
    # The word would be there if a key were foreign.
    torch.save({"state_dict": {**trained.state_dict(), "cls_head.fc.scale": torch.ones(1)}}, path)
    load_checkpoint(build(), str(path), map_location="cpu")
    assert "unexpected key" in (capsys.readouterr().out + caplog.text).lower()


def test_text_state_is_left_in_the_callers_checkpoint(bank_path):
    state = build(bank_path).state_dict()
    before = list(state)
    build().load_state_dict(state)
    assert list(state) == before


def test_inference_never_touches_parts_and_projections(bank, bank_path, make_samples):
    calls = []
    model = build(bank_path).eval()
    watched = {
        "part pooling": model.part_pooling,
        "contrastive loss": model.cls_head.loss_con,
        **dict(model.cls_head.text_projections.items()),
    }
    for name, module in watched.items():
        module.register_forward_hook(lambda *_, name=name: calls.append(name))
    samples = model(inputs(), make_samples(None, LABELS), mode="predict")
    model(inputs(), mode="tensor", stage="head")
    model(inputs(), mode="tensor")
    assert calls == []
    assert samples[0].pred_score.shape == (6,)
    # The counter works: training calls all of them.
    model(inputs(), make_samples(bank, LABELS), mode="loss")
    assert set(calls) == set(watched)


def test_several_clips_are_averaged_at_test(make_samples):
    model = build().eval()
    x = inputs(batch=2, clips=3)
    samples = model(x, make_samples(None, [0, 1]), mode="predict")
    for video in range(2):
        each = [
            model(x[video : video + 1, clip : clip + 1], mode="tensor", stage="head").softmax(1)[0] for clip in range(3)
        ]
        torch.testing.assert_close(samples[video].pred_score, sum(each) / 3)


def test_several_clips_in_training_are_refused(make_samples):
    with pytest.raises(ValueError, match="num_clips=1"):
        build()(inputs(clips=2), make_samples(None, LABELS), mode="loss")


def test_stages():
    model = build().eval()
    x = inputs(batch=2, clips=3, people=2)
    assert model(x, mode="tensor").shape == (6, 2, 16, 3, 87)
    assert model(x, mode="tensor", stage="neck").shape == (6, 16)
    assert model(x, mode="tensor", stage="head").shape == (6, 6)
    with pytest.raises(ValueError, match="'tail'"):
        model(x, mode="tensor", stage="tail")


def test_same_seed_gives_gspmc_and_its_baseline_the_same_start(bank_path):
    models = []
    for bank in (bank_path, None):
        torch.manual_seed(5)
        models.append(build(bank))
    with_text, without = (model.state_dict() for model in models)
    assert all(torch.equal(with_text[key], value) for key, value in without.items())


def test_parts_of_the_head_come_from_the_pooling(make_bank, make_samples, tmp_path):
    bank = make_bank(parts=("body", "left_hand", "right_hand"))
    bank.save(tmp_path / "three.safetensors")
    model = build(str(tmp_path / "three.safetensors"), layout="samslr27")
    assert model.cls_head.parts == ("body", "left_hand", "right_hand")
    losses = model(inputs(joints=27), make_samples(bank, LABELS), mode="loss")
    assert "con_right_hand" in losses


BACKBONES = {
    "ST-GCN++": {
        "type": "STGCN",
        "gcn_adaptive": "init",
        "gcn_with_res": True,
        "tcn_type": "mstcn",
    },
    "AAGCN": {"type": "AAGCN"},
}


@pytest.mark.parametrize("name", BACKBONES)
def test_mmactions_own_backbones_take_texts(name, make_bank, make_samples, tmp_path):
    layout = get_layout("coco17")
    bank = make_bank(parts=tuple(layout.parts))
    path = str(tmp_path / "coco.safetensors")
    bank.save(path)
    backbone = {
        **BACKBONES[name],
        "graph_cfg": {"layout": layout.graph(), "mode": "spatial"},
        "in_channels": 3,
        "base_channels": 16,
        "num_stages": 3,
        "inflate_stages": [],
        "down_stages": [3],
    }
    model = build(path, layout="coco17", backbone=backbone, in_channels=16)
    x = inputs(people=2, frames=8, joints=17)
    losses = model(x, make_samples(bank, LABELS), mode="loss")
    total(losses).backward()
    assert losses["con_body"] > 0
    assert model.cls_head.text_projections["body"].weight.grad.abs().sum() > 0
    model.eval()
    samples = model(x, make_samples(None, LABELS), mode="predict")
    assert samples[0].pred_score.sum().item() == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("layout", ["hands20", "sign87"])
def test_a_backbone_of_mmaction_knows_our_layouts_by_name(layout):
    """The same weights on the graph by name and on the graph spelled out; the caller's config stays as it was."""
    spelled_out = {"type": "STGCN", "graph_cfg": {"layout": get_layout(layout).graph(), "mode": "spatial"}}
    by_name = {"type": "STGCN", "graph_cfg": {"layout": layout, "mode": "spatial"}}
    small = {"base_channels": 8, "num_stages": 2, "inflate_stages": [], "down_stages": [], "in_channels": 3}
    models = [build(None, layout=layout, backbone={**b, **small}, in_channels=8) for b in (by_name, spelled_out)]
    assert by_name["graph_cfg"]["layout"] == layout
    models[1].load_state_dict(models[0].state_dict())
    x = inputs(people=1, frames=4, joints=get_layout(layout).num_joints)
    first, second = (model.eval().extract_feat(x, stage="head")[0] for model in models)
    assert torch.equal(first, second)


def test_the_names_of_mmactions_own_layouts_are_left_alone():
    backbone = {"type": "STGCN", "graph_cfg": {"layout": "coco", "mode": "spatial"}}
    assert with_sign_graph(backbone) is backbone
    assert with_sign_graph({"type": "PartCTRGCN"}) == {"type": "PartCTRGCN"}


# ---- pooling by confidence ----


def test_confidence_pooling_leaves_out_what_was_not_seen(bank, bank_path, make_samples):
    model = MODELS.build({**config(bank_path), "pooling": "confidence"}).eval()
    clips = inputs()
    clips[..., 2] = 1.0
    uniform = MODELS.build(config(bank_path)).eval()
    uniform.load_state_dict(model.state_dict())
    with torch.inference_mode():
        seen = model.extract_feat(clips, stage="neck")[0]
        torch.testing.assert_close(seen, uniform.extract_feat(clips, stage="neck")[0])
        clips[..., 40:, 2] = 0.0
        hidden = model.extract_feat(clips, stage="neck")[0]
        features = model.extract_feat(clips)[0]
    expected = features[..., :40].mean(dim=(1, 3, 4))
    assert (hidden - expected).norm() < 0.01 * expected.norm()
    losses = model.train()(clips, make_samples(bank, LABELS), mode="loss")
    total(losses).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_confidence_pooling_survives_fusing():
    model = MODELS.build({**config(None), "pooling": "confidence"}).eval()
    clips = inputs()
    clips[..., 2] = torch.rand_like(clips[..., 2])
    with torch.inference_mode():
        before = model.extract_feat(clips, stage="head")[0]
        after = model.fuse().extract_feat(clips, stage="head")[0]
    torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-5)


def test_unknown_pooling_is_refused():
    with pytest.raises(ValueError, match="pooling='max'"):
        MODELS.build({**config(None), "pooling": "max"})


# ---- what the head needs and what is pooled ----


def test_a_head_with_part_terms_needs_part_pooling(bank_path):
    advice = r"add part_pooling=dict\(type='PartPooling', layout=\.\.\.\)"
    with pytest.raises(ValueError, match=rf"parts \['body', .*pooled are none; {advice}"):
        build(bank_path, pooling=False)
    settings = config(bank_path, parts=["body", "left_hand"], terms=["global", "left_hand"])
    settings["part_pooling"]["parts"] = ["body"]
    with pytest.raises(ValueError, match=r"aligns the parts \['left_hand'\].*pooled are \['body'\]"):
        MODELS.build(settings)


def test_terms_of_the_whole_need_no_part_pooling(bank, bank_path, make_samples):
    model = build(bank_path, pooling=False, terms=["global", "synonym"])
    losses = model(inputs(), make_samples(bank, LABELS), mode="loss")
    assert {"con_global", "con_synonym"} <= set(losses)


# ---- precision ----


@pytest.mark.parametrize("fuse", [True, False])
@pytest.mark.parametrize("pooling", ["uniform", "confidence"])
def test_a_whole_recogniser_in_bfloat16(fuse, pooling, make_samples):
    model = MODELS.build({**config(None), "pooling": pooling})
    torch.manual_seed(0)
    model.init_weights()
    torch.nn.init.normal_(model.eval().cls_head.fc.weight)
    x = inputs(clips=2)
    x[..., 2] = x[..., 2].sigmoid()
    with torch.no_grad():
        expected = model(x, make_samples(None, LABELS), mode="predict")
        model = (model.fuse() if fuse else model).to(torch.bfloat16)
        found = model(x, make_samples(None, LABELS), mode="predict")
    assert model(x, mode="tensor", stage="neck").dtype == torch.bfloat16
    for one, other in zip(found, expected, strict=True):
        assert one.pred_score.dtype == torch.float32  # averaged and ranked in full precision
        torch.testing.assert_close(one.pred_score, other.pred_score, rtol=0.1, atol=0.02)
        assert one.pred_score.sum().item() == pytest.approx(1, abs=1e-5)
