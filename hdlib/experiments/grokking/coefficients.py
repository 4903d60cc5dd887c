"""The local learning coefficient of a network, of its heads and of its key frequencies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from hdlib.measures import learning_coefficient
from hdlib.measures.fourier import fourier_basis, wave_rows
from hdlib.measures.learning_coefficient import Projection
from hdlib.models import ModularTransformer
from hdlib.tasks import Pairs


class Langevin(NamedTuple):
    """Settings of the chains.

    Attributes:
        step_size: ε; stable up to eigenvalues h with ε nβh = 4.
        localisation: γ: m weights stray by about √(m/γ) in norm, and forget where they began in
            2/(εγ) steps.
    """

    step_size: float
    localisation: float


USUAL = Langevin(2e-5, 1e3)
WAVES = Langevin(1e-3, 10.0)
"""For frequencies, which are a few hundred weights: these have to stray farther to be felt."""
CHAINS, BURN_IN, DRAWS = 2, 300, 100
BATCH = 1_024
"""Pairs of each gradient, at most, where it does not have all."""


def whole_coefficient(
    model: ModularTransformer, pairs: Pairs, *, batch_size: int | None = None
) -> NDArray[np.float64]:
    """λ̂ of each chain, (2,), with all weights moving.

    Args:
        model: network at a checkpoint; it comes back in single precision.
        pairs: of the loss.
        batch_size: pairs of each gradient, at most; all of them by default.
    """
    return _coefficient(model, pairs, USUAL, seed=0, batch_size=batch_size)


def head_coefficients(model: ModularTransformer, pairs: Pairs) -> NDArray[np.float64]:
    """The refined coefficient (Wang et al. 2024) of each head, (H, 2): only its weights move.

    These are its columns of query, key and value, where there are such, and its rows of the output.

    Args:
        model: network at a checkpoint; it comes back in single precision.
        pairs: of the loss.
    """
    heads = [head_projection(model, head) for head in range(model.n_heads)]
    return _part_coefficients(model, pairs, USUAL, heads)


def frequency_coefficients(
    model: ModularTransformer, pairs: Pairs, frequencies: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    """The refined coefficient (Wang et al. 2024) of single frequencies: only their weights move.

    A frequency is the cosine and the sine over the residues, in embedding and unembedding: 4 d of
    P numbers.

    Args:
        model: network at a checkpoint; it comes back in single precision.
        pairs: of the loss.
        frequencies: (K,), key frequencies.

    Returns:
        λ̂ of each chain: "frequencies" (K, 2), and "others" (K, 2) of frequencies that are no key
        ones, chosen at random.
    """
    rest = np.setdiff1d(np.arange(1, (model.p + 1) // 2), frequencies)
    others = np.random.default_rng(0).permutation(rest)[: len(frequencies)]
    return {
        name: _part_coefficients(
            model, pairs, WAVES, [wave_projection(model, int(k)) for k in chosen]
        )
        for name, chosen in {"frequencies": frequencies, "others": others}.items()
    }


def _part_coefficients(
    model: ModularTransformer, pairs: Pairs, setting: Langevin, parts: Sequence[Projection]
) -> NDArray[np.float64]:
    found = [
        _coefficient(model, pairs, setting, seed=1 + at, batch_size=BATCH, within=part)
        for at, part in enumerate(parts)
    ]
    return np.array(found).reshape(-1, CHAINS)  # also where there are no parts


def _coefficient(
    model: ModularTransformer,
    pairs: Pairs,
    setting: Langevin,
    *,
    seed: int,
    batch_size: int | None = None,
    within: Projection | None = None,
) -> NDArray[np.float64]:
    device = model.embedding.device
    return learning_coefficient(
        model.float(),
        F.cross_entropy,
        (pairs.tokens().to(device), pairs.targets.to(device)),
        **setting._asdict(),
        chains=CHAINS,
        burn_in=BURN_IN,
        draws=DRAWS,
        batch_size=batch_size and min(batch_size, len(pairs.a)),
        within=within,
        seed=seed,
    ).chains


def head_projection(model: ModularTransformer, head: int) -> Projection:
    """The projection onto the weights of a head."""
    size = model.embedding.shape[1] // model.n_heads
    own = torch.zeros(model.embedding.shape[1], device=model.embedding.device)
    own[head * size : (head + 1) * size] = 1
    columns = dict.fromkeys(("query", "key", "value"), lambda weight: weight * own)
    return _projection(model, columns | {"output": lambda weight: weight * own[:, None]})


def wave_projection(model: ModularTransformer, k: int) -> Projection:
    """The projection onto the cosine and the sine of a frequency over the residues."""
    rows = fourier_basis(model.p)[wave_rows(np.array([k]), model.p)]
    waves = torch.from_numpy(rows).to(model.embedding)

    def onto(weight: Tensor) -> Tensor:
        kept = torch.zeros_like(weight)
        kept[: model.p] = waves.T @ (waves @ weight[: model.p])
        return kept

    return _projection(model, {"embedding": onto, "unembedding": onto})


def _projection(
    model: ModularTransformer, parts: Mapping[str, Callable[[Tensor], Tensor]]
) -> Projection:
    """Of a vector of all weights, these parts by name; nothing of the others."""
    shapes = {name: weight.shape for name, weight in model.named_parameters()}

    def within(vector: Tensor) -> Tensor:
        pieces = vector.split([shape.numel() for shape in shapes.values()])
        return torch.cat(
            [
                parts[name](piece.view(shape)).flatten()
                if name in parts
                else torch.zeros_like(piece)
                for (name, shape), piece in zip(shapes.items(), pieces, strict=True)
            ]
        )

    return within
