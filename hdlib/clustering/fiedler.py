"""The Fiedler vector of a graph: the direction in which it falls apart most easily."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import LinAlgError, cholesky, eigh, get_blas_funcs
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh, lobpcg

from hdlib.clustering.couplings import components, in_units, scaled_couplings

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

Laplacian = Literal["combinatorial", "normalised"]
Split = Literal["sign", "median", "sweep", "ncut"]
LAPLACIANS, SPLITS = get_args(Laplacian), get_args(Split)

DENSE = 400
"""Up to this size all of the Laplacian is decomposed, which is faster there."""
ROWS = 64
"""Rows of couplings looked through at a time."""
LANCZOS = 8
"""Lanczos vectors: 1/λ₂ stands so far out that a few do, and each costs a solution."""
RESTARTS = 200
"""Of Lanczos, at most: a few are enough where λ₂ is apart from λ₃."""
NEAR = 1e-4
"""Relative error of 1/λ₂ down to which a factor in single precision is searched alone."""
ITERATIONS = 40
"""Of the search that begins there, which takes 7 to 20 where it gets to the end."""
RESIDUAL = 1e-12
"""Largest ‖Lf − λ₂f‖ over the largest degree with which it has got there."""
TIE = 1e-10
"""Relative difference of two conductances that counts as rounding."""


@dataclass(frozen=True)
class FiedlerVector:
    """The second-smallest eigenpair of the Laplacian of a connected graph.

    Attributes:
        connectivity: λ₂, the algebraic connectivity; of the unit of the couplings for the
            combinatorial Laplacian, dimensionless and at most m/(m − 1) for the normalised one;
            not negative, but no more than rounding where it is below that of the largest degree.
        vector: (m,) float64, f: the eigenvector, divided by √degree for the normalised Laplacian,
            so that it is constant where the graph does not bend it. The sign makes the entry of
            largest magnitude positive.
    """

    connectivity: float
    vector: FloatArray


def require_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Refuse what is not one of the options.

    Raises:
        ValueError: for another value.
    """
    if value not in allowed:
        raise ValueError(f"{name}={value!r}: must be one of {', '.join(allowed)}")


def algebraic_connectivity(hessian: ArrayLike, *, laplacian: Laplacian = "normalised") -> float:
    """λ₂ of the couplings A = |H|: 0 for a disconnected graph (Fiedler 1973).

    Args:
        hessian: H, (n, n) real and symmetric up to rounding; n ≥ 2.
        laplacian: "combinatorial" or "normalised".

    Raises:
        ValueError: if H is not a real symmetric matrix of finite numbers, for an unknown option, or
            if λ₂ leaves the range of float64.
    """
    require_choice("laplacian", laplacian, LAPLACIANS)
    couplings, exponent = scaled_couplings(hessian)
    if len(components(couplings)) > 1:
        return 0.0
    found = fiedler_vector(couplings, laplacian).connectivity
    return float(in_units(np.array(found), exponent if laplacian == "combinatorial" else 0))


def fiedler_vector(couplings: FloatArray, laplacian: Laplacian) -> FiedlerVector:
    """λ₂ and its eigenvector (Fiedler 1973), of L = D − A or of D^-½ (D − A) D^-½ (Chung 1997).

    A Cholesky factor of L costs m³/3 operations, a quarter of a tridiagonalisation's, and gives the
    inverse of L, of which 1/λ₂ is the *largest* eigenvalue beside the null vector's, well apart
    from the bulk: Lanczos (ARPACK) finds it in a few products. A factor in single precision is
    twice as fast, and good enough for the first digits, and then to precondition the search for the
    smallest eigenvalue of L itself (LOBPCG, Knyazev 2001). Where λ₂ is below what single precision
    resolves, the factor is one in double precision, and Lanczos goes on to the end, however small
    λ₂ is; where λ₂ is hardly below λ₃, all is decomposed. The null vector is known and removed, so
    that couplings too weak to tell λ₂ from 0 do not mix it into f.

    Args:
        couplings: A, (m, m), symmetric, not negative, zero diagonal, connected; m ≥ 2.
        laplacian: which.
    """
    degrees = couplings.sum(0)
    scale = np.ones(len(couplings)) if laplacian == "combinatorial" else degrees**-0.5
    null = 1 / scale
    null /= np.linalg.norm(null)
    graph = couplings, degrees, scale
    if len(couplings) <= DENSE:
        connectivity, vector = _dense(_laplacian(*graph), null)
    else:
        connectivity, vector = (
            _preconditioned(*graph, null)
            or _inverse_lanczos(_laplacian(*graph), null)
            or _dense(_laplacian(*graph), null)
        )
    vector = vector * scale
    vector *= np.sign(vector[np.abs(vector).argmax()])
    return FiedlerVector(max(float(connectivity), 0.0), vector)


def _laplacian(couplings: FloatArray, degrees: FloatArray, scale: FloatArray) -> FloatArray:
    """S (D − A) S, with S the diagonal matrix of ``scale``."""
    matrix = -couplings
    matrix.flat[:: len(matrix) + 1] = degrees
    matrix *= scale
    matrix *= scale[:, None]
    return matrix


def _preconditioned(
    couplings: FloatArray, degrees: FloatArray, scale: FloatArray, null: FloatArray
) -> tuple[float, FloatArray] | None:
    """λ₂ and its vector, with an inverse in single precision; None where that is too coarse."""
    size, top = len(couplings), (degrees * scale**2).max()
    row = (scale / np.sqrt(top)).astype(np.float32)
    # Over its largest entry, so that it is in the range of single precision.
    matrix = np.multiply(couplings, -row, dtype=np.float32, casting="same_kind")
    matrix *= row[:, None]
    shift = 8 * np.finfo(np.float32).eps
    matrix.flat[:: size + 1] = degrees * scale**2 / top + shift
    try:
        solve = _inverse(matrix)
        _, start = _largest_of_inverse(solve, null, tol=NEAR)
    except (LinAlgError, ArpackNoConvergence):
        return None
    symv: Any = get_blas_funcs("symv", (couplings,))

    def multiply(vector: FloatArray) -> FloatArray:
        inner = scale * vector.ravel()
        return scale * (degrees * inner - symv(1, couplings.T, inner, lower=True))

    laplacian, inverse = (
        LinearOperator((size, size), matvec=f, dtype=np.float64)  # pyright: ignore
        for f in (multiply, solve)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of no convergence, which is seen below
        values, vectors = lobpcg(
            *(laplacian, start[:, None]),
            M=inverse,
            Y=null[:, None],
            tol=RESIDUAL / 2 * top,
            maxiter=ITERATIONS,
            largest=False,
        )
    value, vector = values[0], vectors[:, 0]
    residual = np.linalg.norm(multiply(vector) - value * vector)
    return (value, vector) if residual <= RESIDUAL * top else None


def _dense(matrix: FloatArray, null: FloatArray) -> tuple[float, FloatArray]:
    """λ₂ and its vector from the Laplacian, the null vector moved above the spectrum."""
    above = 3 * matrix.diagonal().max()
    matrix += above * np.outer(null, null)
    values, vectors = eigh(matrix, subset_by_index=[0, 0], overwrite_a=True, check_finite=False)
    return values[0], vectors[:, 0]


def _inverse_lanczos(matrix: FloatArray, null: FloatArray) -> tuple[float, FloatArray] | None:
    """λ₂ and its vector from the inverse of the shifted Laplacian, which is overwritten.

    None where others are so close that Lanczos does not tell them apart.
    """
    size = len(matrix)
    shift = size * np.finfo(float).eps * matrix.diagonal().max()
    matrix.flat[:: size + 1] += shift
    try:
        value, vector = _largest_of_inverse(_inverse(matrix), null)
    except ArpackNoConvergence:
        return None
    return 1 / value - shift, vector


def _inverse(matrix: NDArray[Any]) -> Callable[[FloatArray], FloatArray]:
    """The map x ↦ M⁻¹x of a positive definite M, in its own precision; M is overwritten.

    Raises:
        scipy.linalg.LinAlgError: if M is not positive definite.
    """
    # The transpose is the same matrix in the order that LAPACK overwrites without a copy.
    factor = cholesky(matrix.T, lower=True, overwrite_a=True, check_finite=False)
    # For one vector five times as fast as LAPACK's own solution, which is meant for many.
    trsv: Any = get_blas_funcs("trsv", (factor,))

    def solve(vector: FloatArray) -> FloatArray:
        half = trsv(factor, vector.ravel().astype(factor.dtype), lower=True)
        return trsv(factor, half, lower=True, trans=True).astype(np.float64)

    return solve


def _largest_of_inverse(
    solve: Callable[[FloatArray], FloatArray], null: FloatArray, *, tol: float = 0
) -> tuple[float, FloatArray]:
    """The largest eigenvalue of the inverse of a shifted Laplacian, and its vector.

    With e the null vector, P = 1 − e eᵀ and δ the shift, P (L + δ)⁻¹ P has the largest eigenvalue
    1/(λ₂ + δ).

    Raises:
        scipy.sparse.linalg.ArpackNoConvergence: if others are too close to it.
    """

    def multiply(vector: FloatArray) -> FloatArray:
        vector = vector.ravel()
        solved = solve(vector - null * (null @ vector))
        return solved - null * (null @ solved)

    size = len(null)
    start = multiply(np.random.default_rng(0).standard_normal(size))
    inverse = LinearOperator((size, size), matvec=multiply, dtype=np.float64)  # pyright: ignore
    settings: dict[str, Any] = {"which": "LA", "ncv": LANCZOS, "tol": tol, "maxiter": RESTARTS}
    values, vectors = eigsh(inverse, k=1, v0=start, **settings)
    return values[0], vectors[:, 0]


def bipartition(
    couplings: FloatArray, vector: FloatArray, split: Split
) -> tuple[NDArray[np.bool_], float, float]:
    """The part of a graph on one side of a cut through the Fiedler vector.

    With w the coupling across a cut and v, v' the summed degrees of its sides, the conductance of a
    cut is w / min(v, v') and its normalised cut w/v + w/v' (Shi & Malik 2000); both are at least
    λ₂/2 for the normalised Laplacian, and the cut of least conductance among the m − 1 between
    nodes in the order of f has at most √(2 λ₂) (Cheeger's inequality, Chung 1997, chapter 2).

    Args:
        couplings: A, (m, m), connected.
        vector: f, (m,).
        split: where to cut: at f = 0, which goes with the negative part, up to rounding ("sign");
            into halves ("median"); where conductance is least ("sweep"), of equals (that of each
            small enough node is 1) where the normalised cut is; where that is ("ncut").

    Returns:
        (m,) bool, neither all true nor all false; w; and the conductance.
    """
    order = np.argsort(vector, kind="stable")
    across, below, above = _cuts(couplings, order)
    conductance = across / np.minimum(below, above)
    if split == "sign":
        zero = len(vector) * np.finfo(float).eps * np.abs(vector).max()
        first = int((vector <= zero).sum())
    elif split == "median":
        first = len(vector) // 2
    else:
        score = across / below + across / above
        if split == "sweep":
            score[conductance > conductance.min() * (1 + TIE)] = np.inf
        first = int(score.argmin()) + 1
    part = np.zeros(len(vector), dtype=bool)
    part[order[first:]] = True
    return part, float(across[first - 1]), float(conductance[first - 1])


def _cuts(couplings: FloatArray, order: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Of the cuts after the first, second, … node: the coupling across, the degrees on each side.

    (m − 1,) each.
    """
    size = len(order)
    rank, earlier = np.argsort(order), np.empty(size)
    for start in range(0, size, ROWS):
        rows = slice(start, start + ROWS)
        earlier[rows] = (couplings[rows] * (rank < rank[rows, None])).sum(1)
    degrees = couplings.sum(0)
    added = (degrees - 2 * earlier)[order]
    degrees = degrees[order]
    below, above = np.cumsum(degrees)[:-1], np.cumsum(degrees[::-1])[-2::-1]
    # Summed from the lighter side, for rounding is of the size of what is summed.
    across = np.where(below < above, np.cumsum(added)[:-1], -np.cumsum(added[::-1])[-2::-1])
    return across.clip(min=0), below, above
