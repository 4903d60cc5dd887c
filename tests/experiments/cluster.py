"""A Dask cluster of real processes on this machine, and connections that can be cut."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread

PATIENCE = 90.0
"""Seconds after which a test gives up, whatever it waits for."""


def wait_until(condition: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.02)


class LocalCluster:
    """A scheduler and its workers, each a process with a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._processes: list[subprocess.Popen] = []
        found = folder / "scheduler.json"
        self._start("scheduler", "--scheduler-file", str(found))
        wait_until(lambda: found.is_file() and found.read_text().endswith("}"))
        self.address: str = json.loads(found.read_text())["address"]

    def _start(self, kind: str, *words: str, home: Path | None = None) -> subprocess.Popen:
        log = (self.folder / f"{len(self._processes)}.log").open("wb")
        common = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", kind, *words, *(common if kind == "scheduler" else ())],
            env=os.environ | {"HDLIB_HOME": str(home or self.folder), "OMP_NUM_THREADS": "1"},
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
        log.close()
        self._processes.append(process)
        return process

    def worker(self, *, address: str | None = None, preload: str = "") -> Worker:
        """Start a worker, which connects to the scheduler or to another address.

        Args:
            address: what it connects to.
            preload: Python that it runs first.
        """
        folder = self.folder / f"worker{len(self._processes)}"
        folder.mkdir()
        script = folder / "preload.py"
        script.write_text(f"from hdlib.experiments import cluster\n{preload}\n")
        words = (
            *("--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1"),
            *("--local-directory", str(folder / "work"), "--preload", str(script)),
        )
        home = folder / "home"
        return Worker(self._start("worker", address or self.address, *words, home=home), folder)

    def close(self) -> None:
        for process in reversed(self._processes):
            process.kill()
            process.wait()


class Worker:
    """A worker process."""

    def __init__(self, process: subprocess.Popen, folder: Path) -> None:
        self.process = process
        self.folder = folder

    @property
    def trains(self) -> bool:
        """Whether it is in the middle of a training."""
        return any(self.folder.glob("work/**/history.parquet"))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


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
