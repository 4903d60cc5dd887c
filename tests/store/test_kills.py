"""A run that is killed at any file operation is the same afterwards as one that was not."""

from __future__ import annotations

import random
import shutil
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch

from hdlib.experiments.fiedler.config import FiedlerConfig
from hdlib.experiments.grokking.config import GrokkingConfig
from hdlib.experiments.mnist.config import MnistConfig
from hdlib.experiments.registry import REGISTRY
from hdlib.store import Config, Experiment
from hdlib.store.publish import publish
from hdlib.store.verify import check_folders

from .killed import run_until
from .toy import TOY, Toy, contents

SMALL: dict[str, Config] = {
    "mnist": MnistConfig(
        dataset="digits",
        n_epochs=1,
        width=1,
        hessian_samples=50,
        vectors=10,
        sweep_checkpoints=1,
        draws=2,
        device="cpu",
    ),
    "grokking": GrokkingConfig(
        p=5,
        width=8,
        n_heads=2,
        n_steps=30,
        eigenpairs=30,
        max_products=400,
        spectra=3,
        stored_weights=2,
        log_every=10,
        device="cpu",
    ),
    "fiedler": FiedlerConfig(
        dataset="digits", n_epochs=1, width=1, batch_size=700, hessian_samples=50, device="cpu"
    ),
}


def run(experiment: str, config: Config, root: Path) -> None:
    torch.set_num_threads(1)
    found: Experiment[Any] = TOY if experiment == "toy" else REGISTRY[experiment]
    found.run(config, root=root)


def publish_toy(home: Path, root: Path) -> None:
    publish(TOY.open(Toy(), root=home), root=root)


def faults(root: Path) -> list[str]:
    return [finding.sentence for finding in check_folders([root]) if finding.fault]


@pytest.mark.parametrize("torn", [False, True])
@pytest.mark.parametrize("n_steps", [15, 30])
def test_killed_at_every_operation(tmp_path, torn, n_steps):
    """From nothing; and in going on from 15 steps to 30."""
    run("toy", Toy(n_steps=n_steps), tmp_path / "start")
    run("toy", Toy(), tmp_path / "undisturbed")
    before = tmp_path / "start" if n_steps == 15 else None
    for operation in count():
        root = tmp_path / f"{operation}"
        if before:
            shutil.copytree(before, root)
        code = run_until(operation, torn=torn, function=run, arguments=("toy", Toy(), root))
        if code == 0:
            break
        assert code == -9
        run("toy", Toy(), root)
        assert TOY.open(Toy(), root=root).complete, operation
        known = contents(root)
        for name, content in contents(tmp_path / "undisturbed").items():
            assert known[name] == content, (operation, name)
        assert not faults(root), operation
        shutil.rmtree(root)
    assert operation > 100


@pytest.mark.parametrize("torn", [False, True])
def test_killed_while_publishing(tmp_path, torn):
    run("toy", Toy(), tmp_path / "home")
    publish_toy(tmp_path / "home", tmp_path / "undisturbed")
    before = contents(tmp_path / "home", manifests=True)
    for operation in count():
        root = tmp_path / f"{operation}"
        arguments = (tmp_path / "home", root)
        code = run_until(operation, torn=torn, function=publish_toy, arguments=arguments)
        if code == 0:
            break
        assert code == -9
        publish_toy(tmp_path / "home", root)
        assert contents(root) == contents(tmp_path / "undisturbed"), operation
        assert not faults(root), operation
        assert TOY.open(Toy(), root=root).complete, operation
    assert operation > 30
    assert contents(tmp_path / "home", manifests=True) == before


@pytest.mark.parametrize("name", SMALL)
def test_an_experiment_killed_again_and_again(tmp_path, name):
    """Each life ends at one of its next operations, so that the deaths are everywhere in a run."""
    run(name, SMALL[name], tmp_path / "undisturbed")
    chance = random.Random(name)
    root, deaths = tmp_path / "killed", 0
    while code := run_until(
        chance.randrange(10, 60),
        torn=chance.random() < 0.5,
        function=run,
        arguments=(name, SMALL[name], root),
    ):
        assert code == -9
        deaths += 1
    assert deaths > 5
    assert contents(root) == contents(tmp_path / "undisturbed")
    assert not faults(root)
