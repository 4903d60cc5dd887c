"""Training and curvature side by side."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from hdlib.figures.axes import Scale
from hdlib.figures.curves import curves
from hdlib.figures.panel import Curve, Panel
from hdlib.figures.style import BLUE, VERMILLION
from hdlib.figures.validation import require_keys

HISTORY = ("train_loss", "test_loss", "train_accuracy", "test_accuracy")
LARGEST, SMALLEST = "largest_eigenvalue", "smallest_eigenvalue"
MEASURES = ("trace", "spectral_entropy", LARGEST, "n_negative")


def training_summary(
    history: Mapping[str, ArrayLike],
    measures: Mapping[str, ArrayLike],
    *,
    errors: Mapping[str, ArrayLike] | None = None,
    both_ends: bool = False,
    xscale: Scale = "log",
) -> Figure:
    """Six panels over training: loss, accuracy, and four measures of the Hessian.

    A vertical axis is logarithmic where its values are positive and span more than a factor 30.

    Args:
        history: ``step`` (S,) and, of the same length, ``train_loss``, ``test_loss``,
            ``train_accuracy`` and ``test_accuracy`` (between 0 and 1); NaN where not measured.
        measures: ``step`` (T,) and, of the same length, ``trace``, ``spectral_entropy``,
            ``largest_eigenvalue`` and ``n_negative``. Other keys of both are ignored.
        errors: measure → (T,) standard errors of measures that are estimates, drawn as bars of one
            standard error up and down.
        both_ends: whether the panel of the largest eigenvalue shows the smallest one, too
            (``measures["smallest_eigenvalue"]``), on an axis that is logarithmic to both sides.
        xscale: "log" or "linear" steps.

    Raises:
        ValueError: for a missing key, arrays that are not finite or do not fit, errors that are
            negative or of what is not drawn, or an unknown scale.
    """
    drawn = (*MEASURES, SMALLEST) if both_ends else MEASURES
    require_keys("history", history, ("step", *HISTORY))
    require_keys("measures", measures, ("step", *drawn))
    errors = errors or {}
    if unknown := [key for key in errors if key not in drawn]:
        raise ValueError(f"errors must be of measures drawn, {drawn}, got {unknown}")

    def logged(quantity: str) -> Panel:
        parts = {part: history[f"{part}_{quantity}"] for part in ("train", "test")}
        return Panel(parts, x=history["step"], yscale="wide" if quantity == "loss" else "linear")

    def measured(*keys: str) -> Panel:
        found = [
            Curve(measures["step"], measures[key], errors.get(key), colour)
            for key, colour in zip(keys, (BLUE, VERMILLION), strict=False)
        ]
        return Panel({"": found}, yscale="wide" if len(keys) == 1 else "symlog")

    ends = ("largest and smallest λ", LARGEST, SMALLEST)
    largest, *keys = ends if both_ends else ("largest eigenvalue λ", LARGEST)
    return curves(
        {
            "loss": logged("loss"),
            "trace of H": measured("trace"),
            largest: measured(*keys),
            "accuracy": logged("accuracy"),
            "spectral entropy": measured("spectral_entropy"),
            "eigenvalues λ < 0": measured("n_negative"),
        },
        columns=3,
        xscale=xscale,
    )
