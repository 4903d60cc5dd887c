"""Block Lanczos for the extreme eigenpairs of a symmetric matrix."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

BLOCK = 8
FIRST_CHECK = 256
GROWTH = 1.25


def extreme_eigenpairs(
    product: Callable[[Tensor], Tensor],
    n: int,
    k: int,
    *,
    tol: float,
    limit: int,
    device: torch.device,
) -> tuple[Tensor, Tensor] | None:
    """The k lowest and k highest eigenpairs, by block Lanczos with full reorthogonalisation.

    The Krylov space of a random block is orthogonalised twice against all of itself, so that no
    eigenvalue appears more often than it is (Parlett 1998, section 13.8), and the matrix is
    projected onto it explicitly; a block of width b finds multiplicities up to b from the start
    (Golub & Underwood 1977), and higher ones through directions that replace exhausted ones.

    Args:
        product: V (n, b) ↦ AV, float64, A symmetric.
        n: size of A.
        k: pairs at each end, 2k ≤ limit.
        tol: largest residual ‖Av − λv‖₂ over the largest |λ|.
        limit: largest dimension of the Krylov space, at most n.
        device: of the vectors.

    Returns:
        Eigenvalues (2k,), ascending, and orthonormal vectors (n, 2k); None where ``limit`` was
        reached before all residuals fell below ``tol``.
    """
    generator = torch.Generator().manual_seed(0)

    def random(columns: int) -> Tensor:
        return torch.randn(n, columns, generator=generator, dtype=torch.float64).to(device)

    # Rows of the basis are the vectors, so that the part in use is contiguous.
    basis = torch.empty(limit, n, dtype=torch.float64, device=device)
    projected = torch.zeros(limit, limit, dtype=torch.float64, device=device)
    block = torch.linalg.qr(random(min(BLOCK, limit)))[0]
    size, check = 0, max(FIRST_CHECK, 4 * k)
    while True:
        end = size + block.shape[1]
        basis[size:end] = block.T
        image = product(block)
        known = basis[:end]
        projected[:end, size:end] = known @ image
        coupling, block = _orthogonal_rest(known, image, projected[:end, size:end], random)
        size = end
        if size >= min(check, limit):
            check = int(size * GROWTH)
            values, coordinates = torch.linalg.eigh(projected[:size, :size], UPLO="U")
            ends = torch.cat([torch.arange(k), torch.arange(size - k, size)]).to(device)
            tail = coordinates[-coupling.shape[1] :, ends]
            if (coupling @ tail).norm(dim=0).max() <= tol * values.abs().max():
                return values[ends], known.T @ coordinates[:, ends]
            if size == limit:
                return None
        block = block[:, : limit - size]


def _orthogonal_rest(
    basis: Tensor, image: Tensor, coefficients: Tensor, random: Callable[[int], Tensor]
) -> tuple[Tensor, Tensor]:
    """Coefficients and orthonormal block of what of ``image`` is outside the basis."""
    rest = image - basis.T @ coefficients
    rest -= basis.T @ (basis @ rest)
    block, coupling = torch.linalg.qr(rest)
    exhausted = coupling.diagonal().abs() <= 1e-13 * image.norm(dim=0).max()
    if exhausted.any():
        block[:, exhausted] = random(int(exhausted.sum()))
        for _ in range(2):
            block = torch.linalg.qr(block - basis.T @ (basis @ block))[0]
        coupling = block.T @ rest
    return coupling, block
