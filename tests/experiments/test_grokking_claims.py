"""Every qualitative claim of the grokking chapter's prose, on the published run."""

from __future__ import annotations

import numpy as np
import pytest

from hdlib.experiments.grokking import GrokkingConfig, model_at
from hdlib.experiments.grokking_function_results import FunctionResults, HeadFunctions
from hdlib.experiments.grokking_measures import MIRRORED, OTHERS, attention_shifts
from hdlib.experiments.grokking_nulls import widest_by_chance
from hdlib.experiments.grokking_results import GrokkingResults
from hdlib.experiments.grokking_spectrum import leading_vectors
from hdlib.experiments.grokking_sweep import (
    SEEDS,
    GrokkingSweep,
    before_half,
    leading_eigenvalues,
    transition,
)
from hdlib.measures.functions import concentration
from hdlib.runs import PUBLISHED, Run
from hdlib.training import HISTORY

SPLITS = ("train", "test")


def accuracy(run: Run[GrokkingConfig]) -> tuple[np.ndarray, np.ndarray]:
    history = run.table(HISTORY)
    return history["step"], history["test_accuracy"]


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


def test_mirrored_pairs_are_learnt_first(results):
    pairs = {int(step): i for i, step in enumerate(results.pairs["step"])}
    mirrored, others = (results.pairs[key] for key in (MIRRORED, OTHERS))
    assert results.config.task.mirrored.float().mean().item() == pytest.approx(0.4, abs=0.01)
    for step, right, rest in ((3_800, 0.099, 0.004), (6_000, 0.217, 0.018), (8_500, 0.53, 0.11)):
        assert mirrored[pairs[step]] == pytest.approx(right, abs=0.006)
        assert others[pairs[step]] == pytest.approx(rest, abs=0.006)
    assert 0.87 < others[pairs[11_000]] < 0.88 < 0.99 < mirrored[pairs[11_000]]
    assert results.transition == (6_000, 13_500)
    labels = [label.rpartition(" ")[2] for label in results.chosen]
    assert labels == ["1,900", "8,500", "11,000", "17,000"]


def test_one_circuit_replaces_another(results):
    keys = np.array(results.frequencies)
    assert keys.tolist() == [1, 3, 21, 33, 50]
    shares = dict(zip(results.steps.tolist(), results.measure("logit_power"), strict=True))
    first = np.array([1, 21, 33]) - 1
    assert shares[11_000][first].sum() == pytest.approx(0.75, abs=0.01)
    assert shares[17_000][[2, 49]].sum() > 0.7
    assert shares[17_000][32] < 0.02
    assert results.measure("explained_variance")[-1] > 0.9
    power = dict(zip(results.steps.tolist(), results.measure("embedding_power"), strict=True))
    assert power[0][keys - 1].sum() < 0.15 * power[0].sum()
    assert power[17_000][keys - 1].sum() > 0.9 * power[17_000].sum()
    for step in (6_000, 8_500, 9_400):
        strongest = (power[step].argsort()[::-1][:5] + 1).tolist()
        assert sorted(strongest) == [1, 21, 24, 33, 44]
    assert power[13_500][[2, 49]].min() > power[6_000].mean()


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


def test_what_stands_apart_before_and_after_half_of_the_other_pairs(results):
    before, after, end = (
        results.chosen_dendrograms[name].eigenvalues[::-1] for name in list(results.chosen)[1:]
    )
    assert before[2] > 0.75
    assert before[3] > 2.5 * before[4]
    assert before[2] > 2.5 * before[3]
    for spectrum in (after, end):
        gaps = -np.diff(spectrum)
        assert gaps.argmax() == 0
        assert gaps[4:].argmax() + 4 in (4, 9)
        assert (spectrum[5:-1] / spectrum[6:])[:20].argmax() + 6 == 10


def test_a_gap_opens_beyond_the_heads_in_the_middle_of_the_transition(results):
    found = dict(zip(results.spectrum_steps.tolist(), results.gaps_beyond_heads, strict=True))
    quiet = [gap for step, gap in found.items() if 5_000 <= step <= 9_500]
    assert not any(gap.stands_out for gap in quiet)
    late = {step: gap for step, gap in found.items() if step >= 9_800}
    assert all(gap.stands_out for gap in late.values())
    assert {gap.rank for step, gap in late.items() if step <= 11_000} == {10}
    assert len([step for step in late if step <= 11_000]) == 6
    assert {gap.rank for gap in late.values()} == {9, 10, 11, 12}
    ranks = [gap.rank for step, gap in found.items() if step < 5_000 and gap.stands_out]
    assert len(set(ranks)) > 4


def test_curvature_over_loss_is_level_and_turns_in_the_transition(results):
    steps, largest = results.spectrum_steps, results.eigenvalues[:, -1]
    ratio, (adam, ceiling) = largest / results.spectrum_losses, results.adam
    first, last = at(results, 5_500, 5_500)[0], len(steps) - 1
    assert results.spectrum_losses[last] / results.spectrum_losses[first] == pytest.approx(
        0.28, abs=0.005
    )
    assert largest[last] / largest[first] == pytest.approx(0.018, abs=0.0005)
    level = ratio[at(results, 9_400, 10_500)]
    assert np.ptp(level) < 0.04 * level.mean()
    assert (np.diff(ratio[at(results, 5_500, 9_400)]) < 0).all()
    assert ratio[last] < 0.25 * level.min()
    seen = adam[at(results, 8_000, 10_500)] / ceiling
    assert 0.44 < seen.min() < seen.max() < 0.48
    assert adam[last] / ceiling == pytest.approx(seen.mean() / 3, rel=0.1)


@pytest.fixture(scope="module")
def functions(results) -> FunctionResults:
    return FunctionResults(results.run)


def test_leading_eigenvectors_are_single_frequencies_in_function_space(functions):
    energies = {int(step.replace(",", "")): e for step, e in functions.energies.items()}
    largest = {step: energy.max(1) for step, energy in energies.items()}
    assert max(values.max() for step, values in largest.items() if step <= 6_000) < 0.21
    ranks = np.array([5, 6, 7, 8, 11]) - 1
    assert (energies[8_500][ranks].argmax(1) + 1).tolist() == [21, 1, 33, 1, 21]
    np.testing.assert_allclose(largest[8_500][ranks], [0.75, 0.77, 0.66, 0.81, 0.64], atol=0.006)
    above = {step: (np.flatnonzero(values > 0.5) + 1).tolist() for step, values in largest.items()}
    assert above[8_500] == [5, 6, 7, 8, 11]
    assert above[11_000] == [4, 5, 6, 7, 9, 10]
    assert above[17_000] == [2, 3, 4, 5, 6, 7, 8, 10]
    cells = [line.split(" | ") for line in functions.null_table().splitlines()[2:]]
    most = [
        max(int(cell[cell.index("(") + 1 :].split("%")[0]) for cell in row[1:]) for row in cells
    ]
    assert most == [89, 55, 22]


def test_the_three_leading_directions_lie_in_positions_and_keys(results):
    names = [name for name, _ in results.config.model().named_parameters()]
    chosen = [names.index("position"), names.index("key")]
    shares = [
        results.spectra[i]["tensor_weights"][-3:, chosen].sum(1).mean()
        for i in at(results, 200, 17_000)
    ]
    assert np.mean(np.array(shares) > 0.9) > 0.8
    assert min(shares) > 0.6


def test_the_gaps_of_the_heads_close_in_the_transition(results):
    ratio = results.eigenvalues[:, -3] / results.eigenvalues[:, -4]
    assert np.median(ratio[at(results, 200, 10_300)]) > 2
    other = results.eigenvalues[:, -4] / results.eigenvalues[:, -5]
    assert np.median(other[at(results, 200, 9_800)]) > 1.8
    wider = np.maximum(ratio, other)
    shut = [i for i in at(results, 200, 9_800) if wider[i] < 1.4]
    assert results.spectrum_steps[shut].tolist() == [1_400]
    assert ratio[at(results, 12_000, 17_000)].max() < 1.2


def test_the_lowest_eigenvectors_lie_half_in_positions_half_in_keys(results):
    names = [name for name, _ in results.config.model().named_parameters()]
    late = [results.spectra[i] for i in at(results, 200, 17_000)]
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
    assert 0.3 < 1 - test[after] / test[before] < 0.43


def test_the_top_is_certified_everywhere(results):
    assert list(results.spectrum_steps) == list(results.steps)
    k = results.config.eigenpairs
    assert all(found["converged"][k:].all() for found in results.spectra)
    late = results.spectra[-1]["eigenvalues"]
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
        assert np.median(found[early, h - 1]) > 1.8
        widest = found[early].argmax(1) + 1
        if run.config == GrokkingConfig():
            assert len(widest) == 59
            assert np.bincount(widest)[[3, 4]].tolist() == [23, 28]
            continue
        assert (widest == h).mean() > 0.5
        as_wide = found[early, h - 1] > 0.98 * found[early].max(1)
        assert as_wide[steps > (0 if h <= 2 else 2_800)].all()


def test_a_gap_at_that_rank_is_chance_with_one_head_only():
    chance = widest_by_chance(12)
    assert chance[:, 0].min() > 0.5
    assert chance[:, 1].max() < 0.25
    assert chance[:, [3, 7]].max() < 0.03


def test_that_gap_is_gone_once_it_has_generalised(sweep):
    for run in sweep.heads:
        last, h = ratios(run)[0][-1], run.config.n_heads
        learnt = run.table(HISTORY)["test_accuracy"][-1] > 0.95
        assert h == 1 or (last[h - 1] < 1.35) == learnt
        assert h == 1 or (last.argmax() != h - 1) == learnt


@pytest.fixture(scope="module")
def heads(sweep) -> HeadFunctions:
    return HeadFunctions(sweep)


def test_with_one_head_frequencies_come_in_close_pairs(heads):
    for seed in SEEDS:
        energy = heads.energies[f"1 head, seed {seed}"]
        strongest, largest = energy.argmax(1), energy.max(1)
        assert (strongest[1:7:2] == strongest[2:7:2]).all()
        assert 0.67 < largest[1:7].min() < largest[1:7].max() < 0.91
        same, different = heads.spacings(f"1 head, seed {seed}")
        assert np.median(same) < 0.15
        assert np.median(different) > 0.6


def test_with_more_heads_it_differs_from_seed_to_seed(heads):
    single = {name: int((energy.max(1) > 0.5).sum()) for name, energy in heads.energies.items()}
    assert [single[f"2 heads, seed {seed}"] for seed in SEEDS] == [0, 0, 5]
    for seed in (0, 1):
        strongest = heads.energies[f"2 heads, seed {seed}"].argmax(1)
        assert np.bincount(strongest).max() >= 11
    assert [single[f"4 heads, seed {seed}"] for seed in SEEDS] == [8, 9, 7]
    assert [single[f"8 heads, seed {seed}"] for seed in SEEDS] == [4, 4, 2]


def test_doses_at_which_moves_hit_one_frequency(heads, functions):
    shares = {
        name: [np.median(concentration(along)) for along in heads.moves(name)[0]]
        for name in heads.energies
    }
    for seed in SEEDS:
        found = shares[f"1 head, seed {seed}"]
        assert 0.4 < found[1] < 0.49
        assert found[3] < 0.24
    for name, found in shares.items():
        random = [np.median(concentration(along)) for along in heads.moves(name)[1]]
        if name[0] in "28":
            assert np.abs(np.subtract(found, random)).max() < 0.06
    moves = {step: functions.moves(step)[0] for step in (8_500, 11_000, 17_000)}
    assert concentration(moves[8_500][1]).max() < 0.3
    assert [int((concentration(moves[s][1]) > 0.37).sum()) for s in (11_000, 17_000)] == [3, 3]
    one_head = heads.moves("1 head, seed 0")[0]
    for along in (*moves.values(), one_head):
        sizes = np.abs(along).sum(2) / np.square(functions.doses)[:, None]
        assert 0.6 < (sizes[1] / sizes[0]).min() < (sizes[1] / sizes[0]).max() < 1.1


def test_what_did_not_generalise_knows_mirrored_pairs_at_most(sweep):
    rows = (sweep.network_table() + "\n" + sweep.variant_table()).splitlines()
    cells = [row.strip("| ").split(" | ") for row in rows if "not reached" in row]
    found = [next(cell for cell in row if " / " in cell).split(" / ") for row in cells]
    assert len(found) == 3
    for mirrored, others in found:
        assert float(mirrored.strip("%")) > 4 > 0.4 > float(others.strip("%"))


def test_fewer_heads_generalise_sooner(sweep):
    assert len(sweep.heads) == 12
    for seed in SEEDS:
        runs = [run for run in sweep.heads if run.config.seed == seed]
        steps = [transition(*accuracy(run)) for run in runs]
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
