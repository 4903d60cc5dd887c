"""Everything else that is measured at a checkpoint."""

from hdlib.measures.outliers import outlier_gap, tail_scores, tail_threshold
from hdlib.measures.spectral import SpectralSummary, spectral_summary
from hdlib.measures.subspaces import squared_cosines, subspace_overlap

__all__ = [
    "SpectralSummary",
    "outlier_gap",
    "spectral_summary",
    "squared_cosines",
    "subspace_overlap",
    "tail_scores",
    "tail_threshold",
]
