"""The grokking experiment at a small size: what a run holds, and that it can be trusted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import tyro

from hdlib.curvature import hessian
from hdlib.experiments.grokking.config import GrokkingConfig
from hdlib.experiments.grokking.lowest import attention_curvature
from hdlib.experiments.grokking.measures import attention_shifts
from hdlib.experiments.grokking.recipe import (
    ADAM,
    DOSED,
    EXPERIMENT,
    FUNCTIONS,
    LOWEST,
    MEASURES,
    OVERLAPS,
    PURITY,
    SPECTRA,
    TRAINING,
    VECTORS,
    GrokkingRun,
    coarse_to_fine,
)
from hdlib.experiments.grokking.recipe import run as computed
from hdlib.experiments.grokking.results import GrokkingResults
from hdlib.experiments.grokking.spectra import DOSES, LEADING, leading_vectors
from hdlib.measures import frequency_power
from hdlib.measures.functions import class_frequencies, output_changes
from hdlib.measures.pairs import grid_logits
from hdlib.measures.progress import restricted_by_frequency
from hdlib.store import CannotRecomputeError, ConfigError, file_name
from hdlib.store.publish import publish
from hdlib.store.verify import check_run
from hdlib.training import MIRRORED, OTHERS, checkpoint_name, grokking_steps, state_name

SMALL = GrokkingConfig(
    p=11,
    width=16,
    n_heads=2,
    n_steps=60,
    log_every=20,
    spectra=4,
    eigenpairs=30,
    stored_weights=3,
    coefficients=1,
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> GrokkingRun:
    return computed(SMALL, root=tmp_path_factory.mktemp("root"))


def test_every_checkpoint_has_measures_and_some_have_spectra_and_weights(run):
    steps = GrokkingResults(run).steps.tolist()
    assert set(grokking_steps(SMALL.n_steps)) <= set(steps)
    assert SPECTRA.steps(run) == sorted(coarse_to_fine(steps)[:4])
    assert ADAM.steps(run) == [step for step in SPECTRA.steps(run) if step > 0]
    assert FUNCTIONS.steps(run) == sorted(coarse_to_fine(steps)[:3])
    assert TRAINING.with_weights(run) == steps
    assert run.complete


def test_what_is_published_is_read_without_the_rest(run, tmp_path: Path):
    """Few weights and one state are published; what is missing of them comes back on demand."""
    steps = GrokkingResults(run).steps.tolist()
    publish(run, root=tmp_path)
    published = EXPERIMENT.open(SMALL, root=tmp_path)
    assert published.complete
    assert TRAINING.with_weights(published) == sorted(coarse_to_fine(steps)[:3])
    GrokkingResults(published)
    assert all(error <= allowed for _, error, allowed in SPECTRA.check(published, 0))
    assert all(error <= allowed for _, error, allowed in ADAM.check(published, SMALL.n_steps))
    _, step, _ = TRAINING.with_weights(published)
    with pytest.raises(CannotRecomputeError, match=rf"states/step_{step:06d}.safetensors is not"):
        ADAM.check(published, step)
    told = [finding.sentence for finding in check_run(published, items="all")]
    assert any("grokking/adam: " in words and "cannot be recomputed" in words for words in told)

    (published.stored(ADAM).home / file_name(step)).unlink()
    again = computed(SMALL, root=tmp_path)

    assert again.complete
    for stage, name in (
        (ADAM, file_name(step)),
        (TRAINING, state_name(step)),
        (TRAINING, checkpoint_name(step)),
    ):
        assert again.stored(stage).read(name) == run.stored(stage).read(name)


def test_spectrum_is_that_of_the_dense_hessian(run):
    train = SMALL.task.train
    for step in SPECTRA.steps(run):
        stored = run.arrays(SPECTRA, step)
        model = TRAINING.model(run, step)
        matrix = hessian(model, F.cross_entropy, (train.tokens(), train.targets))
        expected = np.linalg.eigvalsh(matrix.numpy())
        ends = np.concatenate([expected[:30], expected[-30:]])
        assert stored["converged"].all()
        assert np.abs(stored["eigenvalues"] - ends).max() <= 1e-6 * np.abs(ends).max()
        assert all(error <= allowed for _, error, allowed in SPECTRA.check(run, step))


def test_measures_are_those_of_the_weights(run):
    step = SMALL.n_steps
    model, measured = TRAINING.model(run, step), run.arrays(MEASURES, step)
    embedding = model.embedding[:11].detach().double().numpy()
    assert measured["embedding_power"] == pytest.approx(frequency_power(embedding))
    squares = sum(float(p.detach().double().square().sum()) for p in model.parameters())
    assert measured["weight_norm"] == pytest.approx(squares**0.5)


def test_functions_of_eigenvectors_and_of_random_directions(run):
    found = run.arrays(FUNCTIONS, SMALL.n_steps)
    for key in ("energy", "random_energy", "rotated_energy"):
        assert found[key].shape == (LEADING, 5)
        np.testing.assert_allclose(found[key].sum(1), 1, rtol=1e-5)


def test_responses_are_those_of_networks_moved_by_hand(run):
    step, dose = SMALL.n_steps, DOSES[-1]
    frequencies = run.arrays(MEASURES, step)["frequencies"]
    vector = leading_vectors(SMALL, TRAINING.model(run, step), 1)[:, 0]
    losses = []
    for sign in (0, 1, -1):
        model = TRAINING.model(run, step).double()
        flat = torch.cat([p.detach().flatten() for p in model.parameters()])
        moved = flat + sign * dose * flat.norm() * torch.from_numpy(vector)
        torch.nn.utils.vector_to_parameters(moved, model.parameters())
        losses.append(restricted_by_frequency(grid_logits(model, SMALL.task), frequencies))
    expected = (losses[1] + losses[2]) / 2 - losses[0]
    found = run.arrays(FUNCTIONS, step)["responses"][-1, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)


def test_a_damaged_run_is_repaired_to_the_same_bytes(tmp_path: Path):
    config = SMALL.model_copy(update={"spectra": 2})
    first = computed(config, root=tmp_path)
    names = file_name(0), file_name(SMALL.n_steps)
    before = [first.stored(SPECTRA).read(name) for name in names]
    (first.stored(SPECTRA).home / names[0]).write_bytes(b"damaged")
    assert not first.complete

    again = computed(config, root=tmp_path)

    assert again.complete
    assert [again.stored(SPECTRA).read(name) for name in names] == before


def test_without_spectra_there_is_only_training(tmp_path: Path):
    config = SMALL.model_copy(update={"spectra": 0, "stored_weights": 1})
    run = computed(config, root=tmp_path)
    assert [stage.steps(run) for stage in (SPECTRA, ADAM, FUNCTIONS)] == [[], [], []]
    assert TRAINING.history(run)["step"].tolist() == [0, 10, 20, 40, 50, 60]


def test_functions_are_looked_at_where_there_are_fewer_purities(tmp_path: Path):
    config = SMALL.model_copy(update={"purities": 2, "coefficients": 0})
    run = computed(config, root=tmp_path)
    assert FUNCTIONS.steps(run) == [0, 40, SMALL.n_steps]
    assert DOSED.steps(run) == PURITY.steps(run) == [0, SMALL.n_steps]


def test_results_have_an_entry_for_every_checkpoint(run):
    results = GrokkingResults(run)
    count, spectra = len(results.steps), 4
    assert results.measure("embedding_power").shape == (count, 5)
    trajectory = results.trajectory
    assert trajectory.steps.tolist() == SPECTRA.steps(run)
    assert {(known.highest, known.n) for known in trajectory.spectra} == {(30, SMALL.n_parameters)}
    assert all(known.certified.all() for known in trajectory.spectra)
    np.testing.assert_array_equal(results.relative.eigenvalues[:, -1], np.ones(spectra))
    measures, errors = results.summary
    assert all(len(values) == spectra for values in measures.values())
    matrix = _hessian(run, SMALL.n_steps)
    trace = matrix.trace().item()
    assert abs(measures["trace"][-1] - trace) <= 6 * errors["trace"][-1] + 1e-9 * abs(trace)
    assert np.isnan(results.adam[0][0])
    assert (results.adam[0][1:] > 0).all()


def test_mirrored_pairs_are_told_apart_at_each_checkpoint_that_is_looked_at(run):
    results, task = GrokkingResults(run), SMALL.task
    steps = sorted(coarse_to_fine(results.steps.tolist())[:3])
    assert results.pairs["step"].tolist() == steps
    for at, step in enumerate(steps):
        logits = TRAINING.model(run, step)(task.test.tokens())
        right = (logits.argmax(1) == task.test.targets).numpy()
        for name, of in ((MIRRORED, task.mirrored), (OTHERS, ~task.mirrored)):
            assert results.pairs[name][at] == pytest.approx(right[of.numpy()].mean())


def test_pairs_are_not_told_apart_where_functions_are_not_followed(tmp_path: Path):
    config = SMALL.model_copy(update={"purities": 1, "coefficients": 0, "spectra": 0})
    with pytest.raises(ValueError, match="purities=1: pairs are told apart"):
        _ = GrokkingResults(computed(config, root=tmp_path)).pairs


def _hessian(run: GrokkingRun, step: int):
    train = SMALL.task.train
    return hessian(TRAINING.model(run, step), F.cross_entropy, (train.tokens(), train.targets))


def test_coarse_to_fine_is_a_permutation_whose_starts_are_spread_evenly():
    steps = list(range(0, 1_700, 100))
    order = coarse_to_fine(steps)
    assert sorted(order) == steps
    assert order[:5] == [1_600, 0, 800, 400, 1_200]
    assert coarse_to_fine([7]) == [7]
    assert coarse_to_fine([7, 9]) == [9, 7]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"p": 2}, "p=2: Input should be greater than or equal to 3"),
        ({"p": 4}, "p=4: must be a prime"),
        ({"p": 1_009}, "p=1009: Input should be less than or equal to 1000"),
        ({"n_heads": 3}, "n_heads=3: must be a divisor of width, which is 128"),
        ({"n_heads": 256}, "n_heads=256: must be a divisor of width, which is 128"),
        ({"train_fraction": 1.0}, "train_fraction=1.0: Input should be less than 1"),
        ({"train_fraction": 5e-5}, "train_fraction=5e-05: 0 of 12769 pairs to train on"),
        ({"activation": "gelu"}, "activation='gelu': Input should be 'none' or 'relu'"),
        ({"attention": "hard"}, "attention='hard': Input should be 'softmax' or 'uniform'"),
        ({"matrix_start": 0}, "matrix_start=0: Input should be 'normal' or 'uniform'"),
        ({"equals_logit": "2"}, "equals_logit='2': Input should be a valid boolean"),
        ({"eigenpairs": 5}, "eigenpairs=5: Input should be greater than or equal to 30"),
        ({"width": 4, "max_products": 4_000, "eigenpairs": 493}, "eigenpairs=493: at most 492"),
        ({"eigenpairs": 601}, "max_products=1200: at least 1202, one for each of 601 pairs"),
        ({"lr": 0}, "lr=0: Input should be greater than 0"),
        ({"seed": 10**20}, f"seed={10**20}: Input should be less than or equal to {2**63 - 1}"),
        ({"n_steps": 10**9}, "n_steps=1000000000: Input should be less than or equal to 10000000"),
    ],
)
def test_impossible_fields(fields: dict[str, Any], sentence: str):
    with pytest.raises(ConfigError, match=f"^{re.escape(sentence)}"):
        GrokkingConfig(**fields)


def test_all_that_is_impossible_is_said_at_once():
    with pytest.raises(ConfigError, match=r"^p=9: must be a prime; n_heads=5: must be a divisor"):
        GrokkingConfig(p=9, n_heads=5)


@pytest.mark.parametrize("value", ["0", 0, False, "False"])
def test_no_is_no_however_it_is_written(value: Any):
    assert GrokkingConfig(equals_logit=value) == GrokkingConfig()


def test_a_flag_takes_a_value_on_the_command_line(capsys: pytest.CaptureFixture[str]):
    assert tyro.cli(GrokkingConfig, args=["--equals-logit", "True"]).equals_logit
    assert not tyro.cli(GrokkingConfig, args=["--equals-logit", "False"]).equals_logit
    with pytest.raises(SystemExit):
        tyro.cli(GrokkingConfig, args=["--equals-logit", "0"])
    said = " ".join(capsys.readouterr().err.split())
    assert "invalid choice '0' for argument '--equals-logit'" in said


@pytest.mark.parametrize(
    "config",
    [
        GrokkingConfig(),
        SMALL,
        GrokkingConfig(activation="none", mlp_width=512, equals_logit=True),
        GrokkingConfig(p=3, width=6, n_heads=3, mlp_width=1, train_fraction=0.5, eigenpairs=30),
        GrokkingConfig(attention="uniform"),
    ],
)
def test_number_of_parameters_is_that_of_the_network(config: GrokkingConfig):
    assert config.n_parameters == sum(p.numel() for p in config.model().parameters())


def test_the_lower_end_is_waited_for_where_it_is_asked_for(tmp_path: Path):
    """Elsewhere the top is as certain, and took fewer products."""
    config = SMALL.model_copy(update={"seed": 1, "n_steps": 1, "spectra": 1})
    waited, not_waited = (
        computed(config.model_copy(update={"lower_ends": n}), root=tmp_path) for n in (1, 0)
    )
    (step,) = SPECTRA.steps(waited)
    both, top = (found.arrays(SPECTRA, step) for found in (waited, not_waited))
    assert top["products"] < both["products"]
    assert top["converged"][30:].all()
    np.testing.assert_allclose(
        top["eigenvalues"][30:], both["eigenvalues"][30:], atol=1e-6 * both["eigenvalues"][-1]
    )


def test_networks_with_uniform_attention_have_no_closed_form_below(tmp_path: Path):
    found = computed(SMALL.model_copy(update={"attention": "uniform"}), root=tmp_path)
    assert found.complete
    assert LOWEST.steps(found) == []
    assert len(SPECTRA.steps(found)) == 4


def test_attention_moves_with_what_feeds_it_and_with_nothing_else(run):
    """One number of one tensor at a time, against a model in which it was moved by hand."""
    step = SMALL.n_steps
    tokens = SMALL.task.train.tokens()
    origin = TRAINING.model(run, step).double()
    sizes = {name: p.numel() for name, p in origin.named_parameters()}
    starts = dict(zip(sizes, np.cumsum([0, *sizes.values()]), strict=False))
    directions = np.zeros((sum(sizes.values()), len(sizes)))
    directions[list(starts.values()), range(len(sizes))] = 1
    attention, changes = attention_shifts(TRAINING.model(run, step), SMALL.task, directions)
    share = origin.attention(tokens)[0].mean(0).detach().numpy()
    np.testing.assert_allclose(attention, share, rtol=1e-12)
    norm = float(sum(p.detach().square().sum() for p in origin.parameters())) ** 0.5
    for name, change in zip(sizes, changes, strict=True):
        sides = []
        for sign in (1, -1):
            moved = TRAINING.model(run, step).double()
            moved.get_parameter(name).data.view(-1)[0] += sign * 0.01 * norm
            sides.append(moved.attention(tokens)[0].mean(0).detach().numpy())
        expected = (sides[0] - sides[1]) / 2
        expected *= np.sign(expected[np.abs(expected).argmax()])
        np.testing.assert_allclose(change, expected, atol=1e-14)
        assert change.any() == (name in ("embedding", "position", "query", "key"))


def test_leading_vectors_are_those_of_the_stored_spectrum(run):
    step = SMALL.n_steps
    model, train = TRAINING.model(run, step), SMALL.task.train
    vectors = leading_vectors(SMALL, model, 3)
    matrix = hessian(model, F.cross_entropy, (train.tokens(), train.targets)).numpy()
    stored = run.arrays(SPECTRA, step)["eigenvalues"][::-1][:3]
    rest = np.linalg.norm(matrix @ vectors - vectors * stored, axis=0)
    assert rest.max() <= 3 * SMALL.tol * stored[0]


def test_purities_are_those_of_the_responses(run):
    """Of eigenvectors that are computed another way, and of the whole span."""
    step = SMALL.n_steps
    found = run.arrays(PURITY, step)
    count = SMALL.n_parameters // 2 if SMALL.n_parameters < 120 else 60
    assert found["shares"].shape == (count, 5)
    assert found["relabelled"].shape == (2, 12, count)
    vectors = leading_vectors(SMALL, TRAINING.model(run, step), LEADING)
    changes = output_changes(TRAINING.model(run, step).double(), SMALL.task.grid.tokens(), vectors)
    expected = class_frequencies(changes, 11)
    np.testing.assert_allclose(found["shares"][:LEADING], expected, atol=2e-3)
    np.testing.assert_allclose(found["purity"][0], found["shares"].max(1), rtol=1e-4)
    np.testing.assert_allclose(np.diag(found["pair_purity"]), found["purity"][0], rtol=1e-4)
    neighbours = np.diag(found["pair_purity"], 1)
    np.testing.assert_allclose(found["purity"][1, :-1], neighbours, rtol=1e-3)
    assert all(error <= allowed for _, error, allowed in PURITY.check(run, step))


def test_eigenvectors_are_no_part_of_what_is_published(run, tmp_path: Path):
    """Purities are whole without them, and bring them back where they are computed anew."""
    step = SMALL.n_steps
    publish(run, root=tmp_path)
    published = EXPERIMENT.open(SMALL, root=tmp_path)
    assert published.complete
    assert not (tmp_path / VECTORS.name).exists()
    assert all(error <= allowed for _, error, allowed in PURITY.check(published, step))
    assert (tmp_path / VECTORS.name).exists()
    assert published.complete


def test_overlaps_are_cosines_of_successive_eigenvectors(run):
    first, step = OVERLAPS.steps(run)[:2]
    run.ensure(OVERLAPS, file_name(step))
    cosines = run.arrays(OVERLAPS, step)["cosines"]
    before, after = (leading_vectors(SMALL, TRAINING.model(run, at), 3) for at in (first, step))
    np.testing.assert_allclose(np.abs(cosines[:3, :3]), np.abs(before.T @ after), atol=1e-3)


def test_moves_tend_to_the_responses(run):
    step = SMALL.n_steps
    run.ensure(DOSED, file_name(step))
    found = run.arrays(DOSED, step)
    for kind in ("eigenvectors", "rotated", "random"):
        assert found[f"{kind}_purity"].shape == (5, 4, LEADING)
        assert found[f"{kind}_departure"].shape == (4, LEADING)
    limit, least = found["random_purity"][:2, 0]
    np.testing.assert_allclose(least, limit, atol=0.01)
    # What is left out is of second order: the departure grows with the dose, here 33-fold.
    small, _, _, large = np.median(found["random_departure"], axis=1)
    assert 10 < large / small < 100


def test_the_lowest_eigenvalue_in_closed_form_is_that_of_the_exact_hessian_of_scores(run):
    """The scores' slopes are checked by the keys' gradient, which they give with the rows."""
    step = SMALL.n_steps
    model = TRAINING.model(run, step).double()
    found = attention_curvature(SMALL, model)
    train = SMALL.task.train
    F.cross_entropy(model(train.tokens()), train.targets).backward()
    rows = torch.cat([model.embedding, model.position])
    assert model.query is not None
    assert model.key is not None
    last = (model.embedding[model.p] + model.position[2]) @ model.query
    queries = last.unflatten(0, (SMALL.n_heads, -1)) / (SMALL.width / SMALL.n_heads) ** 0.5
    # ∂L/∂K_h = Σ_x x g_xh q_hᵀ: projected on the query of each head it is rowsᵀ G ‖q‖².
    assert model.key.grad is not None
    along = torch.einsum("dhe,he->dh", model.key.grad.unflatten(1, (SMALL.n_heads, -1)), queries)
    slopes = torch.linalg.lstsq(rows.mT, along / queries.norm(dim=1))
    run.ensure(LOWEST, file_name(step))
    stored = run.arrays(LOWEST, step)
    np.testing.assert_allclose(stored["sigma"], found.sigma)
    values = torch.linalg.svdvals(slopes.solution).detach().numpy()
    np.testing.assert_allclose(values[0], found.sigma[0], rtol=1e-6)
    matrix = _hessian(run, step).numpy()
    assert stored["minus"][0] >= np.linalg.eigvalsh(matrix)[0] - 1e-6 * np.abs(matrix).max()
