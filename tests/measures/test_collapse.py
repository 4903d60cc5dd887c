from __future__ import annotations

from math import log

import pytest
import torch
import torch.nn.functional as F

from hdlib.measures.collapse import collapsed_share

ZERO = torch.tensor([0])


def one(margin: float, classes: int = 2) -> torch.Tensor:
    """Logits whose first one leads all others by a margin."""
    return torch.tensor([[margin, *[0.0] * (classes - 1)]], dtype=torch.float64)


@pytest.mark.parametrize(("dtype", "bits"), [(torch.float32, 24), (torch.float64, 53)])
def test_collapse_comes_where_the_rest_is_half_of_the_precision(dtype, bits):
    """1 + 2⁻ᵇ is halfway to the next number and rounds to 1."""
    edge = bits * log(2)
    assert collapsed_share(one(edge - 0.01), ZERO, dtype=dtype) == 0
    assert collapsed_share(one(edge + 0.01), ZERO, dtype=dtype) == 1
    assert collapsed_share(one(edge + 0.01) + 3, ZERO, dtype=dtype) == 1


def test_a_confident_error_has_not_collapsed():
    both = torch.cat([one(1000.0), one(1000.0)])
    assert collapsed_share(both, torch.tensor([0, 1])) == 0.5
    assert collapsed_share(one(0.0), ZERO) == 0


def test_those_that_collapsed_are_those_whose_own_logit_has_no_gradient():
    """In single precision, at margins from 10 to 25; in double all have one."""
    generator = torch.Generator().manual_seed(0)
    z = 0.1 * torch.randn(300, 7, generator=generator)
    z[torch.arange(300), torch.arange(300) % 7] += torch.linspace(10, 25, 300)
    y = torch.arange(300) % 7
    z.requires_grad_()
    (slopes,) = torch.autograd.grad(F.cross_entropy(z, y, reduction="sum"), z)
    of_targets = slopes[torch.arange(300), y]
    collapsed = torch.tensor([collapsed_share(z[n : n + 1], y[n : n + 1]) for n in range(300)])
    assert torch.equal(collapsed == 1, of_targets == 0)
    assert 0.3 < collapsed.mean() < 0.7
    assert collapsed_share(z, y) == pytest.approx(collapsed.mean().item())
    assert collapsed_share(z, y, dtype=torch.float64) == 0


def test_errors():
    for logits, targets in (
        (torch.ones(0, 2), torch.ones(0)),
        (torch.ones(2), ZERO),
        (one(1), torch.tensor([0, 1])),
    ):
        with pytest.raises(ValueError, match=r"must be \(n, C\) and \(n,\)"):
            collapsed_share(logits, targets)
