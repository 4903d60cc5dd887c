"""Claims of the grokking chapter, from its published weights by a plain forward pass."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.cluster.hierarchy import linkage
from scipy.linalg import null_space
from torch import Tensor

from hdlib.display import extent
from hdlib.experiments.grokking.config import GrokkingConfig
from hdlib.experiments.grokking.recipe import EXPERIMENT, MEASURES, PURITY, SPECTRA, TRAINING
from hdlib.experiments.grokking.sweep import CONTROLS
from hdlib.store import Run
from tests.recomputed.claims import agree, decided, published, recomputes
from tests.recomputed.plain import (
    Array,
    Labels,
    Loss,
    circular,
    flat,
    hessian_operator,
    largest,
    scaled_operator,
)
from tests.recomputed.transformer import Transformer, purities, random_basis, weights_of

GrokkingRun = Run[GrokkingConfig]

FIRST = 12
"""Leading eigenvectors that claims are about."""


def chapter() -> GrokkingRun:
    return published("grokking").results.run


def network(run: GrokkingRun, step: int) -> Transformer:
    return Transformer(run.config, weights_of(TRAINING, run, step))


@cache
def at(step: int) -> Transformer:
    """The chapter's network."""
    return network(chapter(), step)


def with_heads(heads: int) -> list[GrokkingRun]:
    """One run for each seed."""
    return [run for run in published("grokking").sweep.heads if run.config.n_heads == heads]


@cache
def leading(step: int, count: int) -> tuple[Array, Array]:
    """The chapter's largest eigenvalues, descending, and their vectors."""
    found = at(step)
    return largest(hessian_operator(found.loss, found.theta), count, tol=1e-3, space=24)


@cache
def accuracies() -> dict[int, tuple[float, float, float]]:
    """Test pairs that are right wherever the weights are kept: all, mirrored, others."""
    return {step: at(step).right() for step in TRAINING.with_weights(chapter())}


@recomputes("grokking", "late", "memory-first")
def test_mirrored_pairs_are_right_long_before_the_others():
    results, steps = published("grokking").results, np.array(list(accuracies()))
    every, mirrored, others = np.array(list(accuracies().values())).T
    history = results.history
    agree(every, history["test_accuracy"][np.isin(history["step"], steps)], within=2e-3)
    agree(mirrored, results.pairs["mirrored_accuracy"], within=1e-9)
    agree(others, results.pairs["other_accuracy"], within=1e-9)

    half = int(np.argmax(others > 0.5))
    early = np.flatnonzero(mirrored[:half] > 0.09)
    values = decided("grokking", "memory-first").values
    assert values["half"] == steps[half]
    assert values["late_others"] == pytest.approx(others[half])
    assert len(early) >= 3
    assert (mirrored[early] > 4 * others[early]).all()
    assert others[-1] > 0.99
    assert every[steps < 0.3 * steps[half]].max() < 0.05


@recomputes("grokking", "circuit-grows")
def test_three_waves_carry_the_logits_and_more_join_them():
    last = chapter().config.n_steps
    half = next(step for step, (_, _, others) in accuracies().items() if others > 0.5)
    measured = {step: chapter().arrays(MEASURES, step) for step in (half, last)}
    waves = [at(step).waves() for step in measured]
    for ours, theirs in zip(waves, measured.values(), strict=True):
        agree(ours, theirs["logit_power"], within=1e-6)
    middle, end = waves
    first = np.argsort(middle)[-3:]
    joined = np.setdiff1d(np.argsort(end)[-5:], first)
    assert middle[first].sum() > 0.6
    assert end[first].sum() > 0.5
    assert middle[joined].sum() < 0.05 < 0.15 < end[joined].sum()
    assert end[keys(at(last)) - 1].sum() > 0.9
    values = decided("grokking", "circuit-grows").values
    assert values["end"] == pytest.approx(end[first].sum(), abs=1e-4)


def keys(found: Transformer) -> Labels:
    """Frequencies of the unembedding with more energy than any has with its rows permuted."""
    rows = found.named(found.theta)["unembedding"][: found.task.grid.p].numpy()
    generator = np.random.default_rng(5)
    drawn = [circular(generator.permutation(rows).T).sum(0).max() for _ in range(199)]
    return np.flatnonzero(circular(rows.T).sum(0) > max(drawn)) + 1


@recomputes("grokking", "circuit-grows", "networks")
def test_key_frequencies_by_other_draws():
    runs = [chapter(), *(run for heads in (1, 2, 4, 8) for run in with_heads(heads))]
    for run in runs:
        last = run.config.n_steps
        theirs = run.arrays(MEASURES, last)["frequencies"]
        # At the level of one in a hundred a frequency more or less may be key by the draws.
        assert len(np.setxor1d(keys(network(run, last)), theirs)) <= 1


def apart(images: Array, values: Array, vectors: Array) -> Array:
    """‖Hv − λv‖ of each pair over the largest λ."""
    return np.linalg.norm(images - vectors * values, axis=0) / values.max()


@recomputes("grokking", "four-apart", "heads-counted", "certified")
def test_four_eigenvalues_of_plain_autograd_stand_apart():
    step = 4_700
    values, vectors = leading(step, 5)
    operator = hessian_operator(at(step).loss, at(step).theta)
    images = np.stack([operator.matvec(v) for v in vectors.T], 1)
    assert apart(images, values, vectors).max() < 1e-3
    agree(values, chapter().arrays(SPECTRA, step)["eigenvalues"][:-6:-1], within=1e-6)
    ratios = values[:-1] / values[1:]
    assert ratios[3] == ratios.max() > 1.8


@recomputes("grokking", "heads-counted", "gap-closes")
def test_the_widest_gap_counts_the_heads_until_the_circuit_is_there():
    """From published eigenvalues."""
    counted, shut, slow = {}, [], []
    for heads in (2, 4, 8):
        for run in with_heads(heads):
            steps = SPECTRA.steps(run)
            tops = np.array([run.arrays(SPECTRA, step)["eigenvalues"][:-14:-1] for step in steps])
            history = TRAINING.history(run)
            logged = dict(zip(history["step"], history["test_accuracy"], strict=True))
            early = [step > 0 and logged[step] < 0.5 for step in steps]
            ranks = np.argmax(tops[early, :-1] / tops[early, 1:], 1) + 1
            counted[heads, run.config.seed] = np.mean(ranks == heads)
            ratio = tops[-1, heads - 1] / tops[-1, heads]
            (shut if logged[steps[-1]] > 0.5 else slow).append(ratio)
    assert np.mean([share > 0.5 for share in counted.values()]) > 0.85
    assert len(shut) >= 5
    assert max(shut) < 1.6 < min(slow)


@recomputes("grokking", "attention", "positions-and-keys")
def test_leading_vectors_are_the_balance_of_attention():
    step = max(step for step, (every, *_) in accuracies().items() if every < 0.5)
    found, (_, vectors) = at(step), leading(step, 5)
    move = 0.01 * float(found.theta.norm())
    changes = np.array(
        [
            found.attention(found.theta + move * v) - found.attention(found.theta - move * v)
            for v in torch.from_numpy(vectors.T.copy())
        ]
    )
    sizes = np.abs(changes[..., 0]) / 2
    values = decided("grokking", "attention").values
    assert values["step"] == step
    assert values["most"] == extent(sizes[:4].max(1), ".0%")
    assert values["fifth"] == pytest.approx(sizes[4].max(), rel=0.05)
    assert 10 * sizes[4].max() < sizes[:4].max(1).min()
    assert sizes[:4].max(0).min() > 0.35

    shares = found.share(vectors[:, :3], "position", "key")
    assert shares.min() > 0.6
    names, stored = list(found.names), chapter().arrays(SPECTRA, step)["tensor_weights"]
    columns = [names.index(name) for name in ("position", "key")]
    agree(shares, stored[:-4:-1, columns].sum(1), within=1e-3)


@recomputes("grokking", "pure-vectors", "gap-closes")
def test_leading_vectors_are_purer_than_random_bases_of_their_span():
    """Of a smaller span than the chapter's, whose random bases are purer: 16 instead of 60."""
    last = chapter().config.n_steps
    values, vectors = leading(last, 16)
    stored = chapter().arrays(PURITY, last)
    agree(values, stored["eigenvalues"][:16], within=1e-4)
    curvatures = at(last).responses(vectors)
    own, frequency = purities(curvatures)
    agree(own[:FIRST], stored["purity"][0, :FIRST], within=0.02)
    sure = own[:FIRST] > 0.5
    assert np.array_equal(frequency[:FIRST][sure], stored["frequency"][0, :FIRST][sure])
    rotated = []
    for seed in range(19):
        basis = random_basis(16, seed)
        rotated.append(purities(basis.T @ curvatures @ basis)[0][:FIRST].mean())
    assert own[:FIRST].mean() > max(rotated)
    assert (values[3] / values[4]) < 1.6


@recomputes("grokking", "closed-form")
def test_the_lowest_eigenvalue_is_that_of_the_scores_alone():
    """−σ₁ of the slopes by key: the scores are differentiated, and their products written out."""
    lowest_forms = published("grokking").purities.lowest
    form = next(of for of in lowest_forms if of.certified and of.lowest_apart < 0.02)
    found = at(form.step)
    matrix = score_block(found)
    rows, sigma, columns = np.linalg.svd(matrix, full_matrices=False)
    assert sigma[0] == pytest.approx(form.sigma, rel=1e-6)
    lowest = chapter().arrays(SPECTRA, form.step)["eigenvalues"][0]
    assert lowest == pytest.approx(-sigma[0], rel=0.02)

    # Without products of rows and keys, the slopes and all else are the same.
    whole, rest = (hessian_operator(loss, found.theta) for loss in (found.loss, linearised(found)))
    for coordinate in (0, 77):
        for sign in (-1, 1):
            v = block_direction(found, rows[:, 0], sign * columns[0], coordinate=coordinate)
            image = whole.matvec(v) - rest.matvec(v)
            assert np.linalg.norm(image - sign * sigma[0] * v) < 1e-6 * sigma[0]


def linearised(found: Transformer) -> Loss:
    """The loss where keys, products of inputs and weights, are linear in both around θ."""
    origin, train = found.named(found.theta), found.task.train
    x0 = found.inputs(origin, train)

    def loss(theta: Tensor) -> Tensor:
        w = found.named(theta)
        x = found.inputs(w, train)
        keys = x @ origin["key"] + x0 @ (w["key"] - origin["key"])
        return F.cross_entropy(found.read(w, x, found.scores(w, x, keys)), train.targets)

    return loss


def score_block(found: Transformer) -> Array:
    """(p + 4, d): Σ of the slopes of scores by row, times what each key is multiplied with."""
    w, train = found.named(found.theta), found.task.train
    x = found.inputs(w, train)
    scores = found.scores(w, x, x @ w["key"]).requires_grad_()
    loss = F.cross_entropy(found.read(w, x, scores), train.targets)
    (slopes,) = torch.autograd.grad(loss, scores)
    p, ends = train.p, slopes.sum(0)
    by_token = torch.zeros(p + 1, found.heads, dtype=slopes.dtype)
    by_token.index_add_(0, train.a, slopes[:, 0]).index_add_(0, train.b, slopes[:, 1])
    by_token[p] = ends[2]
    query = found.by_head((w["embedding"][p] + w["position"][2]) @ w["query"])
    each = torch.cat([by_token, ends])[:, :, None] * query / query.shape[1] ** 0.5
    return each.flatten(1).numpy()


def block_direction(found: Transformer, rows: Array, keys: Array, *, coordinate: int) -> Array:
    """(P,) of unit length: rows against keys, in one inner coordinate."""
    split = found.task.grid.p + 1
    parts = {
        name: torch.zeros(shape) for name, shape in zip(found.names, found.shapes, strict=True)
    }
    parts["embedding"][:, coordinate] = torch.from_numpy(rows[:split])
    parts["position"][:, coordinate] = torch.from_numpy(rows[split:])
    parts["key"][coordinate] = torch.from_numpy(keys)
    vector = torch.cat([part.flatten() for part in parts.values()]).double().numpy()
    return vector / np.linalg.norm(vector)


@recomputes("grokking", "adam-ceiling")
def test_adams_sharpness_at_the_end_is_far_below_the_ceiling():
    """From the state of the optimiser that is kept of the last step."""
    results, config = published("grokking").results, chapter().config
    last = config.n_steps
    found, state = at(last), TRAINING.state(chapter(), last)
    moments = [state[f"optimizer.{i}.exp_avg_sq"] for i in range(len(found.names))]
    root = (flat(moments).double() / (1 - config.beta2**last)).sqrt()
    step = (1 - config.beta1**last) * (root + 1e-8)
    operator = hessian_operator(found.loss, found.theta)
    value = largest(scaled_operator(operator, step.rsqrt().numpy()), tol=1e-3)[0][0]
    values, ceiling = results.adam
    assert value == pytest.approx(values[-1], rel=1e-3)
    assert ceiling == pytest.approx(38 / config.lr)
    assert value < ceiling / 3


@recomputes("grokking", "networks")
def test_attention_alone_knows_mirrored_pairs_and_an_mlp_all():
    relu, mlp, *alone = published("grokking").sweep.networks.values()
    for run in (*relu, *mlp):
        assert outcome(run)[0] > 0.99
    found = np.array([outcome(run) for group in alone for run in group])
    assert (found[:, 1] > 4 * found[:, 2]).all()
    assert found[:, 2].max() < 0.01
    values = decided("grokking", "networks").values
    assert values["mirrored"] == extent(found[:, 1], ".1%")
    assert values["others"] == extent(found[:, 2], ".1%")


def outcome(run: GrokkingRun) -> tuple[float, float, float]:
    weights = weights_of(TRAINING, run, run.config.n_steps)
    return Transformer(run.config, weights, relu=run.config.activation == "relu").right()


def pairs_of_two(run: GrokkingRun) -> tuple[int, int, float]:
    """Clusters of two among the first 25 eigenvalues: all, of one frequency, and by chance."""
    found = run.arrays(PURITY, run.config.n_steps)
    tree = linkage(np.log(found["eigenvalues"])[:, None], "single")
    twos = [sorted(map(int, row[:2])) for row in tree if row[3] == 2]
    twos = [(a, b) for a, b in twos if b < 25]
    shares = found["shares"][:25]
    frequency = np.where(shares.max(1) > 0.5, shares.argmax(1) + 1, 0)

    def same(of: Labels) -> int:
        return sum(bool(of[a] and of[a] == of[b]) for a, b in twos)

    generator = np.random.default_rng(3)
    drawn = [same(generator.permutation(frequency)) for _ in range(2_000)]
    return len(twos), same(frequency), float(np.mean(drawn))


@recomputes("grokking", "doublets")
def test_clusters_of_two_are_of_one_frequency_where_heads_do_not_mix_them():
    purities = published("grokking").sweep.purities
    one, several = (
        {f"{h} head{'s' * (h > 1)}, seed {run.config.seed}": pairs_of_two(run) for run in runs}
        for h, runs in ((1, with_heads(1)), (4, with_heads(4)))
    )
    for name, (pairs, same, chance) in (one | several).items():
        theirs = purities[name].doublets(17_000)
        assert (pairs, same) == theirs[:2]
        assert chance == pytest.approx(theirs.by_chance, abs=0.15)
    assert min(same - 4 * chance for _, same, chance in one.values()) > 0
    totals = np.sum([each[:2] for each in several.values()], 0)
    assert totals[1] < 0.25 * totals[0]


@recomputes("grokking", "uniform-attention", "doublets")
def test_without_a_choice_of_attention_frequencies_come_in_pairs():
    """Of the seeds that are published."""
    every = [EXPERIMENT.open(config) for config in CONTROLS["uniform attention"]]
    runs = [run for run in every if run.complete]
    if not runs:
        pytest.skip("no network with uniform attention is published")
    with_a_choice = [run for heads in (1, 2, 4, 8) for run in with_heads(heads)]
    most = max(first_purity(run) for run in with_a_choice)
    for run in runs:
        assert first_purity(run) > most
        assert outcome(run)[0] > 0.95
        pairs, same, chance = pairs_of_two(run)
        assert same > max(0.5 * pairs, 4 * chance)


def first_purity(run: GrokkingRun) -> float:
    """Mean share of one frequency in the first twelve responses."""
    shares = run.arrays(PURITY, run.config.n_steps)["shares"][:FIRST]
    return float((shares.max(1) / shares.sum(1)).mean())


@recomputes("grokking", "zeros-by-symmetry")
def test_directions_of_symmetry_are_null_and_as_many_as_counted():
    """Three families of them, written down; that there are no others is the stored spectrum's."""
    small = published("grokking").sweep.small
    run, last = small.run, small.steps[-1]
    found, d, p = network(run, last), run.config.width, run.config.p
    w = found.named(found.theta)
    (slope,) = torch.autograd.grad(found.loss(theta := found.theta.requires_grad_()), theta)
    slopes = {name: part.numpy() for name, part in found.named(slope).items()}
    last_input = (w["embedding"][p] + w["position"][2]).detach().numpy()
    query = last_input @ w["query"].detach().numpy()

    def everywhere(**parts: Array) -> Array:
        tensors = [parts.get(name, np.zeros(w[name].shape)) for name in found.names]
        return np.concatenate([tensor.ravel() for tensor in tensors])

    def rows(count: int, chosen: slice | int, vector: Array) -> Array:
        found = np.zeros((count, d))
        found[chosen] = vector
        return found

    shifts = []
    for unit in np.eye(d):
        shifts += [
            everywhere(unembedding=np.tile(unit, (len(w["unembedding"]), 1))),
            everywhere(embedding=rows(p + 1, p, unit), position=rows(3, 2, -unit)),
            everywhere(embedding=rows(p + 1, slice(p), unit), position=rows(3, slice(2), -unit)),
        ]
    # Both slopes are products of two vectors; a change must be orthogonal to both, on its own side.
    pairs = {
        "query": (last_input, last_input @ slopes["query"]),
        "key": (slopes["key"] @ query, query),
    }
    hessian = hessian_operator(found.loss, found.theta)
    scale = small.eigenvalues["all_pairs"][last][-1]
    generator, counted = np.random.default_rng(0), len(shifts)
    tried = [generator.standard_normal(len(shifts)) @ np.array(shifts) for _ in range(4)]
    for name, (left, right) in pairs.items():
        sides = [null_space(vector[None]) for vector in (left, right)]
        counted += sides[0].shape[1] * sides[1].shape[1]
        inside = generator.standard_normal((4, sides[0].shape[1], sides[1].shape[1]))
        tried += [everywhere(**{name: sides[0] @ each @ sides[1].T}) for each in inside]
    for direction in tried:
        image = hessian.matvec(direction / np.linalg.norm(direction))
        assert np.linalg.norm(image) < 1e-12 * scale
    values = decided("grokking", "zeros-by-symmetry").values
    assert values["counted"] == counted
    assert np.linalg.matrix_rank(np.array(shifts)) == len(shifts)
