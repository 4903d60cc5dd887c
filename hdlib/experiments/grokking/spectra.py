"""The Hessian's spectrum at a checkpoint, and what is measured along its eigenvectors."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from hdlib.curvature import (
    HessianOperator,
    PreconditionedOperator,
    Spectrum,
    adam_diagonal,
    gradient,
    lanczos,
)
from hdlib.experiments.ends import end_arrays, stored_ends
from hdlib.experiments.grokking.config import GrokkingConfig
from hdlib.experiments.grokking.measures import responses, vector_measures
from hdlib.measures import squared_cosines
from hdlib.measures.functions import class_frequencies, output_changes
from hdlib.models import ModularTransformer

PROBES, NODES = 4, 48
"""Of the quadrature for the whole density."""
ADAM_TOLERANCE = 1e-4
LEADING = 12
"""Eigenvectors whose functions are looked at, of the largest eigenvalues."""
DOSES = (0.0003, 0.001, 0.003, 0.01)
"""How far the weights are moved, as shares of their norm."""


def eigenpairs(
    config: GrokkingConfig, model: ModularTransformer, *, lower_end: bool = True
) -> Spectrum:
    """The ends of the Hessian's spectrum over all training pairs.

    Where the lower end is not waited for, it comes as far as the search has got when all of the
    top have converged, and what is not certified of it is marked.

    The Krylov space is built in single precision, where a product takes half the time; the pairs
    are Ritz pairs of products in double precision, and certified by them, or marked.
    """
    return lanczos(
        hessian_operator(config, model),
        search=hessian_operator(config, model, dtype=torch.float32),
        top=config.eigenpairs,
        bottom=config.eigenpairs,
        tol=config.tol,
        max_products=config.max_products,
        mark=True,
        until="both" if lower_end else "top",
    )


def leading_pairs(config: GrokkingConfig, model: ModularTransformer, count: int) -> Spectrum:
    """The ``count`` largest eigenvalues with their vectors, certified to the config's tolerance.

    In double precision throughout: late in training a Hessian in single precision has other signs
    at the ReLU, and the span of a few of its eigenvectors is not that of this one's.
    """
    operator = hessian_operator(config, model)
    return lanczos(operator, top=count, bottom=0, tol=config.tol)


def leading_vectors(
    config: GrokkingConfig, model: ModularTransformer, count: int
) -> NDArray[np.float64]:
    """Eigenvectors of the ``count`` largest eigenvalues, (P, count), the largest first."""
    return leading_pairs(config, model, count).top(count)


def stored_spectrum(config: GrokkingConfig, arrays: dict[str, NDArray]) -> Spectrum:
    """The spectrum of which the arrays of `spectrum_measures` are stored, without its vectors."""
    return stored_ends(arrays, n=config.n_parameters, tol=config.tol)


def spectrum_measures(
    config: GrokkingConfig,
    model: ModularTransformer,
    frequencies: NDArray[np.int64],
    *,
    lower_end: bool,
) -> dict[str, NDArray]:
    """The ends of the spectrum, the quadrature for the rest, and what is measured along vectors.

    Args:
        config: task, and settings of the search.
        model: network at a checkpoint; it comes back in double precision.
        frequencies: key frequencies of the last checkpoint.
        lower_end: whether the search goes on until the lower end is certified, too.
    """
    task, device = config.task, model.embedding.device
    pairs = eigenpairs(config, model, lower_end=lower_end)
    quick = hessian_operator(config, model, torch.float32)
    arrays = end_arrays(quick, pairs, probes=PROBES, nodes=NODES)
    data = task.train.tokens().to(device), task.train.targets.to(device)
    slope = gradient(model, F.cross_entropy, data).cpu().numpy()
    along = vector_measures(model, pairs.vectors, frequencies)
    cosines = squared_cosines(slope, pairs.vectors)
    return arrays | {"converged": pairs.certified, "gradient_cosines": cosines} | along


def adam_measures(
    config: GrokkingConfig, model: ModularTransformer, second_moment: Tensor, *, step: int
) -> dict[str, NDArray]:
    """Largest eigenvalue of the Hessian as Adam sees it, and its residual.

    Args:
        config: task, and settings of the optimiser.
        model: network at a checkpoint.
        second_moment: (P,), running mean of squared gradients, parameter by parameter.
        step: training step of the checkpoint, at least 1.
    """
    diagonal = adam_diagonal(second_moment, step=step, beta1=config.beta1, beta2=config.beta2)
    seen, search = (
        PreconditionedOperator(
            hessian_operator(config, model, dtype), diagonal.to(model.embedding.device)
        )
        for dtype in (torch.float64, torch.float32)
    )
    pairs = lanczos(seen, search=search, top=1, bottom=0, tol=ADAM_TOLERANCE)
    return {"adam_eigenvalue": pairs.eigenvalues, "adam_residual": pairs.residuals}


def function_measures(
    config: GrokkingConfig, model: ModularTransformer, frequencies: NDArray[np.int64]
) -> dict[str, NDArray]:
    """Changes of the function along eigenvectors, and along two kinds of random directions.

    Args:
        config: task, and tolerance of the eigenvectors.
        model: network at a checkpoint; it comes back in double precision.
        frequencies: (K,), key frequencies of the last checkpoint.

    Returns:
        ``energy`` (12, (p − 1)/2), the share of each frequency of the class in J v over all pairs,
        the largest eigenvalue's first; ``random_energy``, the same of random directions, and
        ``rotated_energy`` of a random basis of the space of the eigenvectors; ``responses`` and
        ``random_responses`` (doses, 12, K), changes of the losses restricted to one key frequency.
    """
    vectors = leading_vectors(config, model, LEADING).copy()
    generator = np.random.default_rng(0)
    random = generator.standard_normal(vectors.shape)
    random /= np.linalg.norm(random, axis=0)
    rotation, _ = np.linalg.qr(generator.standard_normal((LEADING, LEADING)))
    tokens = config.task.grid.tokens().to(model.embedding.device)
    changes = output_changes(model.double(), tokens, vectors)
    energies = {
        "energy": changes,
        "random_energy": output_changes(model, tokens, random),
        "rotated_energy": np.einsum("kj,kno->jno", rotation, changes),
    }
    moves = {"responses": vectors, "random_responses": random}
    return {
        name: class_frequencies(found, config.p).astype(np.float32)
        for name, found in energies.items()
    } | {
        name: np.stack(
            [responses(model, config.task, frequencies, along, dose=dose) for dose in DOSES]
        )
        for name, along in moves.items()
    }


def hessian_operator(
    config: GrokkingConfig,
    model: ModularTransformer,
    dtype: torch.dtype = torch.float64,
    *,
    pairs: NDArray[np.int64] | None = None,
) -> HessianOperator:
    """The Hessian of the mean cross-entropy over the training pairs, products in ``dtype``.

    Args:
        config: task.
        model: network at a checkpoint.
        dtype: of the products.
        pairs: positions of the training pairs that count; by default all.
    """
    train = config.task.train
    chosen = slice(None) if pairs is None else torch.from_numpy(pairs)
    data = train.tokens()[chosen], train.targets[chosen]
    return HessianOperator(model, F.cross_entropy, data, dtype=dtype)
