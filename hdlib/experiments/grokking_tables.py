"""The grokking chapter's tables."""

from __future__ import annotations

import numpy as np

from hdlib.display import Markdown, extent, table
from hdlib.experiments.grokking import model_at
from hdlib.experiments.grokking_measures import MIRRORED, OTHERS, attention_shifts
from hdlib.experiments.grokking_results import GrokkingResults
from hdlib.experiments.grokking_spectrum import leading_vectors
from hdlib.training import stored_checkpoints


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
    for label, position in results.chosen.items():
        at = int(np.searchsorted(results.history["step"], results.spectrum_steps[position]))
        kept = int(np.searchsorted(results.pairs["step"], results.spectrum_steps[position]))
        values = results.spectra[position]["eigenvalues"]
        bound = "" if results.spectra[position]["converged"][0] else "≤ "
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


def circuit_table(results: GrokkingResults) -> Markdown:
    """Share of each key frequency in the logits, from the start of the transition on.

    At the checkpoints with weights; at all of them where a network does not generalise.
    """
    kept = results.pairs["step"]
    shown = kept[kept >= (results.transition or kept)[0]].tolist()
    power = results.measure("logit_power")[np.searchsorted(results.steps, shown)]
    rows = [
        (f"k = {k}", *(f"{share:.1%}" for share in power[:, k - 1])) for k in results.frequencies
    ]
    return table(("share of the logits", *(f"step {step:,}" for step in shown)), rows)


def lowest_table(results: GrokkingResults, count: int = 50) -> Markdown:
    """Where the lowest eigenvectors lie, at the checkpoints with so many of them certified."""
    names = [name for name, _ in results.config.model().named_parameters()]
    rows = []
    for label, positions in results.by_phase.items():
        spectra = [results.spectra[position] for position in positions]
        sure = [found for found in spectra if found["converged"][:count].all()]
        if sure:
            ratios = [found["eigenvalues"][count - 1] / found["eigenvalues"][0] for found in sure]
            weights = np.mean([found["tensor_weights"][:count].mean(0) for found in sure], 0)
            rows.append(
                (
                    label,
                    f"{len(sure)} of {len(spectra)}",
                    extent(ratios, ".2f"),
                    *(f"{weight:.0%}" for weight in weights),
                )
            )
    return table(("phase", "checkpoints", f"λ_{count} / λ₁", *names), rows)


def head_table(results: GrokkingResults) -> Markdown:
    """How the leading eigenvectors, one more than there are heads, move each head's attention.

    At the last checkpoint with weights at which less than half of the test pairs are right, or
    at the first one.
    """
    n_heads = results.config.n_heads
    accuracy = dict(zip(results.history["step"], results.history["test_accuracy"], strict=True))
    kept = stored_checkpoints(results.run)
    step = max((step for step in kept if accuracy[step] < 0.5), default=kept[0])
    model = model_at(results.run, step)
    vectors = leading_vectors(results.config, model, n_heads + 1)
    attention, changes = attention_shifts(model, results.config.task, vectors)
    rows = [
        ("attention to a", *(f"{share:.1%}" for share in attention)),
        *(
            (f"along eigenvector {k + 1}", *(f"{change:+z.1%}" for change in row))
            for k, row in enumerate(changes)
        ),
    ]
    return table((f"step {step:,}", *(f"head {h + 1}" for h in range(n_heads))), rows)


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
    seconds = results.run.manifest["seconds"]
    rows = [(stage, f"{time / 60:,.1f} min") for stage, time in seconds.items()]
    return table(("stage", "wall time"), rows)
