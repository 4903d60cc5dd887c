"""Terms that a loss can have beside the cross-entropy, all of them differentiable."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

SUBSAMPLE = 256
"""Most inputs whose similarities to each other are taken."""


def routing_entropy(weights: Sequence[Tensor]) -> Tensor:
    """Mean entropy −Σᵢ wᵢ ln wᵢ over layers and inputs, in nats: 0 if decisive, at most ln n_heads.

    Its gradient is finite where a weight is exactly 0.

    Args:
        weights: (n, n_heads) routing weights for each layer, rows summing to 1.

    Raises:
        ValueError: if there is no layer, or one has another shape.
    """
    return _mean([-(w * _log(w)).sum(1) for w in _checked(weights)])


def routing_sparsity(weights: Sequence[Tensor]) -> Tensor:
    """Mean of 1 − maxᵢ wᵢ over layers and inputs: 0 if decisive, at most 1 − 1/n_heads.

    Arguments and errors are those of `routing_entropy`.
    """
    return _mean([1 - w.amax(1) for w in _checked(weights)])


def routing_gini(weights: Sequence[Tensor]) -> Tensor:
    """Mean of 1 − G over layers and inputs, with G the Gini coefficient of the weights of an input.

    Of weights w₁ ≤ … ≤ wₙ, whose sum is 1, G = Σᵢ (2i − n − 1) wᵢ / n. It is (n − 1)/n for a
    decisive input, so 1 − G lies between 1/n_heads, not 0, and 1 where all weights are equal.
    Arguments and errors are those of `routing_entropy`.
    """

    def inequality(w: Tensor) -> Tensor:
        n = w.shape[1]
        ranks = torch.arange(1, n + 1, dtype=w.dtype, device=w.device)
        return w.sort(dim=1).values @ (2 * ranks - n - 1) / n

    return _mean([1 - inequality(w) for w in _checked(weights)])


def routing_consistency(
    weights: Sequence[Tensor], inputs: Tensor, *, temperature: float = 1.0, seed: int = 0
) -> Tensor:
    """How far similar inputs are from equal routes: mean over layers and inputs of KL(Sw ‖ w).

    S is the row-wise softmax of the cosine similarities of the inputs over the temperature, so row
    i of Sw is what inputs like i have on average. It is 0 where all inputs have equal weights. S is
    a constant to the gradient: an embedding is not moved to look unlike the others.

    Of more than 256 inputs, 256 are taken, always the same ones.

    Args:
        weights: (n, n_heads) routing weights for each layer, rows summing to 1.
        inputs: (n, d) vectors, such as embeddings; cosines of token numbers would mean nothing.
        temperature: positive; the lower, the more only the nearest inputs count.
        seed: seed of the choice of inputs, drawn on the CPU, so the same on every device.

    Raises:
        ValueError: if there is no layer, a shape or the temperature is not what is allowed.
    """
    checked = _checked(weights)
    n = len(checked[0])
    if inputs.ndim != 2 or len(inputs) != n:
        raise ValueError(f"inputs of shape {tuple(inputs.shape)}: must be ({n}, d) as the weights")
    if not temperature > 0:
        raise ValueError(f"temperature={temperature}: must be positive")
    rows = torch.randperm(n, generator=torch.Generator().manual_seed(seed))[:SUBSAMPLE]
    rows = rows.to(inputs.device)
    directions = torch.nn.functional.normalize(inputs.detach()[rows], dim=1)
    similarity = (directions @ directions.T / temperature).softmax(1)

    def divergence(w: Tensor) -> Tensor:
        expected = similarity.to(w) @ w
        return (expected * (_log(expected) - _log(w))).sum(1)

    return _mean([divergence(w[rows]) for w in checked])


def low_frequency_share(logits: Tensor, k: int) -> Tensor:
    """Share of the logits' power over (a, b) in waves of low frequency.

    From the logits L[a, b, c] softmax does not see the mean over c, which is removed, and the mean
    over (a, b) is no function of the pair: the zero frequency, which counts nowhere. With

        F[u, v, c] = Σ_{a, b} L[a, b, c] exp(−2πi (ua + vb)/p),

    u and v from −p/2 to p/2, the share is Σ |F|² over the classes c and 0 < u² + v² ≤ k², over the
    sum for all (u, v) ≠ 0. The classes are summed over, so that their numbers do not matter; logits
    that depend on the pair at random have about the disc's share πk²/p² of the grid.

    Args:
        logits: (p, p, C) of all pairs (a, b).
        k: radius of the disc of low frequencies, 1 … (p − 1)/2.

    Returns:
        A float64 scalar in [0, 1].

    Raises:
        ValueError: if an argument is not what is allowed, or the logits are the same for all pairs
            but for what softmax does not see.
    """
    if logits.ndim != 3 or logits.shape[0] != logits.shape[1]:
        raise ValueError(f"logits of shape {tuple(logits.shape)}: must be (p, p, C)")
    p = len(logits)
    if not 1 <= k <= (p - 1) // 2:
        raise ValueError(f"k={k}: must be from 1 to {(p - 1) // 2} for p={p}")
    centred = logits.double()
    centred = centred - centred.mean(2, keepdim=True)
    centred = centred - centred.mean((0, 1))
    total = p**2 * centred.square().sum()
    if not total:
        raise ValueError("logits that are the same for all pairs have no power to share out")
    frequencies = torch.arange(-k, k + 1, device=logits.device)
    # Reduced mod p in integers: large angles would cost digits.
    turns = frequencies[:, None] * torch.arange(p, device=logits.device) % p
    angles = -2 * math.pi * turns.double() / p
    waves = torch.polar(torch.ones_like(angles), angles)
    transformed = torch.einsum("ua,vb,abc->uvc", waves, waves, centred.to(waves.dtype))
    radii = frequencies[:, None] ** 2 + frequencies**2
    low = transformed[(radii > 0) & (radii <= k**2)]
    return (low.real.square() + low.imag.square()).sum() / total


def squared_jacobian_norm(
    function: Callable[[Tensor], Tensor],
    inputs: Tensor,
    *,
    probes: int,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Unbiased estimate of the mean of ‖Jᵢ‖²_F over the inputs xᵢ, with Jᵢ = ∂f(xᵢ)/∂xᵢ.

    For v uniform on the unit sphere in C dimensions E vvᵀ = I/C, so E C‖Jᵀv‖² = ‖J‖²_F: the mean of
    C‖Jᵢᵀv‖² over inputs and probes, each with a v of its own, for one backward pass a probe.

    Args:
        function: (n, …) inputs ↦ (n, C) outputs, each of its own input alone; twice differentiable.
        inputs: (n, …); where they require grad, as embeddings do, so does the result by them.
        probes: number of vectors for each input.
        generator: random numbers on the CPU; by default those of torch, which then move on.

    Returns:
        A scalar that can be differentiated by whatever the function depends on.

    Raises:
        ValueError: if ``probes`` is not positive.
    """
    if probes < 1:
        raise ValueError(f"probes={probes}: must be at least 1")
    x = inputs if inputs.requires_grad else inputs.detach().requires_grad_()
    # The fused kernels of attention have no second derivative.
    with sdpa_kernel(SDPBackend.MATH):
        outputs = function(x)
    total = outputs.new_zeros(())
    for _ in range(probes):
        v = torch.randn(outputs.shape, generator=generator, dtype=outputs.dtype)
        v = torch.nn.functional.normalize(v, dim=1).to(outputs)
        (pulled,) = torch.autograd.grad(outputs, x, v, create_graph=True)
        total = total + pulled.square().sum()
    return total * outputs.shape[1] / (probes * len(outputs))


def _checked(weights: Sequence[Tensor]) -> list[Tensor]:
    shapes = [tuple(w.shape) for w in weights]
    if not shapes or any(len(shape) != 2 or shape[0] != shapes[0][0] for shape in shapes):
        raise ValueError(
            f"routing weights of shapes {shapes}: must be (n, n_heads) for each of one or more "
            "layers, with the same n"
        )
    return list(weights)


def _mean(layers: Sequence[Tensor]) -> Tensor:
    """Over layers and inputs, of which every layer has as many."""
    return torch.stack(list(layers)).mean()


def _log(w: Tensor) -> Tensor:
    """Logarithm of w, with a finite value and gradient at 0."""
    return w.clamp_min(torch.finfo(w.dtype).tiny).log()
