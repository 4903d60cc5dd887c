"""The figures of the least-action chapter."""

from hdlib.experiments.least_action.figures.drawn import followed
from hdlib.experiments.least_action.figures.function import fourier_map, function_shares
from hdlib.experiments.least_action.figures.norms import norms, total_norms
from hdlib.experiments.least_action.figures.paths import routing, routing_map, use_of_heads
from hdlib.experiments.least_action.figures.reaching import (
    confounds,
    dose_curve,
    sweep_maps,
)
from hdlib.experiments.least_action.figures.slopes import landscape, optimizer, sensitivity
from hdlib.experiments.least_action.figures.spectra import (
    dendrograms,
    densities,
    eigenvector_frequencies,
    spectra,
)
from hdlib.experiments.least_action.figures.training import (
    accuracies_through_training,
    collapse,
    training,
)

__all__ = [
    "accuracies_through_training",
    "collapse",
    "confounds",
    "dendrograms",
    "densities",
    "dose_curve",
    "eigenvector_frequencies",
    "followed",
    "fourier_map",
    "function_shares",
    "landscape",
    "norms",
    "optimizer",
    "routing",
    "routing_map",
    "sensitivity",
    "spectra",
    "sweep_maps",
    "total_norms",
    "training",
    "use_of_heads",
]
