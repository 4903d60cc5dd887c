"""Dendrograms that a reader can move through training."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from hdlib.clustering import Dendrogram
from hdlib.curvature import Spectrum
from hdlib.figures.dendrogram import LEAF_AXIS
from hdlib.figures.player import branches, leaves, player, tops
from hdlib.figures.tree import Tree, build_tree, eigenvalue_count, height_limits, number
from hdlib.figures.validation import checked_trajectory, require_positive

if TYPE_CHECKING:
    from IPython.core.display import Markdown

LEAST_WIDTH = "40rem"


def dendrogram_slider(
    steps: ArrayLike,
    spectra: ArrayLike | Sequence[Spectrum | Dendrogram],
    *,
    merges: int = 30,
) -> go.Figure:
    """The dendrogram of a checkpoint, with a slider over checkpoints and buttons to play them.

    The same trees as `hdlib.figures.dendrogram`; a merge under the pointer tells its ε, a leaf its
    members and the range of their eigenvalues. Coordinates are rounded to four significant digits.

    Args:
        steps: (T,) training steps, ascending.
        spectra: at each step: `Spectrum` or `Dendrogram`, as much of each known, or an array
            (T, n) of all eigenvalues.
        merges: how many merges to draw.

    Raises:
        ValueError: for spectra that are not finite or do not fit, or ``merges`` not positive.
        ConvergenceError: if pairs of a spectrum are not certified.
    """
    steps, trees = checked_trajectory(steps, spectra)
    require_positive("merges", merges)
    limits = height_limits(trees, merges=merges)
    frames = []
    for step, dendro in zip(steps.tolist(), trees, strict=True):
        tree = build_tree(dendro, merges=merges, floor=limits[0])
        ticks = {"tickvals": list(range(len(tree.members))), "ticktext": tree.labels}
        traces = _traces(tree, limits[0])
        frames.append(go.Frame(name=str(step), data=traces, layout={"xaxis": ticks}))
    return player(
        frames,
        title=eigenvalue_count(trees[0]),
        leaves=min(merges, len(trees[0].heights)) + 1,
        leaf_axis=LEAF_AXIS,
        yaxis={
            "title": "merge height ε",
            "type": "log",
            "range": (np.log10(limits) - [0.01, 0]).round(4).tolist(),
            "exponentformat": "power",
            "dtick": 1,
        },
    )


def embed(figure: go.Figure, *, alt: str, div_id: str | None = None) -> Markdown:
    """A plotly figure for a page of the book: raw HTML in Markdown, as wide as its column.

    It asks for ``/assets/plotly.min.js`` itself, so that only pages with such a figure load it, and
    waits for it. Not an output of type text/html: for those Quarto loads two libraries of a CDN.
    Needs IPython.

    Args:
        figure: the figure.
        alt: its alternative text. Quarto drops the cell option ``fig-alt`` where the output is not
            a picture.
        div_id: id of its HTML element, unique on the page; by default a hash of the figure, so that
            a chapter executed again stores the same output.
    """
    from IPython.core.display import Markdown

    content = figure.to_json() or ""
    name = div_id or f"figure-{sha256(content.encode()).hexdigest()[:12]}"
    html = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        div_id=name,
        config={"responsive": True, "displayModeBar": False},
        auto_play=False,
        default_width="100%",
    )
    # Narrower than this, its labels would overlap: it scrolls in a box of its own.
    html = f'<div style="overflow-x: auto"><div style="min-width: {LEAST_WIDTH}">{html}</div></div>'
    # A module runs after what is deferred.
    html = html.replace("<script", '<script type="module"', 1)
    html = html.replace("<div", f'<div role="group" aria-label="{escape(alt)}"', 1)
    return Markdown(
        f'```{{=html}}\n<script defer src="/assets/plotly.min.js"></script>\n{html}\n```'
    )


def _traces(tree: Tree, floor: float) -> list[Any]:
    """Branches, a point on top of each merge, and leaves."""
    ranges = [
        f"λ = {number(low)}" if low == high else f"λ from {number(low)} to {number(high)}"
        for low, high in zip(tree.lower, tree.upper, strict=True)
    ]
    texts = [
        f"{members} eigenvalue{'s' if members > 1 else ''}<br>{span}"
        for members, span in zip(tree.members, ranges, strict=True)
    ]
    return [
        branches(tree.merges),
        tops(tree.merges, {"hovertemplate": "merge at ε = %{y:.3g}<extra></extra>"}),
        leaves(tree.members, floor, texts),
    ]
