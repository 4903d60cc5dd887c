"""What the trees that a reader can move through training share: traces, layout and controls."""

from __future__ import annotations

from hashlib import sha256
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from hdlib.figures.style import BLUE, GRID, INK, MUTED, PAPER, VERMILLION

if TYPE_CHECKING:
    from IPython.core.display import Markdown

FloatArray = NDArray[np.float64]

LEAST_WIDTH = "39rem"


def player(
    frames: list[go.Frame],
    *,
    title: str,
    leaves: int,
    leaf_axis: str,
    yaxis: dict[str, Any],
    bottom: int = 170,
) -> go.Figure:
    """A figure of a tree a checkpoint, with a slider over checkpoints and buttons to play them.

    Args:
        frames: one a checkpoint, named by its step; each with its traces, and the labels of its
            leaves, at x = 0, 1, …, as the ticks of ``layout.xaxis``.
        title: of the figure.
        leaves: how many there is room for.
        leaf_axis: what the leaves are.
        yaxis: title, type, range and ticks of the heights, in Plotly's terms.
        bottom: pixels below the tree, for the labels of the leaves and ``leaf_axis``.
    """
    axis = {"gridcolor": GRID, "linecolor": MUTED, "showline": True, "zeroline": False}
    return go.Figure(
        data=frames[0].data,
        frames=frames,
        layout={
            "template": "none",
            "height": 640,
            "margin": {"l": 70, "r": 20, "t": 175, "b": bottom},
            "paper_bgcolor": PAPER,
            "plot_bgcolor": PAPER,
            "font": {"family": "DejaVu Sans, Verdana, sans-serif", "size": 13, "color": INK},
            "showlegend": False,
            "hovermode": "closest",
            "title": {"text": title, "x": 0.01, "y": 0.97, "font": {"size": 14}},
            "xaxis": {
                **axis,
                **frames[0].to_plotly_json()["layout"]["xaxis"],
                "range": [-0.8, leaves - 0.2],
                "tickangle": -90,
                "tickfont": {"size": 12},
                "showgrid": False,
            },
            "yaxis": {**axis, **yaxis},
            # Not the title of the axis, which would move with the length of the leaves' labels.
            "annotations": [
                {
                    "text": leaf_axis.replace(": ", ":<br>"),  # fits a narrow screen
                    "font": {"size": 14},
                    "showarrow": False,
                    "x": 0.5,
                    "xref": "paper",
                    "y": 0,
                    "yref": "paper",
                    "yshift": 24 - bottom,
                }
            ],
            "sliders": [_slider([str(frame.name) for frame in frames])],
            "updatemenus": [_buttons()],
        },
    )


def branches(merges: FloatArray) -> go.Scatter:
    """The lines of a tree.

    Args:
        merges: (M, 4, 2) each merge as a bracket of four points.
    """
    gaps = np.full((len(merges), 1, 2), np.nan)
    separated = np.concatenate([merges, gaps], axis=1).reshape(-1, 2)
    return go.Scatter(
        x=_rounded(separated[:, 0]),
        y=_rounded(separated[:, 1]),
        mode="lines",
        line={"color": BLUE, "width": 2},
        hoverinfo="skip",
    )


def tops(merges: FloatArray, hover: dict[str, Any]) -> go.Scatter:
    """A point on top of each merge.

    Args:
        merges: (M, 4, 2) each merge as a bracket of four points.
        hover: what it tells under the pointer: ``hovertemplate``, and ``text`` if that uses it.
    """
    middle = merges[:, 1:3].mean(axis=1)
    return go.Scatter(
        x=_rounded(middle[:, 0]),
        y=_rounded(middle[:, 1]),
        mode="markers",
        marker={"color": BLUE, "size": 5},
        **hover,
    )


def leaves(members: NDArray[np.int64], floor: float, texts: list[str]) -> go.Scatter:
    """A diamond for each leaf, the one with most members the largest.

    Args:
        members: (M + 1,) how many each leaf has.
        floor: height at which the leaves stand.
        texts: what each tells under the pointer.
    """
    count, largest = len(members), int(np.argmax(members))
    several = members > 1
    colours = np.where(several, INK, BLUE).tolist()
    colours[largest] = VERMILLION if several[largest] else BLUE
    sizes = np.where(several, 8, 5).tolist()
    sizes[largest] = 13 if several[largest] else 5
    return go.Scatter(
        x=list(range(count)),
        y=_rounded(np.full(count, floor)),
        mode="markers",
        marker={"color": colours, "size": sizes, "symbol": "diamond", "opacity": 1},
        cliponaxis=False,
        text=texts,
        hovertemplate="%{text}<extra></extra>",
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


def _rounded(values: np.ndarray) -> list[float | None]:
    """In four significant digits."""
    return [None if np.isnan(value) else float(f"{value:.4g}") for value in values]


def _animate(frames: list[str] | list[None] | None, duration: int, mode: str) -> dict[str, Any]:
    options = {
        "frame": {"duration": duration, "redraw": True},
        "mode": mode,
        "transition": {"duration": 0},
        "fromcurrent": True,
    }
    return {"method": "animate", "args": [frames, options]}


def _slider(steps: list[str]) -> dict[str, Any]:
    return {
        "currentvalue": {"prefix": "step ", "font": {"size": 14}},
        "x": 0,
        "len": 1,
        "y": 1.0,
        "yanchor": "bottom",
        "pad": {"b": 15},
        "steps": [{"label": step, **_animate([step], 0, "immediate")} for step in steps],
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
        "pad": {"b": 92},  # above the slider
        "bgcolor": PAPER,
        "buttons": [
            {"label": "Play", **_animate(None, 600, "immediate")},
            {"label": "Pause", **_animate([None], 0, "immediate")},
        ],
    }
