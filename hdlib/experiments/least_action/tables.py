"""The chapter's tables, of its results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from hdlib.display import Markdown, table, two_digits
from hdlib.experiments.least_action.grid import Arm
from hdlib.experiments.least_action.results import (
    GENERALISED,
    LeastActionResults,
    TrainedNetwork,
    mirrored_share,
    plateau,
)
from hdlib.training import MIRRORED, OTHERS, steps_to

NEVER = "–"


def networks_table(results: LeastActionResults, arms: Sequence[Arm]) -> Markdown:
    """Parameters, and how far each kind of network came: a number for each seed."""
    header = (
        *("networks", "parameters", "others known at step", "others at the end"),
        "mirrored at the end",
    )
    rows = []
    for arm in arms:
        networks = results.of(arm)
        rows.append(
            (
                arm.name,
                f"{networks[0].n_parameters:,}",
                _steps([n.generalised for n in networks]),
                _each(networks, OTHERS),
                _each(networks, MIRRORED),
            )
        )
    return table(header, rows)


def plateau_table(results: LeastActionResults, arms: Sequence[Arm]) -> Markdown:
    """Where networks wait: accuracies once the mirrored pairs are known, or at the end."""
    header = (
        *("networks", "seed", "at step", "all test pairs", "mirrored", "others"),
        "share of mirrored pairs",
    )
    rows = []
    for arm in arms:
        for network in results.of(arm):
            at = plateau(network)
            rows.append(
                (
                    arm.name,
                    network.config.seed,
                    f"{network.history['step'][at]:,}",
                    f"{network.column('test_accuracy')[at]:.1%}",
                    f"{network.column(MIRRORED)[at]:.1%}",
                    f"{network.column(OTHERS)[at]:.1%}",
                    f"{mirrored_share(network):.1%}",
                )
            )
    return table(header, rows)


def sweep_table(results: LeastActionResults) -> Markdown:
    """When all and when the other test pairs are known, for how much of the rest, by seed."""
    header = (
        *("learning rate", "weight decay", "all known at thousand steps", "others known at"),
        *("in later rows", "largest"),
    )
    rows = []
    for arm in results.grid.sweep:
        networks = results.of(arm)
        config = networks[0].config
        rows.append(
            (
                f"{config.lr:g}",
                f"{config.weight_decay:g}",
                _thousands([steps_to(n.history, GENERALISED) for n in networks]),
                _thousands([n.generalised for n in networks]),
                _shares(n.known_afterwards for n in networks),
                _shares(np.nanmax(n.column(OTHERS)) for n in networks),
            )
        )
    return table(header, rows)


def curvature_table(results: LeastActionResults) -> Markdown:
    """Curvature and sensitivity before training and at the end."""
    header = ("measure", "before training", "at the end")
    rows = []
    for arm in results.grid.followed:
        networks = results.of(arm)
        measures = {
            "input Jacobian, squared": [n.input_jacobian.values for n in networks],
            "input Hessian, trace": [n.input_hessian.values for n in networks],
            "Hessian, trace": [n.hessian_trace.values for n in networks],
            "empirical Fisher, trace": [n.fisher_trace.values for n in networks],
        }
        for name, values in measures.items():
            rows.append(
                (
                    f"{arm.name}: {name}",
                    two_digits(v[0] for v in values),
                    two_digits(v[-1] for v in values),
                )
            )
    return table(header, rows)


def budget_table(results: LeastActionResults) -> Markdown:
    """What each group of networks took."""
    grid = results.grid
    groups: Mapping[str, Sequence[Arm]] = {
        "plain, settings and fractions": [grid.plain, *grid.switches, *grid.smaller],
        "routed, one difference less each time": grid.confounds,
        "plain and narrow": grid.narrow,
        "routed, pressure and gates": [
            *grid.dosed,
            grid.uneven,
            grid.consistent,
            grid.less_consistent,
            *grid.again,
            *grid.gates,
        ],
        "plain, penalties on the function": grid.penalised,
        "unordered split": grid.unordered,
        "both operations": grid.both,
        "one-hot pairs": [*grid.one_hot, *grid.all_decayed],
        "sweep": grid.sweep,
        "quick checks": grid.validations,
        "reported transformer": grid.reported,
    }
    rows = []
    for name, arms in groups.items():
        networks = list(dict.fromkeys(n for arm in arms for n in results.of(arm)))
        seconds = sum(n.run.stored(s).seconds for n in networks for s in n.run.stages)
        steps = sum(n.config.n_steps for n in networks)
        rows.append((name, len(networks), f"{steps:,}", f"{seconds / 60:,.0f} min"))
    return table(("networks", "number", "training steps", "wall time"), rows)


def _steps(steps: Sequence[int | None]) -> str:
    return ", ".join(NEVER if step is None else f"{step:,}" for step in steps)


def _thousands(steps: Sequence[int | None]) -> str:
    return ", ".join(NEVER if step is None else f"{step / 1000:g}" for step in steps)


def _each(networks: Sequence[TrainedNetwork], column: str) -> str:
    """A column at the end, of each network."""
    return _shares(network.last(column) for network in networks)


def _shares(values: Iterable[float]) -> str:
    """Shares in percent; "–" where there is none."""
    return ", ".join(NEVER if np.isnan(value) else f"{value:.0%}" for value in values)
