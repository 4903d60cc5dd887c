"""The MNIST chapter's tables."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from hdlib.display import Markdown, table
from hdlib.experiments.mnist.config import DRAW_SIZE
from hdlib.experiments.mnist.gaps import (
    CLASSES,
    PREDICTED,
    SECOND_LEVEL,
    bent_threshold,
    least_p,
    predicted,
    searched,
    second_level,
    straight_threshold,
)
from hdlib.experiments.mnist.recipe import SWEEP
from hdlib.experiments.mnist.results import ALL_DATA, MnistResults
from hdlib.experiments.mnist.samples import QUOTED
from hdlib.measures import featureless_nulls, featureless_scores, spacing_ratio, tail_spacings
from hdlib.measures.featureless import LEVEL, SETTINGS, quantile_error

GAP_HEADER = (
    "highest score (rank)",
    "p",
    f"score at {PREDICTED}",
    "p alone",
    f"score at {CLASSES}",
    "p alone",
    f"highest in {SECOND_LEVEL[0]}–{SECOND_LEVEL[-1]} (rank)",
    "p in these",
)


def summary_table(results: MnistResults) -> Markdown:
    """The chosen checkpoints at a glance."""
    measures = results.measures
    rows = [
        (
            f"{results.steps[i]:,}",
            f"{results.logged('test_accuracy', int(results.steps[i])):.2%}",
            f"{measures['largest_eigenvalue'][i]:.3g}",
            f"{measures['smallest_eigenvalue'][i]:.2g}",
            f"{measures['n_negative'][i]:,.0f}",
            f"{measures['n_small'][i]:,.0f}",
            f"{results.searched_gaps[i].score:.1f} ({results.searched_gaps[i].rank})",
            f"{results.gradient_fractions[ALL_DATA][i]:.0%}",
        )
        for i in results.chosen.values()
    ]
    header = (
        "step",
        "test accuracy",
        "largest λ",
        "smallest λ",
        "λ < 0",
        "|λ| < 0.01",
        "highest score (rank)",
        "gradient in top 10",
    )
    return table(header, rows)


def zero_table(runs: Iterable[MnistResults]) -> Markdown:
    """Eigenvalues that are zero to rounding: the fewest and the most over the checkpoints."""
    rows = [
        (
            results.run.config.seed,
            len(results.steps),
            results.symmetric_zeros,
            results.zeros.min(),
            results.zeros.max(),
        )
        for results in runs
    ]
    header = ("seed", "checkpoints", "zero by the symmetry", "zero: fewest", "zero: most")
    return table(header, rows)


def null_table(results: MnistResults) -> Markdown:
    """The settings of the null and the thresholds that they give for the tails of the run."""
    spectra = results.trajectory.eigenvalues
    rows = []
    for setting, null in zip(SETTINGS, featureless_nulls(), strict=True):
        scores = [featureless_scores(null, eigenvalues) for eigenvalues in spectra]
        rows.append(
            (
                f"{setting.tail_index:g}",
                setting.samples,
                f"{setting.spread:g}",
                f"{spacing_ratio(null):.3f}",
                f"{straight_threshold(null):.1f}",
                _range([bent_threshold(null, eigenvalues) for eigenvalues in spectra]),
                f"{np.median([quantile_error(each.max(1)) for each in scores]):.2f}",
                _range([float(np.quantile(each[:, PREDICTED - 1], LEVEL)) for each in scores]),
            )
        )
    spacings = [tail_spacings(eigenvalues) for eigenvalues in spectra]
    index = _range([float(each.mean()) for each in spacings])
    ratio = f"{np.mean([spacing_ratio(each) for each in spacings]):.3f}"
    rows.append((f"{index} (this run)", "", "", ratio, "", "", "", ""))
    header = (
        "tail index",
        "images",
        "spread of log weights",
        "mean spacing ratio",
        "highest, straight tail",
        "highest, these tails",
        "standard error",
        f"rank {PREDICTED} alone",
    )
    return table(header, rows)


def gap_table(runs: Iterable[MnistResults]) -> Markdown:
    """The gaps at the top of the spectrum, for each seed and checkpoint."""
    rows = [
        (results.run.config.seed, f"{step:,}", *_gap_row(eigenvalues))
        for results in runs
        for step, eigenvalues in zip(results.steps, results.trajectory.eigenvalues, strict=True)
    ]
    return table(("seed", "step", *GAP_HEADER), rows)


def sweep_gap_table(results: MnistResults) -> Markdown:
    """The same against the number of samples."""
    config = results.run.config
    rows = [
        (f"{step:,}", f"{size:,}", *_gap_row(eigenvalues))
        for step, row in zip(config.sweep_steps, results.samples.eigenvalues, strict=True)
        for size, eigenvalues in zip(config.sweep_sizes, row, strict=True)
    ]
    return table(("step", "N", *GAP_HEADER), rows)


def headline_table(results: MnistResults) -> Markdown:
    """The original headline beside the same numbers from this run's last checkpoint."""
    config = results.run.config
    rows = []
    for name, quoted in QUOTED.items():
        low, middle, high = np.quantile(results.samples.draws[name], [0, 0.5, 1])
        rows.append(
            (
                name,
                f"{quoted:,}",
                f"{low:,.4g} … {middle:,.4g} … {high:,.4g}",
                *(f"{value:,.4g}" for value in results.samples.measures[name][-1]),
            )
        )
    header = (
        "at the last checkpoint",
        f"quoted, N = {DRAW_SIZE}",
        f"{config.draws} draws of {DRAW_SIZE}: least, median, most",
        *(f"N = {size:,}" for size in config.sweep_sizes),
    )
    return table(header, rows)


def gradient_table(results: MnistResults) -> Markdown:
    """Fraction of the full gradient in the top-10 eigenspace against the number of samples."""
    config = results.run.config
    rows = [
        (f"step {step:,}", *(f"{fraction:.0%}" for fraction in row))
        for step, row in zip(config.sweep_steps, results.samples.gradients, strict=True)
    ]
    return table(("checkpoint", *(f"N = {size:,}" for size in config.sweep_sizes)), rows)


def certificate_table(results: MnistResults) -> Markdown:
    """The worst errors over all checkpoints."""
    rows = [(what, f"{error:.0e}") for what, error in results.certificates.items()]
    return table(("worst over all checkpoints", "relative error"), rows)


def cost_table(results: MnistResults) -> Markdown:
    """Wall time of the exact Hessian over all training samples, against its floor."""
    config = results.run.config
    samples = config.sweep_sizes[-1]
    seconds = results.run.timings(SWEEP, (config.sweep_steps[-1], samples))
    took, floor = seconds["hessian"], seconds["syrk"]
    size = results.trajectory.eigenvalues.shape[1]
    rows = [
        ("exact Hessian", f"{took:,.3g} s"),
        ("`syrk` of the rows of its Jacobian, the floor", f"{floor:,.3g} s"),
        ("ratio", f"{took / floor:.2f}"),
    ]
    return table((f"{samples:,} samples, {size:,} × {size:,}", "wall time"), rows)


def _gap_row(eigenvalues: NDArray[np.float64]) -> tuple[str, ...]:
    """What `GAP_HEADER` names, for one spectrum."""
    search, level = searched(eigenvalues), second_level(eigenvalues)
    alone = [predicted(eigenvalues, rank) for rank in (PREDICTED, CLASSES)]
    return (
        f"{search.score:.2f} ({search.rank})",
        _chance(search.p),
        *(text for test in alone for text in (f"{test.score:.2f}", _chance(test.p))),
        f"{level.score:.2f} ({level.rank})",
        _chance(level.p),
    )


def _chance(p: float) -> str:
    """A p-value; the least that the draws can show is a bound."""
    return f"≤ {p:.1g}" if p <= least_p() else f"{p:.2g}"


def _range(values: list[float]) -> str:
    return f"{min(values):.1f}–{max(values):.1f}"
