"""A layout: which points a signing body has, which parts they form, how they hang together.

Every other room asks a :class:`Layout` for indices, edges and parts; none of them writes a number
of its own. A layout is checked completely when it is built, so that whoever holds one may rely on
it: one parent per joint, one connected tree, every joint in exactly one part, and a left/right swap
under which joints, parts and edges stay what they are.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

#: The parts of a signing body, in the order of the paper. A layout may name others.
PARTS = ("body", "left_hand", "right_hand", "mouth", "face")

#: Joints that transforms look for by their role. Left and right are the signer's own; the wrists
#: are those of the body's arms, the hand roots those of the hands (estimators give both).
LANDMARKS = (
    "left_shoulder",
    "right_shoulder",
    "left_wrist",
    "right_wrist",
    "left_hand_root",
    "right_hand_root",
    "nose",
)

#: Colours that people with any common colour blindness can tell apart (Okabe & Ito 2008).
PART_COLORS: Mapping[str, str] = MappingProxyType(
    {
        "body": "#56606B",
        "left_hand": "#E69F00",
        "right_hand": "#0072B2",
        "mouth": "#CC79A7",
        "face": "#009E73",
    }
)
_SPARE_COLORS = ("#D55E00", "#56B4E9", "#009E73", "#CC79A7", "#E69F00", "#0072B2", "#000000")
_HEX_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


class LayoutError(ValueError):
    """A layout that cannot be: the message names the layout, the field, what was found there."""


def suggest(word: object, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` for a name close to a known one, otherwise an empty string."""
    close = difflib.get_close_matches(str(word), list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


@dataclass(frozen=True, eq=False, repr=False)
class Layout:
    """A set of body points as data: names, parts, tree, graph, mirror, colours.

    Layouts compare and hash by content, cannot be changed, and pickle.

    Args:
        name: What the layout is called.
        joint_names: (V,) distinct names of the joints.
        parts: Part name to its local joint indices; every joint lies in exactly one part.
        bones: V pairs (child, parent), one for each joint; the root is (r, r). Kept in the order
            of the children, so ``bones[v] == (v, parents[v])``.
        extra_edges: Graph edges beside the bones, as (from, to) pairs in inward direction.
        swap: (V,) the joint that each joint becomes in the mirror image of the signer.
        source: Name of the layout these joints are chosen from; ``None`` if they are its own.
        source_indices: (V,) place of each joint in the source; ``None`` without a source.
        landmarks: Role (one of :data:`LANDMARKS`) to joint, for the roles the layout has.
        colors: Part name to ``#rrggbb``; a part left out gets a default colour.
        source_size: Number of points of the source; ``None`` without a source.

    Raises:
        LayoutError: If anything of this does not hold.
    """

    name: str
    joint_names: tuple[str, ...]
    parts: Mapping[str, tuple[int, ...]]
    bones: tuple[tuple[int, int], ...]
    swap: tuple[int, ...]
    extra_edges: tuple[tuple[int, int], ...] = ()
    source: str | None = None
    source_indices: tuple[int, ...] | None = None
    landmarks: Mapping[str, int] = field(default_factory=dict)
    colors: Mapping[str, str] = field(default_factory=dict)
    source_size: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise LayoutError(f"field 'name': found {self.name!r}, expected a non-empty word")
        self._set("joint_names", self._checked_joint_names())
        self._set("parts", MappingProxyType(self._checked_parts()))
        self._set("bones", self._checked_bones())
        self._set("extra_edges", self._checked_extra_edges())
        self._set("swap", self._checked_swap())
        self._set("source_indices", self._checked_source())
        self._set("landmarks", MappingProxyType(self._checked_landmarks()))
        self._set("colors", MappingProxyType(self._checked_colors()))

    # ---- what follows from the data ----

    @property
    def num_joints(self) -> int:
        """Number of joints V."""
        return len(self.joint_names)

    @cached_property
    def root(self) -> int:
        """The joint that is its own parent."""
        return next(child for child, parent in self.bones if child == parent)

    @cached_property
    def parents(self) -> np.ndarray:
        """(V,) int64, read-only: parent of each joint; the root's is the root."""
        parents = np.array([parent for _, parent in self.bones], dtype=np.int64)
        parents.setflags(write=False)
        return parents

    @cached_property
    def inward(self) -> tuple[tuple[int, int], ...]:
        """All graph edges in inward direction: the bones without the root's loop, then the rest."""
        return tuple(bone for bone in self.bones if bone[0] != bone[1]) + self.extra_edges

    def graph(self) -> dict[str, Any]:
        """The layout as ``mmaction.models.utils.graph.Graph(layout=...)`` takes it."""
        return {"num_node": self.num_joints, "inward": list(self.inward), "center": self.root}

    @cached_property
    def part_of_joint(self) -> tuple[str, ...]:
        """(V,) the name of the part each joint belongs to."""
        part_of = {joint: part for part, joints in self.parts.items() for joint in joints}
        return tuple(part_of[joint] for joint in range(self.num_joints))

    @cached_property
    def swap_parts(self) -> Mapping[str, str]:
        """Part to the part it becomes in the mirror image, e.g. left_hand to right_hand."""
        return MappingProxyType({part: self.part_of_joint[self.swap[joints[0]]] for part, joints in self.parts.items()})

    def part_indices(self, part: str) -> np.ndarray:
        """Local joint indices of a part, int64.

        Raises:
            LayoutError: If the layout has no such part.
        """
        if part not in self.parts:
            raise LayoutError(
                f"layout {self.name!r} has no part {part!r}{suggest(part, self.parts)}; "
                f"its parts are {', '.join(self.parts)}"
            )
        return np.array(self.parts[part], dtype=np.int64)

    def joint(self, name: str) -> int:
        """Local index of the joint with this name.

        Raises:
            LayoutError: If the layout has no such joint.
        """
        try:
            return self.joint_names.index(name)
        except ValueError:
            raise LayoutError(f"layout {self.name!r} has no joint {name!r}{suggest(name, self.joint_names)}") from None

    def indices_in(self, other: Layout) -> np.ndarray:
        """Where the joints of this layout are found in another one.

        They are found when the other is this layout or its source, or when both are chosen from
        one source and the other has every joint this one asks for (``hands42`` out of ``sign87``).

        Returns:
            (V,) int64 indices into the joints of ``other``.

        Raises:
            LayoutError: If ``other`` does not hold them; names the first joint missing.
        """
        if other == self:
            return np.arange(self.num_joints)
        if self.source == other.name and self.source_size == other.num_joints:
            return np.array(self.source_indices, dtype=np.int64)
        own = self.name if self.source is None else self.source
        others = other.name if other.source is None else other.source
        if own != others:
            raise LayoutError(
                f"the {self.num_joints} joints of layout {self.name!r} are points of {own!r}; "
                f"they cannot be chosen from layout {other.name!r}, whose points are of {others!r}"
            )
        wanted = self.source_indices or tuple(range(self.num_joints))
        held = other.source_indices or tuple(range(other.num_joints))
        place = {index: local for local, index in enumerate(held)}
        for joint, index in zip(self.joint_names, wanted, strict=True):
            if index not in place:
                raise LayoutError(
                    f"layout {self.name!r} cannot be chosen from layout {other.name!r}: "
                    f"it asks for {joint!r} (point {index} of {own!r}), which is not there"
                )
        return np.array([place[index] for index in wanted], dtype=np.int64)

    def select(self, points: np.ndarray) -> np.ndarray:
        """Choose the joints of this layout from points of its source.

        Args:
            points: (..., V_source, C) points of the source layout (of this one without a source).

        Returns:
            (..., V, C) the joints of this layout.

        Raises:
            LayoutError: If the number of points is not that of the source.
        """
        points = np.asarray(points)
        expected = self.num_joints if self.source_size is None else self.source_size
        if points.ndim < 2 or points.shape[-2] != expected:
            raise LayoutError(
                f"layout {self.name!r} is chosen from the {expected} points of "
                f"{self.source or self.name!r}: expected an array (..., {expected}, C), "
                f"found shape {points.shape}"
            )
        return points if self.source_indices is None else points[..., self.source_indices, :]

    def to_dict(self) -> dict[str, Any]:
        """The layout in plain lists and dicts (JSON); ``get_layout`` reads it back."""
        return {
            "name": self.name,
            "joint_names": list(self.joint_names),
            "parts": {part: list(joints) for part, joints in self.parts.items()},
            "bones": [list(bone) for bone in self.bones],
            "extra_edges": [list(edge) for edge in self.extra_edges],
            "swap": list(self.swap),
            "source": self.source,
            "source_indices": None if self.source_indices is None else list(self.source_indices),
            "source_size": self.source_size,
            "landmarks": dict(self.landmarks),
            "colors": dict(self.colors),
        }

    # ---- identity ----

    @cached_property
    def _content(self) -> tuple[Any, ...]:
        # The order of the parts is content: part pooling and part terms follow it.
        values = (getattr(self, each.name) for each in fields(self))
        return tuple(tuple(v.items()) if isinstance(v, Mapping) else v for v in values)

    def __eq__(self, other: object) -> bool:
        return self._content == other._content if isinstance(other, Layout) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._content)

    def __reduce__(self) -> tuple[Any, ...]:
        # Read-only mappings do not pickle; rebuilding also checks what came out of the pickle.
        plain = (getattr(self, each.name) for each in fields(self))
        return type(self), tuple(dict(v) if isinstance(v, Mapping) else v for v in plain)

    def __copy__(self) -> Layout:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Layout:
        return self  # cannot change, and data pipelines copy every clip's dict deeply

    def __repr__(self) -> str:
        parts = " | ".join(f"{part} {len(joints)}" for part, joints in self.parts.items())
        return f"Layout({self.name!r}, {self.num_joints} joints: {parts})"

    # ---- checks ----

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)  # the way of a frozen dataclass in __post_init__

    def _error(self, field_name: str, found: str, expected: str) -> LayoutError:
        return LayoutError(f"layout {self.name!r}, field {field_name!r}: found {found}; expected {expected}")

    def _label(self, joint: int) -> str:
        return f"joint {joint} ({self.joint_names[joint]})"

    def _indices(self, field_name: str, values: object, size: int) -> tuple[int, ...]:
        """The values as plain ints in [0, size)."""
        if isinstance(values, np.ndarray):
            values = values.tolist()
        if isinstance(values, str) or not isinstance(values, Sequence):
            raise self._error(field_name, repr(values), "a list of joint indices")
        for value in values:
            if isinstance(value, bool) or not isinstance(value, int | np.integer):
                raise self._error(field_name, repr(value), "a joint index (an integer)")
            if not 0 <= value < size:
                raise self._error(field_name, f"joint index {value}", f"0 to {size - 1}")
        return tuple(int(value) for value in values)

    def _edges(self, field_name: str, values: object) -> tuple[tuple[int, int], ...]:
        if isinstance(values, np.ndarray):
            values = values.tolist()
        if isinstance(values, str) or not isinstance(values, Sequence):
            raise self._error(field_name, repr(values), "a list of pairs of joints")
        edges = []
        for value in values:
            edge = self._indices(field_name, value, self.num_joints)
            if len(edge) != 2:
                raise self._error(field_name, repr(value), "a pair of joints")
            edges.append((edge[0], edge[1]))
        return tuple(edges)

    def _checked_joint_names(self) -> tuple[str, ...]:
        names = self.joint_names
        if isinstance(names, str) or not isinstance(names, Sequence) or not names:
            raise self._error("joint_names", repr(names), "a list of at least one joint name")
        seen: set[str] = set()
        for name in names:
            if not isinstance(name, str) or not name:
                raise self._error("joint_names", repr(name), "a name")
            if name in seen:
                raise self._error("joint_names", f"{name!r} twice", "distinct names")
            seen.add(name)
        return tuple(names)

    def _checked_parts(self) -> dict[str, tuple[int, ...]]:
        if not isinstance(self.parts, Mapping) or not self.parts:
            raise self._error("parts", repr(self.parts), "a mapping of part name to joints")
        parts: dict[str, tuple[int, ...]] = {}
        part_of: dict[int, str] = {}
        for part, joints in self.parts.items():
            where = f"parts.{part}"
            if not isinstance(part, str) or not part:
                raise self._error("parts", f"part {part!r}", "a name")
            parts[part] = self._indices(where, joints, self.num_joints)
            if not parts[part]:
                raise self._error(where, "no joint", "at least one joint (or leave the part out)")
            for joint in parts[part]:
                if joint in part_of:
                    both = f"{self._label(joint)} in {part_of[joint]!r} and in {part!r}"
                    raise self._error("parts", both, "every joint in exactly one part")
                part_of[joint] = part
        for joint in range(self.num_joints):
            if joint not in part_of:
                found = f"{self._label(joint)} in no part"
                raise self._error("parts", found, "every joint in exactly one part")
        return parts

    def _checked_bones(self) -> tuple[tuple[int, int], ...]:
        parent_of: dict[int, int] = {}
        for child, parent in self._edges("bones", self.bones):
            if child in parent_of:
                found = f"{self._label(child)} as a child twice ({parent_of[child]} and {parent})"
                raise self._error("bones", found, "exactly one parent per joint")
            parent_of[child] = parent
        for joint in range(self.num_joints):
            if joint not in parent_of:
                found = f"{self._label(joint)} without a parent"
                raise self._error("bones", found, "exactly one per joint, the root r as (r, r)")
        roots = [child for child, parent in parent_of.items() if child == parent]
        if len(roots) > 1:
            found = "the roots " + ", ".join(self._label(joint) for joint in sorted(roots))
            raise self._error("bones", found, "one root: the tree must be connected")
        for joint in range(self.num_joints):
            walked: list[int] = []
            at = joint
            while parent_of[at] != at:
                walked.append(at)
                at = parent_of[at]
                if at in walked:
                    circle = walked[walked.index(at) :] + [at]
                    found = "the circle " + " -> ".join(str(each) for each in circle)
                    raise self._error("bones", found, "a tree that leads to a root (r, r)")
        return tuple((joint, parent_of[joint]) for joint in range(self.num_joints))

    def _checked_extra_edges(self) -> tuple[tuple[int, int], ...]:
        edges = self._edges("extra_edges", self.extra_edges)
        seen = {frozenset(bone) for bone in self.bones}
        for edge in edges:
            if edge[0] == edge[1]:
                raise self._error("extra_edges", f"the loop {edge}", "edges between two joints")
            if frozenset(edge) in seen:
                found = f"{edge}, a bone or an edge that is already there"
                raise self._error("extra_edges", found, "each edge once, bones not repeated")
            seen.add(frozenset(edge))
        return edges

    def _checked_swap(self) -> tuple[int, ...]:
        swap = self._indices("swap", self.swap, self.num_joints)
        if len(swap) != self.num_joints:
            raise self._error("swap", f"{len(swap)} entries", f"one per joint ({self.num_joints})")
        for joint, mirrored in enumerate(swap):
            if swap[mirrored] != joint:
                found = f"{joint} -> {mirrored} -> {swap[mirrored]}"
                raise self._error("swap", found, "an involution: swapped twice is unchanged")
        for part, joints in self.parts.items():
            images = {self.part_of_joint[swap[joint]] for joint in joints}
            if len(images) > 1:
                found = f"the mirror image of part {part!r} in the parts {sorted(images)}"
                raise self._error("swap", found, "that a part becomes one part (itself or another)")
        # Undirected: the bone between the two roots of a pair of loose hands is its own image,
        # turned round.
        for name, edges in (("bones", self.bones), ("extra_edges", self.extra_edges)):
            known = {frozenset(edge) for edge in edges if edge[0] != edge[1]}
            for child, parent in edges:
                image = frozenset((swap[child], swap[parent]))
                if child != parent and image not in known:
                    found = (
                        f"({child}, {parent}) among the {name} whose mirror image "
                        f"({swap[child]}, {swap[parent]}) is not"
                    )
                    raise self._error("swap", found, f"{name} that are the same in the mirror")
        return swap

    def _checked_source(self) -> tuple[int, ...] | None:
        given = [v is not None for v in (self.source, self.source_indices, self.source_size)]
        if any(given) and not all(given):
            found = f"source {self.source!r}, source_size {self.source_size!r}, source_indices " + (
                "missing" if self.source_indices is None else "given"
            )
            raise self._error("source", found, "all three of them or none")
        if self.source is None:
            return None
        if not isinstance(self.source, str) or not self.source:
            raise self._error("source", repr(self.source), "the name of a layout")
        size = self.source_size
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise self._error("source_size", repr(size), "a number of points")
        indices = self._indices("source_indices", self.source_indices, size)
        if len(indices) != self.num_joints:
            expected = f"one per joint ({self.num_joints})"
            raise self._error("source_indices", f"{len(indices)} entries", expected)
        for joint, index in enumerate(indices):
            if indices.index(index) != joint:
                raise self._error("source_indices", f"{index} twice", "each point at most once")
        return indices

    def _checked_landmarks(self) -> dict[str, int]:
        if not isinstance(self.landmarks, Mapping):
            raise self._error("landmarks", repr(self.landmarks), "a mapping of role to joint")
        landmarks: dict[str, int] = {}
        for role, joint in self.landmarks.items():
            if role not in LANDMARKS:
                found = f"the role {role!r}{suggest(role, LANDMARKS)}"
                raise self._error("landmarks", found, f"one of {', '.join(LANDMARKS)}")
            landmarks[role] = self._indices(f"landmarks.{role}", [joint], self.num_joints)[0]
        for role, joint in landmarks.items():
            other = {"left": "right", "right": "left"}.get(role.partition("_")[0])
            twin = role if other is None else f"{other}_{role.partition('_')[2]}"
            if twin in landmarks and landmarks[twin] != self.swap[joint]:
                found = f"{role} {joint} and {twin} {landmarks[twin]}"
                raise self._error("landmarks", found, "that the swap turns one into the other")
        return landmarks

    def _checked_colors(self) -> dict[str, str]:
        if not isinstance(self.colors, Mapping):
            raise self._error("colors", repr(self.colors), "a mapping of part to '#rrggbb'")
        for part, color in self.colors.items():
            if part not in self.parts:
                found = f"the part {part!r}{suggest(part, self.parts)}"
                raise self._error("colors", found, f"one of {', '.join(self.parts)}")
            if not isinstance(color, str) or not _HEX_COLOR.fullmatch(color):
                raise self._error(f"colors.{part}", repr(color), "a colour '#rrggbb'")
        colors: dict[str, str] = {}
        spare = 0
        for part in self.parts:
            color = self.colors.get(part) or PART_COLORS.get(part)
            if color is None:
                color = _SPARE_COLORS[spare % len(_SPARE_COLORS)]
                spare += 1
            colors[part] = color
        return colors


def subset(layout: Layout, joints: Sequence[int | str], name: str) -> Layout:
    """A layout of fewer joints of another.

    Each joint hangs on its nearest ancestor that is kept. Where the root is not kept, the joints
    left without an ancestor are linked to one of them, a joint of the middle if there is one, so
    that the tree stays connected: of two loose hands the right wrist hangs on the left one. Parts,
    extra edges, landmarks and colours are those of the kept joints.

    Args:
        layout: The layout to choose from.
        joints: Indices or names of the joints to keep, in the order of the new layout.
        name: Name of the new layout.

    Raises:
        LayoutError: If a joint is unknown or given twice, or the result is no valid layout.
    """
    return Layout(**subset_fields(layout, joints, name))


def subset_fields(layout: Layout, joints: Sequence[int | str], name: str) -> dict[str, Any]:
    """The fields of ``subset(layout, joints, name)`` as a dict, not yet checked as a whole."""
    kept = [layout.joint(j) if isinstance(j, str) else j for j in joints]
    if not kept:
        raise LayoutError(f"layout {name!r}, field 'joints': found none; expected at least one")
    for joint in kept:
        if isinstance(joint, bool) or not isinstance(joint, int | np.integer):
            raise LayoutError(
                f"layout {name!r}, field 'joints': found {joint!r}; "
                f"expected the index or the name of a joint of {layout.name!r}"
            )
        if not 0 <= joint < layout.num_joints:
            raise LayoutError(
                f"layout {name!r}, field 'joints': found {joint}; "
                f"expected an index of {layout.name!r}, 0 to {layout.num_joints - 1}"
            )
        if kept.count(joint) > 1:
            raise LayoutError(
                f"layout {name!r}, field 'joints': found {layout.joint_names[joint]!r} twice; expected each joint once"
            )
    local = {int(joint): index for index, joint in enumerate(kept)}
    swap = {joint: layout.swap[joint] for joint in local if layout.swap[joint] in local}

    origin = range(layout.num_joints) if layout.source_indices is None else layout.source_indices
    size = layout.num_joints if layout.source_size is None else layout.source_size
    parts = {
        part: tuple(sorted(local[joint] for joint in members if joint in local))
        for part, members in layout.parts.items()
    }
    parts = {part: members for part, members in parts.items() if members}
    return {
        "name": name,
        "joint_names": tuple(layout.joint_names[joint] for joint in local),
        "parts": parts,
        "bones": tuple((local[child], local[parent]) for child, parent in _kept_bones(layout, local, swap)),
        "extra_edges": _kept_edges(layout, local),
        # A joint whose partner is left out (a one-handed layout) stays itself in the mirror.
        "swap": tuple(local[swap.get(joint, joint)] for joint in local),
        "source": layout.name if layout.source is None else layout.source,
        "source_indices": tuple(origin[joint] for joint in local),
        "source_size": size,
        "landmarks": {role: local[j] for role, j in layout.landmarks.items() if j in local},
        "colors": {part: layout.colors[part] for part in parts},
    }


def _kept_bones(layout: Layout, local: Mapping[int, int], swap: Mapping[int, int]) -> list[tuple[int, int]]:
    """(child, parent) of the kept joints, in the numbering of the full layout."""
    parents = layout.parents
    bones: list[tuple[int, int]] = []
    orphans: list[int] = []
    for joint in local:
        at = joint
        while True:
            above = int(parents[at])
            if above == at:
                orphans.append(joint)
                break
            at = above
            if at in local:
                bones.append((joint, at))
                break
    if layout.root in local:
        return [*bones, (layout.root, layout.root)]
    middle = [joint for joint in orphans if swap.get(joint, joint) == joint]
    root = (middle or orphans)[0]
    twin = swap.get(root, root)
    bones.append((root, root))
    for joint in orphans:
        if joint == root:
            continue
        # With a left/right pair at the top, each further pair hangs on its two sides alike.
        other = swap.get(joint, joint)
        bones.append((joint, twin if joint != twin and joint > other else root))
    return bones


def _kept_edges(layout: Layout, local: Mapping[int, int]) -> tuple[tuple[int, int], ...]:
    kept = (edge for edge in layout.extra_edges if edge[0] in local and edge[1] in local)
    return tuple((local[start], local[end]) for start, end in kept)
