"""What the loss surface looks like at a point."""

from hdlib.curvature.contributions import sample_curvature
from hdlib.curvature.dense import HessianSplit, gauss_newton, hessian, hessian_split
from hdlib.curvature.gradient import gradient
from hdlib.curvature.parameters import layer_blocks, layer_weights, parameter_layers
from hdlib.curvature.spectrum import ConvergenceError, Spectrum, spectrum

__all__ = [
    "ConvergenceError",
    "HessianSplit",
    "Spectrum",
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
