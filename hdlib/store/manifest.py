"""The manifest of a folder: one line for each fact, and each line with a sum of its own.

A line is JSON of one of three kinds. The header says which stage the folder is of; it is checked by
its key, which is the folder's name. ``environment`` lines say on what was computed. ``file`` lines
say what a file's sha256 is, what it was computed from, and where; a later line of a name replaces
an earlier one. Lines are appended, so a kill damages the last one at most, and a flipped bit that
which it is in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hdlib.atomic import append, write_atomically
from hdlib.store.formats import canonical

NAME = "manifest.jsonl"
FORMAT = 2
"""Version of what a folder holds; part of every key, so that another format is another folder."""
LARGEST = 64_000_000
"""Bytes of a manifest; a larger one is not read."""


@dataclass(frozen=True)
class Entry:
    """What is recorded of a file.

    Attributes:
        sha256: hexadecimal sum of its bytes.
        size: number of bytes.
        sources: sha256 of each file that it was computed from, by "stage/name".
        environment: position of the environment that it was computed in.
        timings: wall times that were measured on the way, in seconds.
        kept: False for a file that was dropped on purpose after it was used.
    """

    sha256: str
    size: int
    sources: Mapping[str, str] = field(default_factory=dict)
    environment: int | None = None
    timings: Mapping[str, float] = field(default_factory=dict)
    kept: bool = True


@dataclass
class Manifest:
    """What is recorded of a folder.

    Attributes:
        header: stage, its version, and the config fields and needed keys that its key is made of.
        entries: what is recorded of each file, by name.
        environments: where files were computed, in the order in which they were recorded.
        removed: names of files that were to be removed, and not recorded again.
        seconds: wall time of computing all files.
        damage: sentences about lines that are not what was written; "" for none.
    """

    header: dict[str, Any]
    entries: dict[str, Entry] = field(default_factory=dict)
    environments: list[dict[str, Any]] = field(default_factory=list)
    removed: set[str] = field(default_factory=set)
    seconds: float = 0.0
    damage: str = ""


def key_of(header: Mapping[str, Any]) -> str:
    """First 16 hexadecimal digits of the sha256 of a header, and of the format version."""
    text = canonical({"format": FORMAT, **header})
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read(folder: Path, header: Mapping[str, Any] | None = None) -> Manifest:
    """What the manifest in a folder records; what is damaged of it is left out, and told.

    A damaged line still vouches for the file whose sha256 it contains. What else it said of that
    file is not believed.

    Args:
        folder: named by its key.
        header: the header, where it is known; else it is read.

    Raises:
        OSError: if the manifest is there and cannot be read.
    """
    found = Manifest(dict(header) if header else {})
    path = folder / NAME
    if not path.is_file():
        if folder.is_dir() and any(folder.iterdir()):
            found.damage = f"{path} is missing"
        return found
    if path.stat().st_size > LARGEST:
        found.damage = f"{path} has {path.stat().st_size:,} bytes; at most {LARGEST:,} are read"
        return found
    torn: list[str] = []
    lines = path.read_bytes().decode("utf-8", errors="replace").split("\n")
    for line in lines[:-1] if lines[-1] == "" else lines:
        try:
            _take(found, _checked(line))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            torn.append(line)
    if key_of(found.header) != folder.name:
        torn.append("the header")
        found.header = dict(header) if header else {}
    if torn:
        found.damage = f"{path}: {len(torn)} of {len(lines)} lines are not what was written"
        _salvage(found, folder, torn)
    return found


def append_to(folder: Path, *records: Mapping[str, Any]) -> None:
    """Add lines to the manifest in a folder."""
    append(folder / NAME, "".join(f"{_line(record)}\n" for record in records).encode())


def write(folder: Path, manifest: Manifest) -> None:
    """Write a manifest in place of what is there, without lines that others replaced."""
    records = list(_records(manifest))
    write_atomically(folder / NAME, "".join(f"{_line(r)}\n" for r in records).encode())


def require_inside(name: str) -> None:
    """Refuse a name that leads out of a folder.

    Raises:
        ValueError: if it does.
    """
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError(f"{name} is outside of the folder")


def file_record(name: str, entry: Entry) -> dict[str, Any]:
    """The line of a file."""
    record: dict[str, Any] = {"file": name, "sha256": entry.sha256, "size": entry.size}
    if entry.sources:
        record["from"] = dict(entry.sources)
    if entry.environment is not None:
        record["environment"] = entry.environment
    if entry.timings:
        record["timings"] = dict(entry.timings)
    if not entry.kept:
        record["kept"] = False
    return record


def _records(manifest: Manifest) -> Iterator[dict[str, Any]]:
    yield {"header": manifest.header}
    for environment in manifest.environments:
        yield {"environment": environment}
    for name, entry in sorted(manifest.entries.items()):
        yield file_record(name, entry)
    if manifest.seconds:
        yield {"seconds": round(manifest.seconds, 3)}


def _take(manifest: Manifest, record: dict[str, Any]) -> None:
    """Add one record to what is known."""
    if "file" in record:
        name = str(record["file"])
        require_inside(name)
        if record.get("removed"):
            manifest.entries.pop(name, None)
            manifest.removed.add(name)
            return
        manifest.removed.discard(name)
        manifest.entries[name] = Entry(
            str(record["sha256"]),
            int(record["size"]),
            dict(record.get("from", {})),
            record.get("environment"),
            dict(record.get("timings", {})),
            bool(record.get("kept", True)),
        )
    elif "header" in record:
        manifest.header = dict(record["header"])
    elif "seconds" in record:
        manifest.seconds += float(record["seconds"])
    else:
        manifest.environments.append(dict(record["environment"]))


def _line(record: Mapping[str, Any]) -> str:
    text = canonical(record)
    return canonical({**record, "sum": hashlib.sha256(text.encode()).hexdigest()[:16]})


def _checked(line: str) -> dict[str, Any]:
    """The record of a line that is what was written."""
    record = json.loads(line)
    record.pop("sum")
    # Other digits may be the same number, and other escapes the same text.
    if _line(record) != line:
        raise ValueError("not what was written")
    return record


def _salvage(manifest: Manifest, folder: Path, torn: list[str]) -> None:
    """Record the files again for which damaged lines vouch."""
    text = "\n".join(torn)
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name == NAME or name in manifest.entries or not path.is_file():
            continue
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        # One flipped bit may be in the sum itself.
        if digest[:32] in text or digest[32:] in text:
            manifest.entries[name] = Entry(digest, len(content))
