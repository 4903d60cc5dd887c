"""Warm-up and clipping, against a loop written out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hdlib.store.formats import read_table, read_tensors
from hdlib.training import HISTORY, checkpoint_name, warm_up

from .small import CHECKPOINTS, STEPS, KilledError, contents, data, network, plan, trained


def test_warm_up_is_its_formula():
    rate = warm_up(4)
    assert [rate(t) for t in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert [warm_up(0)(t) for t in range(3)] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("clip", [None, 0.05])
def test_equal_to_a_loop_by_hand(tmp_path, clip):
    stored = trained(tmp_path, plan(size=None, rate=warm_up(5), clip=clip))
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    x, y = data()
    for step in range(STEPS + 1):
        if step in CHECKPOINTS:
            found = read_tensors(stored.read(checkpoint_name(step)))
            # The norm is summed in another order.
            torch.testing.assert_close(found, dict(model.state_dict()), rtol=1e-6, atol=1e-7)
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        if clip is not None:
            slopes = [p.grad for p in model.parameters() if p.grad is not None]
            norm = torch.cat([slope.flatten() for slope in slopes]).norm()
            assert norm > clip
            for slope in slopes:
                slope *= clip / (norm + 1e-6)
        optimizer.param_groups[0]["lr"] = 0.05 * min(1.0, (step + 1) / 5)
        optimizer.step()
    history = read_table(stored.read(HISTORY))
    used = [0.05 * min(1.0, max(step, 1) / 5) for step in history["step"]]
    np.testing.assert_allclose(history["lr"], used, rtol=1e-15)


def test_a_training_killed_in_its_warm_up_ends_with_the_same_bits(tmp_path):
    settings = {"size": None, "rate": warm_up(8), "clip": 0.5}
    whole = trained(tmp_path / "whole", plan(**settings))
    with pytest.raises(KilledError):
        trained(tmp_path / "killed", plan(**settings, dies_after=5))
    resumed = trained(tmp_path / "killed", plan(**settings))
    assert contents(resumed) == contents(whole)
