"""What the chapter says, as claims that its published runs decide; a file a section."""

from __future__ import annotations

from hdlib.experiments.claim import Claim, shown_by
from hdlib.experiments.onset.claims import again, gaps, order, surroundings
from hdlib.experiments.onset.results import PublishedOnset, published

__all__ = ["CLAIMS", "PublishedOnset", "published", "shown"]

CLAIMS: tuple[Claim[PublishedOnset], ...] = (
    *order.CLAIMS,
    *gaps.CLAIMS,
    *again.CLAIMS,
    *surroundings.CLAIMS,
)

shown = shown_by(CLAIMS, published)
