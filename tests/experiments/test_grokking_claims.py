"""Every claim of the grokking chapter holds in the published runs, and is shown once."""

from __future__ import annotations

import ast
from functools import cached_property
from pathlib import Path

import nbformat
import numpy as np
import pytest

from hdlib.experiments.claim import tried_again
from hdlib.experiments.grokking.claims import CLAIMS, PublishedGrokking, published, shown
from hdlib.experiments.grokking.claims.again import TRIED, lost
from hdlib.experiments.grokking.functions import FunctionResults, HeadFunctions
from hdlib.experiments.grokking.results import GrokkingResults
from hdlib.experiments.grokking.small import FEW, WholeResults
from hdlib.experiments.grokking.sweep import SEEDS

CHAPTER = Path(__file__).parents[2] / "chapters" / "grokking.ipynb"


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_holds(claim):
    verdict = claim.decide(published())
    assert verdict.holds is True, dict(verdict.values)
    text = claim.shown(published())
    assert "nan" not in text
    assert "Holds in the published runs" in text


class _Random:
    """Random directions in place of the eigenvectors."""

    def moves(self, key):
        _, random = super().moves(key)  # pyright: ignore[reportAttributeAccessIssue]
        return random, random


class _RandomFunctions(_Random, FunctionResults): ...


class _RandomHeads(_Random, HeadFunctions): ...


class _NoEigenvectors(PublishedGrokking):
    functions = cached_property(lambda self: _RandomFunctions(published().results.run))
    heads = cached_property(lambda self: _RandomHeads(published().sweep))


@pytest.mark.parametrize("name", ["causal"])
def test_of_random_directions_it_does_not_hold(name):
    (claim,) = (claim for claim in CLAIMS if claim.name == name)
    assert claim.decide(_NoEigenvectors()).holds is False
    assert "DOES NOT HOLD" in claim.shown(_NoEigenvectors())


@pytest.mark.parametrize("name", ["heads-counted", "gap-closes"])
def test_of_another_number_of_heads_it_does_not_hold(name):
    (claim,) = (claim for claim in CLAIMS if claim.name == name)
    other = PublishedGrokking()
    other.sweep.gaps = {
        name: gap._replace(heads=gap.heads + 1) for name, gap in published().sweep.gaps.items()
    }
    assert claim.decide(other).holds is False


@pytest.mark.parametrize("name", ["uniform-attention", "doublets", "gap-without-circuit"])
def test_of_networks_with_heads_that_generalise_it_does_not_hold(name):
    """Networks with four heads and pairs enough in place of the controls."""
    (claim,) = (claim for claim in CLAIMS if claim.name == name)
    other, sweep = PublishedGrokking(), published().sweep
    for measured in ("gaps", "purities"):
        of_heads = {
            f"4 heads, seed {s}": getattr(sweep, measured)[f"4 heads, seed {s}"] for s in SEEDS
        }
        controls = getattr(sweep, f"control_{measured}")
        setattr(other.sweep, f"control_{measured}", controls | dict.fromkeys(controls, of_heads))
    assert claim.decide(other).holds is False


class _Backwards(GrokkingResults):
    """The chapter's run, told from its end to its start."""

    def __init__(self, run):
        super().__init__(run)
        self.spectra, self._measures = self.spectra[::-1], self._measures[::-1]

    @cached_property
    def history(self):
        columns = GrokkingResults(self.run).history
        return {k: column if k == "step" else column[::-1] for k, column in columns.items()}

    @cached_property
    def pairs(self):
        columns = GrokkingResults(self.run).pairs
        return {k: column if k == "step" else column[::-1] for k, column in columns.items()}

    @property
    def adam(self):
        values, ceiling = super().adam
        return np.r_[np.nan, values[:0:-1]], ceiling


class _ToldBackwards(PublishedGrokking):
    results = cached_property(lambda self: _Backwards(published().results.run))


@pytest.mark.parametrize(
    "name", ["late", "memory-first", "circuit-grows", "rises-and-falls", "over-loss"]
)
def test_of_the_run_told_backwards_it_does_not_hold(name):
    (claim,) = (claim for claim in CLAIMS if claim.name == name)
    assert claim.decide(_ToldBackwards()).holds is False


def test_of_the_run_that_claims_were_made_from_all_of_them_hold():
    (claim,) = (claim for claim in CLAIMS if claim.name == "not-all-in-another-run")
    other = PublishedGrokking()
    other.again = published()
    assert lost(other) == []
    assert claim.decide(other).holds is False


def test_claims_are_told_of_the_second_run():
    told = tried_again(TRIED, published().again).splitlines()
    assert [("**So it is.**" in line) for line in told] == [
        c not in lost(published()) for c in TRIED
    ]
    assert all(("**It is not so.**" in line) != ("**So it is.**" in line) for line in told)
    assert "nan" not in "".join(told)


def test_claims_about_the_course_of_one_run_say_how_the_second_one_is():
    failed, tried = [{claim.name for claim in claims} for claims in (lost(published()), TRIED)]
    for claim in CLAIMS:
        told = shown(claim.name)
        assert ("In a second run it does *not*." in told) == (claim.name in failed)
        assert ("In a second run it does." in told) == (claim.name in tried - failed)


def test_names_are_unique():
    assert len({claim.name for claim in CLAIMS}) == len(CLAIMS)


def test_the_chapter_shows_each_claim_once():
    names = []
    for cell in nbformat.read(CHAPTER, as_version=4).cells:
        if cell.cell_type != "code":
            continue
        for call in ast.walk(ast.parse(cell.source)):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "claims.shown":
                names += [ast.literal_eval(name) for name in call.args]
                (output,) = cell.outputs
                assert output.data["text/markdown"] == shown(*names[-len(call.args) :])
    assert sorted(names) == sorted(claim.name for claim in CLAIMS)


def _independent(values: np.ndarray) -> np.ndarray:
    """As many eigenvalues of the same extent that do not repel one another."""
    return np.sort(np.random.default_rng(0).uniform(values[0], values[-1], len(values)))


ALTERED = {
    "zeros-by-symmetry": lambda sample, values: values + 1e-12 * values[-1],
    "ends-are-right": lambda sample, values: 1.001 * values,
    "one-matrix": lambda sample, values: _independent(values),
    "few-pairs": lambda sample, values: 3 * values if sample == FEW else values,
}


@pytest.mark.parametrize("name", ALTERED)
def test_of_other_eigenvalues_it_does_not_hold(name):
    (claim,) = (claim for claim in CLAIMS if claim.name == name)
    other = PublishedGrokking()
    small = WholeResults(published().sweep.small.run)
    small.eigenvalues = {
        sample: {step: ALTERED[name](sample, values) for step, values in found.items()}
        for sample, found in published().sweep.small.eigenvalues.items()
    }
    other.sweep.small = small
    assert claim.decide(other).holds is False
