"""The curvature of each circuit's loss, in closed form: hundreds of Hessians in minutes.

With z = Wx + b, φ the units' function, Jₙ the Jacobian of the outputs and gₙ, Sₙ gradient and
Hessian of a loss by the outputs of sample n, the Gauss–Newton part is the mean of JₙᵀSₙJₙ. With x
and φ(z) each continued by a 1 for the biases, its blocks are contractions of H² or O · H numbers a
sample with xxᵀ, x and nothing. The residual couples an input weight with the output weights of
its unit (φ′) and with the other input weights of it (φ″), and no two units.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from hdlib.models.planted import PlantedNetwork


class Point(NamedTuple):
    """What all curvatures at one point have in common, in float64.

    Attributes:
        x: (n, I + 1) inputs and a 1.
        hidden: (n, H + 1) activations and a 1.
        slope: (n, H), φ′(z).
        bend: (n, H), φ″(z), as autograd has it: 0 for ReLU.
        outputs: (n, O).
        weight: (O, H) output weights, cross weights multiplied with α.
        factors: (P,) what each parameter is multiplied with.
    """

    x: Tensor
    hidden: Tensor
    slope: Tensor
    bend: Tensor
    outputs: Tensor
    weight: Tensor
    factors: Tensor


def point_at(model: PlantedNetwork, x: Tensor) -> Point:
    """The network on n inputs."""
    with torch.no_grad():
        factors, unit = model.factors().double(), model.unit
        w = model.input_weight.double() * model.input_mask
        weight = model.output_weight.double() * model.output_mask
        z = x.double() @ w.T + model.input_bias.double()
        hidden = z * z if unit == "quadratic" else z.relu()
        slope = 2 * z if unit == "quadratic" else (z > 0).double()
        bend = torch.full_like(z, 2.0 if unit == "quadratic" else 0.0)
        outputs = hidden @ weight.T + model.output_bias.double()
    return Point(
        pad(x.double(), (0, 1), value=1), pad(hidden, (0, 1), value=1), slope, bend, outputs,
        weight, factors,
    )  # fmt: skip


def softmax_derivatives(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient (n, C) and Hessian (n, C, C) of each sample's cross-entropy by its outputs."""
    p = outputs.softmax(1)
    hessian = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    return p - torch.nn.functional.one_hot(targets, outputs.shape[1]), hessian


def gauss_newton_part(at: Point, curvature: Tensor, outputs: slice) -> Tensor:
    """Mean of JᵀSJ over the samples, (P, P), for an S on some of the outputs.

    Args:
        at: the point.
        curvature: S, (n, C, C) or, where it is the same for all samples, (1, C, C).
        outputs: which C outputs it is about.
    """
    n, h, i = len(at.x), at.slope.shape[1], at.x.shape[1]
    u, total = at.weight[outputs], len(at.weight)
    curvature = curvature.expand(n, *curvature.shape[1:])
    seen = curvature @ u  # (n, C, H)
    between = (u.T @ seen) * at.slope[:, :, None] * at.slope[:, None, :]
    squares = (at.x[:, :, None] * at.x[:, None, :]).reshape(n, -1)
    into = (between.reshape(n, -1).T @ squares).reshape(h, h, i, i).permute(0, 2, 1, 3)
    mixed = (seen * at.slope[:, None, :])[:, :, None, :] * at.hidden[:, None, :, None]
    c = u.shape[0]
    across = (mixed.reshape(n, -1).T @ at.x).reshape(c, h + 1, h, i)
    powers = (at.hidden[:, :, None] * at.hidden[:, None, :]).reshape(n, -1)
    out = (curvature.reshape(n, -1).T @ powers).reshape(c, c, h + 1, h + 1).permute(0, 2, 1, 3)
    whole = torch.zeros(h * i + total * (h + 1), h * i + total * (h + 1), dtype=torch.float64)
    whole[: h * i, : h * i] = into.reshape(h * i, h * i)
    rows = h * i + torch.arange(total * (h + 1)).reshape(total, h + 1)[outputs].flatten()
    whole[rows, : h * i] = across.reshape(c * (h + 1), h * i)
    whole[: h * i, rows] = whole[rows, : h * i].T
    whole[rows[:, None], rows] = out.reshape(c * (h + 1), c * (h + 1))
    return _ordered(at, whole / n)


def residual_part(at: Point, gradient: Tensor, outputs: slice) -> Tensor:
    """Mean of Σ g_o ∂²f_o over the samples, (P, P), for a gradient (n, C) by some outputs."""
    n, h, i = len(at.x), at.slope.shape[1], at.x.shape[1]
    total, unit = len(at.weight), torch.arange(h)
    inner = (gradient @ at.weight[outputs]) * at.bend
    squares = (at.x[:, :, None] * at.x[:, None, :]).reshape(n, -1)
    whole = torch.zeros(h * i + total * (h + 1), h * i + total * (h + 1), dtype=torch.float64)
    blocks = whole[: h * i, : h * i].view(h, i, h, i)
    blocks[unit, :, unit] = (inner.T @ squares).reshape(h, i, i)
    pulled = gradient[:, :, None] * at.slope[:, None, :]
    across = (pulled.reshape(n, -1).T @ at.x).reshape(-1, h, i)
    lower = whole[h * i :, : h * i].view(total, h + 1, h, i)
    lower[outputs, unit, unit] = across
    whole[: h * i, h * i :] = whole[h * i :, : h * i].T
    return _ordered(at, whole / n)


def _ordered(at: Point, whole: Tensor) -> Tensor:
    """From rows (weights, bias) of each unit to the order of `named_parameters`; α is applied."""
    h, i, total = at.slope.shape[1], at.x.shape[1], len(at.weight)
    into = torch.arange(h * i).reshape(h, i)
    out = h * i + torch.arange(total * (h + 1)).reshape(total, h + 1)
    parts = [into[:, :-1], into[:, -1], out[:, :-1], out[:, -1]]
    order = torch.cat([part.flatten() for part in parts])
    return whole[order[:, None], order] * at.factors * at.factors[:, None]
