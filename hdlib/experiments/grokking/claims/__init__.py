"""What the grokking chapter claims, each claim decided on the published runs."""

from __future__ import annotations

from dataclasses import replace
from operator import attrgetter

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

_MADE: tuple[Claim[PublishedGrokking], ...] = (
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
CLAIMS: tuple[Claim[PublishedGrokking], ...] = tuple(
    replace(claim, second=attrgetter("again")) if claim in again.TRIED else claim for claim in _MADE
)

shown = shown_by(CLAIMS, published)
