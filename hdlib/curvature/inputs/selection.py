"""Which parameters of a model curvature is taken in."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn


def selected(model: nn.Module, parameters: Sequence[str] | None = None) -> dict[str, nn.Parameter]:
    """The parameters θ by name, in the order of `named_parameters`.

    Args:
        model: any module.
        parameters: names of parameters, or of modules for all that are in them; by default all that
            require grad.

    Raises:
        ValueError: if a name is that of no parameter or module, names hold no parameter, or none
            requires grad.
        TypeError: if ``parameters`` is a single string, or holds something else.
    """
    every = dict(model.named_parameters())
    if parameters is None:
        found = {name: p for name, p in every.items() if p.requires_grad}
        if not found:
            raise ValueError(f"{type(model).__name__} has no parameter that requires grad")
        return found
    if isinstance(parameters, str):
        raise TypeError(f"parameters must be a list of names, got the string {parameters!r}")
    if not all(isinstance(name, str) for name in parameters):
        raise TypeError("parameters must be names, such as those of model.named_parameters()")
    # Tied weights have several names, of which the first counts.
    aliases = dict(model.named_parameters(remove_duplicate=False))
    chosen: set[int] = set()
    for name in parameters:
        under = [p for path, p in aliases.items() if path == name or path.startswith(f"{name}.")]
        if not under:
            raise ValueError(f"parameters: no {name!r} among {', '.join(every)}")
        chosen.update(map(id, under))
    if not chosen:
        raise ValueError("parameters: no name is given")
    return {name: p for name, p in every.items() if id(p) in chosen}
