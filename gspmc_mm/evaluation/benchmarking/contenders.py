"""The networks that are compared, built alike: same layout, same head, same input."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch
from mmaction.models import AAGCN, STGCN
from torch import Tensor, nn

from gspmc_mm.models import PartCTRGCN
from gspmc_mm.skeleton import get_layout

REFERENCE = "reference"
LAYOUTS = {
    17: "coco17",
    20: "hands20",
    27: "samslr27",
    42: "hands42",
    49: "masa49",
    76: "cosign76",
    87: "sign87",
    133: "wholebody133",
}
FEATURES = 256  # channels that all of them end with
CLASSES = 500
CHANNELS = 3


@dataclass(frozen=True)
class Contender:
    """A way to run a network.

    Attributes:
        name: What tables call it.
        build: Makes the backbone for a layout name.
        trains: Whether a training step makes sense.
        precision: bfloat16 is mixed precision (autocast) for a network that trains, and the type of all tensors for a
            fused one.
        fuse: Whether `fuse()` is called before inference.
    """

    name: str
    build: Callable[[str], nn.Module]
    trains: bool = True
    precision: torch.dtype = torch.float32
    fuse: bool = False


def load_reference() -> ModuleType:
    """The obvious implementation of CTR-GCN, which the repository keeps with its tests.

    Raises:
        FileNotFoundError: This is no checkout of the repository.
    """
    name = "gspmc_mm_reference_ctrgcn"
    if name not in sys.modules:
        path = Path(__file__).resolve().parents[3] / "tests" / "models" / "reference_ctrgcn.py"
        if not path.is_file():
            raise FileNotFoundError(
                f"the reference {path} is missing; run the benchmark in a checkout of the repository"
            )
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


def build_reference(layout: str) -> nn.Module:
    """The reference with the sizes of a PartCTRGCN."""
    return load_reference().reference_of(PartCTRGCN(layout))


def build_ours(layout: str) -> nn.Module:
    """PartCTRGCN as the configs have it."""
    return PartCTRGCN(layout)


def build_shared(layout: str) -> nn.Module:
    """PartCTRGCN without refinement, as the configs for few clips have it."""
    return PartCTRGCN(layout, graph=dict(refine=False))


def build_low_memory(layout: str) -> nn.Module:
    """PartCTRGCN that computes its topologies again in backward."""
    return PartCTRGCN(layout, memory="low")


def build_padded(layout: str) -> nn.Module:
    """PartCTRGCN whose graph products see a multiple of 8 joints."""
    return PartCTRGCN(layout, graph=dict(pad_joints_to=8))


def build_stgcnpp(layout: str) -> nn.Module:
    """Mmaction's ST-GCN++ with its own settings."""
    graph = dict(layout=get_layout(layout).graph(), mode="spatial")
    return STGCN(graph_cfg=graph, in_channels=CHANNELS, gcn_adaptive="init", gcn_with_res=True, tcn_type="mstcn")


def build_aagcn(layout: str) -> nn.Module:
    """Mmaction's AAGCN with its own settings."""
    graph = dict(layout=get_layout(layout).graph(), mode="spatial")
    return AAGCN(graph_cfg=graph, in_channels=CHANNELS, num_person=1)


def contenders() -> dict[str, Contender]:
    """All contenders by name."""
    listed = [
        Contender(REFERENCE, build_reference),
        Contender("ours", build_ours),
        Contender("ours bf16", build_ours, precision=torch.bfloat16),
        Contender("ours padded bf16", build_padded, precision=torch.bfloat16),
        Contender("ST-GCN++", build_stgcnpp),
        Contender("AAGCN", build_aagcn),
        Contender("ours shared", build_shared),
        Contender("ours shared bf16", build_shared, precision=torch.bfloat16),
        Contender("ours low", build_low_memory),
        Contender("ours fused", build_ours, trains=False, fuse=True),
        Contender("ours fused bf16", build_ours, trains=False, fuse=True, precision=torch.bfloat16),
        Contender("ours fused padded bf16", build_padded, trains=False, fuse=True, precision=torch.bfloat16),
    ]
    return {contender.name: contender for contender in listed}


class Runner:
    """One contender with a classifier, an optimizer and a batch.

    Args:
        contender: What to run.
        shape: (clips, people, frames, joints, channels).
        device: Where.
        seed: Of weights and inputs.
        training: Whether training steps or inference are run.
    """

    def __init__(
        self, contender: Contender, shape: Sequence[int], device: torch.device, seed: int, training: bool
    ) -> None:
        torch.manual_seed(seed)
        self.contender, self.device = contender, device
        backbone = contender.build(LAYOUTS[shape[3]]).train(training)
        self.inputs = torch.randn(tuple(shape), generator=torch.Generator().manual_seed(seed)).to(device)
        self.labels = torch.arange(shape[0], device=device) % CLASSES
        if contender.fuse:
            backbone = backbone.eval().fuse().to(contender.precision)
        self.model = nn.ModuleDict({"backbone": backbone, "classifier": nn.Linear(FEATURES, CLASSES)}).to(device)
        self.model.train(training)
        # Random labels teach nothing, and the steps must not run into infinity; their cost is the same.
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-5, momentum=0.9, nesterov=True)

    def autocast(self) -> AbstractContextManager:
        """Mixed precision, if the contender has it."""
        if self.contender.fuse or self.contender.precision == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.contender.precision)

    def loss(self) -> Tensor:
        """Forward and cross entropy."""
        with self.autocast():
            features = self.model["backbone"](self.inputs).mean(dim=(1, 3, 4))
            scores = self.model["classifier"](features)
        return nn.functional.cross_entropy(scores.float(), self.labels)

    def train(self) -> None:
        """One training step."""
        self.optimizer.zero_grad(set_to_none=True)
        self.loss().backward()
        self.optimizer.step()

    @torch.no_grad()
    def infer(self) -> Tensor:
        """Features of the batch."""
        with self.autocast():
            return self.model["backbone"](self.inputs)

    def held(self) -> Iterator[Tensor]:
        """Tensors that exist with or without a step."""
        yield from self.model.parameters()
        yield from self.model.buffers()
        yield self.inputs


@contextmanager
def threads(count: int | None) -> Iterator[int]:
    """PyTorch with so many threads, and as before afterwards."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
