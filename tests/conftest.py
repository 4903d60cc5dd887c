from __future__ import annotations

import pytest
from hypothesis import settings

# How long an example takes depends on what else the machine does.
settings.register_profile("hdlib", deadline=None)
settings.load_profile("hdlib")


def pytest_configure(config: pytest.Config) -> None:
    # PyTorch's forward differentiation compiles its own rules with what it calls deprecated.
    config.addinivalue_line("filterwarnings", "ignore:`torch.jit:DeprecationWarning")
