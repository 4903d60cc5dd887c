"""Figures that only the grokking chapter can use."""

from hdlib.experiments.grokking.figures.overlaps import frequency_overlap, leading_frequencies
from hdlib.experiments.grokking.figures.responses import dose_series
from hdlib.experiments.grokking.figures.steps import (
    adam_sharpness,
    frequency_shares,
    leading_eigenvalues,
    training_phases,
)
from hdlib.experiments.grokking.figures.tracks import circuit_arrival

__all__ = [
    "adam_sharpness",
    "circuit_arrival",
    "dose_series",
    "frequency_overlap",
    "frequency_shares",
    "leading_eigenvalues",
    "leading_frequencies",
    "training_phases",
]
