"""The run store: what was computed from a config, found by that config and by nothing else.

A run is the folder ``<root>/<experiment>/<key>/``. A file in it counts only if the manifest has its
sha256 and it matches, so a killed, truncated or altered file is the same as a missing one: it is
computed again.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import safetensors.torch
import torch
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from platformdirs import user_cache_path
from torch import Tensor

from hdlib.atomic import TEMPORARY, write_atomically
from hdlib.config import FORMAT, Config
from hdlib.environment import environment

log = logging.getLogger(__name__)

C = TypeVar("C", bound=Config)

MANIFEST = "manifest.json"
PUBLISHED = Path(__file__).parent.parent / "data"
SOURCE = "checkpoint_sha256"
"""Of the weights, among the arrays that are computed from them."""


class DamagedRunError(Exception):
    """Files of a run do not have the sha256 that its manifest gives, or are missing."""


def home() -> Path:
    """Where new runs are kept: ``$HDLIB_HOME/runs``, by default in the user's cache folder."""
    return Path(os.environ.get("HDLIB_HOME") or user_cache_path("hdlib")) / "runs"


def roots() -> list[Path]:
    """Where runs are looked for, in order: published ones, then the user's own."""
    return [PUBLISHED, home()]


class Run(Generic[C]):
    """A run of one config.

    Attributes:
        config: the config; its key names the folder.
        path: the folder, which may not exist yet.
    """

    def __init__(self, config: C, root: Path) -> None:
        self.config = config
        self.path = root / config.experiment / config.key

    @classmethod
    def of(cls, config: C) -> Run[C]:
        """The run of ``config`` in the first root that has it, else a new one in `home`."""
        for root in roots():
            run = cls(config, root)
            if run._manifest_path.is_file():
                return run
        return cls(config, home())

    @property
    def _manifest_path(self) -> Path:
        return self.path / MANIFEST

    @property
    def manifest(self) -> dict[str, Any]:
        """What is known of the run: file sums, environment, wall times; empty for a new run."""
        if not self._manifest_path.is_file():
            return {}
        try:
            return json.loads(self._manifest_path.read_text())
        except ValueError as error:
            raise DamagedRunError(
                f"{self._manifest_path} is unreadable: {error}; delete it, and the run is computed "
                "anew"
            ) from error

    @property
    def files(self) -> dict[str, str]:
        """sha256 by file name, as recorded."""
        return self.manifest.get("files", {})

    def steps(self, folder: str) -> list[int]:
        """Checkpoints of which there is a file ``<folder>/step_<number>.…``, ascending."""
        names = [Path(name) for name in self.files if name.startswith(f"{folder}/")]
        return sorted(int(name.stem.rpartition("_")[2]) for name in names)

    def has(self, name: str) -> bool:
        """Whether file ``name`` is there and is what was recorded."""
        path = self.path / name
        return path.is_file() and self.files.get(name) == _sha256(path)

    def damaged(self) -> list[str]:
        """Names of recorded files that are missing or altered."""
        return [name for name in self.files if not self.has(name)]

    def tensors(self, name: str) -> dict[str, Tensor]:
        """Read a safetensors file.

        Raises:
            DamagedRunError: if the file is missing or altered.
        """
        return safetensors.torch.load(self._read(name))

    def arrays(self, name: str) -> dict[str, NDArray]:
        """Read a safetensors file as NumPy arrays; raises as `tensors` does."""
        return {key: tensor.numpy() for key, tensor in self.tensors(name).items()}

    def table(self, name: str) -> dict[str, NDArray]:
        """Read a Parquet file as a NumPy array for each column; raises as `tensors` does."""
        table = pq.read_table(io.BytesIO(self._read(name)))
        return {column: table[column].to_numpy() for column in table.column_names}

    def _read(self, name: str) -> bytes:
        if not self.has(name):
            raise DamagedRunError(
                f"{self.path / name} is missing or altered; run it again to repair it"
            )
        return (self.path / name).read_bytes()

    def write_tensors(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Write a safetensors file."""
        still = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
        self._write(name, safetensors.torch.save(still))

    def write_arrays(self, name: str, arrays: Mapping[str, NDArray]) -> None:
        """Write NumPy arrays as a safetensors file."""
        self.write_tensors(name, {key: torch.tensor(value) for key, value in arrays.items()})

    def write_table(self, name: str, columns: Mapping[str, NDArray]) -> None:
        """Write columns of one length as a Parquet file."""
        buffer = io.BytesIO()
        pq.write_table(pa.table({key: pa.array(value) for key, value in columns.items()}), buffer)
        self._write(name, buffer.getvalue())

    def keep_arrays(
        self,
        name: str,
        compute: Callable[[], Mapping[str, NDArray]],
        *,
        weights: str,
        stage: str,
    ) -> None:
        """Compute and write arrays, unless the file is there and belongs to these weights.

        Args:
            name: of the file; the sum of the weights is kept in it.
            compute: gives the arrays.
            weights: sha256 of the checkpoint that they are computed from.
            stage: that the wall time is added to.
        """
        if self.holds(name, weights=weights):
            return
        started = time.monotonic()
        source = np.frombuffer(bytes.fromhex(weights), np.uint8)
        self.write_arrays(name, {**compute(), SOURCE: source})
        self.add_seconds(stage, time.monotonic() - started)

    def holds(self, name: str, *, weights: str) -> bool:
        """Whether the arrays are there and belong to these weights, given by their sha256."""
        return self.has(name) and self.arrays(name)[SOURCE].tobytes().hex() == weights

    def remove(self, name: str) -> None:
        """Remove a file and its record."""
        manifest = self.manifest
        if manifest.get("files", {}).pop(name, None):
            self._write_manifest(manifest)
        (self.path / name).unlink(missing_ok=True)

    def add_seconds(self, stage: str, seconds: float) -> None:
        """Add to the wall time of a stage."""
        manifest = self.manifest
        times = manifest.setdefault("seconds", {})
        times[stage] = round(times.get(stage, 0.0) + seconds, 3)
        self._write_manifest(manifest)

    def record_seconds(self, what: str, seconds: float) -> None:
        """Keep the wall time of one computation, in place of an earlier one."""
        manifest = self.manifest
        manifest.setdefault("seconds", {})[what] = round(seconds, 2)
        self._write_manifest(manifest)

    def finish(self) -> None:
        """Record that everything the config asks for was computed."""
        self._write_manifest(self.manifest | {"complete": True})

    @property
    def complete(self) -> bool:
        """Whether the run was finished and every file is what was recorded."""
        return self.manifest.get("complete", False) and not self.damaged()

    @contextmanager
    def writing(self, device: torch.device) -> Iterator[None]:
        """Hold the run for writing; a second process waits here until the first has ended.

        Temporary files of a process that was killed are removed, the config is written, and the
        environment recorded. A run that is complete stays so, as the first process may have
        completed it meanwhile, until something is written into it.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path.with_suffix(".lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log.warning("waiting for another process that computes %s", self.path)
            lock.acquire()
        try:
            for leftover in self.path.rglob(f"{TEMPORARY}*"):
                leftover.unlink()
            if self.complete:
                yield
                return
            manifest = {"format": FORMAT, "experiment": self.config.experiment} | self.manifest
            self._write_manifest(manifest | {"environment": environment(device), "complete": False})
            config = json.dumps(self.config.model_dump(), indent=2) + "\n"
            self._write("config.json", config.encode())
            yield
        finally:
            lock.release()

    def _write(self, name: str, content: bytes) -> None:
        write_atomically(self.path / name, content)
        manifest = self.manifest
        manifest.setdefault("files", {})[name] = hashlib.sha256(content).hexdigest()
        self._write_manifest(manifest | {"complete": False})

    def _write_manifest(self, manifest: dict[str, Any]) -> None:
        manifest["files"] = dict(sorted(manifest.get("files", {}).items()))
        write_atomically(self._manifest_path, (json.dumps(manifest, indent=2) + "\n").encode())


def find_runs() -> list[Path]:
    """Folders of all runs in all roots."""
    return [path.parent for root in roots() for path in sorted(root.glob(f"*/*/{MANIFEST}"))]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
