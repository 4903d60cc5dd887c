from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import norm

from hdlib.curvature.density import _lanczos, density
from hdlib.curvature.lanczos import lanczos
from hdlib.curvature.quadrature import Density
from hdlib.curvature.streams import stream
from hdlib.measures import spectral_summary

RNG = np.random.default_rng(0)
N = 200
SPECTRA = {
    "bulk": RNG.normal(0, 1, N),
    "outliers": np.r_[np.geomspace(5, 100, 10), RNG.normal(0, 0.1, N - 10)],
    "cluster at zero": np.r_[np.geomspace(1, 9, 20), -np.geomspace(1, 5, 15), np.zeros(N - 35)],
    "four values": np.repeat([-2.0, 0.0, 1.0, 7.0], [20, 100, 50, 30]),
    "decades": np.r_[np.geomspace(1e-8, 1, N - 30), -np.geomspace(1e-6, 1e-2, 30)],
}


def planted(eigenvalues) -> tuple[torch.Tensor, torch.Tensor]:
    """A matrix with these eigenvalues, and its random eigenvectors in their order."""
    values = torch.as_tensor(np.asarray(eigenvalues, dtype=np.float64))
    generator = torch.Generator().manual_seed(1)
    q = torch.linalg.qr(torch.randn(2 * [len(values)], generator=generator).double())[0]
    matrix = (q * values) @ q.T
    return (matrix + matrix.T) / 2, q


def plain(eigenvalues, **settings) -> Density:
    return density(torch.diag(torch.as_tensor(eigenvalues)), **settings)


def without(largest: int, eigenvalues, **settings) -> Density:
    """The density of a diagonal matrix with its largest |λ| deflated."""
    values = torch.as_tensor(eigenvalues)
    known = values.abs().argsort(descending=True)[:largest]
    units = torch.eye(len(values), dtype=torch.float64)[:, known]
    return density(torch.diag(values), deflate=(values[known], units), **settings)


class Counted:
    """An operator that is no tensor and notes the blocks it gets."""

    def __init__(self, matrix: torch.Tensor) -> None:
        self.matrix = matrix
        self.shape = tuple(matrix.shape)
        self.device, self.dtype = matrix.device, matrix.dtype
        self.blocks: list[tuple[int, ...]] = []

    def __matmul__(self, block: torch.Tensor) -> torch.Tensor:
        self.blocks.append(tuple(block.shape))
        return self.matrix @ block


@pytest.mark.parametrize("name", SPECTRA)
def test_quadrature_has_the_moments_of_its_probe(name):
    """Gauss: exact for polynomials of degree 2k − 1, against powers of the matrix."""
    matrix, _ = planted(SPECTRA[name])
    k, scale = 5, np.abs(SPECTRA[name]).max()
    start = torch.randn(3, N, generator=torch.Generator().manual_seed(2)).double()
    result = Density(N, np.zeros(0), *_lanczos(matrix, start, torch.zeros(N, 0).double(), k))
    v = start.numpy() / np.linalg.norm(start.numpy(), axis=1, keepdims=True)
    for degree in range(2 * k):
        expected = np.einsum("pi,pi->p", v, v @ np.linalg.matrix_power(matrix.numpy(), degree))
        moments = (result.weights * result.nodes**degree).sum(axis=1)
        np.testing.assert_allclose(moments, expected, rtol=1e-11, atol=1e-12 * scale**degree)


@pytest.mark.parametrize("deflated", [0, 12])
@pytest.mark.parametrize("name", SPECTRA)
def test_mass_below_a_bound_lies_within_what_each_probe_allows(name, deflated):
    """The mass of the probe's own measure, from all eigenvectors, also at the nodes themselves."""
    values = SPECTRA[name]
    matrix, vectors = planted(values)
    probes, k = 4, 12
    start = torch.randn(probes, N, generator=torch.Generator().manual_seed(3)).double()
    rest = vectors[:, deflated:]
    diagonal, coupling = _lanczos(matrix, start, vectors[:, :deflated], k)
    result = Density(N, values[:deflated], diagonal, coupling)
    masses = (start @ rest).numpy() ** 2
    masses *= (N - deflated) / masses.sum(axis=1, keepdims=True)
    scale = np.abs(values).max()
    thin = np.sort(values)[:-1][np.diff(np.sort(values)) > 1e-9 * scale] + 5e-10 * scale
    for bound in np.r_[thin[::7], result.nodes[0], -3 * scale, 3 * scale]:
        least, most = result._below(bound)
        slack = 1e-8 * scale
        low = masses[:, values[deflated:] < bound - slack].sum(axis=1)
        high = masses[:, values[deflated:] < bound + slack].sum(axis=1)
        assert (least <= high + 1e-6 * N).all()
        assert (most >= low - 1e-6 * N).all()


@pytest.mark.parametrize("name", SPECTRA)
def test_full_quadrature_is_the_dense_density(name):
    """With all n steps only the probes' randomness is left, as from all eigenvectors."""
    values = SPECTRA[name]
    matrix, vectors = planted(values)
    result = density(matrix, probes=20, steps=N)
    scale = np.abs(values).max()
    np.testing.assert_allclose(result.weights.sum(axis=1), 1, rtol=1e-12)
    grid = np.linspace(-1.5, 1.5, 400) * scale
    mean, error = result.density(grid, width=0.05 * scale)
    assert np.trapezoid(mean, grid) == pytest.approx(1, rel=1e-9)
    bells = norm.pdf(grid[:, None], values, 0.05 * scale)
    assert np.abs(mean - bells.mean(axis=1)).max() < 0.15 * bells.mean(axis=1).max()
    start = torch.randn(20, N, generator=stream("density", 0), dtype=torch.float64)
    shares = (start / start.norm(dim=1, keepdim=True) @ vectors).numpy() ** 2
    smoothed = shares @ bells.T
    np.testing.assert_allclose(mean, smoothed.mean(axis=0), atol=1e-10 / scale)
    spread = smoothed.std(axis=0, ddof=1) / np.sqrt(20)
    np.testing.assert_allclose(error, spread, atol=1e-10 / scale)
    for k in range(5):
        moment = result.moment(k)
        assert abs(moment.value - (values**k).mean()) <= 4 * moment.standard_error + 1e-12
    trace = result.trace()
    assert trace.value == pytest.approx(N * result.moment(1).value)
    assert abs(trace.value - values.sum()) <= 4 * trace.standard_error
    assert result.spectral_sum(lambda t: t**2).value == pytest.approx(N * result.moment(2).value)
    entropy = result.entropy()
    expected = spectral_summary(values).spectral_entropy
    assert abs(entropy.value - expected) <= 4 * entropy.standard_error


def test_histogram():
    """Counts of adjoining intervals are those of the dense spectrum, and close."""
    values = SPECTRA["bulk"]
    result = plain(values, probes=20, steps=60)
    edges = np.r_[-np.inf, -2, -1, -0.5, 0, 0.5, 1, 2, np.inf]
    counts = [result.count(*edges[i : i + 2]) for i in range(8)]
    dense = np.histogram(values, np.clip(edges, -99, 99))[0]
    for count, expected in zip(counts, dense, strict=True):
        slack = 4 * count.standard_error
        assert count.lowest - slack <= expected <= count.highest + slack
        assert abs(count.value - expected) < 12
    assert sum(count.value for count in counts) == pytest.approx(N)


def test_few_steps_agree_where_the_spectrum_is_smooth():
    """Smoothing wider than the resolution: 20 steps do for 2,000 eigenvalues."""
    values = np.cos(np.pi * (np.arange(2000) + 0.5) / 2000)
    result = plain(values, probes=8, steps=20)
    grid = np.linspace(-1.2, 1.2, 50)
    mean, error = result.density(grid, width=0.15)
    dense = norm.pdf(grid[:, None], values, 0.15).mean(axis=1)
    np.testing.assert_allclose(mean, dense, atol=0.03)
    assert error.max() < 0.03


def test_negative_eigenvalues_beside_a_cluster():
    """A bound in the gap is told; one within the cluster is admitted to be unknown."""
    n = 2000
    values = np.r_[np.geomspace(0.1, 10, 60), -np.geomspace(0.1, 1, 40)]
    values = np.r_[values, RNG.normal(0, 1e-6, n - 100)]
    result = without(30, values, probes=8, steps=40)
    gap = result.count(-np.inf, -0.01)
    assert gap.highest - gap.lowest < 4
    assert abs(gap.value - 40) < 4 * gap.standard_error + (gap.highest - gap.lowest) / 2
    cluster = result.count(-np.inf, -1e-7)
    truth = (values < -1e-7).sum()
    assert 100 < cluster.lowest + 100 < truth < cluster.highest
    assert cluster.highest - cluster.lowest > 1000
    one_sided = plain(values, probes=8, steps=40).count(-np.inf, -0.01)
    assert one_sided.standard_error > gap.standard_error


def test_multiplicities():
    """Four different values: the runs are exhausted after four steps, and exact."""
    values = SPECTRA["four values"]
    matrix, vectors = planted(values)
    result = density(matrix, probes=6, steps=30)
    assert (result.coupling[:, 3:] == 0).all()
    for nodes, weights in zip(result.nodes, result.weights, strict=True):
        np.testing.assert_allclose(nodes[weights > 1e-12], [-2, 0, 1, 7], atol=1e-10)
    for value, multiplicity in [(-2, 20), (0, 100), (1, 50), (7, 30)]:
        count = result.count(value - 0.1, value + 0.1)
        assert count.highest == pytest.approx(count.lowest, abs=1e-9)
        assert abs(count.value - multiplicity) < 4 * count.standard_error
    rest = 20
    known = torch.as_tensor(values[rest:]), vectors[:, rest:]
    exact = density(matrix, steps=30, deflate=known)
    for value, multiplicity in [(-2, 20), (0, 100), (1, 50), (7, 30)]:
        expected = (multiplicity, 0, multiplicity, multiplicity)
        assert exact.count(value - 0.1, value + 0.1) == pytest.approx(expected, abs=1e-8)
    entropy = spectral_summary(values).spectral_entropy
    assert exact.entropy() == pytest.approx((entropy, 0), abs=1e-10)


@pytest.mark.parametrize("name", ["bulk", "outliers", "decades"])
def test_standard_errors_are_honest(name):
    """Over 80 seeds: t with 7 degrees of freedom is within 2 in 91%, within 3 in 98%."""
    values = SPECTRA[name]
    matrix = torch.diag(torch.as_tensor(values))
    expected = values.sum(), (values**2).mean(), spectral_summary(values).spectral_entropy
    scores = []
    for seed in range(80):
        result = density(matrix, probes=8, steps=40, seed=seed)
        for estimate, truth in zip(
            (result.trace(), result.moment(2), result.entropy()), expected, strict=True
        ):
            scores.append((estimate.value - truth) / estimate.standard_error)
    sizes = np.abs(scores).reshape(80, 3)
    within = (sizes < 2).mean(axis=0), (sizes < 3).mean(axis=0)
    print(f"\n{name}, trace, second moment, entropy: within 2 and 3 errors", *within)
    assert (within[0] > 0.8).all()
    assert (within[0] < 1).all()
    assert (within[1] > 0.9).all()


def test_products_in_single_precision():
    """Agree with those in double precision far better than the probes with one another."""
    matrix, vectors = planted(SPECTRA["outliers"])
    known = torch.from_numpy(SPECTRA["outliers"])[:10], vectors[:, :10]
    double, single = (
        density(Counted(matrix.to(dtype)), steps=30, deflate=known)
        for dtype in (torch.float64, torch.float32)
    )
    assert single.diagonal.dtype == np.float64
    for bounds in ((-1, 0), (0.05, 1)):
        expected, found = double.count(*bounds), single.count(*bounds)
        assert abs(found.value - expected.value) < 0.1 * expected.standard_error
    assert single.trace().value == pytest.approx(double.trace().value, rel=1e-5)


def test_deflation_reduces_the_errors():
    values = SPECTRA["outliers"]
    expected = spectral_summary(values)
    errors = []
    for seed in range(8):
        settings = {"seed": seed, "steps": 20}
        for result in (plain(values, **settings), without(10, values, **settings)):
            trace = result.trace()
            errors.append((trace.value - expected.trace, trace.standard_error))
    spread = np.sqrt((np.array(errors).reshape(8, 2, 2) ** 2).mean(axis=0))
    print("\ntrace without and with deflation, error and standard error\n", spread)
    assert (spread[1] < spread[0] / 20).all()
    result = without(10, values)
    np.testing.assert_array_equal(result.known, np.sort(values)[-10:])
    np.testing.assert_allclose(result.weights.sum(axis=1), (N - 10) / N, rtol=1e-12)
    entropy = result.entropy()
    assert entropy.standard_error < plain(values).entropy().standard_error / 4
    assert abs(entropy.value - expected.spectral_entropy) < 4 * entropy.standard_error
    assert result.moment(0) == pytest.approx((1, 0), abs=1e-14)


@pytest.mark.parametrize("seed", [0, 3])
def test_copies_that_a_search_from_the_same_seed_has_missed_are_counted(seed: int):
    """A search finds few copies of a repeated eigenvalue: those that its random start points at."""
    values = np.r_[np.full(60, -1.0), RNG.normal(0, 0.01, 920), np.geomspace(2, 20, 20)]
    matrix, _ = planted(values)
    found = lanczos(matrix, top=20, bottom=20, until="top", mark=True, seed=seed)
    sure = found.certified & (np.abs(found.eigenvalues) > 0.5)
    copies = int((found.eigenvalues[sure] < 0).sum())
    assert 0 < copies < 30
    known = torch.from_numpy(found.eigenvalues[sure]), torch.from_numpy(found.vectors[:, sure])
    count = density(matrix, probes=8, steps=64, seed=seed, deflate=known).count(-np.inf, -0.5)
    assert abs(count.value - 60) < 4 * count.standard_error + 1
    assert count.standard_error < 10


def test_deflated_outliers_do_not_come_back():
    """By rounding they would, had the vectors not been kept orthogonal to them at every step."""
    values = np.r_[1e8, -1e8, RNG.uniform(-1, 1, 300)]
    matrix, vectors = planted(values)
    known = torch.as_tensor(values[:2]), vectors[:, :2]
    result = density(matrix, steps=60, deflate=known)
    assert np.abs(result.nodes).max() < 1.001


@pytest.mark.parametrize("n", [1, 2, 30])
@pytest.mark.parametrize("value", [0.0, 1.0, -3.0])
def test_multiples_of_the_identity(n, value):
    """Every probe is exact after one step."""
    result = plain(np.full(n, value), probes=4, steps=100)
    assert result.nodes.shape == (4, n)
    assert result.trace() == pytest.approx((n * value, 0), abs=1e-12)
    assert result.moment(2) == pytest.approx((value**2, 0), abs=1e-12)
    assert result.count(value - 0.5, value + 0.5) == pytest.approx((n, 0, n, n), abs=1e-12)
    assert result.count(value + 0.5, np.inf) == pytest.approx((0, 0, 0, 0), abs=1e-12)
    expected = spectral_summary(np.full(n, value)).spectral_entropy
    assert result.entropy() == pytest.approx((expected, 0), abs=1e-12)
    mean, error = result.density([value, value + 1], width=0.1)
    np.testing.assert_allclose(mean, norm.pdf([0, 1], 0, 0.1), rtol=1e-10)
    np.testing.assert_allclose(error, 0, atol=1e-10)


def test_rank_one():
    v = torch.arange(1.0, 41).double()
    matrix = torch.outer(v, v)
    result = density(matrix, probes=5, steps=100)
    for nodes, weights in zip(result.nodes, result.weights, strict=True):
        np.testing.assert_allclose(nodes[weights > 1e-12], [0, (v @ v).item()], atol=1e-8)
    known = (v @ v).reshape(1), (v / v.norm()).reshape(-1, 1)
    exact = density(matrix, steps=3, deflate=known)
    assert exact.trace() == pytest.approx(((v @ v).item(), 0), rel=1e-12, abs=1e-9)
    assert exact.entropy() == pytest.approx((0, 0), abs=1e-9)
    assert exact.count(1, np.inf) == pytest.approx((1, 0, 1, 1), abs=1e-12)


@pytest.mark.parametrize("n", [1, 2, 7])
def test_all_eigenvalues_known(n):
    values = np.arange(1.0, n + 1)
    result = without(n, values)
    assert result.trace() == (values.sum(), 0)
    assert result.count(0, n - 0.5) == (n - 1, 0, n - 1, n - 1)
    entropy = spectral_summary(values).spectral_entropy
    assert result.entropy() == pytest.approx((entropy, 0), abs=1e-14)


def test_two_eigenvalues():
    """n = 2: the first moments are linear in one random number."""
    result = plain(np.array([-1.0, 2.0]), probes=3, steps=9)
    np.testing.assert_allclose(result.nodes, [[-1, 2]] * 3, atol=1e-12)
    share = result.weights[:, 1]
    assert result.trace().value == pytest.approx(2 * (3 * share - 1).mean())
    assert result.count(0, 9).value == pytest.approx(2 * share.mean())
    assert result.moment(2).standard_error == pytest.approx(3 * share.std(ddof=1) / np.sqrt(3))


def test_products_are_blocks_of_all_probes_and_the_seed_decides():
    operator = Counted(planted(SPECTRA["bulk"])[0])
    result = density(operator, probes=5, steps=7, seed=3)
    assert operator.blocks == [(N, 5)] * 7
    again = density(operator, probes=5, steps=7, seed=3)
    np.testing.assert_array_equal(result.nodes, again.nodes)
    other = density(operator, probes=5, steps=7, seed=4)
    assert not np.isclose(result.nodes, other.nodes).any()
    exhausted = Counted(torch.eye(9).double())
    density(exhausted, probes=5, steps=7)
    assert exhausted.blocks == [(9, 5)]


EYE = torch.eye(4, dtype=torch.float64)


@pytest.mark.parametrize(
    ("matrix", "settings", "words"),
    [
        (EYE[:3], {}, r"square matrix is needed, got shape \(3, 4\)"),
        (EYE[:0, :0], {}, r"square matrix is needed, got shape \(0, 0\)"),
        (EYE[0], {}, r"square matrix is needed, got shape \(4,\)"),
        (EYE, {"probes": 1}, "probes must be at least 2, got 1"),
        (EYE, {"steps": 0}, "steps must be at least 1, got 0"),
        (EYE, {"seed": -1}, "seed must not be negative, got -1"),
        (EYE * float("nan"), {}, "a product with the matrix is not finite"),
        (EYE, {"deflate": (EYE[0, :2], EYE[:, :3])}, r"got \(2,\) and \(4, 3\)"),
        (EYE, {"deflate": (EYE[:1], EYE[:, :1])}, r"got \(1, 4\) and \(4, 1\)"),
        (EYE, {"deflate": (EYE[0, :1].float(), EYE[:, :1])}, "float64 eigenvalues, got torch.flo"),
        (EYE, {"deflate": (EYE[0, :1], EYE[:, :1].float())}, "float64 vectors, got torch.float32"),
        (EYE, {"deflate": (EYE[0, :1] / 0, EYE[:, :1])}, "finite eigenvalues"),
        (EYE, {"deflate": (EYE[0, :1], EYE[:, :1] / 0)}, "finite vectors"),
        (EYE, {"deflate": (EYE[0, :2], 1.1 * EYE[:, :2])}, r"UᵀU − I is 2\.10e-01, allowed"),
    ],
)
def test_errors(matrix, settings, words):
    with pytest.raises(ValueError, match=words):
        density(matrix, **settings)


def test_too_large_for_memory():
    zero = torch.zeros(1, 1, dtype=torch.float64).expand(10**8, 10**8)
    with pytest.raises(MemoryError, match=r"6,000 vectors of 100,000,000 numbers takes 4800\.00"):
        density(zero, probes=2, steps=3000)


def test_questions_that_make_no_sense():
    result = plain(np.arange(4.0))
    with pytest.raises(ValueError, match=r"low < high is needed, got low = 1, high = 1"):
        result.count(1, 1)
    with pytest.raises(ValueError, match="low < high is needed"):
        result.count(float("nan"), 1)
    with pytest.raises(ValueError, match="k must not be negative, got -1"):
        result.moment(-1)
    for width in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"width must be positive and finite, got {width}"):
            result.density([0, 1], width=width)
    with pytest.raises(ValueError, match=r"grid must have one dimension, got shape \(1, 2\)"):
        result.density([[0, 1]], width=1)
