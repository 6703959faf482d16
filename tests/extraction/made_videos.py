"""Small videos for the tests: cut from the real ones or drawn, whole or broken in each way that there is."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import av
import numpy as np

SIZE = (96, 64)


def write_video(path: Path, frames: Iterable[np.ndarray], fps: int = 25, faststart: bool = True) -> Path:
    """Frames (height, width, 3) uint8, blue first, as H.264; with `faststart` the index stands in front."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"movflags": "faststart"} if faststart and path.suffix == ".mp4" else {}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("libx264", rate=fps, options={"g": "5", "preset": "ultrafast"})
        stream.pix_fmt = "yuv420p"
        for number, frame in enumerate(frames):
            if number == 0:
                stream.height, stream.width = frame.shape[:2]
            picture = av.VideoFrame.from_ndarray(frame.astype(np.uint8), format="bgr24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def drawn_frames(seed: int, count: int = 8, size: tuple[int, int] = SIZE) -> list[np.ndarray]:
    """Coloured blocks that move: something to compress, so that a cut-off file lacks frames."""
    random = np.random.default_rng(seed)
    blocks = random.integers(0, 256, (size[1] // 8, size[0] // 8, 3))
    picture = np.kron(blocks, np.ones((8, 8, 1))).astype(np.uint8)
    return [np.ascontiguousarray(np.roll(picture, 3 * number, axis=1)) for number in range(count)]


def write_sound(path: Path) -> Path:
    """A file with sound and no picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        for _ in range(5):
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def cut_off(path: Path) -> None:
    """The index says that there are more frames than the file has."""
    os.truncate(path, int(path.stat().st_size * 0.85))


def damage(path: Path) -> None:
    """Noise over a third of the pictures, from their middle."""
    content = bytearray(path.read_bytes())
    start = content.index(b"mdat") + 4
    size = len(content) - start
    noise = np.random.default_rng(0).integers(0, 256, size // 3, dtype=np.uint8).tobytes()
    content[start + size // 2 : start + size // 2 + len(noise)] = noise
    path.write_bytes(content)


def text_in_it(path: Path) -> None:
    """No video at all."""
    path.write_text("<html><body>404 not found</body></html>")


def emptied(path: Path) -> None:
    """A download that never began."""
    path.write_bytes(b"")


def index_lost(path: Path) -> None:
    """A recorder that was switched off before it wrote the index at the end."""
    write_video(path, drawn_frames(0), faststart=False)
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"moov") - 4])


def removed(path: Path) -> None:
    """In the list and not on the disk."""
    path.unlink()


def only_sound(path: Path) -> None:
    """The picture was left out."""
    write_sound(path)


def nobody(path: Path) -> None:
    """A picture that is all but black, and of no two files the same."""
    random = np.random.default_rng(zlib.crc32(path.name.encode()))
    write_video(path, [random.integers(0, 20, (SIZE[1] // 8, SIZE[0] // 8, 3)).repeat(8, 0).repeat(8, 1)] * 6)


#: How a video is broken, and what the ledger has to call it.
FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "cut_off": (cut_off, "truncated"),
    "damage": (damage, "truncated"),
    "text_in_it": (text_in_it, "unreadable"),
    "emptied": (emptied, "unreadable"),
    "index_lost": (index_lost, "unreadable"),
    "removed": (removed, "missing"),
    "only_sound": (only_sound, "no frames"),
    "nobody": (nobody, "no person"),
}
