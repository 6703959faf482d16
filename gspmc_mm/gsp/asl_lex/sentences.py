"""Sentence frames: the codes of one unit of a sign in words, as a whole, for a part, or an attribute at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .codes import (
    FINGERS,
    FLEXION,
    HANDSHAPES,
    MOVEMENTS,
    NEIGHBOURHOODS,
    ONE_HANDED,
    OTHER_PLACES,
    OTHER_SHAPE_BASE,
    PLACES,
    REACHED,
    SAME_SHAPE_BASE,
    SYMMETRICAL,
    VIOLATIONS,
    Morpheme,
)

UNUSED_HAND = "The left hand is not used and does not move."


def chain(texts: Sequence[str]) -> str:
    """Texts of the units of a sign one after the other; the same one is not said twice in a row."""
    coded = [text for text in texts if text]
    distinct = [text for i, text in enumerate(coded) if i == 0 or text != coded[i - 1]]
    return " Then: ".join(t if i == 0 else f"{t[0].lower()}{t[1:]}" for i, t in enumerate(distinct))


def sentence(*parts: str) -> str:
    """The parts that there are as one sentence; '' if there are none."""
    text = ", ".join(part for part in parts if part)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _words(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _is_two_handed(unit: Morpheme) -> bool:
    return unit["SignType"] not in ("", ONE_HANDED)


def _both_move(unit: Morpheme) -> bool:
    return unit["SignType"] in (SYMMETRICAL, "SymmetryViolation")


def _shape(code: str, short: bool = False) -> str:
    """Words of a handshape code, '' where none is coded."""
    return HANDSHAPES[code.lower()][int(short)] if code and code not in VIOLATIONS else ""


def _base_shape(unit: Morpheme, short: bool = False) -> str:
    """Words of the shape of the left hand, '' where it is not coded."""
    own = _shape(unit["NonDominantHandshape"], short)
    alike = unit["SignType"] in (SYMMETRICAL, SAME_SHAPE_BASE)
    return own or (_shape(unit["Handshape"], short) if alike else "")


def _fingers(unit: Morpheme) -> str:
    """Which fingers carry the shape, and how: 'index finger hooked'; '' if not coded."""
    if not unit["SelectedFingers"]:
        return ""
    words, single = FINGERS[unit["SelectedFingers"]]
    details = [FLEXION[unit["Flexion"]]] if unit["Flexion"] else []
    if unit["Spread"] and not single:
        details.append("spread" if unit.is_set("Spread") else "together")
    thumb = {"Open": "thumb out", "Closed": "thumb in"}.get(unit["ThumbPosition"], "")
    if unit.is_set("ThumbContact"):
        thumb = "thumb touching"
    return ", ".join(part for part in (_words(words, " and ".join(details)), thumb) if part)


def _change(unit: Morpheme) -> str:
    """What the fingers do during the sign: 'the index finger bends'; '' if they keep their shape."""
    words, single = FINGERS.get(unit["SelectedFingers"], ("fingers", False))
    verbs = []
    if unit.is_set("FlexionChange"):
        closed = unit["Flexion"] == "FullyClosed" or unit.is_set("ThumbContact")
        plural = "open" if closed else "bend"
        verbs.append(f"{plural}s" if single else plural)
    if unit.is_set("SpreadChange"):
        verbs.append("come together" if unit.is_set("Spread") else "fan out")
    return f"the {words} {' and '.join(verbs)}" if verbs else ""


def _motion(unit: Morpheme, both: bool) -> str:
    """What the hand does, as a verb phrase: 'swings in an arc while the wrist twists'; '' if uncoded."""
    path, twist, change = unit["Movement"], unit.is_set("UlnarRotation"), _change(unit)
    aside = [change] if change else []
    if path and path != "None":
        verb = MOVEMENTS[path][int(both)]
        if twist:
            aside.insert(0, "the wrists twist" if both else "the wrist twists")
    elif twist:
        verb = "twist at the wrists" if both else "twists at the wrist"
    elif change:
        verb = "stay in place" if both else "stays in place"
    elif unit.is_set("RepeatedMovement") and unit.is_set("Contact"):
        verb = "tap" if both else "taps"
    elif unit.is_set("RepeatedMovement"):
        verb = "make small motions" if both else "makes small motions"
    elif path:
        verb = "rest" if both else "rests"
    else:
        return ""
    text = f"{verb} while {' and '.join(aside)}" if aside else verb
    return f"{text} again and again" if unit.is_set("RepeatedMovement") else text


def _noun(unit: Morpheme) -> str:
    """The movement in nouns: 'repeated arc with a twist of the wrist'; '' if uncoded."""
    path, twist = unit["Movement"], unit.is_set("UlnarRotation")
    repeated = unit.is_set("RepeatedMovement")
    if path and path != "None":
        noun = MOVEMENTS[path][2]
        noun += " with a twist of the wrist" if twist else ""
    elif twist:
        noun = "twist of the wrist"
    elif _change(unit):
        noun = "finger motion in place"
    elif repeated:
        noun = "tapping" if unit.is_set("Contact") else "small motion"
    elif path:
        noun = "rest"
    else:
        return ""
    return f"repeated {noun}" if repeated else noun


def _place(unit: Morpheme, field: str = "MinorLocation") -> tuple[str, bool]:
    """The place and whether it is in the air; ('', True) where it is not coded."""
    code = unit[field]
    if code == "Other":
        return OTHER_PLACES.get(unit["MajorLocation"], "another place"), False
    return PLACES[code] if code else ("", True)


def _where(unit: Morpheme) -> str:
    """Place, goal and contact: 'touching the chin, then out to the air near the head'."""
    place, away = _place(unit)
    touching = unit.is_set("Contact")
    between = _both_move(unit) and unit["MajorLocation"] in ("Neutral", "")
    if between:
        start = "the hands touching each other" if touching else "the hands apart"
    elif not place:
        start = ""
    elif away:
        start = f"in {place}"
        if touching:
            start += f", touching {REACHED.get(unit['MajorLocation'], 'the body')}"
    else:
        start = f"touching {place}" if touching else f"near {place} without touching"
    second = unit["SecondMinorLocation"]
    if not second or second == unit["MinorLocation"]:
        return start
    goal, out = _place(unit, "SecondMinorLocation")
    return f"{start}, then {'out into' if out else 'on to'} {goal}".removeprefix(", ")


def _hands(unit: Morpheme, short: bool = False) -> str:
    """Which hands, in which shapes: 'still left hand: ..., right hand: ...'."""
    shape = _shape(unit["Handshape"], short) or "uncoded handshape"
    kind = unit["SignType"]
    if kind == SYMMETRICAL:
        return f"{shape}, both hands alike"
    if kind == SAME_SHAPE_BASE:
        return f"{shape}, on a still left hand of the same shape"
    if kind == OTHER_SHAPE_BASE:
        base = _base_shape(unit, short) or "uncoded handshape"
        return f"{shape}, on a still left hand: {base}"
    if kind in VIOLATIONS:
        return f"{shape}, with the left hand"
    return f"{shape}, one hand" if kind == ONE_HANDED else shape


def _clause(unit: Morpheme) -> str:
    """Movement with its subject: 'both hands circle'; '' if it is not coded."""
    both = _both_move(unit)
    motion = _motion(unit, both)
    return f"{'both hands' if both else 'the hand'} {motion}" if motion else ""


def primary_text(unit: Morpheme) -> str:
    """All codes, spelled out in up to four sentences."""
    return _words(
        sentence(_hands(unit)),
        sentence(_fingers(unit)),
        sentence(_clause(unit)),
        sentence(_where(unit)),
    )


def global_text(unit: Morpheme) -> str:
    """One compact sentence: hands, movement, place."""
    motion = _motion(unit, _both_move(unit))
    return sentence(_hands(unit, short=True), motion, _where(unit))


def shape_first(unit: Morpheme) -> str:
    """A wording that begins with the handshape."""
    return _words(sentence(_hands(unit)), sentence(_clause(unit), _where(unit)))


def place_first(unit: Morpheme) -> str:
    """A wording that begins with the place."""
    return _words(
        sentence(_where(unit), _noun(unit)),
        sentence(_change(unit)),
        sentence(_hands(unit, short=True)),
    )


def movement_first(unit: Morpheme) -> str:
    """A wording that begins with the movement."""
    return sentence(_noun(unit), _change(unit), _where(unit), _hands(unit))


def short_text(unit: Morpheme) -> str:
    """A wording in key words."""
    parts = (_hands(unit, short=True), _fingers(unit), _noun(unit), _where(unit))
    text = "; ".join(part for part in parts if part)
    return f"{text[0].upper()}{text[1:]}."


def right_hand(unit: Morpheme) -> str:
    """Shape and movement of the right hand."""
    shape = _shape(unit["Handshape"], short=True) or "uncoded handshape"
    return sentence(shape, _motion(unit, False))


def left_hand(unit: Morpheme) -> str:
    """What the left hand does, or that it is not used; '' where that is not coded."""
    kind = unit["SignType"]
    if not kind:
        return ""
    if kind == ONE_HANDED:
        place, away = _place(unit)
        if unit["MajorLocation"] in ("Arm", "Hand") and not away:
            return f"The left arm is still, {place} is where the right hand acts."
        return UNUSED_HAND
    shape = _base_shape(unit, short=True)
    if _both_move(unit):
        how = "like the right hand" if kind == SYMMETRICAL else "unlike the right hand"
        return sentence(shape or "uncoded handshape", _motion(unit, False), how)
    place, away = _place(unit)
    verb = "touched" if unit.is_set("Contact") else "approached"
    acted = f"{verb} on {place}" if place and not away else f"{verb} by the right hand"
    still = "held still" if kind not in VIOLATIONS else "taking part"
    return sentence(shape or "uncoded handshape", still, acted)


def attributes(unit: Morpheme) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What is coded of a unit, one attribute at a time: (clause, the parts it concerns)."""
    right, left, hands = ("right_hand",), ("left_hand",), ("left_hand", "right_hand")
    two, both = _is_two_handed(unit), _both_move(unit)
    moving = hands if both else right
    if shape := _shape(unit["Handshape"], short=True):
        yield shape, hands if unit["SignType"] in (SYMMETRICAL, SAME_SHAPE_BASE) else right
    if unit["SignType"] not in (SYMMETRICAL, SAME_SHAPE_BASE) and two and (base := _base_shape(unit, short=True)):
        yield base, left
    if unit["SelectedFingers"]:
        words, single = FINGERS[unit["SelectedFingers"]]
        yield f"the {words} {'carries' if single else 'carry'} the shape", right
    if unit["Flexion"]:
        yield f"the fingers are {FLEXION[unit['Flexion']]}", right
    if unit["Movement"]:
        yield f"the hand {MOVEMENTS[unit['Movement']][0]}", moving
    if unit.is_set("UlnarRotation"):
        yield "the wrist twists", moving
    if unit.is_set("RepeatedMovement"):
        yield "the movement is repeated", moving
    if change := _change(unit):
        yield change, moving
    if place := _place(unit)[0]:
        yield f"the hand acts at {place}", ("body", *moving)
    if neighbourhood := NEIGHBOURHOODS.get(unit["MajorLocation"]):
        yield neighbourhood, ("body", *moving)
    if unit.is_set("Contact"):
        yield "there is contact", ("body", *moving)
    if unit["SignType"] == ONE_HANDED:
        yield "the left hand is not used", left
        yield "one hand signs", ("body", *right)
    elif two:
        if not both:
            yield "the left hand is held still", left
        together = "both hands move alike" if unit["SignType"] == SYMMETRICAL else "the hands do different things"
        yield together, ("body", *right)


def body(unit: Morpheme) -> str:
    """Where the sign is made and with which arms; '' where the place is not coded."""
    arms = "both arms" if _is_two_handed(unit) else "right arm"
    where = _where(unit)
    return sentence(where, arms) if where else ""
