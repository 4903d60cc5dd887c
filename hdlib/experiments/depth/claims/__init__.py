"""What the chapter says, as claims that its published runs decide; a file a section."""

from __future__ import annotations

from hdlib.experiments.claim import Claim, shown_by
from hdlib.experiments.depth.claims import edge, generalising, methods, original
from hdlib.experiments.depth.results import PublishedDepth, published

__all__ = ["CLAIMS", "PublishedDepth", "published", "shown"]

CLAIMS: tuple[Claim[PublishedDepth], ...] = (
    *methods.CLAIMS,
    *original.CLAIMS,
    *edge.CLAIMS,
    *generalising.CLAIMS,
)

shown = shown_by(CLAIMS, published)
