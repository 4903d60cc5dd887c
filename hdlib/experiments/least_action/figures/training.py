"""Loss and accuracy through training."""

from __future__ import annotations

from matplotlib.figure import Figure

from hdlib.experiments.least_action.figures.drawn import Networks, histories
from hdlib.experiments.least_action.results import LeastActionResults, mirrored_share
from hdlib.figures import Curve, Panel, curves
from hdlib.figures.axes import Scale
from hdlib.training import MIRRORED, OTHERS

ACCURACIES = {
    "training pairs": "train_accuracy",
    "mirrored test pairs": MIRRORED,
    "other test pairs": OTHERS,
    "all test pairs": "test_accuracy",
}


def training(networks: Networks, *, xscale: Scale = "linear") -> Figure:
    """Accuracy on training, mirrored and other test pairs, and training loss, against the step.

    Colour is the arm, a line a seed.
    """
    panels = {
        label: Panel(histories(networks, column), ylabel="accuracy", covers=(0, 1))
        for label, column in list(ACCURACIES.items())[:3]
    }
    losses = Panel(histories(networks, "train_loss"), ylabel="cross-entropy", yscale="log")
    shown = {title: panel for title, panel in panels.items() if panel.curves}
    return curves(shown | {"training loss": losses}, columns=2, xscale=xscale)


def accuracies_through_training(networks: Networks, *, xscale: Scale = "linear") -> Figure:
    """Accuracies by kind of pair, a panel an arm, with the share of test pairs that are mirrored.

    Accuracy on all test pairs that stays at that share is memory of mirrored pairs.
    """
    panels = {}
    for arm, members in networks.items():
        found: dict[str, list[Curve]] = {}
        for label, column in ACCURACIES.items():
            of_label = histories({label: members}, column)
            found |= of_label or {}
        panels[arm] = Panel(
            found,
            nulls={"share of test pairs that are mirrored": mirrored_share(members[0])},
            ylabel="accuracy",
            covers=(0, 1),
        )
    columns = 1 if len(panels) == 1 else 2
    return curves(panels, columns=columns, xscale=xscale, sharey=True)


def collapse(results: LeastActionResults, *, xscale: Scale = "linear") -> Figure:
    """Share of training pairs whose softmax has collapsed, and the loss, in both precisions.

    Collapsed: the loss of a pair and its gradient are zero in the precision of the softmax.
    """
    grid = results.grid
    double = next(arm for arm in grid.switches if arm.configs[0].softmax == "float64")
    networks = {
        "softmax in float32": results.of(grid.plain),
        "softmax in float64": results.of(double),
    }
    panels = {
        "collapsed softmax": Panel(
            histories(networks, "collapsed_share"), ylabel="share of training pairs", covers=(0, 1)
        ),
        "training loss": Panel(
            histories(networks, "train_loss"), ylabel="cross-entropy", yscale="log"
        ),
    }
    return curves(panels, columns=2, xscale=xscale)
