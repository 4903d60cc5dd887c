"""Loss, accuracy and gradient norm over a whole data set."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hdlib.loss import Loss

SAMPLES = 250


def evaluate(
    model: nn.Module, loss: Loss, inputs: Tensor, targets: Tensor, *, gradient: bool = False
) -> dict[str, float]:
    """Mean loss and accuracy of a classifier, in evaluation mode.

    Args:
        model: maps inputs to (n, C) logits; its mode is restored.
        loss: mean-reduced.
        inputs: (N, …).
        targets: (N,) classes.
        gradient: also the Euclidean norm of the gradient of the mean loss.

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
        correct += int((outputs.argmax(1) == y).sum())
    model.train(training)
    measured = {"loss": total.item() / len(inputs), "accuracy": correct / len(inputs)}
    if gradient:
        norm = torch.stack([sum_.double().norm() for sum_ in sums]).norm()
        measured["gradient_norm"] = norm.item() / len(inputs)
    return measured
