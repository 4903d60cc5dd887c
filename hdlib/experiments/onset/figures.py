"""The chapter's figures, of its results."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hdlib.experiments.onset.events import DETACHED, KNOWN, PROMINENT, SEEN, STAYS, onsets
from hdlib.experiments.onset.network import HALF, Array, FollowedNetwork
from hdlib.experiments.onset.results import OnsetResults
from hdlib.figures import Curve, Panel, curves
from hdlib.figures.axes import legend, log_axis
from hdlib.figures.style import CATEGORIES, INK, MUTED, WIDTH, style
from hdlib.training import MIRRORED, OTHERS

SHOWN = 6
"""Key frequencies that have a colour: those with most of the logits at the end."""
PALE = "#BBBBBB"
TIMELINE: dict[str, Callable[[FollowedNetwork], Array]] = {
    "other pairs right": lambda of: of.column(OTHERS),
    "restricted loss": lambda of: of.restricted,
    "key frequencies in the logits": lambda of: of.power.sum(1),
    "doublets seen": lambda of: of.seen().mean(1),
    "doublets above a gap": lambda of: of.detached().mean(1),
    "λmax over training loss": lambda of: of.eigenvalues[:, 0] / of.column("train_loss"),
}
WIDE = {"restricted loss", "λmax over training loss"}
PAIRS = {
    "seen, against accuracy": (SEEN, KNOWN),
    "seen, against the logits": (SEEN, PROMINENT),
    "above a gap, against accuracy": (DETACHED, KNOWN),
}
COEFFICIENT = "learning coefficient λ̂"
JITTER = 0.012
"""Of the axis, between points that would lie upon each other."""


@style()
def arrival(network: FollowedNetwork) -> Figure:
    """A network's leading eigenvalues in the colour of their frequency, and what it can do."""
    strongest = sorted(np.argsort(-network.power[-1])[:SHOWN])
    colours = dict(zip(strongest, CATEGORIES, strict=False))
    fig, ((top, span), (logits, right)) = plt.subplots(2, 2, figsize=(WIDTH, 5.4), sharex=True)
    _eigenvalues(top, network, colours)
    for k, colour in colours.items():
        label = f"frequency {network.frequencies[k]}"
        span.plot(network.steps, network.second()[:, k], ".-", color=colour, label=label)
        logits.plot(network.steps, network.power[:, k], ".-", color=colour)
    null = network.second("relabelled").max(1)
    span.plot(network.steps, null, ":", color=MUTED, label="residues relabelled")
    span.axhline(network.least, color=MUTED, ls="--", lw=1.2, label="seen from here on")
    right.plot(network.steps, network.column(OTHERS), "-", color=INK)
    right.plot(network.steps, network.column(MIRRORED), ":", color=INK)
    right.legend(["others", "mirrored"], loc="lower right")
    top.set_title("leading eigenvalues, over the largest")
    span.set_title("second largest share in their span")
    logits.set_title("share of the logits")
    right.set_title("test pairs that are right")
    for ax in (span, logits, right):
        ax.grid(axis="y")
    for ax in (logits, right):
        ax.set_xlabel("step")
    handles = [*top.get_legend_handles_labels()[0], *span.get_legend_handles_labels()[0]]
    legend(fig, handles)
    return fig


def _eigenvalues(ax: Axes, network: FollowedNetwork, colours: Mapping[int, str]) -> None:
    """Eigenvalues as dashes, coloured where most of their response is of one key frequency."""
    shares = network.shares[:, :, network.frequencies - 1]
    owner = np.where(shares.max(-1) > HALF, shares.argmax(-1), -1)
    relative = network.eigenvalues / network.eigenvalues[:, :1]
    steps = np.broadcast_to(network.steps[:, None], relative.shape)
    dashes = {"ls": "", "marker": "_", "ms": 5}
    rest = ~np.isin(owner, list(colours))
    ax.plot(steps[rest], relative[rest], color=PALE, label="none of these", **dashes)
    for k, colour in colours.items():
        ax.plot(steps[owner == k], relative[owner == k], color=colour, **dashes)
    found = network.stands_out
    rank = network.detached_ranks[found, None]
    above, below = (np.take_along_axis(relative[found], r, 1)[:, 0] for r in (rank - 1, rank))
    ax.vlines(network.steps[found], below, above, color=INK, lw=1, label="a gap that stands out")
    log_axis(ax, "y", relative)
    ax.set_ylabel("λ / λmax")


def timeline(results: OnsetResults) -> Figure:
    """What is measured of all networks, step by step; dashed, those with too few pairs."""
    panels = {
        title: Panel(
            {"enough pairs": [Curve(n.steps, of(n), markers="none") for n in results.followed]},
            nulls={"too few": [Curve(n.steps, of(n)) for n in results.controls]},
            yscale="wide" if title in WIDE else "linear",
            covers=() if title in WIDE else (0.0, 1.0),
        )
        for title, of in TIMELINE.items()
    }
    return curves(panels, columns=3, xscale="linear")


def surroundings(results: OnsetResults) -> Figure:
    """Accuracy and learning coefficient, step by step, a row for each modulus.

    Dashed: networks with too few pairs.
    """
    courses: dict[str, Callable[[FollowedNetwork], Curve]] = {
        "other pairs right": lambda of: Curve(of.steps, of.column(OTHERS), markers="none"),
        COEFFICIENT: lambda of: Curve(
            of.coefficient_steps,
            # Before training it is about zero, of either sign.
            np.where(of.coefficient_steps > 0, of.coefficients, np.nan),
        ),
    }
    panels = {
        f"p = {of.p}: {title}": Panel(
            {"enough pairs": [curve(network) for network in of.followed]},
            nulls={"too few": [curve(network) for network in of.controls]},
            yscale="wide" if title == COEFFICIENT else "linear",
        )
        for of in map(results.at, results.grid.moduli)
        for title, curve in courses.items()
    }
    return curves(panels, columns=2, xscale="linear")


def first_of_two(results: OnsetResults) -> Figure:
    """For each key frequency the step of one event against that of another."""
    limit = results.grid.n_steps
    never = 1.08 * limit
    panels = {}
    for title, (first, second) in PAIRS.items():
        x, y, stays = (
            np.concatenate([onsets(network, event) for network in results.followed])
            for event in (second, first, STAYS if first == SEEN else first)
        )
        both = np.isfinite(x) & np.isfinite(y)
        kept = both & (y == stays)
        x, y = (np.where(np.isfinite(steps), steps, never) for steps in (x, y))
        x = x + _spread(x, y) * JITTER * limit
        points = {
            "a doublet": Curve(x[kept], y[kept]),
            "one that goes away again": Curve(x[both & ~kept], y[both & ~kept]),
            "one of the two never": Curve(x[~both], y[~both], colour=MUTED, markers="hollow"),
        }
        panels[title] = Panel(
            {},
            points={label: curve for label, curve in points.items() if np.size(curve.x)},
            nulls={"at one step": Curve([0, limit], [0, limit])},
            ylabel="step of the doublet",
        )
    return curves(panels, columns=3, xlabel="step of the other event", xscale="linear", sharey=True)


def _spread(x: Array, y: Array) -> Array:
    """0, 1, −1, 2, … for the first, second, … of equal points."""
    met: dict[tuple[float, float], int] = {}
    found = []
    for point in zip(x.tolist(), y.tolist(), strict=True):
        met[point] = met.get(point, -1) + 1
        n = met[point]
        found.append((n + 1) // 2 * (1 if n % 2 else -1))
    return np.array(found, np.float64)
