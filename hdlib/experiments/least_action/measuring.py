"""What is measured of a network at a checkpoint, each number with its error."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from hdlib.curvature import HessianOperator, fisher_trace, lanczos, trace
from hdlib.experiments.ends import end_arrays
from hdlib.experiments.least_action.config import LeastActionConfig
from hdlib.experiments.least_action.objective import (
    TrainedLoss,
    continuous,
    cross_entropy,
    encode,
)
from hdlib.measures import input_hessian_trace, input_jacobian, pair_power
from hdlib.measures.functions import class_frequencies, output_changes
from hdlib.models import ArithmeticNetwork, Routed
from hdlib.store import Arrays
from hdlib.training import logits_of

INPUTS = 64
"""Pairs at which sensitivity is measured: test pairs, always the same ones of a task."""
PRODUCTS = 15
"""Of the trace of the Hessian."""
TOLERANCE = 1e-6
MOST_PRODUCTS = 400
PROBES, NODES = 2, 20
"""Of the quadrature for the density."""


class _Logits(nn.Module):
    """A network without what it says of its path."""

    def __init__(self, model: ArithmeticNetwork) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> Tensor:
        return logits_of(self.model(inputs))


def _train(config: LeastActionConfig, device: torch.device) -> tuple[Tensor, Tensor]:
    train = config.task.train
    return encode(config, train).to(device), train.targets.to(device)


def sensitivity(
    config: LeastActionConfig, model: ArithmeticNetwork, device: torch.device
) -> Arrays:
    """Squared input Jacobian norm and input Hessian trace, each (2,): value and standard error.

    At the same test pairs at every checkpoint, in float64.
    """
    test = encode(config, config.task.test)
    some = torch.randperm(len(test), generator=torch.Generator().manual_seed(0))[:INPUTS]
    function, inputs = continuous(model.double(), _floating(test[some].to(device)))
    return {
        "input_jacobian": np.array(input_jacobian(function, inputs.detach())),
        "input_hessian_trace": np.array(input_hessian_trace(function, inputs.detach())),
    }


def _floating(inputs: Tensor) -> Tensor:
    return inputs.double() if inputs.is_floating_point() else inputs


def traces(config: LeastActionConfig, model: ArithmeticNetwork, device: torch.device) -> Arrays:
    """Traces of the Hessian and of the empirical Fisher matrix of the cross-entropy, (2,) each.

    Value and standard error; over all training pairs, in float64: of a network that knows them all
    too well nothing is left in single precision.
    """
    data = _train(config, device)
    found = trace(HessianOperator(model, cross_entropy, data), products=PRODUCTS)
    fisher = fisher_trace(model, cross_entropy, data)
    return {
        "hessian_trace": np.array([found.value, found.standard_error]),
        "fisher_trace": np.array(fisher),
    }


def spectra(config: LeastActionConfig, model: ArithmeticNetwork, device: torch.device) -> Arrays:
    """The top of the spectrum of the Hessian of the cross-entropy, its density, and its function.

    ``frequencies`` (k, (p − 1)/2) is the share of each frequency of the classes in what each
    eigenvector does to the logits of all pairs, the eigenvector of the smallest eigenvalue first;
    ``null_frequencies`` the same of a random rotation of these eigenvectors.
    """
    operator = HessianOperator(model, cross_entropy, _train(config, device))
    ends = lanczos(
        operator,
        top=config.eigenpairs,
        bottom=0,
        tol=TOLERANCE,
        max_products=MOST_PRODUCTS,
        mark=True,
    )
    arrays = end_arrays(operator, ends, probes=PROBES, nodes=NODES)
    grid = encode(config, config.task.grid).to(device)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(ends.vectors.shape[1],) * 2))[0]
    logits = _Logits(model.double())
    moved, null = (
        class_frequencies(output_changes(logits, _floating(grid), vectors), config.p)
        for vectors in (ends.vectors, ends.vectors @ rotation)
    )
    return arrays | {"frequencies": moved, "null_frequencies": null}


def maps(config: LeastActionConfig, model: ArithmeticNetwork, device: torch.device) -> Arrays:
    """Over all pairs: the power of the logits by frequency, and the routing weights.

    ``power`` (operations, p, p) float32; ``routing`` (layers, operations · p², heads) float32 of a
    routed network, pairs in the order of a·p + b, additions first.
    """
    objective = TrainedLoss(config, device)
    with torch.no_grad():
        outputs = objective.grid_outputs(model)
        logits = logits_of(outputs).double().view(-1, config.p, config.p, config.p)
    power = np.stack([pair_power(part.cpu().numpy()) for part in logits])
    found = {"power": power.astype(np.float32)}
    if isinstance(outputs, Routed):
        found["routing"] = torch.stack(list(outputs.weights)).float().cpu().numpy()
    return found
