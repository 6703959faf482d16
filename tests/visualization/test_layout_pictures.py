"""Pictures of layouts show what is in them."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import imread

from gspmc_mm.skeleton import LayoutError, get_layout, resting_pose
from gspmc_mm.visualization.layouts import draw_layout


def share_of_colour(image, colour):
    return (np.abs(image[..., :3] - to_rgb(colour)).max(axis=-1) < 0.25).mean()


@pytest.mark.parametrize("name", ["sign87", "hands20", "ntu25"])
def test_the_png_holds_every_part_in_its_colour(name, tmp_path):
    layout = get_layout(name)
    ax = draw_layout(layout)
    ax.legend_.remove()  # the legend alone would hold the colours
    ax.figure.savefig(tmp_path / "layout.png", dpi=60)
    image = imread(tmp_path / "layout.png")
    assert min(image.shape[:2]) > 100
    for part, colour in layout.colors.items():
        assert share_of_colour(image, colour) > 1e-4, part


def test_small_parts_are_enlarged_beside_the_signer():
    assert len(draw_layout(get_layout("sign87")).figure.axes) == 3
    assert len(draw_layout(get_layout("hands42")).figure.axes) == 1


def test_given_axes_and_points_with_a_joint_missing(tmp_path):
    layout = get_layout("masa49")
    points = 100 * resting_pose(layout) + 300
    points[3] = np.nan
    ax = Figure().add_subplot()
    assert draw_layout(layout, points, ax) is ax
    assert len(ax.figure.axes) == 1
    assert ax.yaxis_inverted()
    assert np.isnan(points).sum() == 2  # the caller's array is as it was
    ax.figure.savefig(tmp_path / "layout.png", dpi=40)
    assert np.ptp(imread(tmp_path / "layout.png")) > 0.5


def test_no_joint_seen_is_an_empty_picture(tmp_path):
    ax = draw_layout(get_layout("hands20"), np.full((20, 2), np.nan))
    ax.figure.savefig(tmp_path / "layout.png", dpi=40)
    assert (tmp_path / "layout.png").stat().st_size > 0


@pytest.mark.parametrize("shape", [(86, 2), (87, 3), (87,)])
def test_points_of_another_form_are_refused(shape):
    with pytest.raises(LayoutError, match=r"\(87, 2\); found shape"):
        draw_layout(get_layout("sign87"), np.zeros(shape))
