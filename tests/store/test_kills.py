"""A run that is killed at any file operation is the same afterwards as one that was not."""

from __future__ import annotations

import random
import shutil
from itertools import count
from pathlib import Path

import pytest

from hdlib.store.verify import check_folders

from .killed import run_until
from .small import SMALL, publish_toy, run
from .toy import Toy, contents

def faults(root: Path) -> list[str]:
    return [finding.sentence for finding in check_folders([root]) if finding.fault]


@pytest.mark.parametrize("start", [None, Toy(n_steps=1)], ids=["from nothing", "going on"])
def test_killed_at_every_operation(tmp_path, start):
    """Every other one of them while half of the last line was not written yet."""
    config = Toy(n_steps=5)
    run("toy", config, tmp_path / "undisturbed")
    if start:
        run("toy", start, tmp_path / "start")
    for operation in count():
        root = tmp_path / f"{operation}"
        if start:
            shutil.copytree(tmp_path / "start", root)
        torn = operation % 2 == 1
        code = run_until(operation, torn=torn, function=run, arguments=("toy", config, root))
        if code == 0:
            break
        assert code == -9
        run("toy", config, root)
        known = contents(root)
        for name, content in contents(tmp_path / "undisturbed").items():
            assert known[name] == content, (operation, name)
        assert not faults(root), operation
    assert operation > 70


def test_killed_while_publishing(tmp_path):
    run("toy", Toy(n_steps=5), tmp_path / "home")
    publish_toy(tmp_path / "home", tmp_path / "undisturbed")
    before = contents(tmp_path / "home", manifests=True)
    for operation in count():
        root = tmp_path / f"{operation}"
        arguments = (tmp_path / "home", root)
        torn = operation % 2 == 1
        code = run_until(operation, torn=torn, function=publish_toy, arguments=arguments)
        if code == 0:
            break
        assert code == -9
        publish_toy(tmp_path / "home", root)
        assert contents(root) == contents(tmp_path / "undisturbed"), operation
        assert not faults(root), operation
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
