"""What turns names into vectors: the offline encoder, open_clip, or an endpoint that speaks OpenAI's protocol."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

import numpy as np

from gspmc_mm.descriptions import EncoderError, TextEncoder, check_language, get_encoder
from gspmc_mm.extras import how_to_install
from gspmc_mm.gsp.client.config import address_problem
from gspmc_mm.gsp.knowledge.entries import KnowledgeBaseError

NO_EMBEDDER = "none"
OFFLINE = "use-multilingual"
_OPENAI = "openai:"
_TEXTS_PER_REQUEST = 256


class EndpointEmbedder:
    """Embeddings from any endpoint with OpenAI's protocol.

    The key is read from OPENAI_API_KEY by the client and is never written anywhere.

    Args:
        model: name of the model at the endpoint.
        base_url: address of the endpoint; OPENAI_BASE_URL or OpenAI's own by default.

    Raises:
        ImportError: openai is not installed.
        KnowledgeBaseError: the address holds a secret or is none; the endpoint cannot be reached, or has no such
            model: asked once, at the start.
    """

    note = ""
    max_tokens: int | None = None

    def __init__(self, model: str, base_url: str | None = None) -> None:
        try:
            import openai
        except ImportError as error:
            raise ImportError(f"an embedder 'openai:...' needs openai: {how_to_install('gsp')}") from error
        self._model = model
        self._failure = openai.OpenAIError
        if base_url and (problem := address_problem(base_url)):
            # specification and command are written into the manifest, and into this message no part of them
            raise KnowledgeBaseError(
                f"embedder 'openai:<model>@<base URL>': {problem}; a key goes to OPENAI_API_KEY, it is written nowhere"
            )
        url = base_url or os.environ.get("OPENAI_BASE_URL")
        try:
            # local servers ask for no key, but the client does
            key = os.environ.get("OPENAI_API_KEY") or ("none" if url else None)
            self._client = openai.OpenAI(base_url=url, api_key=key, max_retries=5, timeout=60)
        except openai.OpenAIError:
            raise KnowledgeBaseError(
                f"embedder 'openai:{model}': no key and no address; set OPENAI_API_KEY, or OPENAI_BASE_URL for an "
                "endpoint of your own"
            ) from None
        host = urlsplit(str(self._client.base_url)).hostname or "?"
        self.id = f"{_OPENAI}{model}@{host}"
        self.dim = self._ask(["sign"]).shape[1]

    def count_tokens(self, text: str) -> int:
        """Not known here; the endpoint counts."""
        raise KnowledgeBaseError(f"{self.id} does not say how it counts tokens")

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors (n, dim) float32.

        Raises:
            KnowledgeBaseError: the endpoint fails after retries, or answers something else than was asked for.
        """
        starts = range(0, len(texts), _TEXTS_PER_REQUEST)
        parts = [self._ask(list(texts[start : start + _TEXTS_PER_REQUEST])) for start in starts]
        return np.concatenate(parts) if parts else np.zeros((0, self.dim), np.float32)

    def _ask(self, texts: list[str]) -> np.ndarray:
        try:
            answer = self._client.embeddings.create(model=self._model, input=texts, encoding_format="float")
        except self._failure as error:
            # the class and the status, not the text: some servers repeat the key in it
            status = getattr(error, "status_code", None)
            what = type(error).__name__ + (f", status {status}" if status else "")
            raise KnowledgeBaseError(
                f"embedder {self.id}: the endpoint failed ({what}); check its address, the model's name and the key"
            ) from None
        rows = sorted(answer.data, key=_index)
        vectors = np.array([row.embedding for row in rows], dtype=np.float64)
        expected = (len(texts), getattr(self, "dim", vectors.shape[-1]))
        if vectors.ndim != 2 or vectors.shape != expected or [row.index for row in rows] != list(range(len(texts))):
            raise KnowledgeBaseError(f"embedder {self.id}: found vectors of shape {vectors.shape}, expected {expected}")
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not (np.isfinite(norms) & (norms > 1e-9)).all():
            raise KnowledgeBaseError(f"embedder {self.id}: found a vector that is zero or not a number")
        return (vectors / norms).astype(np.float32)


def get_embedder(spec: str) -> TextEncoder | None:
    """The embedder that a specification names; None for 'none'.

    Args:
        spec: 'use-multilingual' (offline), 'open_clip:<model>/<weights>', 'openai:<model>' or
            'openai:<model>@<base URL>', or 'none'.

    Raises:
        KnowledgeBaseError: a specification that names no embedder, or an embedder that cannot be had.
        ImportError: the package of the embedder is not installed; the message names the extra.
    """
    if spec == NO_EMBEDDER:
        return None
    if spec == OFFLINE:
        from gspmc_mm.gsp.knowledge.sentence_encoder import BatchedSentenceEncoder

        return BatchedSentenceEncoder()
    if spec.startswith(_OPENAI):
        model, _, url = spec.removeprefix(_OPENAI).partition("@")
        if not model:
            raise KnowledgeBaseError(
                "embedder 'openai:' without a model: expected 'openai:<model>' or 'openai:<model>@<base URL>'"
            )
        return EndpointEmbedder(model, url or None)
    try:
        return get_encoder(spec)
    except EncoderError as error:
        raise KnowledgeBaseError(f"embedder {spec!r}: {error} (or 'openai:<model>', or '{NO_EMBEDDER}')") from None


def check_languages(embedder: TextEncoder, languages: Iterable[str]) -> None:
    """Refuse an encoder that cannot read the entries.

    Raises:
        KnowledgeBaseError: the encoder reads other languages only.
    """
    for language in languages:
        try:
            check_language(embedder, language)
        except EncoderError as error:
            raise KnowledgeBaseError(
                f"{error}; for the entries in {language!r}, take '{OFFLINE}', a multilingual model, or '{NO_EMBEDDER}'"
            ) from None


def _index(row) -> int:
    return row.index
