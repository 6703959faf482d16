"""The codes of ASL-LEX 2.0 and their English words; a code that is not here is refused when the file is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
OTHER_PLACES = {
    "Head": "the side of the head or face",
    "Body": "another place of the body",
    "Hand": "another place of the left hand",
    "Arm": "another place of the left arm",
}

# What a hand in the air near a place reaches when the sign is coded with contact.
REACHED = {"Head": "the head", "Body": "the trunk", "Hand": "the left hand", "Arm": "the left arm"}

# The neighbourhood of a place, by major location.
NEIGHBOURHOODS = {
    "Head": "the sign is made at the head",
    "Body": "the sign is made at the trunk",
    "Hand": "the sign is made at the other hand",
    "Arm": "the sign is made at the other arm",
    "Neutral": "the sign is made in the space in front of the signer",
}

ONE_HANDED = "OneHanded"
SYMMETRICAL = "SymmetricalOrAlternating"
SAME_SHAPE_BASE = "AsymmetricalSameHandshape"
OTHER_SHAPE_BASE = "AsymmetricalDifferentHandshape"
VIOLATIONS = ("DominanceViolation", "SymmetryViolation")


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
