from __future__ import annotations

from math import exp, log1p

import pytest
import torch
import torch.nn.functional as F

from hdlib.training import cross_entropy_float64, cross_entropy_of_errors

LOSSES = [cross_entropy_float64, cross_entropy_of_errors]


@pytest.mark.parametrize("cross_entropy", LOSSES)
@pytest.mark.parametrize("margin", [17.5, 20.0, 25.0])
def test_small_losses_and_their_gradients(margin, cross_entropy):
    """log(1 + 2 exp(−margin)) and its derivative, which float32 rounds to 0."""
    outputs = torch.tensor([[margin, 0.0, 0.0]], requires_grad=True)
    targets = torch.tensor([0])
    in_float32 = F.cross_entropy(outputs, targets)
    in_float32.backward()
    assert in_float32.item() == 0
    assert outputs.grad is not None
    assert outputs.grad[0, 0] == 0
    outputs.grad = None

    loss = cross_entropy(outputs, targets)
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


@pytest.mark.parametrize("scale", [1e-3, 1.0, 10.0, 1000.0])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 1e-6)], ids=str
)
def test_errors_give_the_loss_and_its_gradient_at_every_size(dtype, tolerance, scale):
    """Certain and uncertain, right and wrong: some targets have a probability below the type's."""
    generator = torch.Generator().manual_seed(0)
    drawn = scale * torch.randn(60, 7, generator=generator, dtype=dtype)
    targets = torch.randint(7, (60,), generator=generator)
    targets[:30] = drawn[:30].argmax(1)
    outputs, exact = drawn.clone().requires_grad_(), drawn.double().requires_grad_()
    found, expected = cross_entropy_of_errors(outputs, targets), F.cross_entropy(exact, targets)
    assert found.dtype == torch.float64
    assert found.item() == pytest.approx(expected.item(), rel=tolerance)
    (3 * found).backward()
    (3 * expected).backward()
    assert outputs.grad is not None
    assert exact.grad is not None
    assert (outputs.grad - exact.grad).norm() <= 2 * tolerance * exact.grad.norm()
    assert outputs.grad.sum(1).abs().max() <= tolerance
