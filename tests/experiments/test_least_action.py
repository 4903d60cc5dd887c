"""Rows of the history of a least-action network, and that its training can be trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from hdlib.experiments.least_action import recipe
from hdlib.experiments.least_action.config import LeastActionConfig
from hdlib.experiments.least_action.objective import TrainedLoss, encode
from hdlib.experiments.least_action.recipe import (
    EXPERIMENT,
    TRAINING,
    LeastActionRun,
)
from hdlib.experiments.least_action.watching import watch
from hdlib.measures import adam_statistics
from hdlib.models import Routed
from hdlib.store.publish import publish
from hdlib.store.verify import check_run
from hdlib.training import (
    HISTORY,
    MIRRORED,
    OTHERS,
    State,
    checkpoint_name,
    logits_of,
    loop,
    state_name,
)

CPU = torch.device("cpu")
P, LAST = 7, 12
ARCHITECTURES = ("mlp", "routed", "single_head", "transformer", "routed_transformer")
NOTHING_MEASURED: dict[str, Any] = {"sensitivities": 0, "traces": 0, "maps": 0}


def config(**fields: Any) -> LeastActionConfig:
    small: dict[str, Any] = {
        "p": P,
        "width": 8,
        "n_heads": 2,
        "lr": 1e-2,
        "n_steps": LAST,
        "log_every": 4,
        "checkpoint_every": 6,
        "device": "cpu",
        "n_layers": 2,
    }
    return LeastActionConfig(**(small | NOTHING_MEASURED | fields))


ROUTED = config(
    model="routed_transformer",
    routing_regularizer="entropy",
    lambda_routing=0.1,
    lambda_spectral=0.2,
)
BOTH = config(operation="both", softmax="float64")
MLP = config(model="mlp", operation="multiply", train_fraction=0.7)
EVERYTHING: dict[str, Any] = {"lambda_jacobian": 1e-2, "warmup_steps": 5, "grad_clip": 0.5}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="module", params=[ROUTED, BOTH, MLP], ids=["routed", "both", "mlp"])
def run(request: pytest.FixtureRequest, root: Path) -> LeastActionRun:
    return EXPERIMENT.run(request.param, root=root)


def row(run: LeastActionRun, step: int) -> dict[str, float]:
    history = TRAINING.history(run)
    at = int(np.searchsorted(history["step"], step))
    assert history["step"][at] == step
    return {name: float(values[at]) for name, values in history.items()}


def answers(run: LeastActionRun, step: int) -> tuple[NDArray, NDArray, list[int], list[int]]:
    """Logits of all pairs, their classes, and numbers of training and test pairs among them."""
    task = run.config.task
    with torch.no_grad():
        outputs = TRAINING.model(run, step)(encode(run.config, task.grid))
        logits = logits_of(outputs).double().numpy()
    grid, *parts = (
        torch.stack([pairs.operation, pairs.a, pairs.b], 1).tolist()
        for pairs in (task.grid, task.train, task.test)
    )
    train, test = ([grid.index(pair) for pair in part] for part in parts)
    return logits, task.grid.targets.numpy(), train, test


@pytest.mark.parametrize("step", [0, 4, LAST])
def test_losses_and_accuracies_are_those_of_the_weights_of_the_row(
    run: LeastActionRun, step: int
) -> None:
    if step == 4:  # no checkpoint: the row is computed from the state of a run that ends there
        short = run.config.model_copy(update={"n_steps": 4})
        run = EXPERIMENT.run(short, root=run.roots[0])
    found = row(run, step)
    logits, targets, train, test = answers(run, step)
    right = logits.argmax(1) == targets
    each = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(logits)), targets]
    # Pair i is (operation, a, b) in the number system of P.
    mirrored = [i for i in test if i - i % P**2 + i % P * P + i // P % P in train]
    others = [i for i in test if i not in mirrored]
    assert mirrored
    assert others
    expected = {
        "train_loss": each[train].mean(),
        "test_loss": each[test].mean(),
        "train_accuracy": right[train].mean(),
        "test_accuracy": right[test].mean(),
        MIRRORED: right[mirrored].mean(),
        OTHERS: right[others].mean(),
        "cross_entropy_term": each[train].mean(),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-5, abs=1e-9), name


def test_the_norm_of_representations_is_over_test_pairs(run: LeastActionRun) -> None:
    model, seen = TRAINING.model(run, LAST), []
    last = list(model.children())[-1]  # what reads the representation out
    last.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach()))
    model(encode(run.config, run.config.task.test))
    norms = np.linalg.norm(seen[0].numpy(), axis=1)
    assert row(run, LAST)["representation_norm"] == pytest.approx(norms.mean(), rel=1e-5)


def test_the_gradient_is_that_of_the_loss_that_is_trained(run: LeastActionRun) -> None:
    """From the plain forward pass, without shared prefixes."""
    config, model = run.config, TRAINING.model(run, LAST).double()
    found = row(run, LAST)
    task = config.task

    def inputs(pairs: Any) -> torch.Tensor:
        encoded = encode(config, pairs)
        return encoded.double() if encoded.is_floating_point() else encoded

    outputs = model(inputs(task.train))
    value = F.cross_entropy(logits_of(outputs), task.train.targets)
    if isinstance(outputs, Routed):
        entropies = [-(w * w.log()).sum(1).mean() for w in outputs.weights]
        routing = torch.stack(entropies).mean()
        logits = logits_of(model(inputs(task.grid))).view(P, P, P)
        logits = logits - logits.mean(2, keepdim=True)
        power = torch.fft.fft2(logits, dim=(0, 1)).abs().square().sum(2)
        # p // 4 = 1: the four neighbours of the mean.
        low = power[0, 1] + power[0, -1] + power[1, 0] + power[-1, 0]
        spectral = 1 - low / (power.sum() - power[0, 0])
        assert found["routing_term"] == pytest.approx(routing.item(), rel=1e-5)
        assert found["spectral_term"] == pytest.approx(spectral.item(), rel=1e-5)
        assert found["low_frequency_share"] == pytest.approx(1 - spectral.item(), rel=1e-5)
        value = value + 0.1 * routing + 0.2 * spectral
    else:
        assert not {"routing_term", "spectral_term", "routing_entropy"} & set(found)
    slopes = torch.autograd.grad(value, list(model.parameters()))
    norm = torch.cat([slope.flatten() for slope in slopes]).norm()
    assert found["objective"] == pytest.approx(value.item(), rel=1e-5)
    assert found["gradient_norm"] == pytest.approx(norm.item(), rel=1e-4)


def test_routing_is_that_of_all_pairs(root: Path) -> None:
    run = EXPERIMENT.run(ROUTED, root=root)
    found = row(run, LAST)
    with torch.no_grad():
        outputs = TRAINING.model(run, LAST)(encode(ROUTED, ROUTED.task.grid))
    assert isinstance(outputs, Routed)
    entropies = []
    for layer, weights in enumerate(outputs.weights):
        w = weights.double().numpy()
        entropies.append(-(w * np.log(w)).sum(1).mean())
        mean = w.mean(0)
        assert found[f"routing_entropy_{layer}"] == pytest.approx(entropies[-1], rel=1e-6)
        marginal = -(mean * np.log(mean)).sum()
        assert found[f"marginal_entropy_{layer}"] == pytest.approx(marginal, rel=1e-6)
        uses = [found[f"head_use_{layer}_{head}"] for head in (0, 1)]
        assert uses == pytest.approx(mean.tolist(), rel=1e-6)
    assert found["routing_entropy"] == pytest.approx(np.mean(entropies), rel=1e-6)


def test_norms_and_adams_moments_are_those_of_the_state(run: LeastActionRun) -> None:
    found, start = row(run, LAST), TRAINING._plan(run.config, CPU)
    weights = TRAINING.weights(run, LAST)
    squares = {name: float(w.double().square().sum()) for name, w in weights.items()}
    assert found["norm/total"] == pytest.approx(sum(squares.values()) ** 0.5, rel=1e-6)
    names = [name for name, _ in start.model.named_parameters()]
    index = {id(w): names[i] for i, w in enumerate(start.model.parameters())}
    order = [index[id(w)] for group in start.optimizer.param_groups for w in group["params"]]
    decayed = [index[id(w)] for w in start.optimizer.param_groups[0]["params"]]
    norm = sum(squares[name] for name in decayed) ** 0.5
    assert found["decayed_weight_norm"] == pytest.approx(norm, rel=1e-6)
    state = TRAINING.state(run, LAST)
    roots, updates = {}, {}
    for i, name in enumerate(order):
        m, v = (state[f"optimizer.{i}.{key}"].double() for key in ("exp_avg", "exp_avg_sq"))
        roots[name] = (v / (1 - 0.98**LAST)).sqrt()
        updates[name] = m / (1 - 0.9**LAST) / (roots[name] + 1e-8)
    flat = torch.cat([root.flatten() for root in roots.values()])
    assert found["adam_sqrt_v_mean"] == pytest.approx(flat.mean().item(), rel=1e-6)
    moved = sum(float(updates[name].square().sum()) for name in decayed) ** 0.5
    assert found["update_decay_ratio"] == pytest.approx(moved / norm, rel=1e-6)
    assert adam_statistics(start.optimizer).keys() == {"decayed_weight_norm"}


def watched(config: LeastActionConfig, logits: torch.Tensor) -> dict[str, float]:
    """A row where an MLP's logits are those of a table, (p, p, p): its own, times 0, and these."""
    model = config.network()
    model.register_forward_hook(
        lambda module, inputs, output: (
            0 * output + logits[inputs[0][:, :P].argmax(1), inputs[0][:, P:].argmax(1)]
        )
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    measure = watch(config, TrainedLoss(config, CPU), CPU)
    return dict(measure(State(model, optimizer, 0, {})))


def test_shares_of_ideal_tables() -> None:
    a, b, c = np.indices((P, P, P))
    waves = {
        "sum": np.cos(2 * np.pi * (a + b - c) / P),
        "slow": np.cos(2 * np.pi * (a - c) / P),
        "fast": np.cos(2 * np.pi * (3 * a - c) / P),
        "product": (a * b % P == c) * 1.0,
    }
    tables = {name: torch.from_numpy(table).float() for name, table in waves.items()}
    add, multiply = config(model="mlp"), config(model="mlp", operation="multiply")
    shares = {name: watched(add, table) for name, table in tables.items()}
    assert shares["sum"]["sum_share"] == pytest.approx(1)
    assert shares["slow"]["sum_share"] == pytest.approx(0, abs=1e-9)
    assert shares["product"]["sum_share"] < 0.5
    assert "product_share" not in shares["sum"]
    assert watched(multiply, tables["product"])["product_share"] == pytest.approx(1)
    assert watched(multiply, tables["sum"])["product_share"] < 0.5
    # Radius p // 4 = 1: (1, 0) is low, (1, 1) and (3, 0) are not.
    low = [shares[name]["low_frequency_share"] for name in ("slow", "sum", "fast")]
    assert low == pytest.approx([1, 0, 0], abs=1e-9)


def test_a_share_of_the_training_pairs_has_collapsed() -> None:
    """Margins of 20 are lost in single precision, and not in double."""
    for softmax, expected in (("float32", 1.0), ("float64", 0.0)):
        one = config(model="mlp", softmax=softmax)
        right = torch.nn.functional.one_hot(one.task.grid.targets, P).view(P, P, P)
        train = one.task.train
        table = 1.0 * right
        table[train.a, train.b] *= 20
        assert watched(one, table)["collapsed_share"] == expected
        # Test pairs, which are as sure here, do not count.
        assert watched(one, 21 * right - table)["collapsed_share"] == 0


def test_logits_that_are_the_same_for_all_pairs_have_no_shares() -> None:
    found = watched(config(model="mlp"), torch.zeros(P, P, P))
    assert not {"low_frequency_share", "sum_share"} & set(found)
    assert found["train_loss"] == pytest.approx(np.log(P))


def test_a_training_that_diverges_says_so(tmp_path: Path) -> None:
    wild = config(model="routed", optimizer="sgd", lr=1e30, log_every=1)
    with pytest.raises(FloatingPointError, match="lower the learning rate"):
        EXPERIMENT.run(wild, root=tmp_path)


def bits(run: LeastActionRun, *steps: int) -> list[bytes]:
    stored = run.stored(TRAINING)
    return [stored.read(checkpoint_name(step)) for step in steps]


@pytest.mark.parametrize("model", ["mlp", "routed_transformer"])
def test_logging_takes_none_of_trainings_random_numbers(tmp_path: Path, model: str) -> None:
    often, seldom = (
        EXPERIMENT.run(config(model=model, log_every=every, **EVERYTHING), root=tmp_path)
        for every in (2, 6)
    )
    assert bits(often, 0, LAST) == bits(seldom, 0, LAST)
    rows = {name: values[::3] for name, values in TRAINING.history(often).items()}
    for name, values in TRAINING.history(seldom).items():
        np.testing.assert_array_equal(values, rows[name], err_msg=name)
    other = config(model=model, log_every=6, **(EVERYTHING | {"seed": 1}))
    assert bits(EXPERIMENT.run(other, root=tmp_path), LAST) != bits(seldom, LAST)


@pytest.mark.parametrize(
    "fields", [{}, EVERYTHING, EVERYTHING | {"optimizer": "sgd", "momentum": 0.9}], ids=str
)
def test_a_training_in_pieces_is_the_same_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any]
) -> None:
    asked = ROUTED.model_copy(update={"log_every": 3} | fields)
    whole = EXPERIMENT.run(asked, root=tmp_path / "whole")
    again = EXPERIMENT.run(asked, root=tmp_path / "again")
    write, cut = loop.write_rows, [9, 3]

    def cut_short(stored: Any, rows: Any) -> None:
        if cut and rows[-1]["step"] == cut[-1]:
            cut.pop()
            raise KeyboardInterrupt
        write(stored, rows)

    monkeypatch.setattr(loop, "write_rows", cut_short)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            EXPERIMENT.run(asked, root=tmp_path / "pieces")
    pieces = EXPERIMENT.run(asked, root=tmp_path / "pieces")
    shorter = asked.model_copy(update={"n_steps": 6})
    EXPERIMENT.run(shorter, root=tmp_path / "longer")
    longer = EXPERIMENT.run(asked, root=tmp_path / "longer")
    for found in (again, pieces, longer):
        assert bits(found, 0, 6, LAST) == bits(whole, 0, 6, LAST)
    for found in (again, pieces):
        assert found.stored(TRAINING).read(HISTORY) == whole.stored(TRAINING).read(HISTORY)
    for name, values in TRAINING.history(whole).items():
        np.testing.assert_array_equal(TRAINING.history(longer)[name], values, err_msg=name)


def test_measuring_something_else_trains_nothing_anew(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    EXPERIMENT.run(MLP, root=root)

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("trained anew")

    monkeypatch.setattr(loop, "_update", never)
    measured = EXPERIMENT.run(MLP.model_copy(update={"maps": 1, "traces": 1}), root=root)
    assert measured.complete


@pytest.mark.parametrize("model", ARCHITECTURES)
def test_a_run_is_complete_and_verified(tmp_path: Path, model: str) -> None:
    measured: dict[str, Any] = {"sensitivities": 2, "traces": 2, "maps": 2}
    spectra = {"spectra": 1, "eigenpairs": 3} if model in ("mlp", "transformer") else {}
    asked = config(
        model=model,
        p=5,
        n_steps=2,
        checkpoint_every=3,
        lambda_jacobian=1e-2,
        unordered=True,
        **measured,
        **spectra,
    )
    run = EXPERIMENT.run(asked, root=tmp_path)
    assert run.complete
    findings = list(check_run(run, items="all"))
    assert len([finding for finding in findings if " agree to " in finding.sentence]) >= 10
    assert not [finding.sentence for finding in findings if finding.fault]
    assert np.isnan(TRAINING.history(run)[MIRRORED]).all()


def test_the_last_weights_of_small_networks_with_measures_of_the_first_seed_are_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = config(model="mlp", n_steps=10, log_every=10, checkpoint_every=10, maps=1, traces=1)
    seeds = [asked, asked.model_copy(update={"seed": 1})]
    wide = asked.model_copy(update={"width": 9})
    monkeypatch.setattr(recipe, "SMALL", 8)
    for one in (*seeds, wide):
        publish(EXPERIMENT.run(one, root=tmp_path / "home"), root=tmp_path / "published")
        found = EXPERIMENT.open(one, root=tmp_path / "published")
        assert found.complete
        kept = [10] if one == asked else []
        assert TRAINING.with_weights(found) == kept
        assert not found.stored(TRAINING).has(state_name(10))
        assert TRAINING.history(found)["step"].tolist() == [0, 10]
        assert found.arrays(recipe.MAPS, 10)["power"].shape == (1, P, P)
