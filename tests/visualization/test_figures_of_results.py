"""The figures of results show what they were given, and refuse what they cannot show."""

from __future__ import annotations

import sys

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.colors import to_rgb
from matplotlib.image import imread

from gspmc_mm.skeleton import LayoutError, get_layout
from gspmc_mm.visualization.attention import LESS, MORE, draw_attention
from gspmc_mm.visualization.confusion_matrix import confused_block, draw_confusion, neighbouring_order, row_shares
from gspmc_mm.visualization.embedding import METHODS, Plane, draw_embedding, principal_plane, to_plane
from gspmc_mm.visualization.saving import new_figure, save_figure
from gspmc_mm.visualization.severity import Level, SeverityPanel, draw_severity
from gspmc_mm.visualization.sign_gain import GAIN, LOSS, SignGain, draw_sign_gain, lint_correlation


def share_of_colour(path, colour) -> float:
    return float((np.abs(imread(path)[..., :3] - to_rgb(colour)).max(axis=-1) < 0.2).mean())


def words(svg) -> str:
    """Matplotlib writes every text of a picture into a comment."""
    return svg.read_text()


# Saving


def test_a_figure_is_saved_whole_and_the_same_twice(tmp_path):
    for name in ("one", "two"):
        figure = new_figure(2, 2)
        figure.add_subplot().plot([0, 1])
        png, svg = save_figure(figure, tmp_path / "new" / name)
    assert (tmp_path / "new" / "one.svg").read_bytes() == svg.read_bytes()
    assert imread(png).shape[0] == 300
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_picture_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    figure = new_figure(2, 2)
    png, _ = save_figure(figure, tmp_path / "one")
    before = png.read_bytes()

    def fail(*arguments, **options):
        raise OSError("the disk is full")

    monkeypatch.setattr(figure, "savefig", fail)
    with pytest.raises(OSError, match="full"):
        save_figure(figure, tmp_path / "one")
    assert png.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2


# Attention


def attention_of(layout, seed: int):
    rng = np.random.default_rng(seed)
    links = rng.random((layout.num_joints, layout.num_joints))
    return rng.random(layout.num_joints) + 0.5, (links + links.T) / 2


@pytest.mark.parametrize("name", ["sign87", "hands20", "ntu25"])
def test_networks_stand_side_by_side_with_their_difference(name, tmp_path):
    layout = get_layout(name)
    one, two = attention_of(layout, 0), attention_of(layout, 1)
    png, svg = draw_attention(layout, {"alone": one, "texts": two}, tmp_path / "a", title="the sign")
    for text in ("alone", "texts", "texts minus alone", "the sign", "25 strongest"):
        assert text in words(svg)
    for colour in (MORE, LESS):
        assert share_of_colour(png, colour) > 1e-4
    single, _ = draw_attention(layout, {"alone": one}, tmp_path / "b")
    assert imread(single).shape[1] < imread(png).shape[1] / 2


def test_only_strong_pairs_that_are_no_neighbours_are_drawn(tmp_path):
    layout = get_layout("hands20")
    quiet = np.zeros((20, 20))
    for u, v in layout.inward:
        quiet[u, v] = quiet[v, u] = 5.0
    bones, _ = draw_attention(layout, {"n": (np.ones(20), quiet)}, tmp_path / "bones")
    nothing, _ = draw_attention(layout, {"n": (np.ones(20), np.zeros((20, 20)))}, tmp_path / "nothing")
    assert np.array_equal(imread(bones), imread(nothing))
    assert quiet.max() == 5.0  # the caller's array is as it was
    loud = quiet.copy()
    loud[2, 15] = loud[15, 2] = 0.1
    linked, _ = draw_attention(layout, {"n": (np.ones(20), loud)}, tmp_path / "linked")
    assert not np.array_equal(imread(linked), imread(nothing))
    points = np.random.default_rng(0).random((20, 2))
    points[15] = np.nan  # not seen: no link leads there
    apart = [
        imread(draw_attention(layout, {"n": (np.ones(20), links)}, tmp_path / "p", points=points)[0])
        for links in (loud, quiet)
    ]
    assert np.array_equal(*apart)


@pytest.mark.parametrize(
    ("networks", "points", "error", "message"),
    [
        ({}, None, ValueError, "no network"),
        ({"n": (np.ones(19), np.ones((20, 20)))}, None, LayoutError, r"n: found points \(20, 2\), responses \(19,\)"),
        ({"n": (np.ones(20), np.ones((20, 20)))}, np.ones((4, 2)), LayoutError, "has 20 joints"),
    ],
)
def test_attention_of_other_joints_is_refused(networks, points, error, message, tmp_path):
    with pytest.raises(error, match=message):
        draw_attention(get_layout("hands20"), networks, tmp_path / "a", points=points)


# Gain of every sign


def sign(name: str, won: float, lost: float, errors=0, warnings=0) -> SignGain:
    return SignGain(name, f"The hand of {name} moves. " * 20, 10, won, lost, errors, warnings)


def test_the_ends_are_drawn_with_texts_and_lint(tmp_path):
    signs = [sign(f"sign{i:02d}", max(0, i - 10), max(0, 10 - i), errors=i % 2) for i in range(20)]
    png, svg = draw_sign_gain(signs, tmp_path / "g", shown=3, title="a title")
    said = words(svg)
    for shown in ("sign19", "sign18", "sign17", "sign02", "sign01", "sign00", "The hand of sign19", "a title"):
        assert shown in said
    assert "sign10" not in said
    assert "20 signs: 9 gain, 10 lose, mean -5.0 points" in said
    assert share_of_colour(png, GAIN) > 1e-3
    assert share_of_colour(png, LOSS) > 1e-3
    _, few = draw_sign_gain(signs[:4], tmp_path / "few")
    assert all(f"sign0{i}" in words(few) for i in range(4))


def test_gain_and_lint_score_are_ranked_against_each_other():
    signs = [sign(str(i), won=i, lost=0, warnings=5 - i) for i in range(5)]
    assert lint_correlation(signs)[0] == pytest.approx(-1)
    assert sign("a", 4, 1, 2, 3).lint == 5
    assert sign("a", 4, 1).gain == pytest.approx(30)
    assert lint_correlation(signs[:2]) is None
    assert lint_correlation([sign(str(i), won=i, lost=0) for i in range(5)]) is None  # all clean
    assert lint_correlation([SignGain(str(i), "", 4, i, 0) for i in range(5)]) is None  # no lint was run


def test_no_signs_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no signs"):
        draw_sign_gain([], tmp_path / "g")


# Confusion


def test_confused_signs_stand_together_and_are_named(tmp_path):
    counts = 10 * np.eye(100, dtype=int)
    for i, j, n in ((3, 90, 8), (90, 3, 7), (50, 20, 6), (20, 50, 2), (60, 61, 1)):
        counts[i, j] += n
    order = neighbouring_order(counts).tolist()
    assert sorted(order) == list(range(100))
    assert abs(order.index(3) - order.index(90)) == 1
    assert abs(order.index(50) - order.index(20)) == 1
    assert set(confused_block(counts, 4)) == {3, 90, 20, 50}
    assert set(confused_block(counts, 99)) == {3, 90, 20, 50, 60, 61}
    png, svg = draw_confusion(counts, [f"sign{i}" for i in range(100)], tmp_path / "c", block=4, title="the run")
    said = words(svg)
    assert "sign90" in said
    assert "sign61" not in said
    assert "1024 clips, top-1 97.7 %" in said
    assert "the run" in said
    assert imread(png).std() > 0.05


def test_few_signs_have_all_their_names_and_no_confusion_no_block(tmp_path):
    counts = np.diag([3, 0, 2])
    _, svg = draw_confusion(counts, ["a1", "b2", "c3"], tmp_path / "c")
    assert all(name in words(svg) for name in ("a1", "b2", "c3"))
    assert "most frequent" not in words(svg)
    assert np.array_equal(row_shares(counts), np.diag([1.0, 0.0, 1.0]))
    assert len(confused_block(counts, 5)) == 0


@pytest.mark.parametrize("counts", [np.ones((2, 3)), np.zeros((2, 2))])
def test_a_matrix_of_another_form_is_refused(counts, tmp_path):
    with pytest.raises(ValueError, match=r"expected counts \(2, 2\)"):
        draw_confusion(counts, ["a", "b"], tmp_path / "c")


# Vectors on a plane


def clusters(count: int = 20):
    rng = np.random.default_rng(0)
    centres = 10 * np.eye(3, 16)
    labels = np.repeat(np.arange(3), count)
    return centres[labels] + rng.normal(0, 0.3, (3 * count, 16)), labels


def apart(points: np.ndarray, labels: np.ndarray) -> bool:
    """Every point is nearer to its own centre than to another."""
    centres = np.stack([points[labels == label].mean(axis=0) for label in range(3)])
    return bool((np.linalg.norm(points[:, None] - centres, axis=-1).argmin(axis=1) == labels).all())


def test_pca_is_the_plane_of_largest_variance():
    vectors, labels = clusters()
    plane = to_plane(vectors, "pca")
    assert apart(plane, labels)
    values = np.linalg.eigvalsh(np.cov(vectors.T))[::-1]
    assert np.allclose(plane.var(axis=0, ddof=1), values[:2])
    assert principal_plane(np.arange(5.0)[:, None]).shape == (5, 2)


@pytest.mark.parametrize(
    ("method", "library"),
    # Half of a minute and more goes into what UMAP compiles at its first use.
    [("tsne", "sklearn"), pytest.param("umap", "umap", marks=pytest.mark.slow)],
)
def test_other_methods_keep_clusters_apart_or_say_what_is_missing(method, library, monkeypatch):
    vectors, labels = clusters()
    try:
        __import__(library)
    except ImportError:
        pass
    else:
        plane = to_plane(vectors, method, seed=1)
        assert apart(plane, labels)
        assert np.array_equal(plane, to_plane(vectors, method, seed=1))
    for name in [name for name in sys.modules if name.split(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=r"pip install .* '\.\[figures\]', or take --method pca"):
        to_plane(vectors, method)


def test_clips_and_texts_are_drawn_in_the_colours_of_their_signs(tmp_path):
    vectors, labels = clusters()
    plane = to_plane(vectors, "pca")
    texts = np.stack([plane[labels == label].mean(axis=0) for label in range(3)])
    panels = {"clips": Plane(plane, labels), "clips and texts": Plane(plane, labels, texts, np.arange(3))}
    png, svg = draw_embedding(panels, {0: "book", 2: "drink"}, tmp_path / "e", title="somewhere")
    assert all(text in words(svg) for text in ("book", "drink", "clips and texts", "somewhere"))
    assert share_of_colour(png, "#0072B2") > 1e-4
    assert share_of_colour(png, "#D55E00") > 1e-4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda out: to_plane(np.ones((9, 3)), "som"), "'som' is none of " + ", ".join(METHODS)),
        (lambda out: to_plane(np.ones((2, 3)), "pca"), r"N >= 3, found \(2, 3\)"),
        (lambda out: draw_embedding({}, {0: "a"}, out), "nothing to draw"),
        (
            lambda out: draw_embedding(
                {"p": Plane(np.zeros((3, 2)), np.arange(3))}, dict(enumerate("abcdefghijklmnop")), out
            ),
            "more than 14 apart",
        ),
    ],
)
def test_vectors_that_cannot_be_drawn(call, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        call(tmp_path / "e")


# Severity


def panel(title: str, *severities: float, switch: bool = False, names=("base", "texts")) -> SeverityPanel:
    lines = {
        name: [Level(s, 0.5 - 0.3 * s - 0.05 * i, 0.4 - 0.3 * s, 0.6 - 0.3 * s) for s in severities]
        for i, name in enumerate(names)
    }
    return SeverityPanel(title, "share", lines, 0.0, switch)


def test_one_panel_for_each_corruption_and_one_line_for_each_network(tmp_path):
    panels = [panel(f"kind {i}", 0.5, 0.0, 1.0) for i in range(5)] + [panel("mirror", 0, 1, switch=True)]
    png, svg = draw_severity(panels, tmp_path / "s", title="all of it")
    said = words(svg)
    for text in ("kind 0", "kind 4", "mirror", "untouched", "base", "texts", "all of it"):
        assert text in said
    assert share_of_colour(png, "#0072B2") > 5e-4
    assert share_of_colour(png, "#D55E00") > 5e-4


def test_a_network_may_lack_a_panel(tmp_path):
    _, svg = draw_severity([panel("one", 0, 1), panel("two", 0, 1, names=("texts",))], tmp_path / "s")
    assert words(svg).count("<!-- base -->") == 1


def test_nothing_measured_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no corruption"):
        draw_severity([], tmp_path / "s")
