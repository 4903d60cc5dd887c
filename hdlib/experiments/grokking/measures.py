"""What the grokking experiment measures at a checkpoint, beside its spectrum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hdlib.measures.concentration import frequency_weights, tensor_weights
from hdlib.measures.fourier import (
    explained_variance,
    frequency_power,
    gini,
    key_frequencies,
    logit_power,
)
from hdlib.measures.moves import moved
from hdlib.measures.pairs import grid_logits
from hdlib.measures.progress import progress, restricted_by_frequency
from hdlib.models.transformer import ModularTransformer
from hdlib.tasks.modular import ModularTask

PROBED = 30
"""Leading eigenvectors that are looked at in weight space."""
MOVE = 0.01
"""Length of a move that shifts attention, as a share of the norm of all weights."""


def circuit_frequencies(model: ModularTransformer) -> NDArray[np.int64]:
    """Key frequencies of a network's unembedding: those that its logits are read off with.

    Where none stands out from chance, the strongest one.
    """
    unembedding = _residues(model.unembedding, model.p)
    keys = key_frequencies(unembedding)
    return keys if len(keys) else np.array([frequency_power(unembedding).argmax() + 1])


def _residues(tensor: Tensor, p: int) -> NDArray[np.float64]:
    return tensor[:p].detach().double().cpu().numpy()


def circuit_measures(
    model: ModularTransformer, task: ModularTask, frequencies: NDArray[np.int64]
) -> dict[str, NDArray]:
    """Fourier spectra of embedding, unembedding and logits, and the progress measures.

    Args:
        model: network at a checkpoint; it comes back in double precision.
        task: pairs that it learns, and their split.
        frequencies: key frequencies of the last checkpoint.
    """
    logits = grid_logits(model, task)
    p = task.grid.p
    embedding, unembedding = (
        _residues(tensor, p) for tensor in (model.embedding, model.unembedding)
    )
    found = progress(logits, frequencies, a=task.train.a.numpy(), b=task.train.b.numpy())
    squares = sum(float(part.detach().double().square().sum()) for part in model.parameters())
    return {
        "embedding_power": frequency_power(embedding),
        "unembedding_power": frequency_power(unembedding),
        "logit_power": logit_power(logits),
        "gini": np.array(gini(frequency_power(embedding))),
        "explained_variance": np.array(explained_variance(logits, frequencies)),
        "restricted_loss": np.array(found.restricted),
        "excluded_loss": np.array(found.excluded),
        "restricted_by_frequency": found.restricted_by_frequency,
        "excluded_by_frequency": found.excluded_by_frequency,
        "weight_norm": np.array(squares**0.5),
    }


def vector_measures(
    model: ModularTransformer, vectors: NDArray[np.float64], frequencies: NDArray[np.int64]
) -> dict[str, NDArray[np.float32]]:
    """Where eigenvectors lie: tensors, and key frequencies of embedding and unembedding.

    Returns:
        ``tensor_weights`` (m, tensors); ``embedding_frequencies`` and ``unembedding_frequencies``
        (m, 2 + key frequencies): the constant, each key frequency, all others together.
    """
    found = {"tensor_weights": tensor_weights(vectors, model)}
    for tensor in ("embedding", "unembedding"):
        weights = frequency_weights(vectors, model, tensor=tensor, p=model.p)
        others = np.delete(weights, [0, *frequencies], axis=1).sum(1)
        columns = [weights[:, 0], *weights[:, frequencies].T, others]
        found[f"{tensor}_frequencies"] = np.column_stack(columns)
    return {name: weights.astype(np.float32) for name, weights in found.items()}


def responses(
    model: ModularTransformer,
    task: ModularTask,
    frequencies: NDArray[np.int64],
    directions: NDArray[np.float64],
    *,
    dose: float,
) -> NDArray[np.float64]:
    """Change of the restricted loss of each frequency as the weights move along directions.

    The mean over both signs of L_k(θ ± δ) − L_k(θ), ‖δ‖ = dose ‖θ‖, with L_k the loss of the logits
    restricted to frequency k alone. Where it is the second derivative that acts, it grows with the
    square of the dose.

    Args:
        model: network at a checkpoint; it comes back in double precision.
        task: pairs that it learns, and their split.
        frequencies: (K,), each taken alone.
        directions: (P, m), unit columns.
        dose: length of a move, as a share of the norm of all weights.

    Returns:
        (m, frequencies).
    """

    def losses(network: ModularTransformer) -> NDArray[np.float64]:
        return restricted_by_frequency(grid_logits(network, task), frequencies)

    origin, forth, back = moved(model, losses, directions, dose=dose)
    return (forth + back) / 2 - origin


def attention_shifts(
    model: ModularTransformer, task: ModularTask, directions: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Attention to the first number, and its change as the weights move along directions.

    With A(θ) a head's attention to a, averaged over the training pairs, the change is half of
    A(θ + δ) − A(θ − δ), ‖δ‖ = 0.01 ‖θ‖. The sign of a direction makes its largest change positive.

    Args:
        model: network at a checkpoint; it comes back in double precision.
        task: pairs that it learns, and their split.
        directions: (P, m), unit columns.

    Returns:
        A (H,), and its changes (m, H).
    """
    tokens = task.train.tokens().to(model.embedding.device)

    def attention(network: ModularTransformer) -> NDArray[np.float64]:
        return network.attention(tokens)[0].mean(0).cpu().numpy()

    origin, forth, back = moved(model, attention, directions, dose=MOVE)
    changes = (forth - back) / 2
    changes *= np.sign(changes[np.arange(len(changes)), np.abs(changes).argmax(1)])[:, None]
    return origin, changes
