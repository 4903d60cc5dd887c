"""Probes of one network at one checkpoint: each concept and its controls, on each layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hdlib.experiments.emergence.config import EmergenceConfig
from hdlib.measures.concepts import CONCEPTS, Concept
from hdlib.measures.fourier import fourier_basis, logit_power
from hdlib.measures.probes import (
    balanced_accuracy,
    explained,
    linear_probe,
    ranking_accuracy,
    regression_probe,
)
from hdlib.models.mlp import MLP, encoded
from hdlib.tasks import Pairs, modular_task

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

TRUE, RELABELLED, SHUFFLED = range(3)
"""What a probe is asked for: the concept; the concept of relabelled residues; labels shuffled over
all pairs."""
HELD_OUT, FITTED, TRAINED, UNTRAINED = range(4)
"""Where it is scored: pairs it was not fitted on; those it was; of the former, those the network
was trained on, and those it was not."""


def input_features(config: EmergenceConfig) -> FloatArray:
    """What the network is given, (p², d): the one-hot pairs where it has an embedding."""
    encoding = "one_hot" if config.encoding == "embedding" else config.encoding
    return encoded(config.task.grid, encoding).double().numpy()


def layer_features(config: EmergenceConfig, model: MLP) -> dict[str, FloatArray]:
    """Activations of each layer over all pairs, (p², d) each, on the CPU.

    Args:
        config: task, and which side of the ReLU is wanted.
        model: network at a checkpoint, on any device.
    """
    device = next(model.parameters()).device
    inputs = encoded(config.task.grid, config.encoding).to(device)
    with torch.no_grad():
        if config.before_relu:
            found = []
            for layer in model:
                inputs = layer(inputs)
                if isinstance(layer, nn.Linear):
                    found.append(inputs)
        else:
            found = model.activations(inputs)
    arrays = (activations.double().cpu().numpy() for activations in found)
    return dict(zip(config.layers, arrays, strict=True))


def probe_scores(
    config: EmergenceConfig, features: Mapping[str, FloatArray]
) -> dict[str, NDArray[np.float64]]:
    """Scores of all probes on L layers.

    Args:
        config: task, concepts, and how probes are fitted.
        features: layer → (p², d), in the order of the grid of pairs.

    Returns:
        ``balanced_accuracy`` and ``ranking_accuracy`` (area under the ROC curve), each (concepts,
        3 kinds of label, L, 4 sets of rows), and ``waves``, the R² of cos(2πk(x + y)/p) and of
        sin(2πk(x + y)/p) for the frequencies k = 1 … (p − 1)/2, (L, 4, (p − 1)/2, 2).
    """
    rows, mirrors = probe_rows(config), _mirrors(config)
    shape = (len(config.concepts), 3, len(features), len(rows))
    accuracy, ranking = np.empty(shape), np.empty(shape)
    for c, name in enumerate(config.concepts):
        for kind, labels in enumerate(_labels(config, CONCEPTS[name])):
            for layer, activations in enumerate(features.values()):
                decisions = linear_probe(
                    activations,
                    labels,
                    rows[FITTED],
                    strengths=config.strengths,
                    groups=mirrors,
                )
                for at, chosen in enumerate(rows):
                    yes, known = decisions[chosen], labels[chosen]
                    accuracy[c, kind, layer, at] = balanced_accuracy(yes > 0, known)
                    ranking[c, kind, layer, at] = ranking_accuracy(yes, known)
    waves = _waves(config)
    found = np.empty((*shape[2:], config.p // 2, 2))
    for layer, activations in enumerate(features.values()):
        predicted = regression_probe(activations, waves, rows[FITTED])
        for at, chosen in enumerate(rows):
            found[layer, at] = explained(predicted[chosen], waves[chosen]).reshape(-1, 2)
    return {"balanced_accuracy": accuracy, "ranking_accuracy": ranking, "waves": found}


def frequency_shares(config: EmergenceConfig, logits: FloatArray) -> FloatArray:
    """Share of each frequency in the logits' variance, as `hdlib.measures.logit_power` has it."""
    return logit_power(logits.reshape(config.p, config.p, -1))


def probe_rows(config: EmergenceConfig) -> list[BoolArray]:
    """The four sets of rows, (p²,) each; (x, y) and (y, x) are fitted both or not at all."""
    p = config.p
    grid = {"train_fraction": config.probe_rows / p**2, "seed": config.probe_seed}
    fitted = _member(modular_task(p, **grid, unordered=True).train, p)
    trained = _member(config.task.train, p)
    return [~fitted, fitted, ~fitted & trained, ~fitted & ~trained]


def _mirrors(config: EmergenceConfig) -> NDArray[np.int64]:
    """(p²,) a number for each unordered pair."""
    x, y = np.indices((config.p, config.p)).reshape(2, -1)
    return np.minimum(x, y) * config.p + np.maximum(x, y)


def _member(pairs: Pairs, p: int) -> BoolArray:
    found = np.zeros(p**2, dtype=bool)
    found[(pairs.a * p + pairs.b).numpy()] = True
    return found


def _labels(config: EmergenceConfig, concept: Concept) -> Sequence[BoolArray]:
    """The concept and its two controls, (p²,) each."""
    grid, p = config.task.grid, config.p
    x, y = grid.a.numpy(), grid.b.numpy()
    residues, rows = (
        np.random.default_rng((config.probe_seed, draw)).permutation(size)
        for draw, size in ((1, p), (2, p**2))
    )
    labels = concept.labels(x, y, p)
    return labels, concept.labels(x, y, p, relabelled=residues), labels[rows]


def _waves(config: EmergenceConfig) -> FloatArray:
    """Cosine and sine of 2πk(x + y)/p for each frequency k, (p², p − 1)."""
    return fourier_basis(config.p)[1:].T[config.task.grid.targets.numpy()]
