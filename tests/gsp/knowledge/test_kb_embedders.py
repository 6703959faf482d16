from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from gspmc_mm.gsp.knowledge.base import KnowledgeBase, build_knowledge_base
from gspmc_mm.gsp.knowledge.embedders import check_languages, get_embedder
from gspmc_mm.gsp.knowledge.entries import KnowledgeBaseError
from gspmc_mm.gsp.knowledge.retrieval import Retriever

KEY = "sk-very-secret"


@pytest.fixture
def endpoint(monkeypatch):
    """An embedding server on loopback; `server.answer` can be replaced."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.server.requests.append((self.path, self.headers.get("Authorization"), asked))
            status, content = self.server.answer(asked)
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments):
            """Keep the tests' output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.requests, server.answer = [], answer
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    yield server
    server.shutdown()


def answer(asked):
    vectors = [[len(text) + 1.0, text.count("a") + 1.0, 2.0] for text in asked["input"]]
    rows = [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(vectors)]
    return 200, {
        "object": "list",
        "data": rows[::-1],
        "model": asked["model"],
        "usage": {"prompt_tokens": 1, "total_tokens": 1},
    }


def test_an_endpoint_gives_unit_vectors_in_the_order_of_the_texts(endpoint):
    embedder = get_embedder(f"openai:small@{endpoint.url}")
    vectors = embedder.encode(["a", "banana"])
    expected = np.array([[2, 2, 2], [7, 4, 2]], float)
    np.testing.assert_allclose(vectors, expected / np.linalg.norm(expected, axis=1, keepdims=True), rtol=1e-6)
    assert (embedder.id, embedder.dim) == ("openai:small@127.0.0.1", 3)
    assert embedder.encode([]).shape == (0, 3)
    path, authorization, asked = endpoint.requests[-1]
    assert (path, authorization, asked["model"]) == ("/v1/embeddings", f"Bearer {KEY}", "small")


def test_many_texts_are_sent_in_several_requests(endpoint):
    embedder = get_embedder(f"openai:small@{endpoint.url}")
    endpoint.requests.clear()
    assert embedder.encode(["a" * (i % 7 + 1) for i in range(600)]).shape == (600, 3)
    assert [len(asked["input"]) for _, _, asked in endpoint.requests] == [256, 256, 88]


def test_a_base_is_built_and_asked_through_an_endpoint(endpoint, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
    (tmp_path / "a.csv").write_text("headword,text\nbanana,one\nkiwi,two\n")
    report = build_knowledge_base([tmp_path / "a.csv"], tmp_path / "kb", embedder="openai:small")
    hits = Retriever(KnowledgeBase.open(report.path)).search("papaya")
    assert hits[0].entry.headword == "banana"
    assert KEY not in "".join(path.read_text("latin-1") for path in (tmp_path / "kb").rglob("*") if path.is_file())


@pytest.mark.parametrize("status", [401, 404])
def test_a_failing_endpoint_is_named_without_the_key(endpoint, status):
    def fail(asked):
        return status, {"error": {"message": f"bad key {KEY}"}}

    endpoint.answer = fail
    with pytest.raises(
        KnowledgeBaseError, match=rf"openai:small@127\.0\.0\.1: the endpoint failed .*status {status}"
    ) as info:
        get_embedder(f"openai:small@{endpoint.url}")
    assert KEY not in str(info.value)


def test_answers_of_the_wrong_shape_are_refused(endpoint):
    embedder = get_embedder(f"openai:small@{endpoint.url}")

    def short(asked):
        status, content = answer(asked)
        return status, {**content, "data": content["data"][1:]}

    def zero(asked):
        status, content = answer(asked)
        return status, {**content, "data": [{**row, "embedding": [0.0, 0.0, 0.0]} for row in content["data"]]}

    endpoint.answer = short
    with pytest.raises(KnowledgeBaseError, match=r"found vectors of shape \(1, 3\), expected \(2, 3\)"):
        embedder.encode(["a", "b"])
    endpoint.answer = zero
    with pytest.raises(KnowledgeBaseError, match="zero or not a number"):
        embedder.encode(["a"])


def test_no_key_and_no_address_is_said(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(KnowledgeBaseError, match="set OPENAI_API_KEY, or OPENAI_BASE_URL"):
        get_embedder("openai:small")


def test_specifications_that_name_nothing_are_answered_with_those_that_do():
    assert get_embedder("none") is None
    with pytest.raises(KnowledgeBaseError, match="open_clip:<model>"):
        get_embedder("word2vec")
    with pytest.raises(KnowledgeBaseError, match="expected 'openai:<model>'"):
        get_embedder("openai:")


def test_an_encoder_of_english_is_refused_for_chinese():
    class English:
        id, dim, note, max_tokens, languages = "clip", 4, "", 77, ("en",)

    check_languages(English(), ["en"])
    with pytest.raises(KnowledgeBaseError, match="for the entries in 'zh', take 'use-multilingual'"):
        check_languages(English(), ["en", "zh"])


@pytest.mark.parametrize(
    "address", ["https://user:sk-secret@host/v1", "https://host/v1?api-key=sk-secret", "sk-secret"]
)
def test_an_address_with_a_secret_is_refused_before_anything_is_written(tmp_path, monkeypatch, address):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    (tmp_path / "a.csv").write_text("headword,text\nbanana,one\n")
    with pytest.raises(KnowledgeBaseError, match=r"expected an address.*OPENAI_API_KEY") as caught:
        build_knowledge_base([tmp_path / "a.csv"], tmp_path / "kb", embedder=f"openai:small@{address}")
    assert "sk-secret" not in str(caught.value)
    assert not [path for path in (tmp_path / "kb").rglob("*") if path.is_file() and b"secret" in path.read_bytes()]
