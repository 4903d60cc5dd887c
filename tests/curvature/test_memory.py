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


# The same for the spectrum of a matrix that is there, that one included, and what it announces.
SPECTRUM = """
import logging, resource, torch
from hdlib.curvature import spectrum

class Keep(logging.Handler):
    def emit(self, record):
        announced.append(float(record.getMessage().split(" takes ")[1].split()[0]))

announced, n = [], 2_200
logging.getLogger("hdlib").addHandler(Keep())
logging.getLogger("hdlib").setLevel("INFO")
spectrum(torch.eye(50).double(), vectors=3)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
matrix = torch.randn(n, n, dtype=torch.float64)
matrix += matrix.T.clone()
spectrum(matrix, vectors={vectors})
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print((peak - before) / (8 * n**2), max(announced) / (8e-9 * n**2))
"""


def numbers(program: str) -> list[float]:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return [float(number) for number in done.stdout.split()]


@pytest.mark.parametrize("vectors", [0, 50])
def test_three_matrices_are_enough(vectors):
    of_hessian, in_all = numbers(PROGRAM.format(vectors=vectors))
    assert of_hessian < 3
    assert in_all < 3.5


@pytest.mark.parametrize(("vectors", "matrices"), [(0, 2), (300, 4), (1100, 4)])
def test_a_spectrum_takes_what_it_announces(vectors, matrices):
    taken, announced = numbers(SPECTRUM.format(vectors=vectors))
    assert announced + 1 == pytest.approx(matrices, abs=0.2)
    assert taken < matrices + 0.5
