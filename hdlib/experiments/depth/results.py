"""What the depth chapter shows of its runs: arrays for figures, tables and claims."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from hdlib.clustering import Dendrogram
from hdlib.curvature import Density, Spectrum, adam_ceiling
from hdlib.experiments.depth.config import DepthConfig, DepthGrid
from hdlib.experiments.depth.recipe import EXACT, EXPERIMENT, SPECTRA, TOLERANCE, TRAINING
from hdlib.experiments.depth.sharpness import BETA1
from hdlib.experiments.ends import stored_density, stored_ends
from hdlib.experiments.grid import run_grid
from hdlib.models import Encoding
from hdlib.store import Run
from hdlib.training import steps_to
from hdlib.trajectory import Trajectory

Array = NDArray[np.float64]

GENERALISED = (0.9, 0.95)
"""Test accuracies from which a network counts as having generalised: the original's, and that of
the literature on sudden generalisation."""


class Network:
    """One trained network of the grid.

    T rows of the history, S checkpoints with a spectrum, k eigenvalues at each end.

    Attributes:
        run: its complete run.
        config: its config.
    """

    def __init__(self, run: Run[DepthConfig]) -> None:
        self.run, self.config = run, run.config

    @cached_property
    def history(self) -> dict[str, NDArray]:
        """Columns of the training history, (T,) each."""
        return TRAINING.history(self.run)

    def measured(self, column: str) -> tuple[NDArray, Array]:
        """Steps and values of a column, where it was measured."""
        values = self.history.get(column, np.full(len(self.history["step"]), np.nan))
        known = np.isfinite(values)
        return self.history["step"][known], values[known]

    def steps_to(self, accuracy: float) -> int | None:
        """First logged step at which so much of the test pairs is right; None where none is."""
        return steps_to(self.history, accuracy)

    @cached_property
    def spectrum_steps(self) -> NDArray[np.int64]:
        """Checkpoints with a spectrum, (S,)."""
        return np.array(SPECTRA.steps(self.run), dtype=np.int64)

    @cached_property
    def spectra(self) -> list[dict[str, NDArray]]:
        """Arrays stored at each of these."""
        return [self.run.arrays(SPECTRA, int(step)) for step in self.spectrum_steps]

    @cached_property
    def trajectory(self) -> Trajectory:
        """The ends of the spectra, as far as they are certified at every checkpoint."""
        spectra = tuple(_spectrum(self.config, arrays) for arrays in self.spectra)
        return Trajectory(self.spectrum_steps, spectra).certified_ends()

    @property
    def dendrogram(self) -> Dendrogram:
        """The dendrogram of the certified eigenvalues over the largest, at the last checkpoint."""
        return self.trajectory.relative().dendrograms[-1]

    def density(self, position: int) -> Density:
        """The density of the whole spectrum at a checkpoint, by its position."""
        arrays = self.spectra[position]
        sure = _spectrum(self.config, arrays).certified
        return stored_density(arrays, n=self.config.n_parameters, certified=sure)

    @cached_property
    def adaptive(self) -> Array:
        """Largest eigenvalue of diag(|θ|) H diag(|θ|) at each checkpoint with a spectrum, (S,)."""
        return np.array([float(arrays["adaptive_eigenvalue"][0]) for arrays in self.spectra])

    @cached_property
    def gradient_share(self) -> Array:
        """Share of the squared gradient in the space of the top eigenvectors, (S,)."""
        k = self.config.eigenpairs
        return np.array([float(arrays["gradient_cosines"][-k:].sum()) for arrays in self.spectra])

    @property
    def exact(self) -> Iterator[tuple[int, Array, Spectrum]]:
        """Steps with an exact Hessian, all its eigenvalues, and what is certain without it."""
        for step in EXACT.steps(self.run):
            eigenvalues = self.run.arrays(EXACT, step)["eigenvalues"]
            arrays = self.spectra[self.spectrum_steps.tolist().index(step)]
            yield step, eigenvalues, _spectrum(self.config, arrays).certified_ends()


def _spectrum(config: DepthConfig, arrays: dict[str, NDArray]) -> Spectrum:
    """A spectrum as it is stored, without its vectors."""
    return stored_ends(arrays, n=config.n_parameters, tol=TOLERANCE)


class DepthResults:
    """Everything the chapter shows, of all runs of its grid.

    Attributes:
        grid: parameters of the chapter.
    """

    def __init__(self, grid: DepthGrid) -> None:
        self.grid = grid
        configs = grid.configs
        runs = run_grid(EXPERIMENT, configs)
        self._networks = {c: Network(run) for c, run in zip(configs, runs, strict=True)}

    def _of(self, configs: Sequence[DepthConfig]) -> list[Network]:
        return [self._networks[config] for config in configs]

    def original(self, encoding: Encoding) -> list[Network]:
        """Networks in the original's setting with an encoding."""
        return [n for n in self._of(self.grid.original) if n.config.encoding == encoding]

    @property
    def generalising(self) -> list[Network]:
        """Networks in the setting in which they may generalise."""
        return self._of(self.grid.generalising)

    @property
    def descent(self) -> list[Network]:
        """Networks trained by plain gradient descent."""
        return self._of(self.grid.descent)

    @property
    def networks(self) -> list[Network]:
        """All of them."""
        return list(self._networks.values())

    @property
    def compared(self) -> Network:
        """The network with exact Hessians."""
        (found,) = [network for network in self.networks if network.config.exact][:1]
        return found

    @property
    def ceiling(self) -> float:
        """Largest stable eigenvalue of the Hessian as Adam sees it."""
        return adam_ceiling(self.grid.lr, BETA1)


def by_depth(
    networks: Sequence[Network], value: Callable[[Network], float]
) -> tuple[NDArray[np.int64], Array]:
    """A number of each network: depths (D,) ascending, and (D, seeds), in the order of the seeds.

    Args:
        networks: of one setting, every depth from every seed.
        value: network ↦ number.
    """
    depths = sorted({network.config.depth for network in networks})
    seeds = sorted({network.config.seed for network in networks})
    found = {(n.config.depth, n.config.seed): value(n) for n in networks}
    return np.array(depths), np.array([[found[d, s] for s in seeds] for d in depths])


PublishedDepth = DepthResults


@cache
def published() -> PublishedDepth:
    """The results of the chapter's grid as it is published."""
    return DepthResults(DepthGrid())
