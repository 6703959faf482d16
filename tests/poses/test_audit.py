"""The audit: nothing is found in sound clips, and each planted fault under its own name."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from gspmc_mm.poses import PoseClip, PoseStore, PoseStoreError, PoseStoreWriter, StoreHeader
from gspmc_mm.poses.audit import KINDS, audit_store, compared_splits
from gspmc_mm.poses.audit_copies import clip_distance, find_copies
from gspmc_mm.poses.audit_measures import longest_still, measure_store
from gspmc_mm.poses.clip_list import ClipList, VideoClip
from gspmc_mm.skeleton import get_layout, resting_pose

LAYOUT = get_layout("wholebody133")
LEFT, RIGHT = [7, 9, *range(91, 112)], [8, 10, *range(112, 133)]
SIGNERS = {"train": ("ann", "bea", "cy"), "test": ("dan",)}
SIZE = (640, 480)


def sign(label: int, signer: str, take: int, frames: int = 30, split: str = "train") -> PoseClip:
    """A clip in which the right hand draws a path of its sign, a little different each time."""
    rng = np.random.default_rng([label, *signer.encode(), take])
    points = np.repeat(resting_pose(LAYOUT)[None], frames, axis=0) * 55 + (320, 170)
    points = (points - (320, 240)) * rng.uniform(0.85, 1.1) + (320, 240) + rng.uniform(-15, 15, 2)
    time = np.linspace(0, 1, frames)
    time = time**2 * (3 - 2 * time)  # from rest to rest
    phase = 2 * np.pi * rng.uniform(0.85, 1.15) * time + rng.uniform(-0.3, 0.3)
    reach = rng.uniform(32, 42)
    shape = np.stack([np.cos(phase), np.sin(phase + label * np.pi / 4)], axis=1)
    path = reach * shape * (-1, 1 + label % 2)
    points[:, RIGHT] += path[:, None]
    points += rng.normal(0, 0.6, points.shape)
    score = rng.uniform(0.7, 1, points.shape[:2])
    return PoseClip(
        clip_id=f"{signer}-{label}-{take}",
        keypoint=points.astype(np.float32),
        score=score.astype(np.float32),
        label=label,
        signer=signer,
        fps=25.0,
        image_size=SIZE,
        splits=(split,),
    )


def sound_clips() -> list[PoseClip]:
    return [
        sign(label, signer, take, split=split)
        for split, signers in SIGNERS.items()
        for signer in signers
        for label in range(4)
        for take in range(2)
    ]


@pytest.fixture
def store_of(tmp_path):
    numbers = iter(range(100))

    def write(clips: list[PoseClip], layout: str = "wholebody133", classes: int = 4) -> PoseStore:
        estimator = {"name": "drawn", "version": "", "weights": ""}
        header = StoreHeader(layout=layout, estimator=estimator, classes=[f"sign {i}" for i in range(classes)])
        path = tmp_path / f"{next(numbers)}" / "store.arrow"
        with PoseStoreWriter(path, header) as writer:
            for clip in clips:
                writer.add(clip)
        return PoseStore(path)

    return write


def found(report, kind):
    return [finding.subject for finding in report.findings if finding.kind == kind]


def test_nothing_is_found_in_sound_clips(store_of):
    report = audit_store(store_of(sound_clips()))
    assert [(f.kind, f.subject, f.message) for f in report.findings] == []
    assert report.splits["train"]["clips"] == 24
    assert report.splits["test"]["signers"] == 1
    assert report.splits[""]["signs"] == 4
    assert report.splits["train"]["right_hand"] == 1


def change(**facts):
    return lambda clip: replace(clip, **facts)


def seen_only(joints, value=0.9):
    def apply(clip):
        score = np.zeros_like(clip.score)
        score[:, joints] = value
        return replace(clip, score=score)

    return apply


def without(joints, frames):
    def apply(clip):
        score = clip.score.copy()
        score[:frames, joints] = 0
        return replace(clip, score=score)

    return apply


def leaping(clip):
    keypoint = clip.keypoint.copy()
    for frame in (5, 10, 15):
        keypoint[frame, 112:] += 250
    return replace(clip, keypoint=keypoint)


def standing(first):
    def apply(clip):
        keypoint, score = clip.keypoint.copy(), clip.score.copy()
        keypoint[first:], score[first:] = keypoint[first], score[first]
        return replace(clip, keypoint=keypoint, score=score)

    return apply


def cut(frames):
    return lambda clip: replace(clip, keypoint=clip.keypoint[:frames], score=clip.score[:frames])


def shifted(clip):
    return replace(clip, keypoint=clip.keypoint + np.float32([400, 0]))


def longer(clip):
    return replace(clip, keypoint=np.tile(clip.keypoint, (5, 1, 1)), score=np.tile(clip.score, (5, 1)))


@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        ("empty", seen_only([])),
        ("one-frame", cut(1)),
        ("short", cut(6)),
        ("frozen", standing(0)),
        ("partly-frozen", standing(12)),
        ("no-hands", without([*range(91, 133)], 30)),
        ("missing-hands", without([*range(91, 133)], 25)),
        ("low-confidence", lambda clip: replace(clip, score=clip.score * 0.3)),
        ("jumps", leaping),
        ("outside", shifted),
        ("long", longer),
        ("frame-rate", change(fps=50.0)),
        ("picture-size", change(image_size=(480, 640))),
    ],
)
def test_a_planted_fault_of_a_clip_is_named(store_of, kind, damage):
    clips = sound_clips()
    clips[5] = damage(clips[5])
    report = audit_store(store_of(clips))
    assert found(report, kind) == [clips[5].clip_id]
    assert bool(report.errors) == (KINDS[kind][0] == "error")
    allowed = {kind, "no-hands", "missing-hands", "low-confidence", "partly-frozen", "short", "jumps", "outside"}
    assert {finding.kind for finding in report.findings} <= allowed


def test_an_allowed_error_is_a_warning(store_of):
    clips = sound_clips()
    clips[0] = cut(1)(clips[0])
    assert not audit_store(store_of(clips), allow=["one-frame"]).errors
    with pytest.raises(PoseStoreError, match="no kind of finding is called 'one_frame'"):
        audit_store(store_of(clips), allow=["one_frame"])


def test_points_that_changed_in_the_file_are_found(store_of):
    """Zeros where points were: the store opens and has its old fingerprint, so only the audit can tell."""
    clips = sound_clips()
    store = store_of(clips)
    (file,) = store.files
    whole = bytearray(file.read_bytes())
    points = store.stored(5)[0].tobytes()
    start = whole.index(points)
    whole[start : start + len(points) // 2] = bytes(len(points) // 2)
    file.write_bytes(whole)
    damaged = PoseStore(file)
    assert damaged.fingerprint == store.fingerprint
    report = audit_store(damaged)
    assert [finding.subject for finding in report.errors] == [clips[5].clip_id]
    assert found(report, "damaged-points") == [clips[5].clip_id]


def test_frame_rates_that_many_clips_have_are_one_finding(store_of):
    clips = [replace(clip, fps=30.0 if n % 3 == 0 else 25.0) for n, clip in enumerate(sound_clips())]
    report = audit_store(store_of(clips))
    assert found(report, "frame-rate") == ["11 clips"]


# ---- splits ----


def test_which_splits_are_compared():
    names = ["train", "test", "gsp35_train", "gsp35_val", "gsp35_test", "sota36/test", "odd", "all_clips"]
    assert compared_splits(names) == [
        ("train", "test"),
        ("gsp35_train", "gsp35_val"),
        ("gsp35_train", "gsp35_test"),
        ("gsp35_val", "gsp35_test"),
    ]


def test_shared_signers_and_clips(store_of):
    clips = sound_clips()
    clips[0] = replace(clips[0], splits=("test",))
    report = audit_store(store_of(clips))
    assert [f.message for f in report.findings if f.kind == "shared-signers"] == ["1 of 4: ann"]
    clips[0] = replace(clips[0], splits=("train", "test"))
    report = audit_store(store_of(clips))
    assert found(report, "shared-clips") == ["train and test"]
    assert {f.kind for f in report.errors} == {"shared-clips", "shared-signers"}


def test_a_validation_part_of_the_training_split_is_no_leak(store_of):
    clips = [
        replace(clip, splits=(*clip.splits, "val" if clip.signer == "ann" else "fit"))
        if clip.splits == ("train",)
        else clip
        for clip in sound_clips()
    ]
    report = audit_store(store_of(clips))
    assert not report.errors


def test_one_video_in_two_splits(store_of, tmp_path):
    clips = sound_clips()
    listed = [VideoClip(clip.clip_id, f"{clip.clip_id}.mp4", clip.label, "x", clip.signer) for clip in clips]
    listed[0] = replace(listed[0], video="day.mp4")
    listed[-1] = replace(listed[-1], video="day.mp4", start=100)
    names = tuple(f"sign {i}" for i in range(4))
    report = audit_store(store_of(clips), clips=ClipList(tuple(listed), names, tmp_path, "n"))
    assert found(report, "shared-videos") == ["train and test"]


def recorded_again(clip, seed=0):
    """Another estimate of the same recording: scaled picture, noise of half a pixel, a frame less."""
    rng = np.random.default_rng(seed)
    keypoint = (clip.keypoint + rng.normal(0, 0.5, clip.keypoint.shape)) * 1.5
    size = (round(clip.image_size[0] * 1.5), round(clip.image_size[1] * 1.5))
    return replace(clip, keypoint=keypoint[:-1].astype(np.float32), score=clip.score[:-1], image_size=size)


@pytest.mark.parametrize("copy", [lambda clip: clip, recorded_again], ids=["identical", "recorded again"])
def test_copies_are_found_across_splits_and_signs(store_of, copy):
    clips = sound_clips()
    first, last = clips[0], clips[-1]
    clips.append(replace(copy(first), clip_id="leak", signer="dan", splits=("test",)))
    clips.append(replace(copy(last), clip_id="other", label=(last.label + 1) % 4))
    clips.append(replace(copy(clips[9]), clip_id="again"))
    report = audit_store(store_of(clips))
    assert found(report, "copy-across-splits") == [f"{first.clip_id} = leak"]
    assert found(report, "copy-of-another-sign") == [f"{last.clip_id} = other"]
    assert found(report, "copy") == [f"{clips[9].clip_id} = again"]


def test_the_quick_search_finds_what_comparing_all_pairs_finds(store_of):
    clips = sound_clips()[::2]
    clips += [replace(recorded_again(clip, n), clip_id=f"again {n}") for n, clip in enumerate(clips[:6])]
    store = store_of(clips)
    quick = {(copy.first, copy.second) for copy in find_copies(store, measure_store(store))}
    slow = {(i, j) for i in range(len(store)) for j in range(i + 1, len(store)) if clip_distance(store, i, j) <= 0.02}
    assert quick == slow
    assert len(slow) == 6


def test_empty_clips_are_no_copies_of_one_another(store_of):
    clips = sound_clips()
    clips[0], clips[1] = seen_only([])(clips[0]), seen_only([])(clips[1])
    report = audit_store(store_of(clips))
    assert report.copies == []
    assert len(found(report, "empty")) == 2


def test_signs(store_of):
    clips = [clip for clip in sound_clips() if clip.label != 3 or clip.splits == ("test",)]
    clips = [clip for clip in clips if clip.label != 2 or clip.splits == ("test",) or clip.clip_id == "ann-2-0"]
    report = audit_store(store_of(clips, classes=5))
    by_kind = {finding.kind: finding.message for finding in report.findings}
    assert by_kind["unlearnable-signs"] == "1: 'sign 3'"
    assert by_kind["signs-without-clips"] == "'sign 4'"
    assert by_kind["few-clips"] == "1: 'sign 2'"


def test_left_handed_signers(store_of):
    from gspmc_mm.poses.importers import FoundPoses, unmirror

    clips = []
    for clip in sound_clips():
        if clip.signer == "bea":
            turned = unmirror(FoundPoses(clip.keypoint, clip.score, clip.image_size), LAYOUT)
            clip = replace(clip, keypoint=turned.keypoint)
        clips.append(clip)
    report = audit_store(store_of(clips))
    assert found(report, "left-handed") == ["bea"]


def test_what_nobody_knows(store_of):
    clips = [replace(clip, signer="", fps=0.0) for clip in sound_clips()]
    report = audit_store(store_of(clips))
    assert {finding.kind for finding in report.findings} == {"unknown-signers", "unknown-frame-rate"}


def test_failures_of_the_extraction(store_of):
    store = store_of(sound_clips())
    folder = store.files[0].parent
    lines = [
        {"status": "run", "command": "x"},
        {"status": "failed", "clip_id": "lost", "reason": "unreadable", "message": "no video"},
        {"status": "failed", "clip_id": "ann-0-0", "reason": "timeout", "message": "done the second time"},
    ]
    (folder / "ledger.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"status": "fai')
    report = audit_store(store)
    assert [(f.subject, f.message) for f in report.findings] == [("lost", "unreadable: no video")]


@pytest.mark.parametrize("layout", ["sign87", "hands42", "coco17", "ntu25"])
def test_other_layouts(store_of, layout):
    count = get_layout(layout).num_joints
    clips = []
    for clip in sound_clips():
        keypoint, score = clip.keypoint[:, :count], clip.score[:, :count]
        clips.append(replace(clip, keypoint=keypoint, score=score))
    report = audit_store(store_of(clips, layout=layout))
    assert report.measures.seen.all()


# ---- measures against the slow, obvious way ----


def test_measures(store_of):
    clips = sound_clips()[:3]
    clips[1] = without([*range(112, 133)], 10)(clips[1])
    store = store_of(clips)
    measures = measure_store(store)
    assert measures.hands[1].tolist() == pytest.approx([1, 20 / 30])
    assert measures.seen[1] == pytest.approx(1 - 10 * 21 / (30 * 133))
    clip = store.clip(0)
    assert measures.confidence[0] == pytest.approx(clip.score.mean(), abs=1e-4)
    shoulders = np.median(np.linalg.norm(clip.keypoint[:, 5] - clip.keypoint[:, 6], axis=-1))
    way = sum(np.linalg.norm(clip.keypoint[t + 1, 10] - clip.keypoint[t, 10]) for t in range(29))
    assert measures.path[0, 1] == pytest.approx(way / shoulders, rel=1e-4)


def test_longest_still():
    keypoint = np.array([0, 0, 1, 1, 1, 2, 1])[:, None, None] * np.ones((1, 3, 2), dtype=np.int16)
    score = np.ones((7, 3), dtype=np.uint8)
    assert longest_still(keypoint, score) == 2
    assert longest_still(keypoint[:1], score[:1]) == 0
    score[3] = 9  # the confidence alone changed
    assert longest_still(keypoint, score) == 1
    assert longest_still(keypoint, np.zeros_like(score)) == 0


def test_known_copies_in_wlasl(shared_data, store_of):
    """Two clips are one video, under two signs; they are not byte-identical, so the data sheet does not list them."""
    from gspmc_mm.datasets.wlasl import hands_to_wholebody, order_clip, read_wlasl

    data = read_wlasl(shared_data / "wlasl100")
    split_of = {clip: name for name, clips in data.official.items() for clip in clips}
    clips = []
    for clip_id in ("05742", "32255", "57948", "57949", "17721", "17722", "00623"):
        index = data.clip_ids.index(clip_id)
        hands, _, order = order_clip(data, index)
        keypoint, score = hands_to_wholebody(hands, order)
        facts = (int(data.labels[index]), data.signers[index], data.fps(index), data.image_size(index))
        clips.append(PoseClip(clip_id, keypoint, score, *facts, (split_of[clip_id],)))
    report = audit_store(store_of(clips, classes=100), allow=["shared-signers"])
    assert found(report, "copy-of-another-sign") == ["05742 = 32255"]
    assert found(report, "copy-across-splits") == ["05742 = 32255", "57948 = 57949"]
    assert found(report, "copy") == []  # 17721 and 17722 are two takes of one signer
