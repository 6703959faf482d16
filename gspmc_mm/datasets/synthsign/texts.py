"""English descriptions of SYNTHETIC signs, written from their parameters by templates.

Every text is made from the same :class:`Sign` that the kinematic signer performs, so a text cannot
contradict the motion. The dominant hand is the right hand in all of them; a left-handed signer
performs the mirror image. Each parameter has several wordings: the primary and the global text use
the first, the synonyms the others, in templates that begin with the hand, with the place and
with the movement.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

from gspmc_mm.datasets.synthsign.handshapes import HANDSHAPES
from gspmc_mm.datasets.synthsign.lexicon import LOCATIONS, NOTE, STRAIGHT_PATHS, Sign
from gspmc_mm.descriptions import DescriptionSet, Segment, SignDescription

TEXT_VERSION = "1"

_TIMES = ("", "once", "twice", "three times")

# Where the palm faces; 'in' and 'out' depend on the hands.
_FACING = MappingProxyType(
    {
        "up": ("upwards", "up", "to the sky"),
        "down": ("downwards", "down", "to the ground"),
        "forward": ("forward, away from the signer", "forward", "away from the signer's body"),
        "back": ("the signer", "back to the signer", "the signer's own body"),
    }
)
_FACING_ONE = MappingProxyType({"in": ("left",) * 3, "out": ("right",) * 3})
_FACING_BOTH = MappingProxyType({"in": ("each other",) * 3, "out": ("outwards",) * 3})

# Ways of moving in a direction. Every wording contains the word that tells the direction.
_WAYS = MappingProxyType(
    {
        "forward": ("forward", "forward, away from the body", "straight forward"),
        "back": ("back towards the body", "back to the signer", "back, closer to the body"),
        "up": ("upwards", "up", "straight up"),
        "down": ("downwards", "down", "straight down"),
    }
)
_WAYS_ONE = MappingProxyType(
    {
        "in": ("to the left", "towards the left side", "across to the left"),
        "out": ("to the right", "towards the right side", "off to the right"),
    }
)
_WAYS_BOTH = MappingProxyType(
    {
        "in": (
            "towards each other",
            "together, one towards the other",
            "inwards, towards each other",
        ),
        "out": ("apart", "apart, away from each other", "outwards and apart"),
    }
)
_VERBS = (("moves", "move"), ("goes", "go"), ("travels", "travel"))
_CIRCLES = MappingProxyType(
    {
        "upright_in": "an upright circle, moving inwards at the top",
        "upright_out": "an upright circle, moving outwards at the top",
        "level": "a level circle, as if stirring",
    }
)
_LOCALS_ONE = MappingProxyType(
    {
        "twist": (
            "the forearm twists back and forth",
            "the hand turns to and fro by a twist of the forearm",
        ),
        "nod": ("the hand bends up and down at the wrist", "the wrist bends so that the hand nods"),
        "wiggle": ("the fingers wiggle", "the fingers wiggle one after another"),
    }
)
_LOCALS_BOTH = MappingProxyType(
    {
        "twist": (
            "the forearms twist back and forth",
            "both hands turn to and fro by a twist of the forearms",
        ),
        "nod": (
            "the hands bend up and down at the wrists",
            "the wrists bend so that both hands nod",
        ),
        "wiggle": ("the fingers wiggle", "the fingers wiggle one after another"),
    }
)
_MOUTH = MappingProxyType(
    {
        "open": ("the mouth is wide open", "the mouth opens wide", "with a wide open mouth"),
        "rounded": (
            "the lips are rounded",
            "the lips form a small rounded opening",
            "with rounded lips",
        ),
        "smile": ("the mouth smiles", "the lips stretch into a smile", "with a smiling mouth"),
        "pressed": (
            "the lips are pressed together",
            "the closed lips are pressed",
            "with pressed lips",
        ),
        "corners_down": (
            "the corners of the mouth point down",
            "the mouth corners are pulled down",
            "with the mouth corners down",
        ),
        "open_close": (
            "the mouth opens and closes twice",
            "the mouth twice opens and closes",
            "while the mouth opens and closes twice",
        ),
    }
)
_BROW = MappingProxyType(
    {
        "raised": (
            "the eyebrows are raised",
            "the eyebrows go up and stay raised",
            "with raised eyebrows",
        ),
        "furrowed": (
            "the eyebrows are furrowed",
            "the eyebrows are drawn together and furrowed",
            "with furrowed eyebrows",
        ),
    }
)
_EYE = MappingProxyType(
    {
        "wide": ("the eyes are wide open", "the eyes open wide", "with wide eyes"),
        "narrowed": ("the eyes are narrowed", "the eyelids are narrowed", "with narrowed eyes"),
        "closed": ("the eyes are closed", "the eyes close", "with closed eyes"),
    }
)
_HEAD = MappingProxyType(
    {
        "nod": ("the head nods", "the head nods twice", "with a nod of the head"),
        "shake": (
            "the head shakes from side to side",
            "the head shakes to both sides",
            "with a shake of the head",
        ),
        "tilt_right": (
            "the head tilts to the right",
            "the head leans to the right shoulder",
            "with the head tilted to the right",
        ),
        "tilt_left": (
            "the head tilts to the left",
            "the head leans to the left shoulder",
            "with the head tilted to the left",
        ),
        "back": ("the head tilts back", "the head leans back", "with the head tilted back"),
        "turn_left": (
            "the head turns to the left",
            "the face turns to the left",
            "with the head turned to the left",
        ),
    }
)


def _is_both(sign: Sign) -> bool:
    return sign.hands in ("symmetric", "alternating")


def _sentence(text: str) -> str:
    text = text.strip().rstrip(".")
    return text[0].upper() + text[1:] + "."


def _join(parts: Sequence[str]) -> str:
    """'a', 'a and b', 'a, b and c'."""
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def _with_article(phrase: str) -> str:
    """'a fist', 'an L of thumb and index finger'."""
    return f"{'an' if phrase.startswith('L ') or phrase[0] in 'aeiou' else 'a'} {phrase}"


def shape_phrase(sign: Sign, wording: int) -> str:
    """The hand shape with its article; for a change 'a bunch ..., then a spread hand ...'."""
    start, end = (_with_article(HANDSHAPES[name].phrases[wording]) for name in sign.handshape)
    if start == end:
        return start
    return f"{start}, {('then', 'which becomes', 'turning into')[wording]} {end},"


def palm_phrase(sign: Sign, wording: int) -> str:
    """Where the palm faces: 'palm facing left', 'palms facing each other'."""
    both = _is_both(sign)
    table = _FACING | (_FACING_BOTH if both else _FACING_ONE)
    return f"palm{'s' if both else ''} facing {table[sign.orientation[0]][wording]}"


def pointing_phrase(sign: Sign) -> str:
    """Where the hand points: 'hand pointing up'."""
    both = _is_both(sign)
    ends = {"up": "up", "down": "down", "forward": "forward", "back": "back to the signer"}
    ends |= {"in": "inwards" if both else "to the left", "out": "outwards" if both else "to the right"}
    return f"hand{'s' if both else ''} pointing {ends[sign.orientation[1]]}"


def _contact_part(sign: Sign) -> str:
    """The part of the hand that touches, with article."""
    if sign.contact == "tips":
        return HANDSHAPES[sign.handshape[0]].tip_name
    if sign.handshape[0] == "fist":
        return "the closed fingers"
    return "the palms" if _is_both(sign) else "the palm"


def place_phrase(sign: Sign, wording: int) -> str:
    """Place and contact: 'in front of the chin', 'at the cheek', 'fingertips touching the chin'."""
    location, both = LOCATIONS[sign.location], _is_both(sign)
    if sign.contact == "near":
        return (location.near_both if both else location.near)[wording]
    if sign.movement.path == "tap":  # the movement says what touches
        return f"at {location.touch[both]}"
    part = _contact_part(sign).removeprefix("the ")
    return f"{part} {('touching', 'in contact with', 'placed on')[wording]} {location.touch[both]}"


def movement_phrase(sign: Sign, wording: int) -> str:
    """What the hand does, with the verb: 'moves forward twice', 'taps the chin twice with ...'."""
    movement, both = sign.movement, _is_both(sign)
    number = int(both)
    times = f" {_TIMES[movement.repeat]}" if movement.repeat > 1 else ""
    verb = _VERBS[wording][number]
    ways = _WAYS | (_WAYS_BOTH if both else _WAYS_ONE)
    if movement.path == "straight":
        text = f"{verb} {ways[movement.direction][wording]}{times}"
    elif movement.path in ("arc", "zigzag"):  # the third wording may say 'straight'
        kind = {"arc": "an arc", "zigzag": "a zigzag"}[movement.path]
        text = f"{verb} in {kind} {ways[movement.direction][min(wording, 1)]}{times}"
    elif movement.path == "circle":
        make = (("makes", "make"), ("draws", "draw"), ("describes", "describe"))[wording][number]
        text = f"{make} {_CIRCLES[movement.direction]},{times or ' once'}"
    elif movement.path == "shake":
        shake = (("shakes", "shake"), ("sways", "sway"), ("waves", "wave"))[wording][number]
        text = f"{shake} from side to side{times}"
    elif movement.path == "tap":
        tap = (("taps", "tap"), ("taps on", "tap on"), ("touches", "touch"))[wording][number]
        surface = LOCATIONS[sign.location].touch[both]
        text = f"{tap} {surface}{times} with {_contact_part(sign)}"
    else:
        be = (("stays", "stay"), ("remains", "remain"), ("is kept", "are kept"))[wording][number]
        text = f"{be} in place"
    if movement.local != "none":
        local = (_LOCALS_BOTH if both else _LOCALS_ONE)[movement.local][min(wording, 1)]
        text += f" while {local}{times if movement.path == 'still' else ''}"
    if sign.hands == "alternating":
        text += ", in alternation"
    elif sign.hands == "symmetric":
        text += ("", ",")[bool(times)] + " at the same time"
    return text


def face_phrases(sign: Sign, wording: int) -> tuple[str, str]:
    """Clauses for the mouth and for the rest of the face; '' where it is neutral."""
    mouth = _MOUTH[sign.mouth][wording] if sign.mouth != "neutral" else ""
    rest = [
        table[action][wording]
        for table, action in ((_BROW, sign.brows), (_EYE, sign.eyes), (_HEAD, sign.head))
        if action in table
    ]
    return mouth, _join(rest) if rest else ""


def _subject(sign: Sign) -> str:
    return "both hands" if _is_both(sign) else "the right hand"


def _form(sign: Sign) -> str:
    return "both hands each form" if _is_both(sign) else "the right hand forms"


def _base_phrase(sign: Sign, wording: int) -> str:
    """The left hand of a sign made on it, as a clause; '' for other signs."""
    if sign.base is None:
        return ""
    # The base is the left hand, so sides are those of the left hand.
    table = _FACING | {"in": _FACING_ONE["out"], "out": _FACING_ONE["in"]}
    facing = table[sign.base.orientation[0]][wording]
    shape = _with_article(HANDSHAPES[sign.base.handshape].phrases[wording])
    verb = ("is held still as", "rests as", "waits as")[wording]
    return f"the left hand {verb} {shape}, palm facing {facing}"


def _with_others(text: str, sign: Sign, wording: int) -> str:
    """The text, then the base hand, the mouth and the face, as one sentence."""
    others = [_base_phrase(sign, wording), *face_phrases(sign, wording)]
    return _sentence("; ".join([text, *[o for o in others if o]])).replace(",,", ",")


def primary_text(sign: Sign) -> str:
    """The long description, one sentence for each aspect."""
    both = _is_both(sign)
    count = {
        "one": "A one-handed sign: the left hand does not take part",
        "symmetric": "A two-handed sign: both hands do the same as mirror images",
        "alternating": "A two-handed sign: both hands do the same in turns",
        "base": "A two-handed sign: the right hand acts on the left hand, which does not move",
    }[sign.hands]
    if sign.contact == "near":
        where = f"the place is {place_phrase(sign, 0)}"
    else:
        part = _contact_part(sign)
        touch = "touches" if part in ("the palm", "the knuckles") or " tip " in part else "touch"
        touch = "touch" if part == "the knuckles" else touch
        first = " first" if sign.movement.path in STRAIGHT_PATHS else ""
        where = f"{part}{first} {touch} {LOCATIONS[sign.location].touch[both]}"
    sentences = [
        count,
        f"{_form(sign)} {shape_phrase(sign, 0)}, {palm_phrase(sign, 0)}, {pointing_phrase(sign)}",
        _base_phrase(sign, 0),
        where,
        f"{_subject(sign)} {movement_phrase(sign, 0)}",
        *face_phrases(sign, 0),
    ]
    return " ".join(_sentence(s) for s in sentences if s).replace(",,", ",")


def global_text(sign: Sign) -> str:
    """The concise description of the whole sign."""
    leaves = sign.contact != "near" and sign.movement.path in STRAIGHT_PATHS
    text = (
        f"{_form(sign)} {shape_phrase(sign, 0)}, {palm_phrase(sign, 0)}, {place_phrase(sign, 0)}, "
        f"and {'then ' if leaves else ''}{movement_phrase(sign, 0)}"
    )
    return _with_others(text, sign, 0)


def synonym_texts(sign: Sign) -> tuple[str, ...]:
    """Four paraphrases; all keep hands, shape, place, contact, direction, mouth and face."""
    it = "they" if _is_both(sign) else "it"
    lead = {
        "one": "with one hand only, the right hand",
        "symmetric": "with both hands, mirroring each other",
        "alternating": "with both hands in turns",
        "base": "with the right hand acting on the left hand",
    }[sign.hands]
    free = sign.contact == "near" or sign.movement.path == "tap"
    place = place_phrase(sign, 1)
    by_place = (
        f"{'' if free else 'with the '}{place}, {_form(sign)} {shape_phrase(sign, 1)}, "
        f"{palm_phrase(sign, 1)}; {it} {movement_phrase(sign, 1)}"
    )
    by_hands = (
        f"signed {lead}: {shape_phrase(sign, 2)}, {palm_phrase(sign, 2)}, "
        f"{place_phrase(sign, 2)}; {_subject(sign)} {movement_phrase(sign, 2)}"
    )
    by_movement = (
        f"{_subject(sign)} {movement_phrase(sign, 1)}; this is done with {shape_phrase(sign, 2)}, "
        f"{palm_phrase(sign, 1)}, {place_phrase(sign, 0)}"
    )
    by_shape = (
        f"{shape_phrase(sign, 1)}, made by {_subject(sign)}, {palm_phrase(sign, 2)}, "
        f"{pointing_phrase(sign)}, {place_phrase(sign, 2)}; {it} {movement_phrase(sign, 0)}"
    )
    pairs = ((by_place, 1), (by_hands, 2), (by_movement, 1), (by_shape, 0))
    return tuple(_with_others(text, sign, wording) for text, wording in pairs)


def _one_hand_of_two(sign: Sign, side: str) -> str:
    """Shape, palm and place of one of two hands that do the same, for a segment."""
    other = {"left": "right", "right": "left"}[side]
    facing = (_FACING | {"in": (other,) * 3, "out": (side,) * 3})[sign.orientation[0]][0]
    location = LOCATIONS[sign.location]
    if sign.contact == "near":
        place = location.near[0]
    else:
        part = _contact_part(sign).removeprefix("the ").replace("palms", "palm")
        place = f"{part} touching {location.touch[0]}"
    if side == "left":
        place = place.replace("the right ", "the left ")
    return f"the {side} hand forms {shape_phrase(sign, 0)}, palm facing {facing}, {place}"


def segment_texts(sign: Sign) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """(text, parts) of every segment; parts are body, left_hand, right_hand, mouth and face.

    A face without an action gets no segment; a mouth without one is said to be relaxed; the left
    hand and arm of a one-handed sign are said to rest, in the same words for all such signs.
    """
    both = _is_both(sign)
    location = LOCATIONS[sign.location]
    if location.point is None:
        goal = "held out in front of the body, over the other hand"
    elif sign.location == "neutral":
        goal = "held out in front of the body"
    elif location.touch is None:
        goal = f"raised {location.near[0]}"
    else:
        goal = f"raised to {location.touch[both]}"
    made: list[tuple[str, tuple[str, ...]]] = []
    if both:
        made.append((f"both arms are {goal}; the torso stays upright", ("body",)))
        made.append((_one_hand_of_two(sign, "left"), ("left_hand",)))
        made.append((_one_hand_of_two(sign, "right"), ("right_hand",)))
        made.append((f"both hands {movement_phrase(sign, 0)}", ("left_hand", "right_hand")))
    else:
        left_arm = "is held out to carry the other hand" if sign.base else "is at rest"
        made.append((f"the right arm is {goal}; the left arm {left_arm}", ("body",)))
        hand = f"{_form(sign)} {shape_phrase(sign, 0)}, {palm_phrase(sign, 0)}"
        made.append((f"{hand}, {place_phrase(sign, 0)}", ("right_hand",)))
        made.append((f"the right hand {movement_phrase(sign, 0)}", ("right_hand", "body")))
        left = _base_phrase(sign, 0) or "the left hand is at rest and does not take part"
        made.append((left, ("left_hand",)))
    mouth, face = face_phrases(sign, 0)
    made.append((mouth or "the mouth is closed and relaxed", ("mouth",)))
    if face:
        made.append((face, ("face",)))
    if mouth and face:
        made.append((_join(face_phrases(sign, 1)), ("mouth", "face")))
    return tuple((_sentence(text).replace(",,", ","), parts) for text, parts in made)


def describe(sign: Sign, label: int) -> SignDescription:
    """All texts of one sign as a validated description."""
    return SignDescription.model_validate(
        {
            "label": label,
            "gloss": sign.gloss,
            "primary": primary_text(sign),
            "global": global_text(sign),
            "synonyms": list(synonym_texts(sign)),
            "segments": [Segment(text=t, parts=list(p)) for t, p in segment_texts(sign)],
            "evidence": [],
            "unresolved": [],
        }
    )


def describe_all(signs: Sequence[Sign]) -> DescriptionSet:
    """The description set of a lexicon; the place of a sign is its label."""
    return DescriptionSet(
        name="synthsign",
        language="en",
        generator=f"synthsign templates {TEXT_VERSION}: {NOTE}",
        signs=[describe(sign, label) for label, sign in enumerate(signs)],
    )
