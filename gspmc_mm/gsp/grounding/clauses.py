"""Who does what in one clause: which hand a word is about, what points in a direction, what is denied."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gspmc_mm.gsp.grounding.lexicon import Lexicon, Word, concept_of

# What a direction can be about. 'move' is the path of the hand.
HOLDERS = ("palm", "fingers", "move")
# Kinds whose words say what a hand is or does; those of the others stay without a side of their own.
OF_HANDS = frozenset({"body_part", "handshape", "contact", "movement", "direction"})
_ACTIONS = frozenset({"contact", "movement"})
# After one of these an imperative names what is reached, after any other what acts ('place the right fist on ...').
_REACHING = frozenset({"touch", "tap", "strike", "rub", "press", "grasp"})
# The back of the hand facing up is the palm facing down.
_OPPOSITE = {"up": "down", "down": "up", "forward": "backward", "backward": "forward", "inward": "outward"}
_OPPOSITE |= {"outward": "inward", "left": "right", "right": "left"}
_HOLDER_WORDS = {
    "palm": "palm",
    "hand_back": "back",
    "flat_hand": "palm",
    "fingertip": "fingers",
    "pointing": "fingers",
    **dict.fromkeys(
        ("finger", "thumb", "index_finger", "middle_finger", "ring_finger", "little_finger", "all_fingers"), "fingers"
    ),
}
_SIDE_WORDS = {
    "en": ("right", "left", "dominant", "non-dominant", "both", "two", "one", "other"),
    "zh": ("右", "左", "双", "两", "一", "另一", "主手", "辅手"),
    "tr": ("sağ", "sol", "iki", "bir", "tek", "diğer", "öteki"),
}


@dataclass(frozen=True)
class Mention:
    """A concept that a text names.

    Attributes:
        concept: id.
        side: whose hand or which side of the body: 'right', 'left', 'both', or '' where the text does not say.
        sentence: number of the sentence.
        start: place in the plain text.
        text: the words.
        negated: the text denies it.
        holder: for a direction, what points there: 'palm', 'fingers' or 'move'; '' otherwise.
    """

    concept: str
    side: str
    sentence: int
    start: int
    text: str
    negated: bool = False
    holder: str = ""

    @property
    def kind(self) -> str:
        """Kind of the concept."""
        return concept_of(self.concept).kind


class Clause:
    """Sorts out who does what in one clause; `acting` is the hand that the next clause goes on with."""

    def __init__(self, lexicon: Lexicon, text: str, start: int, end: int, words: Sequence[Word], acting: str) -> None:
        self.lexicon = lexicon
        self.text = text
        self.start = start
        self.end = end
        self.nouns = [w for w in words if not w.concept.startswith("side:")]
        self.says_one = False
        self.own = self._own_sides([w for w in words if w.concept.startswith("side:")], acting)
        self.before = acting
        self.acting = self._actor() or acting

    def mentions(self) -> list[Mention]:
        """The mentions of the clause, in reading order."""
        found = [self._mention(i) for i in range(len(self.nouns)) if not self._is_side_word(i)]
        if any(mention.concept == "unused" for mention in found):
            # 'the left hand is not used' speaks of that hand and does not say that it does anything
            found = [replace(m, negated=True) if m.concept != "unused" else m for m in found]
        return found

    def _mention(self, index: int) -> Mention:
        word = self.nouns[index]
        kind = concept_of(word.concept).kind
        side = self.own.get(index, "")
        if not side and kind in OF_HANDS:
            side = self._agent() if kind in _ACTIONS else ""
            side = side or self.acting
            if concept_of(word.concept).two_handed or (concept_of(word.concept).paired and word.plural):
                side = "both"
        if word.concept == "unused":
            side = side or "left"
        holder = self._holder(index) if kind == "direction" else ""
        return Mention(
            concept=_OPPOSITE.get(word.concept, word.concept) if holder == "back" else word.concept,
            side=side,
            sentence=0,
            start=word.start,
            text=word.text,
            negated=self._is_negated(word),
            holder="palm" if holder == "back" else holder,
        )

    def _own_sides(self, side_words: Sequence[Word], acting: str) -> dict[int, str]:
        """Index of a noun to the side that stands beside it."""
        own: dict[int, str] = {}
        last = acting
        for word in side_words:
            index = self._noun_after(word, side_words)
            if index is None:
                continue
            side = _resolve(word.concept.partition(":")[2], last)
            concept = concept_of(self.nouns[index].concept)
            if concept.kind == "place" and side in ("both", "one"):
                continue
            self.says_one = self.says_one or (word.concept == "side:one" and concept.kind != "place")
            own[index] = "both" if index in own and own[index] != side else side
            if concept.kind != "place":
                last = own[index]
                self._pass_on(own, index, word.start)
        return own

    def _noun_after(self, side: Word, side_words: Sequence[Word]) -> int | None:
        """The noun that a side word belongs to: the next one, with only adjectives or other sides between."""
        position = side.end
        for other in side_words:  # 'right and left hands'
            if other.start > side.start and re.fullmatch(
                r" ?(?:and|or|ve|和|、)? ?", self.text[position : other.start]
            ):
                position = other.end
        for index, noun in enumerate(self.nouns):
            if noun.start < position:
                continue
            if noun.start > self.end or concept_of(noun.concept).kind not in ("body_part", "handshape", "place"):
                return None
            if not self.lexicon.modifier.match(self.text[position : noun.start]):
                return None
            only_hands = side.concept in ("side:both", "side:one")
            if only_hands and noun.concept in ("finger", "fingertip", "all_fingers", "four_fingers"):
                return None
            if side.concept == "side:one" and self.lexicon.language != "en" and noun.start - side.end > 1:
                return None
            return index
        return None

    def _pass_on(self, own: dict[int, str], index: int, phrase_start: int) -> None:
        """Nouns that touch a sided one share its side: 右手食指, 'the palm of the left hand'."""
        for other in range(index + 1, len(self.nouns)):
            gap = self.text[self.nouns[other - 1].end : self.nouns[other].start]
            concept = concept_of(self.nouns[other].concept)
            if gap.strip(" 的'") not in ("", "s", "ve", "和", "与", "and", "-") or concept.kind not in (
                "body_part",
                "handshape",
            ):
                break
            own.setdefault(other, own[index])
        for other in range(index - 1, -1, -1):
            if self.nouns[other].end <= phrase_start and self.lexicon.owner.match(
                self.text[self.nouns[other].end : phrase_start]
            ):
                if concept_of(self.nouns[other].concept).kind == "body_part":
                    own.setdefault(other, own[index])
                break

    def _actor(self) -> str:
        """The side of the first sided hand word that acts."""
        for index in sorted(self.own):
            if concept_of(self.nouns[index].concept).kind == "place":
                continue
            if not self._is_reached(index):
                return self.own[index]
        plural = [w for w in self.nouns if w.plural and concept_of(w.concept).paired]
        if not self.own and plural and not self._verbs_before(plural[0]):
            return "both"
        return ""

    def _is_reached(self, index: int) -> bool:
        """Whether a hand is what another one goes to."""
        noun = self.nouns[index]
        phrase = self.text[self.start : noun.start]
        side_start = self._phrase_start(index)
        if len(self.nouns) == 1 and re.match(r"\W*with\b", phrase):
            return True  # 'two joined fingers, with the left hand': it is there, and that is all
        if self.lexicon.target.search(self.text[self.start : side_start]):
            return True
        if noun.oblique or self.lexicon.target_after.match(self.text[noun.end : self.end]):
            return True
        verbs = self._verbs_before(noun)
        if not verbs:
            return False
        named_before = any(
            concept_of(w.concept).kind in ("body_part", "handshape") and w.start < verbs[0].start for w in self.nouns
        )
        imperative = self.lexicon.language == "en" and not named_before and phrase.strip(" ,").count(" ") <= 4
        return not imperative or any(v.concept in _REACHING for v in verbs)

    def _phrase_start(self, index: int) -> int:
        """Where the words 'right', 'sağ', 右 before a noun begin."""
        before = self.text[self.start : self.nouns[index].start]
        cut = max((before.rfind(w) for w in _SIDE_WORDS[self.lexicon.language]), default=-1)
        return self.start + cut if cut >= 0 else self.nouns[index].start

    def _verbs_before(self, noun: Word) -> list[Word]:
        return [w for w in self.nouns if w.start < noun.start and concept_of(w.concept).kind in _ACTIONS]

    def _agent(self) -> str:
        """The hand that does it in a passive clause ('is tapped by the right fist')."""
        match = self.lexicon.agent.search(self.text, self.start, self.end)
        if not match:
            return ""
        named = next(value for value in match.groupdict().values() if value)
        return "left" if named in ("left", "non-dominant", "左", "sol") else "right"

    def _is_negated(self, word: Word) -> bool:
        if concept_of(word.concept).kind not in ("contact", "movement", "mouth"):
            return False
        if self.lexicon.language == "zh":
            return self.lexicon.negation.search(self.text[max(self.start, word.start - 2) : word.start]) is not None
        if self.lexicon.language == "tr":
            after = self.text[word.start : self.end].split(" ")[:2]
            return self.lexicon.negation.search(" ".join(after)) is not None
        before = self.text[self.start : word.start].split(" ")[-4:]
        return self.lexicon.negation.search(" ".join(before)) is not None

    def _holder(self, index: int) -> str:
        """What a direction is about: the palm, the fingers, or the path of the hand."""
        word = self.nouns[index]
        same_place = [w for w in self.nouns if w.start == word.start]
        if any(concept_of(w.concept).kind == "movement" for w in same_place):
            return "move"
        after = [w for w in self.nouns if w.start >= word.end]
        if after and after[0].start - word.end <= 8 and concept_of(after[0].concept).kind in _ACTIONS:
            return "move"
        for other in reversed([w for w in self.nouns if w.end <= word.start]):
            kind = concept_of(other.concept).kind
            if kind in _ACTIONS or kind == "place":
                return "move"
            if other.concept in _HOLDER_WORDS:
                return _HOLDER_WORDS[other.concept]
        if after and after[0].start - word.end <= 12 and after[0].concept in _HOLDER_WORDS:
            return _HOLDER_WORDS[after[0].concept]
        return "move"

    def _is_side_word(self, index: int) -> bool:
        """Whether 'right' was read as a direction although it names a hand."""
        word = self.nouns[index]
        if word.concept not in ("left", "right"):
            return False
        return any(self._phrase_start(i) == word.start for i in self.own)


def _resolve(side: str, last: str) -> str:
    """'one' hand is the right one, the dominant; the 'other' is that which was not spoken of last."""
    if side == "one":
        return "right"
    if side == "other":
        return "right" if last == "left" else "left"
    return side
