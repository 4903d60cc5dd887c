"""Runs as small as can be, by the names of their experiments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from hdlib.experiments.fiedler.config import FiedlerConfig
from hdlib.experiments.grokking.config import GrokkingConfig
from hdlib.experiments.mnist.config import MnistConfig
from hdlib.experiments.registry import REGISTRY
from hdlib.store import Config, Experiment
from hdlib.store.publish import publish

from .toy import TOY, Toy

SMALL: dict[str, Config] = {
    "mnist": MnistConfig(
        dataset="digits",
        n_epochs=1,
        batch_size=1_437,
        width=1,
        hessian_samples=50,
        vectors=10,
        sweep_checkpoints=1,
        draws=1,
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
        coefficients=1,
        log_every=10,
        device="cpu",
    ),
    "fiedler": FiedlerConfig(
        dataset="digits", n_epochs=1, width=1, batch_size=1_437, hessian_samples=50, device="cpu"
    ),
}


def run(experiment: str, config: Config, root: Path) -> None:
    """Run a config in one thread."""
    torch.set_num_threads(1)
    found: Experiment[Any] = TOY if experiment == "toy" else REGISTRY[experiment]
    found.run(config, root=root)


def publish_toy(home: Path, root: Path) -> None:
    """Publish the toy's run from one root into another."""
    publish(TOY.open(Toy(n_steps=5), root=home), root=root)
