"""Figures: arrays in, one matplotlib (or plotly) figure out."""

from hdlib.figures.agreement import agreement_curves
from hdlib.figures.animation import dendrogram_animation
from hdlib.figures.clusters import cluster_count_curves, cluster_count_map, gap_barcode
from hdlib.figures.composition import cluster_composition
from hdlib.figures.connectivity import connectivity_curves
from hdlib.figures.coupling import coupling_matrix
from hdlib.figures.dendrogram import dendrogram
from hdlib.figures.fates import filter_fates
from hdlib.figures.fiedler import fiedler_dendrograms
from hdlib.figures.fiedler_slider import fiedler_slider
from hdlib.figures.filters import filters
from hdlib.figures.fourier import embedding_spectrum, frequency_overlap
from hdlib.figures.frequency_shares import frequency_shares
from hdlib.figures.functions import dose_series, leading_frequencies
from hdlib.figures.interactive import dendrogram_slider, embed
from hdlib.figures.layers import layer_composition
from hdlib.figures.leading import leading_eigenvalues
from hdlib.figures.mixtures import mixture_curves
from hdlib.figures.outliers import gap_scores, gradient_fraction, subspace_overlap
from hdlib.figures.pair import dendrogram_pair
from hdlib.figures.phases import training_phases
from hdlib.figures.responses import frequency_responses
from hdlib.figures.samples import draws, sample_shares, sample_sweep
from hdlib.figures.seeds import seeds
from hdlib.figures.sharpness import adam_sharpness
from hdlib.figures.spectrum import density, spectrum_evolution
from hdlib.figures.training import summary_panel

__all__ = [
    "adam_sharpness",
    "agreement_curves",
    "cluster_composition",
    "cluster_count_curves",
    "cluster_count_map",
    "connectivity_curves",
    "coupling_matrix",
    "dendrogram",
    "dendrogram_animation",
    "dendrogram_pair",
    "dendrogram_slider",
    "density",
    "dose_series",
    "draws",
    "embed",
    "embedding_spectrum",
    "fiedler_dendrograms",
    "fiedler_slider",
    "filter_fates",
    "filters",
    "frequency_overlap",
    "frequency_responses",
    "frequency_shares",
    "gap_barcode",
    "gap_scores",
    "gradient_fraction",
    "layer_composition",
    "leading_eigenvalues",
    "leading_frequencies",
    "mixture_curves",
    "sample_shares",
    "sample_sweep",
    "seeds",
    "spectrum_evolution",
    "subspace_overlap",
    "summary_panel",
    "training_phases",
]
