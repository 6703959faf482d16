from __future__ import annotations

import pytest
import torch
from torch import nn

from gspmc_mm.evaluation.inference import InferenceError, refuse_other_weights


def test_what_only_training_with_texts_needs_may_be_left_over() -> None:
    plain = nn.Linear(2, 3)
    state = dict(plain.state_dict())
    state["cls_head.text_projections.global.weight"] = torch.zeros(4, 2)
    state["cls_head.loss_con.log_scale"] = torch.zeros(())  # a learned temperature
    refuse_other_weights(plain, state, "some.pth")


@pytest.mark.parametrize("name", ["weight", "extra"])
def test_other_weights_are_named(name: str) -> None:
    plain = nn.Linear(2, 3)
    state = {**plain.state_dict(), name: torch.zeros(5)}
    with pytest.raises(InferenceError, match=rf"some.pth is not of the network .*: {name} is \(5,\) in the file"):
        refuse_other_weights(plain, state, "some.pth")
