"""How curvature groups."""

from hdlib.clustering.dendrogram import Dendrogram, Gap, dendrogram
from hdlib.clustering.fiedler_tree import (
    FiedlerTree,
    algebraic_connectivity,
    coupling_graph,
    fiedler_tree,
)
from hdlib.clustering.null import permuted_within_blocks
from hdlib.clustering.recovery import recovery

__all__ = [
    "Dendrogram",
    "FiedlerTree",
    "Gap",
    "algebraic_connectivity",
    "coupling_graph",
    "dendrogram",
    "fiedler_tree",
    "permuted_within_blocks",
    "recovery",
]
