"""What the base says about a sign: entries of its name and all that they refer to, before any model reads them.

Dictionaries save space: Devoted is "the sign LOVE, then ...", Ambience begins with the manual letter Q (the two
examples of the paper's Table 1). A model that reads such an entry alone has to invent the sign that it does not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Literal

import yaml

from gspmc_mm.gsp.knowledge.base import KnowledgeBase
from gspmc_mm.gsp.knowledge.entries import Entry, Kind, KnowledgeBaseError, fold_case, is_wide
from gspmc_mm.gsp.knowledge.retrieval import Hit, Retriever, is_spelling_of

_QUOTED = re.compile(r"""[“"「『‘'《]\s*([^”"」』’'》]{1,40}?)\s*[”"」』’'》]""")
# A target without quotes never begins with these.
_NO_NAMES = frozenset({"the", "a", "an", "it", "this", "that", "above", "before", "for", "of", "bu", "o", "şu", "aynı"})

# A name that is not in the base may stand for a similar one only if so many of its letter pairs agree, or if the
# vectors of the names are so close. Chosen with tools/analysis/retrieval_quality.py.
MIN_SPELLING = 0.7
MIN_COSINE = 0.9


@dataclass(frozen=True)
class Link:
    """A reference: the words that make it, what they name, and the entry that was found.

    Attributes:
        phrase: the words of the text.
        target: the name in them.
        kind: whether a sign or a handshape is meant.
        entry: id of the entry that it was resolved to; None if not (yet).
        source: id of the entry that refers, '' before it is known.
        candidates: what else may be the name, where the text does not say how long it is.
    """

    phrase: str
    target: str
    kind: Kind
    entry: str | None = None
    source: str = ""
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True)
class Resolution:
    """An entry with everything that it refers to, directly or not.

    Attributes:
        entries: the entry itself, then those referred to, in reading order, each once.
        links: every reference that was read.
        unresolved: what could not be resolved, and why, one line each.
        cycles: references that lead back, as 'A -> B -> A'.
    """

    entries: tuple[Entry, ...]
    links: tuple[Link, ...] = ()
    unresolved: tuple[str, ...] = ()
    cycles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Grounds:
    """What the knowledge base says about a sign.

    Attributes:
        label: class label, -1 where there is none.
        gloss: the word that was looked for.
        hits: what was found for it.
        entries: the entries of the hits and those that they refer to, each once.
        resolutions: the references of each hit, in the order of `hits`.
        unresolved: references that could not be resolved.
        route: how the first hit was found; '' where nothing was found.
    """

    label: int
    gloss: str
    hits: tuple[Hit, ...] = ()
    entries: tuple[Entry, ...] = ()
    resolutions: tuple[Resolution, ...] = ()
    unresolved: tuple[str, ...] = ()
    route: str = ""

    @property
    def is_fuzzy(self) -> bool:
        """Whether the entries have another name than the sign, so that a human should look."""
        return self.route not in ("", "exact", "alias")

    @property
    def notes(self) -> tuple[str, ...]:
        """What a human should know of a name that is not fuzzy and yet not the same letter by letter."""
        if not self.hits or self.is_fuzzy or self.hits[0].same_letters:
            return ()
        entry = self.hits[0].entry
        return (f"spelt without marks: {self.gloss!r} was taken to be {entry.headword!r} ({entry.id})",)


@dataclass(frozen=True)
class _Pattern:
    kind: Kind
    expression: re.Pattern[str]
    words: Literal["", "before", "after"]


def find_references(text: str, language: str) -> list[Link]:
    """The references in a text, in reading order, not resolved.

    Args:
        text: of an entry.
        language: code; the patterns are those of references.yaml. Other languages have none.
    """
    found: list[tuple[int, int, Link]] = []
    for pattern in _patterns().get(language.split("-")[0], ()):
        for match in pattern.expression.finditer(text):
            start, end = match.span("target")
            if any(start < other_end and other_start < end for other_start, other_end, _ in found):
                continue  # a pattern further up has read these words
            for link in _links(match, pattern):
                found.append((start, end, link))
    found.sort(key=_start)
    return list(dict.fromkeys(link for _, _, link in found))


def resolve_references(kb: KnowledgeBase, entry: Entry, *, max_depth: int = 3) -> Resolution:
    """Follow the references of an entry, and theirs.

    Args:
        kb: where to look.
        entry: where to begin.
        max_depth: how many references lie between `entry` and the last one that is followed.
    """
    entries: dict[str, Entry] = {entry.id: entry}
    links: list[Link] = []
    unresolved: list[str] = []
    cycles: list[str] = []

    def follow(current: Entry, path: tuple[Entry, ...]) -> None:
        for reference in find_references(current.text, current.language):
            read, target = _find(kb, reference, current)
            link = replace(read, source=current.id, entry=target.id if target else None)
            links.append(link)
            if target is None:
                where = _elsewhere(kb, reference, current)
                problem = f"no {reference.kind} of this name ({reference.target}){where}"
                unresolved.append(f"{reference.phrase!r} in {current.id}: {problem}")
            elif target.id in {step.id for step in path}:
                ids = [step.id for step in path]
                loop = path[ids.index(target.id) :]
                cycles.append(" -> ".join(step.headword for step in (*loop, target)))
            elif target.id not in entries:
                if len(path) > max_depth:
                    unresolved.append(f"{reference.phrase!r} in {current.id}: more than {max_depth} references deep")
                    links[-1] = replace(link, entry=None)
                    continue
                entries[target.id] = target
                follow(target, (*path, target))

    follow(entry, (entry,))
    return Resolution(
        tuple(entries.values()),
        tuple(dict.fromkeys(links)),
        tuple(dict.fromkeys(unresolved)),
        tuple(dict.fromkeys(cycles)),
    )


def find_target(kb: KnowledgeBase, link: Link, entry: Entry) -> Entry | None:
    """The entry that a reference means by its target: of the same source if there is one, else of the same language.

    A manual letter is looked for among the handshapes first; a name that only a sign of it has is that sign. An entry
    in another language is never meant: letters of the same name are made differently from alphabet to alphabet.
    """
    kinds: tuple[Kind, ...] = (link.kind, "sign" if link.kind == "handshape" else "handshape")
    for kind in kinds:
        found = kb.named(link.target, language=entry.language, kind=kind) or [
            match for match in kb.named(link.target, kind=kind) if _base(match.entry) == _base(entry)
        ]
        matches = [match for match in found if is_spelling_of(link.target, match)]
        if matches:
            near = [match for match in matches if match.entry.source == entry.source]
            return (near or matches)[0].entry
    return None


def _find(kb: KnowledgeBase, link: Link, entry: Entry) -> tuple[Link, Entry | None]:
    """A reference with the longest of its names that the base has, and the entry; as it is where there is none."""
    for reading in _readings(link):
        target = find_target(kb, reading, entry)
        if target is not None:
            return reading, target
    return link, None


def _readings(link: Link) -> Iterator[Link]:
    """A reference with every name that it may have; words that a name leaves over are not part of its phrase."""
    yield replace(link, candidates=())
    start = link.phrase.find(link.target)
    end = start + len(link.target)
    for name in link.candidates:
        cut = slice(0, start + len(name)) if link.target.startswith(name) else slice(end - len(name), None)
        yield replace(link, phrase=link.phrase[cut], target=name, candidates=())


def _elsewhere(kb: KnowledgeBase, link: Link, entry: Entry) -> str:
    """' in en, found only in zh' where only entries in other languages have the name; '' where none has it."""
    matches = [match for name in (link.target, *link.candidates) for match in kb.named(name, kind=link.kind)]
    languages = sorted({match.entry.language for match in matches if _base(match.entry) != _base(entry)})
    return f" in {entry.language}, found only in {', '.join(languages)}" if languages else ""


def _base(entry: Entry) -> str:
    return entry.language.split("-")[0]


def gather_grounds(
    retriever: Retriever,
    gloss: str,
    *,
    aliases: Sequence[str] = (),
    language: str | None = None,
    k: int = 3,
    label: int = -1,
    max_depth: int = 3,
) -> Grounds:
    """The entries for a sign and those that they refer to.

    Entries of this name decide: where there is one, nothing else is added; of several, those that match best stay
    (headwords, or aliases where no headword matches). Otherwise the single best entry with a name that is spelt or
    means nearly the same is taken, and `route` says so. Signs come before handshapes.

    Args:
        retriever: searches the knowledge base.
        gloss: name of the sign.
        aliases: other names of it.
        language: of the entries.
        k: at most so many entries of one name.
        label: of the class.
        max_depth: of references.

    Raises:
        KnowledgeBaseError: the base has no entry at all in `language`.
    """
    if language is not None and language not in retriever.kb.languages:
        raise KnowledgeBaseError(
            f"{retriever.kb.path} has no entry in the language {language!r}, only in "
            f"{', '.join(map(repr, retriever.kb.languages))}: ask for one of these with --language, or build the "
            "knowledge base again with the right --language or column language"
        )
    hits = retriever.search_names(gloss, aliases=aliases, language=language, kind="sign")
    hits = hits or retriever.search_names(gloss, aliases=aliases, language=language)
    hits = [hit for hit in hits if hit.route == hits[0].route][:k]
    if not hits:
        similar = retriever.search_similar(gloss, k=10, language=language, kind="sign")
        hits = [hit for hit in similar if is_close(hit)][:1]
    resolutions = tuple(resolve_references(retriever.kb, hit.entry, max_depth=max_depth) for hit in hits)
    entries = {entry.id: entry for resolution in resolutions for entry in resolution.entries}
    problems = [text for resolution in resolutions for text in resolution.unresolved]
    problems += [f"references go in a circle: {cycle}" for resolution in resolutions for cycle in resolution.cycles]
    return Grounds(
        label=label,
        gloss=gloss,
        hits=tuple(hits),
        entries=tuple(entries.values()),
        resolutions=resolutions,
        unresolved=tuple(dict.fromkeys(problems)),
        route=hits[0].route if hits else "",
    )


def is_close(hit: Hit) -> bool:
    """Whether a name of the entry is spelt nearly like what was looked for, or means nearly the same."""
    return hit.scores.get("spelling", 0.0) >= MIN_SPELLING or hit.scores.get("dense", 0.0) >= MIN_COSINE


def _links(match: re.Match[str], pattern: _Pattern) -> Iterator[Link]:
    target, phrase = match["target"].strip(), " ".join(match.group().split())
    quoted = [name.strip() for name in _QUOTED.findall(target)]
    if quoted:
        for name in quoted:
            yield Link(phrase, name, pattern.kind)
    elif not pattern.words:
        yield Link(phrase, target, pattern.kind)
    else:
        # Chinese has no spaces: a name may end behind any character
        space, words = ("", list(target)) if is_wide(target[0]) else (" ", target.split())
        cuts = range(len(words))
        names = [space.join(words[i:] if pattern.words == "before" else words[: len(words) - i]) for i in cuts]
        names = [name for name in names if fold_case(name.split()[0], "en") not in _NO_NAMES]
        if names:
            yield Link(phrase, names[0], pattern.kind, candidates=tuple(names[1:]))


def _start(found: tuple[int, int, Link]) -> int:
    return found[0]


@cache
def _patterns() -> dict[str, tuple[_Pattern, ...]]:
    text = (resources.files("gspmc_mm.gsp.knowledge") / "references.yaml").read_text("utf-8")
    data = yaml.safe_load(text)
    quoted = data.pop("quoted").replace("(?P<q>", "(?:")
    return {
        language: tuple(
            _Pattern(rule["kind"], re.compile(rule["pattern"].replace("QUOTED", quoted)), rule.get("words", ""))
            for rule in rules
        )
        for language, rules in data.items()
    }
