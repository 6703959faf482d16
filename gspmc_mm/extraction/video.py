"""Decoding: the frames of a clip, one after another, and clear words for videos that are not whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from gspmc_mm.extraction.errors import ClipError
from gspmc_mm.extras import how_to_install

# Containers count frames that a decoder drops (before the first key frame, at an edit list); a file that was cut off
# lacks far more.
PROMISED_SHARE = 0.9


@dataclass(frozen=True)
class VideoFacts:
    """What the container says.

    Attributes:
        fps: average frames per second, 0 if unknown.
        frames: number of frames it promises, 0 if it does not say.
    """

    fps: float
    frames: int


class ClipFrames:
    """The frames of a clip; may be gone through several times, and decodes anew each time.

    Never holds more than one frame. The rotation that a telephone writes into a video is undone, as players do.

    Args:
        path: the video.
        start: first frame wanted, from 0.
        end: one more than the last frame wanted; None for the end of the video.

    Attributes:
        facts: what the container says; known after the first frame.
        count: frames of the clip; known after it was gone through once.
        image_size: width and height; known after the first frame.

    Raises:
        ClipError: while iterating: missing, unreadable, no frames, truncated.
        ImportError: PyAV is not installed.
    """

    def __init__(self, path: str | os.PathLike[str], start: int | None = None, end: int | None = None) -> None:
        self.path = os.fspath(path)
        self.start, self.end = start or 0, end
        self.facts: VideoFacts | None = None
        self.count: int | None = None
        self.image_size: tuple[int, int] | None = None

    def __iter__(self) -> Iterator[np.ndarray]:
        """Frames (height, width, 3) uint8, blue first as OpenCV has them."""
        count = 0
        with self._opened() as (container, stream):
            for number, frame in enumerate(self._decoded(container, stream)):
                if self.end is not None and number >= self.end:
                    break
                if number < self.start:
                    continue
                picture = upright(frame.to_ndarray(format="bgr24"), frame.rotation)
                size = (picture.shape[1], picture.shape[0])
                if self.image_size is None:
                    self.image_size = size
                elif size != self.image_size:
                    raise ClipError(
                        "error",
                        f"{self.path}: frame {number} is {size[0]} x {size[1]}, the first one "
                        f"{self.image_size[0]} x {self.image_size[1]}; a clip has one size of picture",
                    )
                count += 1
                yield picture
        if count == 0:
            raise ClipError("no frames", f"{self.path}: {self._wanted()} has no frame")
        if self.end is not None and count < self.end - self.start:
            raise ClipError(
                "truncated", f"{self.path}: {self._wanted()} has only {count} of {self.end - self.start} frames"
            )
        self.count = count

    def _wanted(self) -> str:
        if self.start == 0 and self.end is None:
            return "the video"
        return f"the cut from frame {self.start} to {'the end' if self.end is None else self.end}"

    @contextmanager
    def _opened(self) -> Iterator[tuple[Any, Any]]:
        av = import_av()
        if not os.path.isfile(self.path):
            raise ClipError("missing", f"{self.path}: there is no such file")
        if os.path.getsize(self.path) == 0:
            raise ClipError("unreadable", f"{self.path}: the file is empty (0 bytes)")
        try:
            container = av.open(self.path)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise ClipError("unreadable", f"{self.path}: no video that can be opened ({_words(error)})") from error
        with container:
            if not container.streams.video:
                raise ClipError("no frames", f"{self.path}: there is sound or data in the file, and no video")
            stream = container.streams.video[0]
            stream.codec_context.thread_count = (
                1  # clips are decoded side by side; threads inside one would be in the way
            )
            rate = stream.average_rate or stream.guessed_rate
            self.facts = VideoFacts(fps=float(rate) if rate else 0.0, frames=int(stream.frames or 0))
            yield container, stream

    def _decoded(self, container: Any, stream: Any) -> Iterator[Any]:
        av = import_av()
        number = -1
        try:
            for number, frame in enumerate(container.decode(stream)):
                if frame.is_corrupt:
                    raise ClipError("truncated", f"{self.path}: frame {number} is damaged; copy the video again")
                yield frame
        except (av.error.FFmpegError, OSError) as error:
            reason = "truncated" if number >= 0 else "unreadable"
            raise ClipError(
                reason,
                f"{self.path}: decoding stopped after {number + 1} frames ({_words(error)}); copy the video again",
            ) from error
        promised = self.facts.frames if self.facts else 0
        if number >= 0 and number + 1 < PROMISED_SHARE * promised:
            raise ClipError(
                "truncated",
                f"{self.path}: {number + 1} frames, but the file says that it has {promised}; copy the video again",
            )


def upright(picture: np.ndarray, rotation: int) -> np.ndarray:
    """Turn a picture (height, width, 3) by the degrees, counter-clockwise, that its video asks players for."""
    quarters = round(rotation / 90) % 4
    return picture if quarters == 0 else np.ascontiguousarray(np.rot90(picture, quarters))


def import_av() -> Any:
    """PyAV, or an ImportError that says how to get it."""
    try:
        import av
    except ImportError as error:
        raise ImportError(f"decoding videos needs PyAV; {how_to_install('pose')}") from error
    # FFmpeg writes its complaints about broken videos to stderr by itself; they are in the ledger already.
    av.logging.set_level(av.logging.PANIC)
    return av


def _words(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
