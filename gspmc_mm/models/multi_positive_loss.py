"""The multi-positive contrastive loss of GSP-MC (arXiv 2505.02304, section 3.4)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from mmaction.registry import MODELS
from torch import Tensor, nn


def multi_positive_kl(logits: Tensor, positives: Tensor) -> Tensor:
    """Mean over rows with a positive of KL(uniform over the positives || softmax of the row).

    Args:
        logits: (..., B, M), similarities over temperature.
        positives: (..., B, M) bool.

    Returns:
        (...), a scalar for two matrices. 0 (with a gradient of 0) when no row has a positive.
    """
    weights = positives.to(logits.dtype)
    count = weights.sum(dim=-1, keepdim=True)
    rows = count.clamp(max=1).sum(dim=(-2, -1)).clamp(min=1)
    count = count.clamp(min=1)
    # With p = 1 / count on the positives: KL = sum p (log p - log q) = -log(count) - sum p log q. Only q is learned.
    cross_entropy = -(weights / count * F.log_softmax(logits, dim=-1)).sum(dim=(-2, -1))
    return (cross_entropy - count.log().sum(dim=(-2, -1))) / rows


TARGETS = ("soft", "hard")
# A learned temperature stays above 1/100, as in CLIP: below it a single pair decides the whole gradient.
MIN_LEARNED_TAU = 0.01


def first_positive(positives: Tensor) -> Tensor:
    """Keep the first positive of every row of (..., B, M) bool; rows without one stay empty."""
    return positives & (positives.cumsum(dim=-1) == 1)


@MODELS.register_module()
class MultiPositiveKLLoss(nn.Module):
    """Symmetric KL contrast between skeletons and texts with any number of positives on both sides.

    With unit vectors S (B, D), T (M, D), a temperature tau and Y[b, m] = 1 where text m belongs to the sign of
    skeleton b:

        Z      = S T^T / tau
        P_st   = Y[b] / sum_m Y[b, m]              P_ts = Y[:, m] / sum_b Y[b, m]
        L_con  = 1/2 ( mean_{b in R} KL(P_st[b] || softmax_m Z[b]) + mean_{m in C} KL(P_ts[m] || softmax_b Z[:, m]) )

    R are the skeletons with at least one text, C the texts with at least one skeleton.

    How this reads the paper, whose equations taken to the letter are no loss:

    - eq. 7 (skeleton to text): its denominator runs over the positives only, which makes it 1 for a single
      positive whatever the similarity; here it runs over all texts of the batch.
    - eq. 8 (text to skeleton): the transposed row softmax has columns that do not sum to 1; here the softmax is
      taken over the skeletons.
    - eq. 9 (KL): infinite where the target is 0 when taken as KL(q || p); here KL(target || prediction), in which
      those entries contribute 0.
    - eq. 10: the mean of both directions, as in the paper.

    Normalisation, log-softmax and KL are computed in float32, also under mixed precision.

    Args:
        tau: Temperature, > 0.
        learn_tau: Learn the temperature, starting from `tau`, as CLIP does. It is a parameter `log_scale` =
            log(1 / tau) of this loss; keep weight decay off it with `paramwise_cfg`.
        target: 'soft': all positives of a row share the target, as above; 'hard': one of them is the target and
            the other texts of the sign count as negatives, as in a plain InfoNCE. For comparison.
    """

    def __init__(self, tau: float = 0.1, learn_tau: bool = False, target: str = "soft") -> None:
        super().__init__()
        if not tau > 0:
            raise ValueError(f"MultiPositiveKLLoss: tau has to be positive, got {tau}.")
        if target not in TARGETS:
            raise ValueError(f"MultiPositiveKLLoss: target={target!r} is none of {TARGETS}.")
        if learn_tau and tau < MIN_LEARNED_TAU:
            raise ValueError(f"MultiPositiveKLLoss: a learned tau starts at {MIN_LEARNED_TAU} or above, got {tau}.")
        self.tau, self.target = tau, target
        self.log_scale = nn.Parameter(torch.tensor(-math.log(tau))) if learn_tau else None

    @property
    def scale(self) -> Tensor | float:
        """1 / tau, what similarities are multiplied with."""
        if self.log_scale is None:
            return 1 / self.tau
        return self.log_scale.clamp(max=-math.log(MIN_LEARNED_TAU)).exp()

    def forward(self, skeleton: Tensor, text: Tensor, positives: Tensor, present: Tensor | None = None) -> Tensor:
        """The loss of one term, or of several at once, each for itself: T in front of every shape.

        Args:
            skeleton: (B, D) skeleton features, normalised here; or (T, B, D).
            text: (M, D) text features, normalised here; or (T, M, D).
            positives: (B, M) bool, whether text m belongs to the sign of skeleton b; or (T, B, M).
            present: (M,) bool, or (T, M): which texts there are. The others fill up the terms that have fewer; they
                are nobody's positives and nobody's negatives. All by default.

        Returns:
            Scalar, or (T,); float32 (float64 for float64 input). 0 when there is no positive pair.

        Raises:
            ValueError: The shapes do not fit together.
        """
        expected = (*skeleton.shape[:-1], text.size(-2))
        fitting = (*skeleton.shape[:-2], *text.shape[-2:-1], skeleton.size(-1))
        if tuple(positives.shape) != expected or tuple(text.shape) != fitting:
            raise ValueError(
                f"MultiPositiveKLLoss: skeleton {tuple(skeleton.shape)} and text {tuple(text.shape)} need "
                f"positives of shape {expected} and equal width, got positives {tuple(positives.shape)}."
            )
        with torch.autocast(skeleton.device.type, enabled=False):
            if skeleton.dtype != torch.float64:
                skeleton = skeleton.float()
            text = text.to(skeleton.dtype)
            logits = F.normalize(skeleton, dim=-1) @ F.normalize(text, dim=-1).mT * self.scale
            of_skeletons, of_texts = positives, positives.mT
            if self.target == "hard":
                of_skeletons, of_texts = first_positive(of_skeletons), first_positive(of_texts)
            to_skeleton = multi_positive_kl(logits.mT, of_texts)
            if present is not None:
                # The least finite number and not -inf: its share of a row is 0 all the same, and 0 times it is 0.
                logits = logits.masked_fill(~present[..., None, :], torch.finfo(logits.dtype).min)
            to_text = multi_positive_kl(logits, of_skeletons)
            return 0.5 * (to_text + to_skeleton)

    def extra_repr(self) -> str:
        """The temperature, for `print(model)`."""
        return f"tau={self.tau}, learn_tau={self.log_scale is not None}, target={self.target!r}"
