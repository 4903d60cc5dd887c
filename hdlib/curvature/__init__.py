"""What the loss surface looks like at a point."""

from hdlib.curvature.averages import Mean
from hdlib.curvature.contributions import EmpiricalFisherOperator, sample_curvature
from hdlib.curvature.decomposition import spectrum
from hdlib.curvature.dense import HessianSplit, gauss_newton, hessian, hessian_split
from hdlib.curvature.density import density
from hdlib.curvature.fisher import fisher_trace
from hdlib.curvature.gradient import gradient
from hdlib.curvature.labels import ParameterLabels, parameter_labels
from hdlib.curvature.lanczos import lanczos
from hdlib.curvature.linear import CurvatureOperator
from hdlib.curvature.operator import GaussNewtonOperator, HessianOperator
from hdlib.curvature.parameters import in_shapes, layer_blocks, layer_weights, parameter_layers
from hdlib.curvature.preconditioned import PreconditionedOperator, adam_ceiling, adam_diagonal
from hdlib.curvature.quadrature import Density
from hdlib.curvature.spectrum import ConvergenceError, Spectrum
from hdlib.curvature.trace import TraceEstimate, trace

__all__ = [
    "ConvergenceError",
    "CurvatureOperator",
    "Density",
    "EmpiricalFisherOperator",
    "GaussNewtonOperator",
    "HessianOperator",
    "HessianSplit",
    "Mean",
    "ParameterLabels",
    "PreconditionedOperator",
    "Spectrum",
    "TraceEstimate",
    "adam_ceiling",
    "adam_diagonal",
    "density",
    "fisher_trace",
    "gauss_newton",
    "gradient",
    "hessian",
    "hessian_split",
    "in_shapes",
    "lanczos",
    "layer_blocks",
    "layer_weights",
    "parameter_labels",
    "parameter_layers",
    "sample_curvature",
    "spectrum",
    "trace",
]
