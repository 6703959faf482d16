"""From lines and rows to entries, as a profile says; one chunk is one dictionary entry with all its variants."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gspmc_mm.gsp.knowledge.entries import (
    KINDS,
    Entry,
    Kind,
    KnowledgeBaseError,
    is_wide,
    normalize_headword,
    split_aliases,
    split_headword,
)
from gspmc_mm.gsp.knowledge.profiles import Profile
from gspmc_mm.gsp.knowledge.readers import SECOND, Line, Row
from gspmc_mm.gsp.knowledge.screening import screen_text

_TURKISH = re.compile(r"[ğışİĞŞ]|\b(?:ve|bir|ile|sağ|sol|eller?|parmak|doğru|işaret)\b")
# Full-width letters and digits, as Chinese books print them; marks and circled numbers stay.
_FULL_WIDTH = {0xFEE0 + ord(c): c for c in string.ascii_letters + string.digits}
_GUESSED_FROM = 20_000
# A language with, if need be, its script and its region (BCP 47).
_LANGUAGE = re.compile("[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?")


@dataclass
class Draft:
    """An entry as it was read; ids, checks and flags come later.

    Attributes:
        headword: without brackets and number.
        aliases: other names.
        text: how it is made.
        variants: of the text; empty where the text has no marks of variants.
        number: the number at the headword that tells signs of one word apart, or ''.
        page: page of the source.
        line: line or row where it begins.
        language, kind, licence, id, origin: from the columns of a table, where it has them ('' or None).
    """

    headword: str
    aliases: tuple[str, ...]
    text: str
    variants: tuple[str, ...] = ()
    number: str = ""
    page: int | None = None
    line: int = 0
    language: str = ""
    kind: Kind | None = None
    licence: str = ""
    id: str = ""
    origin: str = ""


@dataclass
class Skipped:
    """Lines or rows that belong to no entry: how many, and the first of them; sheets without entries are all named."""

    count: int = 0
    first: str = ""

    def add(self, where: str, text: str) -> None:
        """Count one."""
        self.count += 1
        if not self.first:
            self.first = f"{where}: {text[:80]!r}"

    def name_sheet(self, sheet: str) -> None:
        """Name a sheet of a workbook that holds no entries."""
        self.first = "; ".join(filter(None, (self.first, f"sheet {sheet!r} has no columns of entries")))


def parse_lines(lines: Iterable[Line], profile: Profile, skipped: Skipped) -> Iterator[Draft]:
    """The entries of running text."""
    head: Draft | None = None
    pieces: list[str] = []

    def finished() -> Iterator[Draft]:
        nonlocal head, pieces
        if head is not None:
            text = join_lines(pieces)
            if text:
                head.text, head.variants = text, split_variants(text, profile.variant_pattern)
                yield head
            else:
                skipped.add(f"line {head.line}", f"{head.headword} (a headword without text)")
        head, pieces = None, []

    for line in lines:
        if not line.text or any(pattern.search(line.text) for pattern in profile.ignore_patterns):
            continue
        begun = _begins(line, profile, head, pieces)
        if begun is not None:
            yield from finished()
            head = begun
            pieces = [begun.text] if begun.text else []
        elif head is None:
            skipped.add(f"line {line.number}", line.text)
        else:
            pieces.append(line.text)
    yield from finished()


def merge_numbered(drafts: Iterable[Draft]) -> Iterator[Draft]:
    """Make one entry of the signs of one word that numbers tell apart (办公①, 办公②) and that follow one another."""
    waiting: Draft | None = None
    for draft in drafts:
        if waiting is not None and draft.number and waiting.number and waiting.headword == draft.headword:
            waiting = replace(
                waiting,
                aliases=tuple(dict.fromkeys(waiting.aliases + draft.aliases)),
                text=f"{waiting.text}\n{draft.text}",
                variants=(waiting.variants or (waiting.text,)) + (draft.variants or (draft.text,)),
            )
            continue
        if waiting is not None:
            yield waiting
        waiting = draft
    if waiting is not None:
        yield waiting


def parse_rows(rows: Iterable[Row], profile: Profile, path: Path, skipped: Skipped) -> Iterator[Draft]:
    """The entries of a table, one per row; a row without headword or text is counted as skipped.

    Raises:
        KnowledgeBaseError: no row has the columns headword and text, a column occurs twice, or a value is none of its
            kind.
    """
    columns: tuple[str, ...] | None = None
    missing, first_missing, has_entries = "", "", False
    for row in rows:
        # objects of a jsonl file have keys of their own, and every sheet of a workbook has columns of its own
        if columns != (*row.values, row.sheet):
            columns, fields = (*row.values, row.sheet), _fields(row, profile, path)
            missing = _missing(row, fields, profile)
            first_missing = first_missing or missing
            if missing and row.sheet:
                skipped.name_sheet(row.sheet)
        has_entries = has_entries or not missing
        values = {name: row.values[column] for name, column in fields.items() if row.values.get(column)}
        headword, names = values.get("headword", ""), ()
        if profile.split_headwords:
            headword, names = split_headword(headword)
        if not headword or not values.get("text"):
            place = f"sheet {row.sheet!r}, row {row.number}" if row.sheet else f"row {row.number}"
            skipped.add(place, values.get("headword") or values.get("text") or missing or "an empty row")
            continue
        where = f"{path}, sheet {row.sheet!r}, row {row.number}" if row.sheet else f"{path}, line {row.number}"
        yield Draft(
            headword=headword,
            aliases=names + split_aliases(values.get("aliases", "")),
            text=values["text"],
            variants=split_variants(values["text"], profile.variant_pattern),
            page=_page(values.get("page", ""), where),
            line=row.number,
            language=_language(values.get("language", ""), f"{where}, column language"),
            kind=_kind(values.get("kind", ""), where),
            licence=values.get("licence", ""),
            id=values.get("id", ""),
            origin=values.get("source", ""),
        )
    if first_missing and not has_entries:
        raise KnowledgeBaseError(
            f"{path}: {first_missing}. Rename the columns, or give a profile whose `columns` name them"
        )


def parse_codings(path: Path) -> Iterator[Draft]:
    """The signs of ASL-LEX in English sentences, the most frequent first; numbered variants are one entry.

    Raises:
        KnowledgeBaseError: the file is not the table of ASL-LEX, or has an unknown code.
    """
    from gspmc_mm.gsp.asl_lex import AslLexError, Match, describe_sign, read_asl_lex

    try:
        lexicon = read_asl_lex(path)
    except AslLexError as error:
        raise KnowledgeBaseError(str(error)) from None
    groups: dict[str, list] = {}
    for sign in sorted(lexicon.entries, key=_rarity):
        stem, _, number = sign.entry_id.rpartition("_")
        groups.setdefault(stem if stem and number.isdigit() else sign.entry_id, []).append(sign)
    for name, signs in groups.items():
        texts = tuple(dict.fromkeys(describe_sign(0, sign.entry_id, Match(sign, ())).primary for sign in signs))
        names = [sign.dominant_translation for sign in signs] + [word for sign in signs for word in sign.translations]
        words = [word.replace("_", " ") for word in names if word and word != "na"]
        headword = name.replace("_", " ").strip()
        yield Draft(
            headword=headword,
            aliases=tuple(word for word in dict.fromkeys(words) if word != headword),
            text="\n".join(texts),
            variants=texts if len(texts) > 1 else (),
            id=signs[0].entry_id if len(signs) == 1 else name,
        )


def _rarity(sign) -> float:
    return -sign.frequency


@dataclass
class EntryMaker:
    """Makes the entries of one source from drafts.

    Attributes:
        name: of the source; ids begin with it.
        profile: of the source.
        language: for drafts that say none.

    Raises:
        KnowledgeBaseError: `language` is no language code.
    """

    name: str
    profile: Profile
    language: str
    _count: Counter = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.language = _language(
            self.language, f"{self.name}: --language or language of the profile {self.profile.name}"
        )

    def make(self, draft: Draft) -> Entry:
        """The entry of a draft, with an id that stays while source and headword do."""
        language = draft.language or self.language
        kind = draft.kind or self.profile.kind
        normalized = normalize_headword(draft.headword, language)
        if draft.id:
            entry_id = draft.id
        else:
            self._count[normalized, kind] += 1
            prefix = self.name if kind == "sign" else f"{self.name}:{kind}"
            entry_id = f"{prefix}:{normalized or draft.headword}:{self._count[normalized, kind]}"
        return Entry(
            id=entry_id,
            headword=draft.headword,
            normalized=normalized,
            aliases=draft.aliases,
            language=language,
            kind=kind,
            text=draft.text,
            variants=draft.variants or (draft.text,),
            source=draft.origin or self.name,
            page=draft.page,
            licence=draft.licence or self.profile.licence,
            flags=screen_text("\n".join((draft.headword, *draft.aliases, draft.text))),
        )


def guess_language(texts: Iterable[str]) -> str:
    """'zh', 'tr' or 'en' by the letters and some words of the first texts; 'en' where nothing speaks for another."""
    sample = ""
    for text in texts:
        sample += text[:500] + "\n"
        if len(sample) > _GUESSED_FROM:
            break
    letters = sum(c.isalpha() for c in sample)
    if letters and sum(is_wide(c) for c in sample) > 0.2 * letters:
        return "zh"
    turkish = len(_TURKISH.findall(sample))
    return "tr" if letters and turkish > 0.02 * letters else "en"


def join_lines(lines: Sequence[str]) -> str:
    """Wrapped lines as one text: nothing between Chinese lines, and a word cut by a hyphen put together."""
    text = ""
    for line in lines:
        line = line.replace("\t", " ")
        if not text or not line or _joins_without_space(text[-1], line[0]):
            text += line
        elif text[-1] == "\u00ad" or (len(text) > 1 and text[-1] == "-" and text[-2].isalpha() and line[0].islower()):
            text = text[:-1] + line
        else:
            text += f" {line}"
    return text.replace("\u00ad", "").strip()


def _joins_without_space(last: str, first: str) -> bool:
    return is_wide(last) or is_wide(first) or last in "，。；：、！？）”’" or first in "（“‘"


def split_variants(text: str, mark: re.Pattern[str] | None) -> tuple[str, ...]:
    """The pieces of a text that begin with the mark of a variant; empty where there is none.

    What stands before the first mark belongs to all of them and stays in the text alone.
    """
    if mark is None:
        return ()
    starts = list(mark.finditer(text))
    if not starts:
        return ()
    ends = [match.start() for match in starts[1:]] + [len(text)]
    pieces = [text[match.end() : end].strip() for match, end in zip(starts, ends, strict=True)]
    return tuple(piece for piece in pieces if piece)


def _begins(line: Line, profile: Profile, head: Draft | None, pieces: Sequence[str]) -> Draft | None:
    """The entry that a line begins, or None if it is text."""
    after = profile.after_pattern
    finished = head is None or not pieces or after is None or bool(after.search(pieces[-1]))
    text = line.text.translate(_FULL_WIDTH)
    for pattern in profile.headword_patterns:
        match = pattern.match(text)
        if match is None:
            continue
        groups = match.groupdict()
        # a number or the pronunciation stands at headwords only, so that the text before may be unfinished
        if not finished and not groups.get("number") and not groups.get("ignored"):
            continue
        return Draft(
            headword=groups["headword"].strip(),
            aliases=split_aliases(groups.get("names") or ""),
            text=groups.get("text") or "",
            number=groups.get("number") or "",
            page=line.page,
            line=line.number,
        )
    return None


def _fields(row: Row, profile: Profile, path: Path) -> dict[str, str]:
    """Column name by field of an entry."""
    fields: dict[str, str] = {}
    for column in row.values:
        name = profile.field_of(column)
        if name is not None:
            fields.setdefault(name, column)
    for column in fields.values():
        if f"{column}{SECOND}" in row.values:
            raise KnowledgeBaseError(f"{path}: the column {column!r} occurs twice; rename or remove one")
    return fields


def _missing(row: Row, fields: Mapping[str, str], profile: Profile) -> str:
    """What a row lacks that an entry needs; '' if nothing."""
    names = [name for name in ("headword", "text") if name not in fields]
    expected = " and ".join(f"{name} ({', '.join(profile.columns.get(name, (name,))[:3])}, ...)" for name in names)
    return f"the columns are {', '.join(row.values) or 'none'}; there is none for {expected}" if names else ""


def _language(value: str, where: str) -> str:
    """A language code in its usual case ('EN' is 'en', 'zh_tw' is 'zh-TW'); '' for nothing."""
    if not value:
        return ""
    code = value.strip().replace("_", "-")
    if not _LANGUAGE.fullmatch(code):
        raise KnowledgeBaseError(f"{where}: found {value!r}, expected a language code such as zh, tr, en or zh-TW")
    base, *others = code.split("-")
    return "-".join((base.lower(), *(other.upper() if len(other) == 2 else other.title() for other in others)))


def _page(value: str, where: str) -> int | None:
    if not value:
        return None
    if not value.isdecimal():
        raise KnowledgeBaseError(f"{where}, column page: found {value!r}, expected a whole number or nothing")
    return int(value)


def _kind(value: str, where: str) -> Kind | None:
    if not value:
        return None
    for kind in KINDS:
        if value.strip().lower() == kind:
            return kind
    raise KnowledgeBaseError(f"{where}, column kind: found {value!r}, expected {' or '.join(KINDS)}")
