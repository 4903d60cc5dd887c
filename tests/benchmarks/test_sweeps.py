"""How sweeps scale: `pytest tests/benchmarks/test_sweeps.py -s`, with nothing else running.

One sweep on one worker and on two; what ten thousand runs ask of the store; and what as many, of a
thousand workers at a time, ask of a Dask scheduler. Numbers are printed; only that all came
through is asserted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest

from hdlib.experiments import outlook as outlooks
from hdlib.experiments.cluster import DaskPool
from hdlib.experiments.grid import _chains, _compute_all, compute_missing
from hdlib.experiments.outlook import outlook
from hdlib.experiments.pool import Done
from hdlib.experiments.sweep import Sweep
from hdlib.store import Config
from hdlib.store.parcel import Parcel, pack_results, stage_keys, unpack
from hdlib.store.record import record
from tests.experiments.cluster import LocalCluster, wait_until
from tests.experiments.test_cluster import EXPERIMENT, LONG
from tests.store.toy import REGISTRY, TOY, Toy

RUNS, WORKERS = 10_000, 1_000
MINUTES = 20
"""Of a run, on each of the workers."""
SMALL, LARGE = 20_000, 5_000_000
"""Bytes that come back from a run: of a small one, and of a history with many weights."""


@contextmanager
def timed(what: str, count: int) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{what:<58} {wall:9.2f} s {cpu:9.2f} s CPU {1e3 * wall / count:9.3f} ms each")


@pytest.fixture
def cluster(tmp_path) -> Iterator[LocalCluster]:
    found = LocalCluster(tmp_path)
    yield found
    found.close()


def test_one_worker_and_two(cluster, tmp_path, monkeypatch):
    monkeypatch.setenv("HDLIB_HOME", str(tmp_path / "home"))
    walls = {}
    for workers in (1, 2):
        cluster.worker()
        pool = DaskPool(cluster.address, EXPERIMENT)
        wait_until(lambda w=workers, p=pool: len(p._client.nthreads()) == w)
        pool._client.close()
        # What a worker does once, imports and first calls, is left out.
        compute_missing(EXPERIMENT, _seeds(1_000 * workers, 4), cluster=cluster.address)
        wall = time.perf_counter()
        configs = _seeds(100 * workers, 16, n_steps=400)
        compute_missing(EXPERIMENT, configs, cluster=cluster.address)
        walls[workers] = time.perf_counter() - wall
        print(f"\n{workers} worker(s): {len(configs)} runs in {walls[workers]:.1f} s")
    print(f"2 workers are {walls[1] / walls[2]:.2f} times as fast as 1")


def _seeds(first: int, count: int, **changes: int) -> dict[str, Config]:
    seeds = range(first, first + count)
    return {f"{s}": LONG.model_copy(update={"seed": s, **changes}) for s in seeds}


def test_ten_thousand_runs_in_the_store(tmp_path, monkeypatch):
    monkeypatch.setenv("HDLIB_HOME", str(tmp_path))
    for module in ("places", "experiment"):
        monkeypatch.setattr(f"hdlib.store.{module}.PUBLISHED", tmp_path / "data")
    monkeypatch.setattr(outlooks, "REGISTRY", REGISTRY)
    template = pack_results(TOY.run(Toy(n_steps=5), root=tmp_path / "template"), given={})
    configs = {f"seed{seed}": Toy(n_steps=5, seed=seed) for seed in range(RUNS)}
    print()
    with timed(f"write {RUNS:,} results that came back", RUNS):
        for config in configs.values():
            run = TOY.open(config)
            unpack(_of(run, template), run)
            record(run)
    with timed("open all, every sum checked (what a second sweep does)", RUNS):
        assert all(TOY.open(config).complete for config in configs.values())
    with timed("list all (what `hdlib show` does)", RUNS):
        assert sum(1 for _ in REGISTRY.runs()) == RUNS
    sweep = Sweep.of(TOY, configs)
    with timed("`hdlib sweep --dry-run`, all complete", RUNS):
        assert sum(1 for _ in outlook(sweep)) == RUNS + 1
    more = Sweep.of(TOY, {n: Toy(**{**c.model_dump(), "n_steps": 9}) for n, c in configs.items()})
    with timed("the same, none complete, with an estimate", RUNS):
        assert sum(1 for _ in outlook(more)) == RUNS + 2
    with timed("find what shares a training", RUNS):
        assert len(_chains(TOY, configs)) == RUNS
    files = list((tmp_path / "runs").rglob("*"))
    size = sum(path.stat().st_size for path in files if path.is_file())
    blocks = sum(path.stat().st_blocks * 512 for path in files)
    print(f"{size / 1e6:,.0f} MB in {blocks / 1e6:,.0f} MB of blocks, {len(files):,} inodes")


def _of(run: Any, template: Parcel) -> Parcel:
    return template._replace(keys=stage_keys(run))


class Echo(DaskPool):
    """Tasks that compute nothing, of as many workers as are simulated, and give bytes back."""

    size = SMALL
    received = 0

    def room(self) -> int:
        return 2 * WORKERS

    def submit(self, config: Config, done: Done) -> object:
        future = self._client.submit(_bytes(), self.size, config.model_dump(), pure=False)
        future.add_done_callback(done)
        return future

    def finish(self, config: Config, ticket: Any) -> str | None:
        self.received += len(ticket.result())
        return None


def _bytes() -> Callable[..., bytes]:
    def content(size: int, fields: dict[str, Any]) -> bytes:
        import os

        return os.urandom(size)

    return content


@pytest.mark.parametrize(("size", "count"), [(SMALL, RUNS), (LARGE, 200)])
def test_ten_thousand_runs_at_the_scheduler(cluster: LocalCluster, size, count):
    for _ in range(2):
        cluster.worker()
    scheduler = psutil.Process(cluster.scheduler.pid)
    configs = {f"{seed}": Toy(seed=seed) for seed in range(count)}
    chains = _chains(TOY, configs)
    with Echo(cluster.address, TOY) as pool:
        pool.size = size
        wait_until(lambda: len(pool._client.nthreads()) == 2)
        before, cpu = scheduler.memory_info().rss, sum(scheduler.cpu_times()[:2])
        wall = time.perf_counter()
        assert not _compute_all(pool, chains, configs)
        wall = time.perf_counter() - wall
        cpu = sum(scheduler.cpu_times()[:2]) - cpu
        after = scheduler.memory_info().rss
        assert pool.received == count * size
    rate = WORKERS / (MINUTES * 60)
    load = f"{rate * size / 1e6:.2f} MB/s, {100 * rate * cpu / count:.2g}% of a core"
    print(
        f"\n{count:,} tasks of {size / 1e6:g} MB, {2 * WORKERS:,} at a time: {wall:.1f} s, "
        f"{count / wall:,.0f} tasks/s, {count * size / wall / 1e6:,.0f} MB/s; the scheduler took "
        f"{cpu:.1f} s CPU, {1e3 * cpu / count:.2f} ms each; its memory {before / 1e6:.0f} to "
        f"{after / 1e6:.0f} MB"
    )
    print(f"{WORKERS:,} workers at {MINUTES} minutes a run: {rate:.2f} tasks/s, {load}")
