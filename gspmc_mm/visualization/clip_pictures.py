"""Clips as pictures: the skeleton of each frame, over the video where there is one, as a contact sheet or a video."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from gspmc_mm.datasets.transforms import SelectKeypoints
from gspmc_mm.datasets.transforms.streams import STREAMS, bone_stream, motion_stream
from gspmc_mm.files import replacing
from gspmc_mm.poses import PoseClip
from gspmc_mm.skeleton import Layout

_WHITE, _GREY, _BLACK = (255, 255, 255), (190, 190, 190), (30, 30, 30)
_MARGIN = 0.08
_DENSE = ("face", "mouth")  # parts whose points lie too close for thick lines
_SUPERSAMPLING = 4  # bits of a pixel that cv2 draws with (its `shift`), so that small hands stay smooth
#: A step to the next frame is too small to be seen; its arrow is drawn this much longer.
MOTION_GAIN = 3.0


class PictureError(ValueError):
    """A clip that cannot be drawn as asked, or a video that does not fit it."""


def select_layout(clip: PoseClip, stored: Layout, wanted: Layout) -> tuple[np.ndarray, np.ndarray]:
    """Points (T, V, 2) and scores (T, V) of a clip in another layout.

    Raises:
        ValueError: the points of the stored layout do not make the wanted one.
    """
    if wanted == stored:
        return clip.keypoint, clip.score
    results = {"keypoint": clip.keypoint[None], "keypoint_score": clip.score[None], "layout": stored}
    selected = SelectKeypoints(layout=wanted).transform(results)
    return selected["keypoint"][0], selected["keypoint_score"][0]


def draw_skeleton(
    image: np.ndarray,
    layout: Layout,
    keypoint: np.ndarray,
    score: np.ndarray,
    *,
    arrows: np.ndarray | None = None,
    faint: bool = False,
    min_score: float = 0.0,
) -> None:
    """Draw one frame into a picture: bones thick, further edges thin, parts in their colours.

    Args:
        image: (H, W, 3) uint8 BGR, drawn into.
        layout: of the points.
        keypoint: (V, 2) pixels of this picture.
        score: (V,) confidence; points at or below `min_score` are left out.
        arrows: (V, 2) pixels, a vector at each point that is not zero.
        faint: draw the skeleton in grey, for arrows to stand out.
        min_score: see score.
    """
    seen = (score > min_score) & np.isfinite(keypoint).all(axis=1)
    colors = [_GREY if faint else _bgr(layout.colors[part]) for part in layout.part_of_joint]
    unit = max(1, round(min(image.shape[:2]) / 300))
    for edges, thick in ((layout.extra_edges, unit), (layout.bones, 2 * unit)):
        for child, parent in edges:
            if child != parent and seen[child] and seen[parent]:
                width = 1 if layout.part_of_joint[child] in _DENSE else thick
                start, end = _fixed(keypoint[child]), _fixed(keypoint[parent])
                cv2.line(image, start, end, colors[child], width, cv2.LINE_AA, _SUPERSAMPLING)
    for joint in np.flatnonzero(seen):
        small = layout.part_of_joint[joint] in _DENSE
        radius = (unit if small else 2 * unit) << _SUPERSAMPLING
        cv2.circle(image, _fixed(keypoint[joint]), radius, colors[joint], -1, cv2.LINE_AA, _SUPERSAMPLING)
    if arrows is None:
        return
    for joint in np.flatnonzero(seen & (np.linalg.norm(arrows, axis=1) > 1)):
        start, end = keypoint[joint], keypoint[joint] + arrows[joint]
        color = _bgr(layout.colors[layout.part_of_joint[joint]])
        cv2.arrowedLine(
            image,
            _whole(start),
            _whole(end),
            color,
            max(1, unit),
            cv2.LINE_AA,
            tipLength=min(0.4, 6 / _length(start, end)),
        )


def clip_frames(
    clip: PoseClip,
    layout: Layout,
    *,
    wanted: Layout | None = None,
    stream: str = "j",
    frames: Sequence[int] | None = None,
    height: int = 480,
    video: str | os.PathLike[str] | None = None,
    start: int = 0,
    whole_picture: bool = False,
) -> Iterator[np.ndarray]:
    """Pictures of the frames of a clip, each (H, W, 3) uint8 BGR.

    Joints are drawn as the skeleton, bones as arrows from the parent to the child, joint and bone motion as arrows over
    a grey skeleton (`MOTION_GAIN` times as long).

    Args:
        clip: all frames of it.
        layout: of the clip.
        wanted: layout to show; that of the clip by default.
        stream: 'j', 'b', 'jm' or 'bm'.
        frames: numbers of the frames to show; all by default.
        height: of the pictures in pixels.
        video: drawn under the skeleton.
        start: frame of the video that is the first of the clip.
        whole_picture: show the whole picture; without a video the default is the part in which anything is seen.

    Raises:
        FileNotFoundError: there is no such video.
        PictureError: the stream is not known, or the video is shorter than the clip.
    """
    if stream not in STREAMS:
        raise PictureError(f"stream {stream!r} is not known; there are {', '.join(STREAMS)}")
    wanted = wanted or layout
    keypoint, score = select_layout(clip, layout, wanted)
    arrows = _stream_arrows(keypoint, score, wanted, stream)
    chosen = list(range(len(keypoint))) if frames is None else [int(frame) for frame in frames]
    pictures = None if video is None else _video_frames(video, {start + frame for frame in chosen})
    if whole_picture or video is not None:
        low, high = np.zeros(2), np.array(clip.image_size, dtype=float)
    else:
        low, high = _box(keypoint, score, clip.image_size)
    scale = height / (high[1] - low[1])
    size = (max(1, round((high[0] - low[0]) * scale)), height)
    for frame in chosen:
        if pictures is None:
            image = np.full((size[1], size[0], 3), 255, dtype=np.uint8)
        else:
            image = cv2.resize(pictures[start + frame], size, interpolation=cv2.INTER_AREA)
        draw_skeleton(
            image,
            wanted,
            (keypoint[frame] - low) * scale,
            score[frame],
            arrows=None if arrows is None else arrows[frame] * scale,
            faint=arrows is not None,
        )
        _write(image, f"{frame}", (6, size[1] - 8))
        yield image


def contact_sheet(images: Sequence[np.ndarray], columns: int | None = None, title: str = "") -> np.ndarray:
    """Pictures of one size in rows on one page, (H, W, 3) uint8; the title is in ASCII, all that OpenCV can write.

    Raises:
        PictureError: there are none.
    """
    if not len(images):
        raise PictureError("no pictures for a contact sheet")
    height, width = images[0].shape[:2]
    columns = columns or max(1, round(np.sqrt(len(images) * height / width * 16 / 9)))
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    top = 28 if title else 0
    gap = 4
    page = np.full((top + rows * (height + gap), columns * (width + gap), 3), 255, dtype=np.uint8)
    for k, image in enumerate(images):
        row, column = divmod(k, columns)
        y, x = top + row * (height + gap), column * (width + gap)
        page[y : y + height, x : x + width] = image
    if title:
        _write(page, title, (6, 20))
    return page


def write_picture(image: np.ndarray, path: str | os.PathLike[str]) -> Path:
    """Write a picture as PNG or JPEG, whole or not at all.

    Raises:
        PictureError: the suffix is of no kind of picture that OpenCV writes.
    """
    path = Path(path)
    try:
        done, content = cv2.imencode(path.suffix, image)
    except cv2.error as error:
        raise PictureError(f"{path}: pictures are written as .png or .jpg") from error
    if not done:
        raise PictureError(f"{path}: the picture could not be encoded")
    with replacing(path) as temporary:
        temporary.write_bytes(content.tobytes())
    return path


def write_clip_video(images: Iterator[np.ndarray], path: str | os.PathLike[str], fps: float) -> Path:
    """Write pictures of one size as an .mp4, whole or not at all.

    Raises:
        PictureError: the path does not end in .mp4, there are no pictures, or OpenCV cannot write videos here.
    """
    path = Path(path)
    if path.suffix.lower() != ".mp4":
        raise PictureError(f"{path}: clips are written as .mp4")
    with replacing(path, suffix=".tmp.mp4") as temporary:  # OpenCV goes by the ending
        writer = None
        try:
            for image in images:
                # MPEG-4 halves the resolution of colours: sides are even.
                image = image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]
                if writer is None:
                    size = (image.shape[1], image.shape[0])
                    writer = cv2.VideoWriter(str(temporary), cv2.VideoWriter_fourcc(*"mp4v"), fps, size)
                    if not writer.isOpened():
                        raise PictureError(f"{path}: this OpenCV cannot write MPEG-4; write a contact sheet instead")
                writer.write(image)
            if writer is None:
                raise PictureError(f"{path}: no pictures for a video")
        finally:
            if writer is not None:
                writer.release()
    return path


def _stream_arrows(keypoint: np.ndarray, score: np.ndarray, layout: Layout, stream: str) -> np.ndarray | None:
    """(T, V, 2) arrows of a stream, None for joints."""
    if stream == "j":
        return None
    arrows = keypoint
    if stream.startswith("b"):
        arrows, score = bone_stream(keypoint, score, layout.parents)
    if stream.endswith("m"):
        arrows, _ = motion_stream(arrows, score)
        return arrows * MOTION_GAIN
    return -arrows  # drawn at the child, back to the parent


def _box(keypoint: np.ndarray, score: np.ndarray, image_size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    seen = keypoint[(score > 0) & np.isfinite(keypoint).all(axis=-1)]
    if not len(seen):
        return np.zeros(2), np.array(image_size, dtype=float)
    # A few stray points do not decide how small the signer becomes.
    low, high = np.percentile(seen, 0.5, axis=0), np.percentile(seen, 99.5, axis=0)
    margin = _MARGIN * max((high - low).max(), 1.0)
    return low - margin, high + margin


def _video_frames(path: str | os.PathLike[str], wanted: set[int]) -> dict[int, np.ndarray]:
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such video")
    capture = cv2.VideoCapture(str(path))
    frames: dict[int, np.ndarray] = {}
    try:
        number = 0
        while len(frames) < len(wanted):
            good, image = capture.read()
            if not good:
                raise PictureError(f"{path}: {number} frames could be read; the clip needs frame {max(wanted)}")
            if number in wanted:
                frames[number] = image
            number += 1
    finally:
        capture.release()
    return frames


def _write(image: np.ndarray, text: str, place: tuple[int, int]) -> None:
    for color, width in ((_WHITE, 3), (_BLACK, 1)):
        cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, color, width, cv2.LINE_AA)


def _bgr(color: str) -> tuple[int, int, int]:
    return int(color[5:7], 16), int(color[3:5], 16), int(color[1:3], 16)


def _fixed(point: np.ndarray) -> tuple[int, int]:
    x, y = np.rint(np.clip(point, -1e4, 1e4) * (1 << _SUPERSAMPLING)).astype(int)
    return int(x), int(y)


def _whole(point: np.ndarray) -> tuple[int, int]:
    x, y = np.rint(np.clip(point, -1e4, 1e4)).astype(int)
    return int(x), int(y)


def _length(start: np.ndarray, end: np.ndarray) -> float:
    return max(float(np.linalg.norm(end - start)), 1.0)
