"""Runs that are killed, and files that are altered: what comes out is what should have."""

from __future__ import annotations

import hashlib
import multiprocessing
import random
import shutil
import time
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hdlib.curvature import hessian
from hdlib.experiments.mnist import recipe as mnist
from hdlib.experiments.mnist.config import MnistConfig
from hdlib.experiments.mnist.recipe import draws_name, spectrum_name, sweep_name
from hdlib.runs import Run
from hdlib.tasks import load_images
from hdlib.training import HISTORY, checkpoint_name

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["hdlib.experiments.mnist.recipe"])

CONFIG = MnistConfig(
    dataset="digits",
    n_epochs=8,
    width=2,
    hessian_samples=50,
    vectors=10,
    draws=8,
    sweep_checkpoints=1,
    device="cpu",
)
LAST = CONFIG.checkpoints[-1]
STAGES = {
    "training": [checkpoint_name(step) for step in CONFIG.checkpoints],
    "spectra": [spectrum_name(step) for step in CONFIG.checkpoints],
    "draws": [draws_name(LAST)],
    "sweep": [sweep_name(LAST, samples) for samples in CONFIG.sweep_sizes],
}
KILLS_IN_A_STAGE = 5


def start(root: Path):
    process = PROCESSES.Process(target=mnist.run, args=(CONFIG,), kwargs={"root": root})
    process.start()
    return process


def sums(run: Run) -> dict[str, str]:
    """sha256 of every file but the manifest, which has wall times."""
    return {
        path.relative_to(run.path).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in run.path.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Run[MnistConfig]:
    root = tmp_path_factory.mktemp("undisturbed")
    process = start(root)
    process.join()
    assert process.exitcode == 0
    run = Run(CONFIG, root)
    assert run.complete
    assert sorted(run.files) == sorted([HISTORY, "config.json", *chain(*STAGES.values())])
    return run


@pytest.fixture
def copied(undisturbed, tmp_path) -> Run[MnistConfig]:
    run = Run(CONFIG, tmp_path)
    shutil.copytree(undisturbed.path, run.path)
    return run


def moments(seconds: dict[str, float]) -> list[tuple[str, int, float]]:
    """When to kill: in each stage, after some of its files, and within half the time of another.

    Once in each stage at once, so that it is not over however fast the machine has become.
    """
    chance = random.Random(0)
    found = []
    for stage, names in STAGES.items():
        before_last = max(1, len(names) - 1)
        files = sorted(chance.randrange(before_last) for _ in range(KILLS_IN_A_STAGE))
        for kill_number, done in enumerate(files):
            share = chance.uniform(0, 0.5) if kill_number else 0.0
            found.append((stage, done, share * seconds[stage] / len(names)))
    return found


def kill(root: Path, stage: str, done: int, delay: float) -> set[str]:
    """Go on with the run, kill it at that moment, and return which files were recorded."""
    run = Run(CONFIG, root)
    manifest = run.path / "manifest.json"
    before = manifest.stat().st_ino if manifest.exists() else None
    earlier = [
        name for other in list(STAGES)[: list(STAGES).index(stage)] for name in STAGES[other]
    ]
    due = {*earlier, *STAGES[stage][:done]}
    process = start(root)
    while not (manifest.exists() and manifest.stat().st_ino != before and due <= set(run.files)):
        assert process.is_alive()
        time.sleep(0.005)
    time.sleep(delay)
    process.kill()
    process.join()
    assert process.exitcode == -9
    return set(run.files)


def test_killed_at_twenty_moments(undisturbed, tmp_path):
    recorded = [kill(tmp_path, *moment) for moment in moments(undisturbed.manifest["seconds"])]
    assert len(recorded) == 20
    unfinished = [[s for s, names in STAGES.items() if set(names) - files] for files in recorded]
    assert {stages[0] for stages in unfinished if stages} == set(STAGES)
    process = start(tmp_path)
    process.join()
    assert process.exitcode == 0
    run = Run(CONFIG, tmp_path)
    assert run.complete
    assert run.files == undisturbed.files
    assert sums(run) == sums(undisturbed)


@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        HISTORY,
        checkpoint_name(0),
        checkpoint_name(LAST),
        spectrum_name(50),
        draws_name(LAST),
        sweep_name(LAST, 50),
    ],
)
def test_flipped_byte_is_found_and_repaired(undisturbed, copied, name):
    path = copied.path / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert copied.damaged() == [name]
    mnist.run(CONFIG, root=copied.path.parent.parent)
    assert copied.complete
    assert sums(copied) == sums(undisturbed)


def test_lost_manifest_is_rebuilt(undisturbed, copied):
    (copied.path / "manifest.json").unlink()
    assert not copied.complete
    mnist.run(CONFIG, root=copied.path.parent.parent)
    assert copied.complete
    assert sums(copied) == sums(undisturbed)


def test_spectra_of_other_weights_are_not_kept(undisturbed, copied):
    """The weights at a checkpoint change, as a repair on another machine may change them."""
    step = CONFIG.checkpoints[-2]
    weights = {name: 1.1 * value for name, value in copied.tensors(checkpoint_name(step)).items()}
    with copied.writing(torch.device("cpu")):
        copied.write_tensors(checkpoint_name(step), weights)
    assert not copied.complete
    mnist.run(CONFIG, root=copied.path.parent.parent)
    changed = {name for name, sum_ in sums(copied).items() if sums(undisturbed)[name] != sum_}
    assert changed == {checkpoint_name(step), spectrum_name(step)}
    data = mnist.hessian_data(CONFIG, load_images("digits").train, CONFIG.hessian_samples)
    matrix = hessian(mnist.model_at(copied, step), F.cross_entropy, data)
    stored = copied.arrays(spectrum_name(step))
    np.testing.assert_allclose(
        stored["eigenvalues"], np.linalg.eigvalsh(matrix.numpy()), atol=1e-12 * matrix.norm().item()
    )
    assert stored["checkpoint_sha256"].tobytes().hex() == copied.files[checkpoint_name(step)]
