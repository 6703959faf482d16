"""The metric of isolated sign recognition for mmengine's evaluation loops."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmaction.registry import METRICS
from mmengine.evaluator import BaseMetric

from .accuracy import check_scores, per_class_accuracy, top_k_hits
from .predictions import Predictions, PredictionsError, save_predictions
from .provenance import current_run_info


@METRICS.register_module()
class SignAccuracy(BaseMetric):
    """Top-k accuracy per instance and per class (mean over the classes that occur).

    The figures are called `top1`, `top5`, `top1_per_class` and `top5_per_class`, each a share in
    [0, 1], under the prefix `acc` as those of mmaction's own metric: `acc/top1`. Of classes with
    equal scores the one with the smaller index comes first. With fewer than k classes, top-k is 1.

    A data sample holds `pred_score` (C,), `gt_label` (1,) and, where the pipeline's
    `PackActionInputs(meta_keys=('clip_id', 'signer', ...))` keeps them, `clip_id` and `signer`.

    Args:
        topk: The k of interest, ascending; the first is what `save_best='auto'` looks at.
        dump: Write the scores of all clips here (`.npz`, see `gspmc_mm.evaluation.predictions`).
        collect_device: 'cpu' or 'gpu', as in mmengine.
        prefix: Put before the names of the figures instead of `acc`.
        collect_dir: Folder over which ranks exchange results, as in mmengine.

    Raises:
        ValueError: NaN scores (the clips are named), a label outside the model's classes, several
            labels on one clip, or a dump of clips without ids.
    """

    default_prefix = "acc"

    def __init__(
        self,
        topk: Sequence[int] = (1, 5),
        dump: str | os.PathLike[str] | None = None,
        collect_device: str = "cpu",
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        self.topk = tuple(topk)
        if not self.topk or any(not isinstance(k, int) or k < 1 for k in self.topk):
            raise ValueError(f"topk holds whole numbers from 1 up, found {topk!r}")
        if dump is not None and not str(dump).endswith(".npz"):
            raise ValueError(f"dump is the path of an .npz file, found {dump!r}")
        self.dump = dump

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep score, label and name of every clip of a batch.

        Args:
            data_batch: Not used.
            data_samples: Data samples as dicts, with the predictions of the model.
        """
        for sample in data_samples:
            clip = sample.get("clip_id", sample.get("frame_dir"))
            name = f"number {len(self.results)} (no clip_id)" if clip is None else str(clip)
            scores = sample["pred_score"]
            if not isinstance(scores, torch.Tensor) or scores.ndim != 1:
                found = tuple(scores.shape) if hasattr(scores, "shape") else type(scores).__name__
                raise ValueError(f"clip {name}: pred_score is a tensor (C,), found {found}")
            label = torch.as_tensor(sample["gt_label"]).reshape(-1)
            if label.numel() != 1:
                raise ValueError(
                    f"clip {name}: one label per clip, found {label.numel()} (multi-label data needs another metric)"
                )
            self.results.append(
                {
                    "clip_id": None if clip is None else str(clip),
                    "signer": str(sample.get("signer", "")),
                    "label": int(label.item()),
                    "scores": scores.detach().to("cpu", torch.float32).numpy(),
                }
            )

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """The figures over all clips, and the dump if one is wanted.

        Args:
            results: What `process` kept, of all ranks.

        Returns:
            `top{k}` for every k, then `top{k}_per_class`.
        """
        if not results:
            raise ValueError("no clip was evaluated: is the split named in the test or val dataloader empty?")
        scores = np.stack([result["scores"] for result in results])
        labels = np.asarray([result["label"] for result in results], dtype=np.int64)
        names = [
            f"number {i} (no clip_id)" if result["clip_id"] is None else result["clip_id"]
            for i, result in enumerate(results)
        ]
        check_scores(scores, names)
        classes = scores.shape[1]
        for name, label in zip(names, labels, strict=True):
            if not 0 <= label < classes:
                raise ValueError(f"clip {name} has label {label}, the model has {classes} classes")
        if self.dump is not None:
            self._write_dump(results, labels, scores)
        hits = {k: top_k_hits(scores, labels, k) for k in self.topk}
        figures = {f"top{k}": float(hit.mean()) for k, hit in hits.items()}
        for k, hit in hits.items():
            figures[f"top{k}_per_class"] = per_class_accuracy(hit, labels, classes)
        return figures

    def _write_dump(self, results: list[dict], labels: np.ndarray, scores: np.ndarray) -> None:
        if any(result["clip_id"] is None for result in results):
            raise PredictionsError(
                f"cannot write {self.dump}: the clips have no ids; add 'clip_id' to the meta_keys "
                "of PackActionInputs in the test pipeline"
            )
        predictions = Predictions(
            clip_id=np.asarray([result["clip_id"] for result in results]),
            label=labels,
            scores=scores,
            signer=np.asarray([result["signer"] for result in results]),
            classes=tuple((self.dataset_meta or {}).get("classes") or ()),
            info=current_run_info(),
        )
        save_predictions(self.dump, predictions)
