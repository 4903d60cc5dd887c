"""Claims of the onset chapter: from its arrays, and one network trained again for 100 steps."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import binom

from hdlib.display import extent
from hdlib.experiments.onset.config import OnsetConfig
from hdlib.experiments.onset.recipe import CIRCUIT, SPECTRA, TRAINING
from hdlib.store import Run
from tests.recomputed.claims import agree, decided, published, recomputes
from tests.recomputed.gaps import FIVE, Gap, gap
from tests.recomputed.plain import Array, hessian_operator, largest
from tests.recomputed.transformer import Transformer

Mask = NDArray[np.bool_]
NEVER = float("inf")


class Course(NamedTuple):
    """A network through training: T checkpoints, K key frequencies, m leading eigenpairs.

    Attributes:
        steps: checkpoints.
        others: (T,) accuracy on pairs that memory cannot answer.
        eigenvalues: (T, m), descending.
        shares: (T, m, F) of each frequency in the response to each vector.
        logits: (T, F) share of each frequency in the logits.
        keys: (K,) key frequencies.
        second: name ↦ (T, …, m, K), second largest dimension in the span of the first 1 … m.
        heads: number of heads.
    """

    steps: list[int]
    others: Array
    eigenvalues: Array
    shares: Array
    logits: Array
    keys: NDArray[np.int64]
    second: dict[str, Array]
    heads: int

    def twice(self, mask: Mask) -> float:
        """First of two checkpoints in a row with something."""
        for step, now, then in zip(self.steps, mask, mask[1:], strict=False):
            if now and then:
                return step
        return NEVER

    def stays(self, mask: Mask) -> float:
        """First checkpoint after the last without it."""
        without = [-1, *np.flatnonzero(~mask)][-1]
        return NEVER if without + 1 == len(mask) else self.steps[without + 1]

    @property
    def knows(self) -> float:
        """When half of the other pairs are right."""
        return self.twice(self.others > 0.5)

    @property
    def seen(self) -> Mask:
        """(T, K) whether two directions of a frequency are among all leading vectors."""
        # The level is that of the first r vectors; with all of them r is m.
        level = np.maximum(self.second["relabelled"][:, -1].max(), 0.5)
        return self.second["dimensions"][:, -1] > level

    @property
    def gaps(self) -> list[Gap]:
        """At each checkpoint, below the ranks of the heads."""
        ranks = range(self.heads + 1, self.eigenvalues.shape[1])
        return [gap(values, FIVE, ranks) for values in self.eigenvalues]


def course(run: Run[OnsetConfig]) -> Course:
    steps = run.config.checkpoints
    spectra, circuit = ([run.arrays(of, step) for step in steps] for of in (SPECTRA, CIRCUIT))
    history = TRAINING.history(run)
    return Course(
        steps,
        history["other_accuracy"][np.isin(history["step"], steps)],
        np.array([at["eigenvalues"] for at in spectra]),
        np.array([at["shares"] for at in spectra], np.float64),
        np.array([at["logit_power"] for at in circuit], np.float64),
        circuit[-1]["frequencies"],
        {
            name: np.array([at[name][..., 1] for at in spectra], np.float64)
            for name in ("dimensions", "rotated", "relabelled")
        },
        run.config.n_heads,
    )


@cache
def courses() -> list[Course]:
    return [course(network.run) for network in published("onset").followed]


@cache
def controls() -> list[Course]:
    return [course(network.run) for network in published("onset").controls]


@cache
def gaps() -> list[list[Gap]]:
    return [of.gaps for of in courses()]


def signs(ahead: int, behind: int) -> float:
    """Two-sided p of a sign test."""
    return float(min(1, 2 * binom.cdf(min(ahead, behind), ahead + behind, 0.5)))


def order(first: list[list[float]], second: list[list[float]]) -> tuple[NDArray, int, int]:
    """Before, same, after over all frequencies; networks with more before, and with more after."""
    counts = np.array(
        [
            [
                sum(a < b for a, b in zip(one, two, strict=True)),
                sum(a == b for a, b in zip(one, two, strict=True)),
                sum(a > b for a, b in zip(one, two, strict=True)),
            ]
            for one, two in zip(first, second, strict=True)
        ]
    )
    ahead, behind = ((counts[:, a] > counts[:, b]).sum() for a, b in ((0, 2), (2, 0)))
    return counts.sum(0), int(ahead), int(behind)


def counted(found: tuple[NDArray, int, int]) -> str:
    """The same as the chapter begins to say it, and ends."""
    (before, same, after), *_ = found
    return f"{before} before, {same} at one checkpoint, {after} after"


@recomputes("onset", "first-before-accuracy")
def test_a_doublet_that_stays_is_there_before_the_accuracy():
    first, lasting = (
        [min(of.twice(at) for at in of.seen.T) for of in courses()],
        [min(of.stays(at) for at in of.seen.T) for of in courses()],
    )
    knows = [of.knows for of in courses()]
    ahead = sum(a < b for a, b in zip(lasting, knows, strict=True))
    behind = sum(a > b for a, b in zip(lasting, knows, strict=True))
    values = decided("onset", "first-before-accuracy").values
    assert values["known"] == extent(knows, ",.0f")
    assert values["stays"] == ahead
    assert values["p_stays"] == pytest.approx(signs(ahead, behind))
    assert values["first"] == sum(a < b for a, b in zip(first, knows, strict=True))
    assert signs(ahead, behind) <= 0.05
    few = [min(of.stays(at) for at in of.seen.T) for of in controls()]
    assert min(few) == NEVER


@recomputes("onset", "rest-comes-after")
def test_most_doublets_that_stay_come_after_it():
    stays = [[of.stays(at) for at in of.seen.T] for of in courses()]
    seen = [[of.twice(at) for at in of.seen.T] for of in courses()]
    knows = [[of.knows] * len(of.keys) for of in courses()]
    values = decided("onset", "rest-comes-after").values
    for name, found in (("stays", order(stays, knows)), ("seen", order(seen, knows))):
        assert str(values[name]).startswith(counted(found))
        assert f"(networks {found[1]} to {found[2]}, p = {signs(*found[1:]):.3f})" in str(
            values[name]
        )
    _, ahead, behind = order(stays, knows)
    assert behind > ahead
    assert signs(ahead, behind) <= 0.05


@recomputes("onset", "logits-before-curvature")
def test_frequencies_are_in_the_logits_before_they_are_in_the_curvature():
    seen = [[of.twice(at) for at in of.seen.T] for of in courses()]
    prominent = []
    for of in courses():
        others = [k for k in range(of.logits.shape[1]) if k + 1 not in of.keys]
        above = of.logits[:, of.keys - 1] > of.logits[:, others].max()
        prominent.append([of.twice(at) for at in above.T])
    found = order(seen, prominent)
    printed = str(decided("onset", "logits-before-curvature").values["prominent"])
    assert printed.startswith(counted(found))
    _, ahead, behind = found
    assert behind > ahead
    assert signs(ahead, behind) <= 0.05


def standing(shares: Array, logits: Array) -> float:
    """Part of the other frequencies that have less than the one with most of the logits."""
    strongest = int(np.argmax(logits))
    others = np.delete(shares, strongest)
    return float((others < shares[strongest]).mean())


@recomputes("onset", "which-frequency")
def test_which_frequency_is_known_after_a_hundred_steps_and_not_before():
    found = np.array(
        [
            [
                [standing(shares[t], of.logits[-1]) for t in (0, 1)]
                for shares in (of.shares.mean(1), of.logits)
            ]
            for of in courses()
        ]
    ).mean(0)
    values = decided("onset", "which-frequency").values
    agree(found[0], [values["curvature"], values["curvature_after"]], within=1e-9)
    agree(found[1], [values["logits"], values["logits_after"]], within=1e-9)
    band = 1.96 / (12 * len(courses())) ** 0.5
    assert np.abs(found[:, 0] - 0.5).max() < band
    assert found[:, 1].min() > 0.5 + band


@cache
def trained(steps: int) -> tuple[Run[OnsetConfig], Transformer]:
    """The first network again: a plain pass, in single precision, and PyTorch's AdamW."""
    run = published("onset").followed[0].run
    config = run.config
    found = Transformer(config, config.model().state_dict())
    theta = found.theta.float().requires_grad_()
    optimizer = torch.optim.AdamW(
        [theta], lr=config.lr, betas=(0.9, config.beta2), weight_decay=config.weight_decay
    )
    for _ in range(steps):
        optimizer.zero_grad()
        found.loss(theta).backward()
        optimizer.step()
    found.theta = theta.detach().double()
    return run, found


def mean_shares(found: Transformer, vectors: Array) -> Array:
    """(F,) share of each frequency in the responses, mean over directions (P, m)."""
    own = np.diagonal(found.responses(vectors), axis1=1, axis2=2)
    return (own / own.sum(0)).mean(1)


@recomputes("onset", "which-frequency")
@pytest.mark.parametrize(("steps", "count", "near"), [(0, 4, 1e-5), (100, 16, 0.15)])
def test_a_network_trained_again_has_the_published_curvature_and_logits(
    steps: int, count: int, near: float
):
    """At the hundredth step what rounding has made of it differs, most on another processor."""
    run, found = trained(steps)
    stored, circuit = run.arrays(SPECTRA, steps), run.arrays(CIRCUIT, steps)
    history = TRAINING.history(run)
    row = history["step"].tolist().index(steps)
    agree(float(found.loss(found.theta)), history["train_loss"][row], within=max(near, 1e-4))
    agree(found.waves(), circuit["logit_power"], within=near)
    operator = hessian_operator(found.loss, found.theta)
    values, vectors = largest(operator, count, tol=1e-3, space=30)
    agree(values, stored["eigenvalues"][:count], within=near)
    ours, theirs = mean_shares(found, vectors), stored["shares"][:count].astype(np.float64).mean(0)
    agree(ours, theirs, within=max(near, 0.02))
    last = run.arrays(CIRCUIT, run.config.n_steps)["logit_power"]
    assert standing(ours, last) == pytest.approx(standing(theirs, last), abs=0.1)


@recomputes("onset", "rank-is-no-count")
def test_the_gap_is_seldom_at_the_predicted_rank():
    """With a null drawn and fitted anew."""
    ends = [(found[-1], of) for found, of in zip(gaps(), courses(), strict=True)]
    ranks = [found.rank for found, _ in ends]
    theirs = [network.gaps[-1] for network in published("onset").followed]
    assert ranks == [each.rank for each in theirs]
    agree([found.score for found, _ in ends], [each.score for each in theirs], within=1e-9)
    predicted = [of.heads + 2 * len(of.keys) for _, of in ends]
    hits = sum(a == b for a, b in zip(ranks, predicted, strict=True))
    assert hits < 0.75 * len(ranks)
    tests = [
        gap(of.eigenvalues[-1], FIVE, [rank]) for (_, of), rank in zip(ends, predicted, strict=True)
    ]
    passed = sum(each.p <= 0.05 for each in tests)
    assert binom.sf(passed - 1, len(tests), 0.05) <= 0.05


@recomputes("onset", "gap-is-no-early-sign")
def test_a_gap_is_hardly_ever_before_the_accuracy():
    """With a null drawn and fitted anew; a network or two may fall to another side by it."""
    out = [
        of.twice(np.array([each.stands_out for each in found]))
        for found, of in zip(gaps(), courses(), strict=True)
    ]
    knows = [of.knows for of in courses()]
    behind = sum(a > b for a, b in zip(out, knows, strict=True))
    ahead = sum(a < b for a, b in zip(out, knows, strict=True))
    verdict = decided("onset", "gap-is-no-early-sign")
    theirs = [int(str(verdict.values[name])) for name in ("ahead", "behind")]
    assert verdict.holds
    assert max(ahead, theirs[0]) < 0.25 * len(out)
    assert abs(behind - theirs[1]) <= 2


@recomputes("onset", "too-few-pairs")
def test_networks_with_too_few_pairs_have_no_doublet_that_stays():
    right = [of.others[-1] for of in controls()]
    seen = [[int(of.seen[-1].sum()) for of in group] for group in (controls(), courses())]
    values = decided("onset", "too-few-pairs").values
    assert values["right"] == extent(right, ".0%")
    assert (values["few_seen"], values["seen"]) == tuple(map(extent, seen))
    assert max(right) < 0.5
    assert np.mean(seen[0]) < np.mean(seen[1]) / 2
