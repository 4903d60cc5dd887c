from __future__ import annotations

import pytest
import torch
from torch import nn

from hdlib.measures.norms import weight_norms


class Network(nn.Module):
    def __init__(self, first: nn.Linear, second: nn.Linear) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([2.0]))
        self.blocks = nn.ModuleList([first, second])
        self.again = first
        self.activation = nn.GELU()


def test_norms_by_module():
    """Weight (2, 4) and bias 4 make 6; weight (1, 2) √5."""
    first, second = nn.Linear(2, 1), nn.Linear(1, 2, bias=False)
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[2.0, 4.0]]))
        first.bias.fill_(4.0)
        second.weight.copy_(torch.tensor([[1.0], [2.0]]))
    first.weight.requires_grad_(False)
    assert weight_norms(Network(first, second)) == pytest.approx(
        {
            "norm/total": (4 + 36 + 5) ** 0.5,
            "norm/Network": 2,
            "norm/blocks.0": 6,
            "norm/blocks.1": 5**0.5,
        }
    )


def test_total_is_that_of_the_parameter_vector():
    model = nn.Sequential(nn.Linear(50, 40), nn.LayerNorm(40), nn.Embedding(9, 40))
    vector = nn.utils.parameters_to_vector(model.parameters())
    found = weight_norms(model)
    assert found["norm/total"] == pytest.approx(vector.norm().item())
    assert found["norm/1"] == pytest.approx(40**0.5)
