"""What the onset chapter says in words, decided on its published runs, and that it could fail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from hdlib.experiments.claim import Claim
from hdlib.experiments.onset.claims import CLAIMS, PublishedOnset, published, shown
from hdlib.experiments.onset.claims.gaps import by_chance
from hdlib.experiments.onset.config import OnsetGrid
from hdlib.experiments.onset.recipe import EXPERIMENT
from hdlib.store import PUBLISHED
from tests.experiments.chapter import shown_text
from tests.experiments.followed import NEVER, PlantedOnset

CHAPTER = PUBLISHED.parent / "chapters" / "onset.ipynb"


def test_published_runs_are_whole():
    for config in OnsetGrid().configs:
        assert EXPERIMENT.open(config, root=PUBLISHED).complete, config


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_claim_holds(claim: Claim[PublishedOnset]):
    verdict = claim.decide(published())
    assert verdict.holds, verdict.values


def test_each_claim_is_shown_once_in_the_chapter():
    outputs = shown_text(CHAPTER)
    for claim in CLAIMS:
        assert outputs.count(shown(claim.name)) == 1, claim.name
    assert "DOES NOT HOLD" not in outputs


def test_seeds_are_those_of_the_grid():
    grid = OnsetGrid()
    for claim in CLAIMS:
        expected = grid.few_seeds if claim.name == "too-few-pairs" else grid.seeds
        assert claim.seeds == len(expected), claim.name


NEVER_SEEN = (NEVER, NEVER, NEVER)
EARLY, LATE = (300, 500, 700), (1_500, 1_600, 1_700)
REFUTED: dict[str, list[tuple[Mapping[str, Any], Mapping[str, Any]]]] = {
    "first-before-accuracy": [({"seen": LATE}, {})],
    "rest-comes-after": [({"seen": EARLY}, {})],
    "logits-before-curvature": [({"seen": EARLY, "prominent": 1_200}, {})],
    "which-frequency": [({"foretold": True}, {})],
    "gap-is-no-early-sign": [({"gap": 300}, {})],
    "eigenvectors-not-any-basis": [({"rotated": True}, {})],
    "too-few-pairs": [({}, {"gap": 1_800, "detached": (2_000, 2_200, 2_400)})],
    "rank-is-no-count": [({"rank": 7}, {}), ({"rank": 5}, {})],
    "not-all-at-another-size": [({"gap": 1_800}, {})],
    "gap-before-the-accuracy": [({"gap": 1_800}, {}), ({"gap": 100}, {})],
    "coefficient-falls-in-all": [({}, {"flatter": NEVER}), ({}, {"level": 0.5})],
    "flat-along-the-circuit-again": [({"steep": True}, {})],
}
"""What is told of networks with enough pairs and of those with too few, where a claim fails."""


@pytest.fixture(scope="module")
def story() -> PlantedOnset:
    return PlantedOnset()


def test_every_claim_has_been_made_to_fail():
    assert set(REFUTED) == {claim.name for claim in CLAIMS}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_planted_stories_decide_a_claim_either_way(
    claim: Claim[PublishedOnset], story: PlantedOnset
):
    verdict = claim.decide(story)
    assert verdict.holds, verdict.values
    assert "DOES NOT HOLD" not in claim.shown(story)
    for enough, few in REFUTED[claim.name]:
        verdict = claim.decide(PlantedOnset(enough, few))
        assert not verdict.holds, verdict.values


def test_what_never_happens_is_told():
    nothing = PlantedOnset(
        {"seen": NEVER_SEEN, "detached": NEVER_SEEN, "gap": NEVER, "known": NEVER}
    )
    told = {claim.name: claim.shown(nothing) for claim in CLAIMS}
    assert "stands out from step never on" in told["gap-is-no-early-sign"]
    assert "there from step never on" in told["first-before-accuracy"]


def test_an_undecided_order_is_none(story: PlantedOnset):
    """Half of the networks one way and half the other: neither first nor after."""
    later, mixed = PlantedOnset({"seen": LATE, "gap": 300}), PlantedOnset()
    mixed.__dict__["followed"] = story.followed[:5] + later.followed[5:]
    by_name = {claim.name: claim for claim in CLAIMS}
    for name in ("first-before-accuracy", "gap-is-no-early-sign"):
        verdict = by_name[name].decide(mixed)
        assert not verdict.holds
        assert verdict.values["p"] == 1


def test_what_is_undecided_is_told():
    """A sentence says so where as many networks have one first as the other."""
    told = {claim.name: claim.shown(published()) for claim in CLAIMS}
    assert "over networks undecided which is first" in told["rest-comes-after"]
    assert "it is undecided which is first" in told["logits-before-curvature"]
    later = PlantedOnset({"seen": LATE})
    (claim,) = (claim for claim in CLAIMS if claim.name == "rest-comes-after")
    assert "over networks after it" in claim.shown(later)


def test_so_many_by_chance():
    """Of ten tests at 5% two or more: 1 − 0.95¹⁰ − 10 · 0.05 · 0.95⁹."""
    assert by_chance(2, 10) == pytest.approx(1 - 0.95**10 - 0.5 * 0.95**9)
    assert by_chance(0, 10) == 1
