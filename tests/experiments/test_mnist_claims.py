"""What the MNIST chapter says in words, decided on its published runs."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from hdlib.experiments.mnist.claims import CLAIMS, shown
from hdlib.experiments.mnist.config import SECOND, MnistConfig
from hdlib.experiments.mnist.recipe import EXPERIMENT
from hdlib.experiments.mnist.results import MnistResults, PublishedMnist
from hdlib.store import PUBLISHED
from tests.experiments.chapter import shown_text

CHAPTER = PUBLISHED.parent / "chapters" / "mnist.ipynb"


@pytest.fixture(scope="module")
def published() -> PublishedMnist:
    return PublishedMnist()


def test_published_runs_are_whole(published: PublishedMnist):
    for config in (MnistConfig(), SECOND):
        assert EXPERIMENT.open(config, root=PUBLISHED).complete
    assert len(published.first.steps) == 25
    assert published.first.trajectory.eigenvalues.shape == (25, 5_994)
    assert [len(spectrum.indices) for _, spectrum in published.first.trajectory] == [10] * 25


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_claim_holds(claim, published: PublishedMnist):
    verdict = claim.decide(published)
    assert verdict.holds, verdict.values


def test_claims_have_names_of_their_own():
    names = [claim.name for claim in CLAIMS]
    assert len(set(names)) == len(names)


def test_each_claim_is_shown_once_in_the_chapter():
    outputs = shown_text(CHAPTER)
    for claim in CLAIMS:
        assert outputs.count(shown(claim.name)) == 1, claim.name
    assert "DOES NOT HOLD" not in outputs


def test_a_claim_can_fail(published: PublishedMnist):
    """Without the gap below the ninth eigenvalue at step 50 there are no nine."""

    altered = PublishedMnist()
    altered.second = published.second
    altered.first = MnistResults(published.first.run)
    spectra = list(published.first.trajectory.spectra)
    eigenvalues = spectra[2].eigenvalues.copy()
    eigenvalues[-9:] *= eigenvalues[-10] / eigenvalues[-9]
    spectra[2] = replace(spectra[2], eigenvalues=eigenvalues)
    altered.first.trajectory = replace(published.first.trajectory, spectra=tuple(spectra))

    assert altered.first.predicted_gaps[2].score == pytest.approx(0, abs=1e-9)
    (claim,) = (claim for claim in CLAIMS if claim.name == "nine-early")
    assert not claim.decide(altered).holds


@pytest.mark.parametrize(("at", "rank", "factor"), [(1, 9, 0.9), (2, 10, 2.0)])
def test_gaps_from_all_images_decide_what_is_back(
    published: PublishedMnist, at: int, rank: int, factor: float
):
    """Without the ninth gap after the epoch it fails, and with a clear tenth at the end as well."""
    samples = published.first.samples
    spectra = samples.eigenvalues.copy()
    few, top = spectra[at, -1], spectra[at, -1, -rank:].copy()
    spectra[at, -1, -rank:] = top * (few[-rank - 1] / top[0] if factor < 1 else factor)
    altered: Any = PublishedMnist()
    altered.first = SimpleNamespace(samples=SimpleNamespace(eigenvalues=spectra))
    (claim,) = (claim for claim in CLAIMS if claim.name == "nine-are-back")
    assert claim.decide(published).holds
    assert not claim.decide(altered).holds
