"""Memory: what is announced is what is taken."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

# Peak of the resident memory over what was there before, in matrices, the given one included, and
# what the spectrum announces.
SPECTRUM = """
import logging, torch
from hdlib.curvature import spectrum

class Keep(logging.Handler):
    def emit(self, record):
        announced.append(float(record.getMessage().split(" takes ")[1].split()[0]))

announced, n = [], 2_200
logging.getLogger("hdlib").addHandler(Keep())
logging.getLogger("hdlib").setLevel("INFO")
spectrum(torch.eye(50).double(), vectors=3)
before = peak()
matrix = torch.randn(n, n, dtype=torch.float64)
matrix += matrix.T.clone()
spectrum(matrix, vectors={vectors})
print((peak() - before) / (8 * n**2), max(announced) / (8e-9 * n**2))
"""


# Unlike `resource.getrusage`, this does not go back to before the program started.
PEAK = """
from pathlib import Path

def peak():
    line = next(s for s in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in s)
    return 1024 * int(line.split()[1])
"""


def numbers(program: str) -> list[float]:
    done = subprocess.run(
        [sys.executable, "-c", PEAK + program], capture_output=True, text=True, check=True
    )
    return [float(number) for number in done.stdout.split()]


# What was announced, and what was taken over what was there before, in bytes.
ANNOUNCED = """
import logging, torch
from torch import nn
from torch.nn.functional import cross_entropy
from hdlib import curvature
from hdlib.models import LeNetTiny

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


# What libraries take for themselves on first use differs from machine to machine.
OWN = 32e6

CASES = [(name, "hessian") for name in NETWORKS]
CASES += [(name, "hessian_split") for name in ("LeNet-tiny", "hidden layers")]
CASES += [(name, "gauss_newton") for name in ("LeNet-tiny", "many classes")]


@pytest.mark.parametrize(("network", "function"), CASES)
def test_what_is_announced_is_taken(network, function):
    announced, taken = numbers(ANNOUNCED.format(network=NETWORKS[network], function=function))
    assert taken - OWN < announced < 1.25 * taken, (announced, taken)


@pytest.mark.parametrize(("vectors", "matrices"), [(0, 2), (300, 4), (1100, 4)])
def test_a_spectrum_takes_what_it_announces(vectors, matrices):
    taken, announced = numbers(SPECTRUM.format(vectors=vectors))
    assert announced + 1 == pytest.approx(matrices, abs=0.2)
    assert taken < matrices + 0.5
