from __future__ import annotations

import pytest
import torch
from torch import nn

from hdlib.measures.optimizer import adam_statistics

ADAM = {"adam_sqrt_v_mean", "adam_sqrt_v_max", "adam_ratio_mean", "adam_ratio_max"}


def test_one_step_by_hand():
    """Four weights of 2 with gradients of 1e-6: √v̂ = 1e-6, |u| = 1e-6/(1e-6 + 1e-8) = 1/1.01."""
    w = torch.full((4,), 2.0, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.AdamW([w], lr=1e-3, weight_decay=2.0)
    w.grad = torch.full_like(w, 1e-6)
    optimizer.step()
    left = 2 * (1 - 2e-3) - 1e-3 / 1.01
    assert adam_statistics(optimizer) == pytest.approx(
        {
            "adam_sqrt_v_mean": 1e-6,
            "adam_sqrt_v_max": 1e-6,
            "adam_ratio_mean": 1 / 1.01,
            "adam_ratio_max": 1 / 1.01,
            "update_decay_ratio": 2 / 1.01 / (2 * 2 * left),
            "decayed_weight_norm": 2 * left,
        },
        rel=1e-12,
    )


@pytest.mark.parametrize("amsgrad", [False, True])
def test_against_what_the_optimiser_does(amsgrad):
    """Groups with settings of their own, the second one without decay."""
    torch.manual_seed(0)
    first, last = nn.Linear(3, 4).double(), nn.Linear(4, 2).double()
    groups = [
        {"params": [first.weight], "weight_decay": 0.5, "eps": 1e-3},
        {"params": [first.bias, last.bias], "weight_decay": 0.0, "betas": (0.5, 0.9)},
        {"params": [last.weight], "weight_decay": 2.0},
    ]
    lr = 0.01
    optimizer = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.98), amsgrad=amsgrad)
    every = [first.weight, last.weight, first.bias, last.bias]
    before = every
    for _ in range(7):
        optimizer.zero_grad()
        last(first(torch.randn(5, 3, dtype=torch.float64)).tanh()).square().mean().backward()
        before = [p.detach().clone() for p in every]
        optimizer.step()

    after = [p.detach() for p in every]
    rates = [0.5, 2.0, 0.0, 0.0]
    moves = [
        ((old * (1 - lr * rate) - new) / lr).flatten()
        for old, new, rate in zip(before, after, rates, strict=True)
    ]
    sizes = torch.cat(moves).abs()
    decay = torch.cat([0.5 * after[0].flatten(), 2.0 * after[1].flatten()])
    ratio = torch.cat(moves[:2]).norm() / decay.norm()
    found = adam_statistics(optimizer)
    assert found["adam_ratio_mean"] == pytest.approx(sizes.mean().item(), rel=1e-9)
    assert found["adam_ratio_max"] == pytest.approx(sizes.max().item(), rel=1e-9)
    assert found["update_decay_ratio"] == pytest.approx(ratio.item())
    norm = torch.cat([after[0].flatten(), after[1].flatten()]).norm()
    assert found["decayed_weight_norm"] == pytest.approx(norm.item())


def test_root_of_v_is_that_of_steady_gradients():
    """Gradients of 3 and 4 at every step: √v̂ is 3 and 4 after any number of them."""
    w = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.Adam([w], lr=1e-3)
    for _ in range(5):
        w.grad = torch.tensor([3.0, 4.0])
        optimizer.step()
        found = adam_statistics(optimizer)
        assert set(found) == ADAM
        assert found["adam_sqrt_v_mean"] == pytest.approx(3.5, rel=1e-5)
        assert found["adam_sqrt_v_max"] == pytest.approx(4, rel=1e-5)
        assert found["adam_ratio_mean"] == pytest.approx(1, rel=1e-5)


def test_what_is_not_defined_is_left_out():
    w = torch.full((4,), 2.0, requires_grad=True)
    decay = {"decayed_weight_norm": 4.0}
    assert adam_statistics(torch.optim.AdamW([w], weight_decay=0)) == {}
    assert adam_statistics(torch.optim.AdamW([w], weight_decay=1)) == decay
    sgd = torch.optim.SGD([w], lr=1e-9, momentum=0.9, weight_decay=1)
    coupled = torch.optim.Adam([w], lr=1e-9, weight_decay=1)
    for optimizer in (sgd, coupled):
        w.grad = torch.ones_like(w)
        optimizer.step()
    assert adam_statistics(sgd) == pytest.approx(decay)
    assert set(adam_statistics(coupled)) == ADAM | set(decay)
    assert adam_statistics(torch.optim.SGD([w], lr=1)) == {}


def test_a_parameter_without_a_gradient_has_no_part():
    used, unused = (torch.ones(3, requires_grad=True) for _ in range(2))
    optimizer = torch.optim.AdamW([used, unused], weight_decay=1.0, lr=1e-9)
    used.grad = torch.ones(3)
    optimizer.step()
    found = adam_statistics(optimizer)
    assert found["adam_ratio_mean"] == pytest.approx(1)
    assert found["update_decay_ratio"] == pytest.approx(1)
    assert found["decayed_weight_norm"] == pytest.approx(6**0.5)
