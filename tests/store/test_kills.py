"""A run that is killed at any file operation is the same afterwards as one that was not."""

from __future__ import annotations

import random
import shutil
from itertools import count
from pathlib import Path

import pytest

from hdlib.atomic import TEMPORARY
from hdlib.store.verify import check_folders

from .killed import run_until
from .small import SMALL, publish_toy, run
from .toy import Toy, contents


def faults(root: Path) -> list[str]:
    return [finding.sentence for finding in check_folders([root]) if finding.fault]


@pytest.mark.parametrize("start", [None, Toy(n_steps=5)], ids=["from nothing", "going on"])
def test_killed_at_operations(tmp_path, start):
    kill_at_operations(tmp_path, start, every=4)


def kill_at_operations(tmp_path: Path, start: Toy | None, *, every: int) -> None:
    """Every second time while half of the last line was not written yet."""
    config = Toy(n_steps=10 if start else 5)
    run("toy", config, tmp_path / "undisturbed")
    if start:
        run("toy", start, tmp_path / "start")
    kill = 0
    for kill in count():
        root = tmp_path / f"{kill}"
        if start:
            shutil.copytree(tmp_path / "start", root)
        code = run_until(
            kill * every + kill % every,
            torn=kill % 2 == 1,
            function=run,
            arguments=("toy", config, root),
        )
        if code == 0:
            break
        assert code == -9
        run("toy", config, root)
        known = contents(root)
        for name, content in contents(tmp_path / "undisturbed").items():
            assert known[name] == content, (kill, name)
        assert not [name for name in known if TEMPORARY in name], kill
        assert not faults(root), kill
    assert kill * every > 70


def test_killed_while_publishing(tmp_path):
    kill_while_publishing(tmp_path, every=4)


def kill_while_publishing(tmp_path: Path, *, every: int) -> None:
    """A second attempt completes what a first one began, and leaves the run that is published."""
    run("toy", Toy(n_steps=5), tmp_path / "home")
    publish_toy(tmp_path / "home", tmp_path / "undisturbed")
    before = contents(tmp_path / "home", manifests=True)
    kill = 0
    for kill in count():
        root = tmp_path / f"{kill}"
        arguments = (tmp_path / "home", root)
        code = run_until(
            kill * every, torn=kill % 2 == 1, function=publish_toy, arguments=arguments
        )
        if code == 0:
            break
        assert code == -9
        publish_toy(tmp_path / "home", root)
        assert contents(root) == contents(tmp_path / "undisturbed"), kill
        assert not faults(root), kill
    assert kill * every > 30
    assert contents(tmp_path / "home", manifests=True) == before


@pytest.mark.parametrize("name", SMALL)
def test_an_experiment_killed_again_and_again(tmp_path, name):
    kill_again_and_again(tmp_path, name, life=(100, 250))


def kill_again_and_again(tmp_path: Path, name: str, *, life: tuple[int, int]) -> None:
    """Each life ends at one of its next operations, so that the deaths are all along the run."""
    run(name, SMALL[name], tmp_path / "undisturbed")
    chance = random.Random(name)
    root, deaths = tmp_path / "killed", 0
    while code := run_until(
        chance.randrange(*life),
        torn=chance.random() < 0.5,
        function=run,
        arguments=(name, SMALL[name], root),
    ):
        assert code == -9
        deaths += 1
    assert deaths
    assert contents(root) == contents(tmp_path / "undisturbed")
    assert not faults(root)
