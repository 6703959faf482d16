"""Vectors of clips and of texts: the global feature of a network and, with texts, the space that both share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gspmc_mm.descriptions import GLOBAL_TERM

from .inference import Trained, batches


@dataclass(frozen=True)
class ClipVectors:
    """Vectors of the clips of a test loader.

    Attributes:
        clip_ids: N names.
        labels: (N,) int64.
        features: (N, C) global features, what the classifier sees; the mean over the samplings of a clip.
        projected: (N, D) unit vectors in the space of the texts; None for a network without texts.
        text_labels: (S,) signs that have a global text.
        texts: (S, D) unit vectors of their global texts; None for a network without texts.
    """

    clip_ids: tuple[str, ...]
    labels: np.ndarray
    features: np.ndarray
    projected: np.ndarray | None = None
    text_labels: np.ndarray | None = None
    texts: np.ndarray | None = None


@torch.no_grad()
def clip_vectors(trained: Trained) -> ClipVectors:
    """Features of all clips of the test loader, and the global texts where the head has a text bank on disk."""
    model, head = trained.model, trained.model.cls_head
    projection = getattr(head, "text_projections", {})
    bank = getattr(head, "bank", None)
    shares = bank is not None and GLOBAL_TERM in projection
    names: list[str] = []
    labels, features, projected = [], [], []
    for batch in batches(trained):
        pooled, _ = model.extract_feat(batch.inputs, stage="neck")
        pooled = pooled.float().view(len(batch.clip_ids), -1, pooled.size(-1)).mean(1)
        names += batch.clip_ids
        labels.append(batch.labels)
        features.append(pooled.cpu().numpy())
        if shares:
            projected.append(_unit(projection[GLOBAL_TERM](pooled)))
    vectors = ClipVectors(tuple(names), np.concatenate(labels), np.concatenate(features))
    if not shares:
        return vectors
    rows = np.flatnonzero(np.asarray(bank.terms) == bank.term_names.index(GLOBAL_TERM))
    return ClipVectors(
        vectors.clip_ids,
        vectors.labels,
        vectors.features,
        np.concatenate(projected),
        np.asarray(bank.labels)[rows],
        _unit(head.text_vectors[torch.as_tensor(rows, device=head.text_vectors.device)]),
    )


def _unit(vectors: Tensor) -> np.ndarray:
    return torch.nn.functional.normalize(vectors.float(), dim=-1).cpu().numpy()


def nearest_agreement(vectors: np.ndarray, labels: np.ndarray) -> float:
    """Share of the clips whose nearest other clip by cosine is of the same sign.

    Args:
        vectors: (N, D), N >= 2.
        labels: (N,).
    """
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -np.inf)
    return float((labels[cosine.argmax(axis=1)] == labels).mean())
