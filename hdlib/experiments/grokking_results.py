"""What the grokking chapter shows of its run: arrays for the figures, and tables."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hdlib.clustering import Unresolved, dendrogram
from hdlib.curvature import Density, adam_ceiling
from hdlib.display import Markdown, extent, table
from hdlib.experiments.grokking import measures_name, model_at, spectrum_name
from hdlib.experiments.grokking_config import GrokkingConfig
from hdlib.experiments.grokking_measures import PROBED, attention_shifts
from hdlib.experiments.grokking_spectrum import leading_vectors, ranked
from hdlib.measures import Phases, phases
from hdlib.runs import Run
from hdlib.training import HISTORY, stored_checkpoints

Array = NDArray[np.float64]

RESOLUTIONS = 200
FINEST = 1e-6
PHASES = ("memorisation", "circuit formation", "clean-up")
NEGATIVE = 1e-4
"""An eigenvalue below so much of the largest |λ| counts as negative: what is nearer to zero the
quadrature cannot tell from it."""


def transition(history: dict[str, NDArray]) -> tuple[int, int] | None:
    """Steps where the test accuracy leaves 5% and where it reaches 95%; None where it does not."""
    accuracy, steps = history["test_accuracy"], history["step"]
    if accuracy.max() < 0.95:
        return None
    return int(steps[np.flatnonzero(accuracy > 0.05)[0]]), int(
        steps[np.flatnonzero(accuracy > 0.95)[0]]
    )


class GrokkingResults:
    """Everything the chapter shows, read from a complete run.

    T checkpoints, S of them with a spectrum, K key frequencies, P parameters.

    Attributes:
        run: the run.
        steps: (T,) int64, checkpoints with measures of the circuit.
        spectrum_steps: (S,) int64, checkpoints with a spectrum.
    """

    def __init__(self, run: Run[GrokkingConfig]) -> None:
        self.run = run
        self.config = run.config
        self.steps = np.array(run.steps("measures"))
        self.spectrum_steps = np.array(run.steps("spectra"))
        self._measures = [run.arrays(measures_name(int(step))) for step in self.steps]
        self._spectra = [run.arrays(spectrum_name(int(step))) for step in self.spectrum_steps]
        self.n_parameters = sum(p.numel() for p in run.config.model().parameters())

    def measure(self, key: str) -> NDArray:
        """A measure of the circuit at every checkpoint, (T, …)."""
        return np.stack([measured[key] for measured in self._measures])

    @cached_property
    def history(self) -> dict[str, NDArray]:
        """Columns of the training history."""
        return self.run.table(HISTORY)

    @property
    def frequencies(self) -> list[int]:
        """Key frequencies of the last checkpoint."""
        return self._measures[-1]["frequencies"].tolist()

    @property
    def progress(self) -> dict[str, NDArray]:
        """Restricted and excluded loss at every checkpoint."""
        losses = {key: self.measure(key) for key in ("restricted_loss", "excluded_loss")}
        return {"step": self.steps} | losses

    @cached_property
    def phases(self) -> Phases:
        """Ends of memorisation, circuit formation and clean-up, from the measures."""
        at = np.searchsorted(self.history["step"], self.steps)
        return phases(
            self.steps,
            train_loss=self.history["train_loss"][at],
            test_loss=self.history["test_loss"][at],
            excluded_loss=self.measure("excluded_loss"),
            chance=float(np.log(self.config.p)),
        )

    @property
    def transition(self) -> tuple[int, int] | None:
        """First and last step of the transition."""
        return transition(self.history)

    @cached_property
    def n_bottom(self) -> int:
        """How many of the lowest eigenvalues are certified at every checkpoint with a spectrum."""
        k = self.config.eigenpairs
        return min(int(ranked(found["converged"], k)[:k].sum()) for found in self._spectra)

    @cached_property
    def eigenvalues(self) -> Array:
        """(S, lowest + eigenpairs), ascending: certified at every checkpoint with a spectrum.

        Raises:
            ArithmeticError: if one of the highest is not certified.
        """
        k = self.config.eigenpairs
        for step, found in zip(self.spectrum_steps, self._spectra, strict=True):
            if not found["converged"][k:].all():
                raise ArithmeticError(f"not all of the top {k} eigenpairs converged at step {step}")
        lowest = [found["eigenvalues"][: self.n_bottom] for found in self._spectra]
        highest = [found["eigenvalues"][k:] for found in self._spectra]
        return np.hstack([np.stack(lowest), np.stack(highest)])

    @cached_property
    def relative(self) -> Array:
        """`eigenvalues` over the largest of each checkpoint."""
        return self.eigenvalues / self.eigenvalues[:, -1:]

    @property
    def unresolved(self) -> Unresolved:
        """The eigenvalues between the certified ones at both ends."""
        return Unresolved(self.n_bottom, self.n_parameters - self.eigenvalues.shape[1])

    @cached_property
    def chosen(self) -> dict[str, int]:
        """Checkpoints before, during and after the transition: label → position among spectra."""
        first, last = self.transition or (int(self.steps[0]), int(self.steps[-1]))
        wanted = {"memorised": first / 2, "transition": (first + last) / 2, "end": self.steps[-1]}
        positions = {
            name: int(np.abs(self.spectrum_steps - step).argmin()) for name, step in wanted.items()
        }
        return {
            f"{name}, step {self.spectrum_steps[position]:,}": position
            for name, position in positions.items()
        }

    @property
    def chosen_spectra(self) -> dict[str, Array]:
        """Certified eigenvalues over the largest, at the chosen checkpoints."""
        return {label: self.relative[position] for label, position in self.chosen.items()}

    @cached_property
    def resolutions(self) -> Array:
        """200 resolutions ε, evenly in log ε from 10⁻⁶ to the largest gap, λmax = 1."""
        return np.geomspace(FINEST, np.diff(self.relative).max(), RESOLUTIONS)

    @cached_property
    def cluster_counts(self) -> NDArray[np.int64]:
        """n(ε) of the relative spectrum at each checkpoint with one, (S, 200)."""
        return np.stack(
            [
                dendrogram(values, unresolved=self.unresolved).n_clusters(self.resolutions)
                for values in self.relative
            ]
        )

    @property
    def chosen_counts(self) -> dict[str, NDArray[np.int64]]:
        """n(ε) at the chosen checkpoints."""
        return {label: self.cluster_counts[position] for label, position in self.chosen.items()}

    @cached_property
    def _densities(self) -> list[Density]:
        return [
            Density(
                self.n_parameters,
                found["eigenvalues"][found["converged"]],
                found["density_diagonal"],
                found["density_coupling"],
            )
            for found in self._spectra
        ]

    @cached_property
    def summary(self) -> tuple[dict[str, Array], dict[str, Array]]:
        """Measures of the whole spectrum at each checkpoint with one, and their errors.

        Trace, entropy and the number of eigenvalues below −10⁻⁴ |λ|max come from the quadrature.
        Errors of the first two are standard errors; that of the number covers all that the
        quadrature leaves open. Where the lowest pair is not certified, the smallest eigenvalue is
        an upper bound, as every Ritz value is.
        """
        largest = self.eigenvalues[:, -1]
        lowest = np.array([found["eigenvalues"][0] for found in self._spectra])
        bounds = -NEGATIVE * np.maximum(largest, -lowest)
        traces = [density.trace() for density in self._densities]
        entropies = [density.entropy() for density in self._densities]
        counts = [d.count(-np.inf, bound) for d, bound in zip(self._densities, bounds, strict=True)]
        measures = {
            "step": self.spectrum_steps,
            "trace": np.array([trace.value for trace in traces]),
            "spectral_entropy": np.array([entropy.value for entropy in entropies]),
            "n_negative": np.array([count.value for count in counts]),
            "largest_eigenvalue": largest,
            "smallest_eigenvalue": lowest,
        }
        errors = {
            "trace": np.array([trace.standard_error for trace in traces]),
            "spectral_entropy": np.array([entropy.standard_error for entropy in entropies]),
            "n_negative": np.array([(c.highest - c.lowest) / 2 + c.standard_error for c in counts]),
        }
        return measures, errors

    @property
    def frequency_names(self) -> list[str]:
        """Columns of `overlap`."""
        return ["constant", *map(str, self.frequencies), "others"]

    def overlap(self, position: int) -> tuple[Array, dict[str, tuple[Array, Array]]]:
        """The top 30 eigenvectors' weight in each frequency's subspace, and a random direction's.

        Returns:
            Eigenvalues (30,), descending; for embedding and unembedding weights (30, K + 2) and the
            mean weights of a random direction (K + 2,).
        """
        found = self._spectra[position]
        keys = len(self.frequencies)
        others = (self.config.p - 1) // 2 - keys
        chance = np.array([1, *[2] * keys, 2 * others]) * self.config.width / self.n_parameters
        weights = {
            tensor: (_top(found[f"{tensor}_frequencies"]).astype(np.float64), chance)
            for tensor in ("embedding", "unembedding")
        }
        return _top(found["eigenvalues"]), weights

    def responses(self, position: int) -> tuple[Array, Array, Array]:
        """Eigenvalues (30,), responses along their vectors (30, K), along random directions."""
        found = self._spectra[position]
        return _top(found["eigenvalues"]), found["responses"], found["random_responses"]

    @property
    def adam(self) -> tuple[Array, float]:
        """Largest eigenvalue of the Hessian as Adam sees it, (S,), NaN at step 0; its ceiling."""
        values = [found.get("adam_eigenvalue", np.array([np.nan]))[0] for found in self._spectra]
        return np.array(values), adam_ceiling(self.config.lr, self.config.beta1)

    def summary_table(self) -> Markdown:
        """Loss, accuracy and sharpness at the chosen checkpoints."""
        header = ("checkpoint", "train loss", "test loss", "test accuracy", "λmax", "λmin")
        rows = []
        for label, position in self.chosen.items():
            at = int(np.searchsorted(self.history["step"], self.spectrum_steps[position]))
            values = self._spectra[position]["eigenvalues"]
            bound = "" if self._spectra[position]["converged"][0] else "≤ "
            rows.append(
                (
                    label,
                    *(f"{self.history[key][at]:.2g}" for key in ("train_loss", "test_loss")),
                    f"{self.history['test_accuracy'][at]:.1%}",
                    f"{values[-1]:.2g}",
                    f"{bound}{values[0]:.2g}",
                )
            )
        return table(header, rows)

    @cached_property
    def by_phase(self) -> dict[str, list[int]]:
        """Positions of the spectra in each phase that has some, the start on its own."""
        ends = {"before training": 0, **dict(zip(PHASES, self.phases, strict=True))}
        ends = {label: end for label, end in ends.items() if end is not None}
        ends["afterwards"] = self.config.n_steps
        stops = np.searchsorted(self.spectrum_steps, list(ends.values()), side="right")
        found = zip(ends, (0, *stops[:-1]), stops, strict=True)
        return {label: list(range(start, stop)) for label, start, stop in found if start < stop}

    def lowest_table(self, count: int = 50) -> Markdown:
        """Where the lowest eigenvectors lie, at the checkpoints with so many of them certified."""
        names = [name for name, _ in self.config.model().named_parameters()]
        rows = []
        for label, positions in self.by_phase.items():
            spectra = [self._spectra[position] for position in positions]
            sure = [found for found in spectra if found["converged"][:count].all()]
            if sure:
                ratios = [
                    found["eigenvalues"][count - 1] / found["eigenvalues"][0] for found in sure
                ]
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

    def head_table(self) -> Markdown:
        """How the leading eigenvectors, one more than there are heads, move each head's attention.

        At the last checkpoint with weights at which less than half of the test pairs are right, or
        at the first one.
        """
        n_heads = self.config.n_heads
        accuracy = dict(zip(self.history["step"], self.history["test_accuracy"], strict=True))
        kept = stored_checkpoints(self.run)
        step = max((step for step in kept if accuracy[step] < 0.5), default=kept[0])
        model = model_at(self.run, step)
        vectors = leading_vectors(self.config, model, n_heads + 1)
        attention, changes = attention_shifts(model, self.config.task, vectors)
        rows = [
            ("attention to a", *(f"{share:.1%}" for share in attention)),
            *(
                (f"along eigenvector {k + 1}", *(f"{change:+z.1%}" for change in row))
                for k, row in enumerate(changes)
            ),
        ]
        return table((f"step {step:,}", *(f"head {h + 1}" for h in range(n_heads))), rows)

    def certificate_table(self) -> Markdown:
        """Certified pairs at both ends, and the worst residual among them."""
        k = self.config.eigenpairs
        rows = []
        for label, positions in self.by_phase.items():
            spectra = [self._spectra[position] for position in positions]
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

    def cost_table(self) -> Markdown:
        """Wall time of the run's stages."""
        seconds = self.run.manifest["seconds"]
        rows = [(stage, f"{time / 60:,.1f} min") for stage, time in seconds.items()]
        return table(("stage", "wall time"), rows)


def _top(values: NDArray) -> NDArray:
    """The last 30 rows, the last first."""
    return values[::-1][:PROBED]
