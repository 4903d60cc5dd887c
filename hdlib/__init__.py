"""Watch circuits form in neural networks through the curvature of the loss."""

from importlib import import_module
from types import ModuleType

from hdlib.checkpoints import trajectory
from hdlib.clustering import (
    Circuits,
    Dendrogram,
    FiedlerTree,
    Gap,
    algebraic_connectivity,
    circuits,
    dendrogram,
    fiedler_tree,
    permuted_within_blocks,
)
from hdlib.curvature import (
    ConvergenceError,
    CurvatureOperator,
    Density,
    EmpiricalFisherOperator,
    GaussNewtonOperator,
    HessianOperator,
    HessianSplit,
    ParameterLabels,
    PreconditionedOperator,
    Spectrum,
    TraceEstimate,
    density,
    fisher_trace,
    gauss_newton,
    gradient,
    hessian,
    hessian_split,
    in_shapes,
    lanczos,
    layer_blocks,
    layer_weights,
    parameter_labels,
    parameter_layers,
    sample_curvature,
    spectrum,
    trace,
)
from hdlib.trajectory import Trajectory

__all__ = [
    "Circuits",
    "ConvergenceError",
    "CurvatureOperator",
    "Dendrogram",
    "Density",
    "EmpiricalFisherOperator",
    "FiedlerTree",
    "Gap",
    "GaussNewtonOperator",
    "HessianOperator",
    "HessianSplit",
    "ParameterLabels",
    "PreconditionedOperator",
    "Spectrum",
    "TraceEstimate",
    "Trajectory",
    "algebraic_connectivity",
    "circuits",
    "dendrogram",
    "density",
    "fiedler_tree",
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
    "permuted_within_blocks",
    "sample_curvature",
    "spectrum",
    "trace",
    "trajectory",
]


def __getattr__(name: str) -> ModuleType:
    """Load `hdlib.figures` when it is first asked for: matplotlib and plotly take a second."""
    if name == "figures":
        return import_module("hdlib.figures")
    raise AttributeError(f"module 'hdlib' has no attribute {name!r}")
