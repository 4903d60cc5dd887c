"""Checking what is stored: every sum, and what is recomputed from what it was computed from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hdlib.atomic import TEMPORARY
from hdlib.store import manifest as manifests
from hdlib.store.folder import DamagedRunError, Folder
from hdlib.store.registry import Registry
from hdlib.store.run import Run
from hdlib.store.stage import CannotRecomputeError, Item, Stage


class Finding(NamedTuple):
    """What a check came to.

    Attributes:
        sentence: what was looked at, and what was found.
        fault: whether something is wrong.
    """

    sentence: str
    fault: bool


def check_folders(roots: Sequence[Path]) -> Iterator[Finding]:
    """Every folder of files below some roots: each sum, and each manifest.

    What has no manifest, cannot be read or is not where it belongs is told, and all else is
    checked.
    """
    for root in roots:
        if root.is_dir():
            yield from _check_below(root, depth=3)


def _check_below(path: Path, *, depth: int) -> Iterator[Finding]:
    """The folders of files that are so many folders further down."""
    try:
        if depth == 0:
            yield from _check_folder(path)
            return
        for found in sorted(path.iterdir()):
            if found.is_dir():
                yield from _check_below(found, depth=depth - 1)
            elif found.suffix != ".lock" and (path.name, found.suffix) != ("runs", ".json"):
                yield _unknown(found)
    except OSError as error:
        yield Finding(f"{path} cannot be read: {error}", True)


def _check_folder(path: Path) -> Iterator[Finding]:
    folder = Folder(path, {})
    if damage := folder.manifest.damage:
        yield Finding(damage, True)
    for name in (name for name, entry in folder.entries.items() if entry.kept):
        try:
            if not folder.has(name):
                yield Finding(f"{path / name}: missing or altered", True)
        except OSError as error:
            yield Finding(f"{path / name} cannot be read: {error}", True)
    for found in sorted(path.rglob("*")):
        name = found.relative_to(path).as_posix()
        known = (manifests.NAME, *folder.entries, *folder.manifest.removed)
        if not found.is_dir() and name not in known:
            yield _unknown(found)


def _unknown(path: Path) -> Finding:
    if path.name.startswith(TEMPORARY):
        return Finding(f"{path}: left by a process that was killed, or at work", False)
    return Finding(f"{path}: not recorded", True)


def check_records(registry: Registry) -> Iterator[Finding]:
    """The record of every run, which without it is not looked at."""
    for path in registry.records():
        try:
            registry.open(path)
        except (DamagedRunError, OSError) as error:
            yield Finding(str(error), True)


def check_run(run: Run[Any], *, items: str | int) -> Iterator[Finding]:
    """What a run has: its sums, and all that is recomputed from what it was computed from.

    Args:
        run: run, complete or not.
        items: "last" for the last item of each stage that can be recomputed, "all" for all, or the
            step of a checkpoint.
    """
    yield from _check_files(run)
    try:
        yield from _missing(run)
    except (DamagedRunError, OSError) as error:
        yield Finding(f"{title(run)}: {error}", True)
    steps: set[Item] = set()
    for stage in run.stages:
        try:
            found = stage.checked(run)
        except (DamagedRunError, OSError) as error:
            yield Finding(f"{title(run)}: {error}", True)
            continue
        steps.update(map(_step, found))
        if isinstance(items, int):
            found = [item for item in found if items in (item, _step(item))]
        chosen = list(reversed(found))
        yield from _check_items(run, stage, chosen, all_of_them=items != "last")
    if isinstance(items, int) and items not in steps:
        known = ", ".join(map(str, sorted(s for s in steps if isinstance(s, int)))) or "none"
        yield Finding(f"{title(run)}: no checkpoint at step {items}; there are: {known}", True)


def _missing(run: Run[Any]) -> Iterator[Finding]:
    """Whether all that a run asks for is there."""
    missing = {stage.name: len(names) for stage, names in run.missing()}
    if missing:
        words = ", ".join(f"{count} of {name}" for name, count in missing.items())
        yield Finding(f"{title(run)}: files are missing ({words}); run it again", True)


def _check_files(run: Run[Any]) -> Iterator[Finding]:
    """The manifests and sums of a run, and how many files it has."""
    count = 0
    for stored in map(run.stored, run.stages):
        try:
            for damage in stored.damage():
                yield Finding(damage, True)
            for path in stored.damaged():
                yield Finding(f"{path}: missing or altered", True)
            count += len(stored.names())
        except OSError as error:
            yield Finding(f"{title(run)}: {error}", True)
    yield Finding(f"{title(run)}: {count} files", False)


def _check_items(
    run: Run[Any], stage: Stage, items: Sequence[Item], *, all_of_them: bool
) -> Iterator[Finding]:
    """Recompute the first of these that can be, or all."""
    gone = 0
    for item in items:
        try:
            agreements = stage.check(run, item)
        except CannotRecomputeError:
            gone += 1
            continue
        except (DamagedRunError, OSError, ValueError, ArithmeticError) as error:
            yield Finding(f"{title(run)}, {stage.name} at {item}: {error}", True)
            continue
        for what, error, allowed in agreements:
            agrees = error <= allowed
            yield Finding(
                f"{title(run)}, {stage.name} at {item}: {what} "
                f"{'agree' if agrees else 'DISAGREE'} to {error:.1e} ({allowed:.0e} allowed)",
                not agrees,
            )
        if not all_of_them:
            break
    if gone and (all_of_them or gone == len(items)):
        yield Finding(
            f"{title(run)}, {stage.name}: {gone} of {len(items)} cannot be recomputed: what "
            "they were computed from is not kept",
            False,
        )


def title(run: Run[Any]) -> str:
    """Experiment and key of a run."""
    return f"{run.config.experiment}/{run.key}"


def _step(item: Item) -> Item:
    return item[0] if isinstance(item, tuple) else item
