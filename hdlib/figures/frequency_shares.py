"""Which frequencies carry the logits, through training."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from hdlib.figures.style import CATEGORIES, MUTED, PALE_YELLOW, WIDTH, shade_steps, step_axis, style
from hdlib.figures.validation import checked_array, checked_steps


@style()
def frequency_shares(
    steps: ArrayLike,
    shares: ArrayLike,
    *,
    named: float = 0.05,
    transition: tuple[int, int] | None = None,
) -> Figure:
    """Share of each frequency in the variance of the logits, against the training step.

    Args:
        steps: (T,) training steps, ascending.
        shares: (T, F) of the frequencies 1 … F, not negative.
        named: frequencies that reach this share are in colour, at most ten; the others grey.
        transition: first and last step of it, shaded.

    Raises:
        ValueError: for arrays that do not fit or are not finite, or negative shares.
    """
    steps = checked_steps(steps)
    shares = checked_array("shares", shares, (len(steps), None))
    if shares.min() < 0:
        raise ValueError(f"shares must not be negative, got {shares.min():g}")
    highest = shares.max(0)
    coloured = np.argsort(-highest)[: min(len(CATEGORIES), int((highest >= named).sum()))]

    fig, ax = plt.subplots(figsize=(WIDTH, 3.6))
    if transition is not None:
        shade_steps(ax, transition, name="transition", colour=PALE_YELLOW, label="transition")
    for k in np.setdiff1d(np.arange(shares.shape[1]), coloured):
        ax.plot(steps, shares[:, k], color=MUTED, lw=0.5)
    for k, colour in zip(np.sort(coloured), CATEGORIES, strict=False):
        ax.plot(steps, shares[:, k], color=colour, marker=".", ms=4, label=f"k = {k + 1}")
    ax.set_ylabel("share of the logits' variance")
    ax.grid(axis="y")
    step_axis(ax, steps, "linear")
    fig.legend(loc="outside upper left", ncols=8)
    return fig
