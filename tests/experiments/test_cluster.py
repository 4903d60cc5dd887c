"""Sweeps on a Dask cluster of real processes: the same bits, whatever happens to a worker."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread, Timer
from typing import Any

import pytest
from dask import config

from hdlib.experiments import cluster
from hdlib.experiments.depth.config import DepthConfig
from hdlib.experiments.depth.recipe import EXPERIMENT, TRAINING
from hdlib.experiments.grid import FailedRunsError, compute_missing
from hdlib.experiments.pool import PoolError
from hdlib.store import Config
from hdlib.store.parcel import Parcel
from hdlib.training import HISTORY
from tests.experiments.cluster import PATIENCE, LocalCluster, LocalWorker, Proxy, wait_until

QUICK = DepthConfig(
    p=5,
    width=4,
    depth=1,
    train_fraction=0.5,
    n_steps=20,
    log_every=10,
    sharpness_every=20,
    spectra=1,
    eigenpairs=2,
    device="cpu",
)
LONG = QUICK.model_copy(update={"n_steps": 40, "log_every": 1})


def variants(config: DepthConfig, **changes: dict[str, Any]) -> dict[str, Config]:
    return {name: config.model_copy(update=fields) for name, fields in changes.items()}


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory) -> Iterator[LocalCluster]:
    found = LocalCluster(tmp_path_factory.mktemp("cluster"))
    yield found
    found.close()


@pytest.fixture
def workers(scheduler) -> Iterator[Callable[..., LocalWorker]]:
    """Starts workers, which end with the test; a test that hangs ends with all of the cluster."""
    started: list[LocalWorker] = []

    def start(**options: Any) -> LocalWorker:
        started.append(scheduler.worker(**options))
        return started[-1]

    guard = Timer(PATIENCE, scheduler.close)
    guard.start()
    yield start
    guard.cancel()
    for worker in started:
        worker.kill()


@pytest.fixture
def home(monkeypatch, tmp_path) -> Path:
    monkeypatch.setenv("HDLIB_HOME", str(tmp_path / "home"))
    return tmp_path / "home/runs"


def contents(root: Path) -> dict[str, bytes]:
    """Bytes of all files but records, manifests and states, by name."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*.*")
        if path.suffix in (".safetensors", ".parquet") and path.parent.name != "states"
    }


def computed_here(configs: dict[str, Config], root: Path) -> dict[str, bytes]:
    for asked in configs.values():
        EXPERIMENT.run(asked, root=root)  # pyright: ignore[reportArgumentType]
    return contents(root)


@contextmanager
def meanwhile(function: Callable[[], None]) -> Iterator[None]:
    """Call a function in a thread, which has come to its end when the block does."""
    errors = []

    def call() -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)

    thread = Thread(target=call)
    thread.start()
    yield
    thread.join(PATIENCE)
    assert not errors, errors


def test_a_cluster_computes_the_bits_of_this_machine(scheduler, workers, home, tmp_path):
    own = [workers(), workers()]
    configs = variants(
        QUICK, a={}, b={"seed": 1}, longer={"n_steps": 40}, bad={"optimizer": "gd", "lr": 1e30}
    )
    with pytest.raises(
        FailedRunsError, match="1 of 4 runs failed\nbad: FloatingPointError"
    ) as error:
        compute_missing(EXPERIMENT, configs, cluster=scheduler.address)
    bad = configs.pop("bad")
    # What was logged before the failure is kept, where the error says.
    where = EXPERIMENT.open(bad).stored(TRAINING).home  # pyright: ignore[reportArgumentType]
    assert f"is kept in {where}" in str(error.value)
    assert (where / HISTORY).is_file()
    expected = computed_here(configs, tmp_path / "here")
    assert {name: contents(home)[name] for name in expected} == expected
    extended = variants(QUICK, b={"seed": 1, "n_steps": 60}, a={"spectra": 3})
    compute_missing(EXPERIMENT, extended, cluster=scheduler.address)
    expected = computed_here(extended, tmp_path / "here")
    assert {name: contents(home)[name] for name in expected} == expected
    assert not any((worker.folder / "home").exists() for worker in own)


def test_a_worker_that_is_killed_has_its_runs_computed_by_others(
    scheduler, workers, home, tmp_path
):
    doomed = workers()
    configs = variants(LONG, a={}, b={"seed": 1})

    def kill() -> None:
        wait_until(lambda: doomed.trains)
        doomed.kill()
        workers()

    with meanwhile(kill):
        compute_missing(EXPERIMENT, configs, cluster=scheduler.address)
    assert contents(home) == computed_here(configs, tmp_path / "here")


def test_a_worker_that_loses_its_connection_has_its_runs_computed_by_others(
    scheduler, workers, home, tmp_path
):
    proxy = Proxy(scheduler.address)
    lost = workers(address=proxy.address)
    configs = variants(LONG, a={"seed": 2}, b={"seed": 3})

    def cut() -> None:
        wait_until(lambda: lost.trains)
        proxy.cut()
        workers()

    with meanwhile(cut):
        compute_missing(EXPERIMENT, configs, cluster=scheduler.address)
    assert contents(home) == computed_here(configs, tmp_path / "here")


def flip_results() -> None:
    pack = cluster.pack_results

    def flipped(*arguments: Any, **options: Any) -> Parcel:
        parcel = pack(*arguments, **options)
        *files, last = parcel.files
        assert last.content
        return parcel._replace(files=(*files, last._replace(content=last.content[::-1])))

    cluster.pack_results = flipped


def be_another_version() -> None:
    cluster.version = lambda name: "0.0.1"


def test_a_result_that_was_altered_is_refused(scheduler, workers, home):
    workers(change=flip_results)
    with pytest.raises(
        FailedRunsError, match=r"a: DamagedRunError: depth/\S+ was altered on its way"
    ):
        compute_missing(EXPERIMENT, {"a": QUICK}, cluster=scheduler.address)
    assert not home.exists()


def test_a_worker_of_another_version_is_refused(scheduler, workers, home):
    workers(change=be_another_version)
    with pytest.raises(PoolError, match=r"worker at tcp://\S+ has hdlib 0.0.1 instead of"):
        compute_missing(EXPERIMENT, {"a": QUICK, "b": LONG}, cluster=scheduler.address)
    assert not home.exists()


def test_a_client_that_loses_the_scheduler_says_so(scheduler, workers, home, tmp_path):
    proxy = Proxy(scheduler.address)
    worker = workers()

    def cut() -> None:
        wait_until(lambda: worker.trains)
        proxy.cut()

    with meanwhile(cut), pytest.raises(PoolError, match="was lost; what came back is kept: run it"):
        compute_missing(EXPERIMENT, {"a": LONG}, cluster=proxy.address)


def test_no_scheduler(home):
    limit = config.set({"distributed.comm.timeouts.connect": "1s"})
    with limit, pytest.raises(OSError, match=r"connect to tcp://127\.0\.0\.1:1 after 1"):
        compute_missing(EXPERIMENT, {"a": QUICK}, cluster="tcp://127.0.0.1:1")


def test_no_dask(home, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(PoolError, match=r"pip install 'hdlib\[cluster\]'"):
        compute_missing(EXPERIMENT, {"a": QUICK}, cluster="tcp://127.0.0.1:1")
