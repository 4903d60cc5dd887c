"""What the chapter says, as claims that its published runs decide; a file a section."""

from __future__ import annotations

from hdlib.experiments.claim import Claim, shown_by
from hdlib.experiments.emergence.claims import concepts, original, training
from hdlib.experiments.emergence.published import PublishedEmergence, published

__all__ = ["CLAIMS", "PublishedEmergence", "published", "shown"]

CLAIMS: tuple[Claim[PublishedEmergence], ...] = (
    *original.CLAIMS,
    *concepts.CLAIMS,
    *training.CLAIMS,
)

shown = shown_by(CLAIMS, published)
