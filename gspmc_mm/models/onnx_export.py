"""The network that runs at inference as an ONNX file: key points in, class scores out, any number of clips."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

INPUT, OUTPUT = "keypoints", "logits"
OPSET = 17
# Sums in another order differ by rounding, which is a thousand times less; a wrong graph by much more.
TOLERANCE = 1e-3


class OnnxExportError(ValueError):
    """A network that cannot be exported, or an exported graph that is not the network."""


class InferenceGraph(nn.Module):
    """A recogniser as it runs at inference, from clips to class scores.

    The recogniser is changed in place: its text and part branches are taken off, and its backbone is fused where it
    can be (`PartCTRGCN`).

    Args:
        recognizer: With `extract_feat(inputs, stage="head")`, as mmaction's RecognizerGCN has it.

    Raises:
        OnnxExportError: It has none.
    """

    def __init__(self, recognizer: nn.Module) -> None:
        super().__init__()
        if not hasattr(recognizer, "extract_feat"):
            raise OnnxExportError(
                f"{type(recognizer).__name__} is no recogniser of skeletons: it has no extract_feat; expected "
                "PartPooledGCNRecognizer or mmaction's RecognizerGCN"
            )
        if hasattr(recognizer, "fuse") and hasattr(recognizer.backbone, "fuse"):
            recognizer.fuse()
        elif hasattr(recognizer.cls_head, "strip_text"):
            recognizer.cls_head.strip_text()
        self.recognizer = recognizer
        self.eval()

    def forward(self, keypoints: Tensor) -> Tensor:
        """(N, M, T, V, C) -> (N, classes), the scores before the softmax."""
        return self.recognizer.extract_feat(keypoints.unsqueeze(1), stage="head")[0]


def write_onnx(
    graph: nn.Module, path: str | os.PathLike[str], shape: Sequence[int], metadata: Mapping[str, str]
) -> None:
    """Trace a network and write it. The number of clips stays open, all other sizes are those of `shape`.

    Args:
        graph: (N, M, T, V, C) float32 -> (N, classes), on the CPU and in evaluation, as `InferenceGraph` is.
        path: where; an existing file is replaced.
        shape: (M, T, V, C) of a clip.
        metadata: goes into the `metadata_props` of the file.

    Raises:
        ImportError: The package onnx is not installed.
        OnnxExportError: The network has an operation that ONNX does not know.
    """
    try:
        import onnx
    except ImportError as error:
        raise ImportError("onnx is not installed: pip install -c constraints.txt onnx onnxruntime") from error
    clips = _random_clips(2, shape, seed=0)
    # Tracing, not torch.export: that needs one more package (onnxscript) and gives the same graph.
    try:
        with torch.no_grad(), _exporting():
            torch.onnx.export(
                graph,
                (clips,),
                os.fspath(path),
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_axes={INPUT: {0: "clips"}, OUTPUT: {0: "clips"}},
                opset_version=OPSET,
                dynamo=False,
            )
    except torch.onnx.OnnxExporterError as error:
        reason = str(error).partition("  [Caused by")[0]  # the whole graph follows
        raise OnnxExportError(f"the network cannot be written as ONNX (opset {OPSET}): {reason}") from error
    model = onnx.load(os.fspath(path))
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model)
    onnx.save(model, os.fspath(path))


@torch.no_grad()
def relative_difference(
    graph: nn.Module, run: Callable[[np.ndarray], np.ndarray], shape: Sequence[int], sizes: Sequence[int] = (1, 3)
) -> float:
    """How far another implementation is from a network, on random clips.

    Args:
        graph: the network, (N, M, T, V, C) -> (N, classes).
        run: the other one, on float32 arrays of the same shapes.
        shape: (M, T, V, C) of a clip.
        sizes: numbers of clips N that are tried.

    Returns:
        The largest absolute difference of two scores over the largest absolute score.

    Raises:
        OnnxExportError: The other one gives another shape.
    """
    largest = 0.0
    for seed, size in enumerate(sizes):
        clips = _random_clips(size, shape, seed)
        expected = graph(clips).numpy()
        found = run(clips.numpy())
        if found.shape != expected.shape:
            raise OnnxExportError(
                f"{size} clips of {tuple(shape)} give scores {found.shape} instead of {expected.shape}: the exported "
                "graph is not that of the network"
            )
        largest = max(largest, float(np.abs(found - expected).max() / np.abs(expected).max()))
    return largest


def _random_clips(count: int, shape: Sequence[int], seed: int) -> Tensor:
    """Clips (count, M, T, V, C); the last channel is a confidence."""
    generator = torch.Generator().manual_seed(seed)
    clips = torch.randn(count, *shape, generator=generator)
    clips[..., -1] = torch.rand(clips.shape[:-1], generator=generator)
    return clips


class _InWordsOfTheExporter(TorchFunctionMode):
    """Two operations as the exporter understands them.

    After `unflatten` it takes the number of traced clips for a constant, after `reshape` it does not. Adaptive pooling
    to a height and a width (the weights of pooling by confidence) it does not know; as two products it does.
    """

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: Mapping | None = None) -> Any:
        if func is Tensor.unflatten:
            x, dim, sizes = args
            dim %= x.dim()
            return x.reshape(*x.shape[:dim], *sizes, *x.shape[dim + 1 :])
        if func is F.adaptive_avg_pool2d and isinstance(args[1], Sequence):
            x, sizes = args
            rows, columns = (_averages(int(x.size(axis)), int(size)) for axis, size in zip((2, 3), sizes, strict=True))
            return rows.t() @ x @ columns
        return func(*args, **(kwargs or {}))


def _averages(size: int, bins: int) -> Tensor:
    """Adaptive average pooling of `size` numbers to `bins` as a matrix (size, bins)."""
    matrix = np.zeros((size, bins), dtype=np.float32)
    for column in range(bins):
        rows = slice(column * size // bins, -(-(column + 1) * size // bins))
        matrix[rows, column] = 1 / (rows.stop - rows.start)
    return torch.from_numpy(matrix)


@contextmanager
def _exporting() -> Iterator[None]:
    """Without what the exporter says: it is chosen on purpose, and that sizes are constants is wanted."""
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), _InWordsOfTheExporter():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        yield
