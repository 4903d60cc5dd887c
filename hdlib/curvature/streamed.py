"""Operators that are means over the data, multiplied piece by piece."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from hdlib.curvature.inputs.data import Batch, Data
from hdlib.curvature.inputs.door import Door
from hdlib.curvature.inputs.objective import Objective, require_finite
from hdlib.curvature.inputs.settings import twice_differentiable
from hdlib.curvature.linear import CurvatureOperator
from hdlib.curvature.progress import progress
from hdlib.loss import Loss

SAMPLES = 500
DIRECTIONS = 4
"""Samples and directions at a time: larger temporaries cost page faults."""


class StreamedOperator(CurvatureOperator):
    """A mean over all samples, each piece of the data with the weight that the loss gives it.

    The data are kept as they came, in their own type and place, those of an iterable too: every
    product goes through them again. Beside them there is the copy of the model, and what one piece
    of at most 500 samples takes, which is announced; the pieces are smaller where that is much.

    Args:
        model: module, as `hdlib.curvature.hessian` takes it.
        loss: mean-reduced loss, as `hdlib.curvature.hessian` takes it.
        data: samples, as `hdlib.curvature.hessian` takes them, gone through once and kept.
        parameters: names of parameters or modules, as `hdlib.curvature.hessian` takes them.
        dtype: type of the computation; in float32 products are faster, and good to about 10⁻⁷ ‖A‖.

    Attributes:
        shape: size of the matrix, (P, P).
        device: device of the model, and of the vectors.
        dtype: type of the vectors.

    Raises:
        ValueError: as `hdlib.curvature.hessian`.
        TypeError: as `hdlib.curvature.hessian`.
        MemoryError: if there is no room for the derivatives of one sample.
    """

    @torch.inference_mode(False)
    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        data: Data,
        *,
        parameters: Sequence[str] | None = None,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        self._objective = Objective(model, loss, parameters=parameters, dtype=dtype)
        super().__init__(self._objective.size, self._objective.device, dtype)
        self._take(self._objective.batches(data))

    def _take(self, stream: Iterator[Batch]) -> None:
        self._door = Door(self._objective)
        pieces = self._door.pieces(stream, SAMPLES, directions=DIRECTIONS)
        self._pieces = [(piece, weight) for piece, weight in pieces if weight]
        self._weight = sum(weight for _, weight in self._pieces)

    @abstractmethod
    def _map(self, piece: Batch) -> Callable[[Tensor], Tensor]:
        """V ↦ AV of one piece, whatever is shared by all V computed once."""

    def _multiply(self, block: Tensor) -> Tensor:
        total = torch.zeros(block.shape, dtype=torch.float64, device=self.device)
        bar = progress("product", len(self._pieces), unit="piece")
        for piece, weight in self._pieces:
            with twice_differentiable(self.dtype):
                product = self._map(piece)
                for start in range(0, block.shape[1], self._door.directions):
                    columns = slice(start, start + self._door.directions)
                    total[:, columns] += product(block[:, columns]) * (weight / self._weight)
            bar.update()
        bar.close()
        if torch.isfinite(block).all():
            require_finite("second derivatives are", total)
        return total.to(self.dtype)
