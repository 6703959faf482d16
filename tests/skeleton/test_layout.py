"""The checks, the look-ups and the identity of a layout."""

import copy
import pickle

import numpy as np
import pytest

from gspmc_mm.skeleton import Layout, LayoutError, get_layout, layout_names, subset


def fields(**changes):
    """A chain left - middle - right that is valid, but for the changes."""
    values = {
        "name": "three",
        "joint_names": ["middle", "left", "right"],
        "parts": {"body": [0], "left_hand": [1], "right_hand": [2]},
        "bones": [(0, 0), (1, 0), (2, 0)],
        "swap": [0, 2, 1],
    }
    return {**values, **changes}


def test_valid_layout():
    layout = Layout(**fields(extra_edges=[(1, 2)], landmarks={"left_wrist": 1, "right_wrist": 2}))
    assert layout.num_joints == 3
    assert layout.root == 0
    assert layout.inward == ((1, 0), (2, 0), (1, 2))
    assert layout.graph() == {"num_node": 3, "inward": [(1, 0), (2, 0), (1, 2)], "center": 0}
    assert layout.part_of_joint == ("body", "left_hand", "right_hand")
    assert layout.swap_parts == {
        "body": "body",
        "left_hand": "right_hand",
        "right_hand": "left_hand",
    }
    assert layout.part_indices("right_hand").tolist() == [2]
    assert layout.joint("right") == 2
    assert set(layout.colors) == {"body", "left_hand", "right_hand"}


def test_parts_without_a_known_colour_get_different_ones():
    layout = Layout(**fields(parts={"a": [0], "b": [1], "c": [2]}))
    assert len(set(layout.colors.values())) == 3


def test_bones_are_kept_in_the_order_of_the_children():
    assert Layout(**fields(bones=[(2, 0), (0, 0), (1, 0)])) == Layout(**fields())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "'name'"),
        ({"joint_names": []}, "'joint_names'"),
        ({"joint_names": ["a", "a", "b"]}, "'a' twice"),
        ({"joint_names": ["a", "b", 3]}, "found 3"),
        ({"parts": {}}, "'parts'"),
        ({"parts": {"body": [0, 1]}}, r"joint 2 \(right\) in no part"),
        ({"parts": {"body": [0, 1, 2], "face": [2]}}, "in 'body' and in 'face'"),
        ({"parts": {"body": [0, 1, 2], "face": []}}, "parts.face.*no joint"),
        ({"parts": {"body": [0, 1, 3]}}, "joint index 3; expected 0 to 2"),
        ({"parts": {"body": [0, 1, True]}}, "found True"),
        ({"parts": {"body": [0, 1], "face": [2]}}, "mirror image of part 'body'"),
        ({"bones": [(0, 0), (1, 0)]}, r"joint 2 \(right\) without a parent"),
        ({"bones": [(0, 0), (1, 0), (2, 0), (2, 1)]}, "as a child twice"),
        ({"bones": [(0, 0), (1, 0), (2, 2)]}, "the roots joint 0 .* joint 2"),
        ({"bones": [(0, 0), (1, 2), (2, 1)]}, "the circle 1 -> 2 -> 1"),
        ({"bones": [(0, 1), (1, 2), (2, 0)]}, "the circle"),
        ({"bones": [(0, 0), (1, 0), (2, -1)]}, "joint index -1"),
        ({"bones": [(0, 0), (1, 0), (2, 0, 1)]}, "a pair of joints"),
        ({"bones": [(0, 0), (1, 0), (2, 1)]}, r"mirror image \(1, 2\)|mirror image \(2, 0\)"),
        ({"bones": 5}, "a list of pairs"),
        ({"extra_edges": [(1, 1)]}, "the loop"),
        ({"extra_edges": [(0, 1)]}, "already there"),
        ({"extra_edges": [(1, 2), (2, 1)]}, "already there"),
        ({"swap": [0, 1]}, "2 entries"),
        ({"swap": [1, 2, 0]}, "involution"),
        ({"swap": [0, 2.0, 1]}, "found 2.0"),
        ({"swap": [1, 0, 2]}, "mirror image"),
        ({"source": "wholebody133"}, "source_indices missing"),
        ({"source": "x", "source_size": 5, "source_indices": [0, 1]}, "2 entries"),
        ({"source": "x", "source_size": 5, "source_indices": [0, 1, 5]}, "joint index 5"),
        ({"source": "x", "source_size": 5, "source_indices": [0, 1, 1]}, "1 twice"),
        ({"source": "x", "source_size": 0, "source_indices": [0, 1, 2]}, "'source_size'"),
        ({"landmarks": {"left_wirst": 1}}, "did you mean 'left_wrist'"),
        ({"landmarks": {"nose": 7}}, "landmarks.nose.*joint index 7"),
        ({"landmarks": {"left_wrist": 1, "right_wrist": 0}}, "the swap turns one into the other"),
        ({"landmarks": {"nose": 1, "left_wrist": [1]}}, r"found \[1\]"),
        ({"colors": {"body": "red"}}, "colors.body.*'red'"),
        ({"colors": {"bodi": "#ffffff"}}, "did you mean 'body'"),
    ],
)
def test_what_cannot_be_is_refused(changes, message):
    with pytest.raises(LayoutError, match=message):
        Layout(**fields(**changes))


@pytest.mark.parametrize("name", layout_names())
def test_identity_survives_copies_pickles_and_dicts(name):
    layout = get_layout(name)
    pickled = pickle.loads(pickle.dumps(layout))
    assert pickled is not layout
    assert pickled == layout
    assert hash(pickled) == hash(layout)
    assert get_layout(layout.to_dict()) == layout
    assert copy.deepcopy({"layout": layout})["layout"] == layout


def test_content_makes_the_difference():
    layout = Layout(**fields())
    other_order = {"right_hand": [2], "left_hand": [1], "body": [0]}
    assert layout != Layout(**fields(parts=other_order))
    assert layout != Layout(**fields(name="four"))
    assert layout != "three"
    assert len({layout, Layout(**fields())}) == 1


def test_a_layout_cannot_be_changed():
    layout = get_layout("hands20")
    with pytest.raises(TypeError):
        layout.parts["left_hand"] = (0,)
    with pytest.raises(ValueError, match="read-only"):
        layout.parents[0] = 1
    with pytest.raises(AttributeError):
        layout.name = "x"


def test_select_takes_the_points_of_the_source():
    points = np.arange(2 * 133 * 3).reshape(2, 133, 3)
    chosen = get_layout("samslr27").select(points)
    assert chosen.shape == (2, 27, 3)
    np.testing.assert_array_equal(chosen[:, 8], points[:, 95])
    np.testing.assert_array_equal(get_layout("wholebody133").select(points), points)


@pytest.mark.parametrize("shape", [(2, 87, 3), (133,), (133, 2, 5)])
def test_select_refuses_another_number_of_points(shape):
    with pytest.raises(LayoutError, match=r"133 points of 'wholebody133'.*found shape"):
        get_layout("sign87").select(np.zeros(shape))


def test_indices_in_another_layout():
    sign87, hands42, samslr27 = map(get_layout, ("sign87", "hands42", "samslr27"))
    assert hands42.indices_in(sign87).tolist() == list(range(15, 57))
    assert hands42.indices_in(hands42).tolist() == list(range(42))
    wholebody133 = get_layout("wholebody133")
    assert samslr27.indices_in(wholebody133).tolist() == list(samslr27.source_indices)
    for layout in (hands42, samslr27):
        names = [sign87.joint_names[joint] for joint in layout.indices_in(sign87)]
        assert names == list(layout.joint_names)


@pytest.mark.parametrize(
    ("wanted", "held", "message"),
    [
        ("sign87", "hands42", "asks for 'nose'"),
        ("sign87", "ntu25", "points are of 'ntu25'"),
        ("wholebody133", "sign87", "asks for 'left_ankle'"),
    ],
)
def test_indices_in_a_layout_without_them(wanted, held, message):
    with pytest.raises(LayoutError, match=message):
        get_layout(wanted).indices_in(get_layout(held))


def test_unknown_part_and_joint():
    layout = get_layout("sign87")
    with pytest.raises(LayoutError, match="did you mean 'left_hand'"):
        layout.part_indices("left_hnad")
    with pytest.raises(LayoutError, match="did you mean 'left_wrist'"):
        layout.joint("left_wirst")


@pytest.mark.parametrize(
    ("joints", "message"),
    [
        ([], "found none"),
        ([0, 0], "'nose' twice"),
        ([87], "0 to 86"),
        ([-1], "0 to 86"),
        ([True], "found True"),
        (["elbow"], "no joint 'elbow'"),
        ([*range(15, 36), 36], "mirror image of part 'left_hand'"),
    ],
)
def test_subset_refuses(joints, message):
    with pytest.raises(LayoutError, match=message):
        subset(get_layout("sign87"), joints, "some")


def test_subset_of_a_layout_of_ones_own_knows_the_size_of_its_source():
    layout = subset(Layout(**fields()), ["left", "right"], "two")
    assert (layout.source, layout.source_size, layout.source_indices) == ("three", 3, (1, 2))
    assert layout.select(np.zeros((3, 2))).shape == (2, 2)
    with pytest.raises(LayoutError, match="3 points of 'three'"):
        layout.select(np.zeros((4, 2)))
