"""TextConditionedHead: classifier at inference, text alignment beside it while training (GSP-MC, section 3)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from mmaction.models.heads.base import BaseHead
from mmaction.registry import MODELS
from mmengine.logging import print_log
from torch import Tensor, nn

from gspmc_mm.descriptions import GLOBAL_TERM, SYNONYM_TERM, TextBank
from gspmc_mm.skeleton import PARTS

from .text_pairs import NEGATIVES, POSITIVES, gather_features, gather_rows, pair_texts, stack_terms


def top_k_correct(scores: Tensor, labels: Tensor, k: int) -> Tensor:
    """Share of rows whose label is among the k highest scores, as a tensor on the same device."""
    k = min(k, scores.size(1))
    return (scores.topk(k, dim=1).indices == labels[:, None]).any(dim=1).float().mean()


@MODELS.register_module()
class TextConditionedHead(BaseHead):
    """Linear classifier that, while it trains, also aligns skeleton features with the texts of the signs.

    The global feature is contrasted with the refined global text and with a synonym, every part feature with
    that part's texts:

        L = CE + alpha * mean over the terms that exist of L_con

    At inference the projections are not computed, and a checkpoint of a head with texts gives exactly the logits
    of one without. The bank itself is never written into a checkpoint.

    Args:
        num_classes: Number of signs.
        in_channels: Channels C of the backbone's features.
        text_bank: Path of the text bank (safetensors), or None for a plain classifier. A file that is not there
            is no error until a training loss is asked for.
        alpha: Weight of the contrastive loss.
        loss_con: The contrastive loss. It gets all terms of a batch at once, see `MultiPositiveKLLoss.forward`.
        parts: Names of the parts, as PartPooling gives them. The five parts of a sign layout by default.
        text_dim: Width D of the text vectors; 512 for CLIP ViT-B/32 and for the offline encoder.
        positives: 'label': the texts of a sign belong to that sign; 'text': a sentence that several signs share
            belongs to all of them.
        negatives: 'batch': the texts of the batch, as in the paper; 'bank': all texts of the term.
        terms: Which terms the contrastive loss is the mean of: 'global', 'synonym' and names of parts (the rows of
            the paper's Table 5). All of them by default.
        classes: Names of the signs by label; checked against those of the bank when given.
        loss_cls: Classification loss.
        label_smooth_eps: Label smoothing.
        dropout: Dropout in front of the classifier.
        average_clips: How several clips of a video are averaged, 'prob' or 'score'.
        topk: The training accuracies that are logged.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        text_bank: str | os.PathLike | None = None,
        alpha: float = 0.5,
        loss_con: Mapping | None = None,
        parts: Sequence[str] = PARTS,
        text_dim: int = 512,
        positives: str = "label",
        negatives: str = "batch",
        terms: Sequence[str] | None = None,
        classes: Sequence[str] | None = None,
        loss_cls: Mapping | None = None,
        label_smooth_eps: float = 0.0,
        dropout: float = 0.0,
        average_clips: str | None = "prob",
        topk: int | tuple[int, ...] = (1, 5),
        init_cfg: Mapping | None = None,
    ) -> None:
        super().__init__(
            num_classes,
            in_channels,
            loss_cls=dict(loss_cls or dict(type="CrossEntropyLoss")),
            label_smooth_eps=label_smooth_eps,
            topk=tuple(topk) if isinstance(topk, Sequence) else topk,
            average_clips=average_clips,
            init_cfg=dict(init_cfg or dict(type="Normal", layer="Linear", std=0.01)),
        )
        for value, allowed, name in (
            (positives, POSITIVES, "positives"),
            (negatives, NEGATIVES, "negatives"),
        ):
            if value not in allowed:
                raise ValueError(f"TextConditionedHead: {name}={value!r} is none of {allowed}.")
        self.alpha = alpha
        self.positives, self.negatives = positives, negatives
        self.classes = None if classes is None else tuple(classes)
        self.text_bank_path = None if text_bank is None else os.fspath(text_bank)
        self.parts = tuple(parts)
        every_term = (GLOBAL_TERM, SYNONYM_TERM, *self.parts)
        self.terms = every_term if terms is None else tuple(terms)
        unknown = [term for term in self.terms if term not in every_term]
        if unknown or not self.terms:
            raise ValueError(f"TextConditionedHead: terms={terms!r} should be some of {every_term}.")
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(in_channels, num_classes)
        self.bank: TextBank | None = None
        if self.with_text:
            self.loss_con = MODELS.build(dict(loss_con or dict(type="MultiPositiveKLLoss", tau=0.1)))
            self.text_dim = text_dim
            # T_g and T_s share the global projection. Its random numbers are taken aside, so that under one seed a
            # network with texts starts from the same backbone and classifier as its baseline.
            with torch.random.fork_rng(devices=[]):
                self.text_projections = nn.ModuleDict(
                    {name: nn.Linear(in_channels, text_dim) for name in self._projected}
                )
            self.register_buffer("text_vectors", torch.empty(0, text_dim), persistent=False)
            if os.path.exists(self.text_bank_path):
                self._load_bank()
            else:
                print_log(
                    f"text bank {self.text_bank_path} is not there: this model can be tested, not trained.",
                    logger="current",
                )
        else:
            self.register_load_state_dict_pre_hook(_drop_text_projections)

    @property
    def with_text(self) -> bool:
        """Whether this head has a text branch for training."""
        return self.text_bank_path is not None

    @property
    def _projected(self) -> tuple[str, ...]:
        """Names of the features that some term needs; the global text and the synonyms share one projection."""
        whole = (GLOBAL_TERM,) if {GLOBAL_TERM, SYNONYM_TERM} & set(self.terms) else ()
        return (*whole, *(part for part in self.parts if part in self.terms))

    @property
    def needed_parts(self) -> tuple[str, ...]:
        """Parts whose features `loss` asks for."""
        return tuple(name for name in self._projected if name != GLOBAL_TERM) if self.with_text else ()

    def strip_text(self) -> None:
        """Take the text branch off: what is left is the network that runs at inference."""
        if self.with_text:
            self.text_bank_path, self.bank = None, None
            del self.text_projections, self.loss_con, self.text_vectors
            self.register_load_state_dict_pre_hook(_drop_text_projections)

    def _load_bank(self) -> None:
        """Read the bank, check it against this head and keep its vectors as a frozen buffer."""
        bank = TextBank.load(self.text_bank_path)
        bank.check_classes(num_classes=self.num_classes, classes=self.classes)
        missing = [part for part in self.parts if part not in bank.term_names]
        if missing:
            raise ValueError(
                f"text bank {self.text_bank_path} knows the terms {list(bank.term_names)} and none for the part(s) "
                f"{missing} of the head; the descriptions and the layout have to name the same parts."
            )
        if bank.dim != self.text_dim:
            raise ValueError(
                f"text bank {self.text_bank_path} has vectors of width {bank.dim} (encoder {bank.encoder}), the "
                f"head was built for text_dim={self.text_dim}; set text_dim={bank.dim}."
            )
        if bank.note:
            print_log(f"text bank {self.text_bank_path}: {bank.note}", logger="current")
        self.bank = bank
        self.text_vectors = torch.as_tensor(bank.vectors, dtype=torch.float32).to(self.text_vectors.device)
        # Texts of one sign for one term; what the positives of a skeleton are.
        self._groups = np.asarray(bank.labels) * len(bank.term_names) + np.asarray(bank.terms)

    def forward(self, feats: Tensor | tuple[Tensor, Mapping[str, Tensor]], **kwargs: object) -> Tensor:
        """Class scores (B, num_classes) from the global feature (B, C); part features are not looked at."""
        pooled = feats[0] if isinstance(feats, tuple) else feats
        pooled = pooled.to(self.fc.weight.dtype)  # the backbone may compute in another precision
        return self.fc(self.dropout(pooled))

    def predict_by_feat(self, cls_scores: Tensor, data_samples: Sequence) -> Sequence:
        """Scores and labels written into the samples, float32 at least: half precision ends before the softmax."""
        return super().predict_by_feat(
            cls_scores.to(torch.promote_types(cls_scores.dtype, torch.float32)), data_samples
        )

    def loss(
        self, feats: tuple[Tensor, Mapping[str, Tensor]], data_samples: Sequence, **kwargs: object
    ) -> dict[str, Tensor]:
        """Losses of a training batch.

        Args:
            feats: Global feature (B, C) and the part features, (B, C) each, by name.
            data_samples: B samples with `gt_label` and, with texts, `text_rows` from LoadSignDescriptions.

        Returns:
            `loss_cls`, with texts `loss_con` (already times alpha), and figures for the log.
        """
        pooled, parts = feats
        losses = self.loss_by_feat(self(pooled), data_samples)
        if self.with_text:
            losses.update(self.contrast(pooled, parts, self._text_rows(data_samples)))
        return losses

    def loss_by_feat(self, cls_scores: Tensor, data_samples: Sequence) -> dict[str, Tensor]:
        """Classification loss and training accuracy, float32 at least, without waiting for the device."""
        cls_scores = cls_scores.to(torch.promote_types(cls_scores.dtype, torch.float32))
        labels = torch.stack([sample.gt_label for sample in data_samples]).to(cls_scores.device)
        labels = labels.reshape(len(data_samples))
        losses = {f"top{k}_acc": top_k_correct(cls_scores.detach(), labels, k) for k in self.topk}
        target = labels
        if self.label_smooth_eps:
            target = F.one_hot(labels, self.num_classes).to(cls_scores.dtype)
            target = target * (1 - self.label_smooth_eps) + self.label_smooth_eps / self.num_classes
        losses["loss_cls"] = self.loss_cls(cls_scores, target)
        return losses

    def _text_rows(self, data_samples: Sequence) -> np.ndarray:
        """(B, terms, K) rows of the bank, as LoadSignDescriptions put them into the samples."""
        if self.bank is None:
            if not os.path.exists(self.text_bank_path):
                raise FileNotFoundError(
                    f"text bank {self.text_bank_path} does not exist, and training with texts needs it; make it with "
                    "`python tools/gsp/encode.py DESCRIPTIONS.json --out BANK.safetensors`."
                )
            self._load_bank()
        missing = next((s for s in data_samples if "text_rows" not in s), None)
        if missing is not None:
            raise ValueError(
                "TextConditionedHead: the samples carry no `text_rows`. Give LoadSignDescriptions of the training "
                "pipeline the bank of the head, train_dataloader.dataset.pipeline_overrides=dict("
                "LoadSignDescriptions=dict(text_bank=...)), or put the step in where it is missing; and put text_rows "
                "into PackActionInputs(algorithm_keys=('text_rows',))."
            )
        rows = np.stack([np.asarray(sample.text_rows) for sample in data_samples])
        if rows.shape[1] != len(self.bank.term_names) or rows.max() >= len(self.bank):
            raise ValueError(
                f"TextConditionedHead: text_rows of {rows.shape[1]} terms up to row {rows.max()} do not belong to "
                f"text bank {self.text_bank_path} ({len(self.bank.term_names)} terms, {len(self.bank)} rows); "
                "LoadSignDescriptions and the head have to name the same file."
            )
        return rows

    def contrast(self, pooled: Tensor, parts: Mapping[str, Tensor], rows: np.ndarray) -> dict[str, Tensor]:
        """The contrastive loss over all terms (GSP-MC, L_multi), and each term's value for the log.

        Args:
            pooled: (B, C) global features.
            parts: (B, C) features by part.
            rows: (B, terms, K) rows of the bank, -1 = none.
        """
        projected = torch.stack(
            [
                projection(pooled if name == GLOBAL_TERM else parts[name])
                for name, projection in self.text_projections.items()
            ]
        )  # (1 + P, B, D); fewer if not all terms are wanted
        # Half precision ends here; float64 stays what it is.
        projected = gather_features(projected.to(torch.promote_types(projected.dtype, torch.float32)))
        pairs = self._pairs(gather_rows(rows, projected.device))
        if not pairs:
            # Every projection stays in the graph, or DDP waits for its gradient.
            return {"loss_con": 0.0 * projected.sum()}
        chosen, positives, present = (
            torch.as_tensor(array, device=projected.device) for array in stack_terms(list(pairs.values()))
        )
        features = dict(zip(self.text_projections, projected.unbind(), strict=True))
        skeletons = torch.stack([features[GLOBAL_TERM if name == SYNONYM_TERM else name] for name in pairs])
        terms = self.loss_con(skeletons, self.text_vectors[chosen], positives, present)
        logged = {f"con_{name}": value for name, value in zip(pairs, terms.detach().unbind(), strict=True)}
        return {"loss_con": self.alpha * terms.mean(), **logged}

    def _pairs(self, rows: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Texts and positives (see `pair_texts`) of every term that some sign of the batch has a text for."""
        pairs = {}
        for name in self.terms:
            index = self.bank.term_names.index(name)
            candidates = None
            if self.negatives == "bank":
                candidates = np.flatnonzero(np.asarray(self.bank.terms) == index)
            pair = pair_texts(
                rows[:, index],
                self._groups,
                self.bank.text_ids,
                candidates,
                by_text=self.positives == "text",
            )
            if pair[1].any():
                pairs[name] = pair
        return pairs


def _drop_text_projections(module: nn.Module, state_dict: dict, prefix: str, *args: object) -> None:
    """A head without texts takes the classifier of a checkpoint with texts; the rest is not its business."""
    text_branch = (f"{prefix}text_projections.", f"{prefix}loss_con.")
    for key in [key for key in state_dict if key.startswith(text_branch)]:
        del state_dict[key]
