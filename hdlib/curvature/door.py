"""What comes in: how a loss weighs its samples, and whether model and loss have a Hessian at all.

A Hessian is computed in pieces of the data, so it is that of the mean over all samples only if the
loss of a batch is the weighted mean of the losses of its parts.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from math import isfinite
from types import MethodType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, vjp
from torch.nn.attention import SDPBackend, sdpa_kernel

from hdlib.curvature.losses import Loss

CHECKED, CURVED = 64, 8
"""Samples of the first batch that the loss is looked at with, and its curvature."""
SAME = {torch.float64: 1e-9, torch.float32: 1e-4}
"""How far two losses that should be equal may differ, over the largest of them."""
STEPS = (1e-4, 1e-5)
"""Differences of the gradient, over the norm of the weights."""
STABLE, AGREES = 0.02, 0.1
"""Two differences this close to each other are a derivative, and the second one must be near it."""
PARALLEL = (nn.DataParallel, nn.parallel.DistributedDataParallel)
WEIGHTED = (F.cross_entropy, F.nll_loss)


def weight_of(loss: Loss) -> Callable[[Tensor], float]:
    """How much a batch with some targets weighs in the mean that a loss takes.

    The number of samples; for PyTorch's cross-entropy and negative log-likelihood the sum of the
    class weights of the targets that are not ignored, by which they divide.
    """
    settings = _settings(loss)
    if settings is None:
        return len
    weight, ignored = settings.get("weight"), settings.get("ignore_index", -100)

    def weigh(targets: Tensor) -> float:
        if targets.is_floating_point():  # of class probabilities a mean over samples is taken
            return len(targets)
        kept = targets[targets != ignored]
        return len(kept) if weight is None else float(weight.double().to(kept.device)[kept].sum())

    return weigh


def check_weight(total: float) -> None:
    """Make sure that some sample counts.

    Raises:
        ValueError: if the weights of all samples are zero, and the mean is undefined.
    """
    if not total:
        raise ValueError("no target counts: all are ignored by the loss, or have the weight 0")


def cast_loss(loss: Loss, like: Tensor) -> Loss:
    """A loss whose tensors, such as class weights, have the type and device of ``like``."""
    if isinstance(loss, nn.Module):
        return copy.deepcopy(loss).to(like)
    if isinstance(loss, partial):
        moved = {
            name: value.to(like) if _is_floating(value) else value
            for name, value in loss.keywords.items()
        }
        return partial(loss.func, *loss.args, **moved)
    return loss


def check_copy(model: nn.Module) -> None:
    """Make sure that a copy of a model computes with its own weights.

    Raises:
        ValueError: if the ``forward`` of a module was replaced by a function that holds on to
            modules or tensors: in a copy it would go on with those of the original; for a scripted
            module, which does not see weights that are passed to it; or for a parallel wrapper.
    """
    if isinstance(model, PARALLEL):
        raise ValueError(f"{type(model).__name__} is a wrapper: pass model.module")
    for name, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            raise ValueError(
                f"{name or 'the model'} is a scripted module, which does not see weights that are "
                "passed to it: pass the module that it was made of"
            )
        replaced = vars(module).get("forward")
        cells = getattr(replaced, "__closure__", None) or ()
        if any(isinstance(cell.cell_contents, (nn.Module, Tensor, MethodType)) for cell in cells):
            raise ValueError(
                f"forward of {name or type(module).__name__} was replaced by a function that holds "
                "on to modules or tensors, which a copy of the model would share: bind it with "
                "types.MethodType, or merge the adapter"
            )


@contextmanager
def twice_differentiable() -> Iterator[None]:
    """Attention by its mathematical kernel: the fused ones have no second derivative."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


@torch.no_grad()
def check_mean(model: nn.Module, loss: Loss, inputs: Tensor, targets: Tensor) -> None:
    """Make sure that the loss is one finite number, the same twice, and a mean over samples.

    On up to 64 samples.

    Args:
        model: as it will be differentiated.
        loss: ``loss(outputs, targets)``.
        inputs: the first batch.
        targets: of these.

    Raises:
        ValueError: if it is not; it says what to do instead.
    """
    x, y = inputs[:CHECKED], targets[:CHECKED]

    def value(part: slice) -> float:
        found = loss(model(x[part]), y[part])
        if not isinstance(found, Tensor) or found.numel() != 1:
            shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise ValueError(
                f"the loss must be one number, the mean over its samples, got {shape}: "
                "reduction='mean'?"
            )
        return found.item()

    weigh = weight_of(loss)
    whole = slice(0, len(x))
    first, again = value(whole), value(whole)
    if not weigh(y):
        return
    if not isfinite(first):
        raise ValueError(f"the loss of the first {len(x)} samples is {first}, not finite")
    same = SAME[next(model.parameters()).dtype]
    if abs(first - again) > same * max(abs(first), abs(again)):
        raise ValueError(
            f"the loss of the same {len(x)} samples is {first:g} and then {again:g}: a network "
            "that is random (dropout?) has no Hessian; call model.eval() first"
        )
    cut = len(x) // 3
    parts = slice(0, cut), slice(cut, len(x))
    weights = [weigh(y[part]) for part in parts]
    if not all(weights):
        return
    values = [value(part) for part in parts]
    scale = max(abs(first), *map(abs, values))
    mean = sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)
    if abs(first - mean) <= same * scale:
        return
    told = f"the loss of {len(x)} samples is {first:g}, those of its parts {values[0]:g} of "
    told += f"{cut} and {values[1]:g} of {len(x) - cut}"
    if abs(first - sum(values)) <= same * max(abs(first), 1e-300) * 10:
        raise ValueError(f"{told}: a sum over the samples; take the mean (reduction='mean')")
    raise ValueError(
        f"{told}: not their mean. Samples that depend on each other (batch statistics? call "
        "model.eval(); a contrastive loss?) have no mean, and its Hessian is not defined"
    )


def check_curvature(model: nn.Module, loss: Loss, inputs: Tensor, targets: Tensor) -> None:
    """Make sure that second derivatives are those of the function, along a random direction.

    Hv, as it will be computed, is compared with differences of the gradient at weights that are
    really moved, where two of these agree: at a kink they do not, and nothing is said. And u·Hv
    must be v·Hu.

    Raises:
        ValueError: if they are not.
    """
    x, y = inputs[:CURVED], targets[:CURVED]
    if not weight_of(loss)(y):
        return
    # Moved in a copy: a functional call leaves a module that is used twice with other tensors.
    moved = copy.deepcopy(model)
    moving = [parameter for parameter in moved.parameters() if parameter.requires_grad]
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    generator = torch.Generator().manual_seed(0)
    norm = float(sum(float(p.detach().square().sum()) for p in moving)) ** 0.5 or 1.0
    here = {name: p.detach().clone() for name, p in zip(names, moving, strict=True)}

    def slope(step: float, direction: list[Tensor]) -> list[Tensor]:
        with torch.no_grad():
            for parameter, start, part in zip(moving, here.values(), direction, strict=True):
                parameter.copy_(start + step * part)
        with torch.enable_grad():
            found = torch.autograd.grad(
                loss(moved(x), y).reshape(()), moving, allow_unused=True, materialize_grads=True
            )
        return list(found)

    at_rest = slope(0.0, list(here.values()))
    # What has no slope may be held back by PyTorch, as the row of an embedding that pads.
    u, v = (
        [
            torch.randn(p.shape, generator=generator).to(p.detach()) * (part != 0)
            for p, part in zip(moving, at_rest, strict=True)
        ]
        for _ in range(2)
    )
    length = _dot(v, v) ** 0.5
    if not length:
        return

    def objective(parameters: dict[str, Tensor]) -> Tensor:
        return loss(functional_call(model, parameters, (x,)), y).reshape(())

    pull = vjp(grad(objective), here)[1]
    hv, hu = (list(pull(dict(zip(names, parts, strict=True)))[0].values()) for parts in (v, u))
    one, other = _dot(u, hv), _dot(v, hu)
    size = (_dot(u, u) * _dot(hv, hv)) ** 0.5
    if abs(one - other) > 1e-6 * max(size, 1e-300):
        raise ValueError(f"second derivatives are not symmetric: u·Hv = {one:g}, v·Hu = {other:g}")

    differences = []
    for step in (size_ * norm / length for size_ in STEPS):
        ahead, behind = slope(step, v), slope(-step, v)
        differences.append([(a - b) / (2 * step) for a, b in zip(ahead, behind, strict=True)])
    rough, fine = differences
    scale = _dot(fine, fine) ** 0.5
    noise = 1e-9 * _dot(at_rest, at_rest) ** 0.5 / (STEPS[-1] * norm / length)
    if scale <= noise or _distance(rough, fine) > STABLE * scale:
        return
    moves = [h * (part != 0) for h, part in zip(hv, at_rest, strict=True)]
    fine = [f * (part != 0) for f, part in zip(fine, at_rest, strict=True)]
    if _distance(moves, fine) > AGREES * scale:
        raise ValueError(
            "second derivatives are not those of the loss: differences of its gradient have size "
            f"{scale:g}, its second derivatives differ from them by {_distance(moves, fine):g}. A "
            "compiled module, or one that computes with other tensors than its parameters?"
        )


def _settings(loss: Any) -> dict[str, Any] | None:
    """Options of a cross-entropy or negative log-likelihood that takes a mean, else None."""
    if type(loss) in (nn.CrossEntropyLoss, nn.NLLLoss):
        options = {"weight": loss.weight, "ignore_index": loss.ignore_index}
        return options if loss.reduction == "mean" else None
    if any(loss is known for known in WEIGHTED):
        return {}
    if isinstance(loss, partial) and loss.func in WEIGHTED and not loss.args:
        return loss.keywords if loss.keywords.get("reduction", "mean") == "mean" else None
    return None


def _is_floating(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def _dot(a: list[Tensor], b: list[Tensor]) -> float:
    return float(sum(float((x * y).sum()) for x, y in zip(a, b, strict=True)))


def _distance(a: list[Tensor], b: list[Tensor]) -> float:
    parts = [x - y for x, y in zip(a, b, strict=True)]
    return _dot(parts, parts) ** 0.5
