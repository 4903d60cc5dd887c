"""Several processes, full disks, and what is opened."""

from __future__ import annotations

import errno
import os
import time
from itertools import count
from pathlib import Path

import pytest

import hdlib.store.run
from hdlib.atomic import TEMPORARY
from hdlib.store import Run, provenance
from hdlib.store.folder import Folder
from hdlib.store.record import record
from hdlib.training import HISTORY

from .killed import PROCESSES
from .small import run as compute
from .toy import NORMS, REGISTRY, SUMS, TOY, TRAINING, Toy, contents, folder


def hold(path: Path, seconds: float) -> None:
    with Folder(path, TRAINING.header(Toy())).writing():
        (path / "held").touch()
        time.sleep(seconds)
        (path / "held").unlink()


def test_a_second_process_waits_and_nothing_becomes_incomplete(tmp_path):
    compute("toy", Toy(), tmp_path / "alone")
    processes = [
        PROCESSES.Process(target=compute, args=("toy", Toy(), tmp_path / "shared"))
        for _ in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert TOY.open(Toy(), root=tmp_path / "shared").complete
    assert contents(tmp_path / "shared") == contents(tmp_path / "alone")
    before = contents(tmp_path / "shared", manifests=True)
    compute("toy", Toy(), tmp_path / "shared")
    assert contents(tmp_path / "shared", manifests=True) == before


@pytest.mark.parametrize("killed", [False, True])
def test_a_lock_is_released_at_the_end_or_at_a_kill(tmp_path, killed):
    path = folder(TOY.open(Toy(), root=tmp_path), TRAINING, tmp_path)
    holder = PROCESSES.Process(target=hold, args=(path, 60 if killed else 0.5))
    holder.start()
    while not (path / "held").exists():
        time.sleep(0.01)
    if killed:
        holder.kill()
        holder.join()
    TOY.run(Toy(), root=tmp_path)
    assert (path / "held").exists() == killed
    assert TOY.open(Toy(), root=tmp_path).complete
    holder.join()


def test_what_a_killed_process_left_is_removed_though_nothing_is_missing(tmp_path):
    run = TOY.run(Toy(), root=tmp_path)
    before = contents(tmp_path, manifests=True)
    (folder(run, SUMS, tmp_path) / f"{TEMPORARY}sum").touch()
    (folder(run, TRAINING, tmp_path) / "checkpoints" / f"{TEMPORARY}weights").touch()
    TOY.run(Toy(), root=tmp_path)
    assert contents(tmp_path, manifests=True) == before


def test_what_a_living_process_writes_stays_and_is_not_waited_for(tmp_path):
    path = folder(TOY.run(Toy(), root=tmp_path), TRAINING, tmp_path)
    holder = PROCESSES.Process(target=hold, args=(path, 60))
    holder.start()
    while not (path / "held").exists():
        time.sleep(0.01)
    (path / f"{TEMPORARY}weights").touch()
    assert TOY.run(Toy(), root=tmp_path).complete
    assert (path / f"{TEMPORARY}weights").exists()
    assert holder.is_alive()
    holder.kill()
    holder.join()
    TOY.run(Toy(), root=tmp_path)
    assert not (path / f"{TEMPORARY}weights").exists()


def test_what_is_left_among_records_is_removed_by_the_next_that_is_written(tmp_path):
    left = tmp_path / "toy/runs" / f"{TEMPORARY}record"
    left.parent.mkdir(parents=True)
    left.touch()
    record(Run(Toy(), TOY.stages, [tmp_path]))
    assert [path.suffix for path in left.parent.iterdir()] == [".json"]


def test_a_full_disk_at_every_flush_loses_nothing(tmp_path, monkeypatch):
    TOY.run(Toy(n_steps=5), root=tmp_path / "undisturbed")
    operation = 0
    for operation in count():
        root, numbers = tmp_path / f"{operation}", count()

        def full(descriptor: int, numbers=numbers, operation=operation) -> None:
            if next(numbers) >= operation:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            try:
                TOY.run(Toy(n_steps=5), root=root)
                break
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
        assert not [name for name in contents(root) if TEMPORARY in name]
        run = TOY.run(Toy(n_steps=5), root=root)
        assert run.complete
        assert contents(root) == contents(tmp_path / "undisturbed"), operation
    assert operation > 40


def test_folders_are_flushed_after_a_rename(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(
        os, "fsync", lambda fd: flushed.append(Path(f"/proc/self/fd/{fd}").resolve())
    )
    run = TOY.run(Toy(), root=tmp_path)
    for stage in TOY.stages:
        path = folder(run, stage, tmp_path)
        assert path in flushed
        assert path / "manifest.jsonl" in flushed
    assert (folder(run, TRAINING, tmp_path) / "checkpoints") in flushed


@pytest.fixture
def opened(monkeypatch) -> list[str]:
    """Names of files of which content is read, in order."""
    names: list[str] = []
    opening = Path.open

    def open_it(self, mode="r", *arguments, **options):
        if "r" in mode:
            names.append(self.name)
        return opening(self, mode, *arguments, **options)

    monkeypatch.setattr(Path, "open", open_it)
    return names


def test_listing_opens_records_alone(tmp_path, monkeypatch, opened):
    TOY.run(Toy(), root=tmp_path)
    for seed in range(1, 100):
        record(Run(Toy(seed=seed), TOY.stages, [tmp_path]))
    for module in ("registry.roots", "run.usual_roots"):
        monkeypatch.setattr(f"hdlib.store.{module}", lambda: [tmp_path])
    opened.clear()
    runs = list(REGISTRY.runs())
    assert len(runs) == 100
    assert all(name.endswith(".json") for name in opened)
    assert len(REGISTRY.select(runs[7].key).key) == 16


def test_reading_a_run_reads_each_manifest_once_and_each_file_at_most_twice(tmp_path, opened):
    TOY.run(Toy(), root=tmp_path)
    opened.clear()
    run = TOY.open(Toy(), root=tmp_path)
    assert run.complete
    TRAINING.history(run)
    for step in TRAINING.checkpoints(run):
        TRAINING.weights(run, step)
        run.arrays(NORMS, step)
    run.arrays(SUMS, "all")
    assert opened.count("manifest.jsonl") == len(TOY.stages)
    paths = [p.name for p in tmp_path.rglob("*.*") if p.suffix in (".safetensors", ".parquet")]
    for name in {*paths} - {HISTORY}:
        assert opened.count(name) <= 2 * paths.count(name), name
    # Checked, looked at for checkpoints, and given.
    assert opened.count(HISTORY) <= 3


def test_strings_of_a_manifest_are_escaped_where_they_become_markdown(tmp_path, monkeypatch):
    usual = hdlib.store.run.environment
    monkeypatch.setattr(
        hdlib.store.run,
        "environment",
        lambda device: usual(device) | {"device": "<script>alert(1)</script> | *x* \x1b[31m"},
    )
    shown = provenance(TOY.run(Toy(), root=tmp_path), "chapters/toy.ipynb")
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert "*x*" not in shown.replace(r"\*x\*", "")
    assert "\x1b" not in shown
