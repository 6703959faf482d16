"""Layouts by name, from files and from dicts."""

import json

import pytest

from gspmc_mm.skeleton import LayoutError, get_layout

OWN = {
    "joint_names": ["nose", "left_wrist", "right_wrist"],
    "parts": {"head": ["nose"], "left_arm": [1], "right_arm": [2]},
    "bones": [["nose", "nose"], ["left_wrist", "nose"], [2, 0]],
    "swap": [["left_wrist", "right_wrist"]],
    "landmarks": {"nose": "nose"},
}
OWN_YAML = """
joint_names: [nose, left_wrist, right_wrist]
parts: {head: [nose], left_arm: [1], right_arm: [2]}
bones: [[nose, nose], [left_wrist, nose], [2, 0]]
swap: [[left_wrist, right_wrist]]
landmarks: {nose: nose}
"""


@pytest.fixture
def write(tmp_path):
    def write(content, name="mine.json"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def test_a_preset_is_one_object_and_a_layout_is_itself():
    layout = get_layout("sign87")
    assert get_layout("sign87") is layout
    assert get_layout(layout) is layout


@pytest.mark.parametrize("spec", ["sign78", "Sign87", "sign87 "])
def test_an_unknown_name_lists_the_known_ones(spec):
    with pytest.raises(LayoutError, match=r"did you mean 'sign87'.*hands42.*ntu25"):
        get_layout(spec)


def test_a_file_of_ones_own(write):
    layout = get_layout(write(OWN))
    assert layout.name == "mine"
    assert layout.bones == ((0, 0), (1, 0), (2, 0))
    assert layout.swap == (0, 2, 1)
    assert layout.landmarks == {"nose": 0}
    assert get_layout(str(write(OWN_YAML, "mine.yaml"))) == layout
    assert get_layout({"name": "mine", **OWN}) == layout
    assert get_layout({"name": "mine", **OWN, "swap": [0, 2, 1]}) == layout


def test_a_choice_from_a_preset(write):
    spec = {
        "subset_of": "sign87",
        "joints": ["left_wrist", "right_wrist", 0],
        "parts": {"arms": [0, 1], "head": ["nose"]},
        "bones": [["nose", "nose"], [0, "nose"], [1, "nose"]],
        "extra_edges": [["left_wrist", "right_wrist"]],
        "colors": {"arms": "#D55E00"},
    }
    layout = get_layout(write(spec))
    assert (layout.source, layout.source_indices) == ("wholebody133", (9, 10, 0))
    assert layout.parts == {"arms": (0, 1), "head": (2,)}
    assert layout.extra_edges == ((0, 1),)
    assert layout.colors["arms"] == "#D55E00"
    assert layout.root == 2


def test_the_size_of_a_preset_source_is_known():
    spec = {"name": "mine", **OWN, "source": "coco17", "source_indices": [0, 9, 10]}
    assert get_layout(spec).source_size == 17


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"swaps": []}, "'swaps'.*did you mean 'swap'"),
        ({"bones": None}, "'bones' is missing"),
        ({"bones": [["nose", "nose"], ["left_wirst", "nose"]]}, "did you mean 'left_wrist'"),
        ({"bones": "nose"}, "expected a list"),
        ({"parts": [0, 1, 2]}, "expected a mapping"),
        ({"landmarks": ["nose"]}, "expected a mapping"),
        ({"swap": [[1, 2], [2, 0]]}, "joint 2 in two pairs"),
        ({"swap": [[1, 2, 0]]}, "a pair"),
        ({"swap": [[1, 9]]}, "joint index 9"),
        ({"swap": [[1, "2"]]}, "found '2'"),
        ({"name": "sign87"}, "name of a preset"),
        ({"name": 5}, "field 'name'"),
        ({"source": "sign78", "source_indices": [0, 1, 2]}, "did you mean 'sign87'"),
        ({"source": "coco17", "source_size": 18, "source_indices": [0, 9, 10]}, "expected 17"),
        ({"source": "coco17", "source_indices": [0, 9, 17]}, "0 to 16"),
        ({"joint_names": "abc"}, "'joint_names'"),
    ],
)
def test_a_file_with_a_mistake_names_file_and_field(write, change, message):
    with pytest.raises(LayoutError, match=message) as error:
        get_layout(write({**OWN, **change}))
    assert "mine.json" in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "{", "cannot be read as json"),
        ("a.yaml", "a: [", "cannot be read as yaml"),
        ("a.json", "[1]", "found a list"),
        ("a.yaml", "", "found a NoneType"),
        ("a.py", "", "expected a layout in .json"),
        ("a.json", '{"subset_of": "sign87"}', "'joints' is missing"),
        ("a.json", '{"subset_of": "sign87", "joints": 5}', "field 'joints'"),
        ("a.json", '{"subset_of": "nothing", "joints": [0]}', "unknown layout 'nothing'"),
        ("a.json", '{"subset_of": "sign87", "joints": [0], "source": "x"}', "field 'source'"),
    ],
)
def test_a_file_that_is_no_layout(write, name, content, message):
    with pytest.raises(LayoutError, match=message) as error:
        get_layout(write(content, name))
    assert name in str(error.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.json"):
        get_layout(tmp_path / "none.json")


def test_something_else():
    with pytest.raises(LayoutError, match="found 87"):
        get_layout(87)
