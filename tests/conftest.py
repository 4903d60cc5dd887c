from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    # PyTorch's forward differentiation compiles its own rules with what it calls deprecated.
    config.addinivalue_line("filterwarnings", "ignore:`torch.jit:DeprecationWarning")
