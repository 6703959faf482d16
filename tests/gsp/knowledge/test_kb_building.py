from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from gspmc_mm.gsp.knowledge import building
from gspmc_mm.gsp.knowledge.base import KnowledgeBase, build_knowledge_base
from gspmc_mm.gsp.knowledge.entries import KnowledgeBaseError

PROFILES = ("gf0020", "gf0021=alphabet*")


class CountingEmbedder:
    """Vectors from the letters of a name; counts what it is asked for and can be told to stop."""

    id, dim, note, max_tokens = "letters", 16, "a test", None
    languages = None

    def __init__(self, stop_after: int | None = None) -> None:
        self.asked: list[str] = []
        self.stop_after = stop_after

    def count_tokens(self, text: str) -> int:
        return len(text)

    def encode(self, texts):
        if self.stop_after is not None and len(self.asked) >= self.stop_after:
            raise KeyboardInterrupt
        self.asked += texts
        rows = np.ones((len(texts), self.dim), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for letter in text:
                row[ord(letter) % self.dim] += 3
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def embedder(monkeypatch) -> CountingEmbedder:
    counting = CountingEmbedder()
    monkeypatch.setattr(building, "get_embedder", lambda spec: counting)
    return counting


def build(sources: Path, out: Path, **values):
    return build_knowledge_base([sources], out, **{"profile": PROFILES, "embedder": "none", **values})


def test_what_is_built_says_what_it_is_made_of(sources, tmp_path):
    report = build(sources, tmp_path / "kb", command="the command")
    manifest = report.manifest
    assert {record.name: record.entries for record in manifest.sources} == {"alphabet": 2, "lexicon": 6, "turkish": 7}
    assert manifest.languages == {"tr": 7, "zh": 8}
    assert manifest.kinds == {"handshape": 3, "sign": 12}
    assert (manifest.entries, manifest.flagged, manifest.embedder, manifest.command) == (15, 1, "none", "the command")
    kb = KnowledgeBase.open(tmp_path / "kb")
    assert len(kb) == len(list(kb)) == 15
    assert kb.languages == ("zh", "tr")
    assert kb.corpus_hash == manifest.corpus_hash
    entry = kb.entry("lexicon:办公:1")
    assert entry.variants == ("左手横伸，掌心向上。", "双手拇、食指搭成“公”字形。")
    assert entry.licence.startswith("GF 0020-2018")
    (flagged,) = (entry for entry in kb if entry.flags)
    assert flagged.headword == "坏词"
    with pytest.raises(KnowledgeBaseError, match="has no entry 'x'"):
        kb.entry("x")


def test_lookup_takes_headwords_before_aliases_and_same_letters_before_others(kb):
    def heads(name: str, **values) -> list[str]:
        return [entry.headword for entry in kb.lookup(name, **values)]

    assert heads("祖父") == ["爷爷"]
    assert heads("calismak") == ["ÇALIŞMAK"]
    assert heads("iş yapmak") == heads("IS YAPMAK") == ["ÇALIŞMAK"]
    # both are 'olmek'/'olmak' in ASCII letters only as far as their letters are the same
    assert heads("ölmek") == heads("ÖLMEK") == heads("olmek") == ["ÖLMEK"]
    assert heads("Q") == ["Q", "Q"]
    assert heads("q", language="tr") == ["Q"]
    assert heads("Q", kind="sign") == []
    assert heads("") == heads("—") == []


def test_marks_decide_where_they_tell_words_apart(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("headword,text,language\nol,a.,tr\nöl,b.,tr\n", encoding="utf-8")
    kb = KnowledgeBase.open(build_knowledge_base([path], tmp_path / "kb", embedder="none").path)
    assert [entry.text for entry in kb.lookup("öl")] == ["b."]
    assert [entry.text for entry in kb.lookup("OL")] == ["a."]


def test_an_unchanged_rebuild_writes_nothing(sources, tmp_path):
    first = build(sources, tmp_path / "kb")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "kb").rglob("*")}
    again = build(sources, tmp_path / "kb")
    assert again.unchanged
    assert again.manifest == first.manifest
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "kb").rglob("*")} == before


def test_only_what_changed_is_read_and_encoded_again(sources, tmp_path, embedder):
    first = build(sources, tmp_path / "kb", embedder="letters")
    assert first.vectors_made == len(embedder.asked) == first.manifest.vectors
    embedder.asked.clear()
    with (sources / "alphabet.txt").open("a", encoding="utf-8") as file:
        file.write("U\n食、中指并拢直立。\n")
    second = build(sources, tmp_path / "kb", embedder="letters")
    assert (second.read, second.taken_over) == (("alphabet",), ("lexicon", "turkish"))
    assert embedder.asked == ["u"]
    fresh = build(sources, tmp_path / "fresh", embedder="letters")
    assert fresh.manifest.corpus_hash == second.manifest.corpus_hash != first.manifest.corpus_hash
    assert [*KnowledgeBase.open(tmp_path / "fresh")] == [*KnowledgeBase.open(tmp_path / "kb")]
    assert len(list((tmp_path / "kb").glob("data-*"))) == 1


def test_a_source_less_is_gone_and_another_profile_reads_again(sources, tmp_path):
    build(sources, tmp_path / "kb")
    (sources / "turkish.csv").unlink()
    fewer = build(sources, tmp_path / "kb")
    assert fewer.manifest.languages == {"zh": 8}
    assert fewer.read == ()
    other = build(sources, tmp_path / "kb", profile=("gf0020", "gf0020=alphabet*"))
    assert other.read == ("alphabet",)
    assert set(other.manifest.kinds) == {"sign"}


def test_the_hash_of_the_corpus_does_not_depend_on_the_embedder(sources, tmp_path, embedder):
    with_vectors = build(sources, tmp_path / "a", embedder="letters").manifest
    without = build(sources, tmp_path / "b").manifest
    assert with_vectors.corpus_hash == without.corpus_hash
    assert with_vectors.vectors > 0 == without.vectors


def test_an_interrupted_build_leaves_the_old_base_and_goes_on_where_it_was(sources, tmp_path, embedder, monkeypatch):
    from gspmc_mm.gsp.knowledge import vector_index

    build(sources, tmp_path / "kb")
    old = KnowledgeBase.open(tmp_path / "kb").manifest
    monkeypatch.setattr(vector_index, "_CHUNK", 4)
    embedder.stop_after = 8
    with pytest.raises(KeyboardInterrupt):
        build(sources, tmp_path / "kb", embedder="letters")
    assert KnowledgeBase.open(tmp_path / "kb").manifest == old
    made, embedder.stop_after = list(embedder.asked), None
    report = build(sources, tmp_path / "kb", embedder="letters")
    assert len(made) == 8
    assert len(embedder.asked) == len(set(embedder.asked)) == report.manifest.vectors
    assert not (tmp_path / "kb" / "building").exists()
    kb = KnowledgeBase.open(tmp_path / "kb")
    rows = np.load(kb.path / kb.manifest.data / "vectors" / "vectors.npy")
    expected = CountingEmbedder().encode(list(dict.fromkeys(name for name, _ in kb._table.names())))
    np.testing.assert_allclose(rows.astype(np.float32), expected, atol=1e-3)


def test_a_killed_build_leaves_the_old_base(repository, sources, tmp_path):
    build(sources, tmp_path / "kb")
    old = KnowledgeBase.open(tmp_path / "kb").manifest
    with (sources / "lexicon.txt").open("a", encoding="utf-8") as file:
        file.writelines(f"新词{n}号\n一手伸食指。\n" for n in range(3000))

    # a process of its own that loads the package without what importing it registers, which takes seconds
    code = f"""
import importlib.util, os, signal, sys, types
package = types.ModuleType("gspmc_mm")
package.__path__, package.__version__ = list(importlib.util.find_spec("gspmc_mm").submodule_search_locations), "test"
sys.modules["gspmc_mm"] = package
from gspmc_mm.gsp.knowledge.base import build_knowledge_base

def stop(stage, done, total):
    if (stage, done) == ("read entries", 2000):
        os.kill(os.getpid(), signal.SIGKILL)

build_knowledge_base([{str(sources)!r}], {str(tmp_path / "kb")!r}, profile={PROFILES!r}, embedder="none", progress=stop)
"""
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=repository)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (tmp_path / "kb" / "building").is_dir()
    assert KnowledgeBase.open(tmp_path / "kb").manifest == old
    assert [e.headword for e in KnowledgeBase.open(tmp_path / "kb").lookup("祖父")] == ["爷爷"]
    report = build(sources, tmp_path / "kb")
    assert report.manifest.entries == old.entries + 3000


def test_a_reader_of_the_old_base_is_not_disturbed(sources, tmp_path):
    build(sources, tmp_path / "kb")
    reader = KnowledgeBase.open(tmp_path / "kb")
    (sources / "turkish.csv").unlink()
    build(sources, tmp_path / "kb")
    assert [entry.headword for entry in reader.lookup("abla")] == ["ABLA"]
    assert KnowledgeBase.open(tmp_path / "kb").lookup("abla") == []


def test_two_processes_do_not_build_in_the_same_place(sources, tmp_path):
    with building._sole_builder(tmp_path / "kb"), pytest.raises(KnowledgeBaseError, match="being built by another"):
        build(sources, tmp_path / "kb")


def test_a_folder_with_other_things_is_refused(sources, tmp_path):
    with pytest.raises(KnowledgeBaseError, match="holds no knowledge base"):
        build(sources, sources)
    (tmp_path / "file").write_text("x")
    with pytest.raises(KnowledgeBaseError, match="is a file"):
        build(sources, tmp_path / "file")


def test_a_source_without_entries_is_an_error_with_what_was_seen(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("no headword here at all, only prose\nand more of it\n")
    with pytest.raises(KnowledgeBaseError, match=r"a\.txt: no entry found.*'plain'.*2 lines.*only prose.*gf0020"):
        build_knowledge_base([path], tmp_path / "kb", embedder="none")
    assert not (tmp_path / "kb" / "manifest.json").exists()


def test_the_same_id_twice_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id,headword,text\nx,love,a\nx,hate,b\n")
    with pytest.raises(KnowledgeBaseError, match="the entry id 'x' occurs twice"):
        build_knowledge_base([path], tmp_path / "kb", embedder="none")


def test_files_of_one_name_in_two_folders_are_told_apart(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.csv").write_text(f"headword,text\nlove,{folder}\n")
    kb = KnowledgeBase.open(
        build_knowledge_base([tmp_path / "one", tmp_path / "two"], tmp_path / "kb", embedder="none").path
    )
    assert [entry.id for entry in kb.lookup("love")] == ["one/a.csv:love:1", "two/a.csv:love:1"]


def test_columns_of_a_table_reach_the_entry(tmp_path):
    path = tmp_path / "a.jsonl"
    row = dict(
        headword="Y", text="thumb and little finger out", kind="handshape", page=4, source="the book", language="en"
    )
    path.write_text(json.dumps(row))
    (entry,) = KnowledgeBase.open(build_knowledge_base([path], tmp_path / "kb", embedder="none").path)
    assert (entry.kind, entry.page, entry.source, entry.language) == ("handshape", 4, "the book", "en")
    assert entry.id == "a:handshape:y:1"


def test_opening_says_what_is_missing(tmp_path, sources):
    with pytest.raises(FileNotFoundError, match=r"no such folder.*build_kb"):
        KnowledgeBase.open(tmp_path / "none")
    (tmp_path / "half").mkdir()
    with pytest.raises(FileNotFoundError, match="has not been finished"):
        KnowledgeBase.open(tmp_path / "half")
    report = build(sources, tmp_path / "kb")
    manifest = tmp_path / "kb" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"format_version": 1', '"format_version": 2'))
    with pytest.raises(KnowledgeBaseError, match="of format 1"):
        KnowledgeBase.open(report.path)


def test_entries_are_read_by_several_threads_at_once(kb):
    from concurrent.futures import ThreadPoolExecutor

    def ask(number: int) -> str:
        return kb.lookup(("祖父", "abla", "气氛")[number % 3])[0].headword

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(300))) == ["爷爷", "ABLA", "气氛"] * 100


def test_progress_is_told(sources, tmp_path, embedder):
    stages: list[str] = []
    build(sources, tmp_path / "kb", embedder="letters", progress=lambda stage, done, total: stages.append(stage))
    assert list(dict.fromkeys(stages)) == ["look at sources", "load the embedder", "make vectors", "put in place"]


def test_building_again_does_not_take_long(sources, tmp_path):
    with (sources / "lexicon.txt").open("a", encoding="utf-8") as file:
        file.writelines(f"新词{n}号\n一手伸食指，指尖朝前。\n" for n in range(5000))
    build(sources, tmp_path / "kb")
    started = time.perf_counter()
    assert build(sources, tmp_path / "kb").unchanged
    assert time.perf_counter() - started < 2


def damage(path: Path, how: str) -> None:
    if how == "missing":
        path.unlink()
    elif how == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        path.write_bytes(b"x" * path.stat().st_size)


@pytest.mark.parametrize("how", ["missing", "cut"])
@pytest.mark.parametrize(
    "name", ["entries.sqlite", "words/vocab.index.json", "vectors/names.faiss", "vectors/vectors.npy"]
)
def test_a_damaged_base_is_refused_and_built_again(sources, tmp_path, embedder, name, how):
    whole = build(sources, tmp_path / "kb", embedder="letters")
    damage(tmp_path / "kb" / whole.manifest.data / name, how)
    with pytest.raises(KnowledgeBaseError, match=rf"{name} .*not whole; build it again"):
        KnowledgeBase.open(tmp_path / "kb")
    again = build(sources, tmp_path / "kb", embedder="letters")
    assert not again.unchanged
    assert again.taken_over == (() if name == "entries.sqlite" else ("alphabet", "lexicon", "turkish"))
    assert again.vectors_made == (whole.manifest.vectors if name == "vectors/vectors.npy" else 0)
    assert again.manifest.corpus_hash == whole.manifest.corpus_hash
    kb = KnowledgeBase.open(tmp_path / "kb")
    assert kb.lookup("祖父")
    assert kb.words.scores([("右手", "zh")]).shape == (15,)
    assert kb.vectors.search(CountingEmbedder().encode(["abla"])[0], 1)[0][1] == pytest.approx(1, abs=1e-2)
    assert build(sources, tmp_path / "kb", embedder="letters").unchanged


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("entries.sqlite", lambda kb: kb.lookup("abla")),
        ("vectors/names.faiss", lambda kb: kb.vectors),
        ("vectors/starts.npy", lambda kb: kb.vectors),
        ("words/vocab.index.json", lambda kb: kb.words),
    ],
)
def test_damage_of_the_same_size_is_named_and_its_advice_helps(sources, tmp_path, embedder, name, read):
    manifest = build(sources, tmp_path / "kb", embedder="letters").manifest
    path = tmp_path / "kb" / manifest.data / name
    damage(path, "other bytes")
    broken = path.parent if name.startswith("words") else path
    with pytest.raises(
        KnowledgeBaseError, match=rf"{broken}: .*cannot be read .*; delete this (file|folder) and build"
    ):
        read(KnowledgeBase.open(tmp_path / "kb"))
    shutil.rmtree(broken) if broken.is_dir() else broken.unlink()
    assert build(sources, tmp_path / "kb", embedder="letters").vectors_made == 0
    assert read(KnowledgeBase.open(tmp_path / "kb"))


def test_a_table_that_is_damaged_inside_is_read_from_the_sources_again(sources, tmp_path):
    manifest = build(sources, tmp_path / "kb").manifest
    damage(tmp_path / "kb" / manifest.data / "entries.sqlite", "other bytes")
    with (sources / "alphabet.txt").open("a", encoding="utf-8") as file:
        file.write("U\n食、中指并拢直立。\n")
    assert build(sources, tmp_path / "kb").read == ("alphabet", "lexicon", "turkish")


def test_a_manifest_from_before_sizes_were_kept_counts_what_is_there(sources, tmp_path):
    report = build(sources, tmp_path / "kb")
    path = tmp_path / "kb" / "manifest.json"
    content = json.loads(path.read_text("utf-8"))
    del content["files"]
    path.write_text(json.dumps(content), encoding="utf-8")
    assert build(sources, tmp_path / "kb").unchanged
    shutil.rmtree(tmp_path / "kb" / report.manifest.data / "words")
    with pytest.raises(KnowledgeBaseError, match="words is missing, the knowledge base is not whole"):
        KnowledgeBase.open(tmp_path / "kb")
    again = build(sources, tmp_path / "kb")
    assert again.taken_over == ("alphabet", "lexicon", "turkish")
    assert "words/vocab.index.json" in again.manifest.files


def test_a_pattern_that_fits_no_file_is_an_error_that_names_the_files(sources, tmp_path):
    with pytest.raises(
        KnowledgeBaseError, match=r"gf0021=alfabet\*: the pattern fits no file; .*alphabet\.txt, lexicon\.txt, turkish"
    ):
        build(sources, tmp_path / "kb", profile=("gf0020", "gf0021=alfabet*"))
    assert not (tmp_path / "kb").exists()


def test_language_and_kind_of_every_entry_are_codes(kb):
    languages, kinds = kb.attributes
    entries = list(kb)
    for column, of_entries in ((languages, [e.language for e in entries]), (kinds, [e.kind for e in entries])):
        assert set(column.values) == set(of_entries)
        for value in (*column.values, "none of these"):
            assert column.equals(value).tolist() == [each == value for each in of_entries]
    assert (languages.codes.itemsize, kinds.codes.itemsize, len(languages)) == (2, 1, 15)
