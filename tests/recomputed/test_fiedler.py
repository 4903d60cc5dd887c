"""Claims of the Fiedler chapter, from published weights, the images, and SciPy's Laplacians."""

from __future__ import annotations

import numpy as np
from scipy.stats import ttest_1samp
from sklearn.metrics import adjusted_rand_score

from hdlib.experiments.fiedler.planted import NOISES, PARTITIONS
from hdlib.tasks.planted import planted_hessian
from tests.recomputed.claims import agree, decided, published, recomputes
from tests.recomputed.lenet import READ_OUT, hessian_sample, needs_mnist, weights
from tests.recomputed.plain import (
    Array,
    Labels,
    eigsh,
    fiedler_halves,
    hessian_operator,
    normalised_laplacian,
    statistic,
)

TREE, HALVED, OTHER = "normalised, ncut", "combinatorial, median", "SpectralClustering"
EPOCH = (0, 10, 50, 100, 200, 469)
EQUAL = [len(set(sizes)) == 1 for sizes in PARTITIONS]


def read_out_hessian(theta: Array, hidden: Array) -> Array:
    """(2,570, 2,570), weights row by row and then the biases: mean of (diag p − ppᵀ) ⊗ hhᵀ."""
    w, b = theta[READ_OUT][:-10].reshape(10, 256), theta[-10:]
    scores = hidden @ w.T + b
    p = np.exp(scores - scores.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    one = np.c_[hidden, np.ones(len(hidden))]
    blocks = np.empty((10, 257, 10, 257))
    for a in range(10):
        for c in range(a, 10):
            curvature = p[:, a] * ((a == c) - p[:, c])
            blocks[a, :, c] = one.T @ (curvature[:, None] * one) / len(one)
            blocks[c, :, a] = blocks[a, :, c].T
    order = np.r_[[257 * c + i for c in range(10) for i in range(256)], 257 * np.arange(10) + 256]
    return blocks.reshape(2_570, 2_570)[np.ix_(order, order)]


@needs_mnist
@recomputes("fiedler", "silent-numbers")
def test_some_numbers_are_zero_for_every_image_in_the_second_seed_alone():
    data, silent = hessian_sample(1_000), {}
    for name, results in zip(("first", "second"), published("fiedler").both, strict=True):
        steps = [step for step in results.run.config.checkpoints if step in (*EPOCH, 14_070)]
        hidden = [data.hidden(weights(results.run, step)) for step in steps]
        silent[name] = np.array([(each == 0).all(0).sum().item() for each in hidden])
        # Ten weights read each number.
        theirs = results.isolated[:, results.layers.index("linear")]
        assert np.array_equal(10 * silent[name], theirs[[results.at(step) for step in steps]])
    assert not silent["first"].any()
    assert silent["second"][0] == 0
    assert silent["second"][1:].min() > 0


@needs_mnist
@recomputes("fiedler", "linear-loosens")
def test_the_read_out_becomes_less_connected():
    """λ₂ of its normalised Laplacian by ARPACK, from its closed-form Hessian."""
    results, data, found = published("fiedler").default, hessian_sample(1_000), {}
    for step in (10, 50, 14_070):
        theta = weights(results.run, step).double()
        matrix = read_out_hessian(theta.numpy(), data.hidden(theta).numpy())
        laplacian, roots = normalised_laplacian(matrix)
        # The null vector is moved to 2, above which there is nothing.
        null = roots / np.linalg.norm(roots)
        flipped = 2 * np.eye(len(laplacian)) - laplacian - 2 * np.outer(null, null)
        found[step] = 2 - eigsh(flipped, k=1, which="LA", tol=1e-8)[0][0]
    v = np.random.default_rng(0).standard_normal(2_570)
    few = hessian_sample(50)
    whole = hessian_operator(few.loss, theta).matvec(np.r_[np.zeros(3_424), v])
    agree(
        read_out_hessian(theta.numpy(), few.hidden(theta).numpy()) @ v, whole[READ_OUT], within=1e-9
    )

    values = decided("fiedler", "linear-loosens").values
    agree(list(found.values()), [values[k] for k in ("before", "after", "end")], within=1e-6)
    assert abs(found[50] / found[10] - 0.5) < 0.05
    assert found[14_070] < 0.1


def best_split_tree(hessian: Array, k: int) -> Labels:
    """(n,) k modules: always that split along a Fiedler vector which adds most to modularity."""
    couplings = np.abs(hessian)
    degrees, labels = couplings.sum(0), np.zeros(len(hessian), dtype=np.int64)
    volume = degrees.sum()

    def split(members: Labels) -> tuple[float, Labels, Labels]:
        halves = fiedler_halves(hessian[np.ix_(members, members)])
        one, other = members[halves == 0], members[halves == 1]
        across = couplings[np.ix_(one, other)].sum()
        return degrees[one].sum() * degrees[other].sum() / volume - across, one, other

    waiting = [split(np.arange(len(hessian)))]
    for label in range(1, k):
        best = max(range(len(waiting)), key=lambda i: waiting[i][0])
        _, one, other = waiting.pop(best)
        labels[other] = label
        waiting += [split(part) for part in (one, other) if len(part) > 1]
    return labels


@recomputes("fiedler", "unequal-blocks", "equal-blocks")
def test_planted_blocks_are_found_again():
    """The trees of the first seeds anew; leads over scikit-learn with all twenty."""
    recovered = published("fiedler").default.recovery
    noises = (0, 2, 4, 6)
    for i, sizes in enumerate(PARTITIONS):
        for j in noises:
            hessian, blocks = planted_hessian(sizes, noise=NOISES[j], seed=0)
            found = adjusted_rand_score(blocks, best_split_tree(hessian, len(sizes)))
            assert abs(found - recovered[TREE][i, j, 0]) < 1e-9, (sizes, NOISES[j])

    lead = recovered[TREE] - recovered[OTHER]
    every, unequal = lead.mean(0), lead[np.logical_not(EQUAL)].mean(0)
    for values in (every, unequal):
        assert (statistic(ttest_1samp(values, 0, axis=1)) > 3).all()
    halved = recovered[HALVED][np.logical_not(EQUAL)].mean((0, 2))
    assert (halved < 0.5 * recovered[TREE][np.logical_not(EQUAL)].mean((0, 2))).all()

    equal = lead[EQUAL].mean(0)
    statistics = statistic(ttest_1samp(equal[2:], 0, axis=1))
    assert equal.mean(1).max() <= 0
    assert (statistics[:-1] < -3).all()
    assert -2.5 < statistics[-1] < -1.5
