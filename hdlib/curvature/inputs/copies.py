"""The copy of a model that is computed with; the original is left as it is."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from hdlib.curvature.inputs.nested import tensors_in
from hdlib.curvature.inputs.selection import selected

PARALLEL = (nn.DataParallel, nn.parallel.DistributedDataParallel)


def copied(
    model: nn.Module, parameters: Sequence[str] | None = None, *, dtype: torch.dtype
) -> tuple[nn.Module, dict[str, nn.Parameter]]:
    """A copy of ``model`` in ``dtype`` on its own device, and the parameters θ in it by name.

    Only θ requires grad. Embeddings get dense gradients, since sparse ones have no derivative, and
    backward hooks are left out: they act on gradients and are no part of the function.

    Raises:
        ValueError: if no parameter is chosen, one is not finite, or a copy of the model would not
            compute with its own parameters.
    """
    names = selected(model, parameters)
    for name, module in model.named_modules():
        if (problem := _problem(module)) is not None:
            raise ValueError(f"{name or 'the model'} ({type(module).__name__}) {problem}")
    for name, parameter in model.named_parameters():
        if (problem := _lacking(parameter)) is not None:
            raise ValueError(f"parameter {name} {problem}")
    if len(devices := {str(parameter.device) for parameter in names.values()}) > 1:
        raise ValueError(
            f"the parameters lie on several devices, {sorted(devices)}: move the model"
        )
    private = _deep_copy(model)
    private = private.double() if dtype == torch.float64 else private.float()
    for module in private.modules():
        module._backward_hooks.clear()
        module._backward_pre_hooks.clear()
        if isinstance(module, (nn.Embedding, nn.EmbeddingBag)):
            module.sparse = False
    everything = dict(private.named_parameters())
    for name, parameter in everything.items():
        parameter.requires_grad_(name in names)
    return private, {name: everything[name] for name in names}


def _problem(module: nn.Module) -> str | None:
    """Why the parameters of a copy would not be those that it computes with, and what to do."""
    if isinstance(module, PARALLEL):
        return "is a wrapper: pass model.module"
    if isinstance(module, torch.jit.ScriptModule):
        return "is a scripted module, which hides its parameters: pass the module it was made of"
    if hasattr(module, "_orig_mod"):
        return "is compiled: pass model._orig_mod"
    return None


def _lacking(parameter: nn.Parameter) -> str | None:
    if is_lazy(parameter):
        return "has no shape yet: send one batch through the model first"
    if parameter.is_meta:
        return "lies on the meta device, and has no values"
    if parameter.is_complex():
        return "is complex: give its real and imaginary parts as two parameters"
    if not torch.isfinite(parameter.detach()).all():
        return "has values that are not finite"
    return None


def _deep_copy(model: nn.Module) -> nn.Module:
    try:
        results = {id(t): t.detach().clone().requires_grad_() for t in kept_results(model)}
        return copy.deepcopy(model, results)
    except TypeError as error:
        raise ValueError(f"the model cannot be copied: {error}; leave that out of it") from error


def kept_results(model: nn.Module, *, leaves: bool = False) -> list[Tensor]:
    """Tensors that modules keep beside parameters and buffers, and that were computed from others.

    A copy has their values, as leaves that require grad and do not move with its parameters.
    """
    kept = [
        tensor
        for module in model.modules()
        for name, value in vars(module).items()
        if name not in ("_parameters", "_buffers", "_modules")
        for tensor in tensors_in(value)
    ]
    return [tensor for tensor in kept if tensor.requires_grad and tensor.is_leaf == leaves]
