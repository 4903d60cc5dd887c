"""What independent random matrices, laid over one another, have in place of circuits."""

from __future__ import annotations

from functools import cache

from hdlib.measures.spacings import Neighbours, laid_over


@cache
def predicted(sizes: tuple[int, ...], samples: float | None) -> Neighbours:
    """As `hdlib.measures.laid_over` of one matrix for each circuit; simulated once.

    Args:
        sizes: eigenvalues of each.
        samples: rows over columns of Wishart matrices; None for GOE.
    """
    return laid_over(sizes, samples=samples)
