"""What the chapter says, as claims that its published runs decide; a file a subject."""

from __future__ import annotations

from hdlib.experiments.claim import Claim, shown_by
from hdlib.experiments.least_action.claims import (
    curvature,
    function,
    memory,
    networks,
    paths,
    routing,
    settings,
    sweep,
)
from hdlib.experiments.least_action.results import PublishedLeastAction, published

__all__ = ["CLAIMS", "PublishedLeastAction", "published", "shown"]

CLAIMS: tuple[Claim[PublishedLeastAction], ...] = (
    *routing.CLAIMS,
    *paths.CLAIMS,
    *memory.CLAIMS,
    *function.CLAIMS,
    *curvature.CLAIMS,
    *settings.CLAIMS,
    *sweep.CLAIMS,
    *networks.CLAIMS,
)

shown = shown_by(CLAIMS, published)
