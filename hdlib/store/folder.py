"""A folder of files of which the sha256 is recorded."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hdlib.atomic import write_atomically
from hdlib.store import manifest as manifests
from hdlib.store.lock import abandoned, holding
from hdlib.store.manifest import Entry, Manifest

log = logging.getLogger(__name__)

Stamp = tuple[int, ...]


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
        self._read: Stamp = ()
        self._whole: dict[str, tuple[str, Stamp]] = {}

    @property
    def manifest(self) -> Manifest:
        """What is recorded; read again when it was written."""
        now = _stamp(self.path / manifests.NAME)
        if self._manifest is None or self._read != now:
            self._manifest = manifests.read(self.path, self._header)
            self._read = now
        return self._manifest

    @property
    def entries(self) -> dict[str, Entry]:
        """What is recorded of each file, by name."""
        return self.manifest.entries

    @property
    def writable(self) -> bool:
        """Whether files can be written here, as far as permissions tell."""
        return os.access(self.path, os.W_OK)

    @property
    def mendable(self) -> bool:
        """Whether holding it for writing would mend its manifest, or remove unfinished files."""
        left = any((self.path / name).exists() for name in self.manifest.removed)
        return self.writable and (left or bool(self.manifest.damage) or abandoned(self.path))

    def present(self, name: str) -> bool:
        """Whether a file is recorded and there, with as many bytes; its content is not read."""
        entry, path = self.entries.get(name), self.path / name
        return entry is not None and path.is_file() and path.stat().st_size == entry.size

    def has(self, name: str) -> bool:
        """Whether a file is there and is what was recorded; looked at once."""
        if not self.present(name):
            return False
        sha256, path = self.entries[name].sha256, self.path / name
        seen = sha256, _stamp(path)
        if self._whole.get(name) != seen:
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                    return False
            self._whole[name] = seen
        return True

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
        self._append(*records, manifests.file_record(name, entry))
        self._whole[name] = entry.sha256, _stamp(self.path / name)

    def remove(self, name: str) -> None:
        """Remove a file and its record; who holds the folder next does it where this is cut off."""
        if self.entries.pop(name, None):
            self._append({"file": name, "removed": True})
        (self.path / name).unlink(missing_ok=True)

    def record_dropped(self, name: str, entry: Entry) -> None:
        """Record a file that is not kept, so that it is known if it is computed again."""
        self.entries[name] = dropped = Entry(entry.sha256, entry.size, kept=False)
        self._append(manifests.file_record(name, dropped))

    def add_seconds(self, seconds: float) -> None:
        """Add to the wall time of computing all files."""
        self.manifest.seconds += seconds
        self._append({"seconds": round(seconds, 3)})

    def _append(self, *records: Mapping[str, Any]) -> None:
        manifests.append_to(self.path, *records)
        self._read = _stamp(self.path / manifests.NAME)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the folder for writing, as `hdlib.store.lock.holding` does.

        What another process recorded meanwhile is seen then, and a damaged manifest is written anew
        from what could be saved of it.
        """
        with holding(self.path):
            self._manifest = None
            self._whole.clear()
            started = _stamp(self.path / manifests.NAME)
            if self.manifest.damage:
                log.warning("%s; what it vouches for is kept", self.manifest.damage)
                self.manifest.damage = ""
                manifests.write(self.path, self.manifest)
            elif not self._read:
                self.path.mkdir(exist_ok=True)
                self._append({"header": dict(self._header)})
            for name in self.manifest.removed:
                (self.path / name).unlink(missing_ok=True)
            yield
            if self._read != started:
                manifests.write(self.path, self.manifest)


def _stamp(path: Path) -> Stamp:
    """What changes when a file is written; empty where it is not there, or a link to itself."""
    try:
        found = path.stat()
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ELOOP):
            raise
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns


def sha256_of(content: bytes) -> str:
    """Hexadecimal sha256."""
    return hashlib.sha256(content).hexdigest()
