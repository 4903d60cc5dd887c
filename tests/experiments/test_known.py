"""How each part of the hypothesis stands is decided by claims, and could come out otherwise."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from hdlib.experiments.claim import Claim, Verdict
from hdlib.experiments.known import CHAPTERS, PARTS, Part, shown, standing


def claim(name: str, holds: bool) -> Claim[Any]:
    return Claim(
        name=name,
        says=f"{name} at {{x:.1f}}.",
        evidence="",
        decide=lambda results: Verdict(holds, {"x": results.x}),
        seeds=3,
        null="none",
        refuted_by="another",
    )


def planted(**holding: bool) -> dict[str, Any]:
    claims = [claim(name, holds) for name, holds in holding.items()]
    return {"toy": (claims, lambda: SimpleNamespace(x=1.5))}


PART = Part("It is so.", supporting=("toy/a",), refuting=("toy/b",), so="So far.")


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        (True, False, "supported"),
        (False, True, "refuted"),
        (True, True, "in part"),
        (False, False, "open"),
    ],
)
def test_claims_that_hold_decide(a: bool, b: bool, verdict: str):
    found = standing(PART, planted(a=a, b=b))
    assert found.verdict == verdict
    text = shown([PART], planted(a=a, b=b))
    assert f"**It is so.** *{verdict.capitalize()}.* So far." in text
    assert ("- For: a at 1.5. (@sec-toy)" in text) == a
    assert ("- Against: b at 1.5. (@sec-toy)" in text) == b


def test_a_claim_that_there_is_not_is_an_error():
    with pytest.raises(KeyError, match="b"):
        standing(PART, planted(a=True))


def test_every_claim_that_is_named_is_one_of_its_chapter():
    for part in PARTS:
        for name in (*part.supporting, *part.refuting):
            chapter, _, short = name.partition("/")
            assert short in {claim.name for claim in CHAPTERS[chapter][0]}, name
