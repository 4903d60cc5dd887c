"""Claims of the emergence chapter: probes of scikit-learn, and ARPACK, on its published weights."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from hdlib.experiments.emergence.config import EmergenceConfig
from hdlib.experiments.emergence.recipe import TRAINING
from hdlib.store import Run
from hdlib.tasks import Pairs, modular_task
from tests.recomputed.claims import agree, published, recomputes
from tests.recomputed.gaps import FIVE, gap
from tests.recomputed.plain import (
    Array,
    circular,
    flat,
    hessian_operator,
    largest,
    shaped,
    statistic,
)

P, SMALL = 97, (16, 32, 64)
SEEDS = (0, 1, 2)
PARITY, LEGENDRE = "parity of the sum", "Legendre symbol of the sum"
TRUE, RELABELLED, SHUFFLED = range(3)
X, Y = np.indices((P, P)).reshape(2, -1)
SUM = (X + Y) % P
EmergenceRun = Run[EmergenceConfig]
Bools = NDArray[np.bool_]


class Perceptron:
    """Two hidden layers, ReLU after each, on one-hot pairs or on the integers themselves."""

    def __init__(self, run: EmergenceRun, *, trained: bool) -> None:
        config = run.config
        initial = config.model().state_dict()
        weights = TRAINING.weights(run, config.n_steps) if trained else initial
        self.raw = config.encoding == "raw"
        self.shapes = [tuple(initial[name].shape) for name in initial]
        self.theta = flat([weights[name] for name in initial]).double()
        self.task = config.task

    def layers(self, theta: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """Second hidden layer before its ReLU, and logits."""
        w1, b1, w2, b2, w3, b3 = shaped(theta, *self.shapes)
        if self.raw:
            first = torch.stack([pairs.a, pairs.b], 1).to(theta) @ w1.T
        else:
            first = F.embedding(pairs.a, w1[:, :P].T) + F.embedding(pairs.b, w1[:, P:].T)
        second = (first + b1).relu() @ w2.T + b2
        return second, second.relu() @ w3.T + b3

    def loss(self, theta: Tensor) -> Tensor:
        train = self.task.train
        return F.cross_entropy(self.layers(theta, train)[1].double(), train.targets)


def run_of(width: int, seed: int) -> EmergenceRun:
    return published("emergence").main.runs[width, seed]


@cache
def features(width: int, seed: int, *, trained: bool) -> Array:
    """(p², width): the last hidden layer over all pairs."""
    network = Perceptron(run_of(width, seed), trained=trained)
    return network.layers(network.theta, network.task.grid)[0].relu().numpy()


def answers(concept: str, residues: NDArray[np.int64]) -> Bools:
    if concept == PARITY:
        return residues % 2 == 0
    return np.array([pow(int(residue), (P - 1) // 2, P) == 1 for residue in residues])


def labels(concept: str, kind: int, config: EmergenceConfig) -> Bools:
    """(p²,) answers: the concept's, that of permuted residues, or the concept's in any order."""
    if kind == RELABELLED:
        order = np.random.default_rng((config.probe_seed, 1)).permutation(P)
        return answers(concept, np.arange(P))[order][SUM]
    found = answers(concept, np.arange(P))[SUM]
    if kind == SHUFFLED:
        return found[np.random.default_rng((config.probe_seed, 2)).permutation(P**2)]
    return found


def fitted_rows(config: EmergenceConfig) -> Bools:
    """(p²,) which pairs a probe sees."""
    share = config.probe_rows / P**2
    train = modular_task(P, train_fraction=share, seed=config.probe_seed, unordered=True).train
    return np.isin(X * P + Y, (train.a * P + train.b).numpy())


def probe(activations: Array, known: Bools, fitted: Bools, strengths: tuple[float, ...]) -> Bools:
    """(n,) what a logistic regression says that saw some of the rows."""
    # Nearly separable rows have no unique optimum to speak of: Newton gets there, whatever C is.
    regression = LogisticRegression(class_weight="balanced", solver="newton-cholesky")
    model = Pipeline([("scaled", StandardScaler()), ("regression", regression)])
    mirrors = (np.minimum(X, Y) * P + np.maximum(X, Y))[fitted]
    search = GridSearchCV(
        model, {"regression__C": list(strengths)}, cv=GroupKFold(2), scoring="roc_auc"
    )
    return search.fit(activations[fitted], known[fitted], groups=mirrors).predict(activations)


@cache
def held_out(
    width: int, seed: int, concept: str, kind: int = TRUE, *, trained: bool = True
) -> float:
    """Balanced accuracy off pairs that the probe did not see."""
    config = run_of(width, seed).config
    fitted, known = fitted_rows(config), labels(concept, kind, config)
    said = probe(features(width, seed, trained=trained), known, fitted, config.strengths)
    return float(balanced_accuracy_score(known[~fitted], said[~fitted]))


def each(concept: str, kind: int = TRUE, *, trained: bool = True) -> Array:
    """(3, 3) by width and seed, of the networks whose weights are published."""
    return np.array(
        [[held_out(w, s, concept, kind, trained=trained) for s in SEEDS] for w in SMALL]
    )


def stored(concept: str, kind: int = TRUE, *, trained: bool = True) -> Array:
    """(5, 3) what the chapter's probes score on the last hidden layer, for all widths."""
    return published("emergence").main.scores(concept, kind, trained=trained)[..., -2]


@recomputes("emergence", "generalise")
def test_wide_networks_generalise_and_a_narrow_one_does_not():
    found = np.empty((3, 3))
    for i, width in enumerate(SMALL):
        for seed in SEEDS:
            network = Perceptron(run_of(width, seed), trained=True)
            test = network.task.test
            assert not set(zip(test.b.tolist(), test.a.tolist(), strict=True)) & set(
                zip(network.task.train.a.tolist(), network.task.train.b.tolist(), strict=True)
            )
            logits = network.layers(network.theta, test)[1]
            found[i, seed] = (logits.argmax(1) == test.targets).double().mean()
    agree(found, published("emergence").main.logged("test_accuracy")[:3], within=1e-3)
    assert found[2].min() >= 0.95
    assert found[:2].min() < 0.95


@recomputes("emergence", "nothing-before-training")
def test_concepts_of_the_sum_are_read_after_training_alone():
    before = np.array([each(name, trained=False) for name in (PARITY, LEGENDRE)])
    shuffled = each(LEGENDRE, SHUFFLED)
    after = each(LEGENDRE)
    theirs = np.array([stored(name, trained=False)[:3] for name in (PARITY, LEGENDRE)])
    agree(before, theirs, within=0.03)
    agree(after, stored(LEGENDRE)[:3], within=0.03)
    assert before.max() < 0.52
    assert np.abs(shuffled - 0.5).max() < 0.03
    assert after.min() > 0.56


@recomputes("emergence", "no-more-than-a-control")
def test_a_meaningless_question_is_answered_as_well():
    for name in (PARITY, LEGENDRE):
        ours = each(name) - each(name, RELABELLED)
        every = stored(name) - stored(name, RELABELLED)
        assert np.abs(ours - every[:3]).max() < 0.03
        every[:3] = ours
        assert abs(statistic(stats.ttest_1samp(every.ravel(), 0))) < stats.t.isf(
            0.025, every.size - 1
        )


@recomputes("emergence", "one-wave")
def test_parity_is_read_where_one_frequency_is():
    """R² of sin(2π · 48 (x + y)/p) by least squares, on pairs that were not fitted."""
    waves, target = np.empty((3, 3)), np.sin(2 * np.pi * 48 * SUM / P)
    for i, width in enumerate(SMALL):
        for seed in SEEDS:
            fitted = fitted_rows(run_of(width, seed).config)
            design = np.c_[features(width, seed, trained=True), np.ones(P**2)]
            weights = np.linalg.lstsq(design[fitted], target[fitted], rcond=None)[0]
            rest = target[~fitted] - (design @ weights)[~fitted]
            waves[i, seed] = 1 - (rest**2).sum() / ((target - target.mean())[~fitted] ** 2).sum()
    theirs = published("emergence").main.waves()[..., -2, -1, 1]
    agree(np.maximum(waves, 0), np.maximum(theirs[:3], 0), within=0.03)

    def above_mean(values: Array) -> Array:
        return (values - values.mean(1, keepdims=True)).ravel()

    order = statistic(stats.spearmanr(above_mean(waves), above_mean(each(PARITY))))
    null = statistic(stats.spearmanr(above_mean(waves), above_mean(each(LEGENDRE))))
    assert order > 0.9
    assert null < 0.6


@recomputes("emergence", "decodability-is-capacity")
def test_in_the_original_setting_a_probe_learns_its_rows_by_heart():
    results, rows = published("emergence").original, {"fitted": [], "other": []}
    for (width, _), run in results.runs.items():
        if width > 64:
            continue
        network, config = Perceptron(run, trained=True), run.config
        second = network.layers(network.theta, network.task.grid)[0].numpy()
        fitted, even = fitted_rows(config), X % 2 == 0
        order = np.random.default_rng((config.probe_seed, 2)).permutation(P**2)
        for known in (even, even[order]):
            said = probe(second, known, fitted, (1.0,))
            for name, part in (("fitted", fitted), ("other", ~fitted)):
                rows[name].append(balanced_accuracy_score(known[part], said[part]))
    fitted, other = (np.array(found).reshape(-1, 2) for found in rows.values())
    theirs = np.array(
        [
            [
                results.scores("parity of x", kind, rows=at)[results.widths <= 64, :, -2]
                for at in (1, 0)
            ]
            for kind in (TRUE, SHUFFLED)
        ]
    )
    keys = [key for key in results.runs if key[0] <= 64]
    place = [(results.widths.tolist().index(width), seed) for width, seed in keys]
    agree(fitted, np.array([theirs[:, 0, w, s] for w, s in place]), within=0.02)
    agree(other, np.array([theirs[:, 1, w, s] for w, s in place]), within=0.02)
    assert fitted.mean(0).min() > 0.51
    assert np.abs(other - 0.5).max() < 0.03
    assert stats.ttest_rel(fitted[:, 0], fitted[:, 1]).pvalue > 0.05


@cache
def leading(seed: int) -> tuple[Array, Array]:
    """14 largest eigenvalues of the followed width at the end, and what their vectors move.

    Returns:
        Eigenvalues, descending, (14,), and each vector's share of each frequency of the classes in
        Jv over all pairs, (14, 48).
    """
    network = Perceptron(run_of(64, seed), trained=True)
    values, vectors = largest(hessian_operator(network.loss, network.theta.float()), 14, tol=1e-3)
    theta, grid, found = network.theta.float(), network.task.grid, []
    for vector in torch.from_numpy(vectors.T.copy()).float():
        change = torch.func.jvp(lambda theta: network.layers(theta, grid)[1], (theta,), (vector,))[
            1
        ]
        energy = circular(change.numpy()).sum(0)
        found.append(energy / energy.sum())
    return values, np.array(found)


@recomputes("emergence", "single-frequencies", "one-outlier-a-frequency")
def test_what_leading_eigenvectors_move():
    followed, matched = published("emergence").followed, []
    for seed in SEEDS:
        values, moved = leading(seed)
        agree(values, followed.eigenvalues[seed, -1, :14], within=1e-5)
        agree(moved.max(1), followed.moved[seed, -1, :14].max(1), within=1e-2)
        assert (moved.max(1) > 0.5).any()

        outliers = gap(followed.eigenvalues[seed, -1], FIVE).rank
        assert outliers == followed.outliers[seed, -1]
        network = Perceptron(run_of(64, seed), trained=True)
        logits = network.layers(network.theta, network.task.grid)[1].numpy()
        matched.append(sorted(moved[:outliers].argmax(1).tolist()) == key_frequencies(logits))
    assert matched == [False, False, True]


@recomputes("emergence", "outliers-after")
def test_outliers_come_with_generalisation():
    """With a null drawn and fitted anew."""
    followed = published("emergence").followed
    accuracy = followed.logged("test_accuracy", followed.spectrum_steps)
    for values, right, theirs in zip(followed.eigenvalues, accuracy, followed.gaps, strict=True):
        found = [gap(each, FIVE) for each in values]
        assert [g.rank for g in found] == [g.rank for g in theirs]
        agree([g.score for g in found], [g.score for g in theirs], within=1e-9)
        assert np.abs([a.p - b.p for a, b in zip(found, theirs, strict=True)]).max() < 0.1
        assert not any(g.stands_out for g, share in zip(found, right, strict=True) if share <= 0.05)
        assert found[-1].stands_out


def key_frequencies(logits: Array) -> list[int]:
    """Those k of cos(2πk(x + y − c)/p) with more than 1% of the logits' variance, less one."""
    centred = logits - logits.mean(1, keepdims=True)
    turns = (SUM[:, None] - np.arange(P)) % P
    by_turn = np.bincount(turns.ravel(), centred.ravel())
    # Each turn is that of p² entries, and the squares of a wave add up to p/2.
    shares = np.fft.rfft(by_turn).real[1:] ** 2 / (P**3 / 2) / (centred**2).sum()
    return np.flatnonzero(shares > 0.01).tolist()
