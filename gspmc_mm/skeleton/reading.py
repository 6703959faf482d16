"""From a name, a file or a dict to a layout."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from .layout import Layout, LayoutError, subset_fields, suggest
from .presets import PRESETS

_FIELDS = (
    "name",
    "joint_names",
    "parts",
    "bones",
    "extra_edges",
    "swap",
    "source",
    "source_indices",
    "source_size",
    "landmarks",
    "colors",
)
_REQUIRED = ("name", "joint_names", "parts", "bones", "swap")
# What a choice from another layout may say differently from what follows from that layout.
_SUBSET_FIELDS = (
    "name",
    "subset_of",
    "joints",
    "parts",
    "bones",
    "extra_edges",
    "swap",
    "landmarks",
    "colors",
)
_FILE_SUFFIXES = (".json", ".yaml", ".yml")


def layout_names() -> tuple[str, ...]:
    """The names of the presets."""
    return tuple(PRESETS)


def get_layout(spec: str | os.PathLike[str] | Mapping[str, Any] | Layout) -> Layout:
    """The layout that a config, a store or a user names.

    Args:
        spec: The name of a preset, the path of a ``.json`` / ``.yaml`` file, a mapping as such a
            file holds it (docs/layouts.md, or ``Layout.to_dict()``), or a layout.

    Raises:
        LayoutError: For an unknown name or a description that is no valid layout; the message
            names the file, the field, what was found and what was expected.
        FileNotFoundError: If the file does not exist.
    """
    if isinstance(spec, Layout):
        return spec
    if isinstance(spec, Mapping):
        return _own_name(_from_mapping(spec))
    if isinstance(spec, os.PathLike) or (
        isinstance(spec, str) and (spec.lower().endswith(_FILE_SUFFIXES) or os.sep in spec)
    ):
        return _from_file(Path(spec))
    if not isinstance(spec, str):
        raise LayoutError(f"a layout is named by a preset, a file, a mapping or a Layout; found {spec!r}")
    if spec not in PRESETS:
        raise LayoutError(
            f"unknown layout {spec!r}{suggest(spec, PRESETS)}; known: {', '.join(PRESETS)}; "
            "a layout of your own is given as a .json or .yaml file or as a mapping"
        )
    return _preset(spec)


def _own_name(layout: Layout) -> Layout:
    # Stores and text banks may write down a preset's name alone, so it has to mean one thing.
    if layout.name in PRESETS and layout != _preset(layout.name):
        raise LayoutError(
            f"layout {layout.name!r}, field 'name': found the name of a preset on a layout that "
            "differs from it; expected a name of its own"
        )
    return layout


@cache
def _preset(name: str) -> Layout:
    return _from_mapping(PRESETS[name])


def _from_file(path: Path) -> Layout:
    if path.suffix.lower() not in _FILE_SUFFIXES:
        raise LayoutError(
            f"{path}: found a file {path.suffix or 'without a suffix'!r}; "
            f"expected a layout in {', '.join(_FILE_SUFFIXES)}"
        )
    if not path.is_file():
        raise FileNotFoundError(f"layout file {path} does not exist")
    try:
        text = path.read_text(encoding="utf-8-sig")
        spec = json.loads(text) if path.suffix.lower() == ".json" else _parse_yaml(text)
    except ValueError as error:
        raise LayoutError(f"{path}: cannot be read as {path.suffix[1:]}: {error}") from error
    if not isinstance(spec, Mapping):
        raise LayoutError(f"{path}: found a {type(spec).__name__}; expected a mapping with the fields of a layout")
    try:
        return _own_name(_from_mapping({"name": path.stem, **spec}))
    except LayoutError as error:
        raise LayoutError(f"{path}: {error}") from error


def _parse_yaml(text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _from_mapping(spec: Mapping[str, Any]) -> Layout:
    name = spec.get("name")
    if not isinstance(name, str) or not name:
        raise LayoutError(f"field 'name': found {name!r}; expected the name of the layout")
    is_choice = "subset_of" in spec
    allowed = _SUBSET_FIELDS if is_choice else _FIELDS
    for key in spec:
        if key not in allowed:
            raise LayoutError(
                f"layout {name!r}: found the field {key!r}{suggest(key, allowed)}; expected {', '.join(allowed)}"
            )
    for key in ("subset_of", "joints") if is_choice else _REQUIRED:
        if spec.get(key) is None:
            raise LayoutError(f"layout {name!r}: the field {key!r} is missing")

    if is_choice:
        base = get_layout(spec["subset_of"])
        values = subset_fields(base, _listed(name, "joints", spec["joints"]), name)
    else:
        values = {"name": name, "joint_names": _listed(name, "joint_names", spec["joint_names"])}
        values.update(_source(name, spec))
    names = values["joint_names"]
    for key in ("bones", "extra_edges"):
        if spec.get(key) is not None:
            edges = _listed(name, key, spec[key])
            values[key] = [_joints(name, key, edge, names) for edge in edges]
    if spec.get("parts") is not None:
        parts = _mapped(name, "parts", spec["parts"])
        values["parts"] = {p: _joints(name, f"parts.{p}", j, names) for p, j in parts.items()}
        # Colours taken over from the other layout are for its parts.
        values["colors"] = {p: c for p, c in values.get("colors", {}).items() if p in parts}
    if spec.get("swap") is not None:
        values["swap"] = _swap(name, spec["swap"], names)
    if spec.get("landmarks") is not None:
        landmarks = _mapped(name, "landmarks", spec["landmarks"])
        values["landmarks"] = {
            role: _joint(name, f"landmarks.{role}", joint, names) for role, joint in landmarks.items()
        }
    if spec.get("colors") is not None:
        colors = _mapped(name, "colors", spec["colors"])
        values["colors"] = {**values.get("colors", {}), **colors}
    return Layout(**values)


def _source(name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """The three fields of the source; the size of a preset need not be given."""
    source, size = spec.get("source"), spec.get("source_size")
    if isinstance(source, str) and source in PRESETS:
        known = _preset(source).num_joints
        if size is not None and size != known:
            raise LayoutError(
                f"layout {name!r}, field 'source_size': found {size!r}; "
                f"expected {known}, the number of points of {source!r}"
            )
        size = known
    elif source is not None and size is None:
        raise LayoutError(
            f"layout {name!r}, field 'source': found {source!r}{suggest(source, PRESETS)}, which "
            f"is no preset ({', '.join(PRESETS)}); expected one, or its size in 'source_size'"
        )
    return {"source": source, "source_size": size, "source_indices": spec.get("source_indices")}


def _swap(name: str, value: Any, names: Sequence[str]) -> list[int]:
    """The permutation, from itself (one joint per joint) or from a list of left/right pairs."""
    entries = _listed(name, "swap", value)
    if entries and not any(_is_list(entry) for entry in entries):
        return _joints(name, "swap", entries, names)
    swap = list(range(len(names)))
    paired: set[int] = set()
    for entry in entries:
        pair = _joints(name, "swap", entry, names)
        if len(pair) != 2:
            raise _error(name, "swap", repr(entry), "a pair [left, right]")
        for joint in pair:
            if joint in paired:
                raise _error(name, "swap", f"joint {joint} in two pairs", "each joint in one pair")
            if not 0 <= joint < len(names):
                raise _error(name, "swap", f"joint index {joint}", f"0 to {len(names) - 1}")
        paired.update(pair)
        swap[pair[0]], swap[pair[1]] = pair[1], pair[0]
    return swap


def _joints(name: str, field: str, values: Any, names: Sequence[str]) -> list[int]:
    return [_joint(name, field, value, names) for value in _listed(name, field, values)]


def _joint(name: str, field: str, value: Any, names: Sequence[str]) -> int:
    """A joint's index, where the file may also give its name."""
    if not isinstance(value, str):
        return value
    if value not in names:
        raise _error(name, field, f"{value!r}{suggest(value, names)}", "the name of a joint")
    return list(names).index(value)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _listed(name: str, field: str, value: Any) -> Sequence[Any]:
    if not _is_list(value):
        raise _error(name, field, repr(value), "a list")
    return value


def _mapped(name: str, field: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _error(name, field, repr(value), "a mapping")
    return value


def _error(name: str, field: str, found: str, expected: str) -> LayoutError:
    return LayoutError(f"layout {name!r}, field {field!r}: found {found}; expected {expected}")
