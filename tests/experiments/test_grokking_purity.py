"""Claims of purity can fail: decided on planted purities, responses and closed forms."""

from __future__ import annotations

from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hdlib.experiments.grokking import cluster_tables
from hdlib.experiments.grokking.claims.purity import ARRIVAL, CLAIMS
from hdlib.experiments.grokking.clusters import Lowest, PurityResults, TightCluster
from hdlib.experiments.grokking.config import GrokkingConfig
from hdlib.training import OTHERS

M, LARGEST = 60, 12
STEPS = [0, 4_000, 8_500, 11_000, 17_000]
RNG = np.random.default_rng(0)


class Planted(PurityResults):
    """Doublets of one frequency among the leading 12, with close eigenvalues; or no purity."""

    def __init__(self, *, pure: bool, steps: list[int] = STEPS, tight: bool = True):
        self.run: Any = SimpleNamespace(config=GrokkingConfig())
        self.steps, self._pure, self._tight = steps, pure, tight

    def arrays(self, step):
        late = self._pure and step >= 8_500
        high = 0.85 if late else 0.2
        purity = np.full((LARGEST, M), 0.2)
        purity[0, :24] = high
        # Ranks 3 and 4, 5 and 6, … are of one frequency.
        purity[1, 2:24:2] = high if step <= 11_000 or len(self.steps) == 1 else 0.5
        frequency = np.ones((LARGEST, M), np.int16)
        frequency[:2] = 1 + np.arange(M) // 2
        gaps = np.full(M - 1, 0.05)
        gaps[0 if self._tight else 1 :: 2] = 0.01
        return {
            "eigenvalues": np.exp(-np.r_[0, np.cumsum(gaps)]),
            "purity": purity,
            "frequency": frequency,
            "rotated": 0.2 + 0.1 * RNG.random((19, LARGEST, M)),
            "relabelled": np.full((2, LARGEST, M), 0.05),
        }

    def doses(self, step):
        own = np.full(240, 0.8) if self._pure else np.linspace(0.8, 0.2, 240)
        return {
            "eigenvectors_purity": own.reshape(5, 4, 12),
            "eigenvectors_frequency": np.ones((5, 4, 12), np.int16),
            "eigenvectors_departure": np.linspace(0.05, 0.5, 4)[:, None].repeat(12, 1),
            "rotated_purity": np.full((5, 4, 12), 0.4),
            "random_purity": np.full((5, 4, 12), 0.15),
        }

    @cached_property
    def lowest(self):
        ratios = np.linspace(1, 0.97, 200) if self._pure else np.linspace(2, 0.5, 200)
        twins = np.linspace(1, 1.5 if self._pure else 30, 128)
        return [Lowest(s, 1e-4, ratios, 100, -1 / twins, twins, twins, twins) for s in STEPS if s]

    @cached_property
    def cosines(self):
        return [np.eye(M, dtype=np.float32)] * (len(self.steps) - 1)


def published(*, pure: bool) -> Any:
    names = [f"{h} head{'s' * (h > 1)}, seed {s}" for h in (1, 2, 4, 8) for s in range(3)]
    heads = {name: Planted(pure=pure, steps=[17_000]) for name in names}
    pairs = {"step": np.array(STEPS), OTHERS: np.array([0, 0, 0.1, 0.9, 1])}
    return SimpleNamespace(
        purities=Planted(pure=pure),
        sweep=SimpleNamespace(
            gaps={name: SimpleNamespace(accuracy=1.0) for name in names}, purities=heads
        ),
        results=SimpleNamespace(pairs=pairs, config=GrokkingConfig()),
    )


# When a cluster arrives is read in a run's history, and is decided on that.
WITHOUT_HISTORY = [claim for claim in CLAIMS if claim is not ARRIVAL]


@pytest.mark.parametrize("claim", WITHOUT_HISTORY, ids=lambda claim: claim.name)
def test_of_what_is_not_pure_it_does_not_hold(claim):
    nothing = published(pure=False)
    assert claim.decide(nothing).holds is False
    assert "DOES NOT HOLD" in claim.shown(nothing)


@pytest.mark.parametrize("name", ["pure-vectors", "pure-before", "linear-purity", "closed-form"])
def test_of_what_is_pure_it_holds(name):
    (claim,) = (claim for claim in CLAIMS if claim.name == name)
    verdict = claim.decide(published(pure=True))
    assert verdict.holds is True, dict(verdict.values)
    assert "nan" not in claim.shown(published(pure=True))


def test_clusters_are_the_nodes_of_the_dendrogram():
    found = Planted(pure=True).clusters(11_000)
    pairs = [c.first for c in found if c.size == 2]
    assert pairs == [*range(1, 59, 2)]
    # Two pairs are never parted by less than what parts their members.
    assert all(c.first % 2 == 1 and c.size % 2 == 0 for c in found)
    assert found[1]._replace(usual=0.0) == TightCluster(3, 2, 0.85, 2, 0.0)
    assert 0.28 < found[1].usual < 0.3
    assert Planted(pure=True, tight=False).clusters(11_000)[0].first == 2


def test_neighbours_are_compared_with_any_two():
    same, neighbours, any_same, pairs = Planted(pure=True).neighbours(17_000)
    assert (same, neighbours, any_same, pairs) == (12, 23, 12, 24 * 23 // 2)
    assert Planted(pure=False).neighbours(17_000) == (0, 0, 0, 0)


def test_copies_of_the_lowest_are_counted():
    found = Lowest(1, 1.0, np.array([3.0, 1.04, 1.0, 0.96, 0.9]), 5, *[np.ones(3)] * 4)
    assert (found.below, found.copies) == (1, 3)
    assert found.lowest_apart == pytest.approx(2)


def test_tables_have_a_row_for_each():
    networks = {"1 head, seed 0": Planted(pure=True)}
    assert "| 0.85 |" in str(cluster_tables.purity_table(networks))
    assert "2 to 3" not in str(cluster_tables.cluster_table(networks["1 head, seed 0"], [11_000]))
    assert "3 to 4" in str(cluster_tables.cluster_table(networks["1 head, seed 0"], [11_000]))
    moves = str(cluster_tables.move_table(networks)).splitlines()
    assert [row.split(" | ")[-1] for row in moves[2:6]] == ["0.80 |", "0.40 |", "0.15 |", "0.50 |"]
    assert str(cluster_tables.closed_form_table(networks["1 head, seed 0"])).count("1.000") == 4


@pytest.mark.parametrize(("tight", "same"), [(True, 12), (False, 0)])
def test_doublets_of_one_frequency_are_counted(tight, same):
    """Tight pairs are of one frequency each, or lie across two; 24 of 25 are of twelve in all."""
    found = Planted(pure=True, tight=tight).doublets(17_000)
    assert found.same == same
    assert found.pairs == 12
    assert found.by_chance == pytest.approx(12 * 12 * 2 / (25 * 24))
