"""What the MNIST chapter shows of its run: arrays for the figures, and tables."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hdlib.clustering import dendrogram
from hdlib.curvature import Spectrum, parameter_layers
from hdlib.display import Markdown, table
from hdlib.experiments.mnist import (
    DRAW_SIZE,
    MnistConfig,
    draws_name,
    log_spaced,
    model_at,
    spectrum_name,
    sweep_name,
)
from hdlib.experiments.mnist_outliers import (
    CLASSES,
    GAP_HEADER,
    gap_row,
    null_table,
    predicted,
    searched,
)
from hdlib.measures import GapTest, spectral_summary, subspace_overlap
from hdlib.runs import Run
from hdlib.training import HISTORY, checkpoint_name
from hdlib.trajectory import Trajectory

Array = NDArray[np.float64]

CHOSEN = 4
RESOLUTIONS = 200
LARGEST = "largest eigenvalue"
GAP = "gap to the next"
RANK = "rank of the highest score"
SCORE = "highest score of 100"
CARRY = "images that carry λ"
SMALL = "eigenvalues with |λ| < 0.01"
QUOTED = {LARGEST: 52.1, GAP: 39.8, SMALL: 5_075}
"""The original work's headline: step 14,070, test accuracy 98.6%, Hessian over 50 samples."""


def headline(eigenvalues: Array) -> dict[str, float]:
    """The numbers of the original work's headline, for a spectrum in ascending order."""
    return {
        LARGEST: float(eigenvalues[-1]),
        GAP: float(eigenvalues[-1] - eigenvalues[-2]),
        SMALL: spectral_summary(eigenvalues).n_small,
    }


class MnistResults:
    """Everything the chapter shows, read from a complete run.

    T checkpoints, n parameters, m eigenvectors at both ends together, L layers.

    Attributes:
        run: the run.
        steps: (T,) int64.
        quoted: the original work's headline.
    """

    quoted = QUOTED

    def __init__(self, run: Run[MnistConfig]) -> None:
        self.run = run
        self.steps = np.array(run.config.checkpoints)
        self._spectra = [run.arrays(spectrum_name(step)) for step in run.config.checkpoints]
        self._last_model = model_at(run, run.config.checkpoints[-1])

    def _stacked(self, key: str) -> Array:
        return np.stack([spectrum[key] for spectrum in self._spectra])

    @cached_property
    def eigenvalues(self) -> Array:
        """(T, n), ascending."""
        return self._stacked("eigenvalues")

    @cached_property
    def trajectory(self) -> Trajectory:
        """All eigenvalues at each checkpoint."""
        none = np.empty(0)
        return Trajectory(
            self.steps,
            tuple(
                Spectrum(
                    n=len(values),
                    eigenvalues=values,
                    lowest=len(values),
                    indices=none.astype(np.int64),
                    residuals=none,
                    vectors=np.empty((len(values), 0)),
                    scale=float(np.abs(values).max()),
                    tol=0.0,
                    products=0,
                )
                for values in self.eigenvalues
            ),
        )

    @cached_property
    def history(self) -> dict[str, NDArray]:
        """Columns of the training history."""
        return self.run.table(HISTORY)

    @property
    def chosen(self) -> dict[str, int]:
        """Four checkpoints, evenly in log(1 + step): label → position among the checkpoints."""
        steps = self.run.config.checkpoints
        return {f"step {step:,}": steps.index(step) for step in log_spaced(steps, CHOSEN)}

    @property
    def chosen_spectra(self) -> dict[str, Array]:
        """Eigenvalues at the chosen checkpoints."""
        return {label: self.eigenvalues[i] for label, i in self.chosen.items()}

    @property
    def chosen_filters(self) -> dict[str, NDArray]:
        """First-layer filters at the chosen checkpoints, (O, 1, 5, 5)."""
        return {
            label: self.run.arrays(checkpoint_name(int(self.steps[i])))["conv1.weight"]
            for label, i in self.chosen.items()
        }

    @cached_property
    def measures(self) -> dict[str, Array]:
        """Spectral measures at each checkpoint, under the names of `SpectralSummary`."""
        rows = [spectral_summary(eigenvalues)._asdict() for eigenvalues in self.eigenvalues]
        return {"step": self.steps} | {key: np.array([row[key] for row in rows]) for key in rows[0]}

    @cached_property
    def resolutions(self) -> Array:
        """200 resolutions ε, evenly in log ε, from a billionth of the largest gap to it."""
        largest = np.diff(self.eigenvalues, axis=1).max()
        return np.geomspace(largest * 1e-9, largest, RESOLUTIONS)

    @cached_property
    def cluster_counts(self) -> NDArray[np.int64]:
        """n(ε), (T, resolutions)."""
        return np.stack([dendrogram(e).n_clusters(self.resolutions) for e in self.eigenvalues])

    @property
    def chosen_counts(self) -> dict[str, NDArray[np.int64]]:
        """n(ε) at the chosen checkpoints."""
        return {label: self.cluster_counts[i] for label, i in self.chosen.items()}

    @property
    def layers(self) -> list[str]:
        """Names of the layers."""
        return list(parameter_layers(self._last_model))

    @property
    def parameter_share(self) -> Array:
        """(L,) share of the parameters in each layer."""
        sizes = np.array([len(rows) for rows in parameter_layers(self._last_model).values()])
        return sizes / sizes.sum()

    def compositions(self, k: int) -> dict[str, tuple[Array, Array]]:
        """Top k eigenvalues, descending, and their vectors' weight per layer, (k, L)."""
        return {
            label: (self.eigenvalues[i][::-1][:k], self._spectra[i]["layer_weights"][::-1][:k])
            for label, i in self.chosen.items()
        }

    @cached_property
    def searched_gaps(self) -> list[GapTest]:
        """At each checkpoint, the gap with the highest score among the top 100."""
        return [searched(eigenvalues) for eigenvalues in self.eigenvalues]

    @cached_property
    def predicted_gaps(self) -> list[GapTest]:
        """At each checkpoint, the gap below the ninth eigenvalue."""
        return [predicted(eigenvalues) for eigenvalues in self.eigenvalues]

    @cached_property
    def gradient_fractions(self) -> dict[str, Array]:
        """Fraction of the squared gradient norm in the top-10 eigenspace, (T,) each.

        The eigenspace is that of the Hessian over the run's Hessian samples; the gradients are that
        of the loss over all training data, and that over the same samples.
        """
        return {
            "all training data": self._stacked("gradient_cosines")[:, -CLASSES:].sum(1),
            "the Hessian's samples": self._stacked("sample_gradient_cosines")[:, -CLASSES:].sum(1),
        }

    @property
    def chance(self) -> float:
        """Mean fraction of a random vector in a subspace of dimension 10."""
        return CLASSES / self.eigenvalues.shape[1]

    @cached_property
    def subspace_overlaps(self) -> Array:
        """Overlap of the top eigenspaces of every two checkpoints, (T, T)."""
        bases = self._stacked("top_vectors").astype(np.float64)
        return np.array([[subspace_overlap(a, b) for b in bases] for a in bases])

    @cached_property
    def _sweep(self) -> list[list[dict[str, NDArray]]]:
        config = self.run.config
        if not config.sweep_steps:
            raise ValueError("this run has no sample sweep: sweep_checkpoints=0; at least 1 needed")
        return [
            [self.run.arrays(sweep_name(step, n)) for n in config.sweep_sizes]
            for step in config.sweep_steps
        ]

    @cached_property
    def sweep_measures(self) -> dict[str, Array]:
        """Headline numbers and highest scores by number of samples, (sweep steps, sizes)."""
        names = [*QUOTED, RANK, SCORE, CARRY]
        values = []
        for row in self._sweep:
            for entry in row:
                eigenvalues = entry["eigenvalues"]
                carry = float(entry["effective_samples"])
                numbers = headline(eigenvalues).values()
                gap = searched(eigenvalues)
                values.append([*numbers, gap.rank, gap.score, carry])
        shape = len(self._sweep), len(self._sweep[0]), len(names)
        return dict(zip(names, np.moveaxis(np.reshape(values, shape), 2, 0), strict=True))

    @property
    def sweep_shares(self) -> dict[str, Array]:
        """Cumulative share of λ₁ carried by the hardest samples, at the last checkpoint."""
        sizes = self.run.config.sweep_sizes
        return {
            f"N = {size:,}": entry["top_curvature_shares"]
            for size, entry in zip(sizes, self._sweep[-1], strict=True)
        }

    @cached_property
    def draw_headlines(self) -> dict[str, Array]:
        """Headline numbers of each independent draw of 50 samples at the last checkpoint."""
        config = self.run.config
        if not config.draws:
            raise ValueError("this run has no draws: draws=0; at least 1 is needed")
        spectra = self.run.arrays(draws_name(config.checkpoints[-1]))["eigenvalues"]
        rows = [headline(eigenvalues) for eigenvalues in spectra]
        return {key: np.array([row[key] for row in rows]) for key in QUOTED}

    def reference(self, name: str) -> float:
        """A headline number at the last checkpoint, from all training samples."""
        return float(self.sweep_measures[name][-1, -1])

    def summary_table(self) -> Markdown:
        """The chosen checkpoints at a glance."""
        history, measures = self.history, self.measures
        rows = []
        for i in self.chosen.values():
            row = int(np.flatnonzero(history["step"] == self.steps[i])[0])
            rows.append(
                (
                    f"{self.steps[i]:,}",
                    f"{history['test_accuracy'][row]:.2%}",
                    f"{measures['largest_eigenvalue'][i]:.3g}",
                    f"{measures['smallest_eigenvalue'][i]:.2g}",
                    f"{measures['n_negative'][i]:,.0f}",
                    f"{measures['n_small'][i]:,.0f}",
                    f"{self.searched_gaps[i].score:.1f} ({self.searched_gaps[i].rank})",
                    f"{self.gradient_fractions['all training data'][i]:.0%}",
                )
            )
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

    def sweep_gap_table(self) -> Markdown:
        """The gaps at the top against the number of samples, as `GAP_HEADER` names them."""
        config = self.run.config
        rows = [
            (f"{step:,}", f"{size:,}", *gap_row(entry["eigenvalues"]))
            for step, row in zip(config.sweep_steps, self._sweep, strict=True)
            for size, entry in zip(config.sweep_sizes, row, strict=True)
        ]
        return table(("step", "N", *GAP_HEADER), rows)

    def null_table(self) -> Markdown:
        """What the gaps are tested against: see `hdlib.experiments.mnist_outliers.null_table`."""
        return null_table(self.eigenvalues)

    def headline_table(self) -> Markdown:
        """The original headline beside the same numbers from this run's last checkpoint."""
        sizes = self.run.config.sweep_sizes
        rows = []
        for name, quoted in QUOTED.items():
            draws = self.draw_headlines[name]
            low, middle, high = np.quantile(draws, [0, 0.5, 1])
            rows.append(
                (
                    name,
                    f"{quoted:,}",
                    f"{low:,.4g} … {middle:,.4g} … {high:,.4g}",
                    *(f"{value:,.4g}" for value in self.sweep_measures[name][-1]),
                )
            )
        count = self.run.config.draws
        header = (
            "at the last checkpoint",
            f"quoted, N = {DRAW_SIZE}",
            f"{count} draws of {DRAW_SIZE}: least, median, most",
            *(f"N = {size:,}" for size in sizes),
        )
        return table(header, rows)

    def gradient_table(self) -> Markdown:
        """Fraction of the full gradient in the top-10 eigenspace against the number of samples."""
        config = self.run.config
        rows = [
            (
                f"step {step:,}",
                *(f"{entry['gradient_cosines'][-CLASSES:].sum():.0%}" for entry in row),
            )
            for step, row in zip(config.sweep_steps, self._sweep, strict=True)
        ]
        return table(("checkpoint", *(f"N = {size:,}" for size in config.sweep_sizes)), rows)

    def certificate_table(self) -> Markdown:
        """The worst errors over all checkpoints."""
        largest = np.abs(self.eigenvalues).max(1)
        residual = (self._stacked("residuals").max(1) / largest).max()
        rows = [
            ("residual ‖Hv − λv‖ over |λ|max, all stored pairs", f"{residual:.0e}"),
            ("trace of H against Σλ", f"{self._stacked('trace_error').max():.0e}"),
            ("Frobenius norm against (Σλ²)^½", f"{self._stacked('frobenius_error').max():.0e}"),
        ]
        return table(("worst over all checkpoints", "relative error"), rows)

    def cost_table(self) -> Markdown:
        """Wall time of the exact Hessian over all training samples, against its floor."""
        config = self.run.config
        name = sweep_name(config.sweep_steps[-1], config.sweep_sizes[-1])
        seconds = self.run.manifest["seconds"]
        took, floor = seconds[f"hessian {name}"], seconds[f"syrk {name}"]
        size = self.eigenvalues.shape[1]
        rows = [
            ("exact Hessian", f"{took:,.3g} s"),
            ("`syrk` of the rows of its Jacobian, the floor", f"{floor:,.3g} s"),
            ("ratio", f"{took / floor:.2f}"),
        ]
        samples = config.sweep_sizes[-1]
        return table((f"{samples:,} samples, {size:,} × {size:,}", "wall time"), rows)
