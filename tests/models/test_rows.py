"""Weighted sums of rows against dense arithmetic."""

from __future__ import annotations

import pytest
import torch

from hdlib.models.rows import WeightedRows

SAMPLES, ROWS, WIDTH = 23, 9, 5


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-14), (torch.float32, 1e-6)], ids=str
)
@pytest.mark.parametrize("per_sample", [1, 3])
def test_sums_and_their_derivatives(dtype, tolerance, per_sample):
    """Some rows belong to many samples, and the last to none."""
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.randperm(ROWS - 1, generator=generator)[:per_sample] for _ in range(SAMPLES)]
    index = torch.stack(drawn).sort(1).values
    weights, table, g = (
        torch.randn(shape, generator=generator, dtype=dtype)
        for shape in ((SAMPLES, per_sample), (ROWS, WIDTH), (SAMPLES, WIDTH))
    )
    dense = torch.zeros(SAMPLES, ROWS, dtype=dtype).scatter_(1, index, weights)
    rows = WeightedRows(index, ROWS)
    for found, expected in (
        (rows.sums(weights, table), dense @ table),
        (rows.scattered(weights, g), dense.T @ g),
        (rows.products(g, table), (g @ table.T).gather(1, index)),
    ):
        assert found.shape == expected.shape
        assert found.dtype == dtype
        torch.testing.assert_close(found, expected, rtol=0, atol=10 * tolerance)
    assert not rows.scattered(weights, g)[-1].any()
