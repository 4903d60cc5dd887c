"""What the chapter says, as claims that its published runs decide; a file a section."""

from __future__ import annotations

from hdlib.display import Markdown
from hdlib.experiments import claim
from hdlib.experiments.claim import Claim
from hdlib.experiments.emergence.claims import concepts, original, training
from hdlib.experiments.emergence.published import PublishedEmergence, published

__all__ = ["CLAIMS", "PublishedEmergence", "published", "shown"]

CLAIMS: tuple[Claim[PublishedEmergence], ...] = (
    *original.CLAIMS,
    *concepts.CLAIMS,
    *training.CLAIMS,
)


def shown(*names: str) -> Markdown:
    """Claims, as the published runs decide them: those of the names given, or all.

    Raises:
        ValueError: if there is no claim of a name.
    """
    return claim.shown(CLAIMS, published(), *names)
