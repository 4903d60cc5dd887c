"""Several modular sums at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hdlib.tasks import sums_task

SETTING = {"samples": 300, "train_fraction": 0.8, "seed": 0}


def pairs(sums, task: int) -> set[tuple[int, int]]:
    return {tuple(row) for row in sums.residues[:, 2 * task : 2 * task + 2].tolist()}


def test_targets_are_sums_and_the_split_is_kept():
    task = sums_task((5, 7), **SETTING)
    for sums in task:
        assert sums is not None
        for circuit, p in enumerate((5, 7)):
            a, b = sums.residues[:, 2 * circuit], sums.residues[:, 2 * circuit + 1]
            assert torch.equal(sums.targets[:, circuit], (a + b) % p)
    for circuit, p in enumerate((5, 7)):
        trained, unseen = pairs(task.train, circuit), pairs(task.unseen, circuit)
        assert len(trained) == int(0.8 * p**2)
        assert pairs(task.company, circuit) == trained
        assert trained.isdisjoint(unseen)
        assert len(trained | unseen) == p**2


def test_company_is_new():
    task = sums_task((5, 7), **SETTING)
    together = [{tuple(row) for row in sums.residues.tolist()} for sums in task[:2]]
    assert len(together[0] & together[1]) < 0.5 * len(together[1])


def test_pairs_come_equally_often():
    train = sums_task((5, 7), **SETTING).train
    for circuit, p in enumerate((5, 7)):
        number = train.residues[:, 2 * circuit] * p + train.residues[:, 2 * circuit + 1]
        counts = number.unique(return_counts=True)[1]
        assert counts.max() - counts.min() <= 1


def test_all_pairs_leave_none_unseen():
    assert sums_task((5, 7), samples=60, train_fraction=1.0, seed=0).unseen is None


def test_shuffled_labels_are_a_function_of_the_pair_and_no_sum():
    true = sums_task((5, 7), **SETTING)
    task = sums_task((5, 7), shuffled=(0,), **SETTING)
    assert torch.equal(task.train.targets[:, 1], true.train.targets[:, 1])
    labels: dict[tuple[int, int], int] = {}
    right = []
    for sums in task:
        assert sums is not None
        for (a, b), target in zip(
            sums.residues[:, :2].tolist(), sums.targets[:, 0].tolist(), strict=True
        ):
            assert labels.setdefault((a, b), target) == target
            right.append(target == (a + b) % 5)
    assert np.mean(right) < 0.5


def test_encodings():
    sums = sums_task((5, 7), **SETTING).train
    one_hot = sums.one_hot()
    assert one_hot.shape == (300, 24)
    assert one_hot.sum(1).tolist() == [4.0] * 300
    assert torch.equal(one_hot[:, 10:17].argmax(1), sums.residues[:, 2])
    waves = sums.waves(2)
    assert waves.shape == (300, 16)
    angle = 2 * np.pi * 2 * sums.residues[:, 3].numpy() / 7
    assert np.allclose(waves[:, 14], np.cos(angle), atol=1e-6)
    assert np.allclose(waves[:, 15], np.sin(angle), atol=1e-6)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"moduli": ()}, "moduli="),
        ({"moduli": (5, 1)}, "moduli="),
        ({"train_fraction": 1.5}, "train_fraction=1.5"),
        ({"train_fraction": 0.01}, "train_fraction=0.01"),
        ({"shuffled": (2,)}, "shuffled: \\[2\\] unknown; tasks are 0 to 1"),
        ({"samples": 0}, "samples=0"),
    ],
)
def test_impossible_tasks(fields, sentence: str):
    with pytest.raises(ValueError, match=sentence):
        sums_task(**({"moduli": (5, 7)} | SETTING | fields))


@pytest.mark.parametrize("frequencies", [0, 3])
def test_impossible_frequencies(frequencies: int):
    with pytest.raises(ValueError, match=f"frequencies={frequencies}: must be from 1 to 2"):
        sums_task((5, 7), **SETTING).train.waves(frequencies)
