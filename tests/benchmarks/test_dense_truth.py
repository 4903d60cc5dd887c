"""Both ends of a transformer's spectrum against its full Hessian, through sudden generalisation.

`pytest tests/benchmarks/test_dense_truth.py -s` takes tens of minutes: each of four Hessians of
11,456 parameters is built column by column, and all of its eigenvalues are computed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hdlib.curvature import HessianOperator, lanczos
from hdlib.experiments import grokking
from hdlib.experiments.grokking import GrokkingConfig, model_at
from hdlib.runs import Run
from hdlib.training import HISTORY

CONFIG = GrokkingConfig(
    width=32, n_heads=1, train_fraction=0.5, n_steps=8_000, spectra=0, stored_weights=200
)
PAIRS = 200
COLUMNS = 64


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run[GrokkingConfig]:
    return grokking.run(CONFIG, root=tmp_path_factory.mktemp("root"))


def steps_of_interest(run: Run[GrokkingConfig]) -> dict[str, int]:
    """Before training, when all training pairs are known, half-way, and at the end."""
    history = run.table(HISTORY)
    kept = [int(Path(n).stem[5:]) for n in run.files if n.startswith("checkpoints/")]

    def first(key: str, least: float) -> int:
        step = int(history["step"][np.flatnonzero(history[key] >= least)[0]])
        return min(kept, key=lambda other: abs(other - step))

    return {
        "initialisation": 0,
        "before": first("train_accuracy", 1.0),
        "during": first("test_accuracy", 0.5),
        "after": max(kept),
    }


@pytest.mark.parametrize("moment", ["initialisation", "before", "during", "after"])
def test_both_ends_are_those_of_the_full_hessian(run: Run[GrokkingConfig], moment: str):
    step = steps_of_interest(run)[moment]
    train = CONFIG.task.train
    data = train.tokens(), train.targets
    model = model_at(run, step)
    operator = HessianOperator(model, F.cross_entropy, data)
    search = HessianOperator(model, F.cross_entropy, data, dtype=torch.float32)

    n = operator.shape[0]
    dense = torch.empty(n, n, dtype=torch.float64)
    for start in range(0, n, COLUMNS):
        width = min(COLUMNS, n - start)
        unit = torch.zeros(n, width, dtype=torch.float64)
        unit[start : start + width].fill_diagonal_(1)
        dense[:, start : start + width] = operator @ unit
    expected = np.linalg.eigvalsh(dense.numpy())
    del dense
    ends = np.concatenate([expected[:PAIRS], expected[-PAIRS:]])

    found = lanczos(operator, search=search, top=PAIRS, bottom=PAIRS)
    error = np.abs(found.eigenvalues - ends).max() / np.abs(ends).max()
    print(
        f"\n{moment}, step {step:,}: n = {n:,}, {found.products:,} products, largest error of "
        f"{2 * PAIRS} eigenvalues {error:.1e} |λ|max, λ from {ends[0]:.3g} to {ends[-1]:.3g}"
    )
    assert n == 11_456
    assert error <= 1e-8
