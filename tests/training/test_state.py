"""States of a training as tensors, and back."""

from __future__ import annotations

import pytest
import torch

from hdlib.training import moment, state_tensors
from hdlib.training.state import load_state

from .small import OPTIMIZERS, data, plan


def after(steps: int, make):
    start = plan(make)
    for step in range(steps):
        start.optimizer.zero_grad()
        start.loss(start.model, *start.batches.at(step)).backward()
        start.optimizer.step()
    return start


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_there_and_back(name):
    origin, other = after(3, OPTIMIZERS[name]), plan(OPTIMIZERS[name])
    tensors = state_tensors(origin)
    drawn = torch.rand(5)
    load_state(other, tensors)
    assert torch.equal(torch.rand(5), drawn)
    again = state_tensors(other)
    assert again.keys() == tensors.keys()
    for key in tensors.keys() - {"rng"}:
        assert torch.equal(again[key], tensors[key])


def test_moment_is_in_the_order_of_the_parameters():
    """After one update Adam's second moment is (1 − β₂) g²."""
    found = moment(state_tensors(after(1, OPTIMIZERS["AdamW"])), "exp_avg_sq")
    start = plan(OPTIMIZERS["AdamW"])
    start.loss(start.model, *start.batches.at(0)).backward()
    slopes = [p.grad for p in start.model.parameters() if p.grad is not None]
    expected = torch.cat([0.001 * slope.square().flatten() for slope in slopes])
    torch.testing.assert_close(found, expected)
    with pytest.raises(ValueError, match="the optimiser's state has no 'exp_avg_sq'"):
        moment(state_tensors(after(1, OPTIMIZERS["momentum"])), "exp_avg_sq")


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: tensors.pop("rng"),
        lambda tensors: tensors.pop("model.0.weight"),
        lambda tensors: tensors.update({"model.0.weight": torch.zeros(3)}),
        lambda tensors: tensors.update({"optimizer.first.momentum_buffer": data()[0]}),
    ],
)
def test_tensors_that_are_no_state(change):
    tensors = state_tensors(after(1, OPTIMIZERS["momentum"]))
    change(tensors)
    with pytest.raises(ValueError, match="no state of this training"):
        load_state(plan(), tensors)
