"""The grokking chapter's tables."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hdlib.display import SUBSCRIPTS, Markdown, extent, table
from hdlib.experiments.grokking.functions import FunctionResults
from hdlib.experiments.grokking.gaps import widest_by_chance
from hdlib.experiments.grokking.results import GrokkingResults
from hdlib.experiments.grokking.small import WholeResults
from hdlib.experiments.grokking.spectra import LEADING
from hdlib.experiments.grokking.sweep import LEARNT, GrokkingSweep, HeadGap, Outcome
from hdlib.training import MIRRORED, OTHERS

OUTCOME = (
    "steps",
    "test accuracy",
    "mirrored / others",
    f"{LEARNT:.0%} at step",
    "key frequencies",
    "explained",
)
"""What is told of each run."""


def summary_table(results: GrokkingResults) -> Markdown:
    """Loss, accuracies and sharpness at the chosen checkpoints."""
    header = (
        "checkpoint",
        "train loss",
        "test loss",
        "test accuracy",
        "of mirrored pairs",
        "of the others",
        "λmax",
        "λmin",
    )
    rows = []
    for label, step in results.chosen.items():
        at = int(np.searchsorted(results.history["step"], step))
        kept = int(np.searchsorted(results.pairs["step"], step))
        stored = results.spectra[results.position(step)]
        values = stored["eigenvalues"]
        bound = "" if stored["converged"][0] else "≤ "
        rows.append(
            (
                label,
                *(f"{results.history[key][at]:.2g}" for key in ("train_loss", "test_loss")),
                f"{results.history['test_accuracy'][at]:.1%}",
                *(f"{results.pairs[key][kept]:.1%}" for key in (MIRRORED, OTHERS)),
                f"{values[-1]:.2g}",
                f"{bound}{values[0]:.2g}",
            )
        )
    return table(header, rows)


def whole_table(results: WholeResults) -> Markdown:
    """All eigenvalues of a small network, over all pairs and over few, in numbers."""
    header = (
        "step",
        "pairs",
        "λmax",
        "λmin",
        "trace",
        "zero",
        "clearly negative",
        "gap below rank",
    )
    rows = []
    for step in results.steps:
        for sample, words in results.samples.items():
            values, gap = results.eigenvalues[sample][step], results.gap(sample, step)
            rows.append(
                (
                    f"{step:,}",
                    words,
                    *(f"{number:.2g}" for number in (values[-1], values[0], values.sum())),
                    *(f"{of(sample, step):,}" for of in (results.zeros, results.negative)),
                    f"{gap.rank} (p = {gap.p:.2g})",
                )
            )
    return table(header, rows)


def lowest_table(results: GrokkingResults, count: int = 50) -> Markdown:
    """Where the lowest eigenvectors lie, at the checkpoints with so many of them certified."""
    names = [name for name, _ in results.config.model().named_parameters()]
    columns = []
    for label, positions in results.by_phase.items():
        spectra = [results.spectra[position] for position in positions]
        sure = [found for found in spectra if found["converged"][:count].all()]
        if sure:
            ratios = [found["eigenvalues"][count - 1] / found["eigenvalues"][0] for found in sure]
            weights = np.mean([found["tensor_weights"][:count].mean(0) for found in sure], 0)
            columns.append(
                (
                    label,
                    f"{len(sure)} of {len(spectra)}",
                    extent(ratios, ".2f"),
                    *(f"{weight:.0%}" for weight in weights),
                )
            )
    ratio = f"λ{str(count).translate(SUBSCRIPTS)} / λ₁"
    header, *rows = zip(("phase", "checkpoints", ratio, *names), *columns, strict=True)
    return table(header, rows)


def head_table(functions: FunctionResults) -> Markdown:
    """How the leading eigenvectors, one more than there are heads, move each head's attention."""
    found = functions.attention
    rows = [
        ("attention to a", *(f"{share:.1%}" for share in found.to_a)),
        *(
            (f"along eigenvector {k + 1}", *(f"{change:+z.1%}" for change in row))
            for k, row in enumerate(found.changes)
        ),
    ]
    heads = (f"head {h + 1}" for h in range(len(found.to_a)))
    return table((f"step {found.step:,}", *heads), rows)


def network_table(sweep: GrokkingSweep) -> Markdown:
    """How far each run of each network came."""
    rows = [
        (name, run.config.seed, *_cells(outcome))
        for name, outcomes in sweep.outcomes.items()
        for run, outcome in zip(sweep.networks[name], outcomes, strict=True)
    ]
    return table(("network", "seed", *OUTCOME), rows, lists=("key frequencies",))


def _cells(outcome: Outcome) -> tuple[str, ...]:
    """What is told of a run; its frequencies where there is a circuit."""
    learnt = outcome.learnt is not None
    return (
        f"{outcome.steps:,}",
        f"{outcome.accuracy:.1%}",
        f"{outcome.mirrored:.1%} / {outcome.others:.1%}",
        f"{outcome.learnt:,}" if learnt else "never",
        ", ".join(map(str, outcome.frequencies)) if learnt else "",
        f"{outcome.explained:.0%}" if learnt else "",
    )


def gap_table(gaps: Mapping[str, HeadGap]) -> Markdown:
    """The gap below as many eigenvalues as there are heads, in runs of these names.

    By chance: how often that gap is the widest of as many in a featureless spectrum.
    """
    chance = widest_by_chance(LEADING)
    rows = [
        (
            name,
            gap.heads,
            extent(gap.below, ".2f", "–") if gap.early.any() else "",
            f"{(gap.widest == gap.heads).sum()} of {gap.early.sum()}",
            extent(chance[:, gap.heads - 1], ".0%", "–"),
            f"{gap.accuracy:.1%}",
            f"{gap.at_the_end:.2f}",
        )
        for name, gap in gaps.items()
    ]
    header = (
        "network",
        "h",
        "λₕ / λₕ₊₁",
        f"largest of {LEADING}",
        "by chance",
        "test accuracy",
        "at the end",
    )
    return table(header, rows)


def control_table(sweep: GrokkingSweep) -> Markdown:
    """The same of the networks that try to break what was found of heads."""
    named = {
        f"{kind}: {name}": gap
        for kind, group in sweep.control_gaps.items()
        for name, gap in group.items()
    }
    return gap_table(named)


def certificate_table(results: GrokkingResults) -> Markdown:
    """Certified pairs at both ends, and the worst residual among them."""
    k = results.config.eigenpairs
    rows = []
    for label, positions in results.by_phase.items():
        spectra = [results.spectra[position] for position in positions]
        residuals = [
            found["residuals"][found["converged"]].max() / np.abs(found["eigenvalues"]).max()
            for found in spectra
        ]
        rows.append(
            (
                label,
                f"{len(spectra)}",
                extent([found["converged"][k:].sum() for found in spectra]),
                extent([found["converged"][:k].sum() for found in spectra]),
                f"{max(residuals):.0e}",
                extent([int(found["products"]) for found in spectra], ","),
            )
        )
    header = ("phase", "spectra", "top", "bottom", "worst residual / |λ|max", "products")
    return table(header, rows)


def cost_table(results: GrokkingResults) -> Markdown:
    """Wall time of the run's stages."""
    run = results.run
    seconds = {stage.name.partition("/")[2]: run.stored(stage).seconds for stage in run.stages}
    rows = [(stage, f"{time / 60:,.1f} min") for stage, time in seconds.items() if time]
    return table(("stage", "wall time"), rows)
