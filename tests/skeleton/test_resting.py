"""The resting pose lies as a signer stands."""

import numpy as np
import pytest

from gspmc_mm.skeleton import LayoutError, get_layout, layout_names, resting_pose


@pytest.mark.parametrize("name", layout_names())
def test_every_joint_has_a_place_and_its_mirror_image(name):
    layout = get_layout(name)
    pose = resting_pose(layout)
    assert pose.shape == (layout.num_joints, 2)
    assert np.isfinite(pose).all()
    np.testing.assert_allclose(pose[list(layout.swap)], pose * [-1, 1], atol=1e-12)
    assert len(np.unique(pose, axis=0)) == layout.num_joints
    for joint, joint_name in enumerate(layout.joint_names):
        if joint_name.startswith(("left_", "right_")):
            assert (pose[joint, 0] > 0) == joint_name.startswith("left_")


def test_units_and_directions():
    layout = get_layout("sign87")
    pose = {name: resting_pose(layout)[layout.joint(name)] for name in layout.joint_names}
    assert pose["left_shoulder"] - pose["right_shoulder"] == pytest.approx([1, 0])
    assert pose["nose"][1] < 0 < pose["left_hip"][1]  # y runs down
    assert pose["right_wrist"][0] < 0 < pose["left_wrist"][0]
    # Palms to the camera, fingers up: the thumbs point to the middle.
    assert 0 < pose["left_thumb4"][0] < pose["left_pinky_finger4"][0]
    assert pose["left_middle_finger4"][1] < pose["left_hand_root"][1]
    # Chin below mouth below tip of the nose below brows.
    heights = [pose[f"face-{point}"][1] for point in (19, 30, 62, 66, 8)]
    assert heights == sorted(heights)


def test_unknown_points_have_no_resting_pose():
    spec = {"name": "one", "joint_names": ["a"], "parts": {"p": [0]}, "swap": [0]}
    spec["bones"] = [[0, 0]]
    with pytest.raises(LayoutError, match="no resting pose"):
        resting_pose(get_layout(spec))
