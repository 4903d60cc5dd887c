"""What the chapter says, as claims that its published runs decide; a file a section."""

from __future__ import annotations

from hdlib.experiments.claim import Claim, shown_by
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


shown = shown_by(CLAIMS, published)
