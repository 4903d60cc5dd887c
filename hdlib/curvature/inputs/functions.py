"""Whether a loss is a function of its parameters that can be differentiated twice."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hdlib.curvature.inputs.data import Batch
from hdlib.curvature.inputs.moves import direction, moved
from hdlib.curvature.inputs.nested import tensors_in
from hdlib.curvature.inputs.objective import Objective
from hdlib.curvature.products import hessian_map

SAME = {torch.float64: 1e-9, torch.float32: 1e-4}
"""How far two losses that should be equal may differ, over their size."""
ULP = {torch.float64: 1e-15, torch.float32: 1e-6}
"""Steps, over ‖θ‖, after which a loss differs by its rounding."""
ROUNDINGS = 100
"""The error that is allowed for rounding, over what such steps show."""
TRIALS = 20
"""Of two evaluations each, where random numbers are drawn, which seldom show with few samples."""
STEP = 1e-6
"""Of finite differences, over ‖θ‖: few ReLUs switch on so short a way."""
SMALL = 1e-8
"""A step, over ‖θ‖, along which a loss is a parabola, and jumps if in single precision."""
EXACTLY = 1e-11
"""How exactly, over its size."""
ASYMMETRY = {torch.float64: 1e-7, torch.float32: 1e-2}
SHARED = (
    "a copy of the model, which curvature is computed with, would not see it move. Give a function "
    "that was put in place of a forward a class of its own or bind it with types.MethodType; a "
    "loss takes outputs and targets only"
)


def check_function(objective: Objective, batch: Batch) -> bool:
    """Make sure that the loss of a batch is one number, the same twice, and of the copy.

    Returns:
        Whether random numbers are drawn for it.

    Raises:
        ValueError: if it is not, or model or loss fail; it says what to do.
    """
    if isinstance(objective.loss_given, nn.Module):
        held = set(map(id, objective.loss_given.parameters()))
        if held & set(map(id, objective.given.parameters())):
            raise ValueError(f"the loss holds parameters of the model: {SHARED}")
    before = {name: buffer.clone() for name, buffer in objective.model.named_buffers()}
    random = _random_state(objective)
    try:
        objective.call(batch.to(objective.device, objective.dtype))
    except Exception as error:
        raise ValueError(_failed(objective, batch, error)) from error
    try:
        value = objective.value_and_weight(batch)[0]
    except RuntimeError as error:
        raise ValueError(_failed(objective, batch, error)) from error
    draws = not torch.equal(random, _random_state(objective))
    _check_leaves(objective, value)
    for _ in range(TRIALS if draws else 1):
        check_same(objective, batch)
    once = value.item()
    generator = torch.Generator().manual_seed(0)
    for name, buffer in objective.model.named_buffers():
        if buffer.is_floating_point() and not torch.equal(buffer, before[name]):
            buffer += torch.rand(buffer.shape, generator=generator).to(buffer)
            if not _same(once, _loss(objective, batch), objective.dtype):
                raise ValueError(
                    f"forward changes the buffer {name}, and the loss depends on it: it is not a "
                    f"function{_advice(objective)}"
                )
            buffer.copy_(before[name])
    return draws


def check_same(objective: Objective, batch: Batch) -> None:
    """Make sure that the loss of a batch is the same twice.

    Raises:
        ValueError: if it is not.
    """
    once, again = _loss(objective, batch), _loss(objective, batch)
    if not _same(once, again, objective.dtype):
        raise ValueError(
            f"the loss of the same {len(batch)} samples is {once:.6g}, then {again:.6g} (dropout "
            f"or other noise, a state that is kept): it is not a function{_advice(objective)}"
        )


def rounding(objective: Objective, batch: Batch) -> float:
    """How far the loss of a batch may be off by rounding: what tiny steps make of it.

    A loss that they do not change at all is what is left of the outputs, and off by theirs.
    """
    here, there = _loss(objective, batch), []
    for seed in range(3):
        with moved(objective, direction(objective, seed), ULP[objective.dtype]):
            there.append(_loss(objective, batch))
    found = ROUNDINGS * max(abs(value - here) for value in there)
    if found:
        return found
    outputs = tensors_in(objective.outputs(batch)[0])
    sizes = [float(f.detach().abs().max()) for f in outputs if f.numel() and f.is_floating_point()]
    return ROUNDINGS * torch.finfo(objective.dtype).eps * max(sizes, default=0.0)


def check_derivatives(objective: Objective, batch: Batch) -> None:
    """Make sure that second derivatives are symmetric, and those of the loss.

    For random u and v, uᵀHv is compared with vᵀHu, and Hv with finite differences of the gradient,
    parameter by parameter, where two steps agree: at a kink they grow as 1/step, and nothing is
    said.

    Raises:
        ValueError: if they are not, or cannot be taken.
    """
    u, v = direction(objective, 0), direction(objective, 1)
    try:
        hu, hv = hessian_map(objective, batch)(torch.stack([u, v], 1)).detach().T
    except RuntimeError as error:
        raise ValueError(f"the second derivative cannot be taken: {error}") from error
    if objective.dtype == torch.float64:
        _check_slope(objective, v, float(v @ hv), batch)
    norm = u.norm() * hv.norm() + v.norm() * hu.norm()
    if not (u @ hv - v @ hu).abs() <= ASYMMETRY[objective.dtype] * norm:
        raise ValueError(
            f"second derivatives are not symmetric: uᵀHv is {u @ hv:.6g}, vᵀHu {v @ hu:.6g}; some "
            "backward pass is not the derivative of its forward pass"
        )
    if objective.dtype != torch.float64:
        return
    far, near = (_difference(objective, v, step, batch) for step in (STEP, STEP / 4))
    sizes = [parameter.numel() for parameter in objective.parameters.values()]
    parts = zip(objective.parameters, *(d.split(sizes) for d in (far, near, hv)), strict=True)
    for name, coarse, fine, product in parts:
        settled = (coarse - fine).norm() <= 1e-5 * fine.norm()
        if settled and (fine - product).norm() > 1e-4 * torch.max(fine.norm(), product.norm()):
            raise ValueError(
                f"second derivatives are not those of the loss: along {name} they are "
                f"{product.norm():.6g} in norm, finite differences of the gradient give "
                f"{fine.norm():.6g}; some operation is not differentiated twice, or does not see "
                "its parameters"
            )


def _check_slope(objective: Objective, v: Tensor, curvature: float, batch: Batch) -> None:
    """Along a short step a loss in double precision is a parabola, with the slope ∇L·v."""
    slopes = objective.slopes(objective.value(batch))
    slope = float(torch.cat([part.flatten() for part in slopes]) @ v)
    here = _loss(objective, batch)
    with moved(objective, v, SMALL) as h:
        ahead = _loss(objective, batch)
    with moved(objective, v, -SMALL):
        behind = _loss(objective, batch)
    size = max(abs(here), abs(ahead), abs(behind))
    if (jump := abs(ahead - 2 * here + behind - h * h * curvature)) > EXACTLY * size:
        raise ValueError(
            f"the loss is {here:.12g} and moves in steps of about {jump:.1g}: model or loss are in "
            "single precision, or less, inside; pass dtype=torch.float32, and results will say so"
        )
    moves, told = ahead - behind, 2 * h * slope
    if abs(moves - told) > 1e-3 * max(abs(moves), abs(told)) + EXACTLY * size:
        raise ValueError(
            f"the gradient is not that of the loss: its slope is {told / (2 * h):.6g} by backward "
            f"passes and {moves / (2 * h):.6g} by differences; does something let gradients "
            "through that is not its derivative, or round to half precision?"
        )


def _loss(objective: Objective, batch: Batch) -> float:
    return objective.value_and_weight(batch)[0].item()


def _same(one: float, other: float, dtype: torch.dtype) -> bool:
    return abs(one - other) <= SAME[dtype] * (abs(one) + abs(other))


def _check_leaves(objective: Objective, value: Tensor) -> None:
    """The copy must not compute with parameters of the model as it came."""
    foreign = {id(parameter): name for name, parameter in objective.given.named_parameters()}
    waiting, seen = [value.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        name = foreign.get(id(getattr(node, "variable", None)))
        if name is not None:
            raise ValueError(f"a function holds on to {name} of the model: {SHARED}")
        waiting += [following for following, _ in node.next_functions]


def _difference(objective: Objective, v: Tensor, step: float, batch: Batch) -> Tensor:
    """(∇L(θ + hv) − ∇L(θ − hv)) / 2h with h‖v‖ = step · ‖θ‖."""

    def slope(step: float) -> tuple[Tensor, float]:
        with moved(objective, v, step) as h:
            parts = objective.slopes(objective.value(batch))
        return torch.cat([part.flatten() for part in parts]), h

    (ahead, h), (behind, _) = slope(step), slope(-step)
    return (ahead - behind) / (2 * h)


def _random_state(objective: Objective) -> Tensor:
    if objective.device.type == "cuda":
        return torch.cuda.get_rng_state(objective.device)
    return torch.get_rng_state()


def _advice(objective: Objective) -> str:
    return "; call model.eval() first" if objective.given.training else ""


def _failed(objective: Objective, batch: Batch, error: Exception) -> str:
    told = f"model or loss fails on {len(batch)} samples in {objective.dtype}: {error}"
    modules = objective.given.named_modules()
    replaced = [name or "the model" for name, module in modules if "forward" in vars(module)]
    if replaced:
        return f"{told}; forward of {replaced[0]} was replaced: {SHARED}"
    if isinstance(error, RuntimeError) and objective.dtype == torch.float64:
        told += "; a model that is in single precision inside takes dtype=torch.float32"
    return told + (_advice(objective) if isinstance(error, ValueError) else "")
