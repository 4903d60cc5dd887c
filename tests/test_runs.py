from __future__ import annotations

import errno
import json
import multiprocessing
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

import hdlib
import hdlib.runs
from hdlib.config import Config
from hdlib.experiments.mnist import recipe as mnist
from hdlib.runs import DamagedRunError, Run, find_runs, home, roots

CPU = torch.device("cpu")
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["hdlib.experiments.mnist.recipe"])


class Tiny(Config):
    experiment: ClassVar[str] = "tiny"

    size: int = 3


@pytest.fixture
def run(tmp_path) -> Run[Tiny]:
    """A run with two arrays, a table, and weights."""
    run = Run(Tiny(), tmp_path)
    with run.writing(CPU):
        run.write_arrays("spectra/a.safetensors", {"x": np.arange(3.0), "n": np.array(7)})
        run.write_table("history.parquet", {"step": np.arange(4), "loss": np.ones(4)})
        run.write_tensors("w.safetensors", {"weight": torch.ones(2, 3, dtype=torch.float32)})
    return run


def files(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_what_was_written_is_read(run):
    arrays = run.arrays("spectra/a.safetensors")
    np.testing.assert_array_equal(arrays["x"], [0.0, 1, 2])
    assert arrays["x"].dtype == np.float64
    assert arrays["n"] == 7
    assert run.table("history.parquet")["step"].tolist() == [0, 1, 2, 3]
    assert torch.equal(run.tensors("w.safetensors")["weight"], torch.ones(2, 3))
    assert json.loads((run.path / "config.json").read_text()) == {"size": 3}
    assert run.path.parts[-2:] == ("tiny", Tiny().key)
    assert not run.damaged()


def test_manifest(run):
    manifest = run.manifest
    sums = subprocess.run(
        ["sha256sum", *manifest["files"]], cwd=run.path, capture_output=True, text=True, check=True
    )
    expected = dict(line.split()[::-1] for line in sums.stdout.splitlines())
    assert manifest["files"] == expected
    assert set(files(run.path)) == {*expected, "manifest.json"}
    assert manifest["environment"]["packages"]["torch"] == torch.__version__
    assert manifest["environment"]["threads"] == torch.get_num_threads()


def test_a_run_is_complete_once_it_is_finished(run):
    assert not run.complete
    run.finish()
    assert run.complete
    with run.writing(CPU):
        assert run.complete
        run.write_arrays("more.safetensors", {"a": np.zeros(3)})
        assert not run.complete
    assert not run.complete


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "flipped": flip,
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "empty": lambda path: path.write_bytes(b""),
    "missing": Path.unlink,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize(
    "name", ["spectra/a.safetensors", "history.parquet", "w.safetensors", "config.json"]
)
def test_damage_is_found_by_name(run, name, damage):
    run.finish()
    damage(run.path / name)
    assert run.damaged() == [name]
    assert not run.has(name)
    assert not run.complete
    read = run.table if name.endswith("parquet") else run.tensors
    with pytest.raises(DamagedRunError, match=re.escape(name)):
        read(name)


def test_unreadable_manifest_is_named(run):
    manifest = run.path / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:-20])
    with pytest.raises(DamagedRunError, match=re.escape(f"{manifest} is unreadable")):
        _ = run.complete


def test_files_that_are_not_recorded_do_not_count(run):
    (run.path / "other.safetensors").write_bytes(b"")
    assert not run.has("other.safetensors")
    assert not run.damaged()
    with pytest.raises(DamagedRunError):
        run.tensors("other.safetensors")


def test_remove(run):
    run.remove("w.safetensors")
    run.remove("w.safetensors")
    assert "w.safetensors" not in run.files
    assert not (run.path / "w.safetensors").exists()
    assert not run.damaged()


def test_wall_times(run):
    for _ in range(100):
        run.add_seconds("training", 0.0375)
    run.record_seconds("hessian", 3.0)
    run.record_seconds("hessian", 4.0)
    assert run.manifest["seconds"] == {"training": pytest.approx(3.75, abs=0.06), "hessian": 4.0}


def test_leftovers_of_a_killed_process_are_removed(run):
    before = files(run.path)
    for folder in (run.path, run.path / "spectra"):
        (folder / ".tmp-abc").write_bytes(b"half a file")
    with run.writing(CPU):
        pass
    assert files(run.path).keys() == before.keys()


def test_published_runs_come_first(tmp_path, monkeypatch):
    published, own = tmp_path / "data", tmp_path / "own"
    monkeypatch.setattr(hdlib.runs, "PUBLISHED", published)
    monkeypatch.setenv("HDLIB_HOME", str(own))
    assert roots() == [published, own / "runs"]
    assert Run.of(Tiny()).path == own / "runs/tiny" / Tiny().key
    for root in (own / "runs", published):
        run = Run(Tiny(), root)
        with run.writing(CPU):
            pass
        assert Run.of(Tiny()).path == run.path
    assert Run.of(Tiny(size=4)).path.is_relative_to(own)
    assert find_runs() == [Run(Tiny(), root).path for root in roots()]


def test_own_runs_are_in_the_cache_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("HDLIB_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert home() == tmp_path / "hdlib/runs"
    assert Path(hdlib.__file__).parent.parent / "data" == hdlib.runs.PUBLISHED


# --- full disk


@pytest.mark.parametrize("name", ["w.safetensors", "spectra/new.safetensors", "config.json"])
def test_full_disk(run, name, monkeypatch):
    before = files(run.path)

    def full(descriptor: int) -> None:
        os.ftruncate(descriptor, 10)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=r"no space left .* bytes free") as error:
            run.write_tensors(name, {"weight": torch.zeros(100)})
    assert error.value.errno == errno.ENOSPC
    assert error.value.filename == run.path / name
    assert files(run.path) == before
    assert not run.damaged()


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if done.returncode:
        pytest.skip(f"mounting is not permitted: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_full_disk_in_earnest(small_disk):
    run = Run(Tiny(), small_disk)
    with run.writing(CPU):
        run.write_tensors("w.safetensors", {"weight": torch.ones(5_000)})
    before = files(run.path)
    with pytest.raises(OSError, match="no space left") as error:
        run.write_tensors("w.safetensors", {"weight": torch.ones(100_000)})
    assert error.value.errno == errno.ENOSPC
    assert files(run.path) == before
    assert torch.equal(run.tensors("w.safetensors")["weight"], torch.ones(5_000))
    run.write_tensors("w.safetensors", {"weight": torch.zeros(5_000)})
    assert not run.damaged()


# --- two writers


def hold(root: Path, name: str, seconds: float) -> None:
    run = Run(Tiny(), root)
    with run.writing(CPU):
        log = run.path / "log.txt"
        with log.open("a") as file:
            file.write(f"{name} in\n")
        time.sleep(seconds)
        with log.open("a") as file:
            file.write(f"{name} out\n")


def test_writers_take_turns(tmp_path):
    writers = [PROCESSES.Process(target=hold, args=(tmp_path, str(i), 0.2)) for i in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    lines = (Run(Tiny(), tmp_path).path / "log.txt").read_text().split("\n")[:-1]
    turns = [line.split()[0] for line in lines]
    assert turns[::2] == turns[1::2]
    assert sorted(turns[::2]) == ["0", "1", "2"]
    assert [line.split()[1] for line in lines] == ["in", "out"] * 3


def test_two_processes_on_one_config_leave_one_good_run(tmp_path):
    config = mnist.MnistConfig(
        dataset="digits",
        n_epochs=1,
        width=1,
        hessian_samples=50,
        vectors=10,
        draws=1,
        sweep_checkpoints=0,
        device="cpu",
    )
    for root, count in (("alone", 1), ("shared", 2)):
        writers = [
            PROCESSES.Process(target=mnist.run, args=(config,), kwargs={"root": tmp_path / root})
            for _ in range(count)
        ]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join(120)
            assert writer.exitcode == 0
    alone, shared = (Run(config, tmp_path / root) for root in ("alone", "shared"))
    assert shared.complete
    assert shared.files == alone.files
    assert files(shared.path).keys() == files(alone.path).keys()
    before = shared.manifest
    assert mnist.run(config, root=tmp_path / "shared").manifest == before


def finish_slowly(root: Path) -> None:
    run = Run(Tiny(), root)
    with run.writing(CPU):
        run.write_arrays("a.safetensors", {"a": np.zeros(3)})
        time.sleep(1)
        run.finish()


def test_what_another_process_completed_meanwhile_stays_complete(tmp_path):
    first = PROCESSES.Process(target=finish_slowly, args=(tmp_path,))
    first.start()
    run = Run(Tiny(), tmp_path)
    while "a.safetensors" not in run.files:
        time.sleep(0.01)
    assert not run.complete
    with run.writing(CPU):
        assert run.complete
        before = files(run.path)
    assert files(run.path) == before
    run.write_arrays("a.safetensors", {"a": np.ones(3)})
    assert not run.complete
    first.join()


def test_no_pickle_is_read():
    readers = re.compile(
        r"pickle|(?<!safetensors\.)torch\.load|np\.load|joblib|shelve|marshal|dill"
    )
    for path in Path(hdlib.__file__).parent.rglob("*.py"):
        assert not readers.search(path.read_text()), path
