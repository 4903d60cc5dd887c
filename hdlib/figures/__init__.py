"""Figures: arrays in, one matplotlib (or plotly) figure out."""

from hdlib.figures.animation import dendrogram_animation
from hdlib.figures.clusters import cluster_count_curves, cluster_count_map, gap_barcode
from hdlib.figures.dendrogram import dendrograms
from hdlib.figures.filters import filters
from hdlib.figures.interactive import dendrogram_slider, embed
from hdlib.figures.layers import layer_composition
from hdlib.figures.outliers import gradient_fraction, outlier_counts, subspace_overlap
from hdlib.figures.samples import draws, sample_shares, sample_sweep
from hdlib.figures.spectrum import spectral_density, spectrum_evolution
from hdlib.figures.training import summary_panel

__all__ = [
    "cluster_count_curves",
    "cluster_count_map",
    "dendrogram_animation",
    "dendrogram_slider",
    "dendrograms",
    "draws",
    "embed",
    "filters",
    "gap_barcode",
    "gradient_fraction",
    "layer_composition",
    "outlier_counts",
    "sample_shares",
    "sample_sweep",
    "spectral_density",
    "spectrum_evolution",
    "subspace_overlap",
    "summary_panel",
]
