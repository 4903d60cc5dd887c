"""Both ends of a transformer's spectrum against its full Hessian, through sudden generalisation.

`pytest tests/benchmarks/test_dense_truth.py -s` takes tens of minutes: each of four Hessians of
11,456 parameters is built column by column, and all of its eigenvalues are computed.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hdlib.curvature import HessianOperator, Spectrum, lanczos
from hdlib.experiments.grokking.config import GrokkingConfig
from hdlib.experiments.grokking.recipe import EXPERIMENT, TRAINING
from hdlib.experiments.grokking.whole import matrix_of
from hdlib.store import Run

CONFIG = GrokkingConfig(width=32, n_heads=1, train_fraction=0.5, n_steps=5_000, spectra=0)
PAIRS = 200
TIGHT = 1e-8


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run[GrokkingConfig]:
    run = EXPERIMENT.open(CONFIG, root=tmp_path_factory.mktemp("root"))
    run.ensure(TRAINING)
    return run


def steps_of_interest(run: Run[GrokkingConfig]) -> dict[str, int]:
    """Checkpoints of four moments, told by the accuracy on the test pairs."""
    history = TRAINING.history(run)
    accuracy = dict(zip(history["step"].tolist(), history["test_accuracy"], strict=True))
    kept = TRAINING.with_weights(run)
    return {
        "initialisation": 0,
        "before": max(step for step in kept if accuracy[step] <= 0.02),
        "during": min(kept, key=lambda step: abs(accuracy[step] - 0.5)),
        "after": kept[-1],
    }


@pytest.mark.parametrize("moment", ["initialisation", "before", "during", "after"])
def test_both_ends_are_those_of_the_full_hessian(run: Run[GrokkingConfig], moment: str):
    step = steps_of_interest(run)[moment]
    train = CONFIG.task.train
    data = train.tokens(), train.targets
    model = TRAINING.model(run, step)
    operator = HessianOperator(model, F.cross_entropy, data)
    search = HessianOperator(model, F.cross_entropy, data, dtype=torch.float32)

    n = operator.shape[0]
    expected = np.linalg.eigvalsh(matrix_of(operator).numpy())
    ends = np.concatenate([expected[:PAIRS], expected[-PAIRS:]])

    def error(found: Spectrum) -> float:
        return float(np.abs(found.eigenvalues - ends).max() / np.abs(ends).max())

    tight = lanczos(operator, top=PAIRS, bottom=PAIRS, tol=TIGHT)
    # As the experiment does it. Eigenvalues that are closer than its tolerance may be missed.
    recipe = lanczos(operator, search=search, top=PAIRS, bottom=PAIRS, tol=CONFIG.tol)
    print(
        f"\n{moment}, step {step:,}: n = {n:,}, λ from {ends[0]:.3g} to {ends[-1]:.3g}; largest "
        f"error of {2 * PAIRS} eigenvalues over |λ|max {error(tight):.1e} with residuals up to "
        f"{TIGHT:.0e} ({tight.products:,} products), {error(recipe):.1e} with residuals up to "
        f"{CONFIG.tol:.0e} ({recipe.products:,} products)"
    )
    assert n == 11_456
    assert error(tight) <= 1e-8
    assert error(recipe) <= CONFIG.tol
