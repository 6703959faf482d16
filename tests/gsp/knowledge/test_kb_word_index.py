"""The index of words, written block by block, beside the one that bm25s makes in memory."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from gspmc_mm.gsp.knowledge import word_index
from gspmc_mm.gsp.knowledge.entries import Entry, normalize_headword
from gspmc_mm.gsp.knowledge.word_index import WordIndex, build_word_index, entry_tokens

bm25s = pytest.importorskip("bm25s", reason="the index of words needs bm25s, of the extra gsp")


def make_entry(number: int, headword: str, text: str, language: str) -> Entry:
    return Entry(
        id=str(number),
        headword=headword,
        normalized=normalize_headword(headword, language),
        text=text,
        variants=(text,),
        language=language,
        source="t",
    )


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    """Entries of very different lengths, in two scripts."""
    draw = random.Random(5)
    words = [f"word{int(draw.expovariate(0.02))}" for _ in range(400)]
    hands = "左右手伸食指向上一双心平掌下点弯曲"
    made = []
    for number in range(120):
        chinese = number % 3 == 0
        pool, glue = (hands, "") if chinese else (words, " ")
        text = glue.join(draw.choice(pool) for _ in range(draw.randint(1, 60)))
        made.append(make_entry(number, draw.choice(pool), text, "zh" if chinese else "en"))
    return made


@pytest.mark.parametrize("block", [1, 500, 10**6])
def test_scores_are_those_of_bm25s(
    entries: list[Entry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(word_index, "BLOCK_TOKENS", block)
    build_word_index(entries, tmp_path / "index")
    assert not [path for path in (tmp_path / "index").iterdir() if path.is_dir()]  # the counts are gone
    expected = bm25s.BM25(method="lucene", backend="numpy")
    expected.index([entry_tokens(entry) for entry in entries], show_progress=False)
    built = WordIndex.load(tmp_path / "index")
    for query, language in (("word1 word2 word40", "en"), ("右手伸食指", "zh"), ("word3", "en"), ("nothing", "en")):
        tokens = {*word_index.name_tokens(query, language), *word_index.text_tokens(query, language)}
        known = [token for token in tokens if token in expected.vocab_dict]
        scores = expected.get_scores(known) if known else np.zeros(len(entries))
        np.testing.assert_allclose(built.scores([(query, language)]), scores, atol=1e-5)
    assert built.scores([("右手伸食指", "zh")]).max() > 0


def test_progress_is_told_in_thousands(tmp_path: Path) -> None:
    done: list[int] = []
    same = make_entry(1, "love", "both hands", "en")
    build_word_index([same] * 2001, tmp_path / "index", done.append)
    assert done == [1000, 2000]
