from __future__ import annotations

from math import exp, log1p

import pytest
import torch
import torch.nn.functional as F

from hdlib.training import cross_entropy_float64


@pytest.mark.parametrize("margin", [17.5, 20.0, 25.0])
def test_small_losses_and_their_gradients(margin):
    """log(1 + 2 exp(−margin)) and its derivative, which float32 rounds to 0."""
    outputs = torch.tensor([[margin, 0.0, 0.0]], requires_grad=True)
    targets = torch.tensor([0])
    in_float32 = F.cross_entropy(outputs, targets)
    in_float32.backward()
    assert in_float32.item() == 0
    assert outputs.grad is not None
    assert outputs.grad[0, 0] == 0
    outputs.grad = None

    loss = cross_entropy_float64(outputs, targets)
    loss.backward()
    assert loss.dtype == torch.float64
    assert loss.item() == pytest.approx(log1p(2 * exp(-margin)), rel=1e-4)
    assert outputs.grad is not None
    assert outputs.grad.dtype == torch.float32
    p = exp(-margin) / (1 + 2 * exp(-margin))
    torch.testing.assert_close(outputs.grad, torch.tensor([[-2 * p, p, p]]), rtol=1e-4, atol=0)


def test_equal_to_the_usual_loss_where_that_is_exact():
    torch.manual_seed(0)
    outputs, targets = torch.randn(50, 7), torch.randint(7, (50,))
    expected = F.cross_entropy(outputs.double(), targets)
    assert cross_entropy_float64(outputs, targets) == expected
    assert cross_entropy_float64(outputs.double(), targets) == expected
    torch.testing.assert_close(F.cross_entropy(outputs, targets).double(), expected)
