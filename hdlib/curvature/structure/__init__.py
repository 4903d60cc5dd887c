"""Curvature from the structure of a model, where it is recognised."""

from hdlib.curvature.structure.engine import Engine, Filling, Products
from hdlib.curvature.structure.recognise import recognise

__all__ = ["Engine", "Filling", "Products", "recognise"]
