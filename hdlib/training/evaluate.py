"""Loss, accuracy and gradient norm over a whole data set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from hdlib.loss import Loss
from hdlib.training.plan import State

SAMPLES = 250


def supervised(loss: Loss) -> Callable[[nn.Module, Tensor, Tensor], Tensor]:
    """The loss of a step that compares the model's outputs with targets."""
    return lambda model, inputs, targets: loss(model(inputs), targets)


def evaluation(
    loss: Loss, train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor]
) -> Callable[[State], dict[str, float]]:
    """What is logged of a classifier: losses and accuracies over all data, and the gradient's norm.

    Args:
        loss: mean-reduced loss of outputs and classes.
        train: inputs and classes of the training data.
        test: inputs and classes of the test data.
    """

    def measure(state: State) -> dict[str, float]:
        on_train = evaluate(state.model, loss, *train, gradient=True)
        on_test = evaluate(state.model, loss, *test)
        return {
            "train_loss": on_train["loss"],
            "test_loss": on_test["loss"],
            "train_accuracy": on_train["accuracy"],
            "test_accuracy": on_test["accuracy"],
            "gradient_norm": on_train["gradient_norm"],
        }

    return measure


def logits_of(outputs: Any) -> Tensor:
    """The (n, C) logits in what a classifier returns: a tensor, ``.logits``, or the first of many.

    Raises:
        TypeError: if there is none of these.
    """
    if isinstance(outputs, Tensor):
        return outputs
    if isinstance(found := getattr(outputs, "logits", None), Tensor):
        return found
    if isinstance(outputs, tuple | list) and outputs and isinstance(outputs[0], Tensor):
        return outputs[0]
    raise TypeError(
        f"a model must return logits, an object with .logits, or a tuple that begins with them; "
        f"got {type(outputs).__name__}"
    )


def evaluate(
    model: nn.Module, loss: Loss, inputs: Tensor, targets: Tensor, *, gradient: bool = False
) -> dict[str, float]:
    """Mean loss and accuracy of a classifier, in evaluation mode.

    Args:
        model: classifier whose outputs have (n, C) logits (`logits_of`); its mode is restored.
        loss: mean-reduced loss of outputs and classes.
        inputs: (N, …) tensor.
        targets: (N,) classes.
        gradient: whether the Euclidean norm of the gradient of the mean loss is measured, too.

    Returns:
        ``loss``, ``accuracy`` in [0, 1] and, where asked, ``gradient_norm``.
    """
    training = model.training
    model.eval()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    total = torch.zeros((), dtype=torch.float64)
    correct = 0
    sums = [torch.zeros_like(parameter) for parameter in parameters]
    for x, y in zip(inputs.split(SAMPLES), targets.split(SAMPLES), strict=True):
        with torch.set_grad_enabled(gradient):
            outputs = model(x)
            value = loss(outputs, y) * len(x)
        if gradient:
            for sum_, part in zip(sums, torch.autograd.grad(value, parameters), strict=True):
                sum_ += part
        total += value.detach().double().cpu()
        correct += int((logits_of(outputs).argmax(1) == y).sum())
    model.train(training)
    measured = {"loss": total.item() / len(inputs), "accuracy": correct / len(inputs)}
    if gradient:
        norm = torch.stack([sum_.double().norm() for sum_ in sums]).norm()
        measured["gradient_norm"] = norm.item() / len(inputs)
    return measured
