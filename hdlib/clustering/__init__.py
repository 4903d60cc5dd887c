"""How curvature groups."""

from hdlib.clustering.dendrogram import Dendrogram, Gap, dendrogram

__all__ = ["Dendrogram", "Gap", "dendrogram"]
