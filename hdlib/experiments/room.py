"""Room for the Hessian as a matrix, asked before a network is trained."""

from __future__ import annotations

import psutil


def require_matrices(name: str, value: object, n: int) -> None:
    """Refuse a network whose Hessian and its decomposition cannot fit into this machine.

    Args:
        name: field of the config that decides its size.
        value: value of the field.
        n: number of parameters.

    Raises:
        MemoryError: if they do not; names the field, its value, and what is there.
    """
    needed, there = 3 * 8 * n**2, psutil.virtual_memory().total
    if needed > there:
        raise MemoryError(
            f"{name}={value}: the Hessian of {n:,} parameters and its decomposition take "
            f"{needed / 1e9:,.0f} GB; this machine has {there / 1e9:,.0f} GB"
        )
