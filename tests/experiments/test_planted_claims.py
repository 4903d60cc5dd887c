"""What the planted chapter says in words, decided on its published runs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hdlib.experiments.planted.claims import CLAIMS, shown
from hdlib.experiments.planted.config import GRIDS
from hdlib.experiments.planted.published import PublishedPlanted
from hdlib.experiments.planted.recipe import EXPERIMENT
from hdlib.experiments.planted.results import PlantedResults
from hdlib.measures import GapTest
from hdlib.store import PUBLISHED
from tests.experiments.chapter import shown_text

CHAPTER = PUBLISHED.parent / "chapters" / "planted.ipynb"
Array = NDArray[np.float64]


@pytest.fixture(scope="module")
def published() -> PublishedPlanted:
    return PublishedPlanted()


def test_published_runs_are_whole():
    for grid in GRIDS.values():
        for config in grid.configs:
            assert EXPERIMENT.open(config, root=PUBLISHED).complete


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_claim_holds(claim, published: PublishedPlanted):
    verdict = claim.decide(published)
    assert verdict.holds, verdict.values


def test_each_claim_is_shown_once_in_the_chapter():
    outputs = shown_text(CHAPTER)
    for claim in CLAIMS:
        assert outputs.count(shown(claim.name)) == 1, claim.name
    assert "DOES NOT HOLD" not in outputs


Change = Callable[[PlantedResults], Mapping[str, Callable[..., Any]]]


def statistics(name: str, change: Callable[[Array, Any], Array]) -> Change:
    """A change of one statistic: from its values and the checkpoint."""

    def altered(results: PlantedResults) -> Mapping[str, Callable[..., Any]]:
        def statistic(asked: str, alpha: float, when: Any) -> Array:
            values = results.statistic(asked, alpha, when)
            return change(values.copy(), when) if asked == name else values

        return {"statistic": statistic}

    return altered


def method(name: str, change: Callable[..., Any]) -> Change:
    """A method whose results are changed: from what it returned and its arguments."""

    def altered(results: PlantedResults) -> Mapping[str, Callable[..., Any]]:
        original = getattr(results, name)
        return {name: lambda *args: change(original(*args), *args)}

    return altered


def column(index: int, value: float) -> Callable[[Array, Any], Array]:
    """Values of which one column is set."""

    def change(values: Array, when: Any) -> Array:
        values[..., index] = value
        return values

    return change


def without_gaps(spectra: list[Array], *args: Any) -> list[Array]:
    """Eigenvalues of a smooth power law in place of each spectrum."""
    return [np.arange(1.0, len(values) + 1) ** -1.0 for values in spectra]


def always(tested: list[tuple[int, list[GapTest]]], *args: Any) -> list[tuple[int, list[GapTest]]]:
    """The same rank in all seeds."""
    return [(rank, [gap._replace(p=0.01) for gap in gaps]) for rank, gaps in tested]


def seldom(tested: list[tuple[int, list[GapTest]]], *args: Any) -> list[tuple[int, list[GapTest]]]:
    """No gap at the rank that was suggested."""
    return [(rank, [gap._replace(p=0.5) for gap in gaps]) for rank, gaps in tested]


def joined(arrays: Mapping[str, Any], *args: Any) -> dict[str, Any]:
    return {**arrays, "joined_units": np.array(1)}


def one_group(groups: Mapping[str, Any], *args: Any) -> dict[str, Any]:
    return {**groups, "outputs": np.zeros_like(groups["outputs"])}


CHANGES: dict[str, Change] = {
    "gaps-do-not-part-circuits": statistics("best", column(0, 0.5)),
    "gaps-part-scales": statistics("scaled", lambda values, when: np.zeros_like(values)),
    "strangers-are-close": statistics("neighbours", column(2, 0.1)),
    "ratio-sees-wiring": statistics("neighbours", column(0, 0.53)),
    "zeros-are-symmetries": method("zeros", lambda found, *args: (found[0] + 3, found[1])),
    "close-ones-mix": statistics("mixing", lambda values, when: -values),
    "vectors-part-circuits": method("outputs", lambda values, *args: values * 0.5),
    "residual-parts-units": method("spectrum", joined),
    "modules-belong-to-the-basis": method("basis", lambda values: np.ones_like(values)),
    "circuits-form": method("unit_purity", lambda values, *args: np.full_like(values, 0.6)),
    "seen-before-it-can-be-tested": method("logged", lambda values, *args: np.ones_like(values)),
    "random-labels-part-as-well": method(
        "unit_purity", lambda values, *args: np.full_like(values, 0.6)
    ),
    "sort-then-read": method("own_spectra", without_gaps),
    "the-rank-is-not-a-constant": method("tested_gaps", always),
    "the-union-counts-both": method("own_spectra", without_gaps),
    "not-two-a-frequency": method(
        "own_spectra",
        lambda spectra, *args: [
            np.concatenate([np.full(rank, 1.0), np.full(100, 1e-3)])
            * (1 + 0.01 * np.arange(100 + rank)[::-1])
            for rank in (6, 6, 12)
        ],
    ),
    "three-circuits": method("outputs", lambda values, *args: values * 0.5),
    "unequal-sizes-are-scales": statistics("best", column(0, 0.2)),
    "a-shared-part-is-one-circuit": method("groups", one_group),
}


def altered(published: PublishedPlanted, change: Change) -> PublishedPlanted:
    """The published results of every grid, changed."""
    other = PublishedPlanted()
    for name in GRIDS:
        results = copy.copy(published[name])
        for attribute, function in change(published[name]).items():
            setattr(results, attribute, function)
        other._read[name] = results
    return other


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_a_claim_can_fail(claim, published: PublishedPlanted):
    assert not claim.decide(altered(published, CHANGES[claim.name])).holds


def test_a_rank_that_is_the_seeds_alone_is_not_what_is_claimed(published: PublishedPlanted):
    (claim,) = (claim for claim in CLAIMS if claim.name == "the-rank-is-not-a-constant")
    assert not claim.decide(altered(published, method("tested_gaps", seldom))).holds


def test_a_cut_of_three_circuits_counts_once_they_have_learned(published: PublishedPlanted):
    """Before training a cut may find them; afterwards it refutes the claim."""
    (claim,) = (claim for claim in CLAIMS if claim.name == "three-circuits")
    for found, holds in (("untrained", True), ("memorised", False), ("end", False)):
        change = statistics("best", lambda values, when, at=found: values + 0.5 * (when == at))
        assert claim.decide(altered(published, change)).holds is holds


def test_every_claim_has_been_made_to_fail():
    assert set(CHANGES) == {claim.name for claim in CLAIMS}
