"""Figures that only the chapter on the Fiedler tree can use."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from hdlib.figures import Curve, Panel, curves
from hdlib.figures.validation import require_entries


def mixtures(
    panels: Mapping[str, Mapping[str, tuple[ArrayLike, ArrayLike]]], *, unconnected: Collection[str]
) -> Figure:
    """Adjusted Rand index against how much residual a mixture G + t R has, on a logarithmic axis.

    Args:
        panels: labels that are compared → curve → ratios Σ|tR| / Σ|G|, (m,) positive, and index,
            (m,).
        unconnected: curves whose points are not in an order.

    Raises:
        ValueError: if there is no panel, or arrays do not fit, are not finite, or are out of their
            range.
    """
    require_entries("panels", panels)
    drawn = {}
    for name, found in panels.items():
        values = {label: Curve(*xy) for label, xy in found.items()}
        drawn[name] = Panel(
            {label: curve for label, curve in values.items() if label not in unconnected},
            points={label: curve for label, curve in values.items() if label in unconnected},
            ylabel="adjusted Rand index",
            covers=(0, 1),
        )
    return curves(drawn, columns=len(drawn), sharey=True, xlabel="Σ|tR| / Σ|G|")
