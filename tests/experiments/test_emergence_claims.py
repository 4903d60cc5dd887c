"""What the emergence chapter says in words, decided on its published runs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from hdlib.experiments.emergence.claims import CLAIMS, shown
from hdlib.experiments.emergence.claims.concepts import LEGENDRE, PARITY, SUMS
from hdlib.experiments.emergence.config import ORIGINAL, EmergenceGrid
from hdlib.experiments.emergence.probing import (
    FITTED,
    HELD_OUT,
    SHUFFLED,
    TRUE,
    UNTRAINED,
)
from hdlib.experiments.emergence.published import PublishedEmergence
from hdlib.experiments.emergence.recipe import EXPERIMENT
from hdlib.store import PUBLISHED
from tests.experiments.chapter import shown_text

CHAPTER = PUBLISHED.parent / "chapters" / "emergence.ipynb"
Arrays = Mapping[str, NDArray]


@pytest.fixture(scope="module")
def published() -> PublishedEmergence:
    return PublishedEmergence()


def test_published_runs_are_whole():
    for grid in (EmergenceGrid(), ORIGINAL):
        for config in grid.configs:
            assert EXPERIMENT.open(config, root=PUBLISHED).complete


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_claim_holds(claim, published: PublishedEmergence):
    verdict = claim.decide(published)
    assert verdict.holds, verdict.values


def test_each_claim_is_shown_once_in_the_chapter():
    outputs = shown_text(CHAPTER)
    for claim in CLAIMS:
        assert outputs.count(shown(claim.name)) == 1, claim.name
    assert "DOES NOT HOLD" not in outputs


def scored(
    concepts: tuple[str, ...], kind: int, rows: int, score: Callable[[NDArray, int], object]
) -> Callable[[Arrays, bool, int], None]:
    """A change of the scores of some concepts: from the layers' scores and the width."""

    def change(arrays: Arrays, trained: bool, width: int) -> None:
        for name in concepts:
            at = names.index(name)
            found = arrays["balanced_accuracy"][at, kind, :, rows]
            arrays["balanced_accuracy"][at, kind, :, rows] = score(found, width)

    names = list(EmergenceGrid().concepts)
    return change


def parity_everywhere(arrays: Arrays, trained: bool, width: int) -> None:
    """As well read as the Legendre symbol, whatever the waves."""
    scores = arrays["balanced_accuracy"]
    scores[0] = scores[1]


PROBES: dict[str, Callable[[Arrays, bool, int], None]] = {
    "nothing-before-training": scored(SUMS, TRUE, HELD_OUT, lambda found, width: 0.6),
    "no-more-than-a-control": scored((LEGENDRE,), TRUE, HELD_OUT, lambda found, width: found + 0.1),
    "one-wave": parity_everywhere,
    "decodable-with-width": scored(
        (LEGENDRE,), TRUE, HELD_OUT, lambda found, width: 0.7 - width / 1_000
    ),
    "not-memory": scored((PARITY,), TRUE, UNTRAINED, lambda found, width: 0.4),
}


@pytest.mark.parametrize(("name", "change"), PROBES.items())
def test_a_claim_about_probes_can_fail(name: str, change, published: PublishedEmergence):
    altered = PublishedEmergence()
    altered.main = with_probes(published.main, change)
    assert not decide(name, altered)


@pytest.mark.parametrize(
    "change",
    [
        lambda scores, width: scores.__setitem__((0, TRUE, slice(None), HELD_OUT), 0.6),
        lambda scores, width: scores.__setitem__((0, SHUFFLED, slice(None), FITTED), 0.5),
        lambda scores, width: scores.__setitem__((0, TRUE, slice(None), FITTED), 0.5 + width / 512),
    ],
    ids=["readable", "shuffled labels do not rise", "more than capacity"],
)
def test_the_original_can_be_right(change, published: PublishedEmergence):
    altered = PublishedEmergence()
    altered.original = with_probes(
        published.original,
        lambda arrays, trained, width: change(arrays["balanced_accuracy"], width),
    )
    assert not decide("decodability-is-capacity", altered)


def test_networks_may_not_generalise(published: PublishedEmergence):
    altered = PublishedEmergence()
    altered.main = copy.copy(published.main)
    altered.main.logged = lambda column: published.main.logged(column) * 0.9
    assert not decide("generalise", altered)


def late(found):
    found.accuracy = np.roll(found.accuracy, -4, axis=1)
    found.accuracy[:, -4:] = 1


def with_outliers(found):
    found.gaps = [[gap._replace(score=99.0) for gap in gaps] for gaps in found.gaps]


def without_single(found):
    for arrays in found._spectra:
        arrays[-1]["frequencies"] = np.full_like(arrays[-1]["frequencies"], 1 / 48)


FOLLOWED = {
    "ahead-of-accuracy": late,
    "waves-with-accuracy": late,
    "outliers-after": with_outliers,
    "one-outlier-a-frequency": without_single,
    "single-frequencies": without_single,
}


@pytest.mark.parametrize(("name", "change"), FOLLOWED.items())
def test_a_claim_about_training_can_fail(name: str, change, published: PublishedEmergence):
    altered = PublishedEmergence()
    altered.followed = copy.copy(published.followed)
    altered.followed.accuracy = published.followed.accuracy.copy()
    altered.followed._spectra = copy.deepcopy(published.followed._spectra)
    change(altered.followed)
    assert not decide(name, altered)


def test_every_claim_has_been_made_to_fail():
    tried = {*PROBES, *FOLLOWED, "decodability-is-capacity", "generalise"}
    assert tried == {claim.name for claim in CLAIMS}


def with_probes(results, change):
    """Results whose probes are changed: (arrays, whether trained, width)."""
    altered = copy.copy(results)
    altered._probes = copy.deepcopy(results._probes)
    for (width, _), found in altered._probes.items():
        for trained, arrays in enumerate(found):
            change(arrays, bool(trained), width)
    return altered


def decide(name: str, published: PublishedEmergence) -> bool:
    (claim,) = (claim for claim in CLAIMS if claim.name == name)
    return claim.decide(published).holds
