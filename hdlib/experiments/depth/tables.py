"""The depth chapter's tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hdlib.display import Markdown, extent, table
from hdlib.experiments.depth.config import DepthConfig
from hdlib.experiments.depth.figures import ENCODINGS
from hdlib.experiments.depth.results import GENERALISED, DepthResults, Network
from hdlib.training import MIRRORED, OTHERS

QUOTED_FIRST = (11_120, 2_390, 723, 39, 9.9)
"""Largest eigenvalues of the original work's own files, depth 1 to 5, after the first update."""
QUOTED_LAST = (2_318, 96_831, 61_471, 163_707, 81_125, 134_000, 130_000)
"""The same after 9,001 updates, depth 1 to 7; the last two read off its figure."""
QUOTED_ACCURACY = (0.020, 0.056, 0.052, 0.026, 0.016, 0.01, 0.026)
"""Its best test accuracies, depth 1 to 7, likewise."""


def size_table(results: DepthResults) -> Markdown:
    """Parameters of each depth: counted, by the formula, and by the original's formula."""
    grid = results.grid
    h, p = grid.width, grid.p
    rows = []
    for depth in sorted(grid.depths):
        config = DepthConfig(p=p, width=h, depth=depth, eigenpairs=2)
        counted = sum(parameter.numel() for parameter in config.model().parameters())
        formula = 3 * h + (depth - 1) * (h**2 + h) + (h + 1) * p
        original = formula - (h**2 + h)
        gigabytes = 8 * counted**2 / 1e9
        rows.append(
            (depth, f"{counted:,}", f"{formula:,}", f"{original:,}", f"{gigabytes:,.1f} GB")
        )
    header = ("depth", "parameters", "by the formula", "by the original's", "Hessian as a matrix")
    return table(header, rows)


def budget_table(results: DepthResults) -> Markdown:
    """What each part of the grid asks for, and what it took."""
    parts = {
        **{
            f"original's setting, {name}": results.original(encoding)
            for encoding, name in ENCODINGS.items()
            if encoding in results.grid.encodings
        },
        "generalising": results.generalising,
        "gradient descent": results.descent,
    }
    rows = []
    for name, networks in parts.items():
        searches = [
            len(n.measured(column)[0])
            for n in networks
            for column in ("largest_eigenvalue", "adam_eigenvalue")
        ]
        seconds = sum(n.run.stored(s).seconds for n in networks for s in n.run.stages)
        rows.append(
            (
                name,
                len(networks),
                f"{sum(n.config.n_steps for n in networks):,}",
                f"{sum(searches):,}",
                f"{sum(len(n.spectrum_steps) for n in networks):,}",
                f"{seconds / 60:,.0f} min",
            )
        )
    header = (
        *("networks", "number", "training steps", "largest eigenvalues", "spectra"),
        "wall time",
    )
    return table(header, rows)


def outcome_table(networks: Sequence[Network]) -> Markdown:
    """How far networks came: accuracies at the end, and when they came to 90% and 95%.

    Of pairs that none of the networks has there is no column.
    """
    columns = {
        "train_accuracy": "training pairs",
        "test_accuracy": "all test pairs",
        MIRRORED: "mirrored",
        OTHERS: "others",
    }
    there = [c for c in columns if any(np.isfinite(n.history[c][-1]) for n in networks)]
    rows = []
    for depth in sorted({n.config.depth for n in networks}):
        group = [n for n in networks if n.config.depth == depth]
        accuracies = [
            extent((float(n.history[c][-1]) for n in group), ".1%")
            if np.isfinite([n.history[c][-1] for n in group]).all()
            else ""
            for c in there
        ]
        reached = []
        for accuracy in GENERALISED:
            steps = [n.steps_to(accuracy) for n in group]
            known = [step for step in steps if step is not None]
            missing = f", {len(steps) - len(known)} never" if len(known) < len(steps) else ""
            reached.append(extent(known, ",") + missing if known else "never")
        rows.append((depth, *accuracies, *reached))
    levels = (f"{accuracy:.0%} at step" for accuracy in GENERALISED)
    return table(("depth", *(columns[c] for c in there), *levels), rows)


def original_table(results: DepthResults) -> Markdown:
    """The original's numbers beside those of the same setting here."""
    networks = results.original("raw")
    rows = []
    for depth in sorted(results.grid.depths):
        group = [n for n in networks if n.config.depth == depth]
        first, last = (
            _extent([float(n.measured("largest_eigenvalue")[1][i]) for n in group]) for i in (0, -1)
        )
        best = extent((float(n.history["test_accuracy"].max()) for n in group), ".1%")
        quoted = [
            f"{values[depth - 1]:{form}}" if depth <= len(values) else "not known"
            for values, form in (
                (QUOTED_FIRST, ",g"),
                (QUOTED_LAST, ",g"),
                (QUOTED_ACCURACY, ".1%"),
            )
        ]
        rows.append((depth, quoted[0], first, quoted[1], last, quoted[2], best))
    header = (
        *("depth", "λmax at first: original", "here"),
        *("λmax at the end: original", "here", "best test accuracy: original", "here"),
    )
    return table(header, rows)


def exact_table(results: DepthResults) -> Markdown:
    """Eigenvalues from products beside those of the whole matrix, and what the density counts."""
    rows = []
    network = results.compared
    for step, eigenvalues, found in network.exact:
        truth = np.r_[eigenvalues[: found.lowest], eigenvalues[-found.highest :]]
        scale = np.abs(eigenvalues).max()
        position = network.spectrum_steps.tolist().index(step)
        trace = network.density(position).trace()
        at = np.searchsorted(network.history["step"], step)
        logged = network.history["largest_eigenvalue"][at]
        rows.append(
            (
                f"{step:,}",
                f"{eigenvalues[-1]:.6g}",
                f"{abs(logged - eigenvalues[-1]) / scale:.0e}",
                f"{found.lowest} and {found.highest}",
                f"{np.abs(found.eigenvalues - truth).max() / scale:.0e}",
                f"{eigenvalues.sum():.4g}",
                f"{trace.value:.4g} ± {trace.standard_error:.1g}",
            )
        )
    header = (
        *(
            "step",
            "λmax",
            "error of the logged one",
            "certified at the two ends",
            "their largest error",
        ),
        *("trace", "by quadrature"),
    )
    return table(header, rows)


def _extent(values: Sequence[float]) -> str:
    """The least and the largest of some numbers, to two digits."""
    return "–".join(f"{float(f'{end:.2g}'):,.10g}" for end in (min(values), max(values)))
