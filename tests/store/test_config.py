from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import Field

from hdlib.experiments.mnist.config import MnistConfig
from hdlib.store import Config, ConfigError


class Tiny(Config):
    experiment: ClassVar[str] = "tiny"

    n_epochs: Annotated[int, Field(ge=1)] = 3
    lr: Annotated[float, Field(gt=0)] = 0.01
    dataset: Literal["mnist", "digits"] = "digits"


def test_numbers_as_strings():
    typed: dict[str, Any] = {"lr": "1e-3", "n_epochs": "7"}
    config = Tiny(**typed)
    assert config.lr == 1e-3
    assert type(config.n_epochs) is int
    assert config == Tiny(lr=0.001, n_epochs=7)
    assert type(Tiny(lr=1).lr) is float


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"epochs": 3}, ["epochs=3", "unknown", "n_epochs, lr, dataset"]),
        ({"n_epochs": 0}, ["n_epochs=0", "greater than or equal to 1"]),
        ({"n_epochs": 2.5}, ["n_epochs=2.5", "integer"]),
        ({"n_epochs": "many"}, ["n_epochs='many'", "integer"]),
        ({"n_epochs": None}, ["n_epochs=None", "integer"]),
        ({"lr": -1.0}, ["lr=-1.0", "greater than 0"]),
        ({"lr": float("nan")}, ["lr=nan"]),
        ({"lr": float("inf")}, ["lr=inf", "finite"]),
        ({"lr": [0.1]}, ["lr=[0.1]", "number"]),
        ({"dataset": "fashion"}, ["dataset='fashion'", "'mnist' or 'digits'"]),
        ({"lr": 0, "n_epochs": 0}, ["lr=0", "; ", "n_epochs=0"]),
    ],
)
def test_what_is_wrong_is_said(fields, words):
    with pytest.raises(ConfigError) as error:
        Tiny(**fields)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"hessian_samples": 1438}, "hessian_samples=1438: at most 1437 for digits"),
        ({"batch_size": 2000}, "batch_size=2000: at most 1437 for digits"),
        ({"draws": 29}, "draws=29: at most 28 for digits"),
        ({"vectors": 10, "stored_vectors": 11}, "stored_vectors=11: at most 10 for digits"),
    ],
)
def test_fields_that_do_not_fit_each_other(fields, words):
    with pytest.raises(ConfigError, match=words):
        MnistConfig(dataset="digits", **fields)


def test_configs_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Tiny().lr = 1.0  # type: ignore[misc]
