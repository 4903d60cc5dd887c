"""Watch circuits form in neural networks through the curvature of the loss."""

from hdlib.clustering import Dendrogram, Gap, dendrogram
from hdlib.curvature import (
    ConvergenceError,
    HessianSplit,
    Spectrum,
    gauss_newton,
    gradient,
    hessian,
    hessian_split,
    layer_blocks,
    layer_weights,
    parameter_layers,
    sample_curvature,
    spectrum,
)

__all__ = [
    "ConvergenceError",
    "Dendrogram",
    "Gap",
    "HessianSplit",
    "Spectrum",
    "dendrogram",
    "gauss_newton",
    "gradient",
    "hessian",
    "hessian_split",
    "layer_blocks",
    "layer_weights",
    "parameter_layers",
    "sample_curvature",
    "spectrum",
]
