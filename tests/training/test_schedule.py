from __future__ import annotations

import pytest

from hdlib.training import checkpoint_steps

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
