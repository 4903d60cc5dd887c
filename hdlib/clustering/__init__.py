"""How curvature groups."""

from hdlib.clustering.dendrogram import Dendrogram, Gap, dendrogram
from hdlib.clustering.fiedler_tree import (
    FiedlerTree,
    algebraic_connectivity,
    coupling_graph,
    fiedler_tree,
)
from hdlib.clustering.follow import at_step, follow
from hdlib.clustering.null import permuted_within_blocks
from hdlib.clustering.recovery import recovery
from hdlib.clustering.tracks import Cluster, Event, Tracks

__all__ = [
    "Cluster",
    "Dendrogram",
    "Event",
    "FiedlerTree",
    "Gap",
    "Tracks",
    "algebraic_connectivity",
    "at_step",
    "coupling_graph",
    "dendrogram",
    "fiedler_tree",
    "follow",
    "permuted_within_blocks",
    "recovery",
]
