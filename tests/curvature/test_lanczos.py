"""Extreme eigenpairs against planted spectra, dense decompositions, and other libraries."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from curvlinops import HessianLinearOperator
from pyhessian import hessian as PyHessian
from scipy.sparse.linalg import eigsh
from torch import Tensor, nn

from hdlib.curvature import ConvergenceError, HessianOperator, Spectrum, hessian, lanczos
from hdlib.curvature.krylov import BLOCK
from hdlib.models import ModularTransformer
from hdlib.tasks import modular_task

N = 600
RNG = np.random.default_rng(0)


class Planted:
    """Q diag(λ) Qᵀ for a product Q of three reflections: no matrix is formed."""

    def __init__(self, eigenvalues, dtype: torch.dtype = torch.float64, seed: int = 1) -> None:
        self.eigenvalues = np.sort(np.asarray(eigenvalues, dtype=np.float64))
        n = len(self.eigenvalues)
        self.shape, self.device, self.dtype = (n, n), torch.device("cpu"), dtype
        self.products = 0
        generator = torch.Generator().manual_seed(seed)
        normals = torch.randn(3, n, generator=generator, dtype=torch.float64)
        self._normals = (normals / normals.norm(dim=1, keepdim=True)).to(dtype)
        shuffled = torch.randperm(n, generator=generator)
        self._diagonal = torch.from_numpy(self.eigenvalues)[shuffled].to(dtype)[:, None]

    def __matmul__(self, block: Tensor) -> Tensor:
        self.products += block.shape[1]
        for u in self._normals:
            block = block - 2 * u[:, None] * (u @ block)
        block = self._diagonal * block
        for u in self._normals.flip(0):
            block = block - 2 * u[:, None] * (u @ block)
        return block

    def ends(self, bottom: int, top: int):
        return np.r_[self.eigenvalues[:bottom], self.eigenvalues[len(self.eigenvalues) - top :]]


def check(pairs: Spectrum, operator, expected, tol: float) -> None:
    """Eigenvalues in order and as often as they are; vectors orthonormal; residuals true."""
    scale = np.abs(expected).max()
    # An eigenvalue lies within the residual of each; missing or spurious copies are far off.
    np.testing.assert_allclose(pairs.eigenvalues, expected, rtol=0, atol=tol * scale)
    vectors = torch.from_numpy(pairs.vectors)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(len(expected)), rtol=0, atol=1e-12)
    found = (operator @ vectors - vectors * torch.from_numpy(pairs.eigenvalues)).norm(dim=0)
    np.testing.assert_allclose(pairs.residuals, found, rtol=0, atol=1e-13 * scale)
    assert (found.numpy() <= tol * scale).all()
    assert pairs.certified.all()
    assert pairs.tol == tol


def least(wanted: int) -> int:
    """The smallest space that is accepted."""
    return wanted + 3 * BLOCK


@pytest.mark.parametrize("space", ["least", "default"])
@pytest.mark.parametrize("multiplicity", [1, 2, 5, 40])
def test_multiplicities_at_both_ends(multiplicity, space):
    """Above the width of a block, too, and with a last pair that cuts a multiple eigenvalue."""
    m = multiplicity
    outliers = np.repeat([-12.0, -11, 13, 14], m)
    operator = Planted(np.r_[outliers, RNG.uniform(-8, 8, N - 4 * m)])
    asked = {"bottom": m + (m + 1) // 2, "top": 2 * m}
    room = least(sum(asked.values())) if space == "least" else None
    pairs = lanczos(operator, **asked, tol=1e-10, space=room, seed=m)
    assert pairs.lowest == asked["bottom"]
    check(pairs, operator, operator.ends(**asked), 1e-10)
    np.testing.assert_allclose(pairs.eigenvalues[: m + 1][:m], -12, rtol=0, atol=1e-9)
    np.testing.assert_allclose(pairs.eigenvalues[-2 * m :], outliers[2 * m :], rtol=0, atol=1e-9)


@pytest.mark.parametrize("space", ["least", "default"])
def test_clusters_are_resolved(space):
    """Ten eigenvalues within 1e-7 at either end, told from one another to 1e-10."""
    clusters = np.r_[10 + np.linspace(0, 1e-7, 10), -9 - np.linspace(0, 1e-7, 10)]
    operator = Planted(np.r_[clusters, 5.0, -5.0, RNG.uniform(-4, 4, N - 22)])
    room = least(22) if space == "least" else None
    pairs = lanczos(operator, top=11, bottom=11, tol=1e-11, space=room)
    check(pairs, operator, operator.ends(11, 11), 1e-11)


@pytest.mark.parametrize(
    "eigenvalues",
    [
        np.ones(N),
        np.zeros(N),
        np.repeat([5.0, -1.0], N // 2),
        np.r_[np.repeat([7.0, 3.0, -2.0], 12), np.zeros(N - 36)],
        np.r_[np.geomspace(1, 1e-6, 20), np.zeros(N - 20)],
        np.r_[1e3, -1e-3, RNG.normal(0, 1e-2, N - 2)] * 1e-8,
        np.r_[RNG.exponential(size=100), RNG.normal(0, 0.01, N - 100)],
    ],
    ids=["identity", "zero", "two values", "low rank", "decades", "tiny", "outliers"],
)
def test_spectra(eigenvalues):
    operator = Planted(eigenvalues)
    pairs = lanczos(operator, top=15, bottom=9, tol=1e-9)
    check(pairs, operator, operator.ends(9, 15), 1e-9)


@pytest.mark.parametrize(
    ("n", "top", "bottom"),
    [
        (n, top, bottom)
        for n in (1, 2, 3, 30, 70, 71, 80, 90)
        for top, bottom in ((1, 0), (0, 1), (1, 1), (3, 2), (0, 6), (6, 0))
        if top + bottom <= n
    ],
)
def test_small_matrices_and_one_end_only(n, top, bottom):
    """Also where the largest space is within a block of the whole."""
    operator = Planted(np.r_[RNG.normal(size=n)])
    pairs = lanczos(operator, top=top, bottom=bottom, tol=1e-9, max_products=2000)
    assert pairs.lowest == bottom
    check(pairs, operator, operator.ends(bottom, top), 1e-9)


@pytest.mark.parametrize("n", [55, 80])
def test_every_space_does(n):
    operator = Planted(np.r_[4, 3, RNG.uniform(-1, 1, n - 2)])
    for space in [*range(least(2), n - 10, 7), *range(n - 10, n + 2)]:
        pairs = lanczos(operator, top=2, bottom=0, tol=1e-9, space=space, max_products=2000)
        check(pairs, operator, operator.ends(0, 2), 1e-9)


@pytest.mark.parametrize("n", [1, 2, 40, 150])
def test_everything(n):
    operator = Planted(RNG.normal(size=n).round(1))
    for top in {0, n // 3, n}:
        pairs = lanczos(operator, top=top, bottom=n - top, tol=1e-12)
        check(pairs, operator, operator.eigenvalues, 1e-12)


SPECTRUM = np.r_[np.geomspace(1, 60, 25), -np.geomspace(1, 20, 25), RNG.normal(0, 0.3, N - 50)]


def test_restarts_change_nothing():
    operator = Planted(SPECTRUM)
    expected = operator.ends(20, 20)
    at_once = lanczos(operator, top=20, bottom=20, tol=1e-10)
    pairs = lanczos(operator, top=20, bottom=20, tol=1e-10, space=least(40))
    # A basis is restarted when it is full; the products beside the search's are few.
    assert pairs.products > 2 * least(40)
    assert at_once.products <= pairs.products
    for found in (at_once, pairs):
        check(found, operator, expected, 1e-10)
    np.testing.assert_allclose(pairs.eigenvalues, at_once.eigenvalues, rtol=0, atol=1e-12 * 60)
    overlaps = np.abs((pairs.vectors * at_once.vectors).sum(axis=0))
    np.testing.assert_allclose(overlaps, 1, atol=1e-7)


def test_products_are_counted_and_the_result_repeats():
    operator = Planted(SPECTRUM)
    first = lanczos(operator, top=9, bottom=5, tol=1e-8, seed=3)
    assert operator.products == first.products
    again = lanczos(operator, top=9, bottom=5, tol=1e-8, seed=3)
    other = lanczos(operator, top=9, bottom=5, tol=1e-8, seed=4)
    for field in ("eigenvalues", "vectors", "residuals"):
        np.testing.assert_array_equal(getattr(again, field), getattr(first, field))
    assert not np.array_equal(other.vectors, first.vectors)
    check(other, operator, operator.ends(5, 9), 1e-8)


@pytest.mark.parametrize("space", ["least", "default"])
def test_search_in_single_precision_is_certified_in_double(space):
    operator, search = Planted(SPECTRUM), Planted(SPECTRUM, torch.float32)
    room = least(40) if space == "least" else None
    pairs = lanczos(operator, search=search, top=20, bottom=20, tol=1e-6, space=room)
    # Products in double precision: one for a pair, and a few where its residual was too large.
    assert 40 <= operator.products <= 40 + 3 * 40 // 8
    assert search.products + operator.products == pairs.products
    check(pairs, operator, operator.ends(20, 20), 1e-6)
    assert pairs.vectors.dtype == np.float64


def test_what_rounding_of_the_search_leaves_is_polished():
    """Single precision alone would not reach this tolerance for all pairs."""
    operator, search = Planted(SPECTRUM), Planted(SPECTRUM, torch.float32)
    pairs = lanczos(operator, search=search, top=20, bottom=20, tol=4e-8, max_products=900)
    assert 40 < operator.products <= 40 + 3 * 40 // 8
    assert search.products + operator.products == pairs.products
    assert pairs.vectors.shape == (N, 40)
    check(pairs, operator, operator.ends(20, 20), 4e-8)


def test_pairs_far_from_converged_are_marked_and_take_no_products_in_double_precision():
    """Two outliers stand apart; the others are a bulk that the search cannot resolve."""
    values = np.r_[100, -80, RNG.uniform(-1, 1, N - 2)]
    operator, search = Planted(values), Planted(values, torch.float32)
    pairs = lanczos(operator, search=search, top=20, bottom=10, max_products=60, mark=True)
    assert pairs.certified[[0, -1]].all()
    assert operator.products == 2
    assert pairs.products == operator.products + search.products
    np.testing.assert_allclose(pairs.eigenvalues[[0, -1]], [-80, 100], rtol=1e-12)
    for some in (pairs.eigenvalues[:10], pairs.eigenvalues[10:]):
        assert (np.diff(some) >= 0).all()
    vectors = torch.from_numpy(pairs.vectors)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(30), rtol=0, atol=1e-12)
    found = (operator @ vectors - vectors * torch.from_numpy(pairs.eigenvalues)).norm(dim=0)
    np.testing.assert_allclose(pairs.residuals, found, rtol=0, atol=1e-6 * 100)
    assert (pairs.residuals[1:-1] > 1e-5 * 100).all()


@pytest.mark.parametrize("space", ["least", "default"])
@pytest.mark.parametrize("search", [None, torch.float32])
def test_only_the_top_is_waited_for(space, search):
    """The lowest three stand apart and come along; those above them are crowded, and do not."""
    top = np.geomspace(40, 400, 20)
    operator = Planted(np.r_[-900, -800, -700, RNG.uniform(-1, 1, 3 * N), top])
    room = least(50) if space == "least" else None
    asked = {"top": 20, "bottom": 30, "tol": 1e-6, "space": room}
    quick = None if search is None else Planted(operator.eigenvalues, search)
    pairs = lanczos(operator, **asked, search=quick, until="top")
    sure = pairs.certified
    assert sure[30:].all()
    assert sure[:3].all()
    assert not sure[3:30].all()
    ends = operator.ends(30, 20)
    assert np.abs(pairs.eigenvalues - ends)[sure].max() <= 1e-6 * 900
    # A Ritz value is an upper bound at this end, and each is near some eigenvalue.
    assert (pairs.eigenvalues[:30] >= ends[:30] - 1e-9).all()
    vectors = torch.from_numpy(pairs.vectors)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(50), rtol=0, atol=1e-12)
    found = (operator @ vectors - vectors * torch.from_numpy(pairs.eigenvalues)).norm(dim=0)
    np.testing.assert_allclose(pairs.residuals, found, rtol=0, atol=1e-6 * 900)
    both = lanczos(operator, **asked, search=quick, max_products=5_000)
    assert both.certified.all()
    assert both.products > 1.5 * pairs.products


def test_a_top_that_is_waited_for_in_vain_is_an_error():
    operator = Planted(np.r_[-50, RNG.uniform(-1, 1, N - 1)])
    with pytest.raises(ConvergenceError, match="of 20 eigenpairs did not converge"):
        lanczos(operator, top=20, bottom=5, tol=1e-9, max_products=60, until="top")


def test_a_search_in_another_operator_is_found_out():
    """What is certified are pairs of the operator itself."""
    operator, search = Planted(SPECTRUM), Planted(SPECTRUM, seed=2)
    with pytest.raises(ConvergenceError):
        lanczos(operator, search=search, top=5, bottom=5)
    pairs = lanczos(operator, search=search, top=5, bottom=5, mark=True)
    assert not pairs.certified.any()


def test_start():
    """Near the wanted vectors, some of them, none of them: the same pairs."""
    operator = Planted(SPECTRUM)
    cold = lanczos(operator, top=20, bottom=10, tol=1e-9)
    vectors = torch.from_numpy(cold.vectors)
    starts = [
        vectors + 1e-3 * torch.randn(vectors.shape, generator=torch.Generator().manual_seed(0)),
        vectors[:, :1],
        vectors[:, 3:9].float(),
        torch.eye(N, dtype=torch.float64)[:, :50],
    ]
    for start in starts:
        pairs = lanczos(operator, top=20, bottom=10, tol=1e-9, start=start)
        check(pairs, operator, operator.ends(10, 20), 1e-9)


def test_start_in_an_invariant_subspace_misses_nothing():
    """A start that is exactly the second to fifth eigenvectors, of a fivefold eigenvalue."""
    eigenvalues = np.r_[np.full(5, 9.0), RNG.uniform(-1, 1, N - 5)]
    operator = Planted(eigenvalues)
    known = torch.from_numpy(lanczos(operator, top=5, bottom=0, tol=1e-12).vectors)
    pairs = lanczos(operator, top=6, bottom=0, tol=1e-9, start=known[:, 1:])
    check(pairs, operator, operator.ends(0, 6), 1e-9)


@pytest.mark.parametrize("max_products", [24, 60, 100])
def test_unconverged_pairs(max_products):
    operator = Planted(np.r_[100, 90, -80, RNG.uniform(-1, 1, N - 3)])
    asked = {"top": 20, "bottom": 4, "tol": 1e-9, "max_products": max_products}
    with pytest.raises(ConvergenceError) as error:
        lanczos(operator, **asked)
    pairs = lanczos(operator, **asked, mark=True)
    failed = ~pairs.certified
    assert 0 < failed.sum() <= 24
    worst = pairs.residuals.argmax()
    for words in (
        f"{failed.sum()} of 24 eigenpairs did not converge within {pairs.products:,} products",
        f"λ = {pairs.eigenvalues[worst]:.6g} has residual {pairs.residuals[worst]:.2e}",
        f"allowed are {1e-9 * np.abs(pairs.eigenvalues).max():.2e}",
    ):
        assert words in str(error.value)
    vectors = torch.from_numpy(pairs.vectors)
    residuals = (operator @ vectors - vectors * torch.from_numpy(pairs.eigenvalues)).norm(dim=0)
    np.testing.assert_allclose(pairs.residuals, residuals, rtol=0, atol=1e-11)
    np.testing.assert_array_equal(failed, pairs.residuals > 1e-9 * np.abs(pairs.eigenvalues).max())
    # Some eigenvalue lies within the residual of each, converged or not.
    distance = np.abs(pairs.eigenvalues[:, None] - operator.eigenvalues).min(axis=1)
    assert (distance <= pairs.residuals + 1e-11).all()
    if max_products == 100:
        outliers = [0, -2, -1]
        assert pairs.certified[outliers].all()
        np.testing.assert_allclose(pairs.eigenvalues[outliers], [-80, 90, 100], rtol=1e-10)


EYE = torch.eye(300, dtype=torch.float64)


@pytest.mark.parametrize(
    ("matrix", "settings", "words"),
    [
        (EYE, {"top": 0}, "top=0, bottom=0: together at least 1 and at most n = 300"),
        (EYE, {"top": 200, "bottom": 101}, "top=200, bottom=101: together at least 1 and at most"),
        (EYE, {"top": -1, "bottom": 3}, "top=-1, bottom=3: together"),
        (EYE, {"until": "bottom"}, "until='bottom': allowed are 'both', 'top'"),
        (EYE, {"top": 0, "bottom": 2, "until": "top"}, "until='top' with top=0: there must be"),
        (EYE, {"tol": 0.0}, r"tol=0\.0: must be positive"),
        (EYE, {"tol": float("nan")}, "tol=nan: must be positive"),
        (EYE, {"tol": 1.0}, r"tol=1\.0: must be positive and less than 1"),
        (EYE, {"tol": float("inf")}, "tol=inf: must be positive and less than 1"),
        (EYE, {"space": least(2) - 1}, f"space={least(2) - 1}: must be at least {least(2)} for 2"),
        (EYE, {"max_products": 1}, "max_products=1: must be at least 2, one for a pair"),
        (EYE, {"max_products": 0}, "max_products=0: must be at least 2"),
        (EYE, {"start": EYE[:9]}, r"start must be \(300, w\), got \(9, 300\)"),
        (EYE, {"start": EYE[0]}, r"start must be \(300, w\), got \(300,\)"),
        (
            EYE,
            {"search": EYE[:9, :9]},
            r"operators of one shape are needed, got \(300, 300\) and \(9, 9\)",
        ),
        (EYE[:9], {}, r"a square matrix is needed, got shape \(9, 300\)"),
        (EYE * float("nan"), {}, "product with the matrix is not finite"),
        (EYE[:9, :9] * float("inf"), {}, "product with the matrix is not finite"),
    ],
)
def test_errors(matrix, settings, words):
    with pytest.raises(ValueError, match=words):
        lanczos(matrix, **{"top": 2, "bottom": 0} | settings)


def test_memory_is_announced_and_refused(caplog):
    with caplog.at_level(logging.INFO):
        lanczos(EYE, top=2, bottom=1, space=60)
    # Basis and the copy of it, and five arrays of the pairs.
    needed = (2 * 60 * 8 + 5 * 3 * 8) * 300
    assert f"up to 60 vectors of 300 numbers takes {needed / 1e9:.2f} GB" in caplog.text
    zero = torch.zeros(1, 1, dtype=torch.float64).expand(10**9, 10**9)
    with pytest.raises(MemoryError, match=r"vectors of 1,000,000,000 numbers takes \d+\.\d\d GB; "):
        lanczos(zero, top=200, bottom=200)


def small_model() -> tuple[nn.Module, Tensor, Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 12), nn.Tanh())
    model.append(nn.Linear(12, 4)).double()
    x = torch.randn(60, 6, dtype=torch.float64)
    y = (x[:, 0] > 0).long() + 2 * (x[:, 1] > 0.3).long()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(40):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model, x, y


class ForScipy:
    """Products with vectors that are arrays."""

    dtype = np.dtype(np.float64)

    def __init__(self, matrix) -> None:
        self.matrix, self.shape = matrix, tuple(matrix.shape)

    def matvec(self, v):
        return (self.matrix @ torch.from_numpy(v.ravel())).numpy()


def test_scipy_and_curvlinops():
    """The same ends from ARPACK on our operator, and on another library's of the same model."""
    model, x, y = small_model()
    operator = HessianOperator(model, F.cross_entropy, [(x[:25], y[:25]), (x[25:], y[25:])])
    pairs = lanczos(operator, top=8, bottom=8, tol=1e-10)
    scale = np.abs(pairs.eigenvalues).max()
    other = HessianLinearOperator(
        model,
        nn.CrossEntropyLoss(),
        [p for p in model.parameters() if p.requires_grad],
        [(x[:40], y[:40]), (x[40:], y[40:])],
        check_deterministic=False,
    )
    block = torch.randn(operator.shape[0], 3, dtype=torch.float64)
    theirs = other @ block
    assert isinstance(theirs, Tensor)
    assert (operator @ block - theirs).norm() < 1e-13 * theirs.norm()

    settings: dict[str, Any] = {"k": 16, "which": "BE", "tol": 1e-11, "ncv": 100}
    start = np.random.default_rng(0).normal(size=operator.shape[0])
    for matrix in (operator, other):
        values, vectors = eigsh(ForScipy(matrix), v0=start, **settings)
        np.testing.assert_allclose(pairs.eigenvalues, values, rtol=0, atol=1e-9 * scale)
        overlaps = np.abs((vectors * pairs.vectors).sum(axis=0))
        np.testing.assert_allclose(overlaps[-4:], 1, atol=1e-6)


@pytest.mark.filterwarnings("ignore:Using backward\\(\\) with create_graph=True:UserWarning")
def test_pyhessian():
    """Its power iteration finds the largest |λ| one after the other, to a few digits."""
    model, x, y = small_model()
    pairs = lanczos(HessianOperator(model, F.cross_entropy, (x, y)), top=3, bottom=3, tol=1e-9)
    expected = pairs.eigenvalues[np.argsort(-np.abs(pairs.eigenvalues))][:2]
    # It draws its vectors in the default type.
    torch.set_default_dtype(torch.float64)
    try:
        other = PyHessian(model, nn.CrossEntropyLoss(), data=(x, y), cuda=False)
        values, vectors = other.eigenvalues(maxIter=300, tol=1e-9, top_n=2)
    finally:
        torch.set_default_dtype(torch.float32)
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    first = torch.cat([part.flatten() for part in vectors[0]]).numpy()
    top = pairs.vectors[:, np.abs(pairs.eigenvalues).argmax()]
    assert abs(first @ top) > 0.999


@pytest.mark.parametrize("steps", [0, 150])
def test_transformer_against_its_dense_hessian(steps):
    """Top and bottom 40 to 1e-8 of the largest |λ|, at initialisation and in training."""
    torch.manual_seed(0)
    pairs = modular_task(23, train_fraction=0.4, seed=0).train
    model = ModularTransformer(23, width=16, n_heads=1, activation="relu")
    data = (pairs.tokens(), pairs.targets)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=1.0)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(data[0]), data[1]).backward()
        optimizer.step()
    operator = HessianOperator(model, F.cross_entropy, data)
    search = HessianOperator(model, F.cross_entropy, data, dtype=torch.float32)
    values = torch.linalg.eigvalsh(hessian(model, F.cross_entropy, data)).numpy()
    expected, scale = np.r_[values[:40], values[-40:]], np.abs(values).max()
    found = lanczos(operator, top=40, bottom=40, tol=1e-9)
    single = lanczos(operator, search=search, top=40, bottom=40, tol=1e-6)
    errors = [np.abs(some.eigenvalues - expected).max() / scale for some in (found, single)]
    print(f"\nstep {steps}: errors {errors[0]:.1e}, searched in float32 {errors[1]:.1e}")
    print("products", found.products, single.products, "of", len(values))
    assert max(errors) < 1e-8
    check(found, operator, expected, 1e-9)
    check(single, operator, expected, 1e-6)
