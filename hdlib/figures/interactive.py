"""Dendrograms that a reader can move through training."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from hdlib.clustering.dendrogram import Unresolved
from hdlib.figures.dendrogram import LEAF_AXIS
from hdlib.figures.style import BLUE, GRID, INK, MUTED, PAPER, VERMILLION
from hdlib.figures.tree import Tree, build_tree, eigenvalue_count, height_limits, number
from hdlib.figures.validation import checked_trajectory, require_positive

if TYPE_CHECKING:
    from IPython.core.display import HTML


def dendrogram_slider(
    steps: ArrayLike,
    eigenvalues: ArrayLike,
    *,
    merges: int = 30,
    unresolved: Unresolved | None = None,
) -> go.Figure:
    """The dendrogram of a checkpoint, with a slider over checkpoints and buttons to play them.

    The same trees as `hdlib.figures.dendrograms`; a merge under the pointer tells its ε, a leaf its
    members and the range of their eigenvalues. Coordinates are rounded to four significant digits.

    Args:
        steps: (T,) training steps, ascending.
        eigenvalues: (T, n) spectrum at each step.
        merges: how many merges to draw.
        unresolved: as `hdlib.figures.dendrograms` takes it.

    Raises:
        ValueError: for arrays that are not finite or do not fit, ``merges`` not positive, or
            ``unresolved`` that does not fit.
    """
    steps, eigenvalues = checked_trajectory(steps, eigenvalues)
    require_positive("merges", merges)
    limits = height_limits(list(eigenvalues), merges=merges, unresolved=unresolved)
    frames = []
    for step, values in zip(steps.tolist(), eigenvalues, strict=True):
        tree = build_tree(values, merges=merges, floor=limits[0], unresolved=unresolved)
        ticks = {"tickvals": list(range(len(tree.members))), "ticktext": tree.labels}
        traces = _traces(tree, limits[0])
        frames.append(go.Frame(name=str(step), data=traces, layout={"xaxis": ticks}))
    axis = {"gridcolor": GRID, "linecolor": MUTED, "showline": True, "zeroline": False}
    return go.Figure(
        data=frames[0].data,
        frames=frames,
        layout={
            "template": "none",
            "height": 600,
            "margin": {"l": 70, "r": 20, "t": 130, "b": 170},
            "paper_bgcolor": PAPER,
            "plot_bgcolor": PAPER,
            "font": {"family": "DejaVu Sans, Verdana, sans-serif", "size": 13, "color": INK},
            "showlegend": False,
            "hovermode": "closest",
            "title": {
                "text": eigenvalue_count(eigenvalues.shape[1], unresolved),
                "x": 0.01,
                "y": 0.97,
                "font": {"size": 14},
            },
            "xaxis": {
                **axis,
                **frames[0].layout.xaxis.to_plotly_json(),
                "range": [-0.8, min(merges, eigenvalues.shape[1] - 1) + 0.8],
                "tickangle": -90,
                "tickfont": {"size": 12},
                "showgrid": False,
            },
            "yaxis": {
                **axis,
                "title": "merge height ε",
                "type": "log",
                "range": (np.log10(limits) - [0.01, 0]).round(4).tolist(),
                "exponentformat": "power",
                "dtick": 1,
            },
            # Not the title of the axis, which would move with the length of the leaves' labels.
            "annotations": [
                {
                    "text": LEAF_AXIS,
                    "font": {"size": 14},
                    "showarrow": False,
                    "x": 0.5,
                    "xref": "paper",
                    "y": 0,
                    "yref": "paper",
                    "yshift": -152,
                }
            ],
            "sliders": [_slider(steps.tolist())],
            "updatemenus": [_buttons()],
        },
    )


def embed(figure: go.Figure, *, div_id: str | None = None) -> HTML:
    """A plotly figure as HTML for a page that has loaded plotly.js, as wide as its column.

    Needs IPython.

    Args:
        figure: the figure.
        div_id: id of its HTML element, unique on the page; by default a hash of the figure, so that
            a chapter executed again stores the same output.
    """
    from IPython.core.display import HTML

    content = figure.to_json() or ""
    return HTML(
        figure.to_html(
            full_html=False,
            include_plotlyjs=False,
            div_id=div_id or f"figure-{sha256(content.encode()).hexdigest()[:12]}",
            config={"responsive": True, "displayModeBar": False},
            auto_play=False,
            default_width="100%",
        )
    )


def _traces(tree: Tree, floor: float) -> list[Any]:
    """Branches, a point on top of each merge, and leaves."""
    count = len(tree.merges)
    separated = np.concatenate([tree.merges, np.full((count, 1, 2), np.nan)], axis=1).reshape(-1, 2)
    tops = tree.merges[:, 1:3].mean(axis=1)
    several = tree.members > 1
    ranges = [
        f"λ = {number(low)}" if low == high else f"λ from {number(low)} to {number(high)}"
        for low, high in zip(tree.lower, tree.upper, strict=True)
    ]
    colours = np.where(several, INK, BLUE).tolist()
    colours[tree.largest] = VERMILLION if several[tree.largest] else BLUE
    sizes = np.where(several, 8, 5).tolist()
    sizes[tree.largest] = 13 if several[tree.largest] else 5
    return [
        go.Scatter(
            x=_rounded(separated[:, 0]),
            y=_rounded(separated[:, 1]),
            mode="lines",
            line={"color": BLUE, "width": 2},
            hoverinfo="skip",
        ),
        go.Scatter(
            x=_rounded(tops[:, 0]),
            y=_rounded(tops[:, 1]),
            mode="markers",
            marker={"color": BLUE, "size": 5},
            hovertemplate="merge at ε = %{y:.3g}<extra></extra>",
        ),
        go.Scatter(
            x=list(range(count + 1)),
            y=_rounded(np.full(count + 1, floor)),
            mode="markers",
            marker={"color": colours, "size": sizes, "symbol": "diamond", "opacity": 1},
            cliponaxis=False,
            text=[
                f"{members} eigenvalue{'s' if members > 1 else ''}<br>{span}"
                for members, span in zip(tree.members, ranges, strict=True)
            ],
            hovertemplate="%{text}<extra></extra>",
        ),
    ]


def _rounded(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else float(f"{value:.4g}") for value in values]


def _animate(frames: list[str] | list[None] | None, duration: int, mode: str) -> dict[str, Any]:
    options = {
        "frame": {"duration": duration, "redraw": True},
        "mode": mode,
        "transition": {"duration": 0},
        "fromcurrent": True,
    }
    return {"method": "animate", "args": [frames, options]}


def _slider(steps: list[int]) -> dict[str, Any]:
    return {
        "currentvalue": {"prefix": "step ", "font": {"size": 14}},
        "x": 0.2,
        "len": 0.8,
        "y": 1.0,
        "yanchor": "bottom",
        "pad": {"b": 15},
        "steps": [{"label": str(step), **_animate([str(step)], 0, "immediate")} for step in steps],
    }


def _buttons() -> dict[str, Any]:
    return {
        "type": "buttons",
        "direction": "left",
        "showactive": False,
        "x": 0.0,
        "xanchor": "left",
        "y": 1.0,
        "yanchor": "bottom",
        "pad": {"b": 25},
        "bgcolor": PAPER,
        "buttons": [
            {"label": "Play", **_animate(None, 600, "immediate")},
            {"label": "Pause", **_animate([None], 0, "immediate")},
        ],
    }
