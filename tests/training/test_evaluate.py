"""Loss and accuracy against scikit-learn, for all that a classifier may return."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import accuracy_score, log_loss
from torch import nn

from hdlib.training import State, evaluate, evaluation, logits_of

from .small import data, network


def test_in_pieces_and_in_evaluation_mode():
    model = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5)).train()
    x, y = data(2500)
    measured = evaluate(model, F.cross_entropy, x, y)
    assert model.training
    p = model.eval()(x).softmax(1).detach().double().numpy()
    assert measured.keys() == {"loss", "accuracy"}
    assert measured["loss"] == pytest.approx(log_loss(y, p / p.sum(1, keepdims=True)), rel=1e-5)
    assert measured["accuracy"] == accuracy_score(y, p.argmax(1))
    evaluate(model, F.cross_entropy, x, y)
    assert not model.training


def test_gradient_norm_is_that_of_the_mean_loss():
    """Pieces of unequal size, and parameters that are not trained."""
    model, (x, y) = network(), data(610)
    next(model.parameters()).requires_grad_(False)
    measured = evaluate(model, F.cross_entropy, x, y, gradient=True)
    F.cross_entropy(model.double()(x.double()), y).backward()
    norm = sum(float(p.grad.square().sum()) for p in model.parameters() if p.grad is not None)
    assert measured["gradient_norm"] == pytest.approx(norm**0.5, rel=1e-5)


class Wrapped(nn.Module):
    def __init__(self, wrap) -> None:
        super().__init__()
        self.inner, self.wrap = network(), wrap

    def forward(self, x):
        return self.wrap(self.inner(x))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda logits: SimpleNamespace(logits=logits, loss=None),
        lambda logits: (logits, "attention"),
        lambda logits: [logits],
    ],
)
def test_logits_in_an_object_or_first_of_many(wrap):
    x, y = data()
    plain = evaluate(network(), F.cross_entropy, x, y, gradient=True)
    found = evaluate(
        Wrapped(wrap),
        lambda outputs, targets: F.cross_entropy(logits_of(outputs), targets),
        x,
        y,
        gradient=True,
    )
    assert found == plain


@pytest.mark.parametrize("outputs", [None, (), {"logits": torch.ones(2)}, ("a", "b")])
def test_no_logits(outputs):
    with pytest.raises(TypeError, match=f"must return logits.*got {type(outputs).__name__}"):
        logits_of(outputs)


def test_what_is_logged_of_a_classifier():
    model, train, test = network(), data(), data(20, 1)
    state = State(model, torch.optim.SGD(model.parameters()), 0, {})
    row = evaluation(F.cross_entropy, train, test)(state)
    with_gradient = evaluate(model, F.cross_entropy, *train, gradient=True)
    assert row == {
        "train_loss": with_gradient["loss"],
        "test_loss": evaluate(model, F.cross_entropy, *test)["loss"],
        "train_accuracy": with_gradient["accuracy"],
        "test_accuracy": evaluate(model, F.cross_entropy, *test)["accuracy"],
        "gradient_norm": with_gradient["gradient_norm"],
    }
    assert all(parameter.grad is None for parameter in model.parameters())
