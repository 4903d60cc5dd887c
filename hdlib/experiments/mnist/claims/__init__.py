"""What the chapter says, as claims that its published runs decide; a file a section."""

from __future__ import annotations

from hdlib.display import Markdown
from hdlib.experiments import claim
from hdlib.experiments.claim import Claim
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


def shown(*names: str) -> Markdown:
    """Claims, as the published runs decide them: those of the names given, or all.

    Raises:
        ValueError: if there is no claim of a name.
    """
    return claim.shown(CLAIMS, published(), *names)
