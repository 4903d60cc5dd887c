"""What the least-action chapter says in words, decided on its published runs."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest

from hdlib.experiments.least_action.claims import CLAIMS, shown
from hdlib.experiments.least_action.grid import Arm, LeastActionGrid
from hdlib.experiments.least_action.recipe import EXPERIMENT
from hdlib.experiments.least_action.results import (
    ENTROPY,
    LeastActionResults,
    Measured,
    TrainedNetwork,
    published,
)
from hdlib.experiments.shipped import find_file
from hdlib.experiments.sweep import SweepFile
from hdlib.store import PUBLISHED
from hdlib.training import MIRRORED, OTHERS
from tests.experiments.chapter import shown_text

CHAPTER = PUBLISHED.parent / "chapters" / "least-action.ipynb"
GRID = LeastActionGrid()


def test_published_runs_are_whole():
    for config in GRID.configs:
        assert EXPERIMENT.open(config, root=PUBLISHED).complete, config


def test_what_is_published_is_found_by_the_files_of_sweeps():
    for name, arms in (("transformer", GRID.sweep), ("validations", GRID.validations)):
        sweep = SweepFile.read(find_file(f"sweeps/{name}.yaml", "sweeps")).sweep({})
        small = [c for c in sweep.configs.values() if c.model_dump()["p"] == GRID.sweep_p]
        published = [config for arm in arms for config in arm.configs]
        assert sorted(map(str, small)) == sorted(map(str, published)), name


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_claim_holds(claim):
    verdict = claim.decide(published())
    assert verdict.holds, verdict.values


def test_each_claim_is_shown_once_in_the_chapter():
    outputs = shown_text(CHAPTER)
    for claim in CLAIMS:
        assert outputs.count(shown(claim.name)) == 1, claim.name
    assert "DOES NOT HOLD" not in outputs


class Altered(TrainedNetwork):
    """A network with another history, or other measures."""

    def __init__(self, network: TrainedNetwork, change: Callable[[Altered], None]) -> None:
        super().__init__(network.run)
        self.history = {name: values.copy() for name, values in network.history.items()}
        self.measures: dict[str, Measured] = {}
        change(self)

    def measured(self, stage, name: str) -> Measured:
        return self.measures.get(name) or super().measured(stage, name)


def altered(arms: list[Arm], change: Callable[[Altered], None]) -> LeastActionResults:
    """The published results with the networks of some arms changed."""
    results = copy.copy(published())
    chosen = [config for arm in arms for config in arm.configs]
    results._networks = {
        config: Altered(network, change) if config in chosen else network
        for config, network in results._networks.items()
    }
    return results


def never(network: Altered) -> None:
    network.history[OTHERS] *= 0.5
    network.history["test_accuracy"] *= 0.5


def at_once(network: Altered) -> None:
    network.history[OTHERS][:] = 1.0


def undecided(network: Altered) -> None:
    for layer in range(network.config.n_layers):
        heads = np.log(network.config.n_heads)
        network.history[f"routing_entropy_{layer}"][:] = heads


def all_heads(network: Altered) -> None:
    for layer in range(network.config.n_layers):
        for head in range(network.config.n_heads):
            network.history[f"head_use_{layer}_{head}"][:] = 1 / network.config.n_heads


def later_than_doses(network: Altered) -> None:
    network.history[OTHERS][network.history["step"] <= GRID.dosed_steps] = 0


def patternless(network: Altered) -> None:
    for maps in network.maps.values():
        maps["routing"] = np.random.default_rng(0).random(maps["routing"].shape)


def understood(network: Altered) -> None:
    network.history[OTHERS][:] = network.history[MIRRORED]
    network.history["test_accuracy"][:] = network.history[MIRRORED]


def constant(column: str) -> Callable[[Altered], None]:
    def change(network: Altered) -> None:
        network.history[column][:] = 0.5

    return change


def smooth(network: Altered) -> None:
    network.history["low_frequency_share"][:] = network.history["sum_share"]


def shrinking(network: Altered) -> None:
    network.history["norm/total"][:] = np.linspace(20, 10, len(network.history["step"]))


def flat(network: Altered) -> None:
    found = network.hessian_trace
    network.measures["hessian_trace"] = found._replace(values=1e-6 * found.values)


def insensitive(network: Altered) -> None:
    found = network.input_jacobian
    network.measures["input_jacobian"] = found._replace(values=np.ones_like(found.values))


def pure(network: Altered) -> None:
    for top in network.spectra.values():
        top.frequencies = np.eye(*top.frequencies.shape)


COMPARED = [GRID.plain, GRID.matched, GRID.pressed]
CHANGES: dict[str, tuple[list[Arm], Callable[[Altered], None]]] = {
    "routing-is-slower": ([GRID.matched], at_once),
    "narrow-is-late": (GRID.narrow, at_once),
    "no-pressure-needed": ([GRID.matched], never),
    "one-difference-each": ([GRID.confounds[2]], at_once),
    "no-threshold": ([GRID.matched], never),
    "even-paths-are-sooner": ([GRID.consistent], never),
    "a-little-is-enough": ([GRID.less_consistent], never),
    "gates-may-decay": (GRID.gates, undecided),
    "pressure-ends-routing": ([GRID.pressed], all_heads),
    "paths-by-the-sum": ([GRID.matched], patternless),
    "pressure-decides": ([GRID.pressed], undecided),
    "waiting-is-memory": ([GRID.matched], understood),
    "more-pairs-sooner": ([GRID.smaller[-1]], never),
    "without-mirrors": (GRID.unordered, never),
    "sum-share-rises": (COMPARED, constant("sum_share")),
    "smooth-is-not-general": (COMPARED, smooth),
    "sensitivity-grows": (COMPARED, insensitive),
    "flat-is-not-general": (COMPARED, flat),
    "no-purer-than-rotated": (COMPARED, pure),
    "norms-grow-all-along": (COMPARED, shrinking),
    "softmax-holds": ([GRID.plain], constant("collapsed_share")),
    "warm-up-matters": ([GRID.cold], at_once),
    "penalties-are-no-help": (GRID.penalised[:1], at_once),
    "learning-rate-decides": (GRID.sweep, at_once),
    "known-is-lost-again": (GRID.sweep, at_once),
    "quick-checks": (GRID.validations, at_once),
    "both-operations-wait": (GRID.both, understood),
    "one-hot": (GRID.one_hot, at_once),
    "one-hot-all-decayed": (GRID.all_decayed[:1], at_once),
    "reported-transformer-waits": (GRID.reported, understood),
}


@pytest.mark.parametrize(("name", "change"), CHANGES.items())
def test_a_claim_can_fail(name: str, change: tuple[list[Arm], Callable[[Altered], None]]):
    (claim,) = (claim for claim in CLAIMS if claim.name == name)
    assert not claim.decide(altered(*change)).holds


def test_doses_are_compared_at_equal_steps():
    """Networks without a penalty that generalise later than doses were followed do not count."""
    (claim,) = (claim for claim in CLAIMS if claim.name == "no-threshold")
    later = altered([GRID.matched], later_than_doses)
    assert all(network.generalised for network in later.of(GRID.matched))
    assert not claim.decide(later).holds
    told = str(claim.decide(published()).values["reached"])
    assert told.startswith("no penalty: 1;")


def test_half_of_the_paths_on_another_head_is_no_collapse():
    (claim,) = (claim for claim in CLAIMS if claim.name == "pressure-ends-routing")

    def two_heads(network: Altered) -> None:
        all_heads(network)
        for layer in range(network.config.n_layers):
            for head, use in enumerate((0.55, 0.45, 0, 0)):
                network.history[f"head_use_{layer}_{head}"][:] = use

    for arm in (GRID.pressed, GRID.uneven):
        assert not claim.decide(altered([arm], two_heads)).holds


def test_paths_that_are_sooner_and_decided_are_not_even():
    (claim,) = (claim for claim in CLAIMS if claim.name == "even-paths-are-sooner")

    def decisive(network: Altered) -> None:
        network.history[ENTROPY][:] = 0.1

    assert not claim.decide(altered([GRID.consistent], decisive)).holds


def test_paths_that_are_even_are_sooner_in_further_seeds_too():
    (claim,) = (claim for claim in CLAIMS if claim.name == "even-paths-are-sooner")
    for arm, change in zip(GRID.again, (at_once, never), strict=True):
        assert not claim.decide(altered([arm], change)).holds


def test_under_pressure_both_operations_are_not_all_remembered():
    (claim,) = (claim for claim in CLAIMS if claim.name == "both-operations-wait")

    def remembered(network: Altered) -> None:
        network.history[MIRRORED][:] = 1.0

    assert not claim.decide(altered(GRID.both[2:], remembered)).holds


def test_a_spike_at_the_end_is_not_what_is_remembered():
    (claim,) = (claim for claim in CLAIMS if claim.name == "both-operations-wait")

    def spiking(network: Altered) -> None:
        for column in ("train_accuracy", MIRRORED):
            network.history[column][-1] = 0.1

    assert claim.decide(altered(GRID.both[:1], spiking)).holds


def test_every_claim_has_been_made_to_fail():
    assert set(CHANGES) == {claim.name for claim in CLAIMS}
