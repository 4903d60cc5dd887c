"""How curvature groups."""

from hdlib.clustering.bisection import fiedler_tree
from hdlib.clustering.couplings import coupling_graph
from hdlib.clustering.dendrogram import Dendrogram, Gap, dendrogram
from hdlib.clustering.fiedler import algebraic_connectivity
from hdlib.clustering.fiedler_tree import FiedlerTree
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
