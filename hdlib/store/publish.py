"""Publishing a run: its files where the repository keeps them, small enough for git."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hdlib.store.environment import environment
from hdlib.store.folder import DamagedRunError, Folder
from hdlib.store.places import PUBLISHED
from hdlib.store.record import record
from hdlib.store.run import Run


def publish(run: Run[Any], *, root: Path = PUBLISHED) -> list[Path]:
    """Copy what is kept of a complete run below ``root``; record of the rest that it was dropped.

    Args:
        run: complete run.
        root: folder of published runs.

    Returns:
        The folder of each stage that has files.

    Raises:
        DamagedRunError: if the run is not complete.
        OSError: if a file cannot be written.
    """
    if not run.complete:
        raise DamagedRunError(f"{run.config.experiment}/{run.key} is not complete; run it first")
    folders = []
    for stage in run.stages:
        stored = run.stored(stage)
        folder = Folder(root / stage.name / stored.key, stage.header(run.config))
        kept = set(stage.published(run))
        if not kept and not stored.names():
            continue
        computed = [f for f in stored.folders if f.path != folder.path]
        with folder.writing():
            # What they have of the files here was published from there, and its time with it.
            again = any(set(folder.entries) & set(f.entries) for f in computed)
            for name in dict.fromkeys([*stage.published(run), *stored.recorded()]):
                entry, before = stored.entry(name), folder.entries.get(name)
                if entry is None or (before and before.kept and before.sha256 == entry.sha256):
                    continue
                if name in kept and entry.kept:
                    folder.write(
                        name,
                        stored.read(name),
                        sources=entry.sources,
                        environment=stored.environment_of(name) or environment(run.device),
                        timings=entry.timings,
                    )
                elif before is None:
                    folder.record_dropped(name, entry)
            seconds = sum(f.manifest.seconds for f in computed)
            folder.add_seconds(max(0.0, seconds - folder.manifest.seconds * again))
        folders.append(folder.path)
    record(Run(run.config, run.stages, [root]))
    return folders
