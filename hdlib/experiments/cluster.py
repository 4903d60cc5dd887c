"""Where runs are computed side by side: by the workers of a Dask cluster.

A worker computes in a temporary folder of its own and gives the files back; see
`hdlib.store.parcel` for which. So no disk is shared, the worker's own store is not touched, and
data such as MNIST are its own. A worker that dies or loses its connection has its runs computed by
others: Dask's scheduler sees to that.

A cluster is trusted like this machine: Dask's client, scheduler and workers send each other
pickles. What comes back is checked by its sums and its keys against damage and mistakes, and not
against malice; no pickle is read from a store.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any, NamedTuple, Self

import torch

from hdlib.experiments.pool import Done, PoolError, told
from hdlib.store import ChangedError, Config, DamagedRunError, Experiment
from hdlib.store.parcel import Parcel, Sums, pack_results, pack_to_compute, unpack
from hdlib.store.record import record

log = logging.getLogger(__name__)

REFRESHED = 1.0
"""Seconds for which the number of workers is taken for known."""


class Order(NamedTuple):
    """What a worker is asked for, of built-in types alone.

    Attributes:
        experiment: name of the experiment.
        fields: fields of the config.
        versions: version of hdlib, and of each stage by its name.
        parcel: what there is of the run, plain.
    """

    experiment: str
    fields: dict[str, Any]
    versions: dict[str, str]
    parcel: list[Any]


class Computed(NamedTuple):
    """What a worker gives back.

    Attributes:
        parcel: what was computed, also where the run failed.
        failure: why it failed, in words; None where it is complete.
        folder: folder that it was computed in, which is no more.
    """

    parcel: Parcel
    failure: str | None
    folder: str


class RefusedWorkerError(Exception):
    """A worker that would compute something else than what is asked for."""


class DaskPool:
    """The workers of a Dask cluster, on which hdlib is installed; the scheduler needs Dask alone.

    A worker computes one run at a time, in one thread.

    Args:
        address: address of the scheduler, as in "tcp://scheduler:8786".
        experiment: whose runs are computed.

    Raises:
        PoolError: if Dask is not installed.
        OSError: if there is no scheduler at the address.
        ValueError: if it is no address.
    """

    def __init__(self, address: str, experiment: Experiment[Any]) -> None:
        try:
            from dask import config
            from distributed import Client
            from distributed.comm.addressing import parse_address, parse_host_port
        except ImportError as error:
            raise PoolError(
                "--cluster wants Dask, which is not installed: pip install 'hdlib[cluster]'"
            ) from error
        # The client would wait for a minute before it says so.
        parse_host_port(parse_address(address)[1])
        # What a run goes on from goes along with it, and may be large.
        config.set({"distributed.admin.large-graph-warning-threshold": "1 GiB"})
        self._experiment, self._address = experiment, address
        self._client: Any = Client(address, set_as_default=False)
        self._given: dict[object, Sums] = {}
        self._workers, self._looked = 0, -REFRESHED
        if any(threads > 1 for threads in self._client.nthreads().values()):
            log.warning(
                "a worker computes one run at a time, however many threads it has: start it with "
                "--nthreads 1, and as many --nworkers as there are cores"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._client.close()

    def room(self) -> int:
        if time.monotonic() - self._looked >= REFRESHED:
            self._workers = len(self._client.nthreads())
            self._looked = time.monotonic()
        return 2 * max(1, self._workers)

    def submit(self, config: Config, done: Done) -> object:
        parcel = pack_to_compute(self._experiment.open(config))
        versions = _versions(self._experiment)
        order = Order(config.experiment, config.model_dump(), versions, parcel.plain())
        # The scheduler unpickles what it hands on: this function goes by its code, not its module.
        future = self._client.submit(_by_code(), *order, pure=False)
        self._given[future] = parcel.sums
        future.add_done_callback(done)
        return future

    def finish(self, config: Config, ticket: Any) -> str | None:
        given = self._given.pop(ticket)
        try:
            outcome: Computed = ticket.result()
        except RefusedWorkerError as error:
            raise PoolError(str(error)) from error
        except BaseException as error:
            if ticket.status in ("cancelled", "lost"):
                raise PoolError(
                    f"the connection to {self._address} was lost; what came back is kept: run it "
                    "again to go on"
                ) from error
            if not isinstance(error, Exception):
                raise
            return told(error)
        run = self._experiment.open(config)
        try:
            unpack(outcome.parcel, run, given=given)
        except (ChangedError, DamagedRunError, OSError) as error:
            return told(error)
        if outcome.failure is not None:
            return outcome.failure.replace(outcome.folder, str(run.roots[-1]))
        if not run.complete:
            return "another process changed the run meanwhile; run it again"
        record(run)
        return None


def _by_code() -> Callable[..., Computed]:
    def compute_run(*order: Any) -> Any:
        from hdlib.experiments import cluster

        return cluster.compute_order(cluster.Order(*order))

    return compute_run


_ONE_AT_A_TIME = Lock()
"""Runs draw from the random numbers, and set the threads, of their process."""


def compute_order(order: Order) -> Computed:
    """Compute a run in a folder of its own; called on a worker."""
    from distributed import get_worker

    from hdlib.experiments.registry import REGISTRY

    worker = get_worker()
    _require_same(order, worker.address)
    experiment = REGISTRY[order.experiment]
    with _ONE_AT_A_TIME, TemporaryDirectory(dir=worker.local_directory) as folder:
        torch.set_num_threads(1)
        root, failure = Path(folder), None
        config, parcel = experiment.config(**order.fields), Parcel.of_plain(order.parcel)
        unpack(parcel, experiment.open(config, root=root))
        try:
            experiment.run(config, root=root)
        except Exception as error:
            failure = told(error)
        computed = experiment.open(config, root=root)
        return Computed(pack_results(computed, given=parcel.sums), failure, folder)


def _versions(experiment: Experiment[Any]) -> dict[str, str]:
    """Of hdlib, and of each stage of an experiment by its name."""
    stages = {stage.name: str(stage.version) for stage in experiment.stages}
    return {"hdlib": version("hdlib"), **stages}


def _require_same(order: Order, address: str) -> None:
    from hdlib.experiments.registry import REGISTRY

    try:
        own = _versions(REGISTRY[order.experiment])
    except ValueError as error:
        raise RefusedWorkerError(f"the worker at {address}: {error}") from error
    apart = [
        f"{name} {own.get(name, 'none')} instead of {asked}"
        for name, asked in order.versions.items()
        if own.get(name) != asked
    ]
    if apart:
        raise RefusedWorkerError(
            f"the worker at {address} has {', '.join(apart)}; install the same hdlib on all"
        )
