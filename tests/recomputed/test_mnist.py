"""Claims of the MNIST chapter, from its published weights and the images themselves."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.linalg import subspace_angles

from hdlib.display import extent
from hdlib.experiments.mnist.recipe import DRAWS, SWEEP
from tests.recomputed.claims import agree, decided, published, recomputes
from tests.recomputed.gaps import FIVE, Gap, gap
from tests.recomputed.lenet import READ_OUT, hessian_sample, needs_mnist, sample, weights
from tests.recomputed.plain import (
    Array,
    gradient,
    hessian_operator,
    largest,
    spacing_ratio,
)

LAST = 14_070


@cache
def top(step: int, k: int, size: int = 1_000) -> tuple[Array, Array]:
    """Largest eigenvalues, descending, and vectors of the first network's Hessian.

    The search starts from the sum of the published vectors and, so that what they miss would be
    found, a random one.
    """
    first = published("mnist").first
    start = first.trajectory[step].vectors[:, -k:].sum(1)
    operator = hessian_operator(hessian_sample(size).loss, weights(first.run, step))
    return largest(operator, k, start=start)


def eigenvalues(step: int) -> Array:
    """All of the first network's that are published, descending."""
    first = published("mnist").first
    return first.trajectory.eigenvalues[first.at(step)][::-1]


@needs_mnist
@recomputes("mnist", "early-peak")
def test_sharpness_has_an_early_peak():
    ours = np.array([top(0, 1)[0][0], top(50, 10)[0][0], top(469, 1)[0][0]])
    agree(ours, [eigenvalues(step)[0] for step in (0, 50, 469)], within=1e-5)
    assert ours[1] > 10 * ours[0]
    assert ours[2] < 0.25 * ours[1]


@needs_mnist
@recomputes("mnist", "plateaus")
def test_nine_single_eigenvalues_and_one_cluster():
    agree(top(50, 10)[0], eigenvalues(50)[:10], within=1e-5)
    tree = linkage(eigenvalues(50)[:, None], "single")
    eps = np.sqrt(tree[-9, 2] * tree[-10, 2])
    sizes = np.bincount(fcluster(tree, eps, "distance"))[1:]
    assert sorted(sizes) == [1] * 9 + [5_985]

    plateau = {10: tree[-9, 2] / tree[-10, 2]}
    for step, clusters in ((13_132, 3), (LAST, 6)):
        heights = linkage(eigenvalues(step)[:, None], "single")[:, 2]
        plateau[clusters] = heights[1 - clusters] / heights[-clusters]
    values = decided("mnist", "plateaus").values
    agree(
        [plateau[k] for k in (10, 6, 3)], [values[k] for k in ("ten", "six", "three")], within=1e-6
    )
    assert plateau[6] < plateau[10] < plateau[3]


@needs_mnist
@recomputes("mnist", "nine-in-the-read-out")
def test_the_nine_live_in_the_read_out():
    first = published("mnist").first
    shares = (top(50, 10)[1][READ_OUT, :9] ** 2).sum(0)
    agree(shares, first.layer_weights[first.at(50), :9, 2], within=1e-4)
    assert shares.mean() > 0.8


@needs_mnist
@recomputes("mnist", "gradient-inside")
def test_the_gradient_over_the_same_images_is_inside():
    """At step 50 in vectors found here, at other checkpoints in those that are published."""
    first, data, inside = published("mnist").first, hessian_sample(1_000), {}
    for step in (0, 10, 50, 469, LAST):
        slope = gradient(data.loss, weights(first.run, step))
        vectors = top(50, 10)[1] if step == 50 else first.trajectory[step].vectors
        inside[step] = ((vectors.T @ slope) ** 2).sum() / (slope**2).sum()
    theirs = first.gradient_fractions["the Hessian's samples"]
    agree(list(inside.values()), [theirs[first.at(step)] for step in inside], within=1e-4)
    assert inside[10] < 0.12
    assert min(inside[50], inside[469], inside[LAST]) > 0.6
    assert inside[LAST] > 0.9


@needs_mnist
@recomputes("mnist", "exact-zeros")
def test_what_softmax_does_not_see_is_exactly_zero():
    """A vector added to all ten rows of the read-out: 257 directions, and 257 zeros."""
    first = published("mnist").first
    for step in (0, LAST):
        operator = hessian_operator(hessian_sample(50).loss, weights(first.run, step).double())
        added, any_other = np.random.default_rng(step).standard_normal((2, 5_994))
        for direction in (added, any_other):
            direction[:-2_570] = 0
        added[-2_570:-10] = np.tile(added[-2_570:-2_314], 10)
        added[-10:] = added[-1]
        images = [np.linalg.norm(operator.matvec(v)) for v in (added, any_other)]
        assert images[0] < 1e-12 * images[1]
    sizes = np.abs(first.trajectory.eigenvalues)
    assert ((sizes < 1e-13 * sizes.max(1, keepdims=True)).sum(1) == 256 + 1).all()


@needs_mnist
@recomputes("mnist", "single-images")
def test_fifty_images_give_any_headline():
    first = published("mnist").first
    theta = weights(first.run, LAST)
    order = np.random.default_rng((42, 1)).permutation(60_000)
    ours = np.array(
        [
            largest(hessian_operator(sample(draw).loss, theta), 2, tol=1e-3)[0]
            for draw in order[:1_000].reshape(20, 50)
        ]
    )
    theirs = first.run.arrays(DRAWS, LAST)["eigenvalues"]
    agree(ours, theirs[:, :-3:-1], within=1e-5)
    values = decided("mnist", "single-images").values
    assert values["largest"] == extent(ours[:, 0], ".2g")
    assert values["gaps"] == extent(ours[:, 0] - ours[:, 1], ".2g")
    assert ours[:, 0].max() > 100 * ours[:, 0].min()

    fifty = hessian_sample(50)
    vector = torch.from_numpy(top(LAST, 1, 50)[1][:, 0]).float()

    def bend(theta: torch.Tensor) -> torch.Tensor:
        return torch.func.jvp(fifty.losses, (theta,), (vector,))[1]

    carried = torch.func.jvp(bend, (theta,), (vector,))[1].numpy()
    share = carried.max() / carried.sum()
    agree(share, first.samples.shares["N = 50"][0], within=1e-4)
    assert share > 0.99


@needs_mnist
@recomputes("mnist", "early-samples-agree")
def test_any_number_of_images_shows_the_early_nine():
    first = published("mnist").first
    every = first.samples.eigenvalues[0][:, :-10:-1]
    ours = np.array([top(50, 9, 50)[0], top(50, 9, 200)[0], top(50, 10)[0][:9], *every[3:]])
    agree(ours, every, within=1e-5)
    assert np.abs(ours / ours[-1] - 1).max() < 0.4
    assert np.ptp(ours[:, 0]) / ours[-1, 0] < 0.15
    assert first.run.arrays(SWEEP, (50, 60_000))["effective_samples"] > 2_000


@recomputes("mnist", "space-moves")
def test_the_top_space_does_not_stand_still():
    """Mean squared cosine of the angles between published vectors, by SciPy."""
    first = published("mnist").first
    spaces = [spectrum.vectors for _, spectrum in first.trajectory]

    def overlap(a: int, b: int) -> float:
        return float((np.cos(subspace_angles(spaces[a], spaces[b])) ** 2).mean())

    peak, epoch, last = first.at(50), first.at(469), len(spaces) - 1
    successive = [overlap(at, at + 1) for at in range(peak, last)]
    far = max(overlap(at, last) for at in range(epoch + 1))
    theirs = first.trajectory.overlaps(10)
    agree(successive, np.diagonal(theirs, 1)[peak:], within=1e-5)
    agree(far, theirs[: epoch + 1, last].max(), within=1e-5)
    assert max(successive) < 0.85
    assert far < 0.36


@recomputes("mnist", "filters-kept")
def test_filters_at_the_end_have_twice_the_contrast():
    run = published("mnist").first.run
    early, last = (weights(run, step)[:200].numpy() for step in (50, LAST))
    values = decided("mnist", "filters-kept").values
    agree(last.std() / early.std(), values["contrast"], within=1e-5)
    assert 1.9 < last.std() / early.std() < 2.1
    assert 0.7 < (last * early > 0).mean() < 0.8


@recomputes("mnist", "nine-early")
def test_the_ninth_gap_stands_out_early():
    """With a null drawn and fitted anew."""
    found: list[dict[int, Gap]] = []
    for results in published("mnist").both:
        searches = {
            int(step): gap(values, FIVE)
            for step, values in zip(results.steps, results.trajectory.eigenvalues, strict=True)
        }
        theirs = results.searched_gaps
        assert [each.rank for each in searches.values()] == [each.rank for each in theirs]
        agree([each.score for each in searches.values()], [g.score for g in theirs], within=1e-9)
        assert (
            np.abs([a.p - b.p for a, b in zip(searches.values(), theirs, strict=True)]).max() < 0.1
        )
        found.append(searches)
    for searches, steps in zip(found, ((50, 200), (10, 100)), strict=True):
        nine = {step for step, each in searches.items() if each.rank == 9 and each.stands_out}
        early = sorted(step for step in nine if step <= 200)
        assert tuple(early) == steps
    rest = [each.score for step, each in found[0].items() if step != 50]
    assert found[0][50].score > 9.9 > 4.3 > max(rest)


@recomputes("mnist", "repulsion")
def test_eigenvalues_repel():
    first = published("mnist").first
    ratios = []
    for values in first.trajectory.eigenvalues:
        ranked = np.arange(1, 101) * -np.diff(np.log(values[:-102:-1]))
        pair = np.stack([ranked[1:], ranked[:-1]])
        ratios.append((pair.min(0) / pair.max(0)).mean())
    agree(np.mean(ratios), decided("mnist", "repulsion").values["ratio"], within=1e-9)
    assert abs(np.mean(ratios) - 0.531) < abs(np.mean(ratios) - 0.386) / 10
    goe = np.random.default_rng(0).standard_normal((600, 600))
    assert (
        abs(spacing_ratio(np.linalg.eigvalsh(goe + goe.T).astype(np.float64)) - np.mean(ratios))
        < 0.03
    )
