"""What the chapter says, as claims that its published runs decide; a file a section."""

from __future__ import annotations

from hdlib.display import Markdown
from hdlib.experiments import claim
from hdlib.experiments.claim import Claim
from hdlib.experiments.fiedler.claims import (
    connectivity,
    labels,
    mixture,
    modules,
    parts,
    stability,
)
from hdlib.experiments.fiedler.results import PublishedFiedler, published

__all__ = ["CLAIMS", "PublishedFiedler", "published", "shown"]

CLAIMS: tuple[Claim[PublishedFiedler], ...] = (
    *modules.CLAIMS,
    *parts.CLAIMS,
    *mixture.CLAIMS,
    *labels.CLAIMS,
    *connectivity.CLAIMS,
    *stability.CLAIMS,
)
"""In the order of the chapter."""


def shown(*names: str) -> Markdown:
    """Claims, as the published runs decide them: those of the names given, or all.

    Raises:
        ValueError: if there is no claim of a name.
    """
    return claim.shown(CLAIMS, published(), *names)
