"""All experiments."""

from __future__ import annotations

from hdlib.experiments.grokking.recipe import EXPERIMENT as GROKKING
from hdlib.experiments.mnist.recipe import EXPERIMENT as MNIST
from hdlib.store import Registry

REGISTRY = Registry([MNIST, GROKKING])
