"""The training loop against a plain one written out by hand."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import accuracy_score, log_loss

from hdlib.store import ChangedError
from hdlib.store.formats import read_table, read_tensors, tensor_bytes
from hdlib.training import HISTORY, Log, checkpoint_name, state_name

from .small import (
    CHECKPOINTS,
    OPTIMIZERS,
    SAMPLES,
    SCHEDULE,
    SEED,
    contents,
    data,
    files_in,
    network,
    plan,
    trained,
)


def plain_loop(make, size):
    """Weights and the optimiser's states before each update, of a loop written out by hand."""
    model = network()
    optimizer = make(model.parameters())
    x, y = data()
    size = min(size or SAMPLES, SAMPLES)
    weights, states = [], []
    for step in range(13):
        weights.append({key: value.clone() for key, value in model.state_dict().items()})
        states.append(copy.deepcopy(optimizer.state_dict()["state"]))
        epoch, position = divmod(step, -(-SAMPLES // size))
        order = np.random.default_rng((SEED, epoch)).permutation(SAMPLES)
        batch = torch.from_numpy(order[position * size : (position + 1) * size])
        if size == SAMPLES:
            batch = torch.arange(SAMPLES)
        optimizer.zero_grad()
        F.cross_entropy(model(x[batch]), y[batch]).backward()
        optimizer.step()
    return weights, states


@pytest.mark.parametrize("size", [16, 50, 80, None, 1])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_equal_to_a_plain_loop(tmp_path, name, size):
    start = plan(OPTIMIZERS[name], size=size)
    stored = trained(tmp_path, start)
    weights, states = plain_loop(OPTIMIZERS[name], size)
    for step in CHECKPOINTS:
        assert stored.read(checkpoint_name(step)) == tensor_bytes(weights[step])
        expected = {f"model.{key}": value for key, value in weights[step].items()} | {
            f"optimizer.{index}.{key}": value
            for index, values in states[step].items()
            for key, value in values.items()
            if value is not None
        }
        state = read_tensors(stored.read(state_name(step)))
        assert state.keys() == expected.keys() | {"rng"}
        assert all(torch.equal(state[key], value) for key, value in expected.items())
    assert tensor_bytes(start.model.state_dict()) == tensor_bytes(weights[12])
    names = [name(step) for step in CHECKPOINTS for name in (checkpoint_name, state_name)]
    assert stored.names() == sorted([HISTORY, *names])


def test_rows_equal_independent_evaluation(tmp_path):
    stored = trained(tmp_path)
    history = read_table(stored.read(HISTORY))
    steps = SCHEDULE.steps
    assert history["step"].tolist() == steps
    np.testing.assert_allclose(history["epoch"], np.array(steps) / 4)
    assert (history["lr"] == 0.05).all()
    weights, _ = plain_loop(OPTIMIZERS["momentum"], 16)
    for position, step in enumerate(steps):
        row = {key: values[position] for key, values in history.items()}
        model = network()
        model.load_state_dict(weights[step])
        model.double()
        for part, (x, y) in (("train", data()), ("test", data(20, 1))):
            p = model(x.double()).softmax(1).detach().numpy()
            assert row[f"{part}_loss"] == pytest.approx(log_loss(y, p, labels=[0, 1, 2]), rel=1e-5)
            assert row[f"{part}_accuracy"] == pytest.approx(accuracy_score(y, p.argmax(1)))
        x, y = data()
        F.cross_entropy(model(x.double()), y).backward()
        norm = sum(float((p.grad**2).sum()) for p in model.parameters() if p.grad is not None)
        assert row["gradient_norm"] == pytest.approx(norm**0.5, rel=1e-5)


def test_a_log_has_an_interval_and_is_measured_at_checkpoints_in_any_case(tmp_path):
    seen = []

    def measure(state):
        seen.append(state.step)
        return {"twice": 2.0 * state.step}

    stored = trained(tmp_path, plan(logs=[Log(measure, every=8)]))
    history = read_table(stored.read(HISTORY))
    assert seen == [0, 2, 7, 8, 12]
    np.testing.assert_array_equal(history["twice"], [0, 4, np.nan, 14, 16, 24])
    assert np.isfinite(history["train_loss"]).all()


def test_logging_takes_no_random_numbers(tmp_path):
    """Not from the dropout of the training, and not from the caller either."""

    def draws(state):
        return {"noise": float(torch.rand(100).sum())}

    quiet = trained(tmp_path / "quiet", plan(dropout=0.5))
    torch.manual_seed(99)
    before = torch.get_rng_state()
    start = plan(dropout=0.5, logs=[Log(draws)])
    torch.set_rng_state(before)
    noisy = trained(tmp_path / "noisy", start)
    assert torch.equal(torch.get_rng_state(), before)
    assert contents(noisy, "checkpoints") == contents(quiet, "checkpoints")
    assert contents(noisy, "states") == contents(quiet, "states")


def test_one_thread_is_taken_and_given_back(tmp_path):
    seen = []

    def threads(state):
        seen.append(torch.get_num_threads())
        return {}

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        trained(tmp_path, plan(logs=[Log(threads)], one_thread=True))
        assert set(seen) == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_finished_training_is_not_repeated(tmp_path):
    trained(tmp_path)
    trained(tmp_path, plan(dies_after=0))


def test_a_loss_that_is_not_finite_keeps_what_was_before_it(tmp_path):
    updates = 0

    def explodes(model, inputs, targets):
        nonlocal updates
        updates += 1
        value = F.cross_entropy(model(inputs), targets)
        return value * float("nan") if updates > 9 else value

    with pytest.raises(FloatingPointError, match="loss is nan at step 9; lower the learning rate"):
        trained(tmp_path / "run", replace(plan(), loss=explodes))
    stored = files_in(tmp_path / "run")
    assert read_table(stored.read(HISTORY))["step"].tolist() == [0, 2, 4, 7, 8]
    assert [step for step in CHECKPOINTS if stored.has(checkpoint_name(step))] == [0, 2, 7]
    assert not stored.damaged()
    assert contents(trained(tmp_path / "run")) == contents(trained(tmp_path / "whole"))


def test_weights_that_come_out_different_are_an_error(tmp_path):
    """A file that is lost is computed again only as it was."""
    stored = trained(tmp_path)
    (stored.home / checkpoint_name(7)).unlink()
    other = plan(OPTIMIZERS["SGD"])
    for name in contents(stored, "states"):
        (stored.home / name).unlink()
    with pytest.raises(ChangedError, match="comes out different from what is recorded"):
        trained(tmp_path, other)
    assert not stored.has(checkpoint_name(7))
