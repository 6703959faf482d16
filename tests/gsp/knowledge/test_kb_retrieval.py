from __future__ import annotations

import math

import numpy as np
import pytest

from gspmc_mm.gsp.knowledge.base import KnowledgeBase, build_knowledge_base
from gspmc_mm.gsp.knowledge.embedders import get_embedder
from gspmc_mm.gsp.knowledge.entries import KnowledgeBaseError
from gspmc_mm.gsp.knowledge.retrieval import Retriever, fuse_ranks
from gspmc_mm.gsp.knowledge.spelling import spelling_similarity
from gspmc_mm.gsp.knowledge.vector_index import FLAT_UP_TO, choose_index
from gspmc_mm.gsp.knowledge.word_index import entry_tokens, name_tokens, text_tokens

ROWS = """headword,text,aliases,language
LOVE,Cross both arms on the chest.,adore,en
HATE,Flick both middle fingers forward.,,en
MOTHER,The thumb of an open hand touches the chin.,mom,en
DOCTOR,Tap the wrist of the left hand with the fingers of the right.,,en
爱,双手交叉，贴于胸前。,喜爱,zh
学校,双手横伸，掌心上下相对，从上向下拍两下。,,zh
ÖĞRETMEN,Sağ el işaret parmağı havada yazı yazar.,,tr
OKUL,İki elin parmak uçları birleşir.,,tr
"""


@pytest.fixture(scope="module")
def retriever(tmp_path_factory) -> Retriever:
    folder = tmp_path_factory.mktemp("retrieval")
    (folder / "rows.csv").write_text(ROWS, encoding="utf-8")
    report = build_knowledge_base([folder / "rows.csv"], folder / "kb")
    return Retriever(KnowledgeBase.open(report.path))


def heads(hits) -> list[str]:
    return [hit.entry.headword for hit in hits]


@pytest.mark.parametrize(
    ("query", "headword", "route", "score"),
    [
        ("LOVE", "LOVE", "exact", 1.0),
        ("love (adore)", "LOVE", "exact", 1.0),
        ("ｌｏｖｅ", "LOVE", "exact", 1.0),
        ("ogretmen", "ÖĞRETMEN", "exact", 0.95),
        ("öğretmen", "ÖĞRETMEN", "exact", 1.0),
        ("mom", "MOTHER", "alias", 0.9),
        ("喜愛", "爱", "alias", 0.9),
        ("學校", "学校", "exact", 1.0),
        ("（学校）", "学校", "exact", 1.0),
    ],
)
def test_names_come_first_whatever_their_case_width_script_and_brackets(retriever, query, headword, route, score):
    hit = retriever.search(query, k=1)[0]
    assert (hit.entry.headword, hit.route, hit.score) == (headword, route, score)


def test_aliases_of_the_class_list_are_looked_up_too(retriever):
    hits = retriever.search("female parent", aliases=("Mother",), k=1)
    assert (heads(hits), hits[0].route) == (["MOTHER"], "alias")


@pytest.mark.parametrize(("query", "headword"), [("mothr", "MOTHER"), ("docttor", "DOCTOR"), ("ogertmen", "ÖĞRETMEN")])
def test_misspelt_names_are_found(retriever, query, headword):
    hit = retriever.search(query, k=1)[0]
    assert hit.entry.headword == headword
    assert hit.route in ("bm25", "dense", "fusion")
    assert hit.ranks["spelling"] == 1
    assert 0.4 <= hit.score < 0.85


@pytest.mark.parametrize(
    ("query", "headword"),
    [("arms crossed on the chest", "LOVE"), ("掌心上下相对", "学校"), ("havada yazı yazmak", "ÖĞRETMEN")],
)
def test_words_of_the_texts_are_found(retriever, query, headword):
    best = retriever.by_words(query)[0][0]
    assert retriever.kb.numbered([best])[best].headword == headword


def test_meanings_are_found_across_languages(retriever):
    found = [n for n, _ in retriever.by_vectors("teacher", language="tr")]
    assert retriever.kb.numbered(found)[found[0]].headword == "ÖĞRETMEN"
    hits = retriever.search("physician", k=1)
    assert heads(hits) == ["DOCTOR"]
    assert "dense" in hits[0].ranks
    assert 0.3 < hits[0].scores["dense"] <= 1


def test_filters_and_lengths(retriever):
    assert {hit.entry.language for hit in retriever.search("love", k=8, language="zh")} == {"zh"}
    assert retriever.search("love", kind="handshape") == []
    assert len(retriever.search("love", k=3)) == 3
    ids = [hit.entry.id for hit in retriever.search("love", k=8)]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("query", ["", "  ", "。", "%&/", "q" * 3000, "爱" * 500])
def test_odd_queries_are_answered(retriever, query):
    retriever.search(query)


def test_a_base_without_vectors_is_searched_by_words(kb):
    retriever = Retriever(kb)
    assert retriever.embedder is None
    assert retriever.by_vectors("爱") == []
    assert heads(retriever.search("颏部", k=1)) == ["爷爷"]
    assert retriever.search("颏部", k=1)[0].route == "bm25"


def test_another_embedder_than_the_builders_is_refused(kb, retriever):
    with pytest.raises(KnowledgeBaseError, match=r"was built with the embedder 'none', and this is 'use-multilingual'"):
        Retriever(kb, retriever.embedder)


def test_ranks_are_fused_as_the_formula_says():
    fused = fuse_ranks({"a": [1, 2, 3], "b": [3, 4]})
    by_hand = {1: 1 / 61, 2: 1 / 62, 3: 1 / 63 + 1 / 61, 4: 1 / 62}
    assert dict(fused) == pytest.approx(by_hand)
    assert [item for item, _ in fused] == [3, 1, 2, 4]
    assert fuse_ranks({}) == []


def test_bm25_agrees_with_the_formula(retriever):
    kb = retriever.kb
    documents = [entry_tokens(entry) for entry in kb]
    forms = [("arms on the chest", "en")]
    query = dict.fromkeys([*name_tokens(*forms[0]), *text_tokens(*forms[0])])
    mean = sum(map(len, documents)) / len(documents)
    expected = []
    for document in documents:
        score = 0.0
        for token in query:
            holders = sum(token in other for other in documents)
            count = document.count(token)
            if count:
                rarity = math.log(1 + (len(documents) - holders + 0.5) / (holders + 0.5))
                score += rarity * count / (count + 1.5 * (1 - 0.75 + 0.75 * len(document) / mean))
        expected.append(score)
    np.testing.assert_allclose(kb.words.scores(forms), expected, rtol=1e-4)


def test_tokens_of_names_have_edges_and_chinese_texts_characters_and_pairs():
    assert text_tokens("食指，指尖", "zh") == ["食", "指", "食指", "指", "尖", "指尖"]
    assert text_tokens("ＡＢＣ Çarpar", "tr") == ["abc", "carpar", "carpa*"]
    assert len(name_tokens("love", "en")) == 1 + 4
    assert name_tokens("LOVE", "en") == name_tokens("love", "en")
    assert not set(name_tokens("爱", "zh")) & set(text_tokens("爱", "zh"))
    assert name_tokens("...", "en") == []


def test_spelling_similarity():
    assert spelling_similarity("LOVE", "love", "en") == 1
    assert spelling_similarity("öğretmen", "ogretmen", "tr") == 1
    assert spelling_similarity("mother", "mothr", "en") == pytest.approx(2 * 5 / (7 + 6))
    assert spelling_similarity("abc", "xyz", "en") == 0
    assert spelling_similarity("", "love", "en") == 0


def test_the_fast_encoder_gives_the_vectors_of_the_package(retriever):
    texts = [
        "爱",
        "love",
        "ÖĞRETMEN işareti",
        "a",
        "双手交叉，贴于胸前。",
        "the thumb of an open hand touches the chin",
    ]
    fast = get_embedder("use-multilingual")
    np.testing.assert_allclose(fast.encode(texts), fast._plain.encode(texts), atol=2e-6)
    np.testing.assert_allclose(np.linalg.norm(fast.encode(texts), axis=1), 1, atol=1e-5)
    assert fast.encode([]).shape == (0, 512)


def test_the_index_of_many_vectors_finds_what_comparing_with_all_finds(tmp_path, monkeypatch):
    from gspmc_mm.gsp.knowledge import vector_index

    draw = np.random.default_rng(0)
    rows = draw.normal(size=(3000, 32)) + 3 * draw.normal(size=(30, 32))[draw.integers(30, size=3000)]
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)
    monkeypatch.setattr(vector_index, "ivf_lists", lambda count: 64)
    monkeypatch.setattr(vector_index, "ivf_probes", lambda lists: 16)
    faiss = vector_index._import_faiss()
    for kind in ("flat", "ivf"):
        faiss.write_index(vector_index._fill_index(faiss, kind, rows), str(tmp_path / "names.faiss"))
        np.save(tmp_path / "starts.npy", np.arange(3001))
        np.save(tmp_path / "entries.npy", np.arange(3000, dtype=np.int32))
        index = vector_index.VectorIndex.load(tmp_path)
        found = 0
        for query in rows[:100].astype(np.float32):
            best = np.argsort(-(rows.astype(np.float32) @ query))[:10]
            found += len({n for n, _ in index.search(query, 10)} & set(best.tolist()))
        assert found >= (990 if kind == "flat" else 900)


def test_the_kind_of_index_is_chosen_by_size():
    assert (choose_index(1), choose_index(FLAT_UP_TO), choose_index(FLAT_UP_TO + 1)) == ("flat", "flat", "ivf")


def test_an_index_goes_to_the_gpu_where_faiss_has_one(monkeypatch):
    from gspmc_mm.gsp.knowledge import vector_index

    class Faiss:
        gpus = 1

        class StandardGpuResources:
            pass

        def get_num_gpus(self):
            return self.gpus

        def index_cpu_to_gpu(self, resources, device, index):
            return f"{index} on GPU {device}"

    faiss = Faiss()
    monkeypatch.setattr(vector_index, "_import_faiss", lambda: faiss)
    assert vector_index._to_gpu("index") == ("index on GPU 0", True)
    faiss.gpus = 0
    assert vector_index._to_gpu("index") == ("index", False)
