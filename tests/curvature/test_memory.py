"""How many matrices of the Hessian's size are in memory at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Peak of the resident memory over what was there before, in matrices.
PROGRAM = """
import resource, torch
from torch import nn
from hdlib.curvature import hessian, spectrum

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

model = nn.Sequential(nn.Linear(40, 60), nn.ReLU(), nn.Linear(60, 10))
warm = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
data = torch.randn(256, 40), torch.randint(10, (256,))
spectrum(hessian(warm, nn.functional.cross_entropy, (torch.randn(9, 4), torch.arange(9) % 3)))
size = sum(p.numel() for p in model.parameters())
before = peak()
matrix = hessian(model, nn.functional.cross_entropy, data)
middle = peak()
spectrum(matrix, vectors={vectors})
print((middle - before) / (8 * size**2), (peak() - before) / (8 * size**2))
"""


@pytest.mark.parametrize("vectors", [0, 50])
def test_three_matrices_are_enough(vectors):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(vectors=vectors)],
        capture_output=True,
        text=True,
        check=True,
    )
    of_hessian, in_all = map(float, done.stdout.split())
    assert of_hessian < 3
    assert in_all < 3.5
