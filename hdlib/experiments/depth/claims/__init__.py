"""What the chapter says, as claims that its published runs decide; a file a section."""

from __future__ import annotations

from hdlib.display import Markdown
from hdlib.experiments import claim
from hdlib.experiments.claim import Claim
from hdlib.experiments.depth.claims import edge, generalising, methods, original
from hdlib.experiments.depth.results import PublishedDepth, published

__all__ = ["CLAIMS", "PublishedDepth", "published", "shown"]

CLAIMS: tuple[Claim[PublishedDepth], ...] = (
    *methods.CLAIMS,
    *original.CLAIMS,
    *edge.CLAIMS,
    *generalising.CLAIMS,
)


def shown(*names: str) -> Markdown:
    """Claims, as the published runs decide them: those of the names given, or all.

    Raises:
        ValueError: if there is no claim of a name.
    """
    return claim.shown(CLAIMS, published(), *names)
