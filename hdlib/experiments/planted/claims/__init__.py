"""What the chapter says, as claims that its published runs decide; a file a section."""

from __future__ import annotations

from hdlib.experiments.claim import Claim, shown_by
from hdlib.experiments.planted.claims import eigenvalues, gaps, training, variants, vectors
from hdlib.experiments.planted.published import PublishedPlanted, published

__all__ = ["CLAIMS", "PublishedPlanted", "published", "shown"]

CLAIMS: tuple[Claim[PublishedPlanted], ...] = (
    *eigenvalues.CLAIMS,
    *vectors.CLAIMS,
    *training.CLAIMS,
    *gaps.CLAIMS,
    *variants.CLAIMS,
)

shown = shown_by(CLAIMS, published)
