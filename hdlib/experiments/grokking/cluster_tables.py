"""The grokking chapter's tables of clusters: their purity, moves along them, and the lowest one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hdlib.display import Markdown, table
from hdlib.experiments.grokking.clusters import NEAR, PurityResults
from hdlib.experiments.grokking.spectra import DOSES, LEADING


def purity_table(purities: Mapping[str, PurityResults]) -> Markdown:
    """Purity of eigenvectors and of clusters at the end of training, beside their nulls."""
    rows = []
    for name, found in purities.items():
        step = found.steps[-1]
        leading, clusters = found.leading(step), found.clusters(step)
        same, neighbours, any_same, pairs = found.neighbours(step)
        beyond = sum(cluster.purity > cluster.usual for cluster in clusters)
        rows.append(
            (
                name,
                f"{leading.purity:.2f}",
                f"{leading.rotated.mean():.2f} ({leading.rotated.max():.2f})",
                f"{leading.relabelled.max():.2f}",
                f"{(found.pure(step) > 0).sum()}",
                f"{same} of {neighbours}" if neighbours else "",
                f"{any_same / pairs:.0%}" if pairs else "",
                f"{beyond / len(clusters):.0%}",
            )
        )
    header = (
        "network",
        f"purity, first {LEADING}",
        "random bases (most)",
        "relabelled",
        "of one frequency",
        "alike",
        "any two",
        "pure clusters",
    )
    return table(header, rows)


def cluster_table(purities: PurityResults, steps: Sequence[int], last: int = 12) -> Markdown:
    """The tightest clusters of the leading eigenvalues, their frequency and their purity.

    Args:
        purities: purities of a run.
        steps: checkpoints.
        last: the last rank that is looked at.
    """
    rows = [
        (
            f"{step:,}",
            f"{cluster.first} to {cluster.first + cluster.size - 1}",
            cluster.frequency,
            f"{cluster.purity:.2f}",
            f"{cluster.usual:.2f}",
        )
        for step in steps
        for cluster in purities.clusters(step)
        if cluster.size <= 3 and cluster.first + cluster.size - 1 <= last
    ]
    return table(("step", "ranks", "frequency", "purity", "95% of random subspaces"), rows)


def move_table(purities: Mapping[str, PurityResults]) -> Markdown:
    """Mean purity of what moves of several lengths change, and how far that is from linear."""
    rows = []
    for name, found in purities.items():
        series = found.doses(found.steps[-1])
        own, rotated, random = (
            series[f"{of}_purity"][:, 0].mean(1) for of in ("eigenvectors", "rotated", "random")
        )
        purity = {"eigenvectors": own, "random basis": rotated, "random directions": random}
        rows += [
            (f"{name}: {of}", *(f"{value:.2f}" for value in values))
            for of, values in purity.items()
        ]
        departures = np.median(series["eigenvectors_departure"], 1)
        rows.append((f"{name}: not linear", "", *(f"{value:.2f}" for value in departures)))
    return table(("purity", "J v", *(f"{100 * dose:g}%" for dose in DOSES)), rows)


def closed_form_table(purities: PurityResults) -> Markdown:
    """The lowest eigenvalue beside its closed form −σ₁, its copies, and the twins at +σ₁."""
    rows = []
    for found in purities.lowest:
        twins = [
            f"{(np.abs(np.abs(ritz) - 1) <= NEAR).sum()} ({residuals[0]:.2f})"
            for ritz, residuals in (
                (found.minus, found.minus_residuals),
                (found.plus, found.plus_residuals),
            )
        ]
        rows.append(
            (
                f"{found.step:,}",
                f"{-found.sigma:.3g}",
                f"{found.ratios[0]:.3f}",
                found.below,
                f"{found.ratios[9]:.3f}",
                found.copies,
                found.certified,
                *twins,
            )
        )
    header = (
        "step",
        "−σ₁",
        "λ₁ / −σ₁",
        "below",
        "λ₁₀ / −σ₁",
        f"within {NEAR:.0%}",
        "certified",
        "at −σ₁ (residual)",
        "at +σ₁",
    )
    return table(header, rows)
