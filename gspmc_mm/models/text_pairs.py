"""Which texts a batch is contrasted with, and which of them are whose positives.

Rows of the text bank are plain integers until the very end, so all of this runs on the CPU without waiting
for a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.distributed
from torch import Tensor

POSITIVES = ("label", "text")
NEGATIVES = ("batch", "bank")


def pair_texts(
    rows: np.ndarray,
    groups: np.ndarray,
    text_ids: np.ndarray,
    candidates: np.ndarray | None = None,
    by_text: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Texts of one term for a batch, and the positives among them.

    A group is the texts of one sign for one term. Two skeletons of the same sign share all texts of their
    group, also when a different synonym was drawn for each.

    Args:
        rows: (B, K) int, rows of the bank that are each skeleton's texts; -1 = none.
        groups: (R,) int, group of every row of the bank.
        text_ids: (R,) int, equal for rows with the same sentence.
        candidates: Rows of the bank that are negatives beside the batch's own; None = the batch's texts only.
        by_text: A sentence that several signs share is one text, and a positive of all of them. Otherwise
            each sign has its own copy, which is a negative of the others.

    Returns:
        `(chosen, positives)`: (M,) rows of the bank, one for each text; (B, M) bool.
    """
    used = rows[rows >= 0]
    chosen = np.unique(used if candidates is None else np.concatenate([used, candidates]))
    has_text = (rows >= 0).any(axis=1)
    # All texts of a skeleton are of one group; -1 where it has none.
    own = np.where(has_text, groups[np.maximum(rows.max(axis=1, initial=-1), 0)], -1)
    positives = own[:, None] == groups[chosen][None, :]
    if by_text and len(chosen):
        sentences, first = np.unique(text_ids[chosen], return_index=True)
        chosen = chosen[first]
        # A sign owns a sentence also when this batch drew another of its synonyms: ask the whole bank.
        copies = np.flatnonzero(np.isin(text_ids, sentences))
        same_text = text_ids[copies][:, None] == sentences[None, :]  # (copies, M)
        positives = (own[:, None] == groups[copies][None, :]).astype(np.int64) @ same_text > 0
    return chosen, positives


def stack_terms(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The texts and positives of T terms as one array each, so that the loss of all terms is one computation.

    Args:
        pairs: What `pair_texts` found for each term: (M_t,) rows of the bank and (B, M_t) positives.

    Returns:
        `(chosen, positives, present)`: (T, M) rows of the bank, (T, B, M) bool and (T, M) bool with M the most texts
        of a term. Where a term has fewer, `present` is False, the row is 0 and there is no positive.
    """
    counts = [len(rows) for rows, _ in pairs]
    batch = len(pairs[0][1])
    chosen = np.zeros((len(pairs), max(counts)), dtype=np.int64)
    positives = np.zeros((len(pairs), batch, max(counts)), dtype=bool)
    for term, (count, (rows, of_term)) in enumerate(zip(counts, pairs, strict=True)):
        chosen[term, :count] = rows
        positives[term, :, :count] = of_term
    return chosen, positives, np.arange(max(counts)) < np.array(counts)[:, None]


def distributed_world() -> int:
    """Number of processes that train together."""
    ready = torch.distributed.is_available() and torch.distributed.is_initialized()
    return torch.distributed.get_world_size() if ready else 1


class _AllGather(torch.autograd.Function):
    """All ranks' tensors behind one another; its gradient is summed over the ranks that used it."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, features: Tensor) -> Tensor:
        parts = [torch.empty_like(features) for _ in range(distributed_world())]
        torch.distributed.all_gather(parts, features)
        return torch.stack(parts)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> Tensor:
        gradient = gradient.clone(memory_format=torch.contiguous_format)  # reduced in place
        torch.distributed.all_reduce(gradient)
        return gradient[torch.distributed.get_rank()]


def gather_features(features: Tensor) -> Tensor:
    """Features of all ranks, (..., B, D) -> (..., W * B, D), differentiable with the right scale.

    The gradient that reaches a rank's own features is the sum over the losses of all ranks. Every rank
    computes the same loss and DDP averages over ranks, so the parameters' gradients equal those of a single
    process at the global batch. Batches have to be of equal size on all ranks.
    """
    if distributed_world() == 1:
        return features
    return torch.cat(_AllGather.apply(features.contiguous()).unbind(0), dim=-2)


def gather_rows(rows: np.ndarray, device: torch.device) -> np.ndarray:
    """Rows of the bank of all ranks, (B, ...) int -> (W * B, ...) int."""
    if distributed_world() == 1:
        return rows
    # The group's backend decides where its tensors have to lie: NCCL wants them on the GPU.
    local = torch.as_tensor(rows, device=device)
    parts = [torch.empty_like(local) for _ in range(distributed_world())]
    torch.distributed.all_gather(parts, local)
    return torch.cat(parts).cpu().numpy()
