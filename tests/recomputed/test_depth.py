"""Claims of the depth chapter, from its published weights and the seeds of its initial ones."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from hdlib.display import extent
from hdlib.experiments.depth.config import DepthConfig
from hdlib.experiments.depth.recipe import TRAINING
from hdlib.experiments.depth.results import Network
from hdlib.tasks import Pairs
from tests.recomputed.claims import agree, decided, published, recomputes
from tests.recomputed.plain import (
    flat,
    hessian_operator,
    largest,
    scaled_operator,
    shaped,
)


class Perceptron:
    """A network on pairs of residues, ReLU after ReLU, and the pairs that it learns from."""

    def __init__(self, config: DepthConfig, weights: dict[str, Tensor]) -> None:
        names = list(config.model().state_dict())
        self.encoding, self.p = config.encoding, config.p
        self.shapes = [tuple(weights[name].shape) for name in names]
        self.theta = flat([weights[name] for name in names]).double()
        self.task = config.task
        self.targets, self.inputs = self.task.train.targets, self.encode(self.task.train)

    def encode(self, pairs: Pairs) -> Tensor:
        """(n, d) float64."""
        both = torch.stack([pairs.a, pairs.b], 1)
        match self.encoding:
            case "raw":
                return both.double()
            case "standardised":
                residues = torch.arange(self.p).double()
                return (both - residues.mean()) / residues.std(correction=0)
            case _:
                return F.one_hot(both, self.p).flatten(1).double()

    def logits(self, theta: Tensor, inputs: Tensor) -> Tensor:
        """(n, p) for weights (P,)."""
        *hidden, w, b = shaped(theta, *self.shapes)
        for weight, bias in zip(hidden[::2], hidden[1::2], strict=True):
            inputs = (inputs @ weight.T + bias).relu()
        return inputs @ w.T + b

    def loss(self, theta: Tensor) -> Tensor:
        """Mean cross-entropy over the training pairs."""
        return F.cross_entropy(self.logits(theta, self.inputs.to(theta)), self.targets)

    def right(self, pairs: Pairs) -> Tensor:
        """(n,) bool."""
        return self.logits(self.theta, self.encode(pairs)).argmax(1) == pairs.targets

    def sharpness(self) -> float:
        """Largest eigenvalue of the Hessian, from products in single precision."""
        return float(largest(hessian_operator(self.loss, self.theta.float()), tol=1e-3)[0][0])

    def scale_free(self) -> float:
        """Largest eigenvalue of diag(|θ|) H diag(|θ|), likewise."""
        operator = hessian_operator(self.loss, self.theta.float())
        return float(largest(scaled_operator(operator, np.abs(self.theta.numpy())), tol=1e-3)[0][0])


def untrained(network: Network) -> Perceptron:
    return Perceptron(network.config, network.config.model().state_dict())


@cache
def last(network: Network) -> Perceptron:
    """At the end of training: of the first seed the weights are published."""
    config = network.config
    return Perceptron(config, TRAINING.weights(network.run, config.n_steps))


def first_seed(networks: list[Network]) -> list[Network]:
    return [network for network in networks if network.config.seed == 0]


@cache
def sharpness_before(encoding: str) -> dict[tuple[int, int], float]:
    """Of every network of an encoding, by depth and seed."""
    networks = published("depth").original(encoding)
    return {(n.config.depth, n.config.seed): untrained(n).sharpness() for n in networks}


@cache
def sharpness_at_the_end() -> dict[int, float]:
    """Of the networks of the first seed on raw integers, by depth, ascending."""
    networks = first_seed(published("depth").original("raw"))
    found = {n.config.depth: last(n).sharpness() for n in networks}
    return dict(sorted(found.items()))


def logged(network: Network, row: int) -> float:
    return float(network.measured("largest_eigenvalue")[1][row])


@recomputes("depth", "falls-before-training")
@pytest.mark.parametrize("encoding", ["raw", "standardised"])
def test_sharpness_falls_with_depth_before_training(encoding):
    found = sharpness_before(encoding)
    networks = published("depth").original(encoding)
    theirs = np.array([logged(n, 0) for n in networks])
    agree(np.array(list(found.values())) / theirs, np.ones(len(theirs)), within=1e-4)
    for seed in (0, 1, 2):
        by_depth = [value for (_, s), value in sorted(found.items()) if s == seed]
        assert (np.diff(by_depth) < 0).all()


@recomputes("depth", "scale-of-the-inputs")
def test_neither_sharpness_is_of_one_order_on_raw_and_standardised_integers():
    results = published("depth")
    raw, standardised = (sharpness_before(name) for name in ("raw", "standardised"))
    plain = [raw[key] / standardised[key] for key in standardised]
    networks = {
        name: {(n.config.depth, n.config.seed): n for n in results.original(name)}
        for name in ("raw", "standardised")
    }
    free = []
    for key in (key for key in standardised if key[1] == 0):
        pair = [networks[name][key] for name in ("raw", "standardised")]
        ours = [untrained(n).scale_free() for n in pair]
        agree(np.array(ours) / [n.adaptive[0] for n in pair], [1, 1], within=1e-4)
        free.append(ours[0] / ours[1])
    assert min(plain) > 100
    assert min(free) > 100
    assert decided("depth", "scale-of-the-inputs").values["plain"] == extent(plain, ",.0f")


@recomputes("depth", "grows-not-in-order", "sharp-without-generalising")
def test_sharpness_at_the_end_is_in_no_order_of_depth():
    networks = {n.config.depth: n for n in first_seed(published("depth").original("raw"))}
    values = np.array(list(sharpness_at_the_end().values()))
    theirs = [logged(networks[depth], -1) for depth in sharpness_at_the_end()]
    agree(values / theirs, np.ones(7), within=1e-3)
    assert values[0] == values.min()
    assert not (np.diff(values) > 0).all()
    before = np.array([sharpness_before("raw")[depth, 0] for depth in sharpness_at_the_end()])
    assert (values / before)[1:].min() > 2


@recomputes("depth", "sharp-without-generalising", "no-depth-generalises", "deeper-is-better")
def test_what_is_right_at_the_end():
    results, others = published("depth"), {}
    for encoding in ("raw", "standardised"):
        for network in first_seed(results.original(encoding)):
            found = last(network)
            task, right = found.task, found.right(found.task.test)
            known = set(zip(task.train.b.tolist(), task.train.a.tolist(), strict=True))
            mirrored = np.array(
                [
                    pair in known
                    for pair in zip(task.test.a.tolist(), task.test.b.tolist(), strict=True)
                ]
            )
            ours = [right.double().mean().item(), right.numpy()[~mirrored].mean()]
            history = network.history
            theirs = [float(history[c][-1]) for c in ("test_accuracy", "other_accuracy")]
            # A pair or two lie on the fence in single precision.
            agree(ours, theirs, within=1e-2)
            others[encoding, network.config.depth] = ours
    assert max(test for (encoding, _), (test, _) in others.items() if encoding == "raw") < 0.1
    best_raw = max(other for (encoding, _), (_, other) in others.items() if encoding == "raw")
    one, *more = (others["standardised", depth][1] for depth in (1, 2, 4))
    assert min(more) > 1.4 * one
    assert one > 2 * best_raw


@recomputes("depth", "scale-free-alike")
def test_the_scale_free_sharpness_is_alike_at_every_depth():
    networks = published("depth").original("raw")
    first = first_seed(networks)
    others = [network for network in networks if network not in first]
    free = [last(n).scale_free() for n in first]
    agree(np.array(free) / [n.adaptive[-1] for n in first], np.ones(7), within=1e-3)
    free += [n.adaptive[-1] for n in others]
    plain = [*sharpness_at_the_end().values(), *(logged(n, -1) for n in others)]
    assert max(free) / min(free) < 0.1 * max(plain) / min(plain)


@recomputes("depth", "matrix-free")
def test_the_top_of_the_exact_spectrum_is_arpacks():
    network = published("depth").compared
    (exact, certified) = next(
        (eigenvalues, ends.eigenvalues[-ends.highest :])
        for step, eigenvalues, ends in network.exact
        if step == network.config.n_steps
    )
    found = last(network)
    ours = largest(hessian_operator(found.loss, found.theta), 12, tol=1e-6)[0]
    agree(ours, exact[:-13:-1], within=1e-9)
    agree(ours[: len(certified)], certified[::-1], within=1e-9)
    agree(ours[0], logged(network, -1), within=1e-5)


@recomputes("depth", "edge-of-stability")
def test_gradient_descent_ends_above_the_edge():
    crossed = []
    for network in first_seed(published("depth").descent):
        over = last(network).sharpness() * network.config.lr / 2
        agree(over, logged(network, -1) * network.config.lr / 2, within=1e-3)
        steps, values = network.measured("largest_eigenvalue")
        above = steps[values * network.config.lr > 2]
        if len(above) and above[0] <= network.config.n_steps - 800:
            crossed.append(over)
    assert len(crossed) >= 4
    assert min(crossed) > 1


@recomputes("depth", "adam-ceiling")
def test_adams_edge_is_where_its_momentum_diverges():
    """On λx²/2 an update is x ← x − ηm, m ← β₁m + (1 − β₁)λx: unstable from 38/η on."""
    lr, beta = 1e-3, 0.9

    def radius(eigenvalue: float) -> float:
        update = np.array(
            [[1 - lr * (1 - beta) * eigenvalue, -lr * beta], [(1 - beta) * eigenvalue, beta]]
        )
        return float(np.abs(np.linalg.eigvals(update)).max())

    ceiling = published("depth").ceiling
    assert radius(0.999 * ceiling) < 1 < radius(1.001 * ceiling)
    medians = []
    for network in published("depth").original("raw"):
        table = network.history
        late = (table["step"] >= 2_000) & np.isfinite(table["adam_eigenvalue"])
        medians.append(np.median(table["adam_eigenvalue"][late]) / ceiling)
    assert 0.5 < min(medians) < max(medians) < 1.2
    assert decided("depth", "adam-ceiling").values["medians"] == extent(medians, ".2f")
