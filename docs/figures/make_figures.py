"""Draw the figures of the README and of docs/architecture.md.

    python docs/figures/make_figures.py [FOLDER]

Writes method, rooms and sign87 as .svg and .png into FOLDER, by default beside this file. Everything is drawn
here from the layouts of the package and from `.importlinter`; no picture is read.
"""

from __future__ import annotations

import argparse
import ast
import configparser
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Polygon, Rectangle
from PIL import Image

from gspmc_mm.skeleton import PART_COLORS, Layout, get_layout, resting_pose

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

INK, GREY, PALE, WHITE = "#1F2A36", "#66717D", "#D5DAE0", "#FFFFFF"
RUNS, TRAINS = "#E3F0F8", "#F7F1E3"  # grounds: what runs at inference, what is there for training only
BLUE, SAND = "#0072B2", "#8A6A1F"  # their edges and titles
LOW, HIGH = 1, 3  # zorders of grounds and of what lies on them

STYLE = {
    "font.family": "DejaVu Sans",
    "svg.fonttype": "path",
    "svg.hashsalt": "gspmc_mm",  # the same file from the same code
}


# ---- small parts ----


def canvas(width: float, height: float, scale: float = 0.088) -> tuple[Figure, Axes]:
    """A figure whose data units are `scale` inches, y up."""
    figure = Figure(figsize=(width * scale, height * scale), facecolor=WHITE)
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(0, height), aspect="equal")
    ax.axis("off")
    return figure, ax


def write(
    ax: Axes,
    x: float,
    y: float,
    text: str,
    size: float = 9,
    weight: str = "normal",
    color: str = INK,
    **others: object,
) -> None:
    """Text centred at a point."""
    settings = {"ha": "center", "va": "center", "linespacing": 1.25, "zorder": HIGH + 2, **others}
    ax.text(x, y, text, fontsize=size, fontweight=weight, color=color, **settings)


def box(
    ax: Axes,
    x: float,
    y: float,
    width: float,
    height: float,
    face: str = WHITE,
    edge: str = INK,
    line: float = 1.2,
    dashed: bool = False,
    rounding: float = 1.0,
    zorder: float = HIGH,
) -> None:
    """A rounded box; x, y is its lower left corner."""
    ax.add_patch(
        FancyBboxPatch(
            (x + rounding, y + rounding),
            width - 2 * rounding,
            height - 2 * rounding,
            boxstyle=f"round,pad={rounding}",
            facecolor=face,
            edgecolor=edge,
            linewidth=line,
            linestyle=(0, (4, 2.5)) if dashed else "-",
            zorder=zorder,
        )
    )


def arrow(
    ax: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    color: str = INK,
    line: float = 1.6,
    style: str = "-|>",
    dashed: bool = False,
    bend: float = 0.0,
    zorder: float = HIGH + 1,
) -> None:
    """An arrow between two points."""
    ax.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle=style,
            mutation_scale=11,
            color=color,
            linewidth=line,
            linestyle=(0, (4, 2.5)) if dashed else "-",
            connectionstyle=f"arc3,rad={bend}",
            shrinkA=0,
            shrinkB=0,
            zorder=zorder,
        )
    )


def signer(
    ax: Axes,
    layout: Layout,
    centre: float,
    bottom: float,
    height: float,
    colors: Mapping[str, str] | None = None,
    dots: float = 3.0,
    line: float = 1.0,
) -> None:
    """The resting pose of a layout, cut at the waist, in a place of the figure."""
    points, waist = resting_pose(layout), 0.95
    unit = height / (waist - points[:, 1].min())
    place = np.column_stack([centre + points[:, 0] * unit, bottom + (waist - points[:, 1]) * unit])
    window = Rectangle((centre - 2 * height, bottom), 4 * height, 2 * height, transform=ax.transData)
    for edges, bones in ((layout.bones, True), (layout.extra_edges, False)):
        for child, parent in edges:
            part = layout.part_of_joint[child]
            # The bones of a face are a fan from the nose, which hides its shape.
            faint = bones and part in ("mouth", "face")
            color = GREY if colors is None else colors[part]
            width, alpha = (0.4 * line, 0.4) if faint else (line, 0.8)
            segment = ax.plot(*place[[child, parent]].T, color=color, lw=width, alpha=alpha, zorder=HIGH + 1)
            segment[0].set_clip_path(window)
    shown = points[:, 1] < waist
    tints = [INK if colors is None else colors[part] for part in layout.part_of_joint]
    ax.scatter(*place[shown].T, s=dots, c=np.array(tints)[shown], linewidths=0, zorder=HIGH + 2)


# ---- the method ----


def draw_method() -> Figure:
    """From the video to the sign, and the text branch that exists while training only."""
    figure, ax = canvas(166, 92)
    draw_method_grounds(ax)
    draw_method_clip(ax)
    draw_method_parts(ax)
    draw_method_text(ax)
    draw_method_contrast(ax)
    return figure


def draw_method_grounds(ax: Axes) -> None:
    """The two fields: what runs at inference, and what is there for training only."""
    box(ax, 1, 52, 164, 39, RUNS, BLUE, 1.4, rounding=2, zorder=LOW)
    box(ax, 1, 1, 164, 49.5, TRAINS, SAND, 1.4, dashed=True, rounding=2, zorder=LOW)
    left = {"ha": "left"}
    write(ax, 4, 87.6, "AT INFERENCE", 9.5, "bold", BLUE, **left)
    write(ax, 19.5, 87.6, "only this runs: no text, no text encoder", 9.5, color=BLUE, **left)
    write(ax, 4, 47.2, "TRAINING ONLY", 9.5, "bold", SAND, **left)
    write(ax, 21, 47.2, "dropped afterwards, the logits stay the same", 9.5, color=SAND, **left)


def draw_method_clip(ax: Axes) -> None:
    """Video, key points, joints, backbone, classifier."""
    write(ax, 13, 82.6, "video", 10.5, "bold")
    for step in (2, 1, 0):  # three frames, the front one last
        x, y = 4.5 + 1.6 * step, 62 + 1.4 * step
        ax.add_patch(Rectangle((x, y), 14, 14.5, fc=INK, ec=WHITE, lw=0.8, zorder=HIGH - 0.1 * step))
    draw_person(ax, 11.5, 62, 12.5)
    write(ax, 13, 58, "one signer,\none sign", 8.5, color=GREY)

    arrow(ax, (22.6, 69.5), (26.7, 69.5))
    write(ax, 36.6, 82.6, "133 key points", 10.5, "bold")
    signer(ax, get_layout("wholebody133"), 36.6, 62.2, 15.6, dots=2.0, line=0.7)
    write(ax, 36.6, 58, "by a pose estimator:\nx, y, confidence", 8.5, color=GREY)

    arrow(ax, (46.5, 69.5), (50.6, 69.5))
    write(ax, 60.6, 82.6, "87 joints in 5 parts", 10.5, "bold")
    signer(ax, get_layout("sign87"), 60.6, 62.2, 15.6, PART_COLORS, dots=4.5, line=1.2)
    write(ax, 60.6, 58, "stream: joint, bone,\njoint motion or bone motion", 8.5, color=GREY)

    arrow(ax, (71.2, 69.5), (77, 69.5))
    write(ax, 93, 82.6, "PartCTRGCN", 10.5, "bold")
    x = 78.2
    for block in range(10):
        height, width = ((9, 2.0), (13, 2.3), (17, 2.6))[(block >= 4) + (block >= 7)]
        shade = ("#BBD9EA", "#7FB6D6", "#4393C0")[(block >= 4) + (block >= 7)]
        box(ax, x, 69.5 - height / 2, width, height, shade, BLUE, 0.9, rounding=0.5)
        x += width + 0.62
    for at, text in ((83.2, "64 x 4"), (92.4, "128 x 3"), (101.8, "256 x 3")):
        write(ax, at, 58.8, text.replace("x", "×"), 8, color=GREY)
    write(ax, 93, 56.2, "10 graph-convolution blocks", 8.5, color=GREY)

    arrow(ax, (108, 69.5), (113.2, 69.5))
    box(ax, 113.5, 63.5, 14.5, 12)
    write(ax, 120.75, 69.5, "global\npooling", 10, "bold")
    write(ax, 120.75, 60.6, "mean over joints\nand frames", 8, color=GREY)
    arrow(ax, (128.2, 69.5), (135.6, 69.5))
    write(ax, 131.7, 71.9, "$S_g$", 10)
    box(ax, 136, 63.5, 14, 12)
    write(ax, 143, 69.5, "classifier", 10, "bold")
    write(ax, 143, 60.6, "training: cross\nentropy  $L_{cls}$", 8, color=GREY)
    arrow(ax, (150.2, 69.5), (155, 69.5))
    write(ax, 159.6, 69.5, "the\nsign", 11, "bold")


def draw_person(ax: Axes, x: float, y: float, height: float) -> None:
    """A plain figure with raised hands, as in a video frame."""
    unit = height / 10
    skin, cloth = "#E7C9A9", "#8FA7BC"
    torso = np.array([[-2.6, 0], [-2.9, 4.4], [-1.2, 5.5], [1.2, 5.5], [2.9, 4.4], [2.6, 0]])
    ax.add_patch(Polygon(torso * unit + (x, y + 0.4), closed=True, fc=cloth, ec="none", zorder=HIGH + 1))
    ax.add_patch(Circle((x, y + 7.6 * unit), 1.55 * unit, fc=skin, ec="none", zorder=HIGH + 1))
    for side in (-1, 1):
        arm = np.array([[2.5, 4.5], [3.7, 2.2], [4.0, 5.6]]) * (side, 1) * unit + (x, y + 0.4)
        ax.plot(*arm.T, color=cloth, lw=4, solid_capstyle="round", solid_joinstyle="round", zorder=HIGH + 1)
        ax.add_patch(Circle(tuple(arm[-1] + (0, 0.7 * unit)), 0.85 * unit, fc=skin, ec="none", zorder=HIGH + 1))


def draw_method_parts(ax: Axes) -> None:
    """The map of the backbone pooled by part."""
    arrow(ax, (110.6, 69.5), (110.6, 44.2), SAND, dashed=True)
    write(ax, 109.6, 47.4, "feature map", 8.5, color=SAND, ha="right")
    box(ax, 95.5, 32.2, 26, 11.8, edge=SAND, dashed=True)
    write(ax, 108.5, 41.2, "part pooling", 10, "bold")
    for index, color in enumerate(PART_COLORS.values()):
        ax.add_patch(Circle((99.5 + 4.5 * index, 36.3), 1.65, fc=color, ec="none", zorder=HIGH + 1))
    write(ax, 108.5, 29.9, "$S_p$: one vector per part", 8.5, color=GREY)
    arrow(ax, (121.7, 37.4), (129.3, 37.4), SAND, dashed=True)
    arrow(ax, (131.7, 69.5), (131.7, 44.4), SAND, dashed=True)


def draw_method_text(ax: Axes) -> None:
    """Corpus, language model, descriptions, text encoder, bank."""
    for index, (x, height) in enumerate(((5, 13), (8.4, 15), (11.8, 12), (15.2, 14))):
        shade = ("#C9B27C", "#A98D4B", "#D8C79B", "#8A6A1F")[index]
        box(ax, x, 17, 3, height, shade, SAND, 0.8, rounding=0.3)
    write(ax, 11.6, 38, "dictionaries", 10.5, "bold")
    write(ax, 11.6, 12.4, "expert descriptions\nof signs", 8.5, color=GREY)
    arrow(ax, (19.6, 24), (24.1, 24), SAND, dashed=True)

    box(ax, 24.5, 17, 16, 14, edge=SAND, dashed=True)
    write(ax, 32.5, 38, "language model", 10.5, "bold")
    write(ax, 32.5, 24, "retrieval\n+ 4 prompts", 9.5)
    write(ax, 32.5, 12.4, "primary, refined,\nsynonyms, segments", 8.5, color=GREY)
    arrow(ax, (40.9, 24), (45.1, 24), SAND, dashed=True)

    write(ax, 57.5, 38, "descriptions of a sign", 10.5, "bold")
    box(ax, 45.5, 12.8, 24, 22, edge=SAND, dashed=True)
    texts = (
        ("$T_g$", "both hands open …", INK),
        ("$T_s$", "the hands unfold …", INK),
        ("", "forearms before the chest", PART_COLORS["body"]),
        ("", "left hand flat, palm up", PART_COLORS["left_hand"]),
        ("", "right hand turns over", PART_COLORS["right_hand"]),
        ("", "lips closed", PART_COLORS["mouth"]),
        ("", "brows raised", PART_COLORS["face"]),
    )
    for row, (mark, text, color) in enumerate(texts):
        y = 32.5 - 2.85 * row
        if mark:
            write(ax, 48, y, mark, 8.5)
        else:
            ax.add_patch(Circle((48, y), 0.95, fc=color, ec="none", zorder=HIGH + 1))
        write(ax, 50.2, y, text, 7.8, ha="left")
    write(ax, 57.5, 9.7, "JSON, open to correction", 8.5, color=GREY)
    arrow(ax, (69.9, 22), (75.1, 22), SAND, dashed=True)

    box(ax, 75.5, 14.5, 15, 15, edge=SAND, dashed=True)
    write(ax, 83, 22, "text\nencoder", 10, "bold")
    write(ax, 83, 11.2, "frozen; each text\nis encoded once", 8.5, color=GREY)
    arrow(ax, (90.9, 22), (97.6, 22), SAND, dashed=True)

    rng = np.random.default_rng(4)
    colors = (INK, GREY, *PART_COLORS.values())
    for row, color in enumerate(colors):
        for column in range(9):
            ax.add_patch(
                Rectangle(
                    (98.5 + 2.2 * column, 24.4 - 2.2 * row),
                    1.9,
                    1.9,
                    fc=color,
                    alpha=float(rng.uniform(0.25, 1.0)),
                    ec="none",
                    zorder=HIGH,
                )
            )
    write(ax, 108.3, 8.6, "text bank", 10.5, "bold")
    write(ax, 108.3, 5.3, "vectors of every sign, in a file", 8.5, color=GREY)
    arrow(ax, (119, 18.7), (129.3, 18.7), SAND, dashed=True)


def draw_method_contrast(ax: Axes) -> None:
    """Which vectors are compared."""
    box(ax, 129.8, 8.6, 33, 35.4, edge=SAND, dashed=True)
    write(ax, 146.3, 41.1, "contrast", 10.5, "bold")
    rows = [("$S_g$", "$T_g$", INK), ("$S_g$", "$T_s$", INK)]
    rows += [("$S_p$", "$T_p$", color) for color in PART_COLORS.values()]
    names = ("refined", "synonym", *(part.replace("_", " ") for part in PART_COLORS))
    for row, ((skeleton, text, color), name) in enumerate(zip(rows, names, strict=True)):
        y = 37.3 - 3.75 * row
        write(ax, 133.4, y, skeleton, 9.5)
        arrow(ax, (136, y), (144.4, y), color, 1.5, "<|-|>")
        write(ax, 147, y, text, 9.5)
        write(ax, 150.2, y, name, 8.5, ha="left")
    write(ax, 146.3, 11.1, "multi-positive KL, both ways", 8.5, color=GREY)
    write(ax, 146.3, 5, r"$L\;=\;L_{cls}\;+\;\alpha\,L_{multi}$", 11)


# ---- the rooms ----

#: What a room is, and what it makes of what.
ROOMS: Mapping[str, str] = {
    "skeleton": "what a signing body is: parts, bones, graph, mirror image",
    "poses": "key points on disk:\nthe pose store",
    "descriptions": "signs in words: JSON,\nencoders, text bank",
    "extraction": "makes poses\nfrom videos",
    "gsp": "makes descriptions\nfrom dictionaries",
    "datasets": "serves clips, says\nwhich texts are theirs",
    "models": "learns; needs no\ntexts at inference",
    "evaluation": "reads results: accuracy,\nintervals, signer folds",
    "visualization": "draws layouts and curves",
}
FLOORS = (
    ("ground floor", "plain data\nand numpy"),
    ("first floor", "the two goods\nkept on disk"),
    ("second floor", "who makes them,\nwho uses them"),
    ("roof", "who reads\nthe results"),
)
CENTRE, GAP, HEIGHT, STEP, BASE = 75.0, 4.0, 12.5, 20.0, 4.5
#: Left and right edge of each room.
EDGES: Mapping[str, tuple[float, float]] = {
    "skeleton": (25, 125),
    "poses": (25, CENTRE - 10),
    "descriptions": (CENTRE + 10, 125),
    "extraction": (25, 46),
    "datasets": (50, CENTRE - 4),
    "models": (CENTRE + 4, 100),
    "gsp": (104, 125),
    "evaluation": (25, CENTRE - 8),
    "visualization": (CENTRE - 4, 125),
}
#: Where an arrow that would run through other rooms starts and ends; the others go straight down.
LANES: Mapping[tuple[str, str], tuple[float, float]] = {
    ("datasets", "skeleton"): (CENTRE - 6.5, CENTRE - 6.5),
    ("models", "skeleton"): (CENTRE + 6.5, CENTRE + 6.5),
    ("visualization", "skeleton"): (CENTRE, CENTRE),
    ("evaluation", "poses"): (48, 48),
    ("datasets", "descriptions"): (CENTRE - 9.5, CENTRE + 14),
    ("datasets", "poses"): (57, 57),
}
#: Drawn dashed until the code is there.
TO_COME: Sequence[tuple[str, str]] = (("extraction", "poses"), ("gsp", "descriptions"))


def read_floors(path: Path = ROOT / ".importlinter") -> list[list[str]]:
    """The rooms of each floor, ground floor first, from the contract that `make test` checks.

    Raises:
        ValueError: The rooms of the contract are not those that are described here.
    """
    parser = configparser.ConfigParser()
    parser.read_string(path.read_text(encoding="utf-8"))
    lines = parser["importlinter:contract:floors"]["layers"].strip().splitlines()
    floors = [[room.strip().removeprefix("gspmc_mm.") for room in line.split("|")] for line in lines]
    named = {room for floor in floors for room in floor}
    if named != set(ROOMS) or len(floors) != len(FLOORS):
        raise ValueError(f"{path} names the rooms {sorted(named)}; described here are {sorted(ROOMS)}")
    return floors[::-1]


def read_imports(package: Path = ROOT / "gspmc_mm") -> set[tuple[str, str]]:
    """(room, room that it imports), read from the code."""
    found = set()
    for path in package.glob("*/**/*.py"):
        inside = path.relative_to(package).parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                # .. of a module in a room (one level more in a folder of it) is the package
                outside = node.level >= len(inside)
                names = [f"gspmc_mm.{node.module}" if outside else str(node.module)]
                names = names if outside or not node.level else []
            else:
                continue
            used = {name.split(".")[1] for name in names if name.startswith("gspmc_mm.")}
            found |= {(inside[0], room) for room in used & set(ROOMS) - {inside[0]}}
    return found


def draw_rooms() -> Figure:
    """The rooms on their floors, and who imports whom."""
    figure, ax = canvas(150, 84)
    levels = {}
    for level, rooms in enumerate(read_floors()):
        y = BASE + level * STEP
        face, edge = (RUNS, BLUE) if level < len(FLOORS) - 1 else ("#EFEFF1", GREY)
        box(ax, 2, y - 2.5, 126, HEIGHT + 5, face, "none", rounding=1.5, zorder=LOW)
        name, text = FLOORS[level]
        write(ax, 12.5, y + HEIGHT - 4.3, name, 10.5, "bold", edge, va="baseline")
        write(ax, 12.5, y + 4.2, text, 8.8, color=GREY)
        for room in rooms:
            left, right = EDGES[room]
            box(ax, left, y, right - left, HEIGHT, WHITE, edge, 1.4)
            write(ax, (left + right) / 2, y + HEIGHT - 4.3, room, 11, "bold", va="baseline")
            write(ax, (left + right) / 2, y + 4.2, ROOMS[room], 8.8, color=GREY)
            levels[room] = level
    imports = read_imports()
    for user, used in sorted({*imports, *TO_COME}):
        draw_use(ax, levels, user, used, dashed=(user, used) not in imports)
    draw_outside(ax)
    return figure


def draw_use(ax: Axes, levels: Mapping[str, int], user: str, used: str, dashed: bool) -> None:
    """An arrow from a room down to one that it imports; thin where it passes a floor."""
    middle = sum(EDGES[user]) / 2
    start, end = LANES.get((user, used), (middle, middle))
    passes = levels[user] - levels[used] > 1
    top = BASE + levels[used] * STEP + HEIGHT
    arrow(
        ax,
        (start, BASE + levels[user] * STEP - 0.2),
        (end, top + 0.3),
        "#6AA5C9" if passes else BLUE,
        1.3 if passes else 1.9,
        dashed=dashed,
        zorder=HIGH - 1 if passes else HIGH + 1,
    )


def draw_outside(ax: Axes) -> None:
    """What stands beside the house: tools, configs and projects, and what is applied on import."""
    x, width = 133.0, 15.0
    for y, height, title, text in (
        (44.5, 32.5, "tools\nconfigs\nprojects", "import the\npackage,\nnever the other\nway round"),
        (4.5, 32.5, "compat", "repairs of the\nOpenMMLab\nwheels, applied\nwhen the package\nis imported"),
    ):
        box(ax, x, y, width, height, WHITE, SAND, 1.4, dashed=True)
        middle = y + height / 2 + 1.2 * (text.count("\n") - title.count("\n"))
        write(ax, x + width / 2, middle + 1, title, 10.5, "bold", va="bottom")
        write(ax, x + width / 2, middle - 1, text, 8.5, color=GREY, va="top")
    arrow(ax, (132.8, 60), (128.4, 60), SAND, 1.8, dashed=True)


# ---- all of them ----


def draw_sign87() -> Figure:
    """The 87 joints, by the package's own drawing of layouts."""
    from gspmc_mm.visualization.layouts import draw_layout

    return draw_layout(get_layout("sign87")).figure


def save_png(figure: Figure, path: Path, dpi: int = 110) -> None:
    """A small file: 256 colours are enough for drawings."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=dpi)
    image = Image.open(buffer).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    image.save(path, optimize=True)


FIGURES = {"method": draw_method, "rooms": draw_rooms, "sign87": draw_sign87}


def main() -> None:
    """Draw every figure."""
    parser = argparse.ArgumentParser(description="Draw the figures of the documentation.")
    parser.add_argument("folder", nargs="?", type=Path, default=HERE, help="where to (beside this file)")
    parser.add_argument("--only", choices=FIGURES, help="draw one of them")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(STYLE):
        for name, draw in FIGURES.items():
            if options.only in (None, name):
                figure = draw()
                figure.savefig(options.folder / f"{name}.svg", metadata={"Date": None})
                save_png(figure, options.folder / f"{name}.png")
                print(f"{options.folder / name}.svg .png")


if __name__ == "__main__":
    main()
