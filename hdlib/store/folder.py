"""A folder of files of which the sha256 is recorded."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from hdlib.store import manifest as manifests
from hdlib.atomic import TEMPORARY, write_atomically
from hdlib.store.manifest import Entry, Manifest

log = logging.getLogger(__name__)


class DamagedRunError(Exception):
    """A file does not have the sha256 that is recorded of it, is no such file, or is missing."""


class Folder:
    """Files of one key below one root.

    A file counts only if it is recorded and its sha256 is the recorded one; so a killed, truncated
    or altered file is the same as a missing one.

    Attributes:
        path: the folder, which may not exist yet; its name is the key.
    """

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        self.path = path
        self._header = header
        self._manifest: Manifest | None = None
        self._whole: set[str] = set()

    @property
    def manifest(self) -> Manifest:
        """What is recorded; read once."""
        if self._manifest is None:
            self._manifest = manifests.read(self.path, self._header)
        return self._manifest

    @property
    def entries(self) -> dict[str, Entry]:
        """What is recorded of each file, by name."""
        return self.manifest.entries

    @property
    def writable(self) -> bool:
        """Whether files can be written here, as far as permissions tell."""
        return os.access(self.path, os.W_OK)

    def present(self, name: str) -> bool:
        """Whether a file is recorded and there, with as many bytes; its content is not read."""
        entry, path = self.entries.get(name), self.path / name
        return entry is not None and path.is_file() and path.stat().st_size == entry.size

    def has(self, name: str) -> bool:
        """Whether a file is there and is what was recorded; looked at once."""
        if name not in self._whole and self.present(name):
            with (self.path / name).open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() == self.entries[name].sha256:
                    self._whole.add(name)
        return name in self._whole

    def read(self, name: str) -> bytes:
        """The bytes of a file.

        Raises:
            DamagedRunError: if it is missing or altered.
        """
        entry, path = self.entries.get(name), self.path / name
        content = path.read_bytes() if entry is not None and path.is_file() else None
        if entry is None or content is None or sha256_of(content) != entry.sha256:
            raise DamagedRunError(f"{path} is missing or altered; run it again to repair it")
        return content

    def damaged(self) -> list[str]:
        """Names of recorded files that are missing or altered."""
        return [name for name, entry in self.entries.items() if entry.kept and not self.has(name)]

    def write(
        self,
        name: str,
        content: bytes,
        *,
        sources: Mapping[str, str],
        environment: Mapping[str, Any],
        timings: Mapping[str, float],
    ) -> None:
        """Write a file and record it; the folder must be held by `writing`."""
        write_atomically(self.path / name, content)
        known, records = self.manifest.environments, []
        if dict(environment) not in known:
            records.append({"environment": dict(environment)})
            known.append(dict(environment))
        position = known.index(dict(environment))
        entry = Entry(sha256_of(content), len(content), dict(sources), position, dict(timings))
        self.entries[name] = entry
        manifests.append_to(self.path, *records, manifests.file_record(name, entry))
        self._whole.add(name)

    def remove(self, name: str) -> None:
        """Remove a file and its record."""
        if self.entries.pop(name, None):
            manifests.append_to(self.path, {"file": name, "removed": True})
        (self.path / name).unlink(missing_ok=True)
        self._whole.discard(name)

    def drop(self, name: str) -> None:
        """Remove a file, and keep what is recorded of it."""
        entry = replace(self.entries[name], kept=False)
        self.entries[name] = entry
        manifests.append_to(self.path, manifests.file_record(name, entry))
        (self.path / name).unlink(missing_ok=True)
        self._whole.discard(name)

    def add_seconds(self, seconds: float) -> None:
        """Add to the wall time of computing all files."""
        self.manifest.seconds += seconds
        manifests.append_to(self.path, {"seconds": round(seconds, 3)})

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the folder for writing; a second process waits here until the first has ended.

        What the first one recorded is seen then. Temporary files of a process that was killed are
        removed, and a damaged manifest is written anew from what could be saved of it.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path.with_suffix(".lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log.warning("waiting for another process that computes %s", self.path)
            lock.acquire()
        try:
            self._manifest = None
            self._whole.clear()
            for leftover in self.path.rglob(f"{TEMPORARY}*"):
                leftover.unlink()
            if self.manifest.damage:
                log.warning("%s; what it vouches for is kept", self.manifest.damage)
                self.manifest.damage = ""
                manifests.write(self.path, self.manifest)
            elif not (self.path / manifests.NAME).exists():
                self.path.mkdir(exist_ok=True)
                manifests.append_to(self.path, {"header": dict(self._header)})
            yield
            if lines_replaced(self):
                manifests.write(self.path, self.manifest)
        finally:
            lock.release()


def lines_replaced(folder: Folder) -> bool:
    """Whether a manifest has lines that later ones replaced."""
    lines = (folder.path / manifests.NAME).read_bytes().count(b"\n")
    found = folder.manifest
    return lines > 1 + len(found.environments) + len(found.entries) + bool(found.seconds)


def sha256_of(content: bytes) -> str:
    """Hexadecimal sha256."""
    return hashlib.sha256(content).hexdigest()
