"""What is measured at a checkpoint, against exact derivatives of tiny networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.func import hessian as second_derivative
from torch.func import jacrev

from hdlib.curvature import hessian
from hdlib.experiments.least_action import measuring
from hdlib.experiments.least_action.config import LeastActionConfig
from hdlib.experiments.least_action.objective import cross_entropy, encode
from hdlib.models import ArithmeticNetwork, GrokTransformer
from hdlib.training import logits_of

CPU = torch.device("cpu")
P = 5
ARCHITECTURES = ("mlp", "routed", "transformer", "routed_transformer")


def config(model: str, **fields: Any) -> LeastActionConfig:
    sizes: dict[str, Any] = {"p": P, "width": 4, "n_heads": 2, "model": model, "n_layers": 1}
    return LeastActionConfig(**(sizes | fields))


def network(config: LeastActionConfig) -> ArithmeticNetwork:
    """With larger weights than it begins with."""
    model = config.network()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.4 * torch.randn(parameter.shape, generator=generator)
    return model


@pytest.mark.parametrize("model", ARCHITECTURES)
def test_sensitivity_is_the_mean_over_the_test_pairs(model: str) -> None:
    one = config(model)
    made = network(one).double()
    inputs = encode(one, one.task.test)
    x = (made.embed(inputs) if isinstance(made, GrokTransformer) else inputs.double()).detach()
    whole = made.from_embeddings if isinstance(made, GrokTransformer) else made

    def logits(row: torch.Tensor) -> torch.Tensor:
        return logits_of(whole(row.view(1, *x.shape[1:])))[0]

    jacobians, traces = [], []
    for row in x.flatten(1):
        predicted = int(logits(row).argmax())
        jacobians.append(jacrev(logits)(row).detach().square().sum().item())
        matrix = second_derivative(lambda r, c=predicted: logits(r)[c])(row)
        traces.append(matrix.detach().trace().item())
    found = measuring.sensitivity(one, network(one), CPU)
    for name, values in (("input_jacobian", jacobians), ("input_hessian_trace", traces)):
        error = np.std(values, ddof=1) / len(values) ** 0.5
        assert found[name] == pytest.approx([np.mean(values), error], rel=1e-9)


def test_sensitivity_is_measured_at_the_same_pairs_whatever_was_drawn_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(measuring, "INPUTS", 4)
    one = config("transformer")
    first = measuring.sensitivity(one, network(one), CPU)
    torch.rand(3)
    again = measuring.sensitivity(one, network(one), CPU)
    for name, values in first.items():
        np.testing.assert_array_equal(again[name], values)


@pytest.mark.parametrize("model", ["mlp", "routed_transformer"])
def test_traces_are_those_of_the_matrices(model: str) -> None:
    one = config(model)
    made, train = network(one), one.task.train
    data = encode(one, train), train.targets
    found = measuring.traces(one, made, CPU)
    exact = float(hessian(made, cross_entropy, data).trace())
    value, error = found["hessian_trace"]
    assert abs(value - exact) < 4 * error
    assert error < 0.5 * abs(exact)
    made = made.double()
    squares = []
    for x, y in zip(*data, strict=True):
        row = x[None] if x.dtype == torch.int64 else x[None].double()
        loss = F.cross_entropy(logits_of(made(row)), y[None])
        slopes = torch.autograd.grad(loss, list(made.parameters()))
        squares.append(float(sum(slope.square().sum() for slope in slopes)))
    spread = np.std(squares, ddof=1) / len(squares) ** 0.5
    assert found["fisher_trace"] == pytest.approx([np.mean(squares), spread], rel=1e-4)


@pytest.mark.parametrize("model", ["mlp", "routed_transformer"])
def test_the_top_of_the_spectrum_is_that_of_the_matrix(model: str) -> None:
    one = config(model, spectra=1, eigenpairs=6)
    made, train = network(one), one.task.train
    matrix = hessian(made, cross_entropy, (encode(one, train), train.targets)).numpy()
    values, vectors = np.linalg.eigh(matrix)
    found = measuring.spectra(one, made, CPU)
    sure = found["residuals"] <= measuring.TOLERANCE * values[-1]
    assert sure.sum() >= 4
    assert found["eigenvalues"][sure] == pytest.approx(values[-6:][sure], abs=1e-6 * values[-1])
    for name in ("frequencies", "null_frequencies"):
        assert found[name].shape == (6, (P - 1) // 2)
        assert found[name].sum(1) == pytest.approx(np.ones(6))
    # What the leading eigenvector, the last one, does to the logits: by a small step along it.
    made, top = made.double(), torch.from_numpy(vectors[:, -1])
    weights = torch.nn.utils.parameters_to_vector(made.parameters()).detach()
    grid = encode(one, one.task.grid)
    grid = grid if grid.dtype == torch.int64 else grid.double()
    moved = []
    for sign in (1, -1):
        torch.nn.utils.vector_to_parameters(weights + sign * 1e-5 * top, made.parameters())
        moved.append(logits_of(made(grid)).detach().numpy())
    power = (np.abs(np.fft.fft(moved[0] - moved[1], axis=1)) ** 2).sum(0)[1 : (P + 1) // 2]
    assert found["frequencies"][-1] == pytest.approx(power / power.sum(), rel=1e-3)


@pytest.mark.parametrize("operation", ["add", "both"])
def test_maps_are_over_all_pairs_in_order(operation: str) -> None:
    one = config("routed_transformer", operation=operation, n_layers=2)
    made = network(one)
    found = measuring.maps(one, made, CPU)
    operations = ["add", "multiply"] if operation == "both" else ["add"]
    assert found["routing"].shape == (2, len(operations) * P**2, 2)
    assert found["power"].shape == (len(operations), P, P)
    assert found["power"].sum((1, 2)) == pytest.approx(np.ones(len(operations)))
    for number in range(len(operations)):
        for a in range(P):
            for b in range(P):
                # The token of "=" is P, those of the operations come after it.
                path = made.trace(torch.tensor([[a, P + 1 + number, b, P]]))  # pyright: ignore
                rows = found["routing"][:, number * P**2 + a * P + b]
                np.testing.assert_allclose(rows, torch.cat(list(path.weights)), rtol=1e-4)


def test_plain_networks_have_no_map_of_their_routes() -> None:
    one = config("transformer")
    assert set(measuring.maps(one, network(one), CPU)) == {"power"}
