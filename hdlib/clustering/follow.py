"""Clusters of eigenvalues followed from checkpoint to checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hdlib.clustering.dendrogram import Dendrogram, dendrogram
from hdlib.clustering.tracks import BULK, Cluster, Event, Tracks
from hdlib.curvature.spectrum import ConvergenceError, Spectrum

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def follow(
    steps: IntArray,
    spectra: Sequence[Spectrum],
    *,
    eps: float | None = None,
    gaps: int | None = None,
    threshold: float = 0.5,
    cosines: Sequence[NDArray[np.floating]] | None = None,
) -> Tracks:
    """Clusters of eigenvalues at each checkpoint, followed from one to the next.

    At each checkpoint the dendrogram is cut. The *bulk* is the cluster that holds the unresolved
    eigenvalues, or else the largest one; it is a track of its own, and no partner for others. Of
    the clusters A and B outside it, at successive checkpoints, the common part is

        s(A, B) = Σ_{i∈A, j∈B} M_ij,   M_ij = ⟨vᵢ, wⱼ⟩²,

    for ranks i and j whose vectors v and w are kept at both checkpoints, so that s is ‖P_A P_B‖²_F,
    the sum of the squared cosines of the principal angles: how many dimensions of A lie in B. Among
    the other ranks M_ij is 1 for equal ones, else 0. Rows and columns of M sum to at most 1: no
    dimension is counted twice. A and B are *linked* if s / min(dim A, dim B) is more than
    ``threshold``: most of the smaller one lies in the other. At 1/2, the least allowed, a cluster
    goes into no more than one of at least its size. Of random subspaces the mean of this share is
    max(dim A, dim B) / n, far below as long as clusters outside the bulk are small beside n.

    A cluster that has no link from before was *born*, one that has none to later *died*: it came
    out of the bulk, sank into it, or turned to where nothing was followed. One with several links
    from before *merged* of these, one with several to later *split*. A track goes on where each of
    two linked clusters is the largest that the other is linked to, that with higher eigenvalues
    where sizes are equal; where a track ends or begins, an event says so. (Monitoring of clusters
    by their common members: Spiliopoulou et al. 2006, here with dimensions for members.)

    Args:
        steps: (T,) training steps, ascending.
        spectra: T spectra of n eigenvalues each, whose pairs are certified.
        eps: resolution ε ≥ 0, in units of the eigenvalues; gaps larger than it are cut.
        gaps: in place of it, how many of the largest gaps to cut at each checkpoint; fewer where
            that would part gaps of one size.
        threshold: least share, at least 1/2 and below 1.
        cosines: T − 1 matrices (v, w) of inner products of the vectors of the v highest eigenvalues
            of a checkpoint and the w highest of the next, ascending; in place of vectors, which
            need not be kept then.

    Raises:
        ConvergenceError: if pairs of a spectrum are not certified.
        ValueError: unless one of ``eps`` and ``gaps`` is given, not negative, for another
            threshold, or for another number of matrices.
    """
    if (eps is None) == (gaps is None):
        raise ValueError("eps or gaps is needed, one of them: where to cut")
    if gaps is not None and gaps < 0:
        raise ValueError(f"gaps={gaps}: must not be negative")
    if not 0.5 <= threshold < 1:
        raise ValueError(f"threshold={threshold}: must be at least 0.5 and below 1")
    if cosines is not None and len(cosines) != len(steps) - 1:
        raise ValueError(f"cosines: {len(steps) - 1} are needed, got {len(cosines)}")
    known = cosines or [None] * (len(steps) - 1)
    cuts = []
    for step, spectrum in zip(steps.tolist(), spectra, strict=True):
        with at_step(step):
            cuts.append(_Clusters(spectrum, eps, gaps))
    tracks = [list(range(1, len(cuts[0].sizes)))]
    events: list[Event] = []
    begun = len(tracks[0])
    successive = zip(steps[1:].tolist(), pairwise(cuts), known, strict=True)
    for step, (before, after), overlap in successive:
        links = _links(_common(before, after, overlap), before, after, threshold)
        # Two of one size are taken in the order of the eigenvalues, the largest first.
        heir = _largest(links, after.sizes_outside)
        ancestor = _largest(links.T, before.sizes_outside)
        old, new = tracks[-1], []
        for b, a in enumerate(ancestor):
            goes_on = a is not None and heir[a] == b
            begun += not goes_on
            new.append(old[a] if a is not None and goes_on else begun)
        events += _events(step, links, old, new)
        tracks.append(new)
    found = zip(cuts, tracks, strict=True)
    clusters = tuple(tuple(cut.clusters(numbers)) for cut, numbers in found)
    return Tracks(np.asarray(steps), clusters, tuple(events), threshold)


@contextmanager
def at_step(step: int) -> Iterator[None]:
    """Errors of a checkpoint with its step.

    Raises:
        ConvergenceError: for one within.
        ValueError: for one within.
    """
    try:
        yield
    except ConvergenceError as error:
        raise ConvergenceError(f"at step {step}: {error}") from error
    except ValueError as error:
        raise ValueError(f"at step {step}: {error}") from error


class _Clusters:
    """The clusters of a spectrum at a resolution, from the largest eigenvalues down.

    Attributes:
        spectrum: the spectrum.
        ranks: (m,) of the known eigenvalues among all n, ascending from 0.
        label: (m,) the cluster of each.
        sizes: number of eigenvalues in each cluster, unresolved ones counted.
        bulk: which of them is the bulk.
    """

    def __init__(self, spectrum: Spectrum, eps: float | None, gaps: int | None) -> None:
        tree = dendrogram(spectrum)
        eps = _between_gaps(tree, gaps or 0) if eps is None else eps
        members = tree.cut(eps)[::-1]
        self.spectrum = spectrum
        self.ranks = np.arange(len(tree.eigenvalues))
        self.ranks[tree.lowest :] += tree.unresolved
        self.label = np.repeat(np.arange(len(members)), [len(part) for part in members])[::-1]
        self.sizes = tree.sizes(eps)[::-1]
        if tree.unresolved:
            self.bulk = int(self.label[tree.represented.argmax()])
        else:
            self.bulk = len(members) - 1 - int(self.sizes[::-1].argmax())

    @property
    def sizes_outside(self) -> list[int]:
        """Of the clusters outside the bulk."""
        return np.delete(self.sizes, self.bulk).tolist()

    def clusters(self, tracks: Sequence[int]) -> Iterator[Cluster]:
        """All clusters, with the tracks of those outside the bulk."""
        numbers = [*tracks[: self.bulk], BULK, *tracks[self.bulk :]]
        last = np.cumsum(self.sizes).tolist()
        for i, track in enumerate(numbers):
            known = self.spectrum.eigenvalues[self.label == i]
            first = last[i] - int(self.sizes[i]) + 1
            yield Cluster(track, first, last[i], float(known[0]), float(known[-1]))


def _between_gaps(tree: Dendrogram, count: int) -> float:
    """A resolution at which the ``count`` largest gaps are cut."""
    largest = tree.gaps(count + 1)
    return largest[count].size if count < len(largest) else 0.0


def _links(
    common: FloatArray, before: _Clusters, after: _Clusters, threshold: float
) -> NDArray[np.bool_]:
    """Which clusters outside the bulk are linked, (before, after)."""
    common = np.delete(np.delete(common, before.bulk, 0), after.bulk, 1)
    smaller = np.minimum.outer(before.sizes_outside, after.sizes_outside)
    return common > threshold * smaller


def _common(
    before: _Clusters, after: _Clusters, cosines: NDArray[np.floating] | None
) -> FloatArray:
    """s(A, B), how many dimensions two clusters have in common, for all of them."""
    common = np.zeros((len(before.sizes), len(after.sizes)))
    if cosines is None:
        kept = [cut.ranks[cut.spectrum.kept] for cut in (before, after)]
    else:
        kept = [
            cut.ranks[len(cut.ranks) - count :]
            for cut, count in zip((before, after), cosines.shape, strict=True)
        ]
    by_vector = np.intersect1d(kept[0], kept[1])
    rows, columns = (np.flatnonzero(np.isin(cut.ranks, by_vector)) for cut in (before, after))
    if cosines is None:
        cosines = _vectors(before.spectrum, rows).T @ _vectors(after.spectrum, columns)
    else:
        cosines = cosines[-len(by_vector) :, -len(by_vector) :]
    np.add.at(common, np.ix_(before.label[rows], after.label[columns]), cosines**2)
    by_rank = np.setdiff1d(np.intersect1d(before.ranks, after.ranks), by_vector)
    pairs = (cut.label[np.isin(cut.ranks, by_rank)] for cut in (before, after))
    np.add.at(common, tuple(pairs), 1)
    return common


def _vectors(spectrum: Spectrum, wanted: IntArray) -> FloatArray:
    """Vectors of some known eigenvalues, which are kept."""
    columns = np.searchsorted(spectrum.kept, wanted)
    whole = len(columns) == spectrum.vectors.shape[1]
    return spectrum.vectors if whole else spectrum.vectors[:, columns]


def _largest(links: NDArray[np.bool_], sizes: Sequence[int]) -> list[int | None]:
    """For each row, the largest of the columns that it is linked to, the first of equal ones."""
    linked = [np.flatnonzero(row).tolist() for row in links]
    return [max(columns, key=sizes.__getitem__, default=None) for columns in linked]


def _events(
    step: int, links: NDArray[np.bool_], old: Sequence[int], new: Sequence[int]
) -> Iterator[Event]:
    for row, track in zip(links, old, strict=True):
        after = tuple(new[j] for j in np.flatnonzero(row).tolist())
        if not after:
            yield Event(step, "died", (track,), ())
        elif len(after) > 1:
            yield Event(step, "split", (track,), after)
    for column, track in zip(links.T, new, strict=True):
        before = tuple(old[i] for i in np.flatnonzero(column).tolist())
        if not before:
            yield Event(step, "born", (), (track,))
        elif len(before) > 1:
            yield Event(step, "merged", before, (track,))
