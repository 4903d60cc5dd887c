"""Curves over the training steps of grokking."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from hdlib.figures import Curve, Panel, curves
from hdlib.figures.style import MUTED, VERMILLION
from hdlib.figures.validation import checked_array

Leading: TypeAlias = tuple[ArrayLike, ArrayLike, int, tuple[int, int] | None]

PHASES: tuple[str, ...] = ("memorisation", "circuit formation", "clean-up")
NAMED = 0.05


def training_phases(
    history: Mapping[str, ArrayLike],
    phases: tuple[int | None, int | None, int | None],
    *,
    progress: Mapping[str, ArrayLike],
    pairs: Mapping[str, ArrayLike],
) -> Figure:
    """Loss (logarithmic) and accuracy, with memorisation, circuit formation and clean-up shaded.

    A phase that has not ended is shaded to the end of training; those after it have not begun.

    Args:
        history: ``step`` (S,) and, of the same length, ``train_loss``, ``test_loss``,
            ``train_accuracy`` and ``test_accuracy``; NaN where not measured.
        phases: steps where memorisation, circuit formation and clean-up end, None for one that did
            not (see `hdlib.measures.phases`).
        progress: ``step`` (T,) and, of the same length, ``restricted_loss`` and ``excluded_loss``.
        pairs: ``step`` (T,) and, of the same length, ``mirrored_accuracy`` and ``other_accuracy``
            of the test pairs.

    Raises:
        ValueError: for arrays that do not fit, or phases that end before they begin.
    """
    last = int(np.asarray(history["step"])[-1])
    ends = [last if end is None else end for end in phases]
    if ends != sorted(ends):
        raise ValueError(f"phases must be in ascending order, None for all not ended, got {phases}")
    begun = phases.index(None) + 1 if None in phases else len(PHASES)
    bands: list[tuple[float, float]] = list(pairwise([0, *ends]))
    shaded = dict(zip(PHASES[:begun], bands, strict=False))
    step, mirrored = pairs["step"], "test, mirror in training"
    return curves(
        {
            "loss": Panel(
                {
                    "train": history["train_loss"],
                    "test": history["test_loss"],
                    "restricted": Curve(progress["step"], progress["restricted_loss"]),
                    "excluded": Curve(progress["step"], progress["excluded_loss"]),
                },
                x=history["step"],
                shaded=shaded,
                yscale="log",
            ),
            "accuracy": Panel(
                {
                    "train": history["train_accuracy"],
                    "test": history["test_accuracy"],
                    mirrored: Curve(step, pairs["mirrored_accuracy"], colour=MUTED),
                    "test, all others": Curve(step, pairs["other_accuracy"], colour=VERMILLION),
                },
                x=history["step"],
                shaded=shaded,
                covers=(0, 1),
            ),
        },
        xscale="linear",
    )


def frequency_shares(
    steps: ArrayLike, shares: ArrayLike, *, transition: tuple[int, int] | None
) -> Figure:
    """Share of each frequency in the variance of the logits, against the training step.

    Frequencies that ever have a share of 5 % are in colour, at most ten; the others grey.

    Args:
        steps: (T,) training steps, ascending.
        shares: (T, F) of the frequencies 1 … F.
        transition: first and last step of it, shaded.

    Raises:
        ValueError: for arrays that do not fit or are not finite.
    """
    values = checked_array("shares", shares, (None, None))
    highest = values.max(0)
    named = np.sort(np.argsort(-highest)[: min(10, int((highest >= NAMED).sum()))])
    panel = Panel(
        {f"k = {k + 1}": values[:, k] for k in named},
        x=steps,
        background={"": np.delete(values, named, axis=1)},
        shaded={"transition": transition} if transition else {},
        ylabel="share of the logits' variance",
    )
    return curves(panel, xscale="linear")


def adam_sharpness(
    steps: ArrayLike,
    largest: ArrayLike,
    preconditioned: ArrayLike,
    *,
    loss: ArrayLike,
    ceiling: float,
    transition: tuple[int, int] | None,
) -> Figure:
    """Largest eigenvalue of the Hessian H, over the loss, and of P⁻¹H with Adam's preconditioner P.

    Full-batch Adam is stable where the latter stays below (2 + 2β₁)/((1 − β₁)η), which is 38/η at
    β₁ = 0.9 (Cohen et al. 2022): the dashed line. As a pair becomes certain, what it adds to H
    falls with what it adds to the loss; their ratio says what is not owed to the loss alone.

    Args:
        steps: (T,) training steps, ascending.
        largest: (T,) largest eigenvalue of H.
        preconditioned: (T,) largest eigenvalue of P⁻¹H; NaN where there is none, as before the
            first update.
        loss: (T,) training loss.
        ceiling: stability ceiling of the preconditioned eigenvalue.
        transition: first and last step of it, shaded.

    Raises:
        ValueError: for arrays that do not fit or are not finite.
    """
    shaded = {"transition": transition} if transition else {}

    def panel(values: ArrayLike, ylabel: str, limits: Mapping[str, float]) -> Panel:
        return Panel(
            {"": values}, x=steps, limits=limits, shaded=shaded, ylabel=ylabel, yscale="wide"
        )

    return curves(
        {
            "largest eigenvalue of H": panel(largest, "λ", {}),
            "largest eigenvalue of H over the training loss": panel(
                np.asarray(largest) / np.asarray(loss), "λ / loss", {}
            ),
            "largest eigenvalue of P⁻¹H, as Adam sees it": panel(
                preconditioned, "λ", {f"stability ceiling {ceiling:g}": ceiling}
            ),
        },
        xscale="linear",
    )


def leading_eigenvalues(runs: Mapping[str, Leading]) -> Figure:
    """Each eigenvalue over the largest, on a logarithmic axis, a panel for each run.

    Lines are of constant rank, not of constant eigenvector.

    Args:
        runs: title → training steps (T,), ascending; eigenvalues (T, K), K ≥ 2, the largest first;
            the number of heads h, as many of which are in colour; and the first and the last step
            of a transition, shaded, or None.

    Raises:
        ValueError: if there is no run, or arrays do not fit or are not finite.
    """
    panels = {}
    for title, (steps, values, heads, transition) in runs.items():
        ratios = np.asarray(values) / np.asarray(values)[:, :1]
        panels[title] = Panel(
            {"as many as there are heads": ratios[:, :heads]},
            x=steps,
            background={"the next ones": ratios[:, heads:]},
            shaded={"transition": transition} if transition else {},
            ylabel="λ / λmax",
            yscale="log",
        )
    return curves(panels, columns=3, sharey=True, xscale="linear")
