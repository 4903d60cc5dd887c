"""Room for large arrays: told before it is taken, and refused where it is not there."""

from __future__ import annotations

import logging

import psutil
import torch

log = logging.getLogger(__name__)


def announce(what: str, needed: int, device: torch.device) -> None:
    """Log that ``what`` takes ``needed`` bytes.

    Raises:
        MemoryError: if they are not available on the device.
    """
    if device.type == "cuda":
        available = torch.cuda.mem_get_info(device)[0]
    else:
        available = psutil.virtual_memory().available
    message = f"{what} takes {needed / 1e9:.2f} GB"
    log.info(message)
    if needed > available:
        raise MemoryError(f"{message}; {available / 1e9:.2f} GB are available on {device}")
