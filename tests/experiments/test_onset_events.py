"""Which of two events comes first, on networks whose events are planted."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from hdlib.experiments.onset.events import (
    DETACHED,
    EVENTS,
    FALLEN,
    FIRST,
    KNOWN,
    LASTING,
    LEARNT,
    OUT,
    PROMINENT,
    RISEN,
    SEEN,
    coupling,
    median_onset,
    mismatched_share,
    onsets,
    precedence,
    sign_test,
)
from hdlib.experiments.onset.network import FollowedNetwork
from tests.experiments.followed import CONFIG, NEVER, PlantedFollowed, Story, planted

PLANTED = {
    "seen": (300, 500, NEVER),
    "detached": (2_000, 2_200, NEVER),
    "risen": (600, 900, 1_200),
    "known": 1_000,
    "fallen": 400,
    "gap": 1_800,
}


@pytest.fixture(scope="module")
def network() -> FollowedNetwork:
    return planted(**PLANTED)


def test_events_are_found_where_they_were_planted(network):
    assert onsets(network, SEEN).tolist() == [300, 500, np.inf]
    assert onsets(network, DETACHED).tolist() == [2_000, 2_200, np.inf]
    assert onsets(network, RISEN).tolist() == [600, 900, 1_200]
    for event, step in {FIRST: 300, FALLEN: 400, KNOWN: 1_000, LEARNT: 1_500, OUT: 1_800}.items():
        assert onsets(network, event).tolist() == [step] * 3, event
    assert onsets(network, PROMINENT).tolist() == [100] * 3
    assert set(EVENTS) >= {SEEN, DETACHED, RISEN, FALLEN, KNOWN, LEARNT, OUT, PROMINENT, FIRST}


def test_what_goes_away_does_not_last(network):
    mask = np.zeros((len(network.steps), 3), bool)
    mask[[3, 4], 0], mask[20:, 1] = True, True
    assert network.onset(mask).tolist() == [300, 2_000, np.inf]
    assert network.lasting_onset(mask).tolist() == [np.inf, 2_000, np.inf]
    assert onsets(network, LASTING).tolist() == [300] * 3


def test_where_the_strongest_frequency_stands(network):
    shares = np.zeros((29, 29))
    assert (network.standing(shares) == 0).all()
    shares[3, 1], shares[4, [1, 5]] = 1, (1, 2)
    assert network.standing(shares)[2:6].tolist() == [0, 1, 27 / 28, 0]


def test_a_median_is_infinite_where_half_never_come(network):
    assert median_onset(network, SEEN) == 500
    mostly_never = (300, NEVER, NEVER)
    other = planted(seen=mostly_never, detached=mostly_never)
    assert median_onset(other, SEEN) == np.inf


def test_a_doublet_must_be_more_than_that_of_relabelled_residues():
    beyond, within = (planted(relabelled=level) for level in (0.6, 0.95))
    assert beyond.seen()[-1].all()
    assert not within.seen()[-1].any()
    assert within.seen("relabelled")[-1].all()


def test_nothing_is_above_a_gap_before_there_is_one():
    early = planted(detached=(300, 300, 300), gap=1_800)
    assert onsets(early, DETACHED).tolist() == [1_800] * 3
    assert early.gaps[-1].rank == 7
    assert not early.detached("rotated").any()
    assert planted(rotated=True).detached("rotated")[-1].all()


def test_the_predicted_rank_is_tested_alone(network):
    assert network.predicted_rank == 7
    own, other = network.predicted_gap(), planted(rank=9).predicted_gap()
    assert own is not None
    assert other is not None
    assert own.p < 0.01 < 0.05 < other.p
    few = CONFIG.model_copy(update={"eigenpairs": 7})
    assert PlantedFollowed(few, Story()).predicted_gap() is None


def test_precedence_counts_frequencies_and_networks(network):
    late = planted(seen=(1_000, 1_200, 1_300))
    found = precedence([network, network, late], SEEN, KNOWN)
    assert (found.before, found.same, found.after, found.never) == (4, 1, 4, 2)
    assert found.networks == (2, 1)
    assert found.p == 1
    assert found.share[0] <= 4 / 9 <= found.share[1]


def test_ten_of_ten_is_decided_and_seven_is_not(network):
    assert precedence([network] * 10, FIRST, KNOWN).p == pytest.approx(2 / 2**10)
    assert sign_test(7, 3) == pytest.approx(2 * (1 + 10 + 45 + 120) / 2**10)
    assert sign_test(0, 0) == 1


def test_what_is_tied_network_by_network():
    tied = [planted(seen=(s, s, s), known=s + 300) for s in (100, 300, 500, 700, 900, 1_100)]
    found = coupling(tied, SEEN, KNOWN)
    assert found.correlation == pytest.approx(1)
    assert found.p < 0.01
    apart = [
        planted(seen=(s, s, s), known=k)
        for s, k in ((100, 800), (300, 1_200), (500, 1_000), (700, 400), (900, 1_400))
    ]
    steps = np.array([[median_onset(of, event) for of in apart] for event in (SEEN, KNOWN)])
    found = coupling(apart, SEEN, KNOWN)
    assert found.correlation == pytest.approx(spearmanr(steps, axis=1)[0])
    assert found.p > 0.05
    assert np.isnan(coupling(tied[:1] * 3, SEEN, KNOWN).correlation)


def test_the_accuracy_of_another_network():
    early = planted(seen=(300, 500, 700), known=1_000)
    late = planted(seen=(1_500, 1_700, 1_900), known=2_000)
    assert mismatched_share([early, late], SEEN, KNOWN) == 0.5
    assert precedence([early, late], SEEN, KNOWN).before == 6
    assert np.isnan(mismatched_share([early], SEEN, KNOWN))
