from __future__ import annotations

import pytest

from hdlib.curvature import gradient


@pytest.fixture
def several_pieces(monkeypatch):
    """Nine samples in a piece, so that few samples are several."""
    for module, name in (
        ("structured", "SAMPLES"),
        ("dense", "PRODUCT_SAMPLES"),
        ("streamed", "SAMPLES"),
        ("contributions", "SAMPLES"),
    ):
        monkeypatch.setattr(f"hdlib.curvature.{module}.{name}", 9)
    monkeypatch.setitem(gradient.__globals__, "SAMPLES", 9)
