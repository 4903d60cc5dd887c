"""What the curvature of a recognised model can be computed by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from hdlib.curvature.inputs.data import Batch

Products: TypeAlias = Callable[[Tensor], Tensor]
"""V ↦ HV for blocks V (P, b), with H the Hessian of the mean loss over all samples."""


class Filling(NamedTuple):
    """How the parts of a Hessian, summed over samples, get into matrices.

    Attributes:
        samples: largest number of samples in a piece of the data.
        memory: bytes taken beside the matrices.
        fill: function of the pieces (inputs, targets), a (P, P) matrix of zeros for the
            Gauss–Newton part, and one for the residual, or None; one matrix given twice gets the
            sum of both. It adds to their lower triangles, and returns how many samples count.
    """

    samples: int
    memory: int
    fill: Callable[[Iterable[tuple[Tensor, Tensor]], Tensor, Tensor | None], int]


class Engine:
    """The curvature of one model under one loss, from the model's structure.

    An engine has what follows from its structure; None is left to the general method.
    """

    def filling(self, *, residual: bool) -> Filling | None:
        """How to fill matrices, where that is cheaper than products with all basis vectors.

        Args:
            residual: whether the residual is wanted, beside the Gauss–Newton part.
        """
        del residual
        return None

    def products(self, batches: Sequence[Batch], *, dtype: torch.dtype) -> Products | None:
        """Products with the Hessian, where all of the data fit the structure.

        Args:
            batches: all of the data.
            dtype: type of the vectors.
        """
        del batches, dtype
        return None
