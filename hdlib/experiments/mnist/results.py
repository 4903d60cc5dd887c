"""What the MNIST chapter shows of its runs: arrays for figures, tables and claims."""

from __future__ import annotations

from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from hdlib.curvature import Spectrum, parameter_layers
from hdlib.curvature.decomposition import TOLERANCE
from hdlib.experiments.lenet import TRAINING, log_spaced, model_at
from hdlib.experiments.mnist.config import SECOND, MnistConfig
from hdlib.experiments.mnist.gaps import CLASSES, predicted, searched
from hdlib.experiments.mnist.labels.results import MnistLabelsResults, published_labels
from hdlib.experiments.mnist.recipe import SPECTRA, run
from hdlib.experiments.mnist.samples import SampleResults
from hdlib.measures import GapTest, spectral_summary
from hdlib.store import Run
from hdlib.trajectory import Trajectory

Array = NDArray[np.float64]

CHOSEN = 4
ROUNDING = 1e-13
"""An eigenvalue below this part of the largest is zero, to rounding."""
ALL_DATA = "all training data"
OWN_SAMPLES = "the Hessian's samples"


def _spectrum(arrays: dict[str, NDArray]) -> Spectrum:
    """A whole spectrum as it is stored; of its certified pairs those whose vectors are."""
    eigenvalues, vectors = arrays["eigenvalues"], arrays["top_vectors"]
    pairs = slice(len(arrays["indices"]) - vectors.shape[1], None)
    return Spectrum(
        n=len(eigenvalues),
        eigenvalues=eigenvalues,
        lowest=len(eigenvalues),
        indices=arrays["indices"][pairs],
        residuals=arrays["residuals"][pairs],
        vectors=vectors[:, ::-1].astype(np.float64),
        scale=float(np.abs(eigenvalues).max()),
        tol=TOLERANCE,
        products=0,
        trace_error=float(arrays["trace_error"]),
        frobenius_error=float(arrays["frobenius_error"]),
    )


class MnistResults:
    """Everything the chapter shows, read from a complete run.

    T checkpoints, n parameters, m eigenvectors at both ends together, L layers.

    Attributes:
        run: the run.
        steps: (T,) int64.
    """

    def __init__(self, run: Run[MnistConfig]) -> None:
        self.run = run
        self.steps = np.array(run.config.checkpoints)
        self._stored = [run.arrays(SPECTRA, step) for step in run.config.checkpoints]
        self._last_model = model_at(run, run.config.checkpoints[-1])

    def at(self, step: int) -> int:
        """Position of a checkpoint.

        Raises:
            ValueError: if ``step`` is not one.
        """
        return self.run.config.checkpoints.index(step)

    def _stacked(self, key: str) -> Array:
        return np.stack([arrays[key] for arrays in self._stored])

    @cached_property
    def trajectory(self) -> Trajectory:
        """Every spectrum, with the top eigenvectors that are stored."""
        return Trajectory(self.steps, tuple(_spectrum(arrays) for arrays in self._stored))

    @cached_property
    def history(self) -> dict[str, NDArray]:
        """Columns of the training history."""
        return TRAINING.history(self.run)

    def logged(self, key: str, step: int) -> float:
        """A column of the training history at a step that was logged."""
        return float(self.history[key][np.searchsorted(self.history["step"], step)])

    @property
    def chosen_steps(self) -> list[int]:
        """Four checkpoints, evenly in log(1 + step)."""
        return log_spaced(self.run.config.checkpoints, CHOSEN)

    @property
    def chosen(self) -> dict[str, int]:
        """The chosen checkpoints: label → position among all."""
        return {f"step {step:,}": self.at(step) for step in self.chosen_steps}

    @property
    def chosen_spectra(self) -> dict[str, Spectrum]:
        """Spectra at the chosen checkpoints."""
        return {label: self.trajectory.spectra[i] for label, i in self.chosen.items()}

    @property
    def chosen_filters(self) -> dict[str, NDArray]:
        """First-layer filters at the chosen checkpoints, (O, 1, 5, 5)."""
        return {
            label: TRAINING.weights(self.run, int(self.steps[i]))["conv1.weight"].numpy()
            for label, i in self.chosen.items()
        }

    @cached_property
    def measures(self) -> dict[str, Array]:
        """Spectral measures at each checkpoint, under the names of `SpectralSummary`."""
        rows = [spectral_summary(each)._asdict() for each in self.trajectory.eigenvalues]
        return {"step": self.steps} | {key: np.array([row[key] for row in rows]) for key in rows[0]}

    @cached_property
    def resolutions(self) -> Array:
        """Resolutions ε at which clusters are counted."""
        return self.trajectory.resolutions()

    @property
    def chosen_counts(self) -> dict[str, NDArray[np.int64]]:
        """n(ε) at the chosen checkpoints."""
        counts = self.trajectory.at(self.chosen_steps).cluster_counts(self.resolutions)
        return dict(zip(self.chosen, counts, strict=True))

    @property
    def zeros(self) -> NDArray[np.int64]:
        """(T,) number of eigenvalues that are zero to rounding."""
        sizes = np.abs(self.trajectory.eigenvalues)
        return (sizes < ROUNDING * sizes.max(1, keepdims=True)).sum(1)

    @property
    def symmetric_zeros(self) -> int:
        """How many eigenvalues the invariance of softmax makes zero: weights and bias of one class.

        A vector added to all rows of the read-out changes no loss, at any weights.
        """
        return self._last_model.state_dict()["linear.weight"].shape[1] + 1

    @property
    def layers(self) -> list[str]:
        """Names of the layers."""
        return list(parameter_layers(self._last_model))

    @property
    def parameter_share(self) -> Array:
        """(L,) share of the parameters in each layer."""
        sizes = np.array([len(rows) for rows in parameter_layers(self._last_model).values()])
        return sizes / sizes.sum()

    @cached_property
    def layer_weights(self) -> Array:
        """(T, m, L) eigenvectors' weight per layer, that of the largest eigenvalue first."""
        return self._stacked("layer_weights")[:, ::-1]

    def compositions(self, k: int) -> dict[str, tuple[Array, Array]]:
        """Top k eigenvalues, descending, and their vectors' weight per layer, (k, L)."""
        return {
            label: (self.trajectory.eigenvalues[i][::-1][:k], self.layer_weights[i, :k])
            for label, i in self.chosen.items()
        }

    @cached_property
    def searched_gaps(self) -> list[GapTest]:
        """At each checkpoint, the gap with the highest score among the top 100."""
        return [searched(eigenvalues) for eigenvalues in self.trajectory.eigenvalues]

    @cached_property
    def predicted_gaps(self) -> list[GapTest]:
        """At each checkpoint, the gap below the ninth eigenvalue."""
        return [predicted(eigenvalues) for eigenvalues in self.trajectory.eigenvalues]

    @cached_property
    def gradient_fractions(self) -> dict[str, Array]:
        """Fraction of the squared gradient norm in the top-10 eigenspace, (T,) each.

        The eigenspace is that of the Hessian over the run's Hessian samples; the gradients are that
        of the loss over all training data, and that over the same samples.
        """
        return {
            ALL_DATA: self._stacked("gradient_cosines")[:, -CLASSES:].sum(1),
            OWN_SAMPLES: self._stacked("sample_gradient_cosines")[:, -CLASSES:].sum(1),
        }

    @property
    def chance(self) -> float:
        """Mean fraction of a random vector in a subspace of dimension 10."""
        return CLASSES / self.trajectory.eigenvalues.shape[1]

    @property
    def certificates(self) -> dict[str, float]:
        """The worst relative errors over all checkpoints, by what is wrong."""
        largest = np.abs(self.trajectory.eigenvalues).max(1)
        residuals = self._stacked("residuals").max(1) / largest
        return {
            "residual ‖Hv − λv‖ over |λ|max, all stored pairs": float(residuals.max()),
            "trace of H against Σλ": float(self._stacked("trace_error").max()),
            "Frobenius norm against (Σλ²)^½": float(self._stacked("frobenius_error").max()),
        }

    @cached_property
    def samples(self) -> SampleResults:
        """How the spectrum hangs on the training samples in the Hessian."""
        return SampleResults(self.run)


class PublishedMnist:
    """The runs that the chapter's claims are about, each read when it is first asked for."""

    @cached_property
    def first(self) -> MnistResults:
        """The run of the default config, from seed 42."""
        return MnistResults(run(MnistConfig()))

    @cached_property
    def second(self) -> MnistResults:
        """The first epoch from seed 43."""
        return MnistResults(run(SECOND))

    @cached_property
    def labels(self) -> MnistLabelsResults:
        """The first epoch from several seeds, with true and with shuffled labels."""
        return published_labels()

    @property
    def both(self) -> tuple[MnistResults, MnistResults]:
        """The first and the second."""
        return self.first, self.second


@cache
def published() -> PublishedMnist:
    """The published runs, read once."""
    return PublishedMnist()
