"""The claims of all chapters are alike."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

import pytest

from hdlib.experiments.registry import CHAPTERS


@pytest.fixture(params=[each.name for each in CHAPTERS])
def claims(request: pytest.FixtureRequest) -> ModuleType:
    return import_module(f"hdlib.experiments.{request.param.replace('-', '_')}.claims")


def test_the_package_has_the_same_names_in_each(claims: ModuleType):
    chapter = claims.__name__.split(".")[-2]
    name = "".join(word.capitalize() for word in chapter.split("_"))
    assert claims.__all__ == ["CLAIMS", f"Published{name}", "published", "shown"]


def test_names_are_unique(claims: ModuleType):
    names = [claim.name for claim in claims.CLAIMS]
    assert len(set(names)) == len(names)


def test_values_stand_only_where_they_are_filled_in(claims: ModuleType):
    for claim in claims.CLAIMS:
        for text in (claim.null, claim.refuted_by, claim.replaces):
            assert "{" not in text, (claim.name, text)
        assert claim.null
        assert claim.refuted_by
        assert claim.seeds >= 1


def test_an_unknown_claim(claims: ModuleType):
    with pytest.raises(ValueError, match="no claim is named nothing, nowhere; there are"):
        claims.shown("nowhere", "nothing", claims.CLAIMS[0].name)
