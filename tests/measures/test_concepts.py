"""Concepts against what they say, in Python integers."""

from __future__ import annotations

import numpy as np
import pytest

from hdlib.measures.concepts import CONCEPTS

P = 97
X, Y = (values.ravel() for values in np.indices((P, P)))
SAYS = {
    "parity of the sum": lambda x, y: (x + y) % P % 2 == 0,
    # Euler's criterion: q is a square mod p where q^((p−1)/2) = 1.
    "Legendre symbol of the sum": lambda x, y: pow((x + y) % P, (P - 1) // 2, P) == 1,
    "parity of x": lambda x, y: x % 2 == 0,
    "x below p/2": lambda x, y: x in range(49),
    "x equals y": lambda x, y: x == y,
}


@pytest.mark.parametrize("name", CONCEPTS)
def test_concept_is_what_its_name_says(name: str):
    expected = [SAYS[name](x, y) for x, y in zip(X.tolist(), Y.tolist(), strict=True)]
    assert CONCEPTS[name].labels(X, Y, P).tolist() == expected


@pytest.mark.parametrize(("name", "concept"), CONCEPTS.items())
def test_control_has_as_many_answers_and_the_same_subject(name: str, concept):
    order = np.random.default_rng(0).permutation(P)
    labels, control = (concept.labels(X, Y, P, relabelled=r) for r in (None, order))
    assert control.sum() == labels.sum()
    assert (control != labels).any()
    subject = {"x": X, "sum": (X + Y) % P, "difference": (X - Y) % P}[concept.subject]
    for residue in range(P):
        assert len(set(control[subject == residue].tolist())) == 1


def test_only_what_is_rare_is_called_rare():
    for concept in CONCEPTS.values():
        share = concept.labels(X, Y, P).mean()
        assert concept.rare == (min(share, 1 - share) < 0.1)
