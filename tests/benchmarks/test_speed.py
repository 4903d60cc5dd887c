"""The table of speeds: `pytest tests/benchmarks -s`, with nothing else running on the machine.

Both sides of a row run in one process, with all threads or, the transformers', with one; each time
is the best of a few after a warm-up. Errors are asserted, times only printed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from curvlinops import HessianLinearOperator
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.linalg import eigh
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp, vmap

from hdlib.clustering import dendrogram
from hdlib.clustering.fiedler import Laplacian, bipartition, fiedler_vector
from hdlib.curvature import HessianOperator, hessian, lanczos, spectrum
from hdlib.experiments.grokking.config import GrokkingConfig
from hdlib.experiments.grokking.recipe import EXPERIMENT, TRAINING
from hdlib.experiments.mnist.recipe import syrk_seconds
from hdlib.models import LeNetTiny, ModularTransformer, PlainTransformer
from hdlib.models.pair_attention import PairAttention
from hdlib.store import one_thread, side_by_side
from hdlib.tasks import load_images, modular_task, planted_hessian
from hdlib.training import cross_entropy_float64, cross_entropy_of_errors

WIDTH, SAMPLES, VECTORS, RESOLUTIONS = 8, 1_000, 50, 200
DIRECTIONS, TIMED_DIRECTIONS = 64, 128
BLOCK = 16
BLOCKS, NOISE, SPREAD = (3_600, 1_500, 894), 0.3, 0.5


class Row(NamedTuple):
    """A line of the table; ``target`` is the least ratio, or the most where it says so."""

    work: str
    against: str
    seconds: float
    baseline: float
    ratio: float
    target: str
    error: float


class Setting(NamedTuple):
    """A network that has learned a little, samples, and its Hessian."""

    model: LeNetTiny
    x: Tensor
    y: Tensor
    matrix: Tensor


def best_of(repeats: int, work: Callable[[], object], *, warm: bool = True) -> float:
    """The shortest wall time."""
    if warm:
        work()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def trained_setting(width: int, samples: int) -> Setting:
    inputs, targets = load_images("digits").train
    torch.manual_seed(0)
    model = LeNetTiny(width)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    for _ in range(3):
        for batch in torch.randperm(len(inputs)).split(128):
            optimizer.zero_grad()
            F.cross_entropy(model(inputs[batch]), targets[batch]).backward()
            optimizer.step()
    x, y = inputs[:samples].double(), targets[:samples]
    model.double()
    return Setting(model, x, y, hessian(model, F.cross_entropy, (x, y)))


def products(setting: Setting, columns: Tensor) -> Tensor:
    """HV by vmap(jvp(grad)), 64 directions at a time."""
    product = product_one_by_one(setting.model, setting.x, setting.y)
    blocks = [vmap(product)(block) for block in columns.T.split(DIRECTIONS)]
    return torch.cat(blocks).T


def hessian_rows(setting: Setting, timed: int, repeats: int = 3) -> list[Row]:
    """The exact Hessian against products with every basis vector, and against one `dsyrk`."""
    n = len(setting.matrix)
    chosen = torch.randperm(n, generator=torch.Generator().manual_seed(0))[:timed]
    unit = torch.zeros(n, timed, dtype=torch.float64)
    unit[chosen, torch.arange(timed)] = 1
    data = (setting.x, setting.y)
    seconds = best_of(repeats, lambda: hessian(setting.model, F.cross_entropy, data))
    columns = products(setting, unit)
    some = best_of(1, lambda: products(setting, unit), warm=False)
    floor = min(syrk_seconds(n, 10 * len(setting.x)) for _ in range(repeats))
    error = ((setting.matrix[:, chosen] - columns).norm() / columns.norm()).item()
    work = f"exact Hessian, P = {n:,}, N = {len(setting.x):,}"
    scaled = some * n / timed
    products_name = f"vmap(jvp(grad)), {timed} of {n:,} columns timed, scaled"
    return [
        Row(work, products_name, seconds, scaled, scaled / seconds, "≥ 150", error),
        Row(work, "its dsyrk floor", seconds, floor, seconds / floor, "≤ 2.5", error),
    ]


def spectrum_row(matrix: Tensor, vectors: int, repeats: int = 2) -> Row:
    """All eigenvalues and some vectors at both ends against all vectors."""
    result = spectrum(matrix, vectors=vectors)
    expected = torch.linalg.eigh(matrix)[0].numpy()
    seconds = best_of(repeats, lambda: spectrum(matrix, vectors=vectors), warm=False)
    baseline = best_of(repeats, lambda: torch.linalg.eigh(matrix), warm=False)
    error = np.abs(result.eigenvalues - expected).max() / np.abs(expected).max()
    work = f"spectrum, n = {len(matrix):,}, {vectors} vectors at each end"
    return Row(
        work, "torch.linalg.eigh", seconds, baseline, baseline / seconds, "≥ 3", float(error)
    )


def clusters_row(eigenvalues: NDArray[np.float64], resolutions: int, repeats: int = 3) -> Row:
    """n(ε) against SciPy's linkage and cuts; the error is the largest difference of counts."""
    gaps = np.diff(eigenvalues)
    eps = np.geomspace(gaps[gaps > 0].min(), gaps.max(), resolutions)

    def counts_of_scipy() -> NDArray[np.int64]:
        tree = linkage(eigenvalues[:, None], "single")
        return np.array([fcluster(tree, e, "distance").max() for e in eps])

    counts = dendrogram(eigenvalues).n_clusters(eps)
    error = np.abs(counts - counts_of_scipy()).max()
    seconds = best_of(repeats, lambda: dendrogram(eigenvalues).n_clusters(eps))
    baseline = best_of(repeats, counts_of_scipy, warm=False)
    work = f"n(ε) at {resolutions} resolutions, n = {len(eigenvalues):,}"
    return Row(
        work,
        "SciPy linkage, fcluster in a loop",
        seconds,
        baseline,
        baseline / seconds,
        "≥ 300",
        float(error),
    )


def uneven_couplings(sizes: tuple[int, ...], noise: float, spread: float) -> NDArray[np.float64]:
    """|H| of planted blocks, with degrees that differ log-normally."""
    planted, _ = planted_hessian(sizes, noise=noise, seed=0)
    scale = np.exp(spread * np.random.default_rng(0).standard_normal(len(planted)))
    return np.abs(planted) * scale * scale[:, None]


def fiedler_row(couplings: NDArray[np.float64], laplacian: Laplacian, repeats: int = 2) -> Row:
    """The root split; the error is that of λ₂, and infinite if the partition is another."""
    n, degrees = len(couplings), couplings.sum(0)
    scale = np.ones(n) if laplacian == "combinatorial" else degrees**-0.5
    matrix = (np.diag(degrees) - couplings) * scale * scale[:, None]

    def split() -> tuple[float, NDArray[np.bool_]]:
        found = fiedler_vector(couplings, laplacian)
        return found.connectivity, bipartition(couplings, found.vector, "ncut")[0]

    values, vectors = eigh(matrix, subset_by_index=[0, 1])
    expected, _, _ = bipartition(couplings, vectors[:, 1] * scale, "ncut")
    connectivity, part = split()
    seconds = best_of(repeats, split, warm=False)
    baseline = best_of(repeats, lambda: eigh(matrix, subset_by_index=[0, 1]), warm=False)
    same = (part == expected).all() or (part == ~expected).all()
    return Row(
        f"Fiedler split, {laplacian}, n = {n:,}, {'same' if same else 'another'} partition",
        "scipy.linalg.eigh, two vectors",
        seconds,
        baseline,
        baseline / seconds,
        "≥ 8",
        abs(connectivity - values[1]) / values[1] if same else float("inf"),
    )


def transformer_rows(p: int, train_fraction: float, width: int, repeats: int = 3) -> list[Row]:
    """A training step and Hessian-vector products against attention over all three positions."""
    train = modular_task(p, train_fraction=train_fraction, seed=0).train
    data = train.tokens(), train.targets
    torch.manual_seed(0)
    fast, plain = ModularTransformer(p, width=width), PlainTransformer(p, width=width)
    plain.load_state_dict(fast.state_dict())
    size = sum(parameter.numel() for parameter in fast.parameters())
    name = f"P = {size:,}, {len(train.targets):,} pairs"

    pairs = PairAttention(data[0], p=p, n_heads=fast.n_heads)

    def by_hand(model: ModularTransformer) -> Tensor:
        return cross_entropy_of_errors(model.logits(pairs), data[1])

    def by_autograd(model: ModularTransformer) -> Tensor:
        return cross_entropy_float64(model(data[0]), data[1])

    expected = gradients(plain.double(), by_autograd)
    error = ((gradients(fast.double(), by_hand) - expected).norm() / expected.norm()).item()
    step = training_step(fast.float(), by_hand)
    seconds = best_of(10 * repeats, step)
    baseline = best_of(repeats, training_step(plain.float(), by_autograd))
    seconds = min(seconds, best_of(10 * repeats, step))
    work, against = f"training step, {name}", "three positions"
    rows = [Row(work, against, seconds, baseline, baseline / seconds, "≥ 35", error)]
    block = torch.randn(size, BLOCK, generator=torch.Generator().manual_seed(0)).double()
    plain.load_state_dict(fast.state_dict())
    operator = HessianOperator(fast, F.cross_entropy, data)
    seconds = best_of(repeats, lambda: operator @ block) / BLOCK
    one = product_one_by_one(plain.double(), *data)
    baseline = best_of(repeats, lambda: one(block[:, 0]))
    expected = torch.stack([one(v) for v in block.T], 1)
    error = ((operator @ block - expected).norm() / expected.norm()).item()
    work, against = f"Hessian-vector product, {name}", "three positions, jvp(grad), one by one"
    return [*rows, Row(work, against, seconds, baseline, baseline / seconds, "≥ 40", error)]


def top_rows(steps: Sequence[int]) -> list[Row]:
    """The certified top of the chapter's network; seconds in place of a ratio."""
    run = EXPERIMENT.open(GrokkingConfig())
    rows = []
    for step in steps:
        config = run.config
        model, train = TRAINING.model(run, step), config.task.train
        data = train.tokens(), train.targets
        started = time.perf_counter()
        operator, search = (
            HessianOperator(model, F.cross_entropy, data, dtype=dtype)
            for dtype in (torch.float64, torch.float32)
        )
        count = config.eigenpairs
        found = lanczos(
            operator, search=search, top=count, bottom=count, tol=config.tol, until="top"
        )
        seconds = time.perf_counter() - started
        worst = found.residuals[count:].max() / found.scale
        work = f"certified top {count} at step {step:,}, {found.products:,} products"
        rows.append(Row(work, "", seconds, seconds, seconds, "≤ 30 s", float(worst)))
    return rows


def stack_rows(width: int, hidden: int, classes: int, samples: int, repeats: int = 5) -> list[Row]:
    """Hessian-vector products of a perceptron, by hand and by differentiating its gradient."""
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Linear(2, width), nn.ReLU()]
    for _ in range(hidden):
        layers += [nn.Linear(width, width), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(width, classes))
    data = torch.randn(samples, 2), torch.randint(classes, (samples,))
    size = sum(parameter.numel() for parameter in model.parameters())
    rows = []
    for dtype in (torch.float64, torch.float32):
        block = torch.randn(size, BLOCK, dtype=dtype)
        operator = HessianOperator(model, F.cross_entropy, data, dtype=dtype)
        general = HessianOperator(model, lambda f, y: F.cross_entropy(f, y), data, dtype=dtype)
        seconds = best_of(repeats, lambda by=operator, v=block: by @ v) / BLOCK
        baseline = best_of(repeats, lambda by=general, v=block: by @ v) / BLOCK
        expected = general @ block
        error = ((operator @ block - expected).norm() / expected.norm()).item()
        name = f"{str(dtype).removeprefix('torch.')}, P = {size:,}, N = {samples:,}"
        work, against = f"Hessian-vector product of a stack, {name}", "the general method"
        rows.append(Row(work, against, seconds, baseline, baseline / seconds, "≥ 1.3", error))
    return rows


def library_row(model: nn.Module, data: tuple[Tensor, Tensor], name: str, repeats: int = 5) -> Row:
    """Hessian-vector products of a model against another library's, in float64."""
    model = model.double()
    loss, parameters = nn.CrossEntropyLoss(), list(model.parameters())
    size = sum(parameter.numel() for parameter in parameters)
    block = torch.randn(size, BLOCK, generator=torch.Generator().manual_seed(0)).double()
    operator = HessianOperator(model, loss, data)
    other = HessianLinearOperator(model, loss, parameters, [data], check_deterministic=False)
    seconds = best_of(repeats, lambda: operator @ block) / BLOCK
    baseline = best_of(repeats, lambda: other @ block) / BLOCK
    seconds = min(seconds, best_of(repeats, lambda: operator @ block) / BLOCK)
    expected = other @ block
    assert isinstance(expected, Tensor)
    error = ((operator @ block - expected).norm() / expected.norm()).item()
    work = f"Hessian-vector product of {name}, P = {size:,}, N = {len(data[1]):,}"
    return Row(work, "curvlinops", seconds, baseline, baseline / seconds, "≥ 1.3", error)


def side_by_side_row(p: int, train_fraction: float, width: int, pairs: int) -> Row:
    """The leading eigenvalues of two networks, with a thread each and one after the other."""
    train = modular_task(p, train_fraction=train_fraction, seed=0).train
    models = []
    for seed in range(2):
        torch.manual_seed(seed)
        models.append(ModularTransformer(p, width=width, activation="relu"))

    def leading(model: ModularTransformer) -> NDArray[np.float64]:
        operator, search = (
            HessianOperator(model, F.cross_entropy, (train.tokens(), train.targets), dtype=dtype)
            for dtype in (torch.float64, torch.float32)
        )
        return lanczos(operator, search=search, top=pairs, bottom=0, tol=1e-5).eigenvalues

    together = best_of(1, lambda: list(side_by_side(leading, models, at_once=2)))
    baseline = best_of(1, lambda: [leading(model) for model in models], warm=False)
    expected = np.stack([leading(model) for model in models])
    found = np.stack(list(side_by_side(leading, models, at_once=2)))
    error = np.abs(found - expected).max() / np.abs(expected).max()
    size = sum(parameter.numel() for parameter in models[0].parameters())
    work = f"{pairs} leading eigenpairs of two networks, P = {size:,}, side by side"
    against = "one after the other"
    return Row(work, against, together, baseline, baseline / together, "> 1", float(error))


def gradients(model: ModularTransformer, loss: Callable[[ModularTransformer], Tensor]) -> Tensor:
    """The gradient of a loss by all parameters, one after the other."""
    parts = torch.autograd.grad(loss(model), [*model.parameters()])
    return torch.cat([part.flatten() for part in parts])


def training_step(
    model: ModularTransformer, loss: Callable[[ModularTransformer], Tensor]
) -> Callable[[], None]:
    """One update by AdamW on the full batch."""
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)

    def step() -> None:
        optimizer.zero_grad()
        loss(model).backward()
        optimizer.step()

    return step


def product_one_by_one(
    model: nn.Module, inputs: Tensor, targets: Tensor
) -> Callable[[Tensor], Tensor]:
    """Hv by jvp(grad)."""
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    sizes = [p.numel() for p in parameters.values()]

    def objective(tensors: dict[str, Tensor]) -> Tensor:
        return F.cross_entropy(functional_call(model, tensors, (inputs,)), targets)

    def product(v: Tensor) -> Tensor:
        pieces = zip(parameters.items(), v.split(sizes), strict=True)
        tangent = {name: piece.view_as(p) for (name, p), piece in pieces}
        image = jvp(grad(objective), (parameters,), (tangent,))[1]
        return torch.cat([part.flatten() for part in image.values()])

    return product


def table(rows: list[Row]) -> str:
    """The rows as aligned columns."""
    lines = [("work", "against", "seconds", "against", "ratio", "target", "error")]
    lines += [
        (
            row.work,
            row.against,
            f"{row.seconds:.4g}",
            f"{row.baseline:.4g}",
            f"{row.ratio:.4g}",
            row.target,
            f"{row.error:.1e}",
        )
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    numbers = range(2, 7)
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i in numbers else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


@pytest.fixture(scope="module")
def setting() -> Setting:
    return trained_setting(WIDTH, SAMPLES)


@pytest.fixture(scope="module")
def rows():
    """Where the tests leave their rows; the table is printed at the end."""
    kept: list[Row] = []
    yield kept
    print(f"\n\n{torch.get_num_threads()} threads\n{table(kept)}")


def test_exact_hessian(setting, rows):
    rows += hessian_rows(setting, TIMED_DIRECTIONS)
    assert rows[-1].error < 1e-12


def test_spectrum(setting, rows):
    rows.append(spectrum_row(setting.matrix, VECTORS))
    assert rows[-1].error < 1e-12


def test_clusters(setting, rows):
    eigenvalues = spectrum(setting.matrix, vectors=0).eigenvalues
    rows.append(clusters_row(eigenvalues, RESOLUTIONS))
    assert rows[-1].error == 0


def test_transformer(rows):
    with one_thread():
        rows += transformer_rows(113, 0.3, 128)
    assert max(row.error for row in rows[-2:]) < 1e-12


def test_certified_top(rows):
    with one_thread():
        rows += top_rows((4_700, 17_000))
    assert max(row.error for row in rows[-2:]) < 1e-6


def test_stack(rows):
    rows += stack_rows(128, 6, 97, 940)
    assert rows[-2].error < 1e-12
    assert rows[-1].error < 1e-5


def test_general(setting, rows):
    torch.manual_seed(0)
    perceptron = nn.Sequential(
        nn.Linear(64, 256), nn.GELU(), nn.Linear(256, 256), nn.GELU(), nn.Linear(256, 73)
    )
    data = torch.randn(SAMPLES, 64).double(), torch.randint(73, (SAMPLES,))
    rows.append(library_row(perceptron, data, "a perceptron of GELUs"))
    rows.append(library_row(setting.model, (setting.x, setting.y), "LeNet-tiny"))
    assert max(row.error for row in rows[-2:]) < 1e-12


def test_side_by_side(rows):
    rows.append(side_by_side_row(113, 0.4, 128, 50))
    assert rows[-1].error < 1e-9


def test_fiedler(rows):
    couplings = uneven_couplings(BLOCKS, NOISE, SPREAD)
    rows += [fiedler_row(couplings, laplacian) for laplacian in ("normalised", "combinatorial")]
    assert max(row.error for row in rows[-2:]) < 1e-9
