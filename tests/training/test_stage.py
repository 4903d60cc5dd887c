"""Training as a stage of a run: its length is in no key."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from hdlib.store import CannotRecomputeError, Config, Run
from hdlib.store.publish import publish
from hdlib.training import HISTORY, Log, Schedule, TrainingStage, checkpoint_name, state_name

from .small import network, plan


class Small(Config):
    experiment: ClassVar[str] = "small"
    n_steps: int = 8
    seed: int = 3
    device: str = "cpu"


STAGE = TrainingStage(
    "small/training",
    fields=("seed",),
    model=lambda config: network(),
    schedule=lambda config: Schedule.of(
        config.n_steps, checkpoints=range(0, config.n_steps, 4), log_steps=range(config.n_steps)
    ),
    plan=lambda config, device: plan(),
    published=lambda run: STAGE.checkpoints(run)[-1:],
)


def run_of(*roots: Path, **fields) -> Run[Small]:
    return Run(Small(**fields), [STAGE], roots)


@pytest.fixture
def run(tmp_path: Path) -> Run[Small]:
    found = run_of(tmp_path / "root")
    found.compute()
    return found


def test_a_shorter_run_is_a_view_of_a_longer_one(run, tmp_path):
    longer = run_of(tmp_path / "root", n_steps=13)
    assert STAGE.key(longer.config) == STAGE.key(run.config)
    assert STAGE.key(Small(seed=4)) != STAGE.key(run.config)
    assert STAGE.missing(longer) == [HISTORY]
    longer.compute()
    assert longer.complete
    for found, last in ((run_of(tmp_path / "root"), 8), (longer, 13)):
        assert STAGE.history(found)["step"].tolist() == list(range(last + 1))
        assert STAGE.checkpoints(found) == sorted({*range(0, last, 4), last})
        assert STAGE.with_weights(found) == STAGE.checkpoints(found)
        assert found.complete


def test_weights_and_states(run):
    weights, state = STAGE.weights(run, 4), STAGE.state(run, 4)
    for name, value in weights.items():
        np.testing.assert_array_equal(state[f"model.{name}"], value)
    with pytest.raises(ValueError, match=r"step=5: weights are kept at \[0, 4, 8\]"):
        STAGE.weights(run, 5)


def test_the_network_at_a_checkpoint(run):
    for name, value in STAGE.model(run, 4).state_dict().items():
        np.testing.assert_array_equal(value, STAGE.weights(run, 4)[name])
    with pytest.raises(ValueError, match=r"step=5: weights are kept at \[0, 4, 8\]"):
        STAGE.model(run, 5)


def test_weights_as_a_source(run):
    first, last = (STAGE, checkpoint_name(0)), (STAGE, checkpoint_name(8))
    assert STAGE.weights_source(run, 0) == [first]
    assert STAGE.weights_and_last(run, 0) == [first, last]
    assert STAGE.weights_and_last(run, 8) == [last]


def test_a_row_is_checked_against_the_weights(run, tmp_path):
    assert STAGE.checked(run) == [0, 4, 8]
    (agreement,) = STAGE.check(run, 4)
    assert agreement.error <= agreement.allowed
    with pytest.raises(CannotRecomputeError, match="the weights at step 5 are not kept"):
        STAGE.check(run, 5)
    stored = run.stored(STAGE)
    with stored.writing({}):
        stored.write(checkpoint_name(4), stored.read(checkpoint_name(8)))
    (agreement,) = STAGE.check(run_of(tmp_path / "root"), 4)
    assert agreement.error > agreement.allowed


def test_a_number_that_is_none_agrees_with_none_alone(tmp_path):
    """Such as an accuracy on pairs that there are none of."""

    def measured(value: float) -> TrainingStage:
        start = replace(plan(), logs=[Log(lambda state: {"loss": 1.0, "x": value})])
        return TrainingStage(
            "small/training",
            fields=("seed",),
            model=lambda config: network(),
            schedule=lambda config: Schedule.of(2, checkpoints=()),
            plan=lambda config, device: start,
        )

    run = Run(Small(), [measured(nan)], [tmp_path])
    run.compute()
    for value, error in ((nan, 0.0), (1.0, inf)):
        (agreement,) = measured(value).check(run, 2)
        assert agreement.error == error


def test_a_published_run_goes_on_elsewhere(run, tmp_path):
    """Its history is longer there, also for who opens it anew, or with a third folder between."""
    publish(run, root=tmp_path / "published")
    roots = tmp_path / "published", tmp_path / "new"
    run_of(*roots, n_steps=13).compute()
    longer, whole = run_of(*roots, n_steps=13), run_of(tmp_path / "at once", n_steps=13)
    whole.compute()
    assert longer.complete
    assert STAGE.recorded(run_of(*roots)) == 13
    for name, column in STAGE.history(whole).items():
        np.testing.assert_array_equal(STAGE.history(longer)[name], column)
    assert STAGE.weights(longer, 13).keys() == STAGE.weights(whole, 13).keys()
    run_of(*roots, n_steps=17).compute()
    assert run_of(*roots, n_steps=17).complete
    publish(run_of(*roots, n_steps=17), root=tmp_path / "published")
    assert STAGE.recorded(run_of(tmp_path / "published")) == 17


def test_what_was_published_can_be_published_again(run, tmp_path):
    """What was dropped the first time is recorded the second time, too."""
    publish(run, root=tmp_path / "first")
    publish(run_of(tmp_path / "first"), root=tmp_path / "second")
    again = run_of(tmp_path / "second")
    assert again.complete
    assert STAGE.checkpoints(again) == [0, 4, 8]
    assert STAGE.with_weights(again) == [8]


def test_the_longest_history_is_read_wherever_it_is(run, tmp_path):
    run_of(tmp_path / "long", n_steps=13).compute()
    for roots in (("root", "long"), ("long", "root")):
        found = run_of(*(tmp_path / root for root in roots), n_steps=13)
        assert found.complete
        assert STAGE.history(found)["step"][-1] == 13
    name = STAGE.name.partition("/")[2]
    (damaged,) = (tmp_path / "long").rglob(f"{name}/*/{HISTORY}")
    damaged.write_bytes(b"no table")
    shorter = run_of(tmp_path / "root", tmp_path / "long")
    assert STAGE.history(shorter)["step"][-1] == 8


def test_weights_that_were_dropped_come_back_where_they_are_asked_for(run, tmp_path):
    publish(run, root=tmp_path / "published")
    found = run_of(tmp_path / "published", tmp_path / "new")
    assert found.complete
    assert STAGE.checkpoints(found) == [0, 4, 8]
    assert STAGE.with_weights(found) == [8]
    found.ensure(STAGE, checkpoint_name(4), state_name(4))
    assert STAGE.with_weights(found) == [4, 8]
    for name in (checkpoint_name(4), state_name(4)):
        assert found.stored(STAGE).read(name) == run.stored(STAGE).read(name)
    # The weights of the last step are published, its state is not.
    found.ensure(STAGE, state_name(8))
    assert found.stored(STAGE).read(state_name(8)) == run.stored(STAGE).read(state_name(8))
