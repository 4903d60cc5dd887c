"""The figures of the least-action chapter, and its table of a sweep: what is shown was found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from hdlib.experiments.least_action import figures
from hdlib.experiments.least_action.config import LeastActionConfig
from hdlib.experiments.least_action.figures.norms import norms_by_part
from hdlib.experiments.least_action.grid import Arm, LeastActionGrid
from hdlib.experiments.least_action.recipe import EXPERIMENT
from hdlib.experiments.least_action.results import LeastActionResults, TrainedNetwork
from hdlib.experiments.least_action.tables import sweep_table
from hdlib.training import MIRRORED, OTHERS

GRID = LeastActionGrid(
    p=5,
    width=8,
    n_heads=2,
    matched_width=6,
    seeds=(0,),
    more_seeds=(1,),
    n_steps=12,
    routed_steps=12,
    dosed_steps=12,
    both_steps=12,
    log_every=4,
    warmup_steps=2,
    sensitivities=2,
    traces=2,
    spectra=2,
    eigenpairs=2,
    device="cpu",
)
LONG = LeastActionGrid(seeds=(0, 1, 2))


class OnDemand(LeastActionResults):
    """Networks of a grid, trained as they are asked for."""

    def __init__(self, root: Path) -> None:
        self.grid, self._root, self._networks = GRID, root, {}

    def of(self, arm: Arm) -> list[TrainedNetwork]:
        for config in arm.configs:
            if config not in self._networks:
                self._networks[config] = TrainedNetwork(EXPERIMENT.run(config, root=self._root))
        return super().of(arm)


class Told(TrainedNetwork):
    """A network of which a history is told."""

    def __init__(self, config: LeastActionConfig, reached: int | None) -> None:
        steps = np.arange(0, config.n_steps + 1, 50)
        late = np.inf if reached is None else reached
        others = np.where(steps >= late, 0.96, 0.1)
        self.config = config
        history: dict[str, NDArray] = {
            "step": steps,
            "train_loss": np.exp(-steps / 1000),
            "train_accuracy": (steps >= 200) * 1.0,
            "test_accuracy": others / 2 + 0.5,
            MIRRORED: np.ones(len(steps)),
            OTHERS: others,
            "collapsed_share": steps / config.n_steps,
            "normalised_routing_entropy": np.full(len(steps), 1 - config.lambda_routing),
            "norm/total": 5 + steps / 100,
        }
        self.__dict__["history"] = history


class AllTold(LeastActionResults):
    """Seed 0 is there after 400 steps for each arm before it, seed 1 at the end, seed 2 never."""

    def __init__(self) -> None:
        self.grid, self._networks = LONG, {}
        for i, arm in enumerate(LONG.arms):
            reached = 400 + 50 * (i % 20), arm.configs[0].n_steps, None
            for config, step in zip(arm.configs, reached, strict=True):
                self._networks.setdefault(config, Told(config, step))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> LeastActionResults:
    return OnDemand(tmp_path_factory.mktemp("root"))


@pytest.fixture(scope="module")
def told() -> LeastActionResults:
    return AllTold()


def values(line: Line2D) -> list[float]:
    return np.asarray(line.get_ydata(), dtype=float).tolist()


def panel(fig: Figure, title: str) -> Axes:
    (found,) = (ax for ax in fig.axes if ax.get_title("left") == title)
    return found


def labels(fig: Figure) -> list[str]:
    return [text.get_text() for text in fig.legends[0].get_texts()]


def places(ax: Axes, height: int) -> list[tuple[float, bool]]:
    """x of the points of a row, ascending, and whether they are hollow."""
    found = []
    for line in ax.lines:
        x, y = np.ravel(line.get_xdata()), np.ravel(line.get_ydata())
        if len(x) == 1 and line.get_marker() == "o" and abs(float(y[0]) - height) < 0.5:
            found.append((float(x[0]), line.get_markerfacecolor() == "none"))
    return sorted(found)


def test_training_has_a_line_a_seed_and_a_colour_an_arm(told):
    networks = {"plain": told.of(LONG.plain), "routed": told.of(LONG.matched)}
    fig = figures.training(networks)
    lines = panel(fig, "other test pairs").lines
    members = [n for arm in networks.values() for n in arm]
    assert [values(line) for line in lines] == [n.column(OTHERS).tolist() for n in members]
    assert len({str(line.get_color()) for line in lines[:3]}) == 1
    assert lines[0].get_color() != lines[3].get_color()
    assert panel(fig, "training loss").get_yscale() == "log"
    assert labels(fig) == list(networks)


def test_share_of_mirrored_pairs_stands_beside_the_accuracies(told):
    network = told.of(LONG.matched)[2]
    fig = figures.accuracies_through_training({"routed": [network]})
    ax = panel(fig, "routed")
    (dashed,) = (line for line in ax.lines if line.get_linestyle() == "--")
    task = network.config.task
    test, train = task.test, set(zip(task.train.a.tolist(), task.train.b.tolist(), strict=True))
    pairs = list(zip(test.a.tolist(), test.b.tolist(), strict=True))
    assert values(dashed)[0] == pytest.approx(np.mean([(b, a) in train for a, b in pairs]))
    assert values(ax.lines[3]) == network.column("test_accuracy").tolist()


def test_no_mirrored_pairs_no_curve(trained):
    arm = Arm("unordered", (GRID.unordered[0].configs[0],))
    fig = figures.training({"unordered": trained.of(arm)})
    assert [ax.get_title("left") for ax in fig.axes if ax.get_visible()] == [
        "training pairs",
        "other test pairs",
        "training loss",
    ]


def test_confounds_show_each_seed_and_those_that_were_never_there(told):
    (ax,) = figures.confounds(told).axes
    rows = [text.get_text() for text in ax.get_yticklabels()]
    assert (len(rows), rows[-1]) == (7, "plain (4,000 steps)")
    both = [n.generalised for arm in (LONG.matched, LONG.pressed) for n in told.of(arm)]
    known = sorted(step for step in both if step is not None)
    found = places(ax, 3)
    assert sorted(x for x, hollow in found if not hollow) == known
    assert [x > LONG.routed_steps for x, hollow in found if hollow] == [True, True]
    assert [len(places(ax, row)) for row in range(7)] == [3, 3, 3, 6, 3, 3, 3]


def test_doses_are_beside_the_networks_without_penalty(told):
    above, below = figures.dose_curve(told).axes
    points = [line for line in above.lines if line.get_marker() == "o"]
    assert len(points) == len(LONG.dosed) * len(LONG.seeds)
    hollow = sorted(values(p)[0] for p in points if p.get_markerfacecolor() == "none")
    dosed = [network for arm in LONG.dosed for network in told.of(arm)]
    lasts = sorted(n.config.n_steps for n in dosed if n.generalised is None)
    assert lasts == [LONG.dosed_steps] * (len(LONG.dosed) - 1) + [LONG.routed_steps]
    # Just above the last step of their own network, not of the longest.
    assert all(last < height < 1.1 * last for last, height in zip(lasts, hollow, strict=True))
    assert [text.get_text() for text in below.get_xticklabels()] == ["0.03", "0.05", "0.1", "0.2"]
    free = [line for line in above.lines if line.get_linestyle() == "--" and len(values(line)) == 2]
    assert {values(line)[0] for line in free} >= {
        told.of(LONG.matched)[0].generalised,
        LONG.routed_steps,
    }
    entropies = [line for line in below.lines if line.get_marker() == "o"]
    for line in entropies:
        # Points are moved apart by less than the doses are.
        assert 1 - values(line)[0] == pytest.approx(np.ravel(line.get_xdata())[0], rel=0.12)


def test_sweep_has_a_cell_for_each_pair_of_settings(told):
    left, right = figures.sweep_maps(told).axes
    # Of 400 + …, the last step and never, the last step is the median.
    assert [text.get_text() for text in left.texts] == [f"{LONG.sweep_steps:,}"] * 9
    assert [text.get_text() for text in right.texts] == ["96%"] * 9
    assert [text.get_text() for text in left.get_yticklabels()] == ["0.0003", "0.001", "0.003"]


def test_sweep_says_where_most_seeds_were_never_there():
    told = AllTold()
    for config in LONG.sweep[4].configs[:2]:
        told._networks[config] = Told(config, None)
    left, _ = figures.sweep_maps(told).axes
    assert [text.get_text() for text in left.texts].index("–") == 4
    mask = np.ma.getmaskarray(np.ma.asarray(left.images[0].get_array()))
    assert np.flatnonzero(mask).tolist() == [4]


def test_sweep_table_says_for_how_much_of_the_rest_pairs_stay_known():
    told = AllTold()
    first, last, never = told.of(LONG.sweep[0])
    first.history[OTHERS][first.generalised_row + 1 :: 2] = 0.9
    assert first.known_afterwards == pytest.approx(0.5, abs=1e-3)
    assert (last.known_afterwards, np.isnan(never.known_afterwards)) == (1, True)
    row = str(sweep_table(told)).splitlines()[2]
    known = f"{(first.generalised or 0) / 1000:g}, {LONG.sweep_steps // 1000}, –"
    assert f"| {known} | {known} | 50%, 100%, – | 96%, 96%, 10% |" in row


def test_collapse_in_both_precisions(told):
    fig = figures.collapse(told)
    assert labels(fig) == ["softmax in float32", "softmax in float64"]
    assert len(panel(fig, "collapsed softmax").lines) == 2 * len(LONG.seeds)


def test_total_norms_mark_the_step_of_generalisation(told):
    networks = told.of(LONG.plain)
    ax = figures.total_norms({"plain": networks}).axes[0]
    marked = [(np.ravel(m.get_xdata())[0], values(m)[0]) for m in ax.lines if m.get_marker() == "o"]
    reached = [n.generalised for n in networks if n.generalised is not None]
    assert marked == [(step, 5 + step / 100) for step in reached]


def test_norms_by_part_hold_all_weights(trained):
    for arm in (GRID.plain, GRID.pressed, GRID.one_hot[0], GRID.one_hot[2]):
        (network,) = trained.of(arm)
        parts = norms_by_part(network)
        squares = sum(norm**2 for part in parts.values() for norm in part.values())
        np.testing.assert_allclose(squares, network.column("norm/total") ** 2)
    parts = norms_by_part(trained.of(GRID.pressed)[0])
    assert set(parts["gates"]) == {"layer 1", "layer 2"}
    fig = figures.norms(trained.of(GRID.pressed)[0])
    assert [ax.get_title("left") for ax in fig.axes if ax.get_visible()] == list(parts)


def test_derivatives_have_their_errors(trained):
    networks = figures.followed(trained)
    jacobian, hessian = figures.sensitivity(networks).axes
    first = networks["plain"][0].input_jacobian
    assert values(jacobian.lines[0]) == first.values.tolist()
    bars = np.diff([s[:, 1] for s in jacobian.collections[0].get_segments()], axis=1).ravel()  # pyright: ignore
    np.testing.assert_allclose(bars, 2 * first.errors)
    assert hessian.get_yscale() == "symlog"
    fig = figures.landscape(networks)
    fisher = panel(fig, "empirical Fisher matrix").lines
    assert values(fisher[0]) == networks["plain"][0].fisher_trace.values.tolist()
    assert labels(fig) == list(networks)


def test_optimizer_has_what_adam_logged(trained):
    (network,) = trained.of(GRID.plain)
    ax = panel(figures.optimizer({"plain": [network]}), "step over decay")
    logged = network.column("update_decay_ratio")
    assert values(ax.lines[0]) == logged[np.isfinite(logged)].tolist()


def test_fourier_map_has_zero_in_the_middle(trained):
    (network,) = trained.of(GRID.plain)
    fig = figures.fourier_map(network)
    for (step, found), ax in zip(network.maps.items(), fig.axes, strict=False):
        assert ax.get_title("left") == f"step {step}"
        drawn = np.asarray(ax.images[0].get_array()).T
        assert drawn[2, 2] == 0 == found["power"][0][0, 0]
        assert drawn[3, 1] == found["power"][0][1, -1]
        assert drawn.argmax() == np.fft.fftshift(found["power"][0]).argmax()
    shares = panel(figures.function_shares({"plain": [network]}), "function of a + b").lines
    assert values(shares[0]) == network.column("sum_share").tolist()


def test_paths_are_over_the_entropy_of_even_use(trained):
    networks = {"plain": trained.of(GRID.plain), "routed": trained.of(GRID.pressed)}
    fig, routed = figures.routing(networks), networks["routed"][0]
    (line,) = panel(fig, "layer 2: entropy of the mean").lines
    np.testing.assert_allclose(values(line), routed.column("marginal_entropy_1") / np.log(2))
    one, two, _ = panel(figures.use_of_heads(routed), "layer 1").lines
    np.testing.assert_allclose(np.add(values(one), values(two)), 1)


def test_weights_of_heads_over_all_pairs(trained):
    (network,) = trained.of(GRID.pressed)
    ax = panel(figures.routing_map(network), "layer 2, head 1")
    weights = network.maps[GRID.n_steps]["routing"][1, :, 0]
    drawn = np.asarray(ax.images[0].get_array())
    a, b = 3, 1
    assert drawn[b, a] == weights[5 * a + b]
    assert (ax.get_xlabel(), ax.images[0].get_clim()) == ("a", (0, 1))


def test_spectra_of_the_networks_that_are_followed(trained):
    networks = figures.followed(trained)
    fig = figures.spectra(trained)
    assert [ax.get_title("left") for ax in fig.axes if ax.get_visible()] == list(networks)
    tops = networks["plain"][0].spectra
    largest = [top.eigenvalues[-1] for top in tops.values()]
    assert values(panel(fig, "plain").lines[0]) == largest
    figures.densities(trained)
    figures.dendrograms(trained)
    rows = figures.eigenvector_frequencies(trained).axes
    last = tops[GRID.n_steps]
    np.testing.assert_array_equal(np.asarray(rows[0].images[0].get_array()), last.frequencies[::-1])
    np.testing.assert_array_equal(np.asarray(rows[1].images[0].get_array()), last.null)
