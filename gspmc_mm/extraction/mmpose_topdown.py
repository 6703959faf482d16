"""mmpose's top-down heat-map estimators; by default HRNet-W48 dark, COCO-WholeBody, 384 x 288.

Everything that decides a point is mmpose's own: the config and the published weights (from its model index), the test
pipeline (in the decoding processes), the network, the flip test, the decoder of the heat maps. What is different from
calling `mmpose.apis.inference_topdown` frame by frame is the order of the work: frames of several clips share a batch,
nothing is built again for every frame, and heat maps of one batch are decoded while the network has the next. The
points are the same; `tests/extraction/test_mmpose_topdown.py` compares them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gspmc_mm.extraction.errors import ExtractionError
from gspmc_mm.extraction.estimator import NUM_POINTS, Poses, Preparation, package_version, weights_name
from gspmc_mm.extras import how_to_install
from gspmc_mm.poses import EstimatorInfo

HRNET_W48_DARK = "td-hm_hrnet-w48_dark-8xb32-210e_coco-wholebody-384x288"
RANDOM = "random"

#: A prepared frame: the network's input (3, 384, 288) uint8, and centre and size (2,) of what it shows of the frame.
Crop = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass
class MMPoseTopdown:
    """A top-down estimator of mmpose with 133 heat maps.

    Args:
        model: name in mmpose's model index, or path of a config.
        checkpoint: path or URL of the weights; None for those of the model index, 'random' or 'random:<seed>' for none
            at all (to test and to measure).
        device: device of PyTorch.
        flip_test: average with the mirrored picture, as the model's own test does; without it twice as fast.
        amp: half precision (bfloat16 on the CPU) in the network.
        batch_size: frames that go through the network together.

    Raises:
        ExtractionError: there is no such model, it has no 133 heat maps, or the weights are missing.
        ImportError: mmpose is not installed.
    """

    model: str = HRNET_W48_DARK
    checkpoint: str | None = None
    device: str = "cpu"
    flip_test: bool = True
    amp: bool = False
    batch_size: int = 16

    independent_frames = True
    _network: Any = field(default=None, init=False, repr=False)
    _preparation: Any = field(default=None, init=False, repr=False)
    _alone: Any = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ExtractionError(f"batch size is {self.batch_size}; expected 1 or more")
        package_version("mmpose")
        self.config_file, published = find_model(self.model)
        self.weights = self.checkpoint or published
        if self.weights is None:
            raise ExtractionError(f"{self.model} is a config without published weights; name a checkpoint")
        self._info = EstimatorInfo(
            name=self.config_file.stem,
            version=", ".join(
                [
                    f"mmpose {package_version('mmpose')}",
                    "flip test" if self.flip_test else "no flip test",
                    "AMP" if self.amp else "float32",
                ]
            ),
            weights=f"RANDOM, seed {seed_of(self.weights)}" if is_random(self.weights) else weights_name(self.weights),
        )

    @property
    def info(self) -> EstimatorInfo:
        """See `PoseEstimator`."""
        return self._info

    @property
    def preparation(self) -> Preparation:
        """See `PoseEstimator`: mmpose's test pipeline."""
        return self._preparation

    def load(self) -> None:
        """Build the network through mmpose, without the ImageNet weights that its config would download first."""
        from mmengine.config import Config
        from mmengine.registry import DefaultScope
        from mmpose.apis import init_model

        config = Config.fromfile(self.config_file)
        config.model.backbone.init_cfg = None
        config.model.test_cfg["flip_test"] = self.flip_test
        _check_device(self.device)
        with DefaultScope.overwrite_default_scope("mmpose"):  # not for the whole process, as init_model would
            network = self._build(init_model, config)
        channels = getattr(network.head, "out_channels", None)
        if channels != NUM_POINTS or not hasattr(network.head, "decoder") or network.head.decoder is None:
            raise ExtractionError(f"{self.model}: its head has {channels} points; expected {NUM_POINTS} heat maps")
        self._network = network
        self._preparation = TopdownPreparation(config.test_dataloader.dataset.pipeline, network.dataset_meta)
        self._alone = threading.Lock()

    def _build(self, init_model: Callable[..., Any], config: Any) -> Any:
        """The network with random weights, or with the ones that were asked for."""
        import torch

        if is_random(self.weights):
            torch.manual_seed(seed_of(self.weights))
            return init_model(config, None, self.device)
        try:
            return init_model(config, self.weights, self.device)
        except OSError as error:
            raise ExtractionError(
                f"the weights {self.weights} cannot be loaded ({error}). Without a connection, download the file "
                "elsewhere and name it: --checkpoint FILE"
            ) from error

    def estimate(self, inputs: Iterable[Crop]) -> Poses:
        """Points of any frames; may be called by several threads, of which one has the network. See `PoseEstimator`."""
        pictures, centers, sizes = zip(*inputs, strict=True)
        with self._alone:
            heatmaps = self.heatmaps(np.stack(pictures))
        decode = self._network.head.decoder.decode
        points, scores = zip(*(decode(maps) for maps in heatmaps), strict=True)
        # as TopdownPoseEstimator.add_pred_to_datasample: from the network's picture back into the frame
        input_size = pictures[0].shape[:0:-1]
        placed = [
            (point[0] / input_size * size + center - 0.5 * size).astype(np.float32)
            for point, center, size in zip(points, centers, sizes, strict=True)
        ]
        return Poses(np.stack(placed), np.concatenate(scores).astype(np.float32))

    def heatmaps(self, pictures: np.ndarray) -> np.ndarray:
        """What the network answers to pictures (N, 3, H, W) uint8, blue first: (N, 133, H/4, W/4) float32."""
        import torch
        from mmpose.models.utils.tta import flip_heatmaps

        network = self._network
        kind = torch.device(self.device).type
        half = torch.float16 if kind == "cuda" else torch.bfloat16
        with torch.inference_mode(), torch.autocast(kind, dtype=half, enabled=self.amp):
            batch = {"inputs": list(torch.from_numpy(pictures)), "data_samples": []}
            inputs = network.data_preprocessor(batch)["inputs"]
            heatmaps = network.head.forward(network.extract_feat(inputs))
            if self.flip_test:
                mirrored = flip_heatmaps(
                    network.head.forward(network.extract_feat(inputs.flip(-1))),
                    flip_mode=network.test_cfg.get("flip_mode", "heatmap"),
                    flip_indices=network.dataset_meta["flip_indices"],
                    shift_heatmap=network.test_cfg.get("shift_heatmap", False),
                )
                heatmaps = (heatmaps + mirrored) * 0.5
            return heatmaps.float().cpu().numpy()


class TopdownPreparation:
    """mmpose's test pipeline for one person in one frame: crop, turn into the network's picture.

    Args:
        pipeline: the transforms of the config.
        dataset_meta: what the transforms may ask about the key points.
    """

    def __init__(self, pipeline: list[dict], dataset_meta: dict) -> None:
        self._steps = [dict(step) for step in pipeline]
        self._meta = dict(dataset_meta)
        self._pipeline: Any = None

    def __getstate__(self) -> dict[str, Any]:
        # The steps are built where they run, so that nothing of mmpose is pickled.
        return {**self.__dict__, "_pipeline": None}

    def __call__(self, frame: np.ndarray, box: np.ndarray) -> Crop:
        """The network's picture, and centre and size of what it shows."""
        if self._pipeline is None:
            from mmengine.dataset import Compose
            from mmengine.registry import DefaultScope

            # For these steps only: whoever trains in this process goes on in the scope of mmaction.
            with DefaultScope.overwrite_default_scope("mmpose"):
                self._pipeline = Compose(self._steps)
        one = np.ones(1, dtype=np.float32)
        packed = self._pipeline({"img": frame, "bbox": box[None], "bbox_score": one, **self._meta})
        facts = packed["data_samples"].metainfo
        return packed["inputs"].numpy(), facts["input_center"], facts["input_scale"]


def find_model(model: str) -> tuple[Path, str | None]:
    """Config and published weights (URL) of a model of mmpose's index; a path of a config is itself, without weights.

    Raises:
        ExtractionError: it is neither.
        ImportError: mmpose is not installed.
    """
    if model.endswith(".py"):
        path = Path(model).expanduser()
        if not path.is_file():
            raise ExtractionError(f"{path}: there is no such config of mmpose")
        return path, None
    folder = _index_folder()
    for metafile in (folder / "configs").rglob("*wholebody*.yml"):
        for entry in _read_yaml(metafile).get("Models", []):
            if entry.get("Name") == model:
                return folder / entry["Config"], entry.get("Weights")
    raise ExtractionError(
        f"mmpose's index has no whole-body model {model!r}; expected a name such as {HRNET_W48_DARK}, or a config .py"
    )


def is_random(weights: str) -> bool:
    """Whether weights are asked to be random numbers."""
    return weights == RANDOM or weights.startswith(f"{RANDOM}:")


def seed_of(weights: str) -> int:
    """The seed in 'random:<seed>'; 0 for 'random'.

    Raises:
        ExtractionError: it is no whole number.
    """
    seed = weights.partition(":")[2] or "0"
    if not seed.isdecimal():
        raise ExtractionError(f"the weights are {weights!r}; expected random:<whole number>")
    return int(seed)


def _index_folder() -> Path:
    import importlib.util

    spec = importlib.util.find_spec("mmpose")
    if spec is None or spec.origin is None:
        raise ImportError(
            f"mmpose is not installed; {how_to_install('pose')}, then pip install --no-deps mmpose==1.3.2 mmdet==3.3.0"
        )
    package = Path(spec.origin).parent
    # the wheel keeps its configs in .mim, a checkout beside the package
    return package / ".mim" if (package / ".mim").is_dir() else package.parent


def _read_yaml(path: Path) -> dict[str, Any]:
    import yaml

    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def _check_device(device: str) -> None:
    import torch

    kind = torch.device(device).type
    if kind == "cuda" and not torch.cuda.is_available():
        raise ExtractionError(f"device {device}: PyTorch sees no GPU here; --device cpu works, and is slow")
