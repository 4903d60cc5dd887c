"""Numbers over all pairs of two things, as small squares on one scale."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from hdlib.figures.axes import colour_bar
from hdlib.figures.style import WIDTH, style
from hdlib.figures.validation import checked_array, labelled, require_entries, require_positive


@style()
def pair_maps(
    panels: Mapping[str, ArrayLike] | ArrayLike,
    places: ArrayLike,
    *,
    label: str,
    names: tuple[str, str],
    norm: Normalize | None = None,
    columns: int = 2,
) -> Figure:
    """Numbers of all pairs (a, b) as colours, a square a panel, b upwards, on one colour scale.

    Args:
        panels: title → (n, n) numbers, a row for each a and a column for each b; or one array.
        places: (n,) what stands at rows and columns alike, consecutive integers, n ≥ 2.
        label: what the numbers are.
        names: what a and b are called on the axes.
        norm: from numbers to colours; by default linear from the least to the largest. Numbers
            that it cannot show, such as zero on a logarithmic one, have its first colour.
        columns: how many panels stand side by side.

    Raises:
        ValueError: if there is no panel, places are not consecutive, or arrays do not fit or are
            not finite.
    """
    places = checked_array("places", places, (None,))
    if len(places) < 2 or (np.diff(places) != 1).any():
        raise ValueError(f"places must be at least 2 consecutive integers, got {places}")
    shape = len(places), len(places)
    checked = {
        title: checked_array(f"panels[{title!r}]" if title else "values", values, shape)
        for title, values in labelled(panels).items()
    }
    require_entries("panels", checked)
    require_positive("columns", columns)
    least = min(float(values.min()) for values in checked.values())
    norm = norm or Normalize(least, max(float(values.max()) for values in checked.values()))
    colours = mpl.colormaps["viridis"]
    colours = colours.with_extremes(bad=colours(0.0))

    rows = -(-len(checked) // columns)
    side = min(0.86 * WIDTH / columns, 3.6)
    fig, axes = plt.subplots(
        rows,
        columns,
        figsize=(WIDTH if columns > 1 else 0.7 * WIDTH, 0.6 + (side + 0.1) * rows),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    ends = places[0] - 0.5, places[-1] + 0.5
    image = None
    for i, (ax, (title, values)) in enumerate(zip(axes.flat, checked.items(), strict=False)):
        image = ax.imshow(values.T, origin="lower", extent=(*ends, *ends), norm=norm, cmap=colours)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))
        ax.spines[:].set_visible(False)
        ax.set_title(title)
        beneath = i + columns < len(checked)
        ax.tick_params(labelbottom=not beneath)
        ax.set_xlabel("" if beneath else names[0])
        ax.set_ylabel("" if i % columns else names[1])
    for ax in axes.flat[len(checked) :]:
        ax.set_visible(False)
    if image is not None:
        plain = {} if isinstance(norm, LogNorm) else {"format": "{x:g}"}
        colour_bar(fig, image, axes.ravel().tolist(), label, **plain)
    return fig
