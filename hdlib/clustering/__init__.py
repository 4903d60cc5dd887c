"""How curvature groups."""

from hdlib.clustering.dendrogram import Dendrogram, Gap, Unresolved, dendrogram

__all__ = ["Dendrogram", "Gap", "Unresolved", "dendrogram"]
