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


# What was announced, and what was taken over what was there before, in bytes.
ANNOUNCED = """
import logging, resource, torch
from torch import nn
from torch.nn.functional import cross_entropy
from hdlib import curvature
from hdlib.models import LeNetTiny

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

class Kept(logging.Handler):
    def emit(self, record):
        kept.append(float(record.getMessage().rsplit("takes ", 1)[1].split()[0]) * 1e9)

kept = []
logging.getLogger("hdlib").addHandler(Kept())
logging.getLogger("hdlib").setLevel(logging.INFO)
warm = nn.Sequential(nn.Conv2d(1, 2, 2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(2, 3))
curvature.hessian(warm, cross_entropy, (torch.randn(9, 1, 4, 4), torch.arange(9) % 3))
model, shape, classes = {network}
model.double()
data = torch.randn(300, *shape).double(), torch.arange(300) % classes
before = peak()
curvature.{function}(model, cross_entropy, data)
print(kept[-1], peak() - before)
"""
NETWORKS = {
    "LeNet-tiny": "LeNetTiny(), (1, 28, 28), 10",
    "wide linear layers": (
        "nn.Sequential(nn.Linear(784, 6), nn.ReLU(), nn.Linear(6, 40), nn.ReLU(), "
        "nn.Linear(40, 10)), (784,), 10"
    ),
    "a wide read-out": "nn.Linear(600, 10), (600,), 10",
    "hidden layers": (
        "nn.Sequential(nn.Linear(40, 90), nn.ReLU(), nn.Linear(90, 20), nn.ReLU(), "
        "nn.Linear(20, 10)), (40,), 10"
    ),
    "many classes": "nn.Sequential(nn.Linear(3, 1500)), (3,), 1500",
    "many classes, hidden": (
        "nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 700)), (5,), 700"
    ),
}


CASES = [(name, "hessian") for name in NETWORKS]
CASES += [(name, "hessian_split") for name in ("LeNet-tiny", "hidden layers")]
CASES += [(name, "gauss_newton") for name in ("LeNet-tiny", "many classes")]


@pytest.mark.parametrize(("network", "function"), CASES)
def test_what_is_announced_is_taken(network, function):
    done = subprocess.run(
        [sys.executable, "-c", ANNOUNCED.format(network=NETWORKS[network], function=function)],
        capture_output=True,
        text=True,
        check=True,
    )
    announced, taken = map(float, done.stdout.split())
    assert taken < announced < 1.25 * taken, (announced, taken)
