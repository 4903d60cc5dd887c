from __future__ import annotations

import pytest

from hdlib.training import checkpoint_steps, grokking_steps

EPOCH = 469


def test_thirty_epochs_of_mnist():
    epochs = [*range(1, 11), 12, 14, 16, 18, 20, 22, 24, 26, 28, 30]
    expected = [0, 10, 50, 100, 200, *(EPOCH * epoch for epoch in epochs)]
    assert checkpoint_steps(30, EPOCH) == expected
    assert len(expected) == 25


@pytest.mark.parametrize(
    ("n_epochs", "steps_per_epoch", "expected"),
    [
        (1, 1, [0, 1]),
        (1, 12, [0, 10, 12]),
        (3, 50, [0, 10, 50, 100, 150]),
        (13, 1, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13]),
        (1, 200, [0, 10, 50, 100, 200]),
    ],
)
def test_other_lengths(n_epochs, steps_per_epoch, expected):
    assert checkpoint_steps(n_epochs, steps_per_epoch) == expected


@pytest.mark.parametrize("arguments", [(0, 5), (5, 0), (-1, 5)])
def test_nothing_to_train(arguments):
    with pytest.raises(ValueError, match=f"at least 1, got {arguments[0]} of {arguments[1]}"):
        checkpoint_steps(*arguments)


def test_grokking_steps():
    steps = grokking_steps(17_000)
    assert steps[:8] == [0, 10, 50, 100, 200, 500, 600, 700]
    assert [step for step in steps if 500 <= step <= 5_000] == list(range(500, 5_001, 100))
    assert [step for step in steps if 5_000 <= step <= 15_000] == list(range(5_000, 15_001, 500))
    assert steps[-3:] == [15_000, 16_000, 17_000]
    assert len(steps) == 73


@pytest.mark.parametrize(
    ("n_steps", "tail"),
    [
        (1, [0, 1]),
        (10, [0, 10]),
        (120, [50, 100, 120]),
        (500, [200, 500]),
        (550, [500, 550]),
        (5_000, [4_900, 5_000]),
        (5_001, [4_900, 5_000, 5_001]),
        (5_100, [4_900, 5_000, 5_100]),
        (15_700, [14_500, 15_000, 15_700]),
        (150_000, [148_000, 149_000, 150_000]),
    ],
)
def test_grokking_steps_end_with_the_last(n_steps, tail):
    steps = grokking_steps(n_steps)
    assert steps[-len(tail) :] == tail
    assert steps[0] == 0
    assert steps == sorted(set(steps))
    # The same as those of a longer run, up to the end of this one.
    assert steps[:-1] == [step for step in grokking_steps(200_000) if step < n_steps]


@pytest.mark.parametrize("n_steps", [0, -5])
def test_no_grokking_without_steps(n_steps):
    with pytest.raises(ValueError, match=f"n_steps={n_steps}: must be at least 1"):
        grokking_steps(n_steps)
