"""How curvature groups."""

from hdlib.clustering.agreement import CutAgreement, agreement
from hdlib.clustering.bisection import fiedler_tree
from hdlib.clustering.circuit_groups import Circuits
from hdlib.clustering.circuits import circuits
from hdlib.clustering.couplings import coupling_graph
from hdlib.clustering.dendrogram import Dendrogram, Gap, dendrogram
from hdlib.clustering.fiedler import algebraic_connectivity
from hdlib.clustering.fiedler_tree import FiedlerTree
from hdlib.clustering.follow import at_step, follow
from hdlib.clustering.modules import Modules, fiedler_modules
from hdlib.clustering.null import permuted_with_degrees, permuted_within_blocks
from hdlib.clustering.recovery import recovery
from hdlib.clustering.tracks import Cluster, Event, Tracks

__all__ = [
    "Circuits",
    "Cluster",
    "CutAgreement",
    "Dendrogram",
    "Event",
    "FiedlerTree",
    "Gap",
    "Modules",
    "Tracks",
    "agreement",
    "algebraic_connectivity",
    "at_step",
    "circuits",
    "coupling_graph",
    "dendrogram",
    "fiedler_modules",
    "fiedler_tree",
    "follow",
    "permuted_with_degrees",
    "permuted_within_blocks",
    "recovery",
]
