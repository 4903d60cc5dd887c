"""Pairs, their results, splits and encodings, against Python's own integers and NumPy."""

from __future__ import annotations

from math import floor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hdlib.tasks import ModularTask, Pairs, modular_task

PRIMES = [2, 3, 5, 7, 11, 13, 23, 113]
PYTHON = {"add": lambda a, b, p: (a + b) % p, "multiply": lambda a, b, p: a * b % p}


def rows(pairs: Pairs) -> list[tuple[int, int]]:
    return list(zip(pairs.a.tolist(), pairs.b.tolist(), strict=True))


def same(first: ModularTask, second: ModularTask) -> bool:
    return all(rows(x) == rows(y) for x, y in zip(first, second, strict=True))


@pytest.mark.parametrize("operation", PYTHON)
@pytest.mark.parametrize("p", PRIMES)
def test_all_pairs_and_their_targets(p, operation):
    task = modular_task(p, operation, train_fraction=0.5, seed=0)
    assert rows(task.grid) == [(a, b) for a in range(p) for b in range(p)]
    for pairs in task:
        assert pairs.p == p
        assert pairs.a.dtype == pairs.b.dtype == pairs.targets.dtype == torch.int64
        assert pairs.targets.tolist() == [PYTHON[operation](a, b, p) for a, b in rows(pairs)]


@pytest.mark.parametrize("operation", PYTHON)
def test_every_row_of_the_table_has_each_residue_once(operation):
    """For products every row but that of 0, since p is prime."""
    table = modular_task(13, operation, train_fraction=0.5, seed=0).grid.targets.view(13, 13)
    assert torch.equal(table, table.T)
    full = table if operation == "add" else table[1:]
    assert all(sorted(row) == list(range(13)) for row in full.tolist())


@pytest.mark.parametrize(
    ("train_fraction", "size"), [(0.3, 3_830), (0.4, 5_107), (0.5, 6_384), (0.99999, 12_768)]
)
def test_sizes_of_the_published_splits(train_fraction, size):
    task = modular_task(113, train_fraction=train_fraction, seed=0)
    assert len(task.train.a) == size
    assert len(task.test.a) == 12_769 - size


def test_smallest_splits():
    assert len(modular_task(2, train_fraction=0.25, seed=0).train.a) == 1
    assert len(modular_task(2, train_fraction=0.75, seed=0).test.a) == 1


@settings(max_examples=50)
@given(
    p=st.sampled_from(PRIMES[1:-1]),
    train_fraction=st.floats(0.12, 0.999),
    seed=st.integers(0, 2**32),
    operation=st.sampled_from(sorted(PYTHON)),
)
def test_splits_are_disjoint_cover_all_and_are_in_order(p, train_fraction, seed, operation):
    task = modular_task(p, operation, train_fraction=train_fraction, seed=seed)
    train, test = rows(task.train), rows(task.test)
    assert len(train) == floor(train_fraction * p**2)
    assert not set(train) & set(test)
    assert sorted(train + test) == rows(task.grid)
    assert train == sorted(train)
    assert test == sorted(test)
    assert same(task, modular_task(p, operation, train_fraction=train_fraction, seed=seed))


def test_the_split_depends_on_the_seed_alone():
    tasks = [modular_task(23, train_fraction=0.3, seed=seed) for seed in range(10)]
    assert len({tuple(rows(task.train)) for task in tasks}) == 10
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    assert same(tasks[3], modular_task(23, train_fraction=0.3, seed=3))
    product = modular_task(23, "multiply", train_fraction=0.3, seed=3)
    assert rows(product.train) == rows(tasks[3].train)


def test_a_larger_split_contains_a_smaller_one():
    """So runs of one seed differ in what was added, not in everything."""
    small, large = (modular_task(23, train_fraction=part, seed=1) for part in (0.3, 0.4))
    assert set(rows(small.train)) < set(rows(large.train))


def test_every_pair_is_trained_on_equally_often():
    """Over seeds, each of the p² pairs is in the training split at the rate of its fraction."""
    seeds = 300
    counts = torch.zeros(25)
    for seed in range(seeds):
        train = modular_task(5, train_fraction=0.4, seed=seed).train
        counts[train.a * 5 + train.b] += 1
    # Six standard deviations of a binomial count.
    assert (counts - 0.4 * seeds).abs().max() < 6 * (0.4 * 0.6 * seeds) ** 0.5


def test_tokens():
    pairs = modular_task(7, train_fraction=0.5, seed=0).train
    for (a, b), tokens, longer in zip(
        rows(pairs), pairs.tokens().tolist(), pairs.tokens_with_operation().tolist(), strict=True
    ):
        assert tokens == [a, b, 7]
        assert longer == [a, 8, b, 7]
    assert pairs.tokens().dtype == pairs.tokens_with_operation().dtype == torch.int64


@pytest.mark.parametrize("p", PRIMES)
def test_one_hot(p):
    pairs = modular_task(p, train_fraction=0.5, seed=0).grid
    a, b = np.array(rows(pairs)).T
    np.testing.assert_array_equal(pairs.one_hot(), np.hstack([np.eye(p)[a], np.eye(p)[b]]))
    assert pairs.one_hot().dtype == torch.float32


@pytest.mark.parametrize("p", PRIMES)
def test_scalars(p):
    task = modular_task(p, train_fraction=0.5, seed=0)
    everything = np.array(rows(task.grid))
    for pairs in task:
        expected = (np.array(rows(pairs)) - everything.mean(0)) / everything.std(0)
        np.testing.assert_allclose(pairs.scalars(), expected, atol=1e-6)
        assert pairs.scalars().dtype == torch.float32


@pytest.mark.parametrize("fraction", [0.2, 0.7])
def test_mirrored_pairs_are_those_trained_on_the_other_way_round(fraction):
    task = modular_task(11, train_fraction=fraction, seed=0)
    trained = set(zip(task.train.a.tolist(), task.train.b.tolist(), strict=True))
    tested = zip(task.test.a.tolist(), task.test.b.tolist(), strict=True)
    expected = [(b, a) in trained for a, b in tested]
    assert task.mirrored.tolist() == expected
    assert 0 < sum(expected) < len(expected)


@pytest.mark.parametrize("p", [-7, 0, 1, 4, 9, 91, 121, 12_769])
def test_modulus_that_is_not_prime(p):
    with pytest.raises(ValueError, match=f"p={p}: must be a prime"):
        modular_task(p, train_fraction=0.5, seed=0)


def test_unknown_operation():
    with pytest.raises(ValueError, match="operation is 'divide'; allowed are add, multiply"):
        modular_task(7, "divide", train_fraction=0.5, seed=0)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("train_fraction", [0.0, -0.3, 0.02, 1.0, 1.5, float("nan"), float("inf")])
def test_empty_split(train_fraction):
    with pytest.raises(ValueError, match=rf"train_fraction={train_fraction}: must be .* 1/49"):
        modular_task(7, train_fraction=train_fraction, seed=0)


def test_both_operations_are_split_alike_and_told_apart():
    task = modular_task(11, "both", train_fraction=0.3, seed=0)
    single = modular_task(11, train_fraction=0.3, seed=0)
    n = len(single.train.a)
    assert len(task.grid.a) == 2 * 121
    assert rows(task.train)[:n] == rows(single.train)
    assert [int((task.train.operation == i).sum()) for i in (0, 1)] == [n, n]
    assert rows(task.train)[n:] != rows(single.train)
    for part in task:
        sums, products = (part.a + part.b) % 11, part.a * part.b % 11
        expected = torch.where(part.operation == 0, sums, products)
        assert torch.equal(part.targets, expected)
        tokens = part.tokens_with_operation()
        assert torch.equal(tokens[:, 1], 12 + part.operation)
        assert set(tokens[:, 3].tolist()) == {11}
    train, test = (set(zip(part.operation.tolist(), rows(part), strict=True)) for part in task[:2])
    assert not train & test
    mirrors = [
        (op, (b, a)) in train
        for op, (a, b) in zip(task.test.operation.tolist(), rows(task.test), strict=True)
    ]
    assert task.mirrored.tolist() == mirrors


@pytest.mark.parametrize("encoding", ["tokens", "both", "raw", "one_hot", "scalars"])
def test_both_operations_need_an_encoding_that_names_them(encoding):
    task = modular_task(5, "both", train_fraction=0.5, seed=0)
    with pytest.raises(ValueError, match="tokens_with_operation"):
        getattr(task.grid, encoding)()
