"""Folders and links in the place of files, files in the place of folders, and permissions."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from hdlib.store import Run
from hdlib.store.verify import check_folders, check_records, check_run
from hdlib.training import HISTORY, checkpoint_name

from .toy import NORMS, REGISTRY, SUMS, TOY, TRAINING, Toy, contents, folder

CONFIG = Toy(n_steps=5)


def key(stage) -> str:
    return f"{stage.name}/{stage.key(CONFIG)}"


SUM, MANIFEST = f"{key(SUMS)}/all.safetensors", f"{key(SUMS)}/manifest.jsonl"
WEIGHTS, ROWS = f"{key(TRAINING)}/{checkpoint_name(5)}", f"{key(TRAINING)}/{HISTORY}"
RECORD = f"toy/runs/{TOY.open(CONFIG).key}.json"
FILES = [SUM, MANIFEST, WEIGHTS, ROWS, RECORD]
FOLDERS = [key(SUMS), "toy/sums", f"{key(TRAINING)}/checkpoints", "toy/runs"]


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    root = tmp_path / "root"
    TOY.run(CONFIG, root=root)
    shutil.copytree(root, tmp_path / "whole")
    look_in(root, monkeypatch)
    return root


def look_in(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("registry.roots", "run.usual_roots"):
        monkeypatch.setattr(f"hdlib.store.{module}", lambda: [root])


def faults(root: Path) -> str:
    """All that a check of folders, of records and of the run finds wrong."""
    checks = (
        check_folders([root]),
        check_records(REGISTRY),
        check_run(TOY.open(CONFIG, root=root), items="all"),
    )
    return "\n".join(finding.sentence for check in checks for finding in check if finding.fault)


def link_to_nothing(path: Path) -> None:
    path.symlink_to("nowhere")


def link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize("replace", [link_to_nothing, link_to_itself, os.mkfifo])
@pytest.mark.parametrize("name", FILES)
def test_what_is_no_file_is_told_and_repaired(tmp_path, root, name, replace):
    (root / name).unlink()
    replace(root / name)
    assert str(root / name) in faults(root)
    assert TOY.run(CONFIG, root=root).complete
    assert contents(root) == contents(tmp_path / "whole")
    assert not faults(root)


@pytest.mark.parametrize("name", FILES)
def test_a_folder_in_the_place_of_a_file_is_named(tmp_path, root, name):
    (root / name).unlink()
    (root / name).mkdir()
    assert str(root / name) in faults(root)
    with pytest.raises(OSError, match=re.escape(str(root / name))):
        TOY.run(CONFIG, root=root)
    (root / name).rmdir()
    assert TOY.run(CONFIG, root=root).complete
    assert contents(root) == contents(tmp_path / "whole")


@pytest.mark.parametrize("replace", [Path.touch, link_to_nothing, link_to_itself])
@pytest.mark.parametrize("name", FOLDERS)
def test_what_is_no_folder_is_named(tmp_path, root, name, replace):
    shutil.rmtree(root / name)
    replace(root / name)
    assert str(root / name) in faults(root)
    with pytest.raises(OSError, match=re.escape(str(root / name))):
        TOY.run(CONFIG, root=root)
    (root / name).unlink()
    assert TOY.run(CONFIG, root=root).complete
    assert contents(root) == contents(tmp_path / "whole")


@pytest.fixture
def own(root, place, monkeypatch) -> Path:
    """A copy of the run where permissions can bind."""
    copy = Path(shutil.copytree(root, place / "own"))
    look_in(copy, monkeypatch)
    return copy


@pytest.mark.parametrize("name", [SUM, MANIFEST, WEIGHTS, ROWS, *FOLDERS[:3]])
def test_what_must_not_be_read_is_named_and_hides_nothing_else(own, bound, name):
    lost = own / key(NORMS) / "step_000005.safetensors"
    lost.unlink()
    before = contents(own)
    (own / name).chmod(0)
    bound(own.parent)
    told = faults(own)
    assert f"Permission denied: '{own / name}" in told
    assert f"{lost}: missing or altered" in told
    with pytest.raises(PermissionError, match=re.escape(str(own / name))):
        TOY.run(CONFIG, root=own)
    (own / name).chmod(0o700)
    assert before.items() <= contents(own).items()
    assert TOY.run(CONFIG, root=own).complete


def test_a_run_that_must_not_be_written_is_read(own, bound):
    before = contents(own, manifests=True)
    for path in (own, *own.rglob("*")):
        path.chmod(0o500 if path.is_dir() else 0o400)
    bound(own.parent)
    run = TOY.run(CONFIG, root=own)
    assert run.arrays(SUMS, "all")
    assert not faults(own)
    assert contents(own, manifests=True) == before


def test_what_is_missing_where_nothing_must_be_written_is_computed_in_the_next_folder(own, bound):
    (own / SUM).unlink()
    (own / WEIGHTS).write_bytes(b"damaged")
    before = contents(own, manifests=True)
    home = own.with_name("home")
    for path in (own, *own.rglob("*")):
        path.chmod(0o500 if path.is_dir() else 0o400)
    bound(own.parent)
    run = Run(CONFIG, TOY.stages, [own, home])
    run.compute()
    assert run.complete
    assert contents(own, manifests=True) == before
    assert {"all.safetensors", Path(WEIGHTS).name} <= {path.name for path in home.rglob("*")}
    with pytest.raises(PermissionError, match=re.escape(str(folder(run, TRAINING, own)))):
        TOY.run(CONFIG, root=own)
    assert contents(own, manifests=True) == before
