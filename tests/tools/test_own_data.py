"""From a person's own videos to a trained network, in the four commands of docs/own_data.md; on real videos."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import cv2
import pytest

from gspmc_mm.poses import PoseStore

SIGNS = ("again", "age", "dinner")
EVERY = 3  # frame of the videos is kept: MediaPipe needs a quarter of a second for each


def thin_out(video: Path, target: Path) -> None:
    """A shorter copy of a video."""
    capture, writer, number = cv2.VideoCapture(str(video)), None, 0
    while True:
        good, frame = capture.read()
        if not good:
            break
        if writer is None:
            size = (frame.shape[1], frame.shape[0])
            writer = cv2.VideoWriter(str(target), cv2.VideoWriter_fourcc(*"mp4v"), 30 / EVERY, size)
        if number % EVERY == 0:
            writer.write(frame)
        number += 1
    capture.release()
    writer.release()


@pytest.fixture(scope="module")
def own(shared_data: Path, commands, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with the videos of two signers and their poses, after the first two commands."""
    if os.environ.get("CI") != "true":
        pytest.importorskip("mediapipe")
    folder = tmp_path_factory.mktemp("own")
    for sign in SIGNS:
        for number, signer in ((1, "kim"), (2, "lee")):
            target = folder / "videos" / sign / f"{signer}_1.mp4"
            target.parent.mkdir(parents=True, exist_ok=True)
            thin_out(shared_data / "ksl_videos" / f"{sign}_example{number}.mp4", target)
    # The config lies beside the others, as a user's copy of it does.
    shutil.copytree(repository / "configs", folder / "configs")
    listed = commands.run("tools/data/clip_list.py", "videos", "--test-signers", "lee", cwd=folder)
    assert listed.status == 0, listed.said
    assert "num_classes = 3" in listed.said
    extract = ("tools/pose/extract.py", "data/own/clips.csv", "--estimator", "mediapipe", "--out", "data/own/poses")
    extracted = commands.start(*extract, cwd=folder).wait(timeout=900)
    assert extracted.status == 0, extracted.said
    return folder


@pytest.mark.slow
def test_the_store_holds_what_was_filmed(own):
    store = PoseStore(own / "data" / "own" / "poses")
    assert sorted(store.clip_ids) == sorted(f"{sign}/{signer}_1" for sign in SIGNS for signer in ("kim", "lee"))
    assert store.header.classes == sorted(SIGNS)
    assert {store.header.classes[label] for label in store.labels} == set(SIGNS)
    assert {str(store.signers[i]) for i in store.indices("test")} == {"lee"}
    assert {str(store.signers[i]) for i in store.indices("train")} == {"kim"}
    assert store.layout.name == "wholebody133"
    assert store.frames.min() >= 50 // EVERY


@pytest.mark.slow
def test_audit_and_pictures(own, commands):
    audit = commands.run(
        "tools/data/audit.py", "data/own/poses", "--clips", "data/own/clips.csv", "--html", "audit.html", cwd=own
    )
    assert audit.status == 0, audit.said
    assert "0 errors" in audit.said
    assert "num_classes = 3" in audit.said
    assert "<svg" in (own / "audit.html").read_text(encoding="utf-8")
    for out, extra in (
        ("over.png", ("--clips", "data/own/clips.csv")),
        ("bones.mp4", ("--layout", "sign87", "--stream", "bm")),
    ):
        drawn = commands.run(
            "tools/data/browse.py", "data/own/poses", "--clip", "again/kim_1", *extra, "--out", out, cwd=own
        )
        assert drawn.status == 0, drawn.said
        assert (own / out).stat().st_size > 10_000


@pytest.mark.slow
def test_training_ends_with_a_network_and_the_test_refuses_other_poses(own, commands):
    short = ("train_cfg.max_epochs=2", "train_cfg.val_begin=2", "train_cfg.val_interval=1")
    trained = commands.run("tools/train.py", "configs/own_data_j.py", "--cfg-options", *short, cwd=own)
    assert trained.status == 0, trained.said
    assert "acc/top1" in trained.said
    checkpoint = own / "work_dirs" / "own_data_j" / "epoch_2.pth"
    assert checkpoint.is_file()
    tested = commands.run("tools/test.py", "configs/own_data_j.py", checkpoint, cwd=own)
    assert tested.status == 0, tested.said

    other = own / "data" / "other.arrow"
    rewrite(PoseStore(own / "data" / "own" / "poses"), other, {"name": "hrnet", "version": "", "weights": ""})
    options = (f"test_dataloader.dataset.ann_file={other}",)
    refused = commands.run("tools/test.py", "configs/own_data_j.py", checkpoint, "--cfg-options", *options, cwd=own)
    assert refused.status != 0
    assert "poses are of 'hrnet'" in refused.words
    hook = "custom_hooks.3.mix_estimators=True"
    forced = commands.run(
        "tools/test.py", "configs/own_data_j.py", checkpoint, "--cfg-options", *options, hook, cwd=own
    )
    assert forced.status == 0, forced.said


def rewrite(store: PoseStore, path: Path, estimator: dict[str, str]) -> None:
    """The same poses under the name of another estimator."""
    from gspmc_mm.poses import PoseStoreWriter

    with PoseStoreWriter(path, store.header.model_copy(update={"estimator": estimator})) as writer:
        for index in range(len(store)):
            writer.add(store.clip(index))
