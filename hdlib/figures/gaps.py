"""The gaps of spectra through training: where the largest are, and which stand out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from hdlib.figures.axes import Scale, checkpoint_axis, colour_bar
from hdlib.figures.curves import curves
from hdlib.figures.panel import Panel
from hdlib.figures.style import GRID, INK, MUTED, WIDTH, style
from hdlib.figures.tree import largest_gaps
from hdlib.figures.validation import checked_steps, require_entries, require_positive
from hdlib.measures import GapTest
from hdlib.trajectory import Trajectory


@style()
def gap_barcode(trajectory: Trajectory, *, k: int = 15, linthresh: float = 1e-2) -> Figure:
    """The k largest gaps of each spectrum: bars from the eigenvalue below to the one above.

    The λ axis is linear for |λ| < ``linthresh`` and logarithmic beyond, so the length of a bar is
    not its gap: its colour is. Checkpoints are equally far apart. Where spectra are known in part,
    a pale bar goes across the eigenvalues between, which is no gap.

    Args:
        trajectory: the spectra.
        k: how many gaps; all that are not zero where there are fewer.
        linthresh: |λ| below which the axis is linear.

    Raises:
        ValueError: for ``k`` or ``linthresh`` that is not positive, or spectra without any gap.
        ConvergenceError: if pairs of a spectrum are not certified.
    """
    require_positive("k", k)
    require_positive("linthresh", linthresh)
    trees = trajectory.dendrograms
    bars = [
        (checkpoint, tree.eigenvalues[gap], tree.heights[gap])
        for checkpoint, tree in enumerate(trees)
        for gap in largest_gaps(tree.heights, k)
    ]
    if not bars:
        raise ValueError("eigenvalues must differ at one checkpoint at least, got none that do")
    x, lower, size = np.array(bars).T
    bulks = [
        (checkpoint, *tree.eigenvalues[[tree.lowest - 1, tree.lowest]])
        for checkpoint, tree in enumerate(trees)
        if tree.unresolved and 0 < tree.lowest < len(tree.eigenvalues)
    ]

    fig, ax = plt.subplots(figsize=(WIDTH, 4.4))
    norm, colormap = LogNorm(size.min(), size.max()), mpl.colormaps["viridis"]
    ax.bar(
        x, size, bottom=lower, width=0.8, color=colormap(norm(size)), edgecolor=INK, linewidth=0.5
    )
    if bulks:
        at, below, above = np.array(bulks).T
        ax.bar(at, above - below, bottom=below, width=1, color=GRID, label="not resolved")
        fig.legend(loc="outside upper left")
    ax.axhline(0, color=MUTED, lw=0.8)
    ax.set_yscale("symlog", linthresh=linthresh)
    ax.use_sticky_edges = False
    ax.set_xlim(-0.6, len(trees) - 0.4)
    checkpoint_axis(ax, trajectory.steps)
    ax.set_ylabel("eigenvalue λ")
    colour_bar(fig, ScalarMappable(norm, colormap), ax, "gap between neighbouring λ")
    return fig


def gap_scores(
    steps: ArrayLike, tests: Mapping[str, Sequence[GapTest]], *, xscale: Scale = "log"
) -> Figure:
    """Scores of gaps against the step, over the band of their thresholds; one panel a test.

    What lies above the band stands out, whichever null is taken; its rank is written beside it.

    Args:
        steps: (T,) training steps, ascending.
        tests: label → T tests, of one gap at each step.
        xscale: "log" or "linear" steps.

    Raises:
        ValueError: if there is no label, or not one test a step.
    """
    steps = checked_steps(steps)
    require_entries("tests", tests)
    panels = {}
    for label, gaps in tests.items():
        if len(gaps) != len(steps):
            raise ValueError(f"tests[{label!r}] must be {len(steps)}, one a step, got {len(gaps)}")
        scores = [gap.score for gap in gaps]
        low, high = np.array([gap.threshold for gap in gaps]).T
        panels[label] = Panel(
            {"": scores},
            x=steps,
            band={"95% thresholds": (low, high)},
            marks=[
                (float(step), gap.score, f"{gap.rank}")
                for step, gap in zip(steps, gaps, strict=True)
                if gap.stands_out
            ],
            ylabel="score",
            covers=(0, 1.1 * max(scores)),
        )
    return curves(panels, xscale=xscale)
