"""All experiments."""

from __future__ import annotations

from hdlib.experiments.depth.recipe import EXPERIMENT as DEPTH
from hdlib.experiments.emergence.recipe import EXPERIMENT as EMERGENCE
from hdlib.experiments.fiedler.labels.recipe import EXPERIMENT as FIEDLER_LABELS
from hdlib.experiments.fiedler.recipe import EXPERIMENT as FIEDLER
from hdlib.experiments.grokking.recipe import EXPERIMENT as GROKKING
from hdlib.experiments.least_action.recipe import EXPERIMENT as LEAST_ACTION
from hdlib.experiments.mnist.labels.recipe import EXPERIMENT as MNIST_LABELS
from hdlib.experiments.mnist.recipe import EXPERIMENT as MNIST
from hdlib.experiments.onset.recipe import EXPERIMENT as ONSET
from hdlib.experiments.planted.recipe import EXPERIMENT as PLANTED
from hdlib.store import Registry

CHAPTERS = (MNIST, PLANTED, GROKKING, ONSET, FIEDLER, DEPTH, EMERGENCE, LEAST_ACTION)
"""Those with a chapter of their own; the others are shown in one of these."""
REGISTRY = Registry([*CHAPTERS, MNIST_LABELS, FIEDLER_LABELS])
