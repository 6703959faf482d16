"""The WLASL-100 reader: order of the hands against a brute-force search, splits, bad input."""

from __future__ import annotations

import importlib.util
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from gspmc_mm.datasets import wlasl
from gspmc_mm.datasets.wlasl import (
    DEFAULT_COSTS,
    WlaslError,
    convert_wlasl,
    frame_rate,
    frame_size,
    hands_to_wholebody,
    hold_out_signers,
    merge_copies,
    order_hands,
    palm_curl,
    read_wlasl,
    right_hand_logit,
    side_agreement,
    split_clips,
)
from gspmc_mm.poses import PoseStore, PoseStoreError


def right_hand() -> np.ndarray:
    """A right hand seen from the palm, fingers up and bent a little towards the camera."""
    hand = np.zeros((21, 3))
    for finger, x in enumerate((8.0, 4.0, 1.0, -2.0, -5.0)):
        for joint in range(4):
            hand[1 + 4 * finger + joint] = [x, -4.0 - 3 * joint, -1.5 * joint]
    return hand


def labelling_cost(hands, seen, logit, order, costs) -> float:
    """The cost of one labelling, said as plainly as possible."""
    palms = [
        np.hypot(*(hands[t, s, 9] - hands[t, s, 0])[:2])
        for t, s in itertools.product(range(len(hands)), range(2))
        if seen[t, s]
    ]
    unit = np.median(palms)
    total = 0.0
    last = {0: None, 1: None}
    for t in range(len(hands)):
        for side in (0, 1):
            slot = order[t][side]
            if slot < 0:
                continue
            z = logit[t, slot] if side == 1 else -logit[t, slot]
            total += costs.evidence * np.log(1 + np.exp(-z))
            if last[side] is not None:
                before, at = last[side]
                steps = hands[t, slot, :, :2] - at
                distance = np.mean([np.hypot(*step) for step in steps]) / unit
                total += min(distance / np.sqrt(t - before), costs.jump)
            last[side] = (t, hands[t, slot, :, :2])
    return total


def all_labellings(seen):
    choices = []
    for row in seen:
        if row.all():
            choices.append([(0, 1), (1, 0)])
        elif row.any():
            slot = int(row[1])
            choices.append([(slot, -1), (-1, slot)])
        else:
            choices.append([(-1, -1)])
    return itertools.product(*choices)


@pytest.mark.parametrize("seed", range(12))
def test_order_is_the_cheapest_of_all_labellings(seed):
    rng = np.random.default_rng(seed)
    frames = 7
    hands = rng.normal(0, 20, (frames, 2, 1, 3)) + right_hand()
    hands += rng.normal(0, 1, hands.shape)
    seen = rng.random((frames, 2)) < 0.7
    logit = np.where(seen, rng.normal(0, 1.5, (frames, 2)), 0.0)
    found = order_hands(hands, seen, logit)
    price = labelling_cost(hands, seen, logit, found, DEFAULT_COSTS)
    best = min(labelling_cost(hands, seen, logit, labelling, DEFAULT_COSTS) for labelling in all_labellings(seen))
    assert price == pytest.approx(best, abs=1e-9)
    # every detection is used, and none twice
    for t in range(frames):
        assert sorted(slot for slot in found[t] if slot >= 0) == np.flatnonzero(seen[t]).tolist()


def test_no_hand_at_all():
    seen = np.zeros((4, 2), dtype=bool)
    found = order_hands(np.zeros((4, 2, 21, 3)), seen, np.zeros((4, 2)))
    assert (found == -1).all()


def moving_hands(right_x, left_x, rng):
    """Two hands that move along x, in slots drawn at random, and the slot of the right one."""
    right = right_hand()
    left = right * [-1, 1, 1]
    slots = rng.integers(0, 2, len(right_x))
    hands = np.zeros((len(right_x), 2, 21, 3))
    for t, slot in enumerate(slots):
        hands[t, slot] = right + [right_x[t], 0, 0]
        hands[t, 1 - slot] = left + [left_x[t], 12 * np.sin(t), 0]
    return hands, slots


def test_hands_that_cross_are_followed_against_the_x_rule():
    rng = np.random.default_rng(0)
    x = np.concatenate([np.linspace(-60, 25, 20), np.linspace(25, -60, 20)])
    hands, slots = moving_hands(x, -x, rng)
    seen = np.ones((40, 2), dtype=bool)
    logit = right_hand_logit(hands, seen, middle=0.0, width=200.0)
    order = order_hands(hands, seen, logit)
    np.testing.assert_array_equal(order[:, 1], slots)
    x_rule = hands[:, :, 0, 0].argmin(axis=1)
    assert (x_rule != slots).sum() >= 8  # the rule alone is wrong while they are crossed


def test_a_hand_keeps_its_side_while_the_other_is_lost():
    rng = np.random.default_rng(1)
    hands, slots = moving_hands(np.full(12, -40.0), np.linspace(40, -15, 12), rng)
    seen = np.ones((12, 2), dtype=bool)
    lost = np.arange(8, 12)
    seen[lost, slots[lost]] = False  # only the left hand, now on the right-hand side
    logit = right_hand_logit(hands, seen, middle=0.0, width=200.0)
    order = order_hands(hands, seen, logit)
    assert (order[lost, 1] == -1).all()
    np.testing.assert_array_equal(order[lost, 0], 1 - slots[lost])


def test_order_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"expected \(T, 2, 21, 3\)"):
        order_hands(np.zeros((3, 2, 20, 3)), np.ones((3, 2), bool), np.zeros((3, 2)))


def test_palm_curl_tells_hands_apart_however_they_are_turned():
    rng = np.random.default_rng(2)
    hand = right_hand()
    value = palm_curl(hand)
    assert value > 0.1
    for _ in range(5):
        turn, upper = np.linalg.qr(rng.normal(size=(3, 3)))
        turn *= np.sign(np.linalg.det(turn))
        del upper
        np.testing.assert_allclose(palm_curl(3 * hand @ turn.T + 7), value, rtol=1e-9)
    np.testing.assert_allclose(palm_curl(hand * [-1, 1, 1]), -value, rtol=1e-9)
    assert palm_curl(np.zeros((21, 3))) == 0


def test_two_detections_of_one_hand_count_once():
    hands = np.stack([right_hand(), right_hand() + 0.5])[None].repeat(3, axis=0)
    hands[2, 1] += [50, 0, 0]
    seen = np.ones((3, 2), dtype=bool)
    np.testing.assert_array_equal(merge_copies(hands, seen), [[1, 0], [1, 0], [1, 1]])
    assert seen.all()


def test_frame_size_and_rate():
    assert frame_size("signschool", 1072) == (1920, 1080)
    assert frame_size("signschool", 480) == (854, 480)
    with pytest.raises(WlaslError, match="'vimeo' has no known frame size"):
        frame_size("vimeo", 100)
    with pytest.raises(WlaslError, match="down to 241 pixels"):
        frame_size("spreadthesign", 241)
    # numbers of real clips: frames of the video, frame_end at 25 a second
    rates = [frame_rate(*pair) for pair in ((149, 126), (104, 104), (34, 35), (31, 28))]
    assert rates == [30.0, 25.0, 24.0, 30.0]


def test_wholebody_places():
    hands = np.arange(2 * 2 * 21 * 3, dtype=float).reshape(2, 2, 21, 3)
    keypoint, score = hands_to_wholebody(hands, np.array([[1, 0], [-1, 1]]))
    assert keypoint.shape == (2, 133, 2)
    np.testing.assert_array_equal(keypoint[0, 91:112], hands[0, 1, :, :2])
    np.testing.assert_array_equal(keypoint[0, 112:133], hands[0, 0, :, :2])
    np.testing.assert_array_equal(keypoint[1, 112:133], hands[1, 1, :, :2])
    np.testing.assert_array_equal(keypoint[0, [9, 10]], hands[0, [1, 0], 0, :2])
    assert np.flatnonzero(score[0]).tolist() == [9, 10, *range(91, 133)]
    assert np.flatnonzero(score[1]).tolist() == [10, *range(112, 133)]
    assert not keypoint[score == 0].any()


def test_held_out_signers_are_whole_few_and_seeded():
    signers = [f"s{i}" for i in range(12) for _ in range(i + 1)] + ["many"] * 60
    held = hold_out_signers(signers, 0.2, np.random.default_rng(3))
    share = sum(signer in held for signer in signers) / len(signers)
    assert 0.12 < share <= 0.21
    assert "many" not in held
    assert held == hold_out_signers(signers, 0.2, np.random.default_rng(3))
    assert held != hold_out_signers(signers, 0.2, np.random.default_rng(4))


# --- a tiny folder of the official form ---------------------------------------------------------


@pytest.fixture
def tiny():
    """Arrays and splits of 30 clips: ten signers, two to a fold; the last clip is a copy."""
    clips, frames = 31, 5
    rng = np.random.default_rng(5)
    hand = right_hand() / 100
    keypoint = np.zeros((clips * frames, 2, 21, 3))
    keypoint[:, 0] = hand + [0.3, 0.5, 0]
    keypoint[:, 1] = hand * [-1, 1, 1] + [0.7, 0.5, 0]
    keypoint += rng.normal(0, 0.002, keypoint.shape)
    keypoint = np.round(keypoint * 10000).astype(np.int16)
    keypoint[::4, 1] = -32768
    ids = [f"{i:05d}" for i in range(clips)]
    signer = np.arange(clips) % 10
    arrays = {
        "keypoint": keypoint,
        "offset": np.arange(clips + 1) * frames,
        "video_id": np.array(ids),
        "label": np.arange(clips) % 3,
        "signer": signer,
        "source": np.array(["asldeafined"] * clips),
        "bbox": np.tile([100, 20, 540, 480], (clips, 1)),
        "frame_end": np.full(clips, 5),
        "class_names": np.array(["one", "two", "three"]),
    }
    listed = list(range(clips - 1))
    splits = {
        "official": {
            "train": [ids[i] for i in listed[:20]],
            "val": [ids[i] for i in listed[20:25]],
            "test": [ids[i] for i in listed[25:]],
        },
        "signer_folds": [[ids[i] for i in listed if signer[i] % 5 == k] for k in range(5)],
        "duplicates": [[ids[0], ids[-1]]],
    }
    return arrays, splits


def write(folder: Path, arrays, splits) -> Path:
    np.savez(folder / wlasl.LANDMARK_FILE, **arrays)
    (folder / wlasl.SPLIT_FILE).write_text(json.dumps(splits))
    return folder


def test_tiny_conversion(tmp_path, tiny):
    source = write(tmp_path, *tiny)
    out = tmp_path / "store" / "poses.arrow"
    report = convert_wlasl(source, out, command="the command", val_share=0.3, seed=1)
    assert (report.clips, report.frames, report.left_out) == (30, 150, 1)
    assert report.side_agreement == 1.0
    store = PoseStore(out)
    assert store.header.classes == ["one", "two", "three"]
    assert "C-UDA" in store.header.note
    assert store.header.command == "the command"
    assert "00030" not in list(store.clip_ids)
    signers = np.asarray(store.signers)
    official = [set(store.indices(f"official_{name}").tolist()) for name in ("train", "val", "test")]
    assert [len(part) for part in official] == [20, 5, 5]
    for k in range(5):
        parts = {name: store.indices(f"fold{k}_{name}") for name in ("train", "test", "fit", "val")}
        of = {name: set(signers[index].tolist()) for name, index in parts.items()}
        assert not of["train"] & of["test"]
        assert not of["fit"] & of["val"]
        assert len(parts["val"]) > 0
        assert set(parts["fit"].tolist()) | set(parts["val"].tolist()) == set(parts["train"].tolist())
        assert len(parts["train"]) + len(parts["test"]) == 30
    clip = store.clip(0)
    assert clip.image_size == (640, 480)
    assert clip.fps == 25.0
    raw = tiny[0]["keypoint"][1, 0, :, :2] / 10000 * [640, 480]
    np.testing.assert_allclose(clip.keypoint[1, 112:133], raw, atol=1 / 16)
    with pytest.raises(PoseStoreError, match="exists"):
        convert_wlasl(source, out)


def test_missing_file(tmp_path, tiny):
    with pytest.raises(FileNotFoundError, match=wlasl.LANDMARK_FILE):
        read_wlasl(tmp_path)
    source = write(tmp_path, *tiny)
    (source / wlasl.SPLIT_FILE).unlink()
    with pytest.raises(FileNotFoundError, match=wlasl.SPLIT_FILE):
        read_wlasl(source)


def _wrong_shape(arrays, splits):
    arrays["keypoint"] = arrays["keypoint"][:, :, :20]


def _label_out_of_range(arrays, splits):
    arrays["label"][4] = 3


def _class_without_clip(arrays, splits):
    arrays["label"][arrays["label"] == 2] = 1


def _short_row(arrays, splits):
    arrays["signer"] = arrays["signer"][:-1]


def _no_array(arrays, splits):
    del arrays["bbox"]


def _offset(arrays, splits):
    arrays["offset"][-1] += 1


def _no_frames(arrays, splits):
    arrays["offset"][3] = arrays["offset"][2]


def _same_id(arrays, splits):
    arrays["video_id"][1] = arrays["video_id"][0]


def _flat_box(arrays, splits):
    arrays["bbox"][2, 2] = 100


def _signer_in_two_folds(arrays, splits):
    splits["signer_folds"][1].append(splits["signer_folds"][0].pop())


def _clip_in_two_splits(arrays, splits):
    splits["official"]["val"].append("00000")


def _unknown_clip(arrays, splits):
    splits["official"]["val"].append("99999")


def _lost_clip(arrays, splits):
    splits["duplicates"] = []


def _four_folds(arrays, splits):
    splits["signer_folds"].pop()


def _not_in_folds(arrays, splits):
    splits["duplicates"].append(["00007"])
    for fold in splits["signer_folds"]:
        if "00007" in fold:
            fold.remove("00007")


def _no_folds(arrays, splits):
    del splits["signer_folds"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_wrong_shape, r"keypoint is int16 \(155, 2, 20, 3\)"),
        (_label_out_of_range, "clip '00004' has the label 3, but class_names names 3"),
        (_class_without_clip, "no clip shows the sign 'three'"),
        (_short_row, "signer has 30 rows; expected 31"),
        (_no_array, "arrays bbox are missing"),
        (_offset, "offset has to run from 0 to the 155 frames"),
        (_no_frames, "clip '00002' has no frames"),
        (_same_id, "a video_id occurs twice"),
        (_flat_box, "bbox of clip '00002'"),
        (_signer_in_two_folds, r"signer \d is in signer_folds\[0\] and in signer_folds\[1\]"),
        (_clip_in_two_splits, "clip '00000' is in official train and in official val"),
        (_unknown_clip, "official val names clip '99999'"),
        (_lost_clip, "clip '00030' .* no known copy"),
        (_four_folds, "4 signer folds; expected 5"),
        (_not_in_folds, "clip '00007' is in only one of official and signer_folds"),
        (_no_folds, "expected official .*signer_folds"),
    ],
)
def test_contradictions_are_named(tmp_path, tiny, spoil, message):
    spoil(*tiny)
    with pytest.raises(WlaslError, match=message):
        read_wlasl(write(tmp_path, *tiny))


def test_unknown_source_leaves_no_store(tmp_path, tiny):
    tiny[0]["source"][9] = "elsewhere"
    out = tmp_path / "poses.arrow"
    with pytest.raises(WlaslError, match="clip '00009': source 'elsewhere'"):
        convert_wlasl(write(tmp_path, *tiny), out)
    assert [path.name for path in tmp_path.glob("poses*")] == []


def test_command_line(tmp_path, tiny, repository, monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location("tool_wlasl", repository / "tools/data/wlasl.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    source, out = write(tmp_path, *tiny), tmp_path / "poses.arrow"
    monkeypatch.setattr("sys.argv", ["wlasl.py", "--source", str(source), "--out", str(out)])
    assert tool.main() == 0
    assert "30 clips, 150 frames" in capsys.readouterr().out
    assert PoseStore(out).header.command.endswith(f"--out {out}")
    assert tool.main() == 1  # it exists
    assert "error:" in capsys.readouterr().err


# --- the real files -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(shared_data):
    return read_wlasl(shared_data / "wlasl100")


def test_real_splits(real):
    assert len(real.clip_ids) == 1013
    assert len(real.classes) == 100
    splits = split_clips(real)
    sizes = {name: len(clips) for name, clips in splits.items()}
    assert [sizes[f"official_{name}"] for name in ("train", "val", "test")] == [742, 164, 97]
    tests = [clip for k in range(5) for clip in splits[f"fold{k}_test"]]
    assert len(tests) == len(set(tests)) == 1003
    signer = dict(zip(real.clip_ids, real.signers, strict=True))
    for k in range(5):
        of = {name: {signer[clip] for clip in splits[f"fold{k}_{name}"]} for name in ("train", "test", "fit", "val")}
        assert not of["train"] & of["test"]
        assert not of["fit"] & of["val"]
        assert of["fit"] | of["val"] == of["train"]
        assert len(of["val"]) >= 4
        assert 0.18 <= sizes[f"fold{k}_val"] / sizes[f"fold{k}_train"] <= 0.22
    for index in range(len(real.clip_ids)):
        width, height = real.image_size(index)
        assert real.boxes[index, 2] <= width
        assert real.boxes[index, 3] <= height


def test_real_sides_agree_with_the_whole_body_estimate(real, shared_data):
    result = side_agreement(real, shared_data / "wlasl50_body_hands", max_clips=60)
    assert result.clips >= 55
    assert result.hands > 1000
    assert result.right / result.hands > 0.94
    with pytest.raises(FileNotFoundError, match="wlasl50_body_hands"):
        side_agreement(real, shared_data / "wlasl100")
