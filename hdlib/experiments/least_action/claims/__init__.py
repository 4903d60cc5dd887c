"""What the chapter says, as claims that its published runs decide; a file a subject."""

from __future__ import annotations

from hdlib.display import Markdown
from hdlib.experiments import claim
from hdlib.experiments.claim import Claim
from hdlib.experiments.least_action.claims import (
    curvature,
    function,
    memory,
    networks,
    paths,
    routing,
    settings,
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
    *networks.CLAIMS,
)


def shown(*names: str) -> Markdown:
    """Claims, as the published runs decide them: those of the names given, or all.

    Raises:
        ValueError: if there is no claim of a name.
    """
    return claim.shown(CLAIMS, published(), *names)
