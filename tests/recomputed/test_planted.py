"""Claims of the planted chapter, from weights where they are known, and from its spectra."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse.csgraph import connected_components
from scipy.stats import mannwhitneyu, spearmanr
from sklearn.metrics import adjusted_rand_score
from torch import Tensor

from hdlib.display import extent
from hdlib.experiments.planted.config import PlantedConfig
from tests.recomputed.claims import agree, decided, published, recomputes
from tests.recomputed.gaps import FIVE, gap
from tests.recomputed.plain import (
    Array,
    Labels,
    cut_indices,
    dense_hessian,
    eigenvalues,
    fiedler_halves,
    flat,
    shaped,
    spacing_ratio,
    statistic,
)

CHECKPOINTS = ("untrained", "memorised", "end")
EQUAL = ("main", "relu", "all pairs", "few waves", "fewer waves")
LEADING = 400
SIZES = (11, 13)
UNITS, INPUTS, OUTPUTS = 24, 48, 24
SHAPES = (UNITS, INPUTS), (UNITS,), (OUTPUTS, UNITS), (OUTPUTS,)
CIRCUIT = {
    "unit": np.repeat([0, 1], [12, 12]),
    "input": np.repeat([0, 1], [22, 26]),
    "output": np.repeat([0, 1], SIZES),
}


class Network(NamedTuple):
    """Two sums in one hidden layer of squares, and what it was given.

    Attributes:
        theta: (P,) float64 weights.
        inputs: (n, 48) float64.
        targets: (n, 2).
        masks: of the weights into the units and out of them, 1 or α.
    """

    theta: Tensor
    inputs: Tensor
    targets: Tensor
    masks: tuple[Tensor, Tensor]

    def outputs(self, theta: Tensor) -> Tensor:
        """(n, 24) of other weights (P,)."""
        w, b, u, c = shaped(theta, *SHAPES)
        into, out = (mask.to(theta) for mask in self.masks)
        return (self.inputs.to(theta) @ (w * into).T + b).square() @ (u * out).T + c

    def loss(self, theta: Tensor) -> Tensor:
        """Cross-entropy, added up over the tasks."""
        parts = self.outputs(theta).double().split(SIZES, 1)
        losses = [F.cross_entropy(part, y) for part, y in zip(parts, self.targets.T, strict=True)]
        return torch.stack(losses).sum()

    @property
    def alive(self) -> Labels:
        """Parameters that are multiplied with something."""
        into, out = self.masks
        factors = [into, torch.ones(UNITS), out, torch.ones(OUTPUTS)]
        return np.flatnonzero(flat(factors).numpy())


def network(alpha: float, *, seed: int = 0) -> Network:
    """The network before training: its weights are those that the seed draws."""
    config = PlantedConfig(alpha=alpha, seed=seed)
    train = config.task.train
    sizes = np.repeat(SIZES, 2)
    hot = [np.eye(p)[column] for p, column in zip(sizes, train.residues.T.numpy(), strict=True)]
    same_in = CIRCUIT["unit"][:, None] == CIRCUIT["input"]
    same_out = CIRCUIT["output"][:, None] == CIRCUIT["unit"]
    into, out = (torch.from_numpy(np.where(same, 1.0, alpha)) for same in (same_in, same_out))
    theta = flat(list(config.model().parameters()))
    return Network(theta.double(), torch.from_numpy(np.hstack(hot)), train.targets, (into, out))


@cache
def trained(alpha: float) -> Network:
    """The same after 2,000 steps of Adam, in single precision as it was published."""
    before = network(alpha)
    theta = before.theta.float().requires_grad_()
    optimizer = torch.optim.Adam([theta], lr=5e-3, fused=True)
    for _ in range(2_000):
        optimizer.zero_grad()
        (before.loss(theta) + 1e-3 * theta.square().sum()).backward()
        optimizer.step()
    return before._replace(theta=theta.detach().double())


def jacobians(found: Network, first: int | None = None) -> list[Array]:
    """For each task (n, C, P′): its outputs by the (first) parameters alive, sample by sample."""

    def own(x: Tensor) -> Tensor:
        return torch.func.jacrev(lambda theta: found._replace(inputs=x[None]).outputs(theta)[0])(
            found.theta
        )

    every = torch.func.vmap(own, chunk_size=50)(found.inputs)[:, :, found.alive[:first]].numpy()
    return np.split(every, [SIZES[0]], axis=1)


def probabilities(found: Network) -> list[Array]:
    """For each task (n, C): the softmax of its outputs."""
    return [part.softmax(1).numpy() for part in found.outputs(found.theta).split(SIZES, 1)]


def gauss_newton(found: Network) -> Array:
    """(P′, P′): mean of Jᵀ(diag p − ppᵀ)J, added up over the tasks."""
    total = np.zeros((len(found.alive),) * 2)
    for jacobian, p in zip(jacobians(found), probabilities(found), strict=True):
        # Of √p (J − pᵀJ) the products are the same.
        centred = jacobian - np.einsum("nc,ncp->np", p, jacobian)[:, None]
        rows = (np.sqrt(p)[:, :, None] * centred).reshape(-1, len(total))
        total += rows.T @ rows / len(jacobian)
    return total


def owners(found: Network) -> dict[str, Labels]:
    """For each parameter that is alive: its unit, −1 for none, and its circuit, −1 for between."""
    unit, one, out = CIRCUIT["unit"], CIRCUIT["input"], CIRCUIT["output"]
    circuits = [
        np.where(unit[:, None] == one, unit[:, None], -1).ravel(),
        unit,
        np.where(out[:, None] == unit, out[:, None], -1).ravel(),
        out,
    ]
    numbers = np.arange(UNITS)
    units = [
        np.repeat(numbers, INPUTS), numbers, np.tile(numbers, OUTPUTS), np.full(OUTPUTS, -1)
    ]  # fmt: skip
    named = {"circuit": circuits, "unit": units}
    return {name: np.concatenate(parts)[found.alive] for name, parts in named.items()}


@cache
def uncoupled() -> tuple[Array, Labels]:
    """Eigenvalues of the trained network at α = 0, of each circuit's block by itself, and whose."""
    found = trained(0.0)
    matrix, circuit = dense_hessian(found.loss, found.theta, found.alive), owners(found)["circuit"]
    values = [eigenvalues(matrix[np.ix_(circuit == c, circuit == c)]) for c in (0, 1)]
    whose = np.repeat([0, 1], [len(own) for own in values])
    every = np.concatenate(values)
    order = np.argsort(every, kind="stable")
    return every[order], whose[order]


def labelled(arrays: dict[str, Array]) -> tuple[Array, Labels]:
    """Published eigenvalues that are not zero, and the circuit whose outputs their vectors move."""
    values, function = arrays["eigenvalues"], arrays["function"].astype(np.float64)
    known = (np.abs(values) > 1e-9 * np.abs(values).max()) & np.isfinite(function).all(1)
    return values[known], function[known].argmax(1)


def spectra(grid: str, alpha: float, *checkpoints: str) -> list[tuple[Array, Labels]]:
    """All published spectra of a grid at some checkpoints: checkpoint by checkpoint and seed."""
    results = published("planted")[grid]
    return [
        labelled(results.spectrum(alpha, seed, when))
        for when in checkpoints
        for seed in results.grid.seeds
    ]


def leading(values: Array, whose: Labels) -> tuple[Array, Labels]:
    """Logarithms of the 400 largest eigenvalues that are positive, ascending."""
    top = np.flatnonzero(values > 0)[-LEADING:]
    return np.log(values[top]), whose[top]


def stored(grid: str, name: str, alpha: float, *checkpoints: str) -> Array:
    """A statistic as it is published, in the order of `spectra`."""
    results = published("planted")[grid]
    return np.concatenate([results.statistic(name, alpha, when) for when in checkpoints])


@recomputes("planted", "gaps-do-not-part-circuits")
def test_the_hessian_of_a_network_trained_anew_is_the_published_one():
    values, whose = uncoupled()
    arrays = published("planted")["main"].spectrum(0.0, 0, "end")
    agree(values, arrays["eigenvalues"], within=1e-4)

    values, whose = (part[np.abs(values) > 1e-9 * values.max()] for part in (values, whose))
    assert np.array_equal(whose[values > 0], labelled(arrays)[1][labelled(arrays)[0] > 0])


@recomputes("planted", "gaps-do-not-part-circuits")
def test_no_cut_finds_two_circuits():
    best = {}
    for grid in EQUAL:
        indices = [cut_indices(*found) for found in spectra(grid, 0.0, *CHECKPOINTS)]
        best[grid] = np.array([max(0, each.max()) for each in indices])
        agree(best[grid], stored(grid, "best", 0.0, *CHECKPOINTS)[:, 0], within=1e-6)
        two = stored(grid, "two", 0.0, *CHECKPOINTS)[:, 0]
        agree([each[0] for each in indices], two, within=1e-6)
    assert max(each.max() for each in best.values()) < 0.1
    printed = decided("planted", "gaps-do-not-part-circuits").values
    assert printed["main"] == extent(best["main"], ".3f")
    assert printed["relu"] == extent(best["relu"], ".3f")


@recomputes("planted", "gaps-do-not-part-circuits")
def test_nor_does_one_of_scipys():
    """SciPy's tree and scikit-learn's index, at every cut, of the network trained anew."""
    values, whose = uncoupled()
    known = np.abs(values) > 1e-9 * values.max()
    tree = linkage(values[known][:, None], "single")
    cuts = range(2, known.sum(), 7)
    found = [adjusted_rand_score(whose[known], fcluster(tree, k, "maxclust")) for k in cuts]
    agree(found, cut_indices(values[known], whose[known])[::7][: len(found)], within=1e-9)
    assert max(found) < 0.1


@recomputes("planted", "gaps-part-scales")
def test_a_factor_on_one_loss_parts_them():
    found = spectra("main", 0.0, "untrained", "end")
    indices = {}
    for rho in (1.0, 10.0, 1e6):
        each = [
            cut_indices(
                np.log(values[values > 0] * np.where(whose[values > 0], 1, rho)), whose[values > 0]
            )
            for values, whose in found
        ]
        indices[rho] = np.array([[max(0, index.max()), index[0]] for index in each])
    at = [0, 1, -1]
    agree(
        np.stack(list(indices.values()), 1),
        stored("main", "scaled", 0.0, "untrained", "end")[:, at, 1],
        within=1e-6,
    )
    assert indices[1.0][:, 0].max() < 0.1
    assert indices[10.0][:, 1].max() < 0.1, "the widest gap is not yet the boundary"
    assert indices[1e6].min() > 0.8
    assert decided("planted", "gaps-part-scales").values["ten"] == extent(
        indices[10.0][:, 0], ".2f"
    )


@recomputes("planted", "strangers-are-close")
def test_close_neighbours_are_strangers():
    every, tightest, wider = [], [], []
    for grid in EQUAL:
        for values, whose in spectra(grid, 0.0, *CHECKPOINTS):
            logs, labels = leading(values, whose)
            spacings, change = np.diff(logs), labels[1:] != labels[:-1]
            few = round(len(spacings) / 20)
            every.append(change.mean())
            tightest.append(change[np.argsort(spacings, kind="stable")[:few]].mean())
            u = mannwhitneyu(spacings[change], spacings[~change]).statistic
            wider.append(u / change.sum() / (~change).sum())
    stored_ones = np.concatenate([stored(g, "neighbours", 0.0, *CHECKPOINTS) for g in EQUAL])
    agree(np.stack([every, tightest, wider], 1), stored_ones[:, 1:], within=1e-9)
    assert (np.array(tightest) > every).all()
    assert max(wider) < 0.5
    values = decided("planted", "strangers-are-close").values
    assert values["every"] == extent(tightest, ".0%")
    assert values["all_every"] == extent(every, ".0%")


@recomputes("planted", "ratio-sees-wiring")
def test_the_spacing_ratio_rises_with_the_wiring():
    alphas = published("planted")["main"].alphas
    means = np.array(
        [
            [
                np.mean([spacing_ratio(leading(*each)[0]) for each in spectra("main", alpha, when)])
                for alpha in alphas
            ]
            for when in ("untrained", "end")
        ]
    )
    for row, when in zip(means, ("untrained", "end"), strict=True):
        theirs = [stored("main", "neighbours", alpha, when)[:, 0].mean() for alpha in alphas]
        agree(row, theirs, within=1e-9)
    apart, trunk = means[:, 0], means[:, -1]
    assert apart.max() < 0.46 < 0.5 < trunk.min()
    assert np.ptp(trunk) < 0.03, "training, in which circuits form, does not change it"


@recomputes("planted", "zeros-are-symmetries")
def test_zeros_are_those_that_were_counted():
    """Of an untrained network all eigenvalues by autograd; of the others what is published."""
    found = network(0.3)
    values = eigenvalues(wired()[0])
    agree(
        values,
        published("planted")["main"].spectrum(0.3, 0, "untrained")["eigenvalues"],
        within=1e-7,
    )
    # Of each unit, one vector of each of the four one-hot blocks against its bias; of each softmax,
    # a vector added to all of its rows.
    counted = {True: UNITS * 2 + UNITS + 2, False: UNITS * 4 + UNITS * 2 + 2}
    assert (np.abs(values) < 1e-9 * values.max()).sum() == counted[False]
    assert len(found.alive) == len(values)

    results, differ = published("planted")["main"], []
    for alpha in results.alphas:
        for when in CHECKPOINTS:
            for seed in results.grid.seeds:
                sizes = np.abs(results.spectrum(alpha, seed, when)["eigenvalues"])
                differ.append((sizes < 1e-9 * sizes.max()).sum() - counted[alpha == 0])
    assert min(differ) == 0
    printed = decided("planted", "zeros-are-symmetries").values
    assert (printed["uncoupled"], printed["coupled"]) == (counted[True], counted[False])
    assert (printed["same"], printed["most"]) == (differ.count(0), max(differ))
    assert differ.count(0) > 0.8 * len(differ)


@cache
def wired() -> tuple[Array, Array]:
    """H and its Gauss–Newton part of an untrained network whose circuits are coupled a little."""
    found = network(0.3)
    return dense_hessian(found.loss, found.theta, found.alive), gauss_newton(found)


@recomputes("planted", "residual-parts-units")
def test_the_residual_couples_no_two_units():
    hessian, curved = wired()
    residual, unit = hessian - curved, owners(network(0.3))["unit"]
    apart = np.abs(residual[unit[:, None] != unit])
    assert apart.max() < 1e-12 * np.abs(residual).max()
    arrays = published("planted")["main"].spectrum(0.3, 0, "untrained")
    agree(np.abs(residual).sum() / np.abs(curved).sum(), arrays["residual_size"], within=1e-6)


@recomputes("planted", "residual-parts-units", "vectors-part-circuits")
def test_fiedler_of_gauss_newton_finds_the_circuits_and_that_of_the_hessian_less():
    hessian, curved = wired()
    results = published("planted")["main"]
    arrays = results.spectrum(0.3, 0, "untrained")
    learnt = arrays["owner"]
    ours = [
        adjusted_rand_score(learnt[learnt >= 0], fiedler_halves(matrix)[learnt >= 0])
        for matrix in (curved, hessian)
    ]
    theirs = [results.modules(which, 0.3, "untrained")[0] for which in ("gauss_newton", "hessian")]
    agree(ours, theirs, within=1e-6)
    assert ours[0] > 0.95
    assert ours[1] < ours[0]


@recomputes("planted", "modules-belong-to-the-basis")
def test_in_a_random_basis_modules_say_nothing():
    matrix, planted = gauss_newton(trained(0.0)), owners(trained(0.0))["circuit"]
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal(matrix.shape))[0]

    def purity(modules: Labels, axes: Array) -> float:
        within = (axes[planted == 0] ** 2).sum(0)
        shares = [within[modules == m].mean() for m in np.unique(modules)]
        return float(np.average([max(s, 1 - s) for s in shares], weights=np.bincount(modules)))

    # No partition has less than the larger circuit's part of all parameters.
    floor = np.bincount(planted).max() / len(planted)
    own = purity(connected_components(matrix != 0)[1], np.eye(len(matrix)))
    turned = purity(fiedler_halves(turn.T @ matrix @ turn), turn)
    stored_ones = published("planted")["main"].basis()
    assert own == 1
    assert floor <= turned < floor + 0.02
    assert decided("planted", "modules-belong-to-the-basis").values["larger"] == floor
    agree(turned, stored_ones[:, 1].mean(), within=0.05)


@recomputes("planted", "circuits-form")
def test_circuits_form_in_a_trunk():
    """A network trained anew: units come to serve one task, and cuts get no better."""
    purities, cuts = [], []
    results = published("planted")["main"]
    for found, when in ((network(1.0), "untrained"), (trained(1.0), "end")):
        into = UNITS * INPUTS + UNITS
        # Of diag p − ppᵀ: the variance of the outputs' derivatives, drawn with probabilities p.
        diagonals = [
            np.einsum("nc,ncp,ncp->p", p, j, j) - (np.einsum("nc,ncp->np", p, j) ** 2).sum(0)
            for j, p in zip(jacobians(found, into), probabilities(found), strict=True)
        ]
        unit = owners(found)["unit"][:into]
        shares = np.stack([np.bincount(unit, diagonal) for diagonal in diagonals])
        purities.append((shares.max(0) / shares.sum(0)).mean())
        agree(purities[-1], results.unit_purity(1.0, when)[0], within=1e-4)
    cuts = [
        [cut_indices(*each).max() for each in spectra("main", 1.0, when)]
        for when in ("untrained", "end")
    ]
    agree(cuts[1], stored("main", "best", 1.0, "end")[:, 0], within=1e-6)
    assert purities[1] > purities[0] + 0.2
    assert np.mean(cuts[1]) < np.mean(cuts[0])


@recomputes("planted", "close-ones-mix")
def test_vectors_with_a_close_neighbour_mix():
    results, found = published("planted")["main"], {}
    for alpha in (alpha for alpha in results.alphas if alpha >= 0.1):
        found[alpha] = []
        for seed in results.grid.seeds:
            arrays = results.spectrum(alpha, seed, "end")
            function = arrays["function"].astype(np.float64)
            known = np.isfinite(function).all(1) & (
                np.abs(arrays["eigenvalues"]) > 1e-9 * arrays["eigenvalues"].max()
            )
            values, purest = arrays["eigenvalues"][known], function[known].max(1)
            top = np.flatnonzero(values > 0)[-LEADING:]
            spacing = np.pad(np.diff(np.log(values[top])), 1, constant_values=np.inf)
            nearest = np.minimum(spacing[1:], spacing[:-1])
            found[alpha].append(float(statistic(spearmanr(purest[top], nearest))))
        # Stored shares are of half precision: equal ones are ranked as they come, or together.
        agree(found[alpha], results.statistic("mixing", alpha, "end"), within=0.02)
    assert min(min(each) for each in found.values()) > 0


@recomputes("planted", "three-circuits")
def test_no_cut_finds_three_circuits_once_they_have_learned():
    best = [cut_indices(*each).max() for each in spectra("three", 0.0, *CHECKPOINTS)]
    agree(best, stored("three", "best", 0.0, *CHECKPOINTS)[:, 0], within=1e-6)
    assert max(best[3:]) < 0.1
    values = decided("planted", "three-circuits").values
    assert values["before"] == extent(best[:3], ".2f")
    assert values["best"] == extent(best[3:], ".2f")


@recomputes("planted", "unequal-sizes-are-scales")
def test_cuts_see_unequal_circuits_before_training_more_than_after():
    before, end = (
        np.array([cut_indices(*each).max() for each in spectra("unequal", 0.0, when)])
        for when in ("untrained", "end")
    )
    agree(before, stored("unequal", "best", 0.0, "untrained")[:, 0], within=1e-6)
    agree(end, stored("unequal", "best", 0.0, "end")[:, 0], within=1e-6)
    assert before.min() > 0.3
    assert before.min() > end.max()


def own_spectra(alpha: float, seed: int) -> list[Array]:
    """Eigenvalues of each circuit at the end, and those of both."""
    values, whose = labelled(published("planted")["main"].spectrum(alpha, seed, "end"))
    return [values[whose == 0], values[whose == 1], values]


@recomputes("planted", "sort-then-read", "the-union-counts-both")
def test_each_circuit_has_a_gap_and_both_together_one_at_the_sum():
    """With a null drawn and fitted anew."""
    results, ranks, standing = published("planted")["main"], range(5, 61), []
    for alpha in (0.0, 1.0):
        theirs = results.searched_gaps(alpha, "end")
        for seed, stored_ones in zip(results.grid.seeds, theirs, strict=True):
            ours = [gap(values, FIVE, ranks) for values in own_spectra(alpha, seed)]
            assert [g.rank for g in ours] == [g.rank for g in stored_ones]
            agree([g.score for g in ours], [g.score for g in stored_ones], within=1e-9)
            assert np.abs([a.p - b.p for a, b in zip(ours, stored_ones, strict=True)]).max() < 0.05
            assert max(g.p for g in ours[:2]) < 0.06
            standing += [g.stands_out for g in ours[:2]]
            if alpha == 0:
                assert ours[2].rank == ours[0].rank + ours[1].rank
                assert ours[2].p < 0.01
                top = slice(-100, None)
                values, whose = labelled(results.spectrum(alpha, seed, "end"))
                assert cut_indices(values[top], whose[top]).max() < 0.1
    values = decided("planted", "sort-then-read").values
    assert (values["standing"], values["spectra"]) == (sum(standing), len(standing))
