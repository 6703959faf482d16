"""Foreign key points into a store: every format read back to numbers that were written by hand."""

from __future__ import annotations

import json
import os
import pickle

import numpy as np
import pytest

from gspmc_mm.poses import PoseStore, PoseStoreError, StoreHeader, read_mmaction_pickle, write_mmaction_pickle
from gspmc_mm.poses.clip_list import ClipList, VideoClip
from gspmc_mm.poses.importers import (
    FoundClip,
    FoundPoses,
    find_holistic_npy,
    find_openpose_json,
    find_pose_files,
    find_sam_slr,
    open_sign_npz,
    unmirror,
    write_found,
    write_pose_files,
)
from gspmc_mm.poses.importers.openpose_json import BODY_25, follow_person
from gspmc_mm.poses.importers.sam_slr import true_length
from gspmc_mm.poses.importers.sign_npz import put_together
from gspmc_mm.poses.mediapipe_points import MESH_OF_FACE, POSE_OF_BODY
from gspmc_mm.skeleton import get_layout

WHOLE = get_layout("wholebody133")
SIZE = (640, 480)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def header():
    return StoreHeader(layout="wholebody133", estimator={"name": "x", "version": "", "weights": ""})


def poses(frames=4, **facts):
    rng = np.random.default_rng(frames)
    keypoint = rng.uniform(0, 480, (frames, 133, 2)).astype(np.float32)
    return FoundPoses(keypoint, rng.uniform(0.1, 1, (frames, 133)).astype(np.float32), SIZE, **facts)


def only(found):
    assert len(found) == 1
    return found[0].read()


# ---- into a store ----


def test_labels_signers_and_splits_come_from_the_list(tmp_path, header):
    listed = (
        VideoClip("signer0_sample1", "train/signer0_sample1_color.mp4", 1, "b", "signer0", ("train",)),
        VideoClip("again/maria_1", "again/maria_1.mp4", 0, "a", "maria", ("test",), start=1, end=3),
        VideoClip("lost", "lost.mp4", 0, "a", "jo"),
    )
    names = ("signer0_sample1_color.mp4", "again/maria_1", "stranger")
    found = [FoundClip(name, poses) for name in names]
    clips = ClipList(listed, ("a", "b"), tmp_path, "n")
    report = write_found(found, tmp_path / "s.arrow", header, clips=clips)
    assert (report.written, report.unlisted, report.missing) == (2, ["stranger"], ["lost"])
    assert not report.complete
    store = PoseStore(tmp_path / "s.arrow")
    assert store.clip_ids.tolist() == ["signer0_sample1", "again/maria_1"]
    assert store.labels.tolist() == [1, 0]
    assert store.signers.tolist() == ["signer0", "maria"]
    assert store.header.classes == ["a", "b"]
    assert store.frames.tolist() == [4, 2]
    assert store.indices("test").tolist() == [1]
    np.testing.assert_allclose(store.clip(1).keypoint, poses().keypoint[1:3], atol=1 / 16)


def test_a_name_that_two_clips_have_stands_for_neither(tmp_path, header):
    listed = tuple(VideoClip(f"{g}/jo_1", f"{g}/jo_1.mp4", i, g, "jo") for i, g in enumerate("ab"))
    clips = ClipList(listed, ("a", "b"), tmp_path, "n")
    report = write_found(
        [FoundClip("jo_1", poses), FoundClip("a/jo_1", poses)], tmp_path / "s.arrow", header, clips=clips
    )
    assert report.unlisted == ["jo_1"]
    assert report.missing == ["b/jo_1"]


def test_one_bad_clip_does_not_stop_the_others(tmp_path, header):
    def broken():
        raise PoseStoreError("torn")

    report = write_found([FoundClip("bad", broken), FoundClip("good", poses)], tmp_path / "s.arrow", header)
    assert report.failed == {"bad": "torn"}
    assert report.written == 1
    assert PoseStore(tmp_path / "s.arrow").header.classes == ["unlabelled"]
    with pytest.raises(PoseStoreError, match="torn"):
        write_found([FoundClip("bad", broken)], tmp_path / "none.arrow", header)
    assert not list(tmp_path.glob("none*"))


def test_a_mirrored_picture_is_turned_back():
    found = poses()
    found.score[0, 5] = 0
    turned = unmirror(found, WHOLE)
    left, right = WHOLE.landmarks["left_wrist"], WHOLE.landmarks["right_wrist"]
    np.testing.assert_allclose(turned.keypoint[:, left, 0], 639 - found.keypoint[:, right, 0])
    np.testing.assert_allclose(turned.keypoint[:, left, 1], found.keypoint[:, right, 1])
    assert turned.score[0, 6] == 0
    assert not turned.keypoint[0, 6].any()
    np.testing.assert_allclose(unmirror(turned, WHOLE).score, found.score)


# ---- SAM-SLR ----


def test_sam_slr_single_files(tmp_path, rng):
    points = rng.uniform(0, 500, (5, 133, 3)).astype(np.float32)
    points[..., 2] = rng.uniform(0, 1.2, (5, 133))  # the peak of a heat map may be above 1
    points[1, 2] = np.nan
    np.save(tmp_path / "signer0_sample1_color.mp4.npy", points)
    found = find_sam_slr(tmp_path, WHOLE)
    assert [clip.name for clip in found] == ["signer0_sample1_color.mp4"]
    read = found[0].read()
    assert read.image_size == (512, 512)
    assert read.fps == 30
    assert read.score.max() == 1
    assert read.score[1, 2] == 0
    np.testing.assert_array_equal(read.keypoint[0], points[0, :, :2])


def test_sam_slr_joined_file(tmp_path, rng):
    layout = get_layout("samslr27")
    clips = [rng.uniform(0.1, 1, (frames, 27, 3)).astype(np.float32) for frames in (40, 150, 77)]
    joined = np.stack([np.resize(clip, (150, 27, 3)) for clip in clips])  # repeated up to 150 frames
    np.save(tmp_path / "train_data_joint.npy", joined.transpose(0, 3, 1, 2)[..., None])
    names = ["signer0_sample1", "signer0_sample2", "signer3_sample1"]
    (tmp_path / "train_label.pkl").write_bytes(pickle.dumps((names, [4, 2, 225])))
    found = find_sam_slr(tmp_path / "train_data_joint.npy", layout)
    for clip, name, label, true in zip(found, names, (4, 2, 225), clips, strict=True):
        read = clip.read()
        assert (clip.name, read.label, read.splits, read.signer) == (name, label, ("train",), name.partition("_")[0])
        np.testing.assert_array_equal(read.keypoint, true[..., :2])


def test_true_length_of_a_clip_that_begins_with_equal_frames():
    clip = np.array([0, 0, 1, 0, 0, 1, 0, 0], dtype=float)[:, None]
    assert true_length(clip) == 3
    assert true_length(np.arange(5.0)[:, None]) == 5


def test_sam_slr_faults(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        find_sam_slr(tmp_path / "none", WHOLE)
    np.save(tmp_path / "a.npy", np.zeros((3, 27, 3)))
    with pytest.raises(PoseStoreError, match=r"expected real numbers \(frames, 133, 3\)"):
        only(find_sam_slr(tmp_path, WHOLE))
    (tmp_path / "a.npy").write_bytes(b"no array")
    with pytest.raises(PoseStoreError, match=r"no \.npy file"):
        only(find_sam_slr(tmp_path, WHOLE))
    np.save(tmp_path / "x_data_joint.npy", np.zeros((2, 3, 150, 27, 1), dtype=np.float32))
    with pytest.raises(FileNotFoundError, match=r"x_label\.pkl"):
        find_sam_slr(tmp_path / "x_data_joint.npy", get_layout("samslr27"))
    (tmp_path / "x_label.pkl").write_bytes(pickle.dumps((["one"], [1])))
    with pytest.raises(PoseStoreError, match="1 names, 1 labels"):
        find_sam_slr(tmp_path / "x_data_joint.npy", get_layout("samslr27"))


def test_the_label_pickle_of_sam_slr_may_not_run_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, ("touch /tmp/should_not_be_there",)

    np.save(tmp_path / "x_data_joint.npy", np.zeros((1, 3, 150, 27, 1), dtype=np.float32))
    (tmp_path / "x_label.pkl").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(PoseStoreError, match="could run code"):
        find_sam_slr(tmp_path / "x_data_joint.npy", get_layout("samslr27"))


# ---- OpenPose ----


def person(rng, shift=0.0, sure=0.9):
    """One person of OpenPose as JSON; every group has its own numbers."""
    groups = {}
    for name, count in (("pose", 25), ("face", 70), ("hand_left", 21), ("hand_right", 21)):
        points = np.column_stack([rng.uniform(10, 100, (count, 2)) + shift, np.full(count, sure)])
        groups[f"{name}_keypoints_2d"] = points.round(3).ravel().tolist()
    return groups


def write_frame(folder, number, people):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"vid_{number:012d}_keypoints.json").write_text(json.dumps({"people": people}))


def test_openpose_points_come_to_their_places(tmp_path, rng):
    one = person(rng)
    write_frame(tmp_path / "clip", 0, [one])
    write_frame(tmp_path / "clip", 1, [])
    found = find_openpose_json(tmp_path, SIZE, fps=25)
    assert [clip.name for clip in found] == ["clip"]
    read = found[0].read()
    body = np.array(one["pose_keypoints_2d"]).reshape(25, 3)
    for joint, source in enumerate(BODY_25):
        np.testing.assert_allclose(read.keypoint[0, joint], body[source, :2], rtol=1e-5)
    # OpenPose: 2 right shoulder, 5 left shoulder, 4 right wrist
    np.testing.assert_allclose(read.keypoint[0, WHOLE.landmarks["right_shoulder"]], body[2, :2], rtol=1e-5)
    np.testing.assert_allclose(read.keypoint[0, WHOLE.landmarks["right_wrist"]], body[4, :2], rtol=1e-5)
    hand = np.array(one["hand_left_keypoints_2d"]).reshape(21, 3)
    np.testing.assert_allclose(read.keypoint[0, 91:112], hand[:, :2], rtol=1e-5)
    face = np.array(one["face_keypoints_2d"]).reshape(70, 3)
    np.testing.assert_allclose(read.keypoint[0, 23:91], face[:68, :2], rtol=1e-5)
    assert not read.score[1].any()
    assert read.fps == 25
    assert read.image_size == SIZE


def test_openpose_follows_one_person_in_any_order(rng):
    frames = []
    for t in range(8):
        near = np.column_stack([np.full((133, 2), 100 + 5 * t), np.full(133, 0.6)])
        far = np.column_stack([np.full((133, 2), 400 - 5 * t), np.full(133, 0.9 if t == 4 else 0.5)])
        people = [near, far] if t % 2 else [far, near]
        frames.append(np.stack(people) if t != 6 else np.zeros((0, 133, 3)))
    followed = follow_person(frames)
    expected = [400 - 5 * t if t != 6 else 0 for t in range(8)]
    np.testing.assert_allclose(followed[:, 0, 0], expected)


def test_openpose_units_and_faults(tmp_path, rng):
    small = {key: (np.array(values) / 1000).tolist() for key, values in person(rng).items()}
    write_frame(tmp_path / "n", 0, [small])
    with pytest.raises(PoseStoreError, match="say that they are normalized"):
        only(find_openpose_json(tmp_path, SIZE))
    read = only(find_openpose_json(tmp_path, SIZE, normalized=True))
    assert 6 <= read.keypoint[0, 0, 0] <= 64
    with pytest.raises(PoseStoreError, match="how large the picture was"):
        only(find_openpose_json(tmp_path, {}, normalized=True))
    write_frame(tmp_path / "n", 3, [])
    with pytest.raises(PoseStoreError, match="frame 1 is missing"):
        only(find_openpose_json(tmp_path, SIZE, normalized=True))
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "a_000_keypoints.json").write_text("{")
    with pytest.raises(PoseStoreError, match="no JSON of OpenPose"):
        find_openpose_json(tmp_path, SIZE)[0].read()
    with pytest.raises(FileNotFoundError):
        find_openpose_json(tmp_path / "n" / "none", SIZE)


# ---- MediaPipe Holistic ----


def holistic(rng, frames=3):
    """The four groups, each with its own numbers; the right hand is missing in the last frame."""
    groups = {
        "pose": rng.uniform(0.1, 0.9, (frames, 33, 4)),
        "face": rng.uniform(0.1, 0.9, (frames, 468, 3)),
        "left_hand": rng.uniform(0.1, 0.9, (frames, 21, 3)),
        "right_hand": rng.uniform(0.1, 0.9, (frames, 21, 3)),
    }
    groups["right_hand"][-1] = 0
    return groups


def check_holistic(read, groups):
    scale = np.array(SIZE)
    np.testing.assert_allclose(read.keypoint[:, 91:112], groups["left_hand"][..., :2] * scale, rtol=1e-4)
    np.testing.assert_allclose(read.keypoint[:, 23:91], groups["face"][:, MESH_OF_FACE, :2] * scale, rtol=1e-4)
    wrist = groups["pose"][:, POSE_OF_BODY[10]]
    np.testing.assert_allclose(read.keypoint[:, 10], wrist[:, :2] * scale, rtol=1e-4)
    assert read.score[:-1, 112:].all()
    assert not read.score[-1, 112:].any()


def test_holistic_in_any_order(tmp_path, rng):
    groups = holistic(rng)
    for order in (("face", "left_hand", "pose", "right_hand"), ("pose", "face", "left_hand", "right_hand")):
        np.save(tmp_path / "a.npy", np.concatenate([groups[name][..., :3] for name in order], axis=1))
        read = only(find_holistic_npy(tmp_path, SIZE, order))
        check_holistic(read, groups)
        assert read.score[0, 10] == 1
    with pytest.raises(PoseStoreError, match="nothing says in which order"):
        only(find_holistic_npy(tmp_path, SIZE))
    with pytest.raises(PoseStoreError, match="543 landmarks"):
        only(find_holistic_npy(tmp_path, SIZE, ("pose", "left_hand")))
    with pytest.raises(PoseStoreError, match="each once"):
        find_holistic_npy(tmp_path, SIZE, ("pose", "pose"))


def test_holistic_missing_as_nan(tmp_path, rng):
    groups = holistic(rng)
    groups["right_hand"][-1] = np.nan
    order = ("face", "left_hand", "pose", "right_hand")
    np.save(tmp_path / "a.npy", np.concatenate([groups[name][..., :3] for name in order], axis=1))
    check_holistic(only(find_holistic_npy(tmp_path, {"a": SIZE}, order)), groups)


def test_holistic_frames_as_files(tmp_path, rng):
    groups = holistic(rng, frames=12)
    flat = np.concatenate(
        [groups[name].reshape(12, -1) for name in ("pose", "face", "left_hand", "right_hand")], axis=1
    )
    assert flat.shape[1] == 1662
    (tmp_path / "hello" / "7").mkdir(parents=True)
    for t in range(12):  # 10.npy comes after 9.npy
        np.save(tmp_path / "hello" / "7" / f"{t}.npy", flat[t])
    found = find_holistic_npy(tmp_path, SIZE)
    assert [clip.name for clip in found] == ["hello/7"]
    read = found[0].read()
    check_holistic(read, groups)
    np.testing.assert_allclose(read.score[:, 10], groups["pose"][:, POSE_OF_BODY[10], 3], rtol=1e-5)


def test_holistic_in_pixels_is_refused(tmp_path, rng):
    np.save(tmp_path / "a.npy", rng.uniform(100, 400, (3, 543, 3)))
    with pytest.raises(PoseStoreError, match="expected shares"):
        only(find_holistic_npy(tmp_path, SIZE, ("pose", "face", "left_hand", "right_hand")))


# ---- .pose ----


@pytest.fixture
def pose_format():
    if os.environ.get("CI") != "true":
        pytest.importorskip("pose_format")
    import pose_format

    return pose_format


@pytest.mark.parametrize("layout", ["wholebody133", "sign87", "coco17"])
def test_pose_files_there_and_back(tmp_path, make_clip, write_store, pose_format, layout):
    joints = get_layout(layout).num_joints
    clips = [make_clip("a", joints=joints), make_clip("b/c", frames=3, joints=joints, seed=1)]
    store = write_store(tmp_path / "s.arrow", clips, layout=layout)
    files = write_pose_files(store, tmp_path / "poses")
    assert files == [tmp_path / "poses" / "a.pose", tmp_path / "poses" / "b" / "c.pose"]
    found = find_pose_files(tmp_path / "poses", get_layout(layout))
    assert [clip.name for clip in found] == ["a", "b/c"]
    for clip, index in zip(found, range(2), strict=True):
        read, written = clip.read(), store.clip(index)
        np.testing.assert_allclose(read.keypoint * (read.score > 0)[..., None], written.keypoint, atol=1e-3)
        np.testing.assert_allclose(read.score, written.score, atol=1e-6)
        assert (read.image_size, read.fps) == (written.image_size, written.fps)


def test_pose_format_knows_our_files(tmp_path, make_clip, write_store, pose_format):
    from pose_format.utils.generic import detect_known_pose_format

    store = write_store(tmp_path / "s.arrow", [make_clip("a", joints=133)], layout="wholebody133")
    (path,) = write_pose_files(store, tmp_path)
    pose = pose_format.Pose.read(path.read_bytes())
    assert detect_known_pose_format(pose) == "coco_wholebody_133"
    assert pose.body.data.shape == (6, 1, 133, 2)


def write_foreign_pose(path, components, rng, frames=3, people=1):
    from pose_format import Pose, PoseHeader
    from pose_format.numpy import NumPyPoseBody
    from pose_format.pose_header import PoseHeaderComponent, PoseHeaderDimensions

    parts = [PoseHeaderComponent(name, points, [], [(0, 0, 0)], "XYZC") for name, points in components.items()]
    count = sum(len(points) for points in components.values())
    data = rng.uniform(10, 400, (frames, people, count, 3)).astype(np.float32)
    confidence = rng.uniform(0.5, 1, (frames, people, count)).astype(np.float32)
    confidence[:, 0] *= 0.1 if people > 1 else 1
    header = PoseHeader(0.1, PoseHeaderDimensions(*SIZE, 1), parts)
    with open(path, "wb") as file:
        Pose(header, NumPyPoseBody(30, data, confidence)).write(file)
    return data, confidence


def test_pose_files_of_mediapipe_with_a_reduced_face(tmp_path, rng, pose_format):
    face = [str(vertex) for vertex in sorted({*MESH_OF_FACE[:40], 10})]
    components = {
        "POSE_LANDMARKS": [f"P{i}" for i in range(33)],
        "FACE_LANDMARKS": face,
        "RIGHT_HAND_LANDMARKS": [f"H{i}" for i in range(21)],
    }
    data, confidence = write_foreign_pose(tmp_path / "a.pose", components, rng, people=2)
    read = only(find_pose_files(tmp_path, WHOLE))  # the second person is the surer one
    np.testing.assert_allclose(read.keypoint[:, 0], data[:, 1, 0, :2], rtol=1e-5)
    np.testing.assert_allclose(read.keypoint[:, 112:], data[:, 1, 33 + len(face) :, :2], rtol=1e-5)
    chin = 33 + face.index(str(MESH_OF_FACE[8]))
    np.testing.assert_allclose(read.score[:, 23 + 8], confidence[:, 1, chin], rtol=1e-5)
    assert not read.score[:, 23 + 67].any()
    assert not read.score[:, 91:112].any()


def test_pose_files_of_openpose(tmp_path, rng, pose_format):
    components = {
        "pose_keypoints_2d": [f"P{i}" for i in range(25)],
        "hand_left_keypoints_2d": [f"H{i}" for i in range(21)],
    }
    data, _ = write_foreign_pose(tmp_path / "a.pose", components, rng)
    read = only(find_pose_files(tmp_path, WHOLE))
    np.testing.assert_allclose(read.keypoint[:, 6], data[:, 0, 2, :2], rtol=1e-5)
    np.testing.assert_allclose(read.keypoint[:, 91:112], data[:, 0, 25:, :2], rtol=1e-5)


def test_pose_faults(tmp_path, rng, pose_format, make_clip, write_store):
    (tmp_path / "a.pose").write_bytes(b"nothing")
    with pytest.raises(PoseStoreError, match=r"no \.pose file"):
        only(find_pose_files(tmp_path, WHOLE))
    write_foreign_pose(tmp_path / "a.pose", {"TAIL": ["t0", "t1"]}, rng)
    with pytest.raises(PoseStoreError, match="components are TAIL"):
        only(find_pose_files(tmp_path, WHOLE))
    store = write_store(tmp_path / "s.arrow", [make_clip("../out")])
    with pytest.raises(PoseStoreError, match="no file of this name"):
        write_pose_files(store, tmp_path / "poses")


# ---- mmaction, there and back ----


def test_mmaction_pickle_of_an_imported_store(tmp_path, header):
    write_found([FoundClip("a", poses)], tmp_path / "s.arrow", header)
    write_mmaction_pickle(PoseStore(tmp_path / "s.arrow"), tmp_path / "s.pkl")
    (annotation,) = read_mmaction_pickle(tmp_path / "s.pkl")["annotations"]
    assert annotation["keypoint"].shape == (1, 4, 133, 2)
    assert annotation["img_shape"] == (480, 640)


# ---- archives ----


def write_npz(path, keypoint, offset, **arrays):
    clips = len(offset) - 1
    facts = {"label": np.zeros(clips, int), "signer": np.arange(clips), "class_names": np.array(["a"]), **arrays}
    np.savez(path, keypoint=keypoint, offset=np.array(offset), **facts)


def test_body_and_hands(tmp_path, rng):
    points = rng.uniform(0.1, 0.9, (5, 53, 4)).astype(np.float32)
    points[0, 32:] = 0
    arrays = {"video_id": np.array(["v1", "v2"]), "split": np.array(["train", "test"])}
    write_npz(tmp_path / "a.npz", points, [0, 2, 5], **arrays)
    archive = open_sign_npz(tmp_path / "a.npz", SIZE)
    assert archive.kind == "wlasl50_body_hands"
    assert archive.classes == ("a",)
    read = archive.found[1].read()
    assert archive.found[1].name == "v2"
    assert read.splits == ("test",)
    assert read.signer == "signer1"
    np.testing.assert_allclose(read.keypoint[:, 112:], points[2:, 32:, :2] * SIZE, rtol=1e-5)
    np.testing.assert_allclose(read.keypoint[:, 10], points[2:, 6, :2] * SIZE, rtol=1e-5)  # 16: right wrist
    assert not archive.found[0].read().score[0, 112:].any()


def test_hands_and_face_are_put_where_the_body_has_them(rng):
    pose = rng.uniform(-1, 1, (6, 33, 2))
    hand = rng.uniform(-1, 1, (21, 2))
    # The hand of the signer is 0.3 times as large; three landmarks of the pose lie on it.
    true = pose[:, 16, None] + 0.3 * (hand - hand[0])
    pose[:, 20], pose[:, 18] = true[:, 5], true[:, 17]
    face = rng.uniform(0, 1, (68, 2))
    true_face = 0.2 * face + pose[:, 0, None]
    for landmark, point in ((6, 36), (3, 45), (10, 48), (9, 54)):
        pose[:, landmark] = true_face[:, point]
    right = np.repeat(hand[None] + 7, 6, axis=0)  # its place says nothing
    right[2] = 0
    whole, there = put_together(pose, np.zeros((6, 21, 2)), right, np.repeat(face[None] * 5, 6, axis=0))
    seen = [0, 1, 3, 4, 5]
    np.testing.assert_allclose(whole[seen, 112:], true[seen], atol=1e-9)
    np.testing.assert_allclose(whole[:, 23:91], true_face, atol=1e-9)
    assert not there[2, 112:].any()
    assert not there[:, 91:112].any()
    assert there[:, 23:91].all()
    np.testing.assert_allclose(whole[:, 5], pose[:, 11])


def test_the_real_archives(shared_data):
    bdsl = open_sign_npz(shared_data / "bdsl55" / "bdsl55.npz")
    assert (bdsl.kind, len(bdsl.found), len(bdsl.classes)) == ("bdsl55", 608, 55)
    read = bdsl.found[300].read()
    shoulders = np.linalg.norm(read.keypoint[:, 5] - read.keypoint[:, 6], axis=-1)
    assert shoulders == pytest.approx(256, rel=0.1)
    # Hands as long as half the shoulders are wide or so, and the face between the ears.
    seen = read.score[:, 91] > 0
    assert 40 < np.linalg.norm(np.ptp(read.keypoint[seen][:, 91:112], axis=1), axis=-1).mean() < 220
    face = read.keypoint[:, 23:91].mean(axis=1)
    assert np.abs(face - read.keypoint[:, 0]).max() < 60
    wlasl = open_sign_npz(shared_data / "wlasl50_body_hands" / "wlasl50_body_hands.npz", SIZE)
    assert (wlasl.kind, len(wlasl.found)) == ("wlasl50_body_hands", 423)
    assert wlasl.found[0].read().score.any()
    assert open_sign_npz(shared_data / "wlasl100" / "wlasl100_hands.npz").kind == "wlasl100"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"keypoint": np.zeros((5, 7, 3))}, "keypoint is"),
        ({"offset": [0, 2, 4]}, "rise from 0 to the 5 frames"),
        ({"label": np.zeros(9, int)}, "label has 9 rows"),
    ],
)
def test_archives_that_contradict_themselves(tmp_path, change, said):
    facts = {"keypoint": np.zeros((5, 53, 4)), "offset": [0, 2, 5], "video_id": np.array(["a", "b"]), **change}
    write_npz(tmp_path / "a.npz", facts.pop("keypoint"), facts.pop("offset"), **facts)
    with pytest.raises(PoseStoreError, match=said):
        open_sign_npz(tmp_path / "a.npz", SIZE)


def test_no_archive(tmp_path):
    with pytest.raises(FileNotFoundError):
        open_sign_npz(tmp_path / "a.npz")
    (tmp_path / "a.npz").write_bytes(b"nothing")
    with pytest.raises(PoseStoreError, match=r"no \.npz archive"):
        open_sign_npz(tmp_path / "a.npz")
