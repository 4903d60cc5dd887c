"""What moving the weights along an eigenvector does to each frequency."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import SymLogNorm
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from hdlib.figures.fourier import direction_rows
from hdlib.figures.style import BLUE, GRID, MUTED, WIDTH, style
from hdlib.figures.validation import checked_array
from hdlib.measures.functions import concentration


@style()
def frequency_responses(
    eigenvalues: ArrayLike,
    responses: ArrayLike,
    random: ArrayLike,
    *,
    frequencies: Sequence[int],
) -> Figure:
    """Change of each frequency's loss along eigenvectors, beside that along random directions.

    Left and middle: heat maps of the changes, on one colour scale, linear within the range of 95 %
    of the random directions and logarithmic beyond. Right: how much of what a direction changes is
    of one frequency, max |Δ| / Σ |Δ| over its frequencies, from 1/K for all alike to 1 for one
    alone; and the median and the range of 90 % of the random directions.

    Args:
        eigenvalues: (m,) of the eigenvectors, drawn from top to bottom.
        responses: (m, K) change of the restricted loss of each frequency along each eigenvector.
        random: (r, K) the same along random directions.
        frequencies: K frequencies.

    Raises:
        ValueError: for arrays that do not fit or are not finite.
    """
    values = checked_array("eigenvalues", eigenvalues, (None,))
    responses = checked_array("responses", responses, (len(values), len(frequencies)))
    random = checked_array("random", random, (None, len(frequencies)))
    extreme = max(float(np.abs(responses).max()), float(np.abs(random).max())) or 1.0
    usual = float(np.quantile(np.abs(random), 0.95)) or extreme
    norm = SymLogNorm(min(usual, extreme), vmin=-extreme, vmax=extreme)

    fig, (left, middle, right) = plt.subplots(
        1, 3, figsize=(WIDTH, 1.4 + 0.175 * len(values)), width_ratios=(3, 3, 2)
    )
    for ax, changes, title in (
        (left, responses, "eigenvectors"),
        (middle, random, "random directions"),
    ):
        image = ax.imshow(changes, norm=norm, cmap="PuOr_r", aspect="auto")
        ax.set_xticks(range(len(frequencies)), [str(k) for k in frequencies])
        ax.set(title=title, xlabel="frequency k")
    direction_rows(left, values)
    left.set_ylabel("eigenvalue λ of each eigenvector")
    direction_rows(middle, np.empty(0))
    usual_shares = concentration(random)
    usual_shares = usual_shares[np.isfinite(usual_shares)]
    if usual_shares.size:
        low, median, high = np.quantile(usual_shares, [0.05, 0.5, 0.95])
        right.axvspan(low, high, color=GRID, lw=0, label="random: 90 %")
        right.axvline(median, color=MUTED, lw=1, label="random: median")
        fig.legend(loc="outside upper right", ncols=2)
    right.plot(concentration(responses), np.arange(len(values)), "o", ms=4, color=BLUE)
    right.set(
        xlim=(0, 1.03),
        ylim=(len(values) - 0.5, -0.5),
        yticks=[],
        xlabel="max |Δ| / Σ |Δ|",
        title="concentration",
    )
    bar = fig.colorbar(
        image, ax=(left, middle), label="change of the loss", location="bottom", aspect=40
    )
    bar.outline.set_visible(False)
    return fig
