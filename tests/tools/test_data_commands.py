"""The command lines that list, import, export, audit and show data: what they write, say and return."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from gspmc_mm.poses import PoseClip, PoseStore, PoseStoreWriter, StoreHeader
from gspmc_mm.poses.clip_list import read_clip_list

REPOSITORY = Path(__file__).resolve().parents[2]
TOOLS = ("slr500", "autsl", "clip_list", "import_poses", "export_poses", "audit", "browse", "resplit")


def write_store(path: Path, clips: int = 6) -> Path:
    rng = np.random.default_rng(0)
    header = StoreHeader(
        layout="wholebody133", estimator={"name": "x", "version": "1", "weights": "w"}, classes=["a", "b"]
    )
    with PoseStoreWriter(path, header) as writer:
        for n in range(clips):
            points = rng.uniform(20, 460, (1, 133, 2)) + rng.uniform(0, 2, (12, 133, 2)).cumsum(axis=0)
            score = rng.uniform(0.5, 1, (12, 133)).astype(np.float32)
            split = "test" if n >= clips - 2 else "train"
            writer.add(
                PoseClip(f"{n}", points.astype(np.float32), score, n % 2, f"{split}{n}", 25.0, (640, 480), (split,))
            )
    return path


@pytest.mark.parametrize("tool", TOOLS)
def test_help_needs_no_package(tool, commands, tmp_path):
    done = commands.run(f"tools/data/{tool}.py", "--help", cwd=tmp_path)
    assert done.status == 0
    assert "usage" in done.said


@pytest.mark.parametrize("tool", TOOLS)
def test_help_is_quick(tool):
    """Heavy imports stand inside functions: none is at the top of the file."""
    text = (REPOSITORY / "tools" / "data" / f"{tool}.py").read_text(encoding="utf-8")
    top = text.partition("def ")[0].partition("if TYPE_CHECKING:")[0]
    assert "gspmc_mm" not in "".join(line for line in top.splitlines() if line.startswith(("import", "from")))


def test_clip_list(commands, tmp_path):
    for name in ("a/x_1.mp4", "a/y_1.mp4", "b/x_1.mp4", "b/y_1.mp4"):
        (tmp_path / "videos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "videos" / name).touch()
    done = commands.run("tools/data/clip_list.py", "videos", "--out", "c/clips.csv", cwd=tmp_path)
    assert done.status == 0, done.said
    clips = read_clip_list(tmp_path / "c" / "clips.csv")
    assert len(clips.of_split("train")) == len(clips.of_split("test")) == 2
    again = commands.run("tools/data/clip_list.py", "c/clips.csv", "--out", "d.csv", cwd=tmp_path)
    assert "splits of the list are kept: " in again.said
    assert {clip.splits for clip in read_clip_list(tmp_path / "d.csv").clips} == {("train",), ("test",)}
    (tmp_path / "videos" / "b" / "y_1.mp4").unlink()
    lost = commands.run("tools/data/clip_list.py", "c/clips.csv", "--out", "e.csv", cwd=tmp_path)
    assert lost.status == 1
    assert "error: 1 of 4 videos do not exist" in lost.said
    assert not (tmp_path / "e.csv").exists()
    one = commands.run("tools/data/clip_list.py", "videos", "--test-signers", "z", "--out", "e.csv", cwd=tmp_path)
    assert one.status == 1
    assert "no clip of signer 'z'" in one.said


def test_a_list_with_contradictions_is_written_only_on_demand(commands, tmp_path):
    for name in ("000/P01_01_00_0._color.mp4", "000/P02_01_00_0._color.mp4", "001/P36_01_00_0._color.mp4"):
        (tmp_path / "v" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "v" / name).write_bytes(b"x")
    refused = commands.run("tools/data/slr500.py", "--videos", "v", "--out", "c.csv", cwd=tmp_path)
    assert refused.status == 1
    assert "CONTRADICTION: name against folder (1)" in refused.said
    assert not (tmp_path / "c.csv").exists()
    done = commands.run("tools/data/slr500.py", "--videos", "v", "--out", "c.csv", "--leave-out-faulty", cwd=tmp_path)
    assert done.status == 0, done.said
    assert [clip.clip_id for clip in read_clip_list(tmp_path / "c.csv").clips] == ["P01_01_00_0", "P02_01_00_0"]


def test_autsl(commands, tmp_path, shared_data):
    (tmp_path / "v" / "val").mkdir(parents=True)
    (tmp_path / "v" / "val" / "signer1_sample1_color.mp4").write_bytes(b"x")
    labels = shared_data / "labels" / "autsl"
    done = commands.run("tools/data/autsl.py", "--videos", "v", "--labels", labels, "--out", "c.csv", cwd=tmp_path)
    assert done.status == 0, done.said
    assert "difference: label, no video (36,301)" in done.said
    clips = read_clip_list(tmp_path / "c.csv")
    assert (clips.clips[0].label, clips.clips[0].splits, len(clips.classes)) == (136, ("val",), 226)
    assert commands.run("tools/data/autsl.py", "--videos", "none", cwd=tmp_path).status == 1


def test_import_and_export(commands, tmp_path):
    store = PoseStore(write_store(tmp_path / "s.arrow"))
    for form, out in (("mmaction", "s.pkl"), ("pose", "poses")):
        if form == "pose":
            pytest.importorskip("pose_format")
        done = commands.run("tools/data/export_poses.py", "s.arrow", "--format", form, "--out", out, cwd=tmp_path)
        assert done.status == 0, done.said
        twice = commands.run("tools/data/export_poses.py", "s.arrow", "--format", form, "--out", out, cwd=tmp_path)
        assert twice.status == 1
        assert "exists already" in twice.said
        extra = ("--clips", "poses/clips.csv") if form == "pose" else ()
        back = commands.run(
            "tools/data/import_poses.py",
            *(out, "--format", form, "--estimator", "x", "--estimator-version", "1", "--weights", "w", *extra),
            *("--out", f"{form}.arrow"),
            cwd=tmp_path,
        )
        assert back.status == 0, back.said
        again = PoseStore(tmp_path / f"{form}.arrow")
        assert again.clip_ids.tolist() == store.clip_ids.tolist()
        assert again.labels.tolist() == store.labels.tolist()
        assert again.signers.tolist() == store.signers.tolist()
        assert again.indices("test").tolist() == store.indices("test").tolist()
        np.testing.assert_allclose(again.clip(2).keypoint, store.clip(2).keypoint, atol=1 / 16)


def test_an_import_that_is_not_whole_says_so_and_fails(commands, tmp_path):
    (tmp_path / "npy").mkdir()
    np.save(tmp_path / "npy" / "signer0_sample1_color.mp4.npy", np.full((3, 133, 3), 0.5, np.float32))
    np.save(tmp_path / "npy" / "signer0_sample2_color.mp4.npy", np.zeros((3, 4)))
    rows = "clip_id,video,label,gloss\nsigner0_sample1,a.mp4,0,x\nsigner0_sample2,b.mp4,0,x\nlost,c.mp4,0,x\n"
    (tmp_path / "clips.csv").write_text(rows)
    command = ("tools/data/import_poses.py", "npy", "--format", "sam-slr", "--clips", "clips.csv", "--out", "o.arrow")
    done = commands.run(*command, cwd=tmp_path)
    assert done.status == 1
    assert "failed: signer0_sample2_color.mp4" in done.said
    assert "in the list, not found: 1 (lost)" in done.said
    store = PoseStore(tmp_path / "o.arrow")
    assert store.clip_ids.tolist() == ["signer0_sample1"]
    assert "turned back" in store.header.note
    assert store.header.estimator["name"].startswith("hrnet")


def test_import_of_openpose_and_holistic(commands, tmp_path):
    person = {"pose_keypoints_2d": [50.0, 60.0, 0.9] * 25}
    (tmp_path / "json" / "v1").mkdir(parents=True)
    (tmp_path / "json" / "v1" / "v1_000_keypoints.json").write_text(json.dumps({"people": [person]}))
    size = ("--size", 640, 480)
    done = commands.run(
        "tools/data/import_poses.py",
        "json",
        "--format",
        "openpose",
        *size,
        "--fps",
        30,
        "--out",
        "o.arrow",
        cwd=tmp_path,
    )
    assert done.status == 0, done.said
    assert PoseStore(tmp_path / "o.arrow").clip(0).keypoint[0, 0].tolist() == [50, 60]
    (tmp_path / "npy").mkdir()
    np.save(tmp_path / "npy" / "v1.npy", np.full((2, 543, 3), 0.5))
    order = "face,left_hand,pose,right_hand"
    common = ("tools/data/import_poses.py", "npy", "--format", "holistic", "--order", order, "--out", "h.arrow")
    (tmp_path / "sizes.csv").write_text("clip_id,width,height\nv1,200,100\n")
    assert "give its width and height" in commands.run(*common, cwd=tmp_path).said
    done = commands.run(*common, "--sizes", "sizes.csv", cwd=tmp_path)
    assert done.status == 0, done.said
    assert PoseStore(tmp_path / "h.arrow").clip(0).keypoint[0, 0].tolist() == [100, 50]


def test_import_of_the_archives(commands, tmp_path, shared_data):
    source = shared_data / "wlasl50_body_hands" / "wlasl50_body_hands.npz"
    done = commands.run(
        "tools/data/import_poses.py", source, "--format", "npz", "--size", 640, 480, "--out", "w.arrow", cwd=tmp_path
    )
    assert done.status == 0, done.said
    store = PoseStore(tmp_path / "w.arrow")
    assert (len(store), len(store.header.classes), store.split_names) == (423, 50, ("test", "val", "train"))


def test_formats_that_do_not_say_their_estimator_ask_for_it(commands, tmp_path):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps([]))
    done = commands.run("tools/data/import_poses.py", "a.pkl", "--format", "mmaction", "--out", "o.arrow", cwd=tmp_path)
    assert done.status == 2
    assert "give --estimator" in done.words


@pytest.mark.parametrize(
    ("form", "options", "said"),
    [
        ("mmaction", ("--estimator", "x", "--clips", "c.csv", "--no-mirrored"), "--clips --mirrored"),
        ("mmaction", ("--estimator", "x", "--sizes", "s.csv", "--order", "pose"), "--order --sizes"),
        ("sam-slr", ("--third-is-score",), "--third-is-score"),
        ("openpose", ("--order", "pose"), "--order"),
        ("holistic", ("--normalized",), "--normalized"),
        ("pose", ("--estimator", "x", "--size", 640, 480, "--fps", 25), "--fps --size"),
        ("npz", ("--fps", 25), "--fps"),
    ],
)
def test_options_that_would_do_nothing_are_refused(commands, tmp_path, form, options, said):
    done = commands.run("tools/data/import_poses.py", "a", "--format", form, *options, "--out", "o.arrow", cwd=tmp_path)
    assert done.status == 2
    assert f"--format {form} has no use for {said}: leave it out" in done.words


def test_weights_need_their_estimator(commands, tmp_path):
    options = ("a", "--format", "sam-slr", "--weights", "w.pth", "--out", "o.arrow")
    done = commands.run("tools/data/import_poses.py", *options, cwd=tmp_path)
    assert done.status == 2
    assert "give --estimator too" in done.words


def test_the_archive_of_wlasl100_takes_no_options_and_no_other_name(commands, tmp_path):
    points, clips = np.zeros((2, 2, 21, 3), np.int16), np.zeros(1, int)
    np.savez(tmp_path / "a.npz", keypoint=points, offset=[0, 2], label=clips, signer=clips, class_names=["a"])
    common = ("tools/data/import_poses.py", "a.npz", "--format", "npz", "--out", "o.arrow")
    for option, value in (("--layout", "wholebody133"), ("--estimator", "x"), ("--clips", "c.csv")):
        done = commands.run(*common, option, value, cwd=tmp_path)
        assert done.status == 1
        assert f"error: a.npz: the npz of wlasl100 has no use for {option}: leave it out" in done.words
    done = commands.run(*common, cwd=tmp_path)
    assert done.status == 1
    assert "has to be called wlasl100_hands.npz" in done.words


def test_scores_above_one_are_counted(commands, tmp_path):
    content = {
        "frame_dir": "hot",
        "label": 0,
        "total_frames": 2,
        "img_shape": (480, 640),
        "keypoint": np.ones((1, 2, 17, 2), np.float32),
        "keypoint_score": np.full((1, 2, 17), 1.02, np.float32),
    }
    (tmp_path / "a.pkl").write_bytes(
        pickle.dumps([content, {**content, "frame_dir": "b", "keypoint_score": np.ones((1, 2, 17))}])
    )
    options = ("a.pkl", "--format", "mmaction", "--layout", "coco17", "--estimator", "x", "--out", "o.arrow")
    done = commands.run("tools/data/import_poses.py", *options, cwd=tmp_path)
    assert done.status == 0, done.said
    said = "1 of 2 clips had scores above 1, which were set to 1"
    assert said in done.words
    assert said in PoseStore(tmp_path / "o.arrow").header.note


def test_audit(commands, tmp_path):
    write_store(tmp_path / "s.arrow")
    done = commands.run("tools/data/audit.py", "s.arrow", "--html", "a/a.html", "--csv", "a/a.csv", cwd=tmp_path)
    assert done.status == 0, done.said
    assert "0 errors" in done.said
    assert "tools/data/audit.py" in (tmp_path / "a" / "a.html").read_text(encoding="utf-8")
    lines = (tmp_path / "a" / "a.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 7
    assert lines[0].startswith("clip_id,label,signer,frames")

    header = PoseStore(tmp_path / "s.arrow").header
    with PoseStoreWriter(tmp_path / "bad.arrow", header) as writer:
        for n in range(2):
            points, score = np.ones((1, 133, 2), np.float32), np.ones((1, 133), np.float32)
            writer.add(PoseClip(f"{n}", points, score, 0, "s", 25.0, (64, 48)))
    bad = commands.run("tools/data/audit.py", "bad.arrow", cwd=tmp_path)
    assert bad.status == 1
    assert "error: one-frame (2)" in bad.said
    assert commands.run("tools/data/audit.py", "bad.arrow", "--allow", "one-frame", cwd=tmp_path).status == 0
    wrong = commands.run("tools/data/audit.py", "bad.arrow", "--allow", "frames", cwd=tmp_path)
    assert wrong.status == 1
    assert "no kind of finding is called 'frames'" in wrong.said
    kinds = commands.run("tools/data/audit.py", "--kinds", cwd=tmp_path)
    assert kinds.status == 0
    assert "copy-across-splits" in kinds.said


def test_browse(commands, tmp_path):
    write_store(tmp_path / "s.arrow")
    listed = commands.run("tools/data/browse.py", "s.arrow", "--list", "--split", "test", cwd=tmp_path)
    assert listed.said.splitlines() == ["4\ta\ttest4\t12 frames", "5\tb\ttest5\t12 frames"]
    for out in ("a.png", "a.jpg", "a.mp4"):
        done = commands.run(
            "tools/data/browse.py", "s.arrow", "--clip", 1, "--stream", "jm", "--out", out, cwd=tmp_path
        )
        assert done.status == 0, done.said
        assert (tmp_path / out).stat().st_size > 1000
    for wrong, said in (
        (("--clip", "x", "--out", "b.png"), "no clip 'x'"),
        (("--clip", 1, "--out", "b.gif"), "pictures are written as .png or .jpg"),
        (("--clip", 1, "--video", "none.mp4", "--out", "b.png"), "there is no such video"),
        (("--clip", 1, "--layout", "ntu25", "--out", "b.png"), "ntu25"),
    ):
        done = commands.run("tools/data/browse.py", "s.arrow", *wrong, cwd=tmp_path)
        assert done.status == 1, done.said
        assert said in done.said
    assert not list(tmp_path.glob("b.*"))
