"""Clusters followed through training, against subspaces and ranks that are planted."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hdlib import ConvergenceError, Spectrum, spectrum
from hdlib.clustering import Tracks, dendrogram, follow

N = 60
RNG = np.random.default_rng(0)
BASIS = np.linalg.qr(RNG.normal(size=(N, N)))[0]
FLAT = np.linspace(-0.5, 0.5, N)


def planted(*outside: float, basis=BASIS, top: int = 8, vectors: bool = True) -> Spectrum:
    """The top of a spectrum with eigenvalues of the first directions, and a bulk of the others."""
    values = np.r_[outside, FLAT[len(outside) :]]
    matrix = (basis * values) @ basis.T
    found = spectrum(torch.from_numpy((matrix + matrix.T) / 2), top=top, bottom=0)
    return found.ends(lowest=0, highest=top).with_vectors(top if vectors else 0)


def turned(basis, angle: float):
    """A basis, each of its directions about so far (in radians) from what it was."""
    noise = RNG.normal(size=(N, N))
    turn, upper = np.linalg.qr(np.eye(N) + np.tan(angle) * noise / np.sqrt(N))
    return (turn * np.sign(np.diag(upper))) @ basis


def followed(*spectra: Spectrum, eps: float = 1.0, threshold: float = 0.5) -> Tracks:
    return follow(np.arange(len(spectra)) * 10, spectra, eps=eps, threshold=threshold)


def outside(tracks: Tracks, at: int) -> dict[int, int]:
    """Sizes of the clusters outside the bulk at a checkpoint, by track."""
    return {c.track: c.size for c in tracks.clusters[at] if c.track}


def crossing(vectors: bool) -> list[Spectrum]:
    """Three eigenvalues fall from 10 to 5, two rise from 6 to 9; their subspaces turn a little."""
    basis, spectra = BASIS, []
    for at in range(6):
        first, second = 10 - at, 6 + 0.6 * at
        values = first + 0.1, first, first - 0.1, second + 0.1, second
        if abs(first - second) > 1.2:
            spectra.append(planted(*values, basis=basis, vectors=vectors))
        basis = turned(basis, 0.3)
    return spectra


def test_cosines_are_as_good_as_vectors():
    spectra = crossing(vectors=True)
    cosines = [a.vectors.T @ b.vectors for a, b in itertools.pairwise(spectra)]
    bare = [found.with_vectors(0) for found in spectra]
    steps = np.arange(len(spectra)) * 10
    found = follow(steps, bare, eps=1.0, cosines=cosines)
    assert (found.clusters, found.events) == (followed(*spectra).clusters, ())
    assert follow(steps, bare, eps=1.0).clusters != found.clusters
    with pytest.raises(ValueError, match="are needed, got 1"):
        follow(steps, bare, eps=1.0, cosines=cosines[:1])


def test_subspaces_that_change_ranks_are_followed_by_their_vectors():
    tracks = followed(*crossing(vectors=True))
    assert tracks.events == ()
    assert [outside(tracks, at) for at in (0, -1)] == [{1: 3, 2: 2}] * 2
    first, last = tracks.clusters[0], tracks.clusters[-1]
    assert [c.track for c in first] == [1, 2, 0]
    assert [c.track for c in last] == [2, 1, 0]
    assert tracks.track(1)[30][1:3] == (3, 5)
    assert tracks.track(2)[30].upper == pytest.approx(9.1)


def test_without_vectors_ranks_are_followed():
    tracks = followed(*crossing(vectors=False))
    # The upper of the two clusters is the same to them, though another subspace is there.
    assert tracks.events == ()
    assert [outside(tracks, at) for at in (0, -1)] == [{1: 3, 2: 2}, {1: 2, 2: 3}]
    assert tracks.track(1)[30].upper == pytest.approx(9.1)


def test_merge_and_split():
    tracks = followed(planted(9, 6, 5.9), planted(6.2, 6, 5.9), planted(3, 6, 5.9))
    assert [outside(tracks, at) for at in range(3)] == [{1: 1, 2: 2}, {2: 3}, {2: 2, 3: 1}]
    assert tracks.events == ((10, "merged", (1, 2), (2,)), (20, "split", (2,), (2, 3)))
    assert [c.track for c in tracks.clusters[2]] == [2, 3, 0]
    assert repr(tracks) == (
        "Tracks of 3 clusters beside the bulk through 3 checkpoints: 0 born, 0 died, 1 merged, "
        "1 split"
    )


def test_of_equals_the_one_with_the_larger_eigenvalue_goes_on():
    for vectors in (True, False):
        apart, together = planted(9, 6, vectors=vectors), planted(6.2, 6, vectors=vectors)
        tracks = followed(apart, together, apart)
        assert [outside(tracks, at) for at in range(3)] == [{1: 1, 2: 1}, {1: 2}, {1: 1, 3: 1}]


@pytest.mark.parametrize("vectors", [True, False])
def test_birth_and_death(vectors):
    tracks = followed(*(planted(*v, vectors=vectors) for v in ((), (4,), (7, 4), (7,), ())))
    assert [outside(tracks, at) for at in range(5)] == [{}, {1: 1}, {1: 1, 2: 1}, {1: 1}, {}]
    assert tracks.events == (
        (10, "born", (), (1,)),
        (20, "born", (), (2,)),
        (30, "died", (2,), ()),
        (40, "died", (1,), ()),
    )


def test_a_cluster_that_takes_in_a_part_of_the_bulk_is_the_same():
    tracks = followed(planted(4), planted(4, 4.1, 4.2), planted(4))
    assert tracks.events == ()
    assert [outside(tracks, at) for at in range(3)] == [{1: 1}, {1: 3}, {1: 1}]


def test_ends_whose_vectors_are_not_kept_go_by_rank():
    """Two above change places, of which vectors are kept; of two below there are none."""
    values = np.r_[-9, -6, FLAT[4:], 6, 9]
    swapped = BASIS[:, [*range(N - 2), N - 1, N - 2]]
    pair = [
        spectrum(torch.from_numpy((b * values) @ b.T), vectors=3)
        .ends(lowest=3, highest=3)
        .with_vectors(3)
        for b in (BASIS, swapped)
    ]
    tracks = followed(*pair)
    assert tracks.events == ()
    assert [c.track for c in tracks.clusters[0]] == [1, 2, 0, 3, 4]
    assert [c.track for c in tracks.clusters[1]] == [2, 1, 0, 3, 4]
    assert tracks.clusters[1][2][1:3] == (3, N - 2)
    assert tracks.clusters[1][4][1:] == pytest.approx((N, N, -9, -9))


def test_vectors_at_one_checkpoint_alone_count_for_nothing():
    bare, full = planted(9, 6, vectors=False), planted(9, 6)
    for pair in ((bare, full), (full, bare)):
        assert followed(*pair).events == ()


def test_random_subspaces_are_as_near_as_chance_has_it():
    """The mean share is max(dim A, dim B) / n, and none comes near the threshold."""
    shares = []
    for _ in range(300):
        a, b = (np.linalg.qr(RNG.normal(size=(N, k)))[0] for k in (3, 5))
        shares.append(((a.T @ b) ** 2).sum() / 3)
    assert np.mean(shares) == pytest.approx(5 / N, rel=0.1)
    assert max(shares) < 0.5
    other = np.linalg.qr(RNG.normal(size=(N, N)))[0]
    tracks = followed(planted(9, 6, 5.9), planted(9, 6, 5.9, basis=other))
    assert [e.kind for e in tracks.events] == ["died", "died", "born", "born"]
    assert outside(tracks, 1) == {3: 1, 4: 2}


def test_a_higher_threshold_follows_less():
    before = planted(9)
    after = planted(9, basis=turned(BASIS, 0.6))
    share = float((before.top(1)[:, 0] @ after.top(1)[:, 0]) ** 2)
    assert 0.5 < share < 0.9
    assert followed(before, after, threshold=share - 1e-9).events == ()
    kinds = [e.kind for e in followed(before, after, threshold=share + 1e-9).events]
    assert kinds == ["died", "born"]


def test_largest_gaps():
    values = dendrogram(np.array([0.0, 0, 1, 1, 3, 6])).eigenvalues
    whole = spectrum(np.diag(values), vectors=0)
    for gaps, sizes in (
        (0, [6]),
        (1, [1, 5]),
        (2, [1, 1, 4]),
        (3, [1, 1, 2, 2]),
        (9, [1, 1, 2, 2]),
    ):
        [clusters] = follow(np.array([0]), [whole], gaps=gaps).clusters
        assert [c.size for c in clusters] == sizes
    equal = spectrum(np.diag([0.0, 0, 0, 1, 2]), vectors=0)
    [clusters] = follow(np.array([0]), [equal], gaps=1).clusters
    assert [c.size for c in clusters] == [5]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "eps or gaps is needed"),
        ({"eps": 1.0, "gaps": 1}, "eps or gaps is needed, one of them"),
        ({"gaps": -1}, "gaps=-1: must not be negative"),
        ({"eps": -1.0}, "resolutions must not be negative"),
        ({"eps": float("nan")}, "resolutions must not be negative or NaN"),
        ({"eps": 1.0, "threshold": 0.4}, "threshold=0.4: must be at least 0.5 and below 1"),
        ({"eps": 1.0, "threshold": 1.0}, "threshold=1.0: must be at least 0.5 and below 1"),
    ],
)
def test_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        follow(np.array([0, 1]), [planted(3), planted(3)], **arguments)


def test_what_is_not_certified_is_refused_with_its_step():
    bad = planted(3)
    bad.residuals[-1] = 1.0
    with pytest.raises(ConvergenceError, match="at step 7: 1 of 8 eigenpairs are not certified"):
        follow(np.array([3, 7]), [planted(3), bad], eps=1.0)


def test_no_such_track():
    with pytest.raises(KeyError, match="no track 2: there are 0, the bulk, to 1"):
        followed(planted(3)).track(2)


@st.composite
def sequences(draw):
    """Spectra of one size: integers, so that there are ties; known in part; with vectors or not."""
    n = draw(st.integers(1, 9))
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    spectra = []
    for _ in range(draw(st.integers(1, 4))):
        values = np.sort(draw(st.lists(st.integers(-9, 9), min_size=n, max_size=n))).astype(float)
        lowest = draw(st.integers(0, n))
        highest = draw(st.integers(0 if lowest else 1, n - lowest))
        kept = draw(st.integers(0, highest))
        m = lowest + highest
        spectra.append(
            Spectrum(
                n=n,
                eigenvalues=np.r_[values[:lowest], values[n - highest :]],
                lowest=lowest,
                indices=np.arange(m),
                residuals=np.zeros(m),
                vectors=np.linalg.qr(rng.normal(size=(n, n)))[0][:, :kept],
                scale=9.0,
                tol=1e-6,
                products=0,
            )
        )
    return spectra


@given(sequences(), st.integers(0, 6), st.sampled_from(["eps", "gaps"]), st.floats(0.5, 0.9))
def test_laws(spectra, cut, kind, threshold):
    steps = np.arange(len(spectra)) * 3
    found = follow(steps, spectra, **{kind: cut}, threshold=threshold)
    names = []
    for given_, clusters in zip(spectra, found.clusters, strict=True):
        # Every eigenvalue is in one cluster, every cluster on one track, one of them the bulk.
        covered = [rank for c in clusters for rank in range(c.first, c.last + 1)]
        assert covered == list(range(1, given_.n + 1))
        tracks = [c.track for c in clusters]
        assert len(set(tracks)) == len(tracks)
        [bulk] = [c for c in clusters if c.track == 0]
        if given_.unresolved:
            assert bulk.first <= given_.highest + 1
            assert bulk.last >= given_.n - given_.lowest
        else:
            assert bulk.size == max(c.size for c in clusters)
        if kind == "eps":
            assert len(clusters) == dendrogram(given_).n_clusters(cut)
        else:
            assert len(clusters) <= cut + 1
        names.append(set(tracks))
    assert len(found) == 1 + max(set.union(*names))
    assert set.union(*names) == set(range(len(found)))

    for event in found.events:
        at = steps.tolist().index(event.step)
        assert set(event.before) <= names[at - 1] - {0}
        assert set(event.after) <= names[at] - {0}
        sizes = {"born": (0, 1), "died": (1, 0)}.get(event.kind)
        if sizes is None:
            many, one = (event.before, event.after)[:: 1 if event.kind == "merged" else -1]
            assert len(many) > 1
            assert len(one) == 1
        else:
            assert (len(event.before), len(event.after)) == sizes
    # Whatever ends or begins does so in an event, and nothing comes back.
    for at in range(1, len(steps)):
        events = [e for e in found.events if e.step == steps[at]]
        assert names[at - 1] - names[at] <= {t for e in events for t in e.before}
        assert names[at] - names[at - 1] <= {t for e in events for t in e.after}
        assert not (names[at] - names[at - 1]) & set.union(*names[:at])


@given(sequences(), st.integers(0, 6), st.integers(1, 4))
def test_equal_spectra_have_no_events(spectra, eps, count):
    found = follow(np.arange(count), [spectra[0]] * count, eps=eps)
    assert found.events == ()
    assert set(found.clusters) == {found.clusters[0]}
