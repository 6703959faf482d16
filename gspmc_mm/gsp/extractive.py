"""Descriptions without a language model: the words of the dictionary entries, sorted by rules.

What a user without a key gets. Nothing is written that the entry does not say: sentences are taken over, what is no
action is left out, what the entry of another sign or letter says stands before the sentence that refers to it, and the
clauses are dealt out to the parts of the body that they name. The rules do not translate, do not paraphrase and do not
understand; where an entry describes badly, the description is as bad. The description set says so in its field
`generator`.

One text is derived and not quoted: of a sign that is made with one hand, that the left hand is not used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gspmc_mm.descriptions import Evidence, Segment, SignDescription
from gspmc_mm.gsp.grounding.checks import compare_texts
from gspmc_mm.gsp.grounding.lexicon import base_language, concept_of, get_lexicon, one_line, plain
from gspmc_mm.gsp.grounding.reading import ClauseReading, entailed, read
from gspmc_mm.gsp.knowledge.entries import Entry
from gspmc_mm.gsp.knowledge.references import Grounds
from gspmc_mm.skeleton import PARTS

_MAX_TARGETS = 4
_BETWEEN_CLAUSES = re.compile(r"\s*[,，:：]\s*(?:and |ve )?")
# A clause that begins so can stand alone as a sentence.
_THEN = re.compile(r"(?i:then|finally|sonra|ardından)\b|然后|再|随后|接着|最后")
# Words of a clause that say where the arms take the hand.
_ARM_WORK = frozenset(
    {"move", "straight_path", "arc", "circling", "swinging", "zigzag", "alternating", "parting", "meeting", "crossing"}
)
_DEEDS = ("contact", "movement", "direction")
_RESTING = frozenset({"still", "stop", "hands_apart", "hands_together", "stacked"})
# Words that alone describe nothing.
_EMPTY = frozenset({"no_claim", "hand", "expression"})


class ExtractiveError(ValueError):
    """A description that rules cannot make, such as one in another language than the entries'."""


@dataclass(frozen=True)
class _Sentence:
    """A sentence of an entry: as it stands there, and what is left of it as a description."""

    entry: str
    quote: str
    text: str


def describe_extractively(
    label: int,
    gloss: str,
    grounds: Grounds,
    *,
    language: str,
    parts: Sequence[str] = PARTS,
    synonyms: int = 4,
) -> SignDescription:
    """The description of one sign from what was retrieved for it.

    Args:
        label: class index.
        gloss: class name.
        grounds: what the knowledge base says; the first hit is described, in its first variant.
        language: of the description, which must be that of the entries.
        parts: names that the segments may use.
        synonyms: the most paraphrases (sentences in another order) to give.

    Returns:
        With nothing retrieved, a description that has the gloss for its only text and says so in `unresolved`.

    Raises:
        ExtractiveError: the entry found is in another language.
        GroundingError: there is no lexicon for the language.
    """
    base = base_language(language)
    if not grounds.route or not grounds.hits:
        missing = f"not in the corpus: no entry describes {gloss!r}"
        return SignDescription(label=label, gloss=gloss, primary=gloss, unresolved=(missing,))
    hit = grounds.hits[0]
    if base_language(hit.entry.language) != base:
        raise ExtractiveError(
            f"sign {gloss!r}: entry {hit.entry.id!r} is in {hit.entry.language!r} and the description is wanted in "
            f"{language!r}; rules do not translate: take the language of the entries, or a language model"
        )
    notes = [f"reference: {problem}" for problem in grounds.unresolved]
    notes += grounds.notes
    if grounds.is_fuzzy:
        notes.append(f"fuzzy match: {gloss!r} was taken to be {hit.entry.headword!r} ({hit.entry.id})")
    primary = _first_variant(hit.entry)
    sentences = list(_not_repeating(list(_sentences(hit.entry, grounds, base)), base))
    if not any(_describes(sentence.text, base) for sentence in sentences):
        notes.append(f"not in the corpus: entry {hit.entry.id!r} names no hand, place or movement")
        return SignDescription(
            label=label, gloss=gloss, primary=primary, evidence=(_whole(hit.entry),), unresolved=tuple(notes)
        )
    refined = _join((s.text for s in sentences), base)
    return SignDescription(
        label=label,
        gloss=gloss,
        primary=primary,
        global_=refined,
        synonyms=_other_wordings(sentences, refined, primary, base)[:synonyms],
        segments=_segments(refined, base, parts),
        evidence=tuple(Evidence(entry=s.entry, quote=s.quote) for s in _distinct(sentences)),
        unresolved=tuple(dict.fromkeys(notes)),
    )


def _first_variant(entry: Entry) -> str:
    return one_line(entry.variants[0])


def _whole(entry: Entry) -> Evidence:
    return Evidence(entry=entry.id, quote=_first_variant(entry))


def _distinct(sentences: Sequence[_Sentence]) -> list[_Sentence]:
    return list({(s.entry, s.quote): s for s in sentences}.values())


def _join(texts: Iterator[str] | Sequence[str], language: str) -> str:
    return ("" if language == "zh" else " ").join(texts)


def _sentences(entry: Entry, grounds: Grounds, language: str, above: tuple[str, ...] = ()) -> Iterator[_Sentence]:
    """The sentences of an entry that describe something, those of an entry referred to before the one that refers."""
    links = [link for resolution in grounds.resolutions for link in resolution.links if link.source == entry.id]
    known = {found.id: found for found in grounds.entries}
    path = (*above, entry.id)
    for sentence in read(_first_variant(entry), language).sentences:
        told: dict[str, bool] = {}  # by phrase, whether all that it names is told
        for link in dict.fromkeys(link for link in links if link.phrase in sentence):
            target = known.get(link.entry or "")
            follow = target is not None and target.id not in path and len(above) < _MAX_TARGETS
            sentences = list(_sentences(target, grounds, language, path)) if target and follow else []
            yield from sentences
            is_told = any(_describes(s.text, language) for s in sentences)
            told[link.phrase] = told.get(link.phrase, True) and is_told
        text = _refine(_without_told(sentence, told, language), language)
        # of a sentence that refers, which hands it names and what could not be told is something to say
        if text and (told or _describes(text, language)):
            yield _Sentence(entry.id, sentence, text)


def _not_repeating(sentences: Sequence[_Sentence], language: str) -> Iterator[_Sentence]:
    """The sentences but for those of an entry that tell again, mostly in concepts just named, which shape a hand has.

    Long texts that differ in few words lie close together for a text encoder, and those of one lexicon do.
    """
    told: set[tuple[str, str]] = set()
    before = ""
    for sentence in sentences:
        # two letters of the manual alphabet have much in common, and both are told
        told, before = (told if sentence.entry == before else set()), sentence.entry
        mentions = read(sentence.text, language).asserted
        claims = {(m.concept, m.side) for m in mentions}
        about_shape = all(m.kind in ("body_part", "handshape") for m in mentions)
        if not (claims and about_shape and 2 * len(claims & told) >= len(claims)):
            yield sentence
        told = set()
        for side in {m.side for m in mentions}:
            told |= {(concept, side) for concept in entailed(m.concept for m in mentions if m.side == side)}
            told |= {(concept, "") for concept, of in told if of == side}


def _without_told(sentence: str, told: Mapping[str, bool], language: str) -> str:
    """A sentence without the clauses at its beginning that only name what is told in their place.

    Whole clauses go, and only where what follows can stand alone; else the sentence stays as it is.

    Args:
        sentence: of an entry.
        told: by phrase that refers to another entry, whether the text of that entry is used.
        language: of the sentence.
    """
    used = [phrase for phrase, is_used in told.items() if is_used]
    while ends := [sentence.index(phrase) + len(phrase) for phrase in used if phrase in sentence]:
        mark = _BETWEEN_CLAUSES.search(sentence, min(ends))
        head, after = (sentence[: mark.start()], sentence[mark.end() :]) if mark else (sentence, "")
        for phrase in used:
            head = head.replace(phrase, "")
        says_more = any(m.concept != "no_claim" for m in read(head, language).mentions)
        if says_more or any(phrase in head for phrase in told) or (after and not _THEN.match(after)):
            return sentence
        sentence = _capital(after, language) if after else ""
    return sentence


def _refine(sentence: str, language: str) -> str:
    """A sentence without remarks; '' where nothing is left."""
    # '（一）' and '1. İŞARET' number the steps of a sign
    marker = get_lexicon(language).variant.match(plain(sentence, language))
    text = one_line(sentence)[marker.end() if marker else 0 :]
    for pattern in get_lexicon(language).noise:
        text = pattern.sub("", text)
    text = re.sub(r"^[\s,，;；:：.。]+", "", one_line(text))
    # the end of the sentence may have gone with a remark
    stop = "。" if language == "zh" else "."
    return text if not text or re.search(r"[.!?。；;！？][\"”')）]*$", text) else text.rstrip(" ,，") + stop


def _describes(text: str, language: str) -> bool:
    """Whether a sentence names more than a hand."""
    return any(m.concept not in _EMPTY for m in read(text, language).mentions)


def _other_wordings(sentences: Sequence[_Sentence], refined: str, primary: str, language: str) -> tuple[str, ...]:
    """The refined text once shorter, and with the sentences on shape and place in other places.

    What moves keeps its order, since that is the order in time; a text with 'then' keeps its order altogether. A text
    in another order is kept only if each hand keeps what is its own and nothing is lost, a shorter one if hands,
    places, contacts and directions are all there.
    """
    stop = "。" if language == "zh" else "."
    ended = [re.sub(r"[;；]$", stop, sentence.text) for sentence in sentences]
    moving = [sentence for sentence in ended if _moves(sentence, language)]
    resting = [sentence for sentence in ended if not _moves(sentence, language)]
    orders = [moving + resting, moving + resting[::-1], resting[::-1] + moving, resting + moving]
    in_time = any(get_lexicon(language).sequence.search(sentence.quote) for sentence in sentences)
    texts = [] if in_time else [_join(order, language) for order in orders]
    kept = [text for text in texts if not compare_texts(refined, text, language=language)]
    short = _shortened(refined, language)
    if _frame_of(short, language) == _frame_of(refined, language):
        kept.insert(0, short)
    return tuple(
        text
        for text in dict.fromkeys(kept)
        if text not in (refined, primary) and not compare_texts(text, refined, language=language)
    )


def _moves(sentence: str, language: str) -> bool:
    """Whether a sentence tells of a movement."""
    mentions = read(sentence, language).mentions
    return any(m.holder == "move" or (m.kind == "movement" and m.concept not in _RESTING) for m in mentions)


def _shortened(text: str, language: str) -> str:
    """The text without the clauses that only add to the shape of a hand told before in the same sentence."""
    reading = read(text, language)
    kept: list[ClauseReading] = []
    for clause in reading.clauses:
        begun = any(c.sentence == clause.sentence and c.mentions for c in kept)
        about_shape = all(m.kind in ("body_part", "handshape") for m in clause.mentions)
        if not (begun and about_shape) or _only_counts_hands(clause):
            kept.append(clause)
    return _as_text(kept, text, language)


def _frame_of(text: str, language: str) -> tuple[frozenset[str], frozenset[str]]:
    """What a paraphrase may not change: the hands, and the places, contacts and directions."""
    reading = read(text, language)
    fixed = (m.concept for m in reading.asserted if m.kind in ("place", "contact", "direction", "mouth", "face"))
    return reading.hands, frozenset(fixed)


def _segments(text: str, language: str, parts: Sequence[str]) -> tuple[Segment, ...]:
    """For every part the clauses that speak of it; parts with the same clauses share a segment."""
    reading = read(text, language)
    by_text: dict[str, list[str]] = {}
    for part in parts:
        clauses = [c for c in reading.clauses if part in _parts_of(c) and not _only_counts_hands(c)]
        if part == "body" and not clauses:
            # a sign made on the other hand: where the hands meet is where the arms are
            clauses = [c for c in reading.clauses if any(m.kind == "contact" for m in c.mentions)]
        own = [c for c in clauses if not _is_done_by_another(c, part)]
        # what the other hand does here is told too, unless it then reads as the deed of this hand
        for chosen in (clauses, own):
            said = _as_text(chosen, text, language)
            if said and not compare_texts(said, text, language=language):
                by_text.setdefault(said, []).append(part)
                break
    without_left = "left_hand" in parts and not any("left_hand" in names for names in by_text.values())
    # an entry that names the right hand or 'one hand' only is of a sign that is made with one
    if without_left and (reading.hands == {"right"} or reading.only_one_hand):
        by_text[get_lexicon(language).unused_left_hand] = ["left_hand"]
    return tuple(Segment(text=text, parts=tuple(names)) for text, names in by_text.items())


def _only_counts_hands(clause: ClauseReading) -> bool:
    """Whether all that a clause says is which hand is meant: 'both hands alike'."""
    return {m.concept for m in clause.mentions} <= {"hand", "no_claim"}


def _is_done_by_another(clause: ClauseReading, part: str) -> bool:
    """Whether the hand that acts in a clause is not the one whose text is wanted."""
    side = {"left_hand": "left", "right_hand": "right"}.get(part)
    deeds = {m.side for m in clause.mentions if m.kind in ("contact", "movement") and m.side not in ("", "both")}
    return side is not None and bool(deeds) and side not in deeds


def _parts_of(clause: ClauseReading) -> set[str]:
    """The parts that a clause speaks of: those it names, and the body where the arms carry the hand along."""
    found: set[str] = set()
    for mention in clause.mentions:
        concept = concept_of(mention.concept)
        found |= {part for part in concept.parts if part != "hand"}
        of_hand = "hand" in concept.parts or (concept.kind in _DEEDS and not concept.parts and concept.id != "no_claim")
        if of_hand:
            found |= {"left": {"left_hand"}, "both": {"left_hand", "right_hand"}}.get(mention.side, {"right_hand"})
        if "arm" in entailed([concept.id]) and mention.side == "left":
            found.add("left_hand")  # the arm that is acted upon is that of the hand at rest
        if mention.holder == "move" or concept.id in _ARM_WORK:
            found.add("body")
    return found


def _as_text(clauses: Sequence[ClauseReading], text: str, language: str) -> str:
    """Clauses as sentences: what stands together stays together, each sentence ends as one."""
    sentences: dict[int, list[tuple[int, int]]] = {}
    for clause in clauses:
        spans = sentences.setdefault(clause.sentence, [])
        if spans and spans[-1][1] == clause.start:
            spans[-1] = (spans[-1][0], clause.end)
        else:
            spans.append((clause.start, clause.end))
    comma, stop = ("，", "。") if language == "zh" else (", ", ".")
    joined = (comma.join(_trim(text[a:b]) for a, b in spans) for spans in sentences.values())
    return _join([f"{_capital(s, language)}{stop}" for s in dict.fromkeys(joined)], language)


def _trim(clause: str) -> str:
    return re.sub(r"^[\s,，;；:：]+(?:and |then |while )?|[\s,，;；:：.。!！]+$", "", clause)


def _capital(text: str, language: str) -> str:
    first = {"zh": text[0], "tr": text[0].replace("i", "İ").upper()}.get(language, text[0].upper())
    return first + text[1:]
