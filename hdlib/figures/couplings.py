"""The couplings of parameters as a picture, in an order that shows who is coupled to whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from hdlib.figures.axes import colour_bar, legend
from hdlib.figures.bars import checked_shares, part_handles, require_names
from hdlib.figures.style import CATEGORIES, GRID, WIDTH, style
from hdlib.figures.validation import checked_array, require_entries, require_keys


@style()
def coupling_matrix(
    couplings: Mapping[str, ArrayLike], shares: Mapping[str, ArrayLike], names: Sequence[str]
) -> Figure:
    """Mean couplings between bins of parameters: one panel, say, an order of the parameters.

    Beside each matrix stand the shares of the layers in each of its rows. All panels have one
    logarithmic colour scale, from the 5th to the 99.9th percentile of the positive couplings; grey
    is where there are none.

    Args:
        couplings: label → (b, b) couplings ≥ 0, as of `hdlib.measures.binned`;
            NaN where unknown.
        shares: the same labels → (b, L) share of each bin's members in each layer.
        names: of the L layers, at most 10; colours follow their order.

    Raises:
        ValueError: if there is nothing to draw, labels differ, there are too many names, arrays do
            not fit, a matrix is not square, or values are out of these ranges.
    """
    require_entries("couplings", couplings)
    require_keys("shares", shares, tuple(couplings))
    require_names("names", names)
    matrices, sides = {}, {}
    for label, values in couplings.items():
        bins = len(np.atleast_1d(values))
        matrix = checked_array(f"couplings[{label!r}]", values, (bins, bins), missing=True)
        if np.nanmin(matrix, initial=0) < 0:
            raise ValueError(f"couplings[{label!r}] must be ≥ 0, got {np.nanmin(matrix):g}")
        matrices[label] = matrix
        sides[label] = checked_shares(f"shares[{label!r}]", shares[label], (bins, len(names)))
    positive = np.concatenate([matrix[matrix > 0] for matrix in matrices.values()])
    if not positive.size:
        raise ValueError("couplings must be positive somewhere, got none that is")
    low, high = np.percentile(positive, [5, 99.9])
    norm = LogNorm(low, high if high > low else 10 * low, clip=True)
    cmap = mpl.colormaps["viridis"].with_extremes(bad=GRID)

    columns = min(2, len(matrices))
    rows = -(-len(matrices) // columns)
    fig, axes = plt.subplots(
        rows, columns, figsize=(WIDTH, 0.6 + 3.4 * rows if columns == 2 else 6.2), squeeze=False
    )
    for ax in axes.flat[len(matrices) :]:
        ax.remove()
    panels, image = axes.ravel()[: len(matrices)].tolist(), None
    for ax, (label, matrix) in zip(panels, matrices.items(), strict=True):
        strip = ax.inset_axes((-0.08, 0, 0.06, 1))
        image = ax.imshow(
            np.where(matrix > 0, matrix, np.nan), cmap=cmap, norm=norm, interpolation="nearest"
        )
        places, left = np.arange(len(matrix)), np.zeros(len(matrix))
        for share, colour in zip(sides[label].T, CATEGORIES, strict=False):
            strip.barh(places, share, height=1, left=left, color=colour, linewidth=0)
            left += share
        strip.set(xlim=(0, 1), ylim=ax.get_ylim(), xticks=[], yticks=[])
        ax.set(xticks=[], yticks=[], title=label)
        for part in (strip, ax):
            part.spines[:].set_visible(False)
    if image is not None:
        colour_bar(fig, image, panels, "mean coupling |H|", shrink=0.8)
    legend(fig, part_handles(names))
    return fig
