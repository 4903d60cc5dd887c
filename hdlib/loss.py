"""What is minimised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from torch import Tensor

Loss: TypeAlias = Callable[[Any, Any], Tensor]
"""``loss(outputs, targets)``: the mean over samples, a scalar."""
