"""The Krylov space of block Lanczos: an orthonormal basis, and an operator projected onto it."""

from __future__ import annotations

import torch
from torch import Tensor

from hdlib.curvature.scaled import ScaledOperator
from hdlib.curvature.symmetric import require_symmetric_products

BLOCK = 8
"""Vectors at a time, by default: fewer need fewer products in all, more make each cheaper."""


class Krylov:
    """Basis V, its next block Q, and the projection T = V A Vᵀ, for a symmetric operator A.

    Rows of V and Q are vectors, so that the part in use is contiguous. After every step
    A Vᵀ = Vᵀ T + Qᵀ C, where only the columns of C from ``last`` on differ from 0. V has the type
    of the operator, T float64.

    Args:
        operator: symmetric n × n operator.
        space: largest number of vectors.
        seed: seed of the random vectors.
        block: number of vectors multiplied at a time.
        check: whether to refuse an operator that is not symmetric.

    Attributes:
        width: number of vectors multiplied at a time.
        size: number of vectors in use.
        last: first vector of the last block.
        products: number of vectors multiplied so far.
        projected: (space, space) matrix T, its upper triangle in use.
    """

    def __init__(
        self, operator: ScaledOperator, space: int, seed: int, *, block: int, check: bool
    ) -> None:
        self.operator = operator
        self._check = check
        self.width = block
        self._generator = torch.Generator().manual_seed(seed)
        n, device = operator.shape[0], operator.device
        self._basis = torch.empty(space, n, dtype=operator.dtype, device=device)
        self.projected = torch.zeros(space, space, dtype=torch.float64, device=device)
        self._block = self._basis[:0]
        self._coupling = self.projected[:0, :0]
        self._tiny = 500 * torch.finfo(operator.dtype).eps
        self.size = self.last = self.products = 0

    def begin(self, start: Tensor | None) -> None:
        """Choose the first block: random, or half of it a random mixture of ``start`` (n, w)."""
        first = self._random(self.width)
        if start is not None:
            mixture = torch.randn(start.shape[1], self.width, generator=self._generator)
            mixed = (start.to(first) @ mixture.to(first)).T
            first = first / first.norm() + mixed / mixed.norm()
        self._block = _orthonormal(first)[0]

    def fill(self) -> None:
        """Take the whole space: for small n."""
        # Entries may differ in size by all of a type's range: the scale is that of a random vector.
        self._multiply(self._random(1))
        self._basis.fill_diagonal_(1).tril_().triu_()
        images = torch.cat(
            [self._multiply(rows) for rows in self._basis.split(self.width)]
        ).double()
        if self._check:
            require_symmetric_products(images)
        self.projected.copy_((images + images.T) / 2)
        # No block is left that could couple to what is outside.
        self.size = self.last = len(self._basis)
        self.products = self.size + 1

    def extend(self) -> None:
        """Append the next block, and find the one after it."""
        start, end = self.size, self.size + len(self._block)
        self._basis[start:end] = self._block
        image = self._multiply(self._block)
        # Images of a block have no part in blocks before the last, but for rounding.
        near = self._basis[self.last : end]
        coefficients = near @ image.T
        if self._check and start == 0:
            require_symmetric_products(coefficients)
        self.projected[self.last : end, start:end] = coefficients
        self.size, self.last, self.products = end, start, self.products + len(self._block)
        scale = image.norm(dim=1).max()
        rest = self._outside(image - coefficients.T @ near)
        self._block, coupling = _orthonormal(rest)
        if coupling.diagonal().abs().min() <= 0.1 * scale:
            exhausted = coupling.diagonal().abs() <= self._tiny * scale
            if exhausted.any():
                self._block[exhausted] = self._random(int(exhausted.sum()))
                coupling[exhausted] = 0
            for _ in range(2):
                self._block, again = _orthonormal(self._outside(self._block))
                coupling = again @ coupling
        self._coupling = coupling.double()

    def residual_estimates(self, coordinates: Tensor) -> Tensor:
        """‖Av − λv‖ of Ritz vectors (size, m), up to rounding."""
        return (self._coupling @ coordinates[self.last :]).norm(dim=0)

    def combine(self, coordinates: Tensor) -> Tensor:
        """Vectors (n, m) of coordinates (size, m), in the type of the basis."""
        return self._basis[: self.size].T @ coordinates.to(self._basis.dtype)

    def restart(self, values: Tensor, coordinates: Tensor, bottom: int, top: int) -> None:
        """Keep the Ritz vectors at both ends, and neighbours of theirs, in half of the space."""
        size = self.size
        spare = max((size // 2 - bottom - top) // 2, 0)
        low, high = bottom + spare * (bottom > 0), top + spare * (top > 0)
        kept = torch.cat([torch.arange(low), torch.arange(size - high, size)]).to(values.device)
        chosen = coordinates[:, kept]
        self._coupling = self._coupling @ chosen[self.last :]
        self._basis[: len(kept)] = self.combine(chosen).T
        self.projected.zero_()
        self.projected.diagonal()[: len(kept)] = values[kept]
        self.size, self.last = len(kept), 0

    def _multiply(self, rows: Tensor) -> Tensor:
        return (self.operator @ rows.T).T

    def _outside(self, rows: Tensor) -> Tensor:
        known = self._basis[: self.size]
        return rows - (rows @ known.T) @ known

    def _random(self, rows: int) -> Tensor:
        shape = (rows, self._basis.shape[1])
        drawn = torch.randn(shape, generator=self._generator, dtype=torch.float64)
        return drawn.to(self._basis)


def _orthonormal(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Q (b, n) with orthonormal rows and R (b, b) with rows = Rᵀ Q."""
    q, r = torch.linalg.qr(rows.T)
    return q.T.contiguous(), r
