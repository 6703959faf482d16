"""One of several processes that train together; started by test_distributed_gradients.py.

Computes the gradients of one process at the global batch, joins the group, computes those of its own share
under DDP, and (rank 0) writes how far they are apart.
"""

from __future__ import annotations

import json
import sys
from unittest import mock

import torch
import torch.distributed as dist
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmengine.registry import init_default_scope

import gspmc_mm  # noqa: F401  registers the components
from gspmc_mm.compat import DeviceAwareDistributedDataParallel


def build(bank: str, dtype: torch.dtype, head: dict) -> torch.nn.Module:
    torch.manual_seed(0)
    model = MODELS.build(
        {
            "type": "PartPooledGCNRecognizer",
            "backbone": {
                "type": "PartCTRGCN",
                "layout": "samslr27",
                "base_channels": 8,
                "num_stages": 3,
                "inflate_stages": (2,),
                "down_stages": (3,),
            },
            "part_pooling": {"type": "PartPooling", "layout": "samslr27"},
            "cls_head": {
                "type": "TextConditionedHead",
                "num_classes": 6,
                "in_channels": 16,
                "text_bank": bank,
                "text_dim": 16,
                **head,
            },
        }
    )
    model.init_weights()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("alpha"):
                parameter.fill_(0.3)  # or the relations would have no gradient to compare
    return model.to(dtype).eval()  # running statistics: those of a batch differ between the ranks


def gradients(model: torch.nn.Module, inputs: torch.Tensor, samples: list) -> dict[str, torch.Tensor]:
    losses = model(inputs, samples, mode="loss")
    sum(value for key, value in losses.items() if "loss" in key).backward()
    inner = model.module if isinstance(model, DeviceAwareDistributedDataParallel) else model
    return {name: parameter.grad.clone() for name, parameter in inner.named_parameters()}


def make_samples(labels: list[int], rows: torch.Tensor) -> list[ActionDataSample]:
    samples = []
    for label, own in zip(labels, rows, strict=True):
        sample = ActionDataSample().set_gt_label(label)
        sample.set_field(own.numpy(), "text_rows")
        samples.append(sample)
    return samples


def local_slice_gather(features: torch.Tensor) -> torch.Tensor:
    """The tempting gather: others' features without a gradient, the own ones put back in."""
    parts = [torch.empty_like(features) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, features.detach().contiguous())
    parts[dist.get_rank()] = features
    return torch.cat(parts, dim=-2)


def no_gather(features: torch.Tensor) -> torch.Tensor:
    return features


def rows_of_this_rank(rows: object, device: object) -> object:
    return rows


def distance(found: dict, expected: dict) -> dict[str, float]:
    """Relative error of all gradients together, and the worst of one parameter."""

    def norm(tensors: list[torch.Tensor]) -> float:
        return sum(t.double().pow(2).sum().item() for t in tensors) ** 0.5

    whole = norm([found[k] - expected[k] for k in expected]) / norm(list(expected.values()))
    each = [norm([found[k] - expected[k]]) / norm([expected[k]]) for k in expected if expected[k].abs().sum() > 0]
    zeros = [found[k].abs().max().item() for k in expected if expected[k].abs().sum() == 0]
    return {
        "whole": whole,
        "worst": max(each),
        "compared": len(each),
        "zeros": len(zeros),
        "largest_zero": max(zeros, default=0.0),
    }


def main(rank: int, world: int, folder: str) -> None:
    torch.set_num_threads(1)
    init_default_scope("mmaction")
    cases = torch.load(f"{folder}/cases.pt", weights_only=True)
    alone = {}
    for name, case in cases.items():
        model = build(case["bank"], getattr(torch, case["dtype"]), case["head"])
        inputs = case["inputs"].to(getattr(torch, case["dtype"]))
        alone[name] = gradients(model, inputs, make_samples(case["labels"], case["rows"]))
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=world)
    results = {}
    head = "gspmc_mm.models.text_conditioned_head"
    for name, case in cases.items():
        dtype = getattr(torch, case["dtype"])
        model = DeviceAwareDistributedDataParallel(module=build(case["bank"], dtype, case["head"]), device_ids=[0])
        share = len(case["labels"]) // world
        mine = slice(rank * share, (rank + 1) * share)
        samples = make_samples(case["labels"][mine], case["rows"][mine])
        inputs = case["inputs"][mine].to(dtype)
        if case["gather"] == "local slice":
            with mock.patch(f"{head}.gather_features", local_slice_gather):
                found = gradients(model, inputs, samples)
        elif case["gather"] == "none":
            with (
                mock.patch(f"{head}.gather_features", no_gather),
                mock.patch(f"{head}.gather_rows", rows_of_this_rank),
            ):
                found = gradients(model, inputs, samples)
        else:
            found = gradients(model, inputs, samples)
        results[name] = distance(found, alone[name])
    if rank == 0:
        with open(f"{folder}/results.json", "w") as file:
            json.dump(results, file)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
