from __future__ import annotations

import sys

import pytest

import hdlib.curvature.gradient  # noqa: F401  (a function of this name hides the module)


@pytest.fixture
def several_pieces(monkeypatch):
    """Nine samples in a piece, so that few samples are several."""
    for module, name in (
        ("structure.stacks.room", "SAMPLES"),
        ("dense", "PRODUCT_SAMPLES"),
        ("streamed", "SAMPLES"),
        ("contributions", "SAMPLES"),
    ):
        monkeypatch.setattr(f"hdlib.curvature.{module}.{name}", 9)
    monkeypatch.setattr(sys.modules["hdlib.curvature.gradient"], "SAMPLES", 9)
