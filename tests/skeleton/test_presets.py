"""The presets hold what DESIGN and the papers say."""

import numpy as np
import pytest

from gspmc_mm.skeleton import PARTS, get_layout, layout_names, subset

SIZES = {
    "sign87": {"body": 15, "left_hand": 21, "right_hand": 21, "mouth": 10, "face": 20},
    "wholebody133": {"body": 23, "left_hand": 21, "right_hand": 21, "mouth": 20, "face": 48},
    "samslr27": {"body": 7, "left_hand": 10, "right_hand": 10},
    "masa49": {"body": 7, "left_hand": 21, "right_hand": 21},
    "cosign76": {"body": 9, "left_hand": 21, "right_hand": 21, "mouth": 8, "face": 17},
    "hands42": {"left_hand": 21, "right_hand": 21},
    "hands20": {"left_hand": 10, "right_hand": 10},
    "coco17": {"body": 17},
    "sign39": {"body": 7, "left_hand": 10, "right_hand": 10, "mouth": 4, "face": 8},
    "ntu25": {
        "head": 2,
        "torso": 3,
        "left_arm": 6,
        "right_arm": 6,
        "left_leg": 4,
        "right_leg": 4,
    },
}
all_presets = pytest.mark.parametrize("name", SIZES)


def slow_depth(layout, joint):
    """Steps from a joint to the root, or a failure when it never arrives."""
    parent = dict(layout.bones)
    for steps in range(layout.num_joints):
        if parent[joint] == joint:
            return steps
        joint = parent[joint]
    raise AssertionError("a circle")


def test_names():
    assert set(layout_names()) == set(SIZES)


@all_presets
def test_parts_have_the_stated_sizes_and_cover_every_joint_once(name):
    layout = get_layout(name)
    assert {part: len(joints) for part, joints in layout.parts.items()} == SIZES[name]
    joints = sorted(joint for members in layout.parts.values() for joint in members)
    assert joints == list(range(layout.num_joints))
    if name != "ntu25":
        assert list(layout.parts) == [part for part in PARTS if part in SIZES[name]]


@all_presets
def test_bones_are_one_tree(name):
    layout = get_layout(name)
    assert [child for child, _ in layout.bones] == list(range(layout.num_joints))
    assert [slow_depth(layout, joint) for joint in range(layout.num_joints)].count(0) == 1
    assert slow_depth(layout, layout.root) == 0
    assert layout.parents.tolist() == [parent for _, parent in layout.bones]
    assert len(layout.inward) == layout.num_joints - 1 + len(layout.extra_edges)


@all_presets
def test_swap_keeps_names_parts_and_edges(name):
    layout = get_layout(name)
    turned = {"left": "right", "right": "left"}
    for joint, mirrored in enumerate(layout.swap):
        assert layout.swap[mirrored] == joint
        side, _, rest = layout.joint_names[joint].partition("_")
        if side in turned:
            assert layout.joint_names[mirrored] == f"{turned[side]}_{rest}"
        elif not layout.joint_names[joint].startswith("face-"):
            assert mirrored == joint
    edges = {frozenset(edge) for edge in layout.inward}
    assert {frozenset(layout.swap[joint] for joint in edge) for edge in edges} == edges
    for part, mirrored in layout.swap_parts.items():
        side, _, rest = part.partition("_")
        assert mirrored == (f"{turned[side]}_{rest}" if side in turned else part)


@all_presets
def test_landmarks_are_the_joints_of_that_name(name):
    layout = get_layout(name)
    for role, joint in layout.landmarks.items():
        assert layout.joint_names[joint] == role


def test_wholebody133_order():
    layout = get_layout("wholebody133")
    assert layout.joint_names[:7] == (
        *("nose", "left_eye", "right_eye", "left_ear", "right_ear"),
        *("left_shoulder", "right_shoulder"),
    )
    assert layout.joint_names[17:23] == (
        *("left_big_toe", "left_small_toe", "left_heel"),
        *("right_big_toe", "right_small_toe", "right_heel"),
    )
    assert layout.joint_names[23] == "face-0"
    assert layout.joint_names[91:93] == ("left_hand_root", "left_thumb1")
    assert layout.joint_names[132] == "right_pinky_finger4"


def test_face_swap_is_the_one_of_ibug_68():
    swap = get_layout("wholebody133").swap
    ibug = [swap[23 + point] - 23 for point in range(68)]
    assert ibug == [
        *(16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),  # jaw
        *(26, 25, 24, 23, 22, 21, 20, 19, 18, 17),  # brows
        *(27, 28, 29, 30, 35, 34, 33, 32, 31),  # nose
        *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),  # eyes
        *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55),  # outer lip
        *(64, 63, 62, 61, 60, 67, 66, 65),  # inner lip
    ]


def test_sign87_is_exactly_the_one_of_the_design():
    layout = get_layout("sign87")
    jaw, brows = [23, 25, 27, 29, 31, 33, 35, 37, 39], [40, 42, 44, 45, 47, 49]
    mouth = [71, 73, 75, 77, 79, 81, 83, 85, 87, 89]
    assert list(layout.source_indices) == [
        *(list(range(15)) + list(range(91, 112)) + list(range(112, 133))),
        *(mouth + jaw + brows + [59, 62, 65, 68] + [53]),
    ]
    assert layout.parts["mouth"] == tuple(range(57, 67))
    assert layout.parts["face"] == tuple(range(67, 87))
    bones = {
        *((0, 0), (1, 0), (2, 0), (3, 1), (4, 2), (5, 0), (6, 0), (7, 5), (8, 6)),
        *((9, 7), (10, 8), (11, 5), (12, 6), (13, 11), (14, 12), (86, 0)),
    }
    for root, wrist in ((15, 9), (36, 10)):
        bones.add((root, wrist))
        for f in range(5):
            first = root + 1 + 4 * f
            bones |= {(first, root), *((first + k, first + k - 1) for k in (1, 2, 3))}
    bones |= {(point, 86) for point in range(57, 86)}
    assert set(layout.bones) == bones
    assert set(layout.extra_edges) == {
        *((67, 68), (68, 69), (69, 70), (70, 71), (75, 74), (74, 73), (73, 72), (72, 71)),
        *((76, 77), (77, 78), (81, 80), (80, 79), (82, 83), (85, 84)),
        *((58, 57), (59, 60), (61, 60), (62, 57), (63, 57), (65, 60)),
        *((64, 63), (64, 65), (66, 63), (66, 65)),
    }
    assert layout.root == 0
    assert layout.landmarks["left_hand_root"] == 15
    assert layout.landmarks["right_hand_root"] == 36


def test_smaller_presets_choose_the_points_of_their_papers():
    hand = [0, 4, 5, 8, 9, 12, 13, 16, 17, 20]
    assert get_layout("samslr27").source_indices == (
        *(0, 5, 6, 7, 8, 9, 10, 91, 95, 96, 99, 100, 103, 104, 107, 108, 111),
        *(112, 116, 117, 120, 121, 124, 125, 128, 129, 132),
    )
    assert get_layout("masa49").source_indices == (0, *range(5, 11), *range(91, 133))
    assert get_layout("cosign76").source_indices == (
        *(0, *range(3, 11), *range(91, 133)),
        *(*range(83, 91), *range(23, 40)),
    )
    assert get_layout("hands42").source_indices == tuple(range(91, 133))
    assert list(get_layout("hands20").source_indices) == [91 + k for k in hand] + [112 + k for k in hand]
    assert get_layout("coco17").source_indices == tuple(range(17))


@pytest.mark.parametrize(("name", "per_hand"), [("hands42", 21), ("hands20", 10)])
def test_loose_hands_are_linked_at_their_roots(name, per_hand):
    layout = get_layout(name)
    assert layout.root == 0
    assert layout.bones[per_hand] == (per_hand, 0)
    between = [bone for bone in layout.bones if (bone[0] < per_hand) != (bone[1] < per_hand)]
    assert between == [(per_hand, 0)]


@pytest.mark.parametrize(("ours", "theirs"), [("coco17", "coco"), ("ntu25", "nturgb+d")])
def test_graph_equals_the_one_of_mmaction(ours, theirs):
    graph_module = pytest.importorskip("mmaction.models.utils.graph")
    own = graph_module.Graph(layout=get_layout(ours).graph(), mode="spatial")
    other = graph_module.Graph(layout=theirs, mode="spatial")
    np.testing.assert_array_equal(own.A, other.A)
    assert own.center == other.center


def test_subset_hangs_joints_on_the_nearest_kept_ancestor():
    layout = subset(get_layout("sign87"), ["nose", "left_wrist", "right_wrist"], "three")
    assert layout.bones == ((0, 0), (1, 0), (2, 0))
    assert layout.swap == (0, 2, 1)
    assert (layout.source, layout.source_indices) == ("wholebody133", (0, 9, 10))
    assert layout.landmarks == {"nose": 0, "left_wrist": 1, "right_wrist": 2}


def test_subset_without_the_middle_links_pairs_symmetrically():
    joints = ["left_hip", "right_hip", "left_eye", "right_eye"]
    layout = subset(get_layout("coco17"), joints, "pairs")
    assert layout.bones == ((0, 0), (1, 0), (2, 0), (3, 1))


def test_subset_of_one_hand_is_its_own_mirror_image():
    layout = subset(get_layout("hands42"), range(21, 42), "right")
    assert layout.swap == tuple(range(21))
    assert layout.swap_parts == {"right_hand": "right_hand"}
