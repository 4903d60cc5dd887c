"""Room for large arrays: told before it is taken, and refused where it is not there."""

from __future__ import annotations

import logging
from collections.abc import Callable

import psutil
import torch
from torch import Tensor

log = logging.getLogger(__name__)


def announce(what: str, needed: int, device: torch.device) -> None:
    """Log that ``what`` takes ``needed`` bytes.

    Raises:
        MemoryError: if they are not available on the device.
    """
    message = f"{what} takes {needed / 1e9:.2f} GB"
    log.info(message)
    there = available(device)
    if needed > there:
        raise MemoryError(f"{message}; {there / 1e9:.2f} GB are available on {device}")


def available(device: torch.device) -> int:
    """Bytes that may still be taken on a device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available


def saved_bytes(compute: Callable[[], object]) -> int:
    """Bytes that autograd keeps for the backward passes of what ``compute`` does."""
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        compute()
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
