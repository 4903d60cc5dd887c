"""Files of a run on their way to another machine, and back.

What goes there is what the run goes on from: its history and last state, the files that it has of
all other stages, and those that the missing ones are computed from. Of weights that nobody reads
only the sums go along, so that they are not computed again.

What comes back is all that a complete run consists of, but for what was sent: history, weights at
each checkpoint, files of all stages; and the last state, so that the run can be extended. States at
earlier checkpoints stay behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from hdlib.store.folder import DamagedRunError, sha256_of
from hdlib.store.manifest import Entry, require_inside
from hdlib.store.run import Run
from hdlib.store.stage import Stage
from hdlib.store.stored import Stored

Sums = Mapping[tuple[str, str], str]
"""Sha256 of files, by stage and name."""


class PackedFile(NamedTuple):
    """A file, and what is recorded of it.

    Attributes:
        stage: name of its stage.
        name: its name.
        entry: its record, but for the environment.
        environment: record of what it was computed on; None where that is not known any more.
        content: its bytes; None where it is not sent, or was dropped.
    """

    stage: str
    name: str
    entry: Entry
    environment: Mapping[str, Any] | None
    content: bytes | None


class Parcel(NamedTuple):
    """Files of a run.

    Attributes:
        keys: key of each stage, by its name.
        files: files, in the order in which they are written.
        seconds: wall time of computing, by stage.
        removed: stage and name of files that others superseded, such as an earlier last state.
    """

    keys: Mapping[str, str]
    files: tuple[PackedFile, ...]
    seconds: Mapping[str, float]
    removed: tuple[tuple[str, str], ...] = ()

    def plain(self) -> list[Any]:
        """The same of built-in types alone, so that who hands it on needs nothing of hdlib."""
        files = [(f.stage, f.name, asdict(f.entry), f.environment, f.content) for f in self.files]
        return [dict(self.keys), files, dict(self.seconds), list(self.removed)]

    @classmethod
    def of_plain(cls, plain: Sequence[Any]) -> Parcel:
        """The parcel that `plain` gave."""
        keys, files, seconds, removed = plain
        packed = [PackedFile(s, name, Entry(**entry), *rest) for s, name, entry, *rest in files]
        return cls(keys, tuple(packed), seconds, tuple(removed))

    @property
    def sums(self) -> Sums:
        """Sums of its files."""
        return {(file.stage, file.name): file.entry.sha256 for file in self.files}


def stage_keys(run: Run[Any]) -> dict[str, str]:
    """Key of each stage of a run, by its name."""
    return {stage.name: run.stored(stage).key for stage in run.stages}


def pack_to_compute(run: Run[Any]) -> Parcel:
    """What another machine needs to compute what is missing of a run.

    Raises:
        DamagedRunError: if a file was altered meanwhile.
    """
    read = {
        (source.name, name)
        for stage, names in run.missing()
        for source, name in stage.sources(run, names)
    }
    files = []
    for stage in run.stages:
        whole = {*stage.essential(run), *(name for source, name in read if source == stage.name)}
        for name in dict.fromkeys([*stage.files(run), *sorted(whole)]):
            files += _packed(run, stage, name, with_content=name in whole)
    return Parcel(stage_keys(run), tuple(files), {})


def pack_results(run: Run[Any], *, given: Sums) -> Parcel:
    """What was computed of a run.

    Args:
        run: complete run, or what there is of it.
        given: sums of the files that were there before, which are left out.

    Raises:
        DamagedRunError: if a file was altered meanwhile.
    """
    files = [
        file
        for stage in run.stages
        for name in stage.files(run)
        for file in _packed(run, stage, name, with_content=True)
        if given.get((stage.name, name)) != file.entry.sha256
    ]
    seconds = {stage.name: run.stored(stage).seconds for stage in run.stages}
    removed = [
        (stage.name, name)
        for stage in run.stages
        for owner, name in given
        if owner == stage.name and run.stored(stage).entry(name) is None
    ]
    return Parcel(stage_keys(run), tuple(files), seconds, tuple(removed))


def _packed(run: Run[Any], stage: Stage, name: str, *, with_content: bool) -> list[PackedFile]:
    stored = run.stored(stage)
    entry = stored.entry(name)
    if entry is None or not (stored.has(name) or stored.dropped(name)):
        return []
    content = stored.read(name) if with_content and entry.kept else None
    return [PackedFile(stage.name, name, entry, stored.environment_of(name), content)]


def require_whole(parcel: Parcel, run: Run[Any]) -> None:
    """Refuse a parcel that is of another run, or that was altered on its way.

    Raises:
        DamagedRunError: if it is; names what.
    """
    if dict(parcel.keys) != (keys := stage_keys(run)):
        raise DamagedRunError(f"of a run with the keys {dict(parcel.keys)}; this one has {keys}")
    for file in parcel.files:
        try:
            require_inside(file.name)
        except ValueError as error:
            raise DamagedRunError(str(error)) from error
        where = f"{file.stage}/{file.name}"
        if file.stage not in keys:
            raise DamagedRunError(f"{where}: the run has no such stage")
        if file.content is not None and (found := sha256_of(file.content)) != file.entry.sha256:
            raise DamagedRunError(
                f"{where} was altered on its way: its sha256 is {found}, that of what was sent is "
                f"{file.entry.sha256}"
            )


def unpack(parcel: Parcel, run: Run[Any], *, given: Sums | None = None) -> None:
    """Write the files of a parcel, each whole or not at all, once all of it is checked.

    What another process wrote meanwhile stays as it is.

    Args:
        parcel: files of the run.
        run: where they are written.
        given: sums of the files that these were computed from, which they replace.

    Raises:
        DamagedRunError: if the parcel is of another run, or was altered on its way.
        ChangedError: if a file that is missing here was recorded with another content.
        OSError: if a file cannot be written.
    """
    require_whole(parcel, run)
    known = given or {}
    for stage in run.stages:
        stored = run.stored(stage)
        files = [file for file in parcel.files if file.stage == stage.name]
        if not files:
            continue
        with stored.writing({}):
            for file in files:
                _put(stored, file, replaces=known.get((stage.name, file.name)))
            for owner, name in parcel.removed:
                entry = stored.entry(name) if owner == stage.name else None
                if entry and entry.sha256 == known.get((owner, name)):
                    stored.remove(name)
            stored.add_seconds(parcel.seconds.get(stage.name, 0.0))


def _put(stored: Stored, file: PackedFile, *, replaces: str | None) -> None:
    """Write or record a file, unless there is another than that which it replaces."""
    entry = stored.entry(file.name)
    if file.content is None:
        if entry is None:
            stored.record_dropped(file.name, file.entry)
        return
    replaced = entry is not None and entry.sha256 == replaces
    if stored.has(file.name) and not replaced:
        return
    if not replaced:
        stored.require_same(file.name, file.content)
    stored.write(
        file.name,
        file.content,
        sources=file.entry.sources,
        timings=file.entry.timings,
        environment=file.environment or {},
    )
