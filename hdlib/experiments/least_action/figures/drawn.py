"""What several figures draw: numbers through training, an arm a colour and a seed a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from hdlib.experiments.least_action.results import (
    Array,
    LeastActionResults,
    Measured,
    TrainedNetwork,
)
from hdlib.figures import Curve, Panel

Networks: TypeAlias = Mapping[str, Sequence[TrainedNetwork]]
"""Name of an arm → its networks, from one seed each."""
Curves: TypeAlias = dict[str, list[Curve]]


def followed(results: LeastActionResults) -> dict[str, list[TrainedNetwork]]:
    """The arms whose curvature and sensitivity are measured, by name."""
    return {arm.name: results.of(arm) for arm in results.grid.followed}


def histories(networks: Networks, value: str | Callable[[TrainedNetwork], Array]) -> Curves:
    """A column of the history, or a number at each of its rows, by arm.

    Networks that do not have it are left out.
    """
    found: Curves = {}
    for arm, members in networks.items():
        for network in members:
            values = network.column(value) if isinstance(value, str) else value(network)
            if np.isfinite(values).any():
                found.setdefault(arm, []).append(line(network, values))
    return found


def line(network: TrainedNetwork, values: Array) -> Curve:
    """Values at each row of the history."""
    return Curve(network.history["step"], values, markers="none")


def measurements(networks: Networks, value: Callable[[TrainedNetwork], Measured]) -> Curves:
    """What was measured at checkpoints, with its standard error, by arm.

    Networks at which it was not measured are left out.
    """
    found: Curves = {}
    for arm, members in networks.items():
        for measured in map(value, members):
            if len(measured.steps):
                found.setdefault(arm, []).append(Curve(*measured))
    return found


def logarithmic(curves: Curves, ylabel: str) -> Panel:
    """A panel with a logarithmic axis, about zero as well where there are numbers below it."""
    values = np.concatenate([np.ravel(c.y) for found in curves.values() for c in found] or [[]])
    below = (values[np.isfinite(values)] < 0).any()
    return Panel(curves, ylabel=ylabel, yscale="symlog" if below else "log")


def with_curves(panels: Mapping[str, Panel]) -> dict[str, Panel]:
    """The panels that have something to show."""
    return {title: panel for title, panel in panels.items() if panel.curves}
