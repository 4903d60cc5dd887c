"""Agreement of eigenvalue clusters with labels: against scikit-learn at every cut."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from hdlib.clustering import agreement, dendrogram


@pytest.mark.parametrize("ties", [False, True])
def test_index_of_every_cut_is_that_of_scikit_learn(ties):
    rng = np.random.default_rng(0)
    values = rng.normal(size=60)
    values = values.round(1) if ties else values
    labels = np.array(["a", "b", "c"])[rng.integers(3, size=60)]
    found = agreement(values, labels, draws=1)

    tree, order = dendrogram(values), np.argsort(values, kind="stable")
    expected = {}
    for eps in [0.0, *np.unique(tree.heights)]:
        cut = tree.cut(eps)
        clusters = np.concatenate([np.full(len(part), i) for i, part in enumerate(cut)])
        expected[len(cut)] = adjusted_rand_score(labels[order], clusters)
    assert dict(zip(found.clusters.tolist(), found.index, strict=True)) == pytest.approx(expected)
    assert (len(expected) < 60) == ties


def test_clusters_that_are_the_labels_are_found():
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1, 2], 20)
    values = rng.uniform(size=60) + 10 * labels
    order = rng.permutation(60)
    found = agreement(values[order], labels[order], draws=99)
    assert (found.best, found.best_clusters) == (1.0, 3)
    assert found.p == 0.01
    assert "at most 1.000, with 3 clusters" in repr(found)


def test_null_pays_for_the_search():
    """Of random labels the best of all cuts is as good as that of permuted ones."""
    rng = np.random.default_rng(2)
    values = rng.normal(size=50)
    p = [agreement(values, rng.integers(2, size=50), draws=39).p for _ in range(60)]
    assert np.mean(np.array(p) <= 0.05) <= 0.15
    assert 0.3 < np.mean(p) < 0.7


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"labels must be \(3,\), as many as eigenvalues"):
        agreement([1.0, 2.0, 3.0], [0, 1])
    with pytest.raises(ValueError, match="1 different labels for 3 eigenvalues: 2 to 2"):
        agreement([1.0, 2.0, 3.0], [0, 0, 0])
    with pytest.raises(ValueError, match="draws=0"):
        agreement([1.0, 2.0, 3.0], [0, 0, 1], draws=0)
