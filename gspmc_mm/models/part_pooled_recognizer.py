"""PartPooledGCNRecognizer: any skeleton backbone, pooled globally and by part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

import torch
from mmaction.models.recognizers import RecognizerGCN
from mmaction.registry import MODELS
from torch import Tensor

from gspmc_mm.skeleton import get_layout, layout_names

from .part_pooling import confidence_weights, global_pooling

POOLINGS = ("uniform", "confidence")


def with_sign_graph(backbone: Mapping) -> Mapping:
    """The config of a backbone, its `graph_cfg.layout` spelled out if it is the name of one of our layouts.

    mmaction's Graph knows a few layouts by name and takes any other as a dict.
    """
    graph = backbone.get("graph_cfg")
    if graph is None or graph.get("layout") not in layout_names():
        return backbone
    return {**backbone, "graph_cfg": {**graph, "layout": get_layout(graph["layout"]).graph()}}


@MODELS.register_module()
class PartPooledGCNRecognizer(RecognizerGCN):
    """Recogniser whose head sees the global feature and, while it trains, one feature per body part.

    Works with every backbone that returns (N, M, C, T', V): PartCTRGCN, mmaction's STGCN (also as ST-GCN++),
    AAGCN. At inference only the global feature is computed.

    Args:
        backbone: Config of the backbone. `graph_cfg.layout` may name a layout of `gspmc_mm.skeleton` ('sign87'), so
            that mmaction's backbones run on sign layouts.
        cls_head: Config of the head, normally TextConditionedHead.
        part_pooling: Config of PartPooling. None for a head that needs no parts.
        pooling: 'uniform': every frame and joint counts the same, as in the paper; 'confidence': by its confidence,
            which is the last input channel. For the global feature and for the parts.
        others: As in mmaction's recognisers.

    Raises:
        ValueError: An unknown pooling, or the head needs a part that is not pooled.
    """

    def __init__(
        self,
        backbone: Mapping,
        cls_head: Mapping,
        part_pooling: Mapping | None = None,
        pooling: str = "uniform",
        **others: object,
    ) -> None:
        if pooling not in POOLINGS:
            raise ValueError(f"PartPooledGCNRecognizer: pooling={pooling!r} is none of {POOLINGS}.")
        of_parts = None if part_pooling is None else MODELS.build(part_pooling)
        if of_parts is not None and cls_head.get("type") == "TextConditionedHead":
            # The head takes the names of the parts from the pooling unless the config says otherwise.
            cls_head = {"parts": of_parts.parts, **cls_head}
        super().__init__(backbone=with_sign_graph(backbone), cls_head=cls_head, **others)
        self.part_pooling = of_parts
        self.pooling = pooling
        pooled = () if of_parts is None else of_parts.parts
        needed = getattr(self.cls_head, "needed_parts", ())
        if not set(needed) <= set(pooled):
            raise ValueError(
                f"PartPooledGCNRecognizer: the head aligns the parts {list(needed)} with their texts, and pooled are "
                f"{list(pooled) or 'none'}; add part_pooling=dict(type='PartPooling', layout=...) with these parts, or "
                "leave them out of the head's terms"
            )

    def _weights(self, inputs: Tensor, features: Tensor) -> Tensor | None:
        """Weights (B * clips, M, T', V) for the pooling of a feature map; None where all count the same."""
        if self.pooling == "uniform":
            return None
        scores = inputs.flatten(0, 1)[..., -1].to(features.dtype)  # (B * clips, M, T, V)
        return confidence_weights(scores, features.size(3))

    def _precision(self, inputs: Tensor) -> torch.dtype:
        """Type of the backbone's numbers, which `.to(torch.bfloat16)` changes; that of the input if it has none."""
        numbers = (t.dtype for t in chain(self.backbone.parameters(), self.backbone.buffers()) if t.is_floating_point())
        return next(numbers, inputs.dtype)

    def extract_feat(self, inputs: Tensor, stage: str = "backbone", **kwargs: object) -> tuple[Tensor, dict]:
        """Features at a stage.

        Args:
            inputs: (B, clips, M, T, V, C_in).
            stage: 'backbone': the map (B * clips, M, C, T', V); 'neck': the global feature (B * clips, C);
                'head': the class scores (B * clips, classes).

        Returns:
            The features, and an empty dict for mmaction's interface.
        """
        features = self.backbone(inputs.flatten(0, 1).to(self._precision(inputs)))
        if stage == "backbone":
            return features, {}
        pooled = global_pooling(features, self._weights(inputs, features))
        if stage == "neck":
            return pooled, {}
        if stage == "head":
            return self.cls_head(pooled), {}
        raise ValueError(f"stage {stage!r} is none of 'backbone', 'neck', 'head'")

    def loss(self, inputs: Tensor, data_samples: Sequence, **kwargs: object) -> dict[str, Tensor]:
        """Losses of a training batch, see the head.

        Raises:
            ValueError: A sample has more than one clip.
        """
        if inputs.size(1) != 1:
            raise ValueError(
                f"training takes one clip a sample, got {inputs.size(1)}; set num_clips=1 in the train pipeline."
            )
        features, _ = self.extract_feat(inputs)
        weights = self._weights(inputs, features)
        parts = {} if self.part_pooling is None else self.part_pooling(features, weights)
        return self.cls_head.loss((global_pooling(features, weights), parts), data_samples)

    def predict(self, inputs: Tensor, data_samples: Sequence, **kwargs: object) -> Sequence:
        """Class scores and labels written into the samples."""
        pooled, _ = self.extract_feat(inputs, stage="neck")
        return self.cls_head.predict(pooled, data_samples)

    def fuse(self) -> PartPooledGCNRecognizer:
        """Turn this recogniser into what inference needs, in place: folded norms, no part and text branches.

        Returns:
            Itself, in evaluation. It cannot be trained any more, and its checkpoint would be another: keep the old one.

        Raises:
            TypeError: The backbone has no `fuse()`.
        """
        if not hasattr(self.backbone, "fuse"):
            raise TypeError(f"{type(self.backbone).__name__} cannot be fused; PartCTRGCN can.")
        self.backbone = self.backbone.fuse()
        self.part_pooling = None
        if hasattr(self.cls_head, "strip_text"):
            self.cls_head.strip_text()
        return self.eval()
