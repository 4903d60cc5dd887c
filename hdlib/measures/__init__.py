"""Everything else that is measured at a checkpoint."""

from hdlib.measures.collapse import collapsed_share
from hdlib.measures.concentration import frequency_weights, tensor_weights
from hdlib.measures.concepts import CONCEPTS, Concept
from hdlib.measures.couplings import binned, binned_shares
from hdlib.measures.featureless import (
    GapTest,
    featureless_nulls,
    featureless_scores,
    featureless_spacings,
    gap_test,
)
from hdlib.measures.fourier import (
    explained_variance,
    fourier_basis,
    frequency_power,
    gini,
    key_frequencies,
    logit_power,
)
from hdlib.measures.learning_coefficient import LearningCoefficient, learning_coefficient
from hdlib.measures.norms import weight_norms
from hdlib.measures.optimizer import adam_statistics
from hdlib.measures.outliers import tail_scores, tail_spacings
from hdlib.measures.probes import (
    balanced_accuracy,
    linear_probe,
    ranking_accuracy,
    regression_probe,
)
from hdlib.measures.progress import Phases, Progress, phases, progress, restricted_by_frequency
from hdlib.measures.routing import RoutingUse, routing_columns, routing_use
from hdlib.measures.sensitivity import input_hessian_trace, input_jacobian
from hdlib.measures.spacings import Neighbours, laid_over, neighbours, spacing_ratio
from hdlib.measures.spectral import SpectralSummary, spectral_summary
from hdlib.measures.subspaces import squared_cosines, subspace_overlap
from hdlib.measures.waves import (
    FrequencyShares,
    frequency_shares,
    multiplicative_grid,
    pair_power,
)

__all__ = [
    "CONCEPTS",
    "Concept",
    "FrequencyShares",
    "GapTest",
    "LearningCoefficient",
    "Neighbours",
    "Phases",
    "Progress",
    "RoutingUse",
    "SpectralSummary",
    "adam_statistics",
    "balanced_accuracy",
    "binned",
    "binned_shares",
    "collapsed_share",
    "explained_variance",
    "featureless_nulls",
    "featureless_scores",
    "featureless_spacings",
    "fourier_basis",
    "frequency_power",
    "frequency_shares",
    "frequency_weights",
    "gap_test",
    "gini",
    "input_hessian_trace",
    "input_jacobian",
    "key_frequencies",
    "laid_over",
    "learning_coefficient",
    "linear_probe",
    "logit_power",
    "multiplicative_grid",
    "neighbours",
    "pair_power",
    "phases",
    "progress",
    "ranking_accuracy",
    "regression_probe",
    "restricted_by_frequency",
    "routing_columns",
    "routing_use",
    "spacing_ratio",
    "spectral_summary",
    "squared_cosines",
    "subspace_overlap",
    "tail_scores",
    "tail_spacings",
    "tensor_weights",
    "weight_norms",
]
