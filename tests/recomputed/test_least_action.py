"""Claims of the chapter on least action, from its published weights: plain forward passes."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import entropy
from torch import Tensor

from hdlib.experiments.least_action.recipe import TRAINING
from hdlib.experiments.least_action.results import TrainedNetwork
from hdlib.tasks import Pairs
from tests.recomputed.claims import agree, decided, published, recomputes
from tests.recomputed.plain import Array, hessian_operator

ARMS = ("plain", "matched", "pressed")
HEADS = 4
Weights = dict[str, Tensor]


class Transformer:
    """[a, +, b, =] through blocks of attention and feed-forward networks, weighed by a gate or one.

    Args:
        network: of which the split is.
        weights: by name.
    """

    def __init__(self, network: TrainedNetwork, weights: Weights) -> None:
        self.config, self.task = network.config, network.config.task
        self.weights = {name: value.double() for name, value in weights.items()}
        self.sizes = [value.numel() for value in self.weights.values()]
        self.theta = torch.cat([value.flatten() for value in self.weights.values()])

    def named(self, theta: Tensor) -> Weights:
        parts = zip(self.weights.items(), theta.split(self.sizes), strict=True)
        return {name: part.view(value.shape) for (name, value), part in parts}

    def embedded(self, pairs: Pairs, w: Weights) -> Tensor:
        """(n, 4, d)."""
        p = torch.full_like(pairs.a, pairs.p)
        tokens = torch.stack([pairs.a, p + 1, pairs.b, p], 1)
        return w["tokens.weight"][tokens] + w["positions.weight"]

    def forward(self, x: Tensor, w: Weights) -> tuple[Tensor, list[Tensor]]:
        """Logits (n, p) of embedded pairs, and each layer's weights (n, heads) where there is a
        gate."""

        def linear(name: str, x: Tensor) -> Tensor:
            return F.linear(x, w[f"{name}.weight"], w.get(f"{name}.bias"))

        def norm(name: str, x: Tensor) -> Tensor:
            return F.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"])

        def feed_forward(name: str, x: Tensor) -> Tensor:
            return linear(f"{name}.2", F.gelu(linear(f"{name}.0", x)))

        routed, chosen = "state.start.weight" in w, []
        later = torch.ones(4, 4, dtype=torch.bool).triu(1)
        state = torch.zeros(0)
        if routed:
            counts = torch.arange(1, 5)[:, None]
            state = linear("state.start", x.cumsum(1) / counts)
        for layer in range(self.config.n_layers):
            block = f"blocks.{layer}"
            y = norm(f"{block}.attention_norm", x)
            q, k, v = (
                linear(f"{block}.attention.{part}", y).unflatten(2, (HEADS, -1)).transpose(1, 2)
                for part in ("query", "key", "value")
            )
            scores = (q @ k.mT / k.shape[-1] ** 0.5).masked_fill(later, -torch.inf)
            mixed = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
            x = x + linear(f"{block}.attention.output", mixed)
            y = norm(f"{block}.norm", x)
            if routed:
                gate = linear(f"{block}.gate.from_state", state)
                gate = gate + linear(f"{block}.gate.from_input", y)
                weights = linear(f"{block}.gate.choice", F.gelu(gate)).softmax(-1)
                chosen.append(weights[:, -1])
                parts = [feed_forward(f"{block}.feed_forward.{i}", y) for i in range(HEADS)]
                x = x + (torch.stack(parts, -1) * weights[:, :, None]).sum(-1)
                if layer < self.config.n_layers - 1:
                    state = linear(f"state.updates.{layer}", torch.cat([state, x], 2))
            else:
                x = x + feed_forward(f"{block}.feed_forward", y)
        return linear("read_out", norm("norm", x[:, -1])), chosen

    def logits(self, theta: Tensor, pairs: Pairs) -> Tensor:
        w = self.named(theta)
        return self.forward(self.embedded(pairs, w), w)[0]

    def loss(self, theta: Tensor) -> Tensor:
        """Mean cross-entropy over the training pairs."""
        train = self.task.train
        return F.cross_entropy(self.logits(theta, train), train.targets)


def network_of(arm: str) -> TrainedNetwork:
    """The first seed's network of an arm."""
    results = published("least_action")
    return results.of(getattr(results.grid, arm))[0]


@cache
def last(arm: str) -> Transformer:
    network = network_of(arm)
    return Transformer(network, TRAINING.weights(network.run, network.config.n_steps))


@cache
def over_all_pairs(arm: str) -> tuple[Array, list[Array]]:
    """Logits (p², p) and each layer's weights at the end."""
    found = last(arm)
    logits, chosen = found.forward(found.embedded(found.task.grid, found.weights), found.weights)
    return logits.numpy(), [weights.numpy() for weights in chosen]


def of_the_sum(values: Array, p: int) -> float:
    """Share of the variance over all pairs (p², C) that is that of the means of each sum."""
    centred = values - values.mean(1, keepdims=True)
    centred = (centred - centred.mean(0)).reshape(p, p, -1)
    means = np.stack([centred[np.arange(p), (s - np.arange(p)) % p].mean(0) for s in range(p)])
    return float(p * (means**2).sum() / (centred**2).sum())


@recomputes("least_action", "sum-share-rises")
def test_the_logits_have_become_a_function_of_the_sum():
    for arm in ARMS:
        network, found = network_of(arm), last(arm)
        logits, task = over_all_pairs(arm)[0], found.task
        right = logits.argmax(1) == task.grid.targets.numpy()
        test = (task.test.a * task.grid.p + task.test.b).numpy()
        mirrored = np.isin(
            (task.test.b * task.grid.p + task.test.a).numpy(),
            (task.train.a * task.grid.p + task.train.b).numpy(),
        )
        ours = [right[test][mirrored].mean(), right[test][~mirrored].mean()]
        agree(ours, [network.last(c) for c in ("mirrored_accuracy", "other_accuracy")], within=0.01)

        share, column = of_the_sum(logits, task.grid.p), network.column("sum_share")
        agree(share, column[-1], within=1e-4)
        memorised = column[network.column("train_accuracy") >= 0.98][0]
        assert share > memorised + 0.1


@recomputes("least_action", "pressure-decides", "pressure-ends-routing")
def test_pressure_ends_the_choice_of_paths():
    """Entropies over their largest value, of the paths and of the mean path, layer by layer."""
    own, mean, most = {}, {}, {}
    for arm in ("matched", "pressed"):
        chosen = over_all_pairs(arm)[1]
        own[arm] = np.array([entropy(w, axis=1).mean() for w in chosen]) / np.log(HEADS)
        mean[arm] = np.array([entropy(w.mean(0)) for w in chosen]) / np.log(HEADS)
        most[arm] = np.array([w.mean(0).max() for w in chosen])
        network = network_of(arm)
        uses = [[network.last(f"head_use_{i}_{j}") for j in range(HEADS)] for i in (0, 1)]
        assert np.abs(most[arm] - np.max(uses, 1)).max() < 1e-5
        for ours, column in ((own, "routing_entropy"), (mean, "marginal_entropy")):
            theirs = [network.last(f"{column}_{layer}") / np.log(HEADS) for layer in (0, 1)]
            assert np.abs(ours[arm] - theirs).max() < 1e-5
    assert own["pressed"].max() < own["matched"].min()
    assert most["pressed"].min() > 0.9 > most["matched"].max()


@recomputes("least_action", "paths-by-the-sum")
def test_free_paths_follow_the_sum_in_the_last_layer():
    network = network_of("matched")
    first, second = (of_the_sum(w, network.config.p) for w in over_all_pairs("matched")[1])
    before = Transformer(network, network.config.network().state_dict())
    untrained = before.forward(before.embedded(before.task.grid, before.weights), before.weights)[1]
    shares = [of_the_sum(w.numpy(), network.config.p) for w in untrained]
    assert second > 0.9 > first
    assert max(shares) < 0.1
    low, high = (
        str(decided("least_action", "paths-by-the-sum").values["last"]).rstrip("%").split("% to ")
    )
    assert float(low) - 0.05 <= 100 * second <= float(high) + 0.05


@recomputes("least_action", "norms-grow-all-along")
def test_norms_have_grown():
    for arm in ARMS:
        network = network_of(arm)
        first, end = (
            sum(value.double().square().sum().item() for value in weights.values()) ** 0.5
            for weights in (network.config.network().state_dict(), last(arm).weights)
        )
        whole, row = network.column("norm/total"), network.generalised_row
        agree([first, end], whole[[0, -1]], within=1e-5)
        assert first < whole[row] < end


def trace(found: Transformer | Memorising, products: int) -> tuple[float, float]:
    """Hutchinson's estimate of tr H and its standard error."""
    operator = hessian_operator(found.loss, found.theta)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (products, len(found.theta)))
    values = np.array([v @ operator.matvec(v) for v in signs])
    return float(values.mean()), float(values.std(ddof=1) / products**0.5)


class Memorising:
    """The plain network on one-hot pairs at the end of its training: GELU after GELU."""

    def __init__(self, network: TrainedNetwork) -> None:
        config = network.config
        weights = TRAINING.weights(network.run, config.n_steps)
        self.layers = sorted({int(name.split(".")[0]) for name in weights})
        self.shapes = [tuple(weights[f"{i}.{k}"].shape) for i in self.layers for k in KINDS]
        self.theta = torch.cat([weights[f"{i}.{k}"].flatten() for i in self.layers for k in KINDS])
        self.theta, self.task = self.theta.double(), config.task

    def logits(self, theta: Tensor, pairs: Pairs) -> Tensor:
        parts = theta.split([int(np.prod(shape)) for shape in self.shapes])
        shaped = [part.view(shape) for part, shape in zip(parts, self.shapes, strict=True)]
        x = F.one_hot(torch.stack([pairs.a, pairs.b], 1), pairs.p).flatten(1).to(theta)
        *hidden, w, b = shaped
        for weight, bias in zip(hidden[::2], hidden[1::2], strict=True):
            x = F.gelu(x @ weight.T + bias)
        return x @ w.T + b

    def loss(self, theta: Tensor) -> Tensor:
        train = self.task.train
        return F.cross_entropy(self.logits(theta, train), train.targets)


KINDS = ("weight", "bias")


@recomputes("least_action", "flat-is-not-general")
def test_the_network_that_memorises_is_flatter():
    results = published("least_action")
    network = results.of(results.grid.one_hot[0])[0]
    memorising = Memorising(network)
    flat, error = trace(memorising, 10)
    stored = network.hessian_trace
    assert abs(flat - stored.values[-1]) < 4 * np.hypot(error, stored.errors[-1])
    for arm in ("plain", "pressed"):
        value, error = trace(last(arm), 5)
        stored = network_of(arm).hessian_trace
        assert abs(value - stored.values[-1]) < 4 * np.hypot(error, stored.errors[-1])
        assert value - 4 * error > flat

    test = memorising.task.test
    right = memorising.logits(memorising.theta, test).argmax(1) == test.targets
    others = right[~memorising.task.mirrored].double().mean().item()
    assert abs(others - network.last("other_accuracy")) < 0.01
    assert others < 0.1


def at_some_pairs(found: Transformer) -> tuple[Tensor, Tensor]:
    """Embeddings of those 64 test pairs at which sensitivity is measured, and their logits."""
    test = found.task.test
    some = torch.randperm(len(test.a), generator=torch.Generator().manual_seed(0))[:64]
    chosen = Pairs(test.a[some], test.b[some], test.targets[some], test.p, test.operation[some])
    embedded = found.embedded(chosen, found.weights).requires_grad_()
    return embedded, found.forward(embedded, found.weights)[0]


@recomputes("least_action", "sensitivity-grows")
def test_transformers_end_far_more_sensitive():
    """All rows of the Jacobian by the embeddings, before training and at its end."""
    for arm in ARMS:
        network, squares = network_of(arm), []
        for found in (Transformer(network, network.config.network().state_dict()), last(arm)):
            embedded, logits = at_some_pairs(found)
            rows = [torch.autograd.grad(c.sum(), embedded, retain_graph=True)[0] for c in logits.T]
            squares.append(torch.stack(rows).square().sum().item() / len(logits))
        agree(squares, network.input_jacobian.values[[0, -1]], within=1e-6)
        assert squares[-1] > 100 * squares[0]


@recomputes("least_action", "sensitivity-grows")
def test_transformers_end_on_peaks_of_their_logits():
    """The trace of the input Hessian of the predicted class, by random signs."""
    for arm in ARMS:
        embedded, logits = at_some_pairs(last(arm))
        (slope,) = torch.autograd.grad(logits.max(1).values.sum(), embedded, create_graph=True)
        generator = torch.Generator().manual_seed(1)
        estimates = []
        for _ in range(16):
            signs = torch.randint(2, slope.shape, generator=generator).double() * 2 - 1
            (image,) = torch.autograd.grad(slope, embedded, signs, retain_graph=True)
            estimates.append((image * signs).sum().item() / len(logits))
        mean, error = np.mean(estimates), np.std(estimates, ddof=1) / len(estimates) ** 0.5
        assert abs(mean - network_of(arm).input_hessian.values[-1]) < 4 * error
        assert mean + 4 * error < 0
