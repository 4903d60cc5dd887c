"""Every qualitative claim of the grokking chapter's prose, on the published run."""

from __future__ import annotations

import numpy as np
import pytest

from hdlib.experiments.grokking import GrokkingConfig, model_at
from hdlib.experiments.grokking_measures import attention_shifts
from hdlib.experiments.grokking_results import GrokkingResults, transition
from hdlib.experiments.grokking_spectrum import leading_vectors
from hdlib.experiments.grokking_sweep import (
    SEEDS,
    GrokkingSweep,
    before_half,
    leading_eigenvalues,
)
from hdlib.runs import PUBLISHED, Run
from hdlib.training import HISTORY

SPLITS = ("train", "test")


@pytest.fixture(scope="module")
def results() -> GrokkingResults:
    return GrokkingResults(Run(GrokkingConfig(), PUBLISHED))


@pytest.fixture(scope="module")
def history(results):
    return results.history


def at(results: GrokkingResults, first: int, last: int) -> list[int]:
    """Positions of the checkpoints with a spectrum between two steps."""
    steps = results.spectrum_steps
    return np.flatnonzero((steps >= first) & (steps <= last)).tolist()


def test_it_memorises_early_and_generalises_late(history):
    step = history["step"]
    assert step[np.flatnonzero(history["train_accuracy"] > 0.99)[0]] <= 2_500
    assert step[np.flatnonzero(history["test_accuracy"] > 0.5)[0]] >= 7_500
    assert history["test_accuracy"][-1] > 0.999


def test_the_three_phases_are_found(results):
    assert None not in results.phases
    assert list(results.phases) == sorted(results.phases)


def test_the_restricted_loss_falls_while_the_test_loss_rises(results, history):
    restricted = results.measure("restricted_loss")
    half = results.steps[np.flatnonzero(restricted < restricted[0] / 2)[0]]
    row = np.searchsorted(history["step"], half)
    assert history["test_loss"][row] > 3 * history["test_loss"][0]
    assert history["test_accuracy"][row] < 0.1
    small = results.steps[np.flatnonzero(restricted < 0.2)[0]]
    assert history["test_accuracy"][np.searchsorted(history["step"], small)] < 0.25


def test_five_frequencies_carry_embedding_and_logits(results):
    keys = np.array(results.frequencies) - 1
    power = results.measure("embedding_power")
    assert len(keys) == 5
    assert power[-1][keys].sum() > 0.9 * power[-1].sum()
    assert power[0][keys].sum() < 0.15 * power[0].sum()
    assert results.measure("explained_variance")[-1] > 0.9


def test_curvature_rises_and_then_falls_by_orders_of_magnitude(results):
    largest = results.eigenvalues[:, -1]
    assert largest.max() > 100 * largest[0]
    assert results.spectrum_steps[largest.argmax()] < results.phases.memorised
    assert largest[-1] < 1e-4 * largest.max()
    first, last = results.transition
    through = largest[at(results, first - 500, last + 500)]
    assert through[-1] < through[0] / 10


def test_many_eigenvalues_are_negative_at_first_and_few_while_it_memorises(results):
    measures, errors = results.summary
    count, error = measures["n_negative"], errors["n_negative"]
    assert (count - error)[0] > 10_000
    assert (count + error)[at(results, 900, 8_500)].max() < 1_000


def test_three_eigenvalues_stand_apart_before_and_during_the_transition(results):
    for label in list(results.chosen)[:2]:
        relative = results.chosen_spectra[label][::-1]
        gaps = -np.diff(relative)
        assert 2 in gaps.argsort()[-2:]
        assert relative[2] > 0.6
        assert relative[4] < 0.3


def test_at_the_end_one_stands_alone_with_a_group_of_nine_after_it(results):
    gaps = -np.diff(results.chosen_spectra[list(results.chosen)[-1]][::-1])
    assert gaps.argmax() == 0
    assert gaps[4:].argmax() + 4 == 9


def test_the_three_leading_directions_lie_in_positions_and_keys(results):
    names = [name for name, _ in results.config.model().named_parameters()]
    chosen = [names.index("position"), names.index("key")]
    shares = [
        results._spectra[i]["tensor_weights"][-3:, chosen].sum(1).mean()
        for i in at(results, 200, 17_000)
    ]
    assert np.mean(np.array(shares) > 0.9) > 0.8
    assert min(shares) > 0.6


def test_the_gap_below_the_third_eigenvalue_closes_as_the_transition_ends(results):
    ratio = results.eigenvalues[:, -3] / results.eigenvalues[:, -4]
    assert np.median(ratio[at(results, 200, 10_300)]) > 2
    other = results.eigenvalues[:, -4] / results.eigenvalues[:, -5]
    assert np.median(other[at(results, 200, 9_800)]) > 1.8
    wider = np.maximum(ratio, other)
    shut = [i for i in at(results, 200, 9_800) if wider[i] < 1.4]
    assert results.spectrum_steps[shut].tolist() == [1_400]
    assert ratio[at(results, 12_000, 17_000)].max() < 1.2
    end = results.transition[1]
    assert 11_000 < end < 12_000


def test_moves_along_eigenvectors_spare_no_frequency(results):
    for position, step in enumerate(results.spectrum_steps):
        if step >= 500:
            _, responses, random = results.responses(position)
            share = np.abs(responses).max(1) / np.abs(responses).sum(1)
            assert share.max() < 0.35
            assert np.median(np.abs(responses)) > 20 * np.median(np.abs(random))


def test_some_eigenvectors_lean_towards_one_frequency_from_circuit_formation_on(results):
    def leaning(first: int, last: int) -> list[float]:
        found = [results.overlap(i)[1]["unembedding"] for i in at(results, first, last)]
        return [(weights / chance)[:, 1:-1].max() for weights, chance in found]

    assert max(leaning(3_200, 5_500)) < 0.5
    assert min(leaning(6_500, 12_000)) > 20
    assert 6 < min(leaning(12_500, 17_000)) < max(leaning(12_500, 17_000)) < 65
    assert results.phases.memorised < 5_500 < 6_500 < results.phases.formed


def test_the_lowest_eigenvectors_lie_half_in_positions_half_in_keys(results):
    names = [name for name, _ in results.config.model().named_parameters()]
    late = [results._spectra[i] for i in at(results, 200, 17_000)]
    found = [s for s in late if s["converged"][:50].all()]
    assert len(found) >= 10
    for spectrum in found:
        weights = spectrum["tensor_weights"][:50].mean(0)
        assert 0.35 < weights[names.index("position")] < 0.55
        assert 0.4 < weights[names.index("key")] < 0.55
    ratios = [spectrum["eigenvalues"][49] / spectrum["eigenvalues"][0] for spectrum in found]
    assert np.median(ratios) > 0.85


def test_adam_is_at_its_ceiling_while_it_memorises(results):
    values, ceiling = results.adam
    early = values[at(results, 500, 4_000)]
    assert 0.8 * ceiling < np.median(early) < 1.2 * ceiling
    unstable = results.spectrum_steps[np.flatnonzero(values > 2 * ceiling)]
    assert len(unstable) == 3
    assert unstable[-1] == 2_200
    assert values[-1] < ceiling / 5
    later = at(results, results.phases.memorised, 17_000)
    assert np.quantile(values[later], 0.9) / np.quantile(values[later], 0.1) < 10
    largest = results.eigenvalues[later, -1]
    assert largest.max() / largest.min() > 1e4


@pytest.mark.parametrize(
    ("before", "drop", "after"), [(3_000, 3_100, 3_200), (4_100, 4_200, 4_300)]
)
def test_slingshots(results, history, before, drop, after):
    values, ceiling = results.adam
    (i,), (j,), (k,) = (at(results, step, step) for step in (before, drop, after))
    assert values[i] > 0.7 * ceiling
    assert values[j] < ceiling / 8
    assert results.eigenvalues[k, -1] > 5 * results.eigenvalues[i, -1]
    train, test = (dict(zip(history["step"], history[f"{of}_loss"], strict=True)) for of in SPLITS)
    assert train[after] > 5 * train[before]
    assert test[after] < 0.7 * test[before]


def test_the_last_jump_of_the_curvature_begins_the_transition(results):
    largest = results.eigenvalues[:, -1]
    (before,), (after,) = at(results, 4_100, 4_100), at(results, 4_300, 4_300)
    assert largest[after] > 100 * largest[before]
    assert (np.diff(largest[after:]) < 0).all()
    assert results.transition[0] == 4_200


def test_the_top_is_certified_everywhere(results):
    assert list(results.spectrum_steps) == list(results.steps)
    k = results.config.eigenpairs
    assert all(found["converged"][k:].all() for found in results._spectra)
    late = results._spectra[-1]["eigenvalues"]
    assert np.abs(late[0]) < 1e-3 * late[-1]


@pytest.fixture(scope="module")
def sweep() -> GrokkingSweep:
    return GrokkingSweep()


def ratios(run: Run[GrokkingConfig]) -> tuple[np.ndarray, np.ndarray]:
    """λₖ/λₖ₊₁ at the checkpoints of a run in the sweep, and which of them count as early."""
    steps, leading = leading_eigenvalues(run)
    return leading[:, :-1] / leading[:, 1:], before_half(run, steps)


def test_as_many_eigenvalues_stand_apart_as_there_are_heads(sweep):
    for run in sweep.heads:
        found, early = ratios(run)
        steps, h = leading_eigenvalues(run)[0][early], run.config.n_heads
        assert np.median(found[early, h - 1]) > 1.9
        widest = found[early].argmax(1) == h - 1
        assert widest.mean() > 0.5 or run.config == GrokkingConfig()
        as_wide = found[early, h - 1] > 0.98 * found[early].max(1)
        if run.config != GrokkingConfig():
            assert as_wide[steps > (0 if h <= 2 else 2_800)].all()
        else:
            assert set(found[early][steps > 2_800].argmax(1)) == {2}
        assert widest.all() or h > 1


def test_that_gap_is_gone_once_it_has_generalised_but_for_one_head(sweep):
    for run in sweep.heads:
        last, h = ratios(run)[0][-1], run.config.n_heads
        learnt = run.table(HISTORY)["test_accuracy"][-1] > 0.95
        assert (last[h - 1] < 1.35) == (learnt and h > 1)
        assert (last.argmax() != h - 1) == (learnt and h > 1)


def test_fewer_heads_generalise_sooner(sweep):
    assert len(sweep.heads) == 12
    for seed in SEEDS:
        runs = [run for run in sweep.heads if run.config.seed == seed]
        steps = [transition(run.table(HISTORY)) for run in runs]
        reached = [found[1] if found else 17_001 for found in steps]
        assert reached == sorted(reached)


def test_the_four_leading_eigenvectors_move_the_attention_of_four_heads(results):
    config = results.config
    model = model_at(results.run, 8_500)
    vectors = leading_vectors(config, model, 5)
    attention, changes = attention_shifts(model, config.task, vectors)
    assert ((attention > 0.05) & (attention < 0.95)).all()
    assert model.attention(config.task.train.tokens())[2].mean(0).max() < 0.01
    assert np.abs(changes[:4]).max(1).min() > 0.35
    assert np.abs(changes[:4]).max(0).min() > 0.35
    assert np.abs(changes[4]).max() < 0.01


def test_networks_of_the_sweep(sweep):
    for name, group in sweep.networks.items():
        for run in group:
            assert run.complete
            final = run.table(HISTORY)["test_accuracy"][-1]
            assert (final < 0.02) if name.startswith("attention") else (final > 0.999)
    reached = {
        name: [int(s[np.flatnonzero(a >= 0.95)[0]]) for s, a in curves]
        for name, curves in sweep.accuracies().items()
        if not name.startswith("attention")
    }
    chapter, mlp = reached.values()
    assert max(chapter) - min(chapter) <= 1_000
    assert 1.7 < max(mlp) / min(mlp) < 2
