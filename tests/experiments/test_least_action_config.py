"""What a network of the least-action chapter can be, and that every field of it is heard."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch

from hdlib.experiments.least_action.config import LeastActionConfig
from hdlib.experiments.least_action.grid import Arm, LeastActionGrid
from hdlib.experiments.least_action.measuring import spectra
from hdlib.experiments.least_action.objective import TrainedLoss
from hdlib.experiments.least_action.recipe import (
    EXPERIMENT,
    MAPS,
    MEASURED,
    SENSITIVITY,
    SPECTRA,
    TRACES,
    TRAINING,
)
from hdlib.models import GeluMLP, GrokTransformer, RoutedNetwork, create_model
from hdlib.store import ConfigError

CPU = torch.device("cpu")
TINY: dict[str, Any] = {"p": 5, "width": 8, "n_heads": 2, "n_steps": 20}
ROUTED: dict[str, Any] = {"model": "routed_transformer"}


def config(**fields: Any) -> LeastActionConfig:
    return LeastActionConfig(**(TINY | fields))


def plan(**fields: Any):
    return TRAINING._plan(config(**fields), CPU)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"p": 9}, "p=9: must be an odd prime"),
        ({"p": 2}, "p=2: Input should be greater than or equal to 3"),
        ({"p": 1_009}, "p=1009: Input should be less than or equal to 1000"),
        ({"p": 3}, "spectral_k=None: must be from 1 to 1 for p=3"),
        ({"spectral_k": 3}, "spectral_k=3: must be from 1 to 2 for p=5"),
        ({"spectral_k": 0}, "spectral_k=0: Input should be greater than or equal to 1"),
        (
            {"operation": "divide"},
            "operation='divide': Input should be 'add', 'multiply' or",
        ),
        ({"operation": "both", "model": "mlp"}, "operation='both': mlp is not told which one"),
        ({"train_fraction": 0}, "train_fraction=0: Input should be greater than 0"),
        ({"train_fraction": 1.0}, "train_fraction=1.0: Input should be less than 1"),
        ({"train_fraction": 0.01}, "train_fraction=0.01: at least 1 of 25 pairs are needed"),
        (
            {"train_fraction": 0.05, "unordered": True},
            "train_fraction=0.05: at least 2 of 25 pairs are needed",
        ),
        ({"seed": -1}, "seed=-1: Input should be greater than or equal to 0"),
        ({"data_seed": 2**63}, "data_seed=9223372036854775808: Input should be less than or equal"),
        ({"model": "lstm"}, "model='lstm': Input should be 'mlp', 'routed', 'single_head'"),
        ({"width": 0}, "width=0: Input should be greater than or equal to 1"),
        ({"n_layers": 0}, "n_layers=0: Input should be greater than or equal to 1"),
        ({"n_heads": 3}, "n_heads=3: must divide width=8"),
        ({"n_heads": 1, **ROUTED}, "n_heads=1: must be at least 2; with one head it is model="),
        ({"n_heads": 1, "model": "routed"}, "n_heads=1: must be at least 2"),
        ({"n_ffn_heads": 1, **ROUTED}, "n_ffn_heads=1: must be at least 2"),
        ({"n_ffn_heads": 3}, "n_ffn_heads=3: not read with model='transformer'"),
        ({"ffn_width": 3, "model": "routed"}, "ffn_width=3: not read with model='routed'"),
        ({"tied": True, "model": "mlp"}, "tied=True: not read with model='mlp'"),
        ({"mask": "leaky", "model": "mlp"}, "mask='leaky': not read with model='mlp'"),
        ({"mask": "none"}, "mask='none': Input should be 'causal' or 'leaky'"),
        ({"initial": "zero"}, "initial='zero': Input should be 'normal' or 'pytorch'"),
        ({"initial": "pytorch", "model": "routed"}, "initial='pytorch': not read with model="),
        ({"optimizer": "lion"}, "optimizer='lion': Input should be 'adamw', 'adam' or 'sgd'"),
        ({"lr": 0}, "lr=0: Input should be greater than 0"),
        ({"lr": "fast"}, "lr='fast': Input should be a valid number"),
        ({"lr": float("inf")}, "lr=inf: Input should be a finite number"),
        ({"weight_decay": -0.1}, "weight_decay=-0.1: Input should be greater than or equal to 0"),
        ({"beta1": 1}, "beta1=1: Input should be less than 1"),
        ({"beta2": -0.1}, "beta2=-0.1: Input should be greater than or equal to 0"),
        ({"eps": 0}, "eps=0: Input should be greater than 0"),
        ({"beta2": 0.9, "optimizer": "sgd"}, "beta2=0.9: not read with optimizer='sgd'"),
        ({"momentum": 0.9}, "momentum=0.9: not read with optimizer='adamw'"),
        ({"momentum": 1, "optimizer": "sgd"}, "momentum=1: Input should be less than 1"),
        ({"grad_clip": 0}, "grad_clip=0: Input should be greater than 0"),
        ({"warmup_steps": -1}, "warmup_steps=-1: Input should be greater than or equal to 0"),
        ({"decay_gates": True}, "decay_gates=True: not read with model='transformer'"),
        ({"softmax": "float16"}, "softmax='float16': Input should be 'float32' or 'float64'"),
        ({"routing_regularizer": "l1"}, "routing_regularizer='l1': Input should be 'none'"),
        ({"lambda_routing": 0.1, **ROUTED}, "lambda_routing=0.1: needs a routing_regularizer"),
        (
            {"routing_regularizer": "gini", "lambda_routing": 0.1},
            "routing_regularizer='gini': transformer chooses no path",
        ),
        (
            {"routing_regularizer": "entropy", "model": "single_head"},
            "routing_regularizer='entropy': single_head chooses no path",
        ),
        ({"lambda_spectral": -1}, "lambda_spectral=-1: Input should be greater than or equal to 0"),
        ({"lambda_jacobian": -1}, "lambda_jacobian=-1: Input should be greater than or equal to 0"),
        ({"jacobian_probes": 2}, "jacobian_probes=2: not read with lambda_jacobian=0.0"),
        ({"n_steps": 0}, "n_steps=0: Input should be greater than or equal to 1"),
        ({"log_every": 0}, "log_every=0: Input should be greater than or equal to 1"),
        ({"checkpoint_every": 0}, "checkpoint_every=0: Input should be greater than or equal to 1"),
        ({"sensitivities": -1}, "sensitivities=-1: Input should be greater than or equal to 0"),
        ({"eigenpairs": 101}, "eigenpairs=101: Input should be less than or equal to 100"),
        (
            {"model": "mlp", "width": 1, "n_layers": 1, "eigenpairs": 22, "spectra": 1},
            "eigenpairs=22: at most 21, the network's parameters",
        ),
        ({"device": "tpu"}, "device='tpu': Input should be 'auto', 'cpu' or 'cuda'"),
        ({"epochs": 3}, "epochs=3: unknown; least-action has p, operation"),
    ],
)
def test_impossible_networks(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        config(**fields)
    assert str(error.value).startswith(sentence)


def test_several_faults_are_told_together() -> None:
    with pytest.raises(ConfigError, match=r"lr=0: .*; eps=-1: "):
        config(lr=0, eps=-1)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"seeds": ()}, "seeds=(): Tuple should have at least 1 item"),
        ({"fractions": (0.3, 1)}, "fractions.1=1: Input should be less than 1"),
        ({"model": "mlp"}, "model='mlp': unknown; least-action has p, width"),
    ],
)
def test_impossible_grids(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        LeastActionGrid(**fields)
    assert str(error.value).startswith(sentence)


def test_numbers_written_as_strings_are_numbers() -> None:
    given = {"lr": "1e-3", "eps": "1.0E-8", "n_steps": "20", "grad_clip": "1e0", "p": "5"}
    assert config(**given) == config(lr=1e-3, eps=1e-8, n_steps=20, grad_clip=1.0)


def test_a_spectrum_may_have_as_many_eigenpairs_as_there_are_parameters() -> None:
    small = config(model="mlp", width=1, n_layers=1, eigenpairs=21, spectra=1)
    assert sum(parameter.numel() for parameter in small.network().parameters()) == 21
    assert len(spectra(small, small.network(), CPU)["eigenvalues"]) == 21


def test_configs_and_networks_leave_torchs_random_numbers_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    config(spectra=1).network()
    assert torch.equal(torch.rand(4), expected)


def test_unknown_networks_are_refused() -> None:
    unknown = config().model_copy(update={"model": "lstm"})
    with pytest.raises(ValueError, match="model='lstm': allowed are mlp, routed, single_head, tra"):
        create_model(unknown)


def test_each_name_is_its_network() -> None:
    def made(**fields: Any) -> Any:
        return config(n_layers=3, **fields).network()

    kinds = {name: type(made(model=name)) for name in ("mlp", "routed", "single_head")}
    assert kinds == {"mlp": GeluMLP, "routed": RoutedNetwork, "single_head": RoutedNetwork}
    assert [len(heads) for heads in made(model="routed").heads] == [2, 2, 2]
    assert [len(heads) for heads in made(model="single_head").heads] == [1, 1, 1]
    plain, routed = made(), made(**ROUTED)
    assert type(plain) is type(routed) is GrokTransformer
    assert plain.state is None
    assert [len(block.feed_forward) for block in routed.blocks] == [2, 2, 2]
    several = made(**ROUTED, n_ffn_heads=3, ffn_width=7)
    assert [len(block.feed_forward) for block in several.blocks] == [3, 3, 3]
    assert several.blocks[0].attention.n_heads == 2
    assert several.blocks[0].feed_forward[0][0].weight.shape == (7, 8)
    assert plain.blocks[0].feed_forward[0].weight.shape == (32, 8)
    assert made(ffn_width=7).blocks[0].feed_forward[0].weight.shape == (7, 8)
    assert made(width=6).tokens.weight.shape == (7, 6)
    assert made(operation="both").tokens.weight.shape == (8, 8)
    assert made(tied=True).read_out is None
    assert made(mask="leaky").mask == "leaky"
    assert made().tokens.weight.std() < 0.1 < made(initial="pytorch").tokens.weight.std()


def test_seeds_are_those_of_the_weights_and_of_the_split() -> None:
    def begun(**fields: Any) -> tuple[torch.Tensor, torch.Tensor]:
        one = config(**fields)
        weights = torch.cat([w.detach().flatten() for w in one.network().parameters()])
        return weights, one.task.train.a * 5 + one.task.train.b

    first, weights, split = begun(), begun(seed=1), begun(data_seed=1)
    assert torch.equal(first[0], split[0])
    assert not torch.equal(first[0], weights[0])
    assert torch.equal(first[1], weights[1])
    assert not torch.equal(first[1], split[1])


def test_the_split_is_what_is_asked_for() -> None:
    assert len(config(train_fraction=0.3).task.train.a) == 7
    assert not config(unordered=True).task.mirrored.any()
    assert config().task.mirrored.any()
    assert [len(part.a) for part in config(operation="both").task] == [24, 26, 50]
    product = config(operation="multiply").task.grid
    assert torch.equal(product.targets, product.a * product.b % 5)


def test_the_optimiser_has_its_settings() -> None:
    adam = {"lr": 0.3, "beta1": 0.7, "beta2": 0.8, "eps": 1e-5, "weight_decay": 0.6}
    for name, kind in (("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam)):
        optimizer = plan(optimizer=name, **adam).optimizer
        assert type(optimizer) is kind
        for group, decay in zip(optimizer.param_groups, (0.6, 0.0), strict=True):
            found = tuple(group[key] for key in ("lr", "betas", "eps", "weight_decay"))
            assert found == (0.3, (0.7, 0.8), 1e-5, decay)
    sgd = plan(optimizer="sgd", lr=0.3, momentum=0.4, weight_decay=0.6).optimizer
    assert isinstance(sgd, torch.optim.SGD)
    settings = [(g["lr"], g["momentum"], g["weight_decay"]) for g in sgd.param_groups]
    assert settings == [(0.3, 0.4, 0.6), (0.3, 0.4, 0.0)]


def test_what_is_decayed_is_what_is_asked_for() -> None:
    def decayed(**fields: Any) -> set[str]:
        start = plan(**ROUTED, **fields)
        names = {id(parameter): name for name, parameter in start.model.named_parameters()}
        return {names[id(parameter)] for parameter in start.optimizer.param_groups[0]["params"]}

    plain = decayed()
    gates, embeddings = decayed(decay_gates=True) - plain, decayed(decay_embeddings=True) - plain
    assert {"read_out.weight", "blocks.0.attention.key.weight"} <= plain
    parts = ("from_state", "from_input", "choice")
    assert gates == {
        "state.start.weight",
        "state.updates.0.weight",
        *(f"blocks.{i}.gate.{part}.weight" for i in (0, 1) for part in parts),
    }
    assert embeddings == {"tokens.weight", "positions.weight"}


def test_clipping_warm_up_and_precision_reach_the_training() -> None:
    start = plan(grad_clip=0.3, warmup_steps=4, softmax="float64")
    assert start.clip == 0.3
    assert [start.rate(t) for t in (0, 3, 9)] == [0.25, 1.0, 1.0]
    assert plan().clip is None
    assert plan().rate(0) == 1.0
    assert start.loss(start.model, *start.batches.at(0)).dtype == torch.float64
    assert plan().loss(start.model, *start.batches.at(0)).dtype == torch.float32


@pytest.mark.parametrize(
    "fields",
    [
        {"routing_regularizer": kind, "lambda_routing": 0.5}
        for kind in ("entropy", "sparsity", "gini", "consistency")
    ]
    + [
        {"lambda_spectral": 0.5},
        {"lambda_spectral": 0.5, "spectral_k": 2},
        {"lambda_jacobian": 0.5},
        {"lambda_jacobian": 0.5, "jacobian_probes": 3},
    ],
    ids=str,
)
def test_each_term_changes_the_loss(fields: dict[str, Any]) -> None:
    model = config(**ROUTED, initial="pytorch").network()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 2

    def loss(**chosen: Any) -> float:
        torch.manual_seed(0)
        return TrainedLoss(config(**ROUTED, **chosen), CPU)(model).item()

    fewer = dict(list(fields.items())[:-1])
    plain = loss() if "lambda_routing" in fields else loss(**fewer)
    assert abs(loss(**fields) - plain) > 1e-3


def test_what_no_training_depends_on_is_in_no_key_of_it() -> None:
    base = config()
    other: dict[str, Any] = {name: getattr(base, name) + 1 for name in MEASURED if name != "device"}
    changed = base.model_copy(update=other | {"device": "cpu"})
    assert TRAINING.key(changed) == TRAINING.key(base)
    for name in set(LeastActionConfig.model_fields) - set(MEASURED):
        assert name in TRAINING.fields
    for stage in EXPERIMENT.stages:
        on_cpu = base.model_copy(update={"device": "cpu"})
        assert stage.key(on_cpu) == stage.key(base)
    assert SPECTRA.key(base) != SPECTRA.key(base.model_copy(update={"eigenpairs": 3}))
    for stage in (SENSITIVITY, TRACES, MAPS):
        assert stage.key(base) == stage.key(base.model_copy(update={"eigenpairs": 3}))


def test_the_grid_has_each_arm_from_each_seed_and_each_run_once() -> None:
    grid = LeastActionGrid()
    assert len(set(grid.configs)) == len(grid.configs)
    names = [arm.name for arm in grid.arms]
    assert len(set(names)) == len(names)
    for arm in grid.arms:
        seeds = grid.more_seeds if arm in grid.again else grid.seeds
        assert [config.seed for config in arm.configs] == list(seeds)
        assert set(arm.configs) <= set(grid.configs)
    assert {arm.name for arm in grid.followed} <= set(names)


def test_arms_differ_in_what_their_names_say() -> None:
    grid = LeastActionGrid()

    def differences(arm: Arm, other: Arm) -> set[str]:
        ours, theirs = (a.configs[0].model_dump() for a in (arm, other))
        return {name for name in ours if ours[name] != theirs[name]} - set(MEASURED)

    free = [a for a in grid.confounds if a.configs[0].routing_regularizer == "none"]
    (leaky, causal, start, matched), pressed = free, grid.pressed
    assert differences(leaky, causal) == {"mask"}
    assert differences(causal, start) == {"initial"}
    assert differences(start, matched) == {"ffn_width"}
    for arm, again in zip((matched, grid.consistent), grid.again, strict=True):
        assert differences(arm, again) == {"seed", "data_seed", "log_every"}
    assert differences(matched, pressed) == {"routing_regularizer", "lambda_routing"}
    assert differences(matched, grid.plain) == {"model", "ffn_width"}
    switched = [differences(arm, grid.plain) for arm in grid.switches]
    assert switched == [{"beta2"}, {"warmup_steps"}, {"grad_clip"}, {"softmax"}]
    assert differences(grid.gates[-1], pressed) == {"decay_gates"}
    assert differences(grid.unordered[0], grid.plain) == {"unordered", "train_fraction"}
    assert differences(grid.one_hot[0], grid.plain) == {"model"}


def test_parameters_are_matched() -> None:
    grid = LeastActionGrid()

    def size(arm: Arm) -> int:
        return sum(w.numel() for w in cast(Any, arm.configs[0].network()).parameters())

    assert size(grid.matched) == pytest.approx(size(grid.plain), rel=5e-3)
    assert size(grid.confounds[0]) > 2 * size(grid.plain)
