"""The lexicon of SYNTHETIC signs: what each sign is, as data. No real language.

Every sign is a set of parameters; the kinematic signer performs them and the templates in
``texts.py`` put the same parameters into words, so that motion and text cannot disagree. All
parameters are those of a right-handed signer: the dominant hand is the right hand.

Glosses are invented. Signs of one family share a stem (``SYN-BALO-01``, ``SYN-BALO-02``); the
families hold the hard pairs, signs that differ in exactly one parameter, listed in
:data:`HARD_PAIRS`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from types import MappingProxyType

from gspmc_mm.datasets.synthsign.handshapes import HANDSHAPES

NOTE = "SYNTHETIC signs, no real language"
"""Stands in the header of every store and in every description set made here."""

HANDS = ("one", "symmetric", "alternating", "base")
CONTACTS = ("near", "tips", "palm")
DIRECTIONS = MappingProxyType(
    {
        "up": (0.0, -1.0, 0.0),
        "down": (0.0, 1.0, 0.0),
        "forward": (0.0, 0.0, 1.0),
        "back": (0.0, 0.0, -1.0),
        "in": (1.0, 0.0, 0.0),
        "out": (-1.0, 0.0, 0.0),
    }
)
"""Directions of the right hand: x to the signer's left ('in', across the body), y down, z forward.
The left hand has the mirror image."""

STRAIGHT_PATHS = ("straight", "arc", "zigzag")
CIRCLES = ("upright_in", "upright_out", "level")
PATHS = ("still", *STRAIGHT_PATHS, "circle", "shake", "tap")
LOCALS = ("none", "twist", "nod", "wiggle")
MOUTHS = ("neutral", "open", "rounded", "smile", "pressed", "corners_down", "open_close")
BROWS = ("neutral", "raised", "furrowed")
EYES = ("neutral", "wide", "narrowed", "closed")
HEADS = ("still", "nod", "shake", "tilt_right", "tilt_left", "back", "turn_left")


@dataclass(frozen=True)
class Location:
    """A place of articulation.

    Attributes:
        point: (x, y, z) for the right hand: origin between the shoulders, unit shoulder width, x to
            the signer's left, y down, z forward. ``None``: a place on the base hand.
        on_head: the place moves with the head.
        key: word that every text about the place contains.
        touch: noun phrase for the surface, one hand and both hands; ``None`` = cannot be touched.
        near: three phrases for being there without contact, one hand.
        near_both: the same for both hands.
    """

    point: tuple[float, float, float] | None
    on_head: bool
    key: str
    touch: tuple[str, str] | None
    near: tuple[str, str, str]
    near_both: tuple[str, str, str]


def _spot(
    point: tuple[float, float, float],
    on_head: bool,
    key: str,
    one: str,
    both: str | None = None,
    prepositions: tuple[str, str, str] = ("in front of", "close to", "just before"),
) -> Location:
    both = both or one
    return Location(
        point,
        on_head,
        key,
        (one, both),
        tuple(f"{p} {one}" for p in prepositions),
        tuple(f"{p} {both}" for p in prepositions),
    )


_NEUTRAL = (
    "in the space in front of the body",
    "in the open space in front of the body",
    "in front of the body, away from it",
)
_BESIDE = ("beside the head", "in the air beside the head", "at head height, beside the face")

LOCATIONS = MappingProxyType(
    {
        "forehead": _spot((-0.02, -0.87, 0.33), True, "forehead", "the forehead"),
        "temple": _spot((-0.18, -0.80, 0.20), True, "temple", "the right temple", "the temples"),
        "eye": _spot((-0.09, -0.70, 0.34), True, "eye", "the right eye", "the eyes"),
        "nose": _spot((-0.01, -0.60, 0.43), True, "nose", "the tip of the nose"),
        "cheek": _spot((-0.15, -0.55, 0.27), True, "cheek", "the right cheek", "the cheeks"),
        "mouth": _spot((-0.01, -0.475, 0.38), True, "mouth", "the mouth"),
        "chin": _spot((-0.01, -0.38, 0.35), True, "chin", "the chin"),
        "neck": _spot((-0.03, -0.18, 0.16), False, "neck", "the neck"),
        "chest": _spot((-0.10, 0.36, 0.24), False, "chest", "the chest"),
        "left_shoulder": _spot((0.42, 0.02, 0.16), False, "shoulder", "the left shoulder"),
        "belly": _spot((-0.08, 0.95, 0.26), False, "belly", "the belly"),
        "neutral": Location((-0.34, 0.50, 0.70), False, "in front of the body", None, _NEUTRAL, _NEUTRAL),
        "beside_head": Location((-0.62, -0.42, 0.45), False, "beside", None, _BESIDE, _BESIDE),
        "base_palm": Location(
            None,
            False,
            "palm of the left hand",
            ("the palm of the left hand",) * 2,
            tuple(f"{p} the palm of the left hand" for p in ("over", "above", "just over")),
            ("",) * 3,
        ),
        "base_top": Location(
            None,
            False,
            "top of the left",
            ("the top of the left hand",) * 2,
            tuple(f"{p} the top of the left hand" for p in ("over", "above", "just over")),
            ("",) * 3,
        ),
    }
)


@dataclass(frozen=True)
class Movement:
    """How the hand moves: path, direction, number of times, and what the hand itself does.

    Attributes:
        path: one of :data:`PATHS`.
        direction: one of :data:`DIRECTIONS` for straight / arc / zigzag, of :data:`CIRCLES` for a
            circle, '' otherwise.
        repeat: how often, 1 to 3.
        local: movement of wrist or fingers during the path, one of :data:`LOCALS`.
    """

    path: str = "still"
    direction: str = ""
    repeat: int = 1
    local: str = "none"

    def __post_init__(self) -> None:
        allowed = {"circle": CIRCLES}.get(self.path, ("",))
        if self.path in STRAIGHT_PATHS:
            allowed = tuple(DIRECTIONS)
        if self.path not in PATHS or self.local not in LOCALS:
            raise ValueError(f"unknown path {self.path!r} or local movement {self.local!r}")
        if self.direction not in allowed:
            raise ValueError(f"path {self.path!r} takes a direction of {allowed}, got {self.direction!r}")
        if self.repeat not in (1, 2, 3):
            raise ValueError(f"a movement is made 1 to 3 times, got {self.repeat}")


@dataclass(frozen=True)
class BaseHand:
    """The left hand of a sign that is made on it: shape and orientation; it stays still."""

    handshape: str
    orientation: tuple[str, str]


@dataclass(frozen=True)
class Sign:
    """One synthetic sign. Every field except the gloss is one parameter.

    Attributes:
        gloss: invented name.
        hands: 'one' (right hand), 'symmetric', 'alternating' (both, the left mirrored or in turns)
            or 'base' (right hand acts on the resting left hand).
        handshape: shape of the acting hand(s) at the start and at the end of the movement.
        location: key of :data:`LOCATIONS`.
        contact: 'near' (no contact), 'tips' or 'palm' (that part of the hand touches the place).
        orientation: where the palm faces and where the fingers point, keys of :data:`DIRECTIONS`.
        movement: path and local movement.
        base: the left hand of a 'base' sign, otherwise ``None``.
        mouth, brows, eyes, head: actions of the face.

    Raises:
        ValueError: a parameter is unknown or the parameters contradict one another.
    """

    gloss: str
    hands: str
    handshape: tuple[str, str]
    location: str
    contact: str
    orientation: tuple[str, str]
    movement: Movement
    base: BaseHand | None = None
    mouth: str = "neutral"
    brows: str = "neutral"
    eyes: str = "neutral"
    head: str = "still"

    def __post_init__(self) -> None:
        for name, allowed in (
            ("hands", HANDS),
            ("location", tuple(LOCATIONS)),
            ("contact", CONTACTS),
            ("mouth", MOUTHS),
            ("brows", BROWS),
            ("eyes", EYES),
            ("head", HEADS),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{self.gloss}: {name} is {getattr(self, name)!r}, not one of {allowed}")
        if (self.hands == "base") != (self.base is not None):
            raise ValueError(f"{self.gloss}: hands='base' and a base hand belong together")
        if (self.hands == "base") != (LOCATIONS[self.location].point is None):
            raise ValueError(f"{self.gloss}: hands='base' and a place on the base hand belong together")
        if self.contact != "near" and LOCATIONS[self.location].touch is None:
            raise ValueError(f"{self.gloss}: {self.location!r} cannot be touched")
        if self.movement.path == "tap" and self.contact == "near":
            raise ValueError(f"{self.gloss}: a tap needs contact 'tips' or 'palm'")
        shapes = list(self.handshape) + ([self.base.handshape] if self.base else [])
        frames = [self.orientation] + ([self.base.orientation] if self.base else [])
        for shape in shapes:
            if shape not in HANDSHAPES:
                raise ValueError(f"{self.gloss}: unknown hand shape {shape!r}")
        for palm, fingers in frames:
            if abs(sum(a * b for a, b in zip(DIRECTIONS[palm], DIRECTIONS[fingers], strict=True))) > 0:
                raise ValueError(f"{self.gloss}: palm {palm!r} and fingers {fingers!r} are not at right angles")


@dataclass(frozen=True)
class HardPair:
    """Two signs that differ in one parameter only."""

    first: str
    second: str
    parameter: str


PARAMETERS = tuple(f.name for f in fields(Sign) if f.name != "gloss")


def differing_parameters(first: Sign, second: Sign) -> tuple[str, ...]:
    """Names of the parameters in which two signs differ."""
    return tuple(p for p in PARAMETERS if getattr(first, p) != getattr(second, p))


def _family(stem: str, hands: str, shape: str, *rest: object, **more: object) -> Sign:
    """The first sign of a family; ``shape`` is 'start' or 'start>end'."""
    start, _, end = shape.partition(">")
    return Sign(f"SYN-{stem}-01", hands, (start, end or start), *rest, **more)


def _variants(first: Sign, *changes: dict[str, object]) -> Iterator[tuple[Sign, HardPair | None]]:
    """The first sign and others that change one parameter of it (or of the variant in 'of')."""
    made = [first]
    yield first, None
    for change in changes:
        origin = made[change.pop("of", 1) - 1]
        values = {p: getattr(origin, p) for p in PARAMETERS} | change
        sign = Sign(gloss=f"{first.gloss[:-2]}{len(made) + 1:02d}", **values)
        made.append(sign)
        yield sign, HardPair(origin.gloss, sign.gloss, next(iter(change)))


def _move(path: str, direction: str = "", repeat: int = 1, local: str = "none") -> Movement:
    return Movement(path, direction, repeat, local)


_PALM_UP_BASE = BaseHand("flat", ("up", "forward"))
_FIST_BASE = BaseHand("fist", ("in", "forward"))

_FAMILIES = (
    _variants(
        _family("BALO", "one", "flat", "temple", "tips", ("in", "up"), _move("straight", "forward")),
        {"location": "chin"},
        {"of": 2, "movement": _move("straight", "down")},
    ),
    _variants(
        _family("KEMI", "one", "index", "cheek", "tips", ("back", "in"), _move("tap", repeat=2)),
        {"handshape": ("little", "little")},
        {"location": "forehead"},
    ),
    _variants(
        _family(
            "DUVA",
            "symmetric",
            "spread",
            "neutral",
            "near",
            ("up", "forward"),
            _move("straight", "up"),
        ),
        {"movement": _move("straight", "down")},
        {"orientation": ("down", "forward")},
        {"hands": "one"},
    ),
    _variants(
        _family(
            "SORI",
            "symmetric",
            "fist",
            "neutral",
            "near",
            ("in", "forward"),
            _move("straight", "up", 2),
        ),
        {"hands": "alternating"},
    ),
    _variants(
        _family(
            "TAMU",
            "base",
            "fist",
            "base_palm",
            "palm",
            ("down", "forward"),
            _move("tap", repeat=2),
            _PALM_UP_BASE,
        ),
        {"handshape": ("flat", "flat")},
        {"movement": _move("circle", "level", 2)},
    ),
    _variants(
        _family(
            "NELI",
            "one",
            "bunch>spread",
            "forehead",
            "near",
            ("forward", "up"),
            _move("straight", "forward"),
        ),
        {"handshape": ("spread", "bunch")},
    ),
    _variants(
        _family(
            "FOPA",
            "one",
            "curved",
            "mouth",
            "near",
            ("in", "up"),
            _move("still", repeat=2, local="twist"),
        ),
        {"mouth": "rounded"},
        {"mouth": "open"},
    ),
    _variants(
        _family(
            "GIRU",
            "one",
            "index",
            "beside_head",
            "near",
            ("forward", "up"),
            _move("shake", repeat=3),
        ),
        {"brows": "raised"},
        {"brows": "furrowed"},
        {"head": "shake"},
    ),
    _variants(
        _family(
            "LOMA",
            "symmetric",
            "horns",
            "chest",
            "near",
            ("back", "up"),
            _move("circle", "upright_in", 2),
        ),
        {"movement": _move("circle", "upright_out", 2)},
    ),
    _variants(
        _family(
            "VESI",
            "one",
            "two",
            "eye",
            "near",
            ("back", "up"),
            _move("straight", "out"),
            eyes="wide",
        ),
        {"orientation": ("forward", "up")},
    ),
    _variants(
        _family(
            "PAKO",
            "one",
            "thumb",
            "chest",
            "tips",
            ("down", "in"),
            _move("straight", "down"),
            mouth="corners_down",
        ),
        {"location": "neck"},
    ),
    _variants(
        _family(
            "RUNE",
            "symmetric",
            "claw",
            "belly",
            "near",
            ("back", "in"),
            _move("straight", "up"),
            mouth="smile",
            brows="raised",
        ),
        {"movement": _move("straight", "up", 3)},
    ),
    _variants(
        _family(
            "HADI",
            "one",
            "hook",
            "nose",
            "tips",
            ("down", "in"),
            _move("tap", repeat=2),
            brows="furrowed",
        ),
        {"movement": _move("still", repeat=2, local="twist")},
    ),
    _variants(
        _family(
            "WENU",
            "symmetric",
            "index",
            "neutral",
            "near",
            ("down", "forward"),
            _move("straight", "out"),
        ),
        {"movement": _move("straight", "in")},
    ),
    _variants(
        _family(
            "JOBE",
            "one",
            "flat",
            "left_shoulder",
            "palm",
            ("back", "in"),
            _move("tap", repeat=2),
            mouth="pressed",
            head="tilt_left",
        ),
        {"eyes": "closed"},
    ),
    _variants(
        _family(
            "MIZO",
            "one",
            "ring",
            "neutral",
            "near",
            ("forward", "up"),
            _move("arc", "out"),
            mouth="smile",
            head="nod",
        ),
        {"handshape": ("ell", "ell")},
    ),
    _variants(
        _family(
            "CARI",
            "symmetric",
            "pair",
            "temple",
            "tips",
            ("in", "up"),
            _move("still", repeat=2, local="nod"),
            eyes="narrowed",
        ),
        {"mouth": "open_close"},
    ),
    _variants(
        _family(
            "OTHU",
            "base",
            "index",
            "base_top",
            "near",
            ("in", "forward"),
            _move("circle", "upright_in", 2),
            _FIST_BASE,
            head="back",
        ),
        {"contact": "tips"},
    ),
    _variants(
        _family("ZELA", "one", "spread", "neutral", "near", ("down", "forward"), _move("zigzag", "down")),
        {"movement": _move("zigzag", "down", local="wiggle")},
    ),
    _variants(
        _family(
            "XIMO",
            "alternating",
            "bent",
            "chest",
            "tips",
            ("back", "up"),
            _move("straight", "up", 2),
            head="turn_left",
        ),
        {"location": "belly"},
    ),
)

_MADE = tuple(item for family in _FAMILIES for item in family)

SIGNS: tuple[Sign, ...] = tuple(sign for sign, _ in _MADE)
"""All synthetic signs; the label of a sign is its place here; a smaller set takes the first."""

HARD_PAIRS: tuple[HardPair, ...] = tuple(pair for _, pair in _MADE if pair is not None)
"""Pairs of signs that differ in exactly one parameter."""


def get_signs(count: int) -> tuple[Sign, ...]:
    """The first ``count`` signs of the lexicon.

    Raises:
        ValueError: the lexicon does not hold that many.
    """
    if not 1 <= count <= len(SIGNS):
        raise ValueError(f"the synthetic lexicon holds {len(SIGNS)} signs, asked for {count}")
    return SIGNS[:count]
