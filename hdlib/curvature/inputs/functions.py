"""Whether a loss is a function of its parameters that can be differentiated twice."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hdlib.curvature.inputs.copies import kept_results
from hdlib.curvature.inputs.data import Batch
from hdlib.curvature.inputs.moves import direction, moved
from hdlib.curvature.inputs.nested import tensors_in
from hdlib.curvature.inputs.objective import SHARED, NoHessianError, Objective, require_finite
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
ROUNDED = 16 * 2.0**-52
"""What a loss near zero moves by in float64 anyway: log-softmax rounds 1 + Σ exp(−margin)."""
EXACTLY = 1e-11
"""How exactly, over its size."""
TINY = 1e-30
"""Of numbers this small some may be lost on the way."""
ASYMMETRY = {torch.float64: 1e-7, torch.float32: 1e-2}


def check_function(objective: Objective, batch: Batch) -> bool:
    """Make sure that the loss of a batch is one number, and the same twice.

    Returns:
        Whether random numbers are drawn for it.

    Raises:
        ValueError: if it is not, or model or loss fail; it says what to do.
    """
    if isinstance(objective.loss_given, nn.Module):
        held = set(map(id, objective.loss_given.parameters()))
        if held & set(map(id, objective.given.parameters())):
            raise NoHessianError(f"the loss holds parameters of the model: {SHARED}")
    before = {name: tensor.clone() for name, tensor in objective.model.state_dict().items()}
    random = _random_state(objective)
    objective.value_and_weight(batch)
    draws = not torch.equal(random, _random_state(objective))
    for name, parameter in objective.model.named_parameters():
        if not torch.equal(parameter, before[name]):
            raise NoHessianError(
                f"forward changes the parameter {name}: send a batch through the model first"
            )
    for _ in range(TRIALS if draws else 1):
        check_same(objective, batch)
    once, generator = _loss(objective, batch), torch.Generator().manual_seed(0)
    for name, buffer in objective.model.named_buffers():
        start = before.get(name)
        if start is None or start.shape != buffer.shape or not buffer.is_floating_point():
            continue
        if not torch.equal(buffer, start):
            buffer += torch.rand(buffer.shape, generator=generator).to(buffer)
            if not _same(once, _loss(objective, batch), objective.dtype):
                raise NoHessianError(
                    f"forward changes the buffer {name}, and the loss depends on it: it is not a "
                    f"function{objective.advice()}"
                )
            buffer.copy_(start)
    return draws


def check_same(objective: Objective, batch: Batch) -> None:
    """Make sure that the loss of a batch is the same twice.

    Raises:
        ValueError: if it is not.
    """
    once, again = _loss(objective, batch), _loss(objective, batch)
    if not _same(once, again, objective.dtype):
        raise NoHessianError(
            f"the loss of the same {len(batch)} samples is {once:.6g}, then {again:.6g} (dropout "
            f"or other noise, a state that is kept): it is not a function{objective.advice()}"
        )


def check_leaves(objective: Objective, batch: Batch) -> None:
    """Make sure that a copy does not compute with the model as it came, or with old results.

    Args:
        objective: loss as a function of the parameters.
        batch: samples of which some count.

    Raises:
        ValueError: if parameters of the model as it came are in the graph of the loss, or tensors
            that were made of them before.
    """
    chosen = [objective.given.get_parameter(name) for name in objective.parameters]
    frozen = [parameter for parameter in chosen if not parameter.requires_grad]
    old = set(map(id, kept_results(objective.model, leaves=True)))
    old -= set(map(id, objective.model.parameters()))  # recurrent layers keep them in a list, too
    try:
        for parameter in frozen:  # only what requires grad is in the graph
            parameter.requires_grad_(True)
        value = objective.value_and_weight(batch)[0]
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)
    foreign = {id(parameter): name for name, parameter in objective.given.named_parameters()}
    waiting, seen = [value.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        leaf = id(getattr(node, "variable", None))
        if leaf in foreign:
            raise NoHessianError(f"a function holds on to {foreign[leaf]} of the model: {SHARED}")
        if leaf in old:
            raise NoHessianError(
                "forward computes with a tensor that was made of parameters before, and would not "
                "move with them: make it in forward"
            )
        waiting += [following for following, _ in node.next_functions]


def rounding(objective: Objective, batch: Batch) -> float:
    """How far the loss of a batch may be off by rounding: what tiny steps make of it.

    A loss that they do not change at all is what is left of the outputs, and off by theirs.
    """
    here, there = _loss(objective, batch), []
    for seed in range(3):
        with moved(objective, direction(objective, seed), ULP[objective.dtype]):
            there.append(_loss(objective, batch))
    found = ROUNDINGS * max(abs(value - here) for value in there)
    return found or ROUNDINGS * output_rounding(objective, batch)


def output_rounding(objective: Objective, batch: Batch) -> float:
    """How far the outputs of a batch are off by rounding."""
    outputs = tensors_in(objective.outputs(batch)[0])
    sizes = [float(f.detach().abs().max()) for f in outputs if f.numel() and f.is_floating_point()]
    return torch.finfo(objective.dtype).eps * max(sizes, default=0.0)


def check_slope(objective: Objective, batch: Batch, *, curvature: float = 0.0) -> None:
    """Make sure that the gradient is that of the loss, and the loss in the precision it should be.

    Along a short step h a loss in double precision is a parabola, of slope ∇L·v and of the given
    curvature vᵀHv.

    Raises:
        ValueError: if it is not.
    """
    if objective.dtype != torch.float64:
        return
    slopes = torch.cat([s.flatten() for s in objective.slopes(objective.value(batch))])
    v = _moving(objective, slopes, 1)
    slope, here = float(slopes @ v), _loss(objective, batch)
    # What a steep loss is off a parabola goes with the fourth power of the step; jumps stay.
    for step in (SMALL, SMALL / 8):
        with moved(objective, v, step) as h:
            ahead = _loss(objective, batch)
        with moved(objective, v, -step):
            behind = _loss(objective, batch)
        size = EXACTLY * max(abs(here), abs(ahead), abs(behind)) + ROUNDED
        if (jump := abs(ahead - 2 * here + behind - h * h * curvature)) <= size:
            break
    else:
        raise NoHessianError(
            f"the loss is {here:.12g} and moves in steps of about {jump:.1g}: model or loss are in "
            "single precision, or less, inside; pass dtype=torch.float32, and results will say so"
        )
    moves, told = ahead - behind, 2 * h * slope
    if abs(moves - told) > 1e-3 * max(abs(moves), abs(told)) + size:
        raise NoHessianError(
            f"the gradient is not that of the loss: its slope is {told / (2 * h):.6g} by backward "
            f"passes and {moves / (2 * h):.6g} by differences; does something let gradients "
            "through that is not its derivative, or round to half precision?"
        )


def check_derivatives(objective: Objective, batch: Batch) -> None:
    """Make sure that second derivatives are symmetric, and those of the loss.

    For random u and v, uᵀHv is compared with vᵀHu, and Hv with finite differences of the gradient,
    parameter by parameter, where two steps agree. What Hv differs by after a tiny step is its
    rounding.

    Raises:
        ValueError: if they are not, or cannot be taken.
    """
    slopes = torch.cat([s.flatten() for s in objective.slopes(objective.value(batch))])
    u, v = (_moving(objective, slopes, seed) for seed in (0, 1))
    hu, hv = _products(objective, batch, u, v)
    with moved(objective, direction(objective, 2), ULP[objective.dtype]):
        noise = ROUNDINGS * float((_products(objective, batch, u, v)[1] - hv).norm())
    check_slope(objective, batch, curvature=float(v @ hv))
    allowed = ASYMMETRY[objective.dtype] * (u.norm() * hv.norm() + v.norm() * hu.norm())
    if not (u @ hv - v @ hu).abs() <= allowed + u.norm() * noise + TINY:
        raise NoHessianError(
            f"second derivatives are not symmetric: uᵀHv is {u @ hv:.6g}, vᵀHu {v @ hu:.6g}; some "
            "backward pass is not the derivative of its forward pass"
        )
    if objective.dtype != torch.float64:
        return
    far, near = (_difference(objective, v, step, batch) for step in (STEP, STEP / 4))
    sizes = [parameter.numel() for parameter in objective.parameters.values()]
    moving = slopes != 0
    parts = zip(
        objective.parameters, *((d * moving).split(sizes) for d in (far, near, hv)), strict=True
    )
    for name, coarse, fine, product in parts:
        settled = fine.norm() > 0 and (coarse - fine).norm() <= 1e-5 * fine.norm()
        size = torch.max(fine.norm(), product.norm())
        if settled and (fine - product).norm() > 1e-4 * size + 1e-11 * hv.norm() + noise + TINY:
            raise NoHessianError(
                f"second derivatives are not those of the loss: along {name} they are "
                f"{product.norm():.6g} in norm, finite differences of the gradient give "
                f"{fine.norm():.6g}; some operation is not differentiated twice, or does not see "
                "its parameters"
            )


def _moving(objective: Objective, slopes: Tensor, seed: int) -> Tensor:
    """A random direction along what has a slope: PyTorch holds the rest back, as rows that pad."""
    return direction(objective, seed) * (slopes != 0)


def _products(objective: Objective, batch: Batch, u: Tensor, v: Tensor) -> Tensor:
    """Hu and Hv, (2, P)."""
    try:
        found = hessian_map(objective, batch)(torch.stack([u, v], 1)).detach().T
    except RuntimeError as error:
        raise NoHessianError(f"the second derivative cannot be taken: {error}") from error
    require_finite("second derivatives are", found)
    return found


def _loss(objective: Objective, batch: Batch) -> float:
    return objective.value_and_weight(batch)[0].item()


def _same(one: float, other: float, dtype: torch.dtype) -> bool:
    return abs(one - other) <= SAME[dtype] * (abs(one) + abs(other))


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
