"""Derivatives by inputs and weights, and what the optimiser makes of them."""

from __future__ import annotations

from matplotlib.figure import Figure

from hdlib.experiments.least_action.figures.drawn import (
    Networks,
    histories,
    logarithmic,
    measurements,
    with_curves,
)
from hdlib.figures import Panel, curves
from hdlib.figures.axes import Scale


def sensitivity(networks: Networks, *, xscale: Scale = "linear") -> Figure:
    """Derivatives by the inputs at checkpoints, with standard errors over inputs and probes.

    Colour is the arm, a line a seed.
    """
    jacobian = measurements(networks, lambda network: network.input_jacobian)
    hessian = measurements(networks, lambda network: network.input_hessian)
    panels = {
        "input Jacobian": logarithmic(jacobian, "mean ‖J‖²"),
        "input Hessian of the predicted logit": Panel(
            hessian, ylabel="mean trace", yscale="symlog"
        ),
    }
    return curves(panels, xscale=xscale)


def landscape(networks: Networks, *, xscale: Scale = "linear") -> Figure:
    """Norm of the gradient, and traces of Hessian and Fisher matrix with their standard errors.

    Of the loss over all training pairs; colour is the arm, a line a seed.
    """
    hessian = measurements(networks, lambda network: network.hessian_trace)
    fisher = measurements(networks, lambda network: network.fisher_trace)
    panels = {
        "gradient of the loss": logarithmic(histories(networks, "gradient_norm"), "norm"),
        "Hessian of the cross-entropy": logarithmic(hessian, "trace"),
        "empirical Fisher matrix": logarithmic(fisher, "trace"),
    }
    return curves(with_curves(panels), xscale=xscale)


def optimizer(networks: Networks, *, xscale: Scale = "linear") -> Figure:
    """What Adam divides by, how far it moves, how that compares with decay, the learning rate.

    Colour is the arm, a line a seed; at 1, u = m̂/(√v̂ + ε) is a step as long as the learning rate.
    """
    columns = {
        "mean of √v̂": ("adam_sqrt_v_mean", "√v̂"),
        "largest √v̂": ("adam_sqrt_v_max", "√v̂"),
        "mean step over learning rate": ("adam_ratio_mean", "|m̂| / (√v̂ + ε)"),
        "largest step over learning rate": ("adam_ratio_max", "|m̂| / (√v̂ + ε)"),
        "step over decay": ("update_decay_ratio", "‖u‖ / ‖λw‖"),
    }
    panels = {
        title: logarithmic(histories(networks, column), ylabel)
        for title, (column, ylabel) in columns.items()
    }
    panels["learning rate"] = Panel(histories(networks, "lr"), ylabel="learning rate", covers=(0,))
    return curves(with_curves(panels), columns=2, xscale=xscale)
