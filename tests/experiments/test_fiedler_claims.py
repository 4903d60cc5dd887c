"""The Fiedler chapter's claims, decided on its published runs."""

from __future__ import annotations

import re
from functools import cached_property
from itertools import product
from pathlib import Path

import nbformat
import numpy as np
import pytest
from scipy.cluster.hierarchy import leaves_list

from hdlib.experiments.claim import Claim
from hdlib.experiments.fiedler.claims import CLAIMS
from hdlib.experiments.fiedler.parts import part_linkages
from hdlib.experiments.fiedler.planted import scores
from hdlib.experiments.fiedler.recipe import PARTS
from hdlib.experiments.fiedler.results import FiedlerResults, PublishedFiedler, published

CHAPTER = Path(__file__).parents[2] / "chapters" / "fiedler.ipynb"


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_it_holds(claim: Claim[PublishedFiedler]):
    verdict = claim.decide(published())
    assert verdict.holds, verdict.values


def test_every_claim_is_shown_in_the_chapter_once():
    chapter = nbformat.read(CHAPTER, as_version=4)
    code = [cell.source for cell in chapter.cells if cell.cell_type == "code"]
    names = [
        name
        for call in re.findall(r"claims\.shown\((.*?)\)", "\n".join(code), re.DOTALL)
        for name in re.findall(r'"([\w-]+)"', call)
    ]
    assert sorted(names) == sorted(claim.name for claim in CLAIMS)


class Shuffled(FiedlerResults):
    """Results in which every parameter has the module of another, at random."""

    @cached_property
    def modules(self) -> list[np.ndarray]:
        generator = np.random.default_rng(0)
        return [generator.permutation(modules) for modules in super().modules]


def test_claims_about_modules_do_not_hold_where_the_modules_are_shuffled():
    found = PublishedFiedler(*(Shuffled(results.run) for results in published().both))
    refuted = {claim.name for claim in CLAIMS if not claim.decide(found).holds}
    assert refuted == {
        "units-then-classes",
        "a-module-a-filter",
        "outliers-open-elsewhere",
        "like-one-part",
        "images-before-training",
        "no-stable-partition",
    }


def test_published_runs_are_whole():
    both = published().both
    assert [results.run.config.seed for results in both] == [42, 43]
    assert all(results.run.complete for results in both)
    assert [len(results.steps) for results in both] == [25, 6]
    assert all(tree.n_leaves == 5_994 for tree in both[0].trees)
    for kind in ("all", "equal", "unequal"):
        first, second = (scores(results.recovery, kind)["difference"] for results in both)
        np.testing.assert_array_equal(first, second)
        assert first.shape == (7, 20)


def test_the_drawn_trees_have_the_stored_modules():
    results = published().default
    drawn = part_linkages(results)
    parts = {"H": "", "Gauss–Newton": "gauss_newton", "residual": "residual"}
    for step, (title, part) in product(results.run.config.ends, parts.items()):
        order = leaves_list(drawn[f"step {step:,}: {title}"])
        stored = results.run.arrays(PARTS, step)
        modules = stored[part] if part else results.modules[results.at(step)]
        # In the order of its tree every module is one run.
        assert np.count_nonzero(np.diff(modules[order])) == modules.max()
