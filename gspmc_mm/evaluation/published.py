"""Printed figures of other people, to stand beside ours: the data is `published.json`, figures as shares."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from .results import Published

# What the paper calls its streams.
STREAM_NAMES = {"j": "joint", "b": "bone", "jm": "joint motion", "bm": "bone motion"}


@cache
def _published() -> dict[str, dict]:
    return json.loads(Path(__file__).with_name("published.json").read_text(encoding="utf-8"))


def published_names() -> list[str]:
    """The data sets that there are figures of."""
    return sorted(_published())


def published_figures(name: str) -> tuple[Published, ...]:
    """The printed figures on a data set: GSP-MC's streams, its fusion, then other methods.

    Raises:
        ValueError: There are none of this data set.
    """
    if name not in _published():
        raise ValueError(f"no published figures of {name!r}; there are some of {', '.join(published_names())}")
    entry = _published()[name]
    streams = [
        Published(method=f"GSP-MC, {STREAM_NAMES[stream]}", row=stream, top1=top1)
        for stream, top1 in entry["streams"].items()
    ]
    return (*streams, *(Published(**method) for method in entry["methods"]))


def published_note(name: str) -> str:
    """What the printed figures were measured on."""
    return f"Published figures: {_published()[name]['name']}."
