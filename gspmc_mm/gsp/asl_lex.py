"""A description set from the expert codings of ASL-LEX 2.0, by written English templates.

ASL-LEX (Sehyr et al. 2021, CC BY-NC 4.0) codes how each of 2,723 ASL signs is made: handshape,
selected fingers, flexion, location, movement, contact and more. Here each code has its words, and a
few sentence frames put the words of a sign together: no language model, nothing that the codes do
not say. In a sign the dominant hand is written as the right hand and the other as the left hand.

The texts tell apart what the codes tell apart. What the frames have in common is kept short, and the
words that differ come first, since sentence vectors of long frames with few differing words lie very
close together.
"""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gspmc_mm.descriptions import DescriptionSet, Evidence, Segment, SignDescription

DATA_FILE = "signdata-2020-10-28.csv"
LICENCE = "ASL-LEX 2.0, CC BY-NC 4.0 (not for commercial use)"
UNUSED_HAND = "The left hand is not used and does not move."

# Columns of one sequential unit ("morpheme"); in the file 'Handshape.2.0', 'HandshapeM2.2.0', ...
FIELDS = (
    "Handshape",
    "SelectedFingers",
    "Flexion",
    "FlexionChange",
    "Spread",
    "SpreadChange",
    "ThumbPosition",
    "ThumbContact",
    "SignType",
    "Movement",
    "RepeatedMovement",
    "MajorLocation",
    "MinorLocation",
    "SecondMinorLocation",
    "Contact",
    "NonDominantHandshape",
    "UlnarRotation",
)
MAX_MORPHEMES = 6
_UNCODED = ("", "NA", "NaN", "nan")

# Handshape code: (what it looks like, the same in few words).
HANDSHAPES: Mapping[str, tuple[str, str]] = {
    "1": ("index finger pointing straight, other fingers in a fist", "a pointing index finger"),
    "3": ("thumb, index and middle fingers stretched and spread", "thumb and two fingers spread"),
    "4": ("four fingers stretched and spread, thumb folded in", "four spread fingers"),
    "5": ("all five fingers stretched and spread wide", "a wide open hand"),
    "7": ("thumb tip on the ring finger, other fingers stretched", "thumb and ring finger touching"),
    "8": ("thumb tip pressed to the middle finger, other fingers stretched", "a middle-finger pinch"),
    "a": ("closed fist with the thumb along its side or up", "a fist with the thumb out"),
    "b": ("flat upright hand, fingers together", "a flat palm"),
    "baby_o": ("index fingertip and thumb tip pinched, other fingers in a fist", "a small pinch"),
    "bent_1": ("index finger hooked, other fingers in a fist", "a hooked index finger"),
    "bent_l": ("index finger hooked and thumb out to the side", "an L with a hooked index finger"),
    "bent_v": ("index and middle fingers hooked like claws", "two hooked fingers"),
    "c": ("fingers and thumb curved like the letter C, as if holding a cup", "a cupped C hand"),
    "closed_b": ("flat hand, fingers together, thumb across the palm", "a flat hand with the thumb in"),
    "closed_e": ("fingertips folded down tightly on the thumb", "a tight E hand"),
    "curved_1": ("index finger gently curved, other fingers in a fist", "a curved index finger"),
    "curved_4": ("four spread fingers curved, thumb folded in", "four curved fingers"),
    "curved_5": ("all five fingers spread and curved like a claw", "a clawed hand"),
    "curved_h": ("index and middle fingers together and curved", "two curved joined fingers"),
    "curved_l": ("index finger and thumb curved towards each other like a C", "a curved L"),
    "curved_v": ("index and middle fingers spread and curved", "two curved spread fingers"),
    "d": ("index finger up, the other fingertips rounded onto the thumb", "a D with the index finger up"),
    "e": ("all fingertips curled down to the thumb", "a curled E hand"),
    "f": ("index fingertip and thumb tip in a ring, other three fingers spread", "a ring of finger "
          "and thumb"),
    "flat_1": ("index finger bent forward at its base, other fingers closed", "an index finger bent "
               "at the knuckle"),
    "flat_4": ("four spread fingers bent forward at the knuckles", "four fingers bent forward"),
    "flat_b": ("four joined fingers bent at the knuckles to a right angle", "a bent flat hand"),
    "flat_h": ("index and middle fingers joined, bent at the knuckles, over the thumb", "two joined "
               "fingers bent flat"),
    "flat_horns": ("index and little fingers bent at the knuckles", "flat horns"),
    "flat_ily": ("thumb, index and little fingers out, bent at the knuckles", "a flat I-L-Y hand"),
    "flat_m": ("three joined fingers bent over the thumb", "a flat M hand"),
    "flat_n": ("two joined fingers bent flat over the thumb", "a flat N hand"),
    "flat_o": ("all joined fingertips resting on the thumb tip, fingers flat", "a squeezed flat O"),
    "flat_v": ("index and middle fingers spread, bent at the knuckles", "a V bent at the knuckles"),
    "flatspread_5": ("five spread fingers bent forward at the knuckles", "a spread bent hand"),
    "g": ("index finger and thumb parallel, pointing ahead like a beak", "a beak of index and thumb"),
    "goody_goody": ("index finger and thumb crossed, other fingers folded", "crossed index and thumb"),
    "h": ("index and middle fingers stretched side by side, others folded", "two joined fingers"),
    "horns": ("index and little fingers up, middle fingers folded", "horns"),
    "i": ("little finger stretched alone, other fingers in a fist", "a raised little finger"),
    "ily": ("thumb, index and little fingers stretched", "thumb, index and little finger out"),
    "k": ("index and middle fingers up, thumb between them", "a K of two fingers and thumb"),
    "l": ("index finger and thumb stretched at a right angle like the letter L", "an L of index finger "
          "and thumb"),
    "lax": ("relaxed loose hand", "a loose hand"),
    "n": ("index and middle fingers folded over the thumb", "an N fist"),
    "o": ("all fingertips and thumb meeting in a round O", "a round O hand"),
    "open_8": ("spread hand with the middle finger bent forward", "a bent middle finger"),
    "open_b": ("flat open hand, fingers together, thumb out", "a flat open hand"),
    "open_e": ("fingers curled like an E but away from the palm", "a loose E hand"),
    "open_f": ("index finger and thumb almost in a ring, other fingers spread", "an open F ring"),
    "open_h": ("thumb, index and middle fingers stretched, the two fingers joined", "two joined "
               "fingers and thumb"),
    "p": ("middle finger lowered beside the stretched index finger, thumb between", "a P with the "
          "middle finger down"),
    "r": ("index and middle fingers crossed", "crossed fingers"),
    "s": ("tight fist, thumb across the fingers", "a tight fist"),
    "spread_e": ("fingers spread and curled down to the palm", "a spread E hand"),
    "spread_open_e": ("spread fingers hooked like a claw", "hooked spread fingers"),
    "stacked_5": ("spread fingers fanned, each bent more than the next", "fanned fingers"),
    "t": ("thumb tucked between index and middle fingers of a fist", "a T fist"),
    "v": ("index and middle fingers stretched and spread in a V", "a V of two fingers"),
    "w": ("index, middle and ring fingers stretched and spread", "three spread fingers"),
    "y": ("thumb and little finger stretched out, middle fingers folded", "a Y of thumb and little finger"),
}  # fmt: skip

# Selected fingers, in the plural or singular: (words, is singular).
FINGERS: Mapping[str, tuple[str, bool]] = {
    "imrp": ("four fingers", False),
    "imr": ("index, middle and ring fingers", False),
    "imp": ("index, middle and little fingers", False),
    "mrp": ("middle, ring and little fingers", False),
    "im": ("index and middle fingers", False),
    "ip": ("index and little fingers", False),
    "mr": ("middle and ring fingers", False),
    "i": ("index finger", True),
    "m": ("middle finger", True),
    "r": ("ring finger", True),
    "p": ("little finger", True),
    "t": ("thumb", True),
}

FLEXION: Mapping[str, str] = {
    "FullyOpen": "straight",
    "Curved": "rounded",
    "Flat": "bent at the knuckles",
    "Bent": "hooked",
    "FullyClosed": "folded shut",
    "Stacked": "at different heights",
    "Crossed": "crossed",
}

# Path movement: (verb for one hand, verb for two hands, noun).
MOVEMENTS: Mapping[str, tuple[str, str, str]] = {
    "Straight": ("moves in a straight line", "move in straight lines", "straight path"),
    "Curved": ("swings in an arc", "swing in arcs", "arc"),
    "Circular": ("circles", "circle", "circle"),
    "Z-shaped": ("zigzags", "zigzag", "zigzag"),
    "X-shaped": ("draws an X", "draw an X", "X shape"),
    "BackAndForth": ("goes to and fro", "go to and fro", "to-and-fro path"),
    "Other": ("follows a path of its own", "follow a path of their own", "irregular path"),
    "None": ("stays in place", "stay in place", "no path"),
}

# Place by minor location: (place, is it in the air near the place rather than on it).
PLACES: Mapping[str, tuple[str, bool]] = {
    "Neutral": ("the space in front of the chest", True),
    "HeadAway": ("the air near the head", True),
    "HeadTop": ("the top of the head", False),
    "Forehead": ("the forehead", False),
    "Eye": ("the eye", False),
    "CheekNose": ("the cheek or nose", False),
    "UpperLip": ("the upper lip", False),
    "Mouth": ("the mouth", False),
    "Chin": ("the chin", False),
    "UnderChin": ("the throat under the chin", False),
    "Neck": ("the neck", False),
    "BodyAway": ("the air in front of the trunk", True),
    "Shoulder": ("the shoulder", False),
    "Clavicle": ("the collarbone", False),
    "TorsoTop": ("the upper chest", False),
    "TorsoMid": ("the belly", False),
    "TorsoBottom": ("the lower belly", False),
    "Waist": ("the waist", False),
    "Hips": ("the hip", False),
    "ArmAway": ("the air near the left arm", True),
    "UpperArm": ("the left upper arm", False),
    "ElbowBack": ("the left elbow", False),
    "ElbowFront": ("the crook of the left elbow", False),
    "ForearmBack": ("the back of the left forearm", False),
    "ForearmFront": ("the inner left forearm", False),
    "ForearmUlnar": ("the little-finger edge of the left forearm", False),
    "ForearmRadial": ("the thumb edge of the left forearm", False),
    "WristBack": ("the back of the left wrist", False),
    "WristFront": ("the pulse side of the left wrist", False),
    "HandAway": ("the air near the left hand", True),
    "Palm": ("the left palm", False),
    "PalmBack": ("the back of the left hand", False),
    "Heel": ("the heel of the left hand", False),
    "FingerFront": ("the inside of the left fingers", False),
    "FingerBack": ("the back of the left fingers", False),
    "FingerRadial": ("the index-finger edge of the left hand", False),
    "FingerUlnar": ("the little-finger edge of the left hand", False),
    "FingerTip": ("the left fingertips", False),
    "Away": ("the air further away", True),
    "OtherAway": ("the air near the body", True),
}
_OTHER_PLACES = {
    "Head": "the side of the head or face",
    "Body": "another place of the body",
    "Hand": "another place of the left hand",
    "Arm": "another place of the left arm",
}

# What a hand in the air near a place reaches when the sign is coded with contact.
_REACHED = {"Head": "the head", "Body": "the trunk", "Hand": "the left hand", "Arm": "the left arm"}

# The neighbourhood of a place, by major location.
_NEIGHBOURHOODS = {
    "Head": "the sign is made at the head",
    "Body": "the sign is made at the trunk",
    "Hand": "the sign is made at the other hand",
    "Arm": "the sign is made at the other arm",
    "Neutral": "the sign is made in the space in front of the signer",
}

# What a segment is: a text for every part, or a sentence for every coded attribute.
SEGMENTS = ("parts", "attributes")

ONE_HANDED = "OneHanded"
SYMMETRICAL = "SymmetricalOrAlternating"
SAME_SHAPE_BASE = "AsymmetricalSameHandshape"
OTHER_SHAPE_BASE = "AsymmetricalDifferentHandshape"
VIOLATIONS = ("DominanceViolation", "SymmetryViolation")


class AslLexError(ValueError):
    """ASL-LEX is not as it is said to be, or has no sign for a gloss."""


@dataclass(frozen=True)
class Morpheme:
    """The codings of one sequential unit of a sign; an uncoded field is ''."""

    codes: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        return self.codes[name]

    def is_set(self, name: str) -> bool:
        """Whether a yes/no field is coded yes."""
        return self.codes[name] == "1"

    @property
    def quote(self) -> str:
        """The coded fields as the file has them, without the version suffix."""
        return "; ".join(f"{name}={value}" for name, value in self.codes.items() if value)


@dataclass(frozen=True)
class Entry:
    """One sign of ASL-LEX: its id, its translations, how often it is used, and its codings."""

    entry_id: str
    dominant_translation: str
    translations: tuple[str, ...]
    frequency: float
    morphemes: tuple[Morpheme, ...]


@dataclass(frozen=True)
class AslLex:
    """The entries in the order of the file, and the hash of the file."""

    entries: tuple[Entry, ...]
    sha256: str


@dataclass(frozen=True)
class Match:
    """The entry taken for a gloss and what a human should know about the choice."""

    entry: Entry
    notes: tuple[str, ...]


def read_asl_lex(source: str | os.PathLike[str]) -> AslLex:
    """Read the codings.

    Args:
        source: the folder with `signdata-2020-10-28.csv`, or that file.

    Raises:
        FileNotFoundError: there is no such file.
        AslLexError: a column is missing, or a code is unknown (names entry, field and value).
    """
    path = Path(source)
    if path.is_dir():
        path = path / DATA_FILE
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; --source names the folder with {DATA_FILE} of ASL-LEX 2.0")
    content = path.read_bytes()
    try:
        lines = content.decode("utf-8-sig").splitlines(keepends=True)
    except UnicodeDecodeError as error:
        raise AslLexError(f"{path}: expected UTF-8 text: {error}") from None
    reader = csv.DictReader(lines)
    wanted = [
        "EntryID",
        "DominantTranslation",
        "SignBankEnglishTranslations",
        "SignFrequency(M)",
        *(_column(name, 1) for name in FIELDS),
    ]
    missing = [name for name in wanted if name not in (reader.fieldnames or ())]
    if missing:
        raise AslLexError(f"{path}: columns {', '.join(missing)} are missing")
    entries = tuple(_entry(row, path) for row in reader)
    if not entries:
        raise AslLexError(f"{path}: no sign follows the line of column names")
    return AslLex(entries, hashlib.sha256(content).hexdigest())


def _column(name: str, morpheme: int) -> str:
    return f"{name}.2.0" if morpheme == 1 else f"{name}M{morpheme}.2.0"


def _entry(row: Mapping[str, str | None], path: Path) -> Entry:
    name = (row["EntryID"] or "").strip()
    morphemes = []
    for number in range(1, MAX_MORPHEMES + 1):
        codes = {field: _code(row.get(_column(field, number))) for field in FIELDS}
        if number > 1 and not any(codes.values()):
            break
        _check_codes(codes, f"{path}: entry {name!r}, unit {number}")
        morphemes.append(Morpheme(codes))
    frequency = _code(row["SignFrequency(M)"])
    words = (row["SignBankEnglishTranslations"] or "").split(",")
    return Entry(
        entry_id=name,
        dominant_translation=_key(row["DominantTranslation"] or ""),
        translations=tuple(_key(word) for word in words if word.strip()),
        frequency=float(frequency) if frequency else 0.0,
        morphemes=tuple(morphemes),
    )


def _code(value: str | None) -> str:
    value = (value or "").strip()
    return "" if value in _UNCODED else value


def _check_codes(codes: Mapping[str, str], where: str) -> None:
    known = {
        "Handshape": HANDSHAPES,
        "SelectedFingers": FINGERS,
        "Flexion": FLEXION,
        "Movement": MOVEMENTS,
        "MinorLocation": {*PLACES, "Other"},
        "SecondMinorLocation": {*PLACES, "Other"},
        "SignType": {ONE_HANDED, SYMMETRICAL, SAME_SHAPE_BASE, OTHER_SHAPE_BASE, *VIOLATIONS},
    }
    for field, values in known.items():
        if codes[field] and codes[field] not in values:
            raise AslLexError(
                f"{where}, field {field}: {codes[field]!r} is not a code known here; "
                f"expected one of {', '.join(sorted(values))}"
            )
    other = codes["NonDominantHandshape"]
    if other and other not in VIOLATIONS and other.lower() not in HANDSHAPES:
        raise AslLexError(f"{where}, field NonDominantHandshape: {other!r} is not a code known here")


def _key(text: str) -> str:
    return "_".join(text.strip().lower().replace("-", " ").replace("_", " ").split())


def match_gloss(gloss: str, lexicon: AslLex) -> Match | None:
    """The entry for a gloss, or None.

    First the entry of that id; then its numbered variants (`deaf_1`, `deaf_2`), of which the one
    that deaf signers rated most frequent is taken; then entries that SignBank translates by the
    gloss: before all those whose dominant translation it is, then those whose id begins with it,
    then by frequency. Every choice among several, and every match by translation, leaves a note.
    """
    key = _key(gloss)
    exact = [e for e in lexicon.entries if _key(e.entry_id) == key]
    if exact:
        return Match(exact[0], ())
    variants = [e for e in lexicon.entries if _is_variant(_key(e.entry_id), key)]
    if variants:
        chosen = max(variants, key=lambda e: e.frequency)
        others = [e.entry_id for e in variants if e is not chosen]
        if not others:
            return Match(chosen, ())
        note = f"ASL-LEX also has {_list(others)}; the variant rated most frequent was taken"
        return Match(chosen, (note,))
    translated = [e for e in lexicon.entries if key in e.translations]
    if not translated:
        return None
    ranked = sorted(
        translated,
        key=lambda e: (
            e.dominant_translation != key,
            not _key(e.entry_id).startswith(key),
            -e.frequency,
        ),
    )
    note = f"no entry of this name: {ranked[0].entry_id!r} was found through its translations"
    if len(ranked) > 1:
        note += f" (others: {_list([e.entry_id for e in ranked[1:]])})"
    return Match(ranked[0], (note,))


def _is_variant(entry: str, key: str) -> bool:
    stem, _, number = entry.rpartition("_")
    return stem == key and number.isdigit()


def _list(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)


def build_descriptions(
    glosses: Sequence[str],
    lexicon: AslLex,
    name: str = "signs described from ASL-LEX codings",
    allow_missing: bool = False,
    segments: str = "parts",
) -> DescriptionSet:
    """Describe signs.

    Args:
        glosses: gloss by label.
        lexicon: the codings.
        name: what the set is called.
        allow_missing: give a sign that ASL-LEX does not have its gloss as its only text.
        segments: see `describe_sign`.

    Raises:
        AslLexError: glosses are missing or occur twice, or (unless `allow_missing`) have no entry.
        ValueError: `segments` is none of SEGMENTS.
    """
    if segments not in SEGMENTS:
        raise ValueError(f"segments={segments!r} is none of {SEGMENTS}")
    if not glosses:
        raise AslLexError("there are no glosses to describe")
    twice = sorted({gloss for gloss in glosses if list(glosses).count(gloss) > 1})
    if twice:
        raise AslLexError(f"glosses occur twice: {_list(twice)}")
    matches = [match_gloss(gloss, lexicon) for gloss in glosses]
    unknown = [gloss for gloss, match in zip(glosses, matches, strict=True) if match is None]
    if unknown and not allow_missing:
        raise AslLexError(
            f"ASL-LEX has no sign for {len(unknown)} of {len(glosses)} glosses: {_list(unknown)}; "
            "expected an EntryID or an English translation of SignBank (or allow missing signs)"
        )
    signs = []
    for label, (gloss, match) in enumerate(zip(glosses, matches, strict=True)):
        if match is None:
            signs.append(
                SignDescription(
                    label=label,
                    gloss=gloss,
                    primary=gloss,
                    unresolved=("ASL-LEX has no sign of this name or translation",),
                )
            )
        else:
            signs.append(describe_sign(label, gloss, match, segments))
    return DescriptionSet(
        name=name,
        language="en",
        generator=f"gspmc_mm.gsp.asl_lex, templates over expert codings; {LICENCE}",
        corpus_hash=lexicon.sha256,
        signs=tuple(signs),
    )


def describe_sign(label: int, gloss: str, match: Match, segments: str = "parts") -> SignDescription:
    """The texts of one sign from its codings.

    `primary` spells out all codes, `global` is one compact sentence, the four synonyms say the same
    in other words and another order. The segments are one text for each hand and one for the place on
    the body ("parts"), or a sentence for each coded attribute with all the parts that it concerns
    ("attributes"): handshape, fingers, path, repetition, place, contact... Many signs share such a
    sentence; with `positives="text"` in the head their clips are positives of the same text.
    """
    units = match.entry.morphemes
    primary = _chain([_primary(unit) for unit in units])
    wordings = [
        _chain([frame(unit) for unit in units]) for frame in (_shape_first, _place_first, _movement_first, _short)
    ]
    # two frames may come out alike where little is coded
    synonyms = tuple(text for text in dict.fromkeys(wordings) if text != primary)
    texts: dict[str, set[str]] = {}  # the parts of each
    if segments == "attributes":
        for text, parts in (attribute for unit in units for attribute in _attributes(unit)):
            texts.setdefault(_sentence(text), set()).update(parts)
    else:
        of_part = {"right_hand": _right_hand, "left_hand": _left_hand, "body": _body}
        for part, frame in of_part.items():
            if text := _chain([frame(unit) for unit in units]):
                texts.setdefault(text, set()).add(part)
    evidence = tuple(
        Evidence(
            entry=match.entry.entry_id if number == 1 else f"{match.entry.entry_id} (M{number})",
            quote=unit.quote,
        )
        for number, unit in enumerate(units, start=1)
        if unit.quote
    )
    notes = list(match.notes)
    for number, unit in enumerate(units, start=1):
        uncoded = [f for f in ("Handshape", "SignType", "Movement", "MinorLocation") if not unit[f]]
        if uncoded:
            notes.append(f"unit {number}: {', '.join(uncoded)} not coded")
    return SignDescription(
        label=label,
        gloss=gloss,
        primary=primary,
        global_=_chain([_global(unit) for unit in units]),
        synonyms=synonyms,
        segments=tuple(Segment(text=text, parts=tuple(sorted(parts))) for text, parts in texts.items()),
        evidence=evidence,
        unresolved=tuple(notes),
    )


def _chain(texts: Sequence[str]) -> str:
    """Texts of the units of a sign one after the other; the same one is not said twice in a row."""
    coded = [text for text in texts if text]
    distinct = [text for i, text in enumerate(coded) if i == 0 or text != coded[i - 1]]
    return " Then: ".join(t if i == 0 else f"{t[0].lower()}{t[1:]}" for i, t in enumerate(distinct))


def _sentence(*parts: str) -> str:
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
        return _OTHER_PLACES.get(unit["MajorLocation"], "another place"), False
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
            start += f", touching {_REACHED.get(unit['MajorLocation'], 'the body')}"
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


def _primary(unit: Morpheme) -> str:
    return _words(
        _sentence(_hands(unit)),
        _sentence(_fingers(unit)),
        _sentence(_clause(unit)),
        _sentence(_where(unit)),
    )


def _global(unit: Morpheme) -> str:
    motion = _motion(unit, _both_move(unit))
    return _sentence(_hands(unit, short=True), motion, _where(unit))


def _shape_first(unit: Morpheme) -> str:
    return _words(_sentence(_hands(unit)), _sentence(_clause(unit), _where(unit)))


def _place_first(unit: Morpheme) -> str:
    return _words(
        _sentence(_where(unit), _noun(unit)),
        _sentence(_change(unit)),
        _sentence(_hands(unit, short=True)),
    )


def _movement_first(unit: Morpheme) -> str:
    return _sentence(_noun(unit), _change(unit), _where(unit), _hands(unit))


def _short(unit: Morpheme) -> str:
    parts = (_hands(unit, short=True), _fingers(unit), _noun(unit), _where(unit))
    text = "; ".join(part for part in parts if part)
    return f"{text[0].upper()}{text[1:]}."


def _right_hand(unit: Morpheme) -> str:
    shape = _shape(unit["Handshape"], short=True) or "uncoded handshape"
    return _sentence(shape, _motion(unit, False))


def _left_hand(unit: Morpheme) -> str:
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
        return _sentence(shape or "uncoded handshape", _motion(unit, False), how)
    place, away = _place(unit)
    verb = "touched" if unit.is_set("Contact") else "approached"
    acted = f"{verb} on {place}" if place and not away else f"{verb} by the right hand"
    still = "held still" if kind not in VIOLATIONS else "taking part"
    return _sentence(shape or "uncoded handshape", still, acted)


def _attributes(unit: Morpheme) -> Iterator[tuple[str, tuple[str, ...]]]:
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
    if neighbourhood := _NEIGHBOURHOODS.get(unit["MajorLocation"]):
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


def _body(unit: Morpheme) -> str:
    arms = "both arms" if _is_two_handed(unit) else "right arm"
    where = _where(unit)
    return _sentence(where, arms) if where else ""
