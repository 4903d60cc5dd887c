"""One hidden layer in which circuits are planted: blocks, and cross weights of a chosen size."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Literal, TypeAlias, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Unit: TypeAlias = Literal["quadratic", "relu"]
"""What a hidden unit makes of its input z: z², or max(z, 0)."""


class PlantedNetwork(nn.Module):
    """f(x) = (N ∘ U) φ((M ∘ W) x + b) + c, with inputs, units and outputs divided among circuits.

    An entry of the masks M and N is 1 between what belongs to one circuit and α between circuits.
    At α = 0 the circuits share nothing: the weights between them are dead, and the Hessian has a
    block for each. At α = 1 there is one trunk, and no unit belongs to any. With I inputs, H units
    and O outputs there are (I + 1) H + (H + 1) O parameters.

    Initial weights are normal: W with standard deviation ½/√(2T), where 2T is the number of
    residues that are given at once, U with ½/√H; biases are 0.

    Args:
        inputs: inputs of each of the T circuits.
        units: hidden units of each.
        outputs: outputs of each.
        alpha: α ≥ 0.
        unit: φ.

    Raises:
        ValueError: if the circuits are not as many in all three, one has nothing of a kind, α is
            negative, or φ is unknown.
    """

    def __init__(
        self,
        inputs: Sequence[int],
        units: Sequence[int],
        outputs: Sequence[int],
        *,
        alpha: float,
        unit: Unit = "quadratic",
    ) -> None:
        super().__init__()
        if not len(inputs) == len(units) == len(outputs) > 0:
            raise ValueError(
                f"inputs, units and outputs must be of equally many circuits, got {len(inputs)}, "
                f"{len(units)} and {len(outputs)}"
            )
        if (least := min(chain(inputs, units, outputs))) < 1:
            raise ValueError(f"each circuit needs at least one of each kind, got {least}")
        if not alpha >= 0:
            raise ValueError(f"alpha={alpha}: must be at least 0")
        if unit not in get_args(Unit):
            raise ValueError(f"unit={unit!r}: allowed are {', '.join(get_args(Unit))}")
        self.unit: Unit = unit
        self.input_circuit, self.unit_circuit, self.output_circuit = (
            torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
            for sizes in (inputs, units, outputs)
        )
        n, h, o = sum(inputs), sum(units), sum(outputs)
        self.input_weight = nn.Parameter(torch.randn(h, n) / (8 * len(inputs)) ** 0.5)
        self.input_bias = nn.Parameter(torch.zeros(h))
        self.output_weight = nn.Parameter(torch.randn(o, h) / (4 * h) ** 0.5)
        self.output_bias = nn.Parameter(torch.zeros(o))
        crossed = torch.tensor([alpha, 1.0])
        same_in = self.unit_circuit[:, None] == self.input_circuit
        same_out = self.output_circuit[:, None] == self.unit_circuit
        self.register_buffer("input_mask", crossed[same_in.long()], persistent=False)
        self.register_buffer("output_mask", crossed[same_out.long()], persistent=False)

    input_mask: Tensor
    output_mask: Tensor

    def pre_activations(self, x: Tensor) -> Tensor:
        """(n, H) inputs z of the hidden units."""
        return F.linear(x, self.input_weight * self.input_mask, self.input_bias)

    def forward(self, x: Tensor) -> Tensor:
        """(n, O) outputs of (n, I) inputs."""
        z = self.pre_activations(x)
        hidden = z * z if self.unit == "quadratic" else z.relu()
        return F.linear(hidden, self.output_weight * self.output_mask, self.output_bias)

    def factors(self) -> Tensor:
        """(P,) what each parameter is multiplied with: 1 or α."""
        ones = [torch.ones_like(self.input_bias), torch.ones_like(self.output_bias)]
        masks = [self.input_mask, ones[0], self.output_mask, ones[1]]
        return torch.cat([mask.flatten() for mask in masks])

    def circuits(self) -> Tensor:
        """(P,) int64 circuit of each parameter; −1 for weights between two circuits."""
        unit, output = self.unit_circuit, self.output_circuit
        into = torch.where(unit[:, None] == self.input_circuit, unit[:, None], -1)
        out = torch.where(output[:, None] == unit, output[:, None], -1)
        return torch.cat([into.flatten(), unit, out.flatten(), output])

    def owners(self) -> Tensor:
        """(P,) int64 hidden unit that each parameter belongs to; −1 for the output biases."""
        units = torch.arange(len(self.unit_circuit))
        n, o = len(self.input_circuit), len(self.output_circuit)
        return torch.cat([units.repeat_interleave(n), units, units.repeat(o), torch.full((o,), -1)])
