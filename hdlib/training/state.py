"""The state of a training as tensors, to go on from."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from hdlib.training.plan import Plan

MODEL, OPTIMIZER, MEMORY, RANDOM = "model.", "optimizer.", "memory.", "rng"


def state_tensors(plan: Plan) -> dict[str, Tensor]:
    """What a training goes on from, as tensors.

    Weights as "model.{name}", the optimiser's state as "optimizer.{index}.{name}", what measures
    keep as "memory.{name}", and torch's random numbers as "rng".
    """
    weights = {f"{MODEL}{name}": value for name, value in plan.model.state_dict().items()}
    state = {
        f"{OPTIMIZER}{index}.{name}": torch.as_tensor(value)
        for index, values in plan.optimizer.state_dict()["state"].items()
        for name, value in values.items()
        if value is not None
    }
    memory = {f"{MEMORY}{name}": value for name, value in plan.memory.items()}
    return weights | state | memory | {RANDOM: torch.get_rng_state()}


def load_state(plan: Plan, tensors: Mapping[str, Tensor]) -> None:
    """Put model, optimiser and torch's random numbers into a state.

    Raises:
        ValueError: if the tensors are no state of this training.
    """
    try:
        plan.model.load_state_dict(_part(tensors, MODEL))
        saved = plan.optimizer.state_dict()
        for key, value in _part(tensors, OPTIMIZER).items():
            index, name = key.split(".", 1)
            saved["state"].setdefault(int(index), {})[name] = value
        plan.optimizer.load_state_dict(saved)
        plan.memory.clear()
        plan.memory.update(_part(tensors, MEMORY))
        torch.set_rng_state(tensors[RANDOM])
    except (RuntimeError, KeyError, ValueError, TypeError) as error:
        raise ValueError(f"no state of this training: {error}") from error


def moment(tensors: Mapping[str, Tensor], name: str) -> Tensor:
    """One quantity of the optimiser's state for all parameters in order, flattened, (P,).

    Args:
        tensors: state as `state_tensors` gives it.
        name: quantity, such as "exp_avg_sq".

    Raises:
        ValueError: if there is no such quantity.
    """
    found = {
        int(key.partition(".")[0]): value
        for key, value in _part(tensors, OPTIMIZER).items()
        if key.endswith(f".{name}")
    }
    if not found:
        raise ValueError(f"the optimiser's state has no {name!r}")
    return torch.cat([found[index].flatten() for index in sorted(found)])


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
