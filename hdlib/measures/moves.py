"""What becomes of a measure as the weights move along directions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


@torch.no_grad()
def moved(
    model: Network,
    measure: Callable[[Network], NDArray[np.float64]],
    directions: NDArray[np.float64],
    *,
    dose: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """A measure at the weights θ, and at θ + δ and θ − δ, ‖δ‖ = dose ‖θ‖, for each direction.

    Args:
        model: network of P parameters; it comes back with its own weights, in double precision.
        measure: function of the network, an array of any shape.
        directions: (P, m), unit columns.
        dose: length of a move, as a share of the norm of all weights.

    Returns:
        Float64 arrays of shape (…), (m, …) and (m, …).
    """
    model = model.double()
    parameters = list(model.parameters())
    theta = torch.nn.utils.parameters_to_vector(parameters).clone()

    def at(weights: Tensor) -> NDArray[np.float64]:
        torch.nn.utils.vector_to_parameters(weights, parameters)
        return measure(model)

    steps = torch.from_numpy(directions.T.copy()).to(theta) * (dose * theta.norm())
    forth, back = (np.stack([at(theta + sign * step) for step in steps]) for sign in (1, -1))
    # Last, so that the model has its own weights again.
    return at(theta), forth, back
