from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

WORLD = 2
# Signs 4 and 5 have no text for the left hand: it is missing on one rank, or everywhere.
LABELS = {
    "labels collide across ranks": [0, 1, 2, 1, 2, 3],
    "second rank without left-hand texts": [0, 1, 3, 4, 5, 4],
    "nobody with left-hand texts": [4, 5, 4, 5, 5, 4],
}


@pytest.fixture(scope="module")
def results(make_bank, make_rows, here, repository, tmp_path_factory):
    folder = tmp_path_factory.mktemp("distributed")
    bank = make_bank(parts=("body", "left_hand", "right_hand"))
    bank.save(folder / "bank.safetensors")
    generator = torch.Generator().manual_seed(0)
    cases = {}

    def add(name, labels, dtype, gather="", **head):
        cases[name] = {
            "bank": str(folder / "bank.safetensors"),
            "labels": labels,
            "rows": torch.tensor(np.stack([make_rows(bank, x, k) for k, x in enumerate(labels)])),
            "inputs": torch.randn(len(labels), 1, 1, 8, 27, 3, generator=generator, dtype=torch.float64),
            "dtype": dtype,
            "gather": gather,
            "head": head,
        }

    for name, labels in LABELS.items():
        add(f"{name}, float64", labels, "float64")
        add(f"{name}, float32", labels, "float32")
    usual = LABELS["labels collide across ranks"]
    add("whole bank, text positives", usual, "float64", negatives="bank", positives="text")
    # A large weight, so that the contrast cannot hide behind the cross entropy.
    add("local slice", usual, "float64", gather="local slice", alpha=5.0)
    add("no gather", usual, "float64", gather="none", alpha=5.0)
    add("large weight", usual, "float64", alpha=5.0)
    torch.save(cases, folder / "cases.pt")

    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(repository), os.environ.get("PYTHONPATH", "")]),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    # Each to a file of its own: a full pipe would stop one rank while the other waits for it.
    logs = [(folder / f"rank{rank}.log").open("w+") for rank in range(WORLD)]
    processes = [
        subprocess.Popen(
            [sys.executable, str(here / "gradient_worker.py"), str(rank), str(WORLD), str(folder)],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        for rank, log in enumerate(logs)
    ]
    give_up = time.monotonic() + 180
    try:
        # As soon as one has failed, the other waits for nobody.
        while (codes := [process.poll() for process in processes]).count(None):
            if any(codes) or time.monotonic() > give_up:
                break
            time.sleep(0.1)
    finally:
        for process in processes:
            process.kill()
            process.wait()
        for log in logs:
            log.close()
    said = "\n".join((folder / f"rank{rank}.log").read_text()[-3000:] for rank in range(WORLD))
    assert codes == [0] * WORLD, said
    results = json.loads((folder / "results.json").read_text())
    for name, figures in results.items():
        print(f"{name}: relative error {figures['whole']:.2e}, worst parameter {figures['worst']:.2e}")
    return results


@pytest.mark.parametrize("name", LABELS)
def test_gradients_are_those_of_one_process(results, name):
    double, single = results[f"{name}, float64"], results[f"{name}, float32"]
    assert double["whole"] < 1e-12
    assert double["worst"] < 1e-9
    assert single["whole"] < 1e-5
    assert double["compared"] > 50
    # The left hand's projection has a gradient of zero, not none, where nobody has a text.
    assert double["zeros"] == (2 if name.startswith("nobody") else 0)
    assert double["largest_zero"] == 0


def test_gradients_with_the_whole_bank(results):
    assert results["whole bank, text positives"]["whole"] < 1e-12


def test_a_wrong_gather_would_be_seen(results):
    assert results["large weight"]["whole"] < 1e-12
    assert results["local slice"]["whole"] > 0.05
    assert results["no gather"]["whole"] > 0.05
