"""Every claim of the grokking chapter holds in the published runs, and is shown once."""

from __future__ import annotations

import ast
from pathlib import Path

import nbformat
import pytest

from hdlib.experiments.grokking.claims import CLAIMS, published, shown

CHAPTER = Path(__file__).parents[2] / "chapters" / "grokking.ipynb"


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_holds(claim):
    verdict = claim.decide(published())
    assert verdict.holds is True, dict(verdict.values)
    text = claim.shown(published())
    assert "nan" not in text
    assert "Holds in the published runs" in text


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
