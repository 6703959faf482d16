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
from gspmc_mm.gsp.knowledge.entries import Entry, Kind, fold_case
from gspmc_mm.gsp.knowledge.retrieval import Hit, Retriever

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
            target = find_target(kb, reference, current)
            link = replace(reference, source=current.id, entry=target.id if target else None)
            links.append(link)
            if target is None:
                unresolved.append(f"{reference.phrase!r} in {current.id}: no {reference.kind} of this name")
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
    """The entry that a reference means: of the same source if there is one, else of the same language.

    A manual letter is looked for among the handshapes first; a name that only a sign of it has is that sign.
    """
    kinds: tuple[Kind, ...] = (link.kind, "sign" if link.kind == "handshape" else "handshape")
    for kind in kinds:
        for name in (link.target, *link.candidates):
            matches = kb.named(name, language=entry.language, kind=kind)
            # a manual letter is the same in lists of the same country that are kept in another language's words
            if not matches and kind == link.kind == "handshape":
                matches = kb.named(name, kind=kind)
            if matches:
                near = [match for match in matches if match.entry.source == entry.source]
                return (near or matches)[0].entry
    return None


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
    """
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
        words = target.split()
        cuts = range(len(words))
        names = [" ".join(words[i:]) if pattern.words == "before" else " ".join(words[: len(words) - i]) for i in cuts]
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
