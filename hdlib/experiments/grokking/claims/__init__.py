"""What the grokking chapter claims, each claim decided on the published runs."""

from __future__ import annotations

from hdlib.experiments.claim import Claim, shown_by
from hdlib.experiments.grokking.claims import (
    again,
    controls,
    ends,
    functions,
    learning,
    networks,
    purity,
    sharpness,
    small,
    spectrum,
    training,
)
from hdlib.experiments.grokking.results import PublishedGrokking, published

__all__ = ["CLAIMS", "PublishedGrokking", "published", "shown"]

CLAIMS: tuple[Claim[PublishedGrokking], ...] = (
    *training.CLAIMS,
    *spectrum.CLAIMS,
    *ends.CLAIMS,
    *purity.CLAIMS,
    *functions.CLAIMS,
    *sharpness.CLAIMS,
    *learning.CLAIMS,
    *again.CLAIMS,
    *networks.CLAIMS,
    *controls.CLAIMS,
    *small.CLAIMS,
)

shown = shown_by(CLAIMS, published)
