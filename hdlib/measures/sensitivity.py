"""How a network's outputs change with its inputs: first and second derivatives."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from hdlib.curvature.averages import Mean, mean_over
from hdlib.curvature.inputs.settings import twice_differentiable
from hdlib.curvature.products import pulled

EXACT = 2**16
"""Most rows of all Jacobians, or of all Hessians, that are computed one by one."""
SAMPLES, DIRECTIONS = 256, 8
"""Samples and directions at a time."""


def input_jacobian(
    function: Callable[[Tensor], Tensor], inputs: Tensor, *, probes: int = 10, seed: int = 0
) -> Mean:
    """Mean of the squared Frobenius norm ‖∂f(x)/∂x‖²_F over the inputs x.

    All C rows of each Jacobian are computed where n·C is at most 65,536. Else it is C times the
    mean of ‖Jᵀv‖² over probes v, uniform on the unit sphere in C dimensions and independent for
    each input, whose expectation is ‖J‖²_F.

    The standard error is that over inputs: of the mean as that of a population which the n inputs
    are drawn from. Where there are probes their noise is in it; where there are none, the mean over
    these n inputs itself has no error.

    Args:
        function: (m, …) inputs ↦ (m, C) logits, each of its own input alone.
        inputs: (n, …) floating: one-hot vectors, or embeddings of tokens.
        probes: number of vectors for each input where not all rows are computed.
        seed: seed of the probes, drawn on the CPU; torch's own random numbers are left alone.

    Returns:
        Mean in units of logits² over inputs², computed in the precision of function and inputs.

    Raises:
        ValueError: if there is no input, inputs are not floating, ``probes`` is not positive, or
            the logits are not (m, C) or do not depend on the inputs.
    """
    _check(inputs, probes)
    generator = torch.Generator().manual_seed(seed)
    with twice_differentiable(inputs.dtype):
        squares = []
        for x, logits in _evaluated(function, inputs):
            classes = logits.shape[1]
            exact = len(inputs) * classes <= EXACT
            total, count = torch.zeros(len(x), dtype=torch.float64, device=x.device), 0
            directions = _basis(logits) if exact else _sphere(logits, probes, generator=generator)
            for vectors in directions:
                (rows,) = pulled([logits], [x], [vectors])
                total += rows.double().square().flatten(2).sum((0, 2))
                count += len(vectors)
            squares.append(total * classes / count)
    return mean_over(torch.cat(squares))


def input_hessian_trace(
    function: Callable[[Tensor], Tensor], inputs: Tensor, *, probes: int = 10, seed: int = 0
) -> Mean:
    """Mean trace of ∇²ₓ f_c(x) over the inputs x, with c the class that is predicted for x.

    It is the Laplacian of the largest logit, of either sign. All d diagonal entries are computed
    where n·d is at most 65,536, d the number of entries of an input. Else it is the mean of vᵀ∇²f v
    over probes v of random signs, independent for each input (Hutchinson), whose expectation is
    the trace.

    The standard error, arguments and errors are those of `input_jacobian`; the function must be
    twice differentiable (a ReLU network has no curvature in its inputs, and gives 0).

    Returns:
        Mean in units of logits over inputs².
    """
    _check(inputs, probes)
    generator = torch.Generator().manual_seed(seed)
    exact = inputs.numel() <= EXACT
    with twice_differentiable(inputs.dtype):
        traces = []
        for x, logits in _evaluated(function, inputs):
            predicted = logits.gather(1, logits.argmax(1, keepdim=True))
            (slopes,) = torch.autograd.grad(
                predicted.sum(), x, create_graph=True, allow_unused=True, materialize_grads=True
            )
            total, count = torch.zeros(len(x), dtype=torch.float64, device=x.device), 0
            directions = _basis(x) if exact else _signs(x, probes, generator=generator)
            for vectors in directions:
                (images,) = pulled([slopes], [x], [vectors])
                total += (images * vectors).double().flatten(2).sum((0, 2))
                count += len(vectors)
            traces.append(total if exact else total / count)
    return mean_over(torch.cat(traces))


def _check(inputs: Tensor, probes: int) -> None:
    if not len(inputs) or not inputs.is_floating_point():
        raise ValueError(
            f"inputs of shape {tuple(inputs.shape)} and type {inputs.dtype}: must be at least one, "
            "and floating (embeddings in place of tokens)"
        )
    if probes < 1:
        raise ValueError(f"probes={probes}: must be at least 1")


def _evaluated(
    function: Callable[[Tensor], Tensor], inputs: Tensor
) -> Iterator[tuple[Tensor, Tensor]]:
    """Pieces of the inputs, which require grad, and their logits."""
    for piece in inputs.detach().split(SAMPLES):
        x = piece.clone().requires_grad_()
        logits = function(x)
        if logits.ndim != 2 or len(logits) != len(x):
            raise ValueError(f"logits of shape {tuple(logits.shape)}: must be ({len(x)}, C)")
        if not logits.requires_grad:
            raise ValueError("the logits do not depend on the inputs: is something detached?")
        yield x, logits


def _basis(like: Tensor) -> Iterator[Tensor]:
    """Basis vectors of a sample's entries, the same for all samples, (b, *like.shape) at a time."""
    d = like[0].numel()
    for rows in torch.eye(d, dtype=like.dtype, device=like.device).split(DIRECTIONS):
        yield rows[:, None].expand(-1, len(like), -1).reshape(-1, *like.shape)


def _sphere(like: Tensor, probes: int, *, generator: torch.Generator) -> Iterator[Tensor]:
    """Vectors on the unit sphere, one for each sample, (b, *like.shape) at a time."""
    for count in _counts(probes):
        v = torch.randn(count, *like.shape, generator=generator, dtype=like.dtype)
        yield torch.nn.functional.normalize(v, dim=2).to(like.device)


def _signs(like: Tensor, probes: int, *, generator: torch.Generator) -> Iterator[Tensor]:
    """Random signs for each entry of each sample, (b, *like.shape) at a time."""
    for count in _counts(probes):
        bits = torch.randint(2, (count, *like.shape), generator=generator)
        yield (2.0 * bits - 1).to(like)


def _counts(probes: int) -> list[int]:
    return [min(DIRECTIONS, probes - start) for start in range(0, probes, DIRECTIONS)]
