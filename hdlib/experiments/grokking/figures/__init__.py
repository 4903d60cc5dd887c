"""Figures that only the grokking chapter can use."""

from hdlib.experiments.grokking.figures.frequencies import leading_frequencies
from hdlib.experiments.grokking.figures.levels import levels
from hdlib.experiments.grokking.figures.responses import dose_series
from hdlib.experiments.grokking.figures.steps import (
    adam_sharpness,
    frequency_shares,
    leading_eigenvalues,
    training_phases,
)
from hdlib.experiments.grokking.figures.timeline import timeline
from hdlib.experiments.grokking.figures.tracks import circuit_arrival

__all__ = [
    "adam_sharpness",
    "circuit_arrival",
    "dose_series",
    "frequency_shares",
    "leading_eigenvalues",
    "leading_frequencies",
    "levels",
    "timeline",
    "training_phases",
]
