"""The order of the samples, and which steps are checkpoints."""

from __future__ import annotations

import pytest
import torch

from hdlib.training import Batches, Resolution, Schedule

INPUTS, TARGETS = torch.arange(10.0), torch.arange(10)


def test_every_sample_is_seen_once_in_an_epoch():
    batches = Batches(INPUTS, TARGETS, size=4, seed=0)
    assert batches.steps_per_epoch == 3
    seen = [batches.at(step) for step in range(6)]
    assert [len(x) for x, _ in seen] == [4, 4, 2, 4, 4, 2]
    assert all(x.tolist() == y.tolist() for x, y in seen)
    first, second = (torch.cat([x for x, _ in seen[i : i + 3]]).tolist() for i in (0, 3))
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second


def test_the_order_comes_from_seed_and_epoch_alone():
    one_by_one = Batches(INPUTS, TARGETS, size=3, seed=7)
    expected = [one_by_one.at(step)[1].tolist() for step in range(12)]
    torch.manual_seed(0)
    for step in (11, 0, 5, 4, 10):
        torch.rand(step)
        assert Batches(INPUTS, TARGETS, size=3, seed=7).at(step)[1].tolist() == expected[step]
    back_and_forth = Batches(INPUTS, TARGETS, size=3, seed=7)
    assert [back_and_forth.at(s)[1].tolist() for s in (11, 2, 7)] == [
        expected[s] for s in (11, 2, 7)
    ]
    others = [Batches(INPUTS, TARGETS, size=9, seed=seed).at(0)[1].tolist() for seed in (7, 8)]
    assert others[0] != others[1]


@pytest.mark.parametrize("size", [None, 10, 11])
def test_a_full_batch_keeps_the_order_of_the_data(size):
    batches = Batches(INPUTS, TARGETS, size=size, seed=5)
    assert batches.steps_per_epoch == 1
    for step in (0, 3):
        x, y = batches.at(step)
        assert x.tolist() == y.tolist() == list(range(10))


NEVER = 1_000


@pytest.mark.parametrize(
    ("thresholds", "right", "resolution", "log_every", "expected"),
    [
        # Nothing moves: only the scheduled ones.
        ([NEVER] * 4, [1] * 4, 0.25, 1, [0, 20, 40]),
        # Not asked for.
        ([5, 6, 7, 8], [1] * 4, None, 1, [0, 20, 40]),
        # Each quarter at its step.
        ([5, 11, 25, 26], [1] * 4, 0.25, 1, [0, 5, 11, 20, 25, 26, 40]),
        # Moves of a quarter add up to the half that is asked for.
        ([5, 11, 25, 26], [1] * 4, 0.5, 1, [0, 11, 20, 26, 40]),
        # A scheduled checkpoint counts, too: from it on only a quarter is left to move.
        ([5, 11, 13, 25], [1] * 4, 0.5, 1, [0, 11, 20, 40]),
        # A leap of all at once.
        ([17] * 4, [1] * 4, 0.25, 1, [0, 17, 20, 40]),
        # Seen at the next logged step.
        ([12, 12, 31, 31], [1] * 4, 0.25, 5, [0, 15, 20, 35, 40]),
        # Getting worse is moving; step 0 is at three quarters.
        ([5, 9, 13, 30], [0, 1, 0, 0], 0.25, 1, [0, 5, 9, 13, 20, 30, 40]),
        # There and back without having moved far enough.
        ([5, 9, 13, 30], [0, 1, 0, 1], 0.5, 1, [0, 20, 40]),
    ],
)
def test_checkpoints_where_the_accuracy_moves(thresholds, right, resolution, log_every, expected):
    """Sample i becomes class 1 at step thresholds[i]; that is right or wrong."""
    schedule = Schedule.of(
        40,
        checkpoints=[0, 20],
        log_steps=range(0, 41, log_every),
        resolution=None if resolution is None else Resolution("accuracy", resolution),
    )
    moves = list(zip(thresholds, right, strict=True))
    rows = [
        {"step": step, "accuracy": sum((step >= t) == bool(r) for t, r in moves) / 4}
        for step in schedule.steps
    ]
    assert schedule.kept(rows) == expected
    # Those of the first steps do not depend on what comes after them.
    assert schedule.kept(rows[:15]) == [s for s in expected if s <= rows[:15][-1]["step"]]


def test_the_last_step_is_a_checkpoint_and_every_checkpoint_has_a_row():
    schedule = Schedule.of(9, checkpoints=[2], log_steps=[0, 4])
    assert schedule.steps == [0, 2, 4, 9]
    assert schedule.view([{"step": step} for step in range(20)]) == [
        {"step": step} for step in (0, 2, 4, 9)
    ]
