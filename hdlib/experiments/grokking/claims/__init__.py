"""What the grokking chapter claims, each claim decided on the published runs."""

from __future__ import annotations

from hdlib.display import Markdown
from hdlib.experiments import claim
from hdlib.experiments.grokking.claims import (
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

CLAIMS: tuple[claim.Claim[PublishedGrokking], ...] = (
    *training.CLAIMS,
    *spectrum.CLAIMS,
    *ends.CLAIMS,
    *purity.CLAIMS,
    *functions.CLAIMS,
    *sharpness.CLAIMS,
    *learning.CLAIMS,
    *networks.CLAIMS,
    *controls.CLAIMS,
    *small.CLAIMS,
)


def shown(*names: str) -> Markdown:
    """The claims of these names as a list, with what the published runs say; all where none is.

    Raises:
        ValueError: if there is no claim of a name.
    """
    return claim.shown(CLAIMS, published(), *names)
