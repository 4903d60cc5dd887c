"""Which configs were run: a small file each, so that runs can be listed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hdlib.atomic import write_atomically
from hdlib.store.folder import DamagedRunError
from hdlib.store.formats import canonical
from hdlib.store.lock import holding
from hdlib.store.run import Run

LARGEST = 100_000
"""Bytes of a record; a larger file is none."""


def record(run: Run[Any]) -> None:
    """Keep the config of a run, unless it is kept already, for whatever device."""
    name = Path(run.config.experiment, "runs", f"{run.key}.json")
    fields = run.config.model_dump()
    known = (_config(root / name) for root in run.roots)
    if not any(config and config | {"device": fields["device"]} == fields for config in known):
        body = {"experiment": run.config.experiment, "config": fields}
        body["sha256"] = _sum(body)
        path = run.roots[-1] / name
        with holding(path.parent):
            write_atomically(path, (json.dumps(body, indent=2) + "\n").encode())


def records(roots: Sequence[Path]) -> Iterator[Path]:
    """Files of all runs, of each root in its turn."""
    for root in roots:
        yield from sorted(root.glob("*/runs/*.json"))


def read_record(path: Path) -> tuple[str, dict[str, Any]]:
    """Experiment and config fields of a run.

    Raises:
        DamagedRunError: if the file is missing, too large, unreadable or altered.
    """
    try:
        if not path.is_file():
            raise ValueError("there is no such file")
        if (size := path.stat().st_size) > LARGEST:
            raise ValueError(f"{size:,} bytes; at most {LARGEST:,} are read")
        body = json.loads(path.read_bytes())
        if body.pop("sha256") != _sum(body):
            raise ValueError("its content does not have the sum that it records")
        return str(body["experiment"]), dict(body["config"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedRunError(f"{path} is no record of a run: {error}") from error


def _config(path: Path) -> dict[str, Any] | None:
    try:
        return read_record(path)[1]
    except DamagedRunError:
        return None


def _sum(body: dict[str, Any]) -> str:
    return hashlib.sha256(canonical(body).encode()).hexdigest()
