"""Figures by kind: arrays or a trajectory in, one matplotlib (or plotly) figure out."""

from hdlib.figures.animation import dendrogram_animation
from hdlib.figures.bars import histogram, shares
from hdlib.figures.circuits import circuits
from hdlib.figures.couplings import coupling_matrix
from hdlib.figures.curves import curves
from hdlib.figures.dendrogram import dendrogram, dendrogram_pair, parameter_dendrogram
from hdlib.figures.dots import dots
from hdlib.figures.gaps import gap_barcode, gap_scores
from hdlib.figures.images import filters
from hdlib.figures.maps import cluster_count_map, heat_map, overlap_map, step_map
from hdlib.figures.pairs import pair_maps
from hdlib.figures.panel import Curve, Panel
from hdlib.figures.player import embed
from hdlib.figures.sliders import dendrogram_slider, parameter_slider
from hdlib.figures.spectrum import density, evolution
from hdlib.figures.tracks import cluster_tracks
from hdlib.figures.training import training_summary

__all__ = [
    "Curve",
    "Panel",
    "circuits",
    "cluster_count_map",
    "cluster_tracks",
    "coupling_matrix",
    "curves",
    "dendrogram",
    "dendrogram_animation",
    "dendrogram_pair",
    "dendrogram_slider",
    "density",
    "dots",
    "embed",
    "evolution",
    "filters",
    "gap_barcode",
    "gap_scores",
    "heat_map",
    "histogram",
    "overlap_map",
    "pair_maps",
    "parameter_dendrogram",
    "parameter_slider",
    "shares",
    "step_map",
    "training_summary",
]
