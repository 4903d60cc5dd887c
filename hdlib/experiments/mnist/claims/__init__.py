"""What the chapter says, as claims that its published runs decide; a file a section."""

from __future__ import annotations

from hdlib.experiments.claim import Claim, shown_by
from hdlib.experiments.mnist.claims import gradient, labels, layers, outliers, samples, spectrum
from hdlib.experiments.mnist.results import PublishedMnist, published

__all__ = ["CLAIMS", "PublishedMnist", "published", "shown"]

CLAIMS: tuple[Claim[PublishedMnist], ...] = (
    *spectrum.CLAIMS,
    *layers.CLAIMS,
    *outliers.CLAIMS,
    *labels.CLAIMS,
    *gradient.CLAIMS,
    *samples.CLAIMS,
)

shown = shown_by(CLAIMS, published)
