"""The transformer of pairs [a, b, =] written out position by position, and what it is asked."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hdlib.store import Run
from hdlib.tasks import ModularTask, Pairs
from tests.recomputed.plain import Array, Labels, flat, shaped

PIECE = 2_048
"""Pairs whose changes of logits are held at a time."""


class Setting(Protocol):
    """What is asked of a config: the split, the number of heads, and the tensors' order."""

    @property
    def n_heads(self) -> int: ...
    @property
    def task(self) -> ModularTask: ...
    def model(self) -> nn.Module: ...


def weights_of(stage: Any, run: Run[Any], step: int) -> dict[str, Tensor]:
    """Weights that a training stage has at a checkpoint; where it has none the test is skipped."""
    if step not in stage.with_weights(run):
        pytest.skip(f"the weights at step {step} are not published")
    return stage.weights(run, step)


class Transformer:
    """One layer of attention and one read-out, of which the last position alone is read.

    Attributes:
        theta: (P,) float64 weights.
        names: tensors, in their order.
        task: pairs and their split.

    Args:
        setting: config.
        weights: by name.
        relu: whether there is a ReLU after attention.
    """

    def __init__(self, setting: Setting, weights: dict[str, Tensor], *, relu: bool = True) -> None:
        self.heads, self.task, self.relu = setting.n_heads, setting.task, relu
        self.names = list(setting.model().state_dict())
        self.shapes = [tuple(weights[name].shape) for name in self.names]
        self.theta = flat([weights[name] for name in self.names]).double()

    def named(self, theta: Tensor) -> dict[str, Tensor]:
        """Its tensors."""
        return dict(zip(self.names, shaped(theta, *self.shapes), strict=True))

    def share(self, vectors: Array, *names: str) -> Array:
        """(m,) part of the squared length of vectors (P, m) that lies in some tensors."""
        parts = np.split(vectors**2, np.cumsum([int(np.prod(s)) for s in self.shapes])[:-1])
        inside = zip(self.names, parts, strict=True)
        return np.sum([part.sum(0) for name, part in inside if name in names], 0)

    def inputs(self, w: dict[str, Tensor], pairs: Pairs) -> Tensor:
        """(n, 3, d)."""
        tokens = torch.stack([pairs.a, pairs.b, torch.full_like(pairs.a, pairs.p)], 1)
        return w["embedding"][tokens] + w["position"]

    def scores(self, w: dict[str, Tensor], x: Tensor, keys: Tensor) -> Tensor:
        """(n, 3, heads): how well the last position's query fits keys (n, 3, d)."""
        query = self.by_head(x[:, -1] @ w["query"])[:, None]
        return (self.by_head(keys) * query).sum(-1) / query.shape[-1] ** 0.5

    def by_head(self, x: Tensor) -> Tensor:
        """(…, heads, d / heads)."""
        return x.unflatten(-1, (self.heads, -1))

    def read(self, w: dict[str, Tensor], x: Tensor, scores: Tensor) -> Tensor:
        """Logits (n, C) of inputs (n, 3, d) and scores."""
        attention = scores.softmax(1)
        mixed = (attention[..., None] * self.by_head(x @ w["value"])).sum(1).flatten(1)
        residual = x[:, -1] + mixed @ w["output"]
        if self.relu:
            residual = residual.relu()
        if "mlp.0.weight" in w:
            hidden = F.linear(residual, w["mlp.0.weight"], w["mlp.0.bias"]).relu()
            residual = residual + F.linear(hidden, w["mlp.2.weight"], w["mlp.2.bias"])
        return residual @ w["unembedding"].T

    def logits(self, theta: Tensor, pairs: Pairs) -> Tensor:
        """(n, C)."""
        w = self.named(theta)
        x = self.inputs(w, pairs)
        uniform = x.new_zeros(len(x), 3, self.heads)
        scores = self.scores(w, x, x @ w["key"]) if "key" in w else uniform
        return self.read(w, x, scores)

    def loss(self, theta: Tensor) -> Tensor:
        """Mean cross-entropy over the training pairs."""
        return F.cross_entropy(self.logits(theta, self.task.train), self.task.train.targets)

    def right(self) -> tuple[float, float, float]:
        """Shares of test pairs that are right: of all, of mirrored ones, and of the others."""
        test, train = self.task.test, self.task.train
        found = self.logits(self.theta, test).argmax(1) == test.targets
        known = {*zip(train.b.tolist(), train.a.tolist(), strict=True)}
        pairs = zip(test.a.tolist(), test.b.tolist(), strict=True)
        mirrored = torch.tensor([pair in known for pair in pairs])
        parts = found, found[mirrored], found[~mirrored]
        every, same, others = (float(part.double().mean()) for part in parts)
        return every, same, others

    def attention(self, theta: Tensor) -> Array:
        """(heads, 3) mean over the training pairs of the attention to a, b and "="."""
        w = self.named(theta)
        x = self.inputs(w, self.task.train)
        return self.scores(w, x, x @ w["key"]).softmax(1).mean(0).T.numpy()

    def waves(self) -> Array:
        """((p − 1)/2,) share of the variance of all logits in cos(2πk(a + b − c)/p).

        From the Fourier transform over a, b and c: a wave has one coefficient, at (k, k, −k), and
        its conjugate; of these the real part is the cosine's.
        """
        p = self.task.grid.p
        cube = self.logits(self.theta, self.task.grid)[:, :p].reshape(p, p, p).numpy()
        cube = cube - cube.mean(2, keepdims=True)
        k = np.arange(1, p // 2 + 1)
        found = np.fft.fftn(cube)[k, k, -k].real
        return 2 * found**2 / p**3 / (cube**2).sum()

    def responses(self, directions: Array) -> Array:
        """(m, (p − 1)/2, m): for each frequency k of the class, Vᵀ Hₖ V of directions (P, m).

        Hₖ is the mean over all pairs of the squared part of frequency k of the change of logits:
        the coefficients of a discrete Fourier transform over the classes.
        """
        grid, columns = self.task.grid, torch.from_numpy(directions.T.copy()).float()
        p, theta = grid.p, self.theta.float()
        total = np.zeros((p // 2, len(columns), len(columns)))
        for at in torch.arange(p * p).split(PIECE):
            pairs = Pairs(grid.a[at], grid.b[at], grid.targets[at], p, grid.operation[at])

            def of(weights: Tensor, pairs: Pairs = pairs) -> Tensor:
                return self.logits(weights, pairs)[:, :p]

            moved = [torch.func.jvp(of, (theta,), (v,))[1].numpy() for v in columns]
            spectrum = np.fft.rfft(np.array(moved, np.float64))[..., 1:]
            total += np.einsum("ink,jnk->kij", spectrum, spectrum.conj(), optimize=True).real
        return total


def purities(curvatures: Array) -> tuple[Array, Labels]:
    """Largest share of one frequency of each direction by itself, (m,), and which, from 1."""
    own = np.diagonal(curvatures, axis1=1, axis2=2)
    shares = own / own.sum(0)
    return shares.max(0), shares.argmax(0) + 1


def random_basis(m: int, seed: int) -> Array:
    """An orthogonal (m, m)."""
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((m, m)))[0]
