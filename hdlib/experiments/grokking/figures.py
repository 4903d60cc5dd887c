"""Figures that only the grokking chapter can use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TypeAlias

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm, Normalize, SymLogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from numpy.typing import ArrayLike

from hdlib.figures import Curve, Panel, curves, heat_map
from hdlib.figures.axes import colour_bar, legend
from hdlib.figures.style import (
    BLUE,
    GRID,
    MUTED,
    VERMILLION,
    WIDTH,
    number,
    stage_colours,
    style,
)
from hdlib.figures.validation import checked_array, checked_increasing, require_entries
from hdlib.measures.functions import concentration

Moves: TypeAlias = tuple[ArrayLike, ArrayLike]
Leading: TypeAlias = tuple[ArrayLike, ArrayLike, int, tuple[int, int] | None]

PHASES: tuple[str, ...] = ("memorisation", "circuit formation", "clean-up")
LEAST_RANGE = 10.0
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


def leading_frequencies(energies: Mapping[str, ArrayLike], *, column_label: str) -> Figure:
    """The strongest frequency of what each leading eigenvector does, a column for each network.

    A cell names the frequency with the largest share of the energy of J v, and the share.

    Args:
        energies: label → (m, F) shares of the frequencies 1 … F along the m leading eigenvectors,
            the largest eigenvalue's first; of one shape.
        column_label: what the columns are.

    Raises:
        ValueError: if there is no column, or shapes differ.
    """
    require_entries("energies", energies)
    shares = np.stack([np.asarray(values) for values in energies.values()], axis=1)
    largest, strongest = shares.max(2), shares.argmax(2) + 1
    return heat_map(
        largest,
        [str(rank + 1) for rank in range(len(largest))],
        list(energies),
        label="share of the strongest frequency",
        norm=Normalize(0, 1),
        cmap="Blues",
        cells=[
            [f"{k}\n{share:.0%}" for k, share in zip(*row, strict=True)]
            for row in zip(strongest, largest, strict=True)
        ],
        row_label="rank of the eigenvalue",
        column_label=column_label,
    )


def frequency_overlap(
    eigenvalues: ArrayLike,
    weights: Mapping[str, tuple[ArrayLike, ArrayLike]],
    columns: Sequence[str],
) -> Figure:
    """Heat maps of eigenvectors' weight in subspaces, over that of a random direction.

    Colours are logarithmic and centred on 1, which is chance: a random unit vector has on average
    the weight dim S / P in a subspace S. They cover the largest ratio and its inverse; a weight
    below that has the last colour.

    Args:
        eigenvalues: (m,) of the rows, drawn from top to bottom.
        weights: label of a panel → (weights (m, C), expected weights of a random direction (C,));
            the squared norm of each eigenvector's projection on each subspace.
        columns: C names of the subspaces, say frequencies.

    Raises:
        ValueError: if there is no panel, or arrays do not fit or are not finite.
    """
    ratios = {
        label: np.asarray(weight) / np.asarray(chance)
        for label, (weight, chance) in weights.items()
    }
    extreme = max(LEAST_RANGE, *(float(ratio.max()) for ratio in ratios.values()))
    return heat_map(
        ratios,
        [number(value) for value in np.asarray(eigenvalues)],
        columns,
        label="weight over that of a random direction",
        norm=LogNorm(1 / extreme, extreme),
        cmap="PuOr_r",
        row_label="eigenvalue λ of each eigenvector",
    )


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
        ax.set_yticks([])
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
    left.set_yticks(range(len(values)), [number(value) for value in values])
    left.set_ylabel("eigenvalue λ of each eigenvector")
    usual_shares = concentration(random)
    usual_shares = usual_shares[np.isfinite(usual_shares)]
    if usual_shares.size:
        low, median, high = np.quantile(usual_shares, [0.05, 0.5, 0.95])
        right.axvspan(low, high, color=GRID, lw=0, label="random: 90 %")
        right.axvline(median, color=MUTED, lw=1, label="random: median")
        legend(fig, right.get_legend_handles_labels()[0])
    right.plot(concentration(responses), np.arange(len(values)), "o", ms=4, color=BLUE)
    right.set(
        xlim=(0, 1.03),
        ylim=(len(values) - 0.5, -0.5),
        yticks=[],
        xlabel="max |Δ| / Σ |Δ|",
        title="concentration",
    )
    colour_bar(fig, image, [left, middle], "change of the loss", location="bottom", aspect=40)
    return fig


@style()
def dose_series(doses: ArrayLike, panels: Mapping[str, Moves]) -> Figure:
    """How concentrated on one frequency moves of the weights are, and whether they are small.

    Above, max |Δ| / Σ |Δ| over the frequencies against the dose, a line for each eigenvector;
    shaded, 90 % of the random directions. Below, the sum of |Δ| over the square of the dose,
    relative to the least dose: 1 where the change is that of the second derivative.

    Args:
        doses: (D,) moves as shares of the norm of the weights, ascending.
        panels: title → (D, m, K) changes along eigenvectors, the largest eigenvalue's first, and
            (D, r, K) along random directions.

    Raises:
        ValueError: if there is no panel, or arrays do not fit or are not finite.
    """
    doses = checked_increasing("doses", doses, least=2)
    require_entries("panels", panels)
    fig, axes = plt.subplots(
        2,
        len(panels),
        figsize=(WIDTH, 5.2),
        sharex=True,
        sharey="row",
        squeeze=False,
        height_ratios=(3, 2),
    )
    for (above, below), (title, moves) in zip(axes.T, panels.items(), strict=True):
        changes, random = (
            checked_array(f"{name} of panels[{title!r}]", values, (len(doses), None, None))
            for name, values in zip(("changes", "random changes"), moves, strict=True)
        )
        usual = np.stack([concentration(at_dose) for at_dose in random])
        low, high = np.nanquantile(usual, [0.05, 0.95], axis=1)
        above.fill_between(doses, low, high, color=GRID, lw=0, label="random directions: 90 %")
        sizes = np.abs(changes).sum(2) / doses[:, None] ** 2
        for k, colour in enumerate(stage_colours(changes.shape[1])):
            shares = [concentration(at_dose)[k] for at_dose in changes]
            above.plot(doses, shares, color=colour, marker=".", lw=1.2, label=f"{k + 1}")
            below.plot(doses, sizes[:, k] / sizes[0, k], color=colour, marker=".", lw=1.2)
        above.set_title(title, size=10)
        above.set(xscale="log", ylim=(0, 1))
        below.set(xscale="log", yscale="log", xlabel="‖δ‖ / ‖θ‖ in %")
        below.axhline(1, color=MUTED, lw=0.8, zorder=0)
        for ax in (above, below):
            ax.set_xticks(doses, [f"{100 * dose:g}" for dose in doses])
            ax.minorticks_off()
            ax.grid(axis="y")
    axes[1, 0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes[1, 0].yaxis.set_major_formatter("{x:g}")
    axes[0, 0].set_ylabel("max |Δ| / Σ |Δ|")
    axes[1, 0].set_ylabel("Σ |Δ| / dose²,\nrelative")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper left", ncols=7, title="eigenvector")
    return fig
