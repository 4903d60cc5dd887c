"""A Dask cluster of real processes on this machine, and connections that can be cut."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import distributed

PATIENCE = 600.0
"""Seconds after which a test gives up, whatever it waits for."""
PROCESSES = multiprocessing.get_context("forkserver")
# The optimisers import the last when the first of them is made: seconds, in each process.
PROCESSES.set_forkserver_preload(
    ["tests.experiments.cluster", "hdlib.experiments.registry", "torch._dynamo"]
)


def wait_until(condition: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.02)


class LocalCluster:
    """A scheduler and its workers, each a process with a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._workers: list[LocalWorker] = []
        found = folder / "scheduler.json"
        words = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        with (folder / "scheduler.log").open("wb") as log:
            self.scheduler = subprocess.Popen(
                [sys.executable, "-m", "dask", "scheduler", *words, "--scheduler-file", str(found)],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_until(lambda: found.is_file() and found.read_text().endswith("}"))
        self.address: str = json.loads(found.read_text())["address"]

    def worker(
        self, *, address: str | None = None, change: Callable[[], None] | None = None
    ) -> LocalWorker:
        """Start a worker, which connects to the scheduler or to another address.

        Args:
            address: what it connects to.
            change: called in the process first.
        """
        folder = self.folder / f"worker{len(self._workers)}"
        folder.mkdir()
        self._workers.append(LocalWorker(folder, address or self.address, change))
        return self._workers[-1]

    def close(self) -> None:
        for worker in self._workers:
            worker.kill()
        self.scheduler.kill()
        self.scheduler.wait()


class LocalWorker:
    """A worker process, that no other starts again."""

    def __init__(self, folder: Path, address: str, change: Callable[[], None] | None) -> None:
        self.folder = folder
        self._process = PROCESSES.Process(target=_work, args=(folder, address, change))
        self._process.start()

    @property
    def trains(self) -> bool:
        """Whether it is in the middle of a training."""
        return any(self.folder.glob("work/**/history.parquet"))

    def kill(self) -> None:
        self._process.kill()
        self._process.join()


def _work(folder: Path, address: str, change: Callable[[], None] | None) -> None:
    with (folder / "log").open("wb") as log:
        for descriptor in (1, 2):
            os.dup2(log.fileno(), descriptor)
    os.environ["HDLIB_HOME"] = str(folder / "home")
    if change:
        change()

    async def serve() -> None:
        options: dict[str, Any] = {"nthreads": 1, "host": "127.0.0.1", "dashboard": False}
        async with distributed.Worker(
            address, local_directory=str(folder / "work"), **options
        ) as worker:
            await worker.finished()

    asyncio.run(serve())


class Proxy:
    """Hands on what is sent between whoever connects to it and an address, until it is cut."""

    def __init__(self, address: str) -> None:
        host, _, port = address.removeprefix("tcp://").rpartition(":")
        self._target = host, int(port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.address = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
                self._open += [near, far]
                for a, b in ((near, far), (far, near)):
                    Thread(target=self._hand_on, args=(a, b), daemon=True).start()

    @staticmethod
    def _hand_on(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while content := source.recv(1 << 16):
                sink.sendall(content)
            sink.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        """Close all connections, and let no other be made."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
