"""The header of a pose store."""

import json

import pytest

from gspmc_mm.poses import PoseStoreError, StoreHeader
from gspmc_mm.skeleton import get_layout, subset

ESTIMATOR = {"name": "hrnet", "version": "", "weights": ""}


def test_number_of_points_comes_from_the_layout():
    assert StoreHeader(layout="sign87", estimator=ESTIMATOR).num_joints == 87
    with pytest.raises(ValueError, match=r"num_joints is 86.*has 87"):
        StoreHeader(layout="sign87", num_joints=86, estimator=ESTIMATOR)


def test_preset_objects_become_names_and_others_whole_dicts():
    header = StoreHeader(layout=get_layout("coco17"), estimator=ESTIMATOR)
    assert header.layout == "coco17"
    own = subset(get_layout("coco17"), range(11), "upper")
    header = StoreHeader(layout=own, estimator=ESTIMATOR)
    assert header.num_joints == 11
    assert get_layout(StoreHeader.from_json(header.to_json(), "x").layout) == own


def test_layout_files_are_taken_into_the_header(tmp_path):
    path = tmp_path / "upper.json"
    path.write_text(json.dumps(subset(get_layout("coco17"), range(11), "upper").to_dict()))
    header = StoreHeader(layout=str(path), estimator=ESTIMATOR)
    path.unlink()
    assert get_layout(StoreHeader.from_json(header.to_json(), "x").layout).name == "upper"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layout": "sign88"}, "sign88"),
        ({"estimator": {"name": "hrnet"}}, "weights"),
        ({"clases": []}, "clases"),
        ({"units": "metre"}, "metre"),
        ({"format_version": 2}, "format 1"),
    ],
)
def test_wrong_headers_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        StoreHeader(**{"layout": "coco17", "estimator": ESTIMATOR, **changes})


def test_another_version_is_named_before_its_fields():
    text = json.dumps({"format_version": 7, "unheard_of": 1})
    with pytest.raises(PoseStoreError, match=r"a\.arrow: .*version 7.*reads version 1"):
        StoreHeader.from_json(text, "a.arrow")
    with pytest.raises(PoseStoreError, match="format_version"):
        StoreHeader.from_json("{}", "a.arrow")
    with pytest.raises(PoseStoreError, match=r"a\.arrow: the header is not valid"):
        StoreHeader.from_json('{"format_version": 1}', "a.arrow")
