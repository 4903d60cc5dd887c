"""How many steps it takes until test pairs are known that memory cannot answer."""

from __future__ import annotations

from collections.abc import Iterable

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hdlib.experiments.least_action.grid import Arm
from hdlib.experiments.least_action.results import (
    ENTROPY,
    GENERALISED,
    LeastActionResults,
    TrainedNetwork,
    generalised_steps,
)
from hdlib.figures import Curve, Panel, curves, dots
from hdlib.figures.maps import write_cells
from hdlib.figures.style import GRID, WIDTH, style
from hdlib.training import OTHERS

REACHED = f"steps to {GENERALISED:.0%} of the other test pairs"
FREE, PRESSED, PLAIN = "paths free", "entropy of paths penalised", "no paths to choose"


def confounds(results: LeastActionResults) -> Figure:
    """Steps until the other test pairs are known, with one difference less in each row."""
    grid = results.grid
    rows: dict[str, dict[str, Arm]] = {
        arm.name: {FREE: arm} for arm in grid.confounds if arm != grid.pressed
    }
    rows[grid.matched.name][PRESSED] = grid.pressed
    rows |= {arm.name: {PLAIN: arm} for arm in (*grid.narrow, grid.plain)}
    lengths = {name: _length(row.values()) for name, row in rows.items()}
    return dots(
        {
            f"{name} ({lengths[name]:,} steps)": {
                label: generalised_steps(results.of(arm)) for label, arm in row.items()
            }
            for name, row in rows.items()
        },
        limit=max(lengths.values()),
        xlabel=REACHED,
        beyond="not reached in these steps",
    )


def dose_curve(results: LeastActionResults) -> Figure:
    """Steps until the other test pairs are known, and entropy at the end, against the penalty λ.

    A point a seed, moved apart sideways where they would hide each other. Hollow points above the
    line of their last step were not there by then; grey lines are networks without penalty.
    """
    grid = results.grid
    doses: dict[str, list[Arm]] = {}
    for arm in grid.dosed:
        doses.setdefault(arm.configs[0].routing_regularizer, []).append(arm)
    free = results.of(grid.matched)
    lasts = sorted({c.n_steps for arm in [grid.matched, *grid.dosed] for c in arm.configs})
    steps: dict[str, list[Curve]] = {}
    entropies: dict[str, list[Curve]] = {}
    for i, (kind, arms) in enumerate(doses.items()):
        for arm in arms:
            for j, network in enumerate(results.of(arm)):
                apart = 1.04 ** (2 * j - len(arm.configs) + 1) * 1.02 ** (2 * i - 1)
                x = [network.config.lambda_routing * apart]
                markers = "hollow" if network.generalised is None else "few"
                height = [_height(network)]
                steps.setdefault(kind, []).append(Curve(x, height, markers=markers))
                entropies.setdefault(kind, []).append(Curve(x, [network.last(ENTROPY)]))
    dosed = [config.lambda_routing for arm in grid.dosed for config in arm.configs]
    ends = [min(dosed) / 1.2, max(dosed) * 1.2]
    without = "without penalty"
    panels = {
        REACHED: Panel(
            {},
            points=steps,
            nulls={without: [Curve(ends, [_height(n)] * 2) for n in free]},
            limits={f"last step, {last:,} (hollow: not reached)": last for last in lasts},
            ylabel="step",
            covers=(0,),
        ),
        "entropy of the paths at the end": Panel(
            {},
            points=entropies,
            nulls={without: [Curve(ends, [n.last(ENTROPY)] * 2) for n in free]},
            ylabel="entropy / ln(heads)",
            covers=(0, 1),
        ),
    }
    fig = curves(panels, xlabel="factor λ of the penalty", xscale="log")
    factors = sorted(set(dosed))
    fig.axes[0].set_xticks(factors, [f"{factor:g}" for factor in factors])
    fig.axes[0].tick_params(axis="x", which="minor", length=0)
    fig.axes[1].tick_params(axis="x", which="minor", length=0)
    return fig


@style()
def sweep_maps(results: LeastActionResults) -> Figure:
    """Steps until the other test pairs are known, and accuracy on them at the end.

    Over learning rates and weight decays, the median over the seeds; "–" where most seeds were not
    there by the last step.
    """
    grid = results.grid
    shape = len(grid.sweep_lrs), len(grid.sweep_decays)
    networks = [results.of(arm) for arm in grid.sweep]
    reached = [np.median(generalised_steps(n)) for n in networks]
    ends = [np.median([network.last(OTHERS) for network in n]) for n in networks]
    steps, accuracies = np.reshape(reached, shape), np.reshape(ends, shape)
    known = steps[np.isfinite(steps)]
    least, most = (known.min(), known.max()) if known.size else (1, grid.sweep_steps)
    least = max(least, 1)  # steps are shown on a logarithmic scale
    fig, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 1.5 + 0.5 * shape[0]), sharey=True)
    _cells(
        left,
        np.ma.masked_invalid(steps),
        LogNorm(least, max(most, 1.01 * least)),
        [[f"{v:,.0f}" if np.isfinite(v) else "–" for v in row] for row in steps],
        cmap="viridis_r",
    )
    _cells(
        right,
        accuracies,
        Normalize(0, 1),
        [[f"{v:.0%}" for v in row] for row in accuracies],
        cmap="viridis",
    )
    left.set_yticks(range(shape[0]), [f"{lr:g}" for lr in grid.sweep_lrs])
    left.set(title=REACHED, ylabel="learning rate")
    right.set_title(f"accuracy on them after {grid.sweep_steps:,} steps")
    for ax in (left, right):
        ax.set_xticks(range(shape[1]), [f"{decay:g}" for decay in grid.sweep_decays])
        ax.set_xlabel("weight decay")
    return fig


def _length(arms: Iterable[Arm]) -> int:
    """For how many updates the networks of some arms were trained, at most."""
    return max(config.n_steps for arm in arms for config in arm.configs)


def _height(network: TrainedNetwork) -> float:
    """The step at which the other test pairs are known, or above the network's last one."""
    reached = network.generalised
    return 1.08 * network.config.n_steps if reached is None else reached


def _cells(
    ax: Axes,
    values: NDArray[np.float64],
    norm: Normalize,
    cells: list[list[str]],
    *,
    cmap: str,
) -> None:
    colours = plt.get_cmap(cmap).with_extremes(bad=GRID)
    image = ax.imshow(values, norm=norm, cmap=colours, aspect="auto")
    write_cells(ax, image, cells)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
