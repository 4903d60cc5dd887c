"""Stages of files of arrays, each computed by itself."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from numpy.typing import NDArray
from tqdm import tqdm

from hdlib.store.formats import array_bytes
from hdlib.store.parallel import side_by_side
from hdlib.store.run import Run
from hdlib.store.stage import Agreement, CannotRecomputeError, Item, Stage, file_name

log = logging.getLogger(__name__)

Arrays = Mapping[str, NDArray]


class Timed(NamedTuple):
    """Arrays, and wall times that were measured on the way.

    Attributes:
        arrays: arrays by name.
        seconds: wall times by name, in seconds; no part of the result.
    """

    arrays: Arrays
    seconds: Mapping[str, float]


class ArrayStage(Stage):
    """A file of arrays for each of some items, such as checkpoints.

    Args:
        name: "experiment/stage".
        fields: names of the config's fields that it reads.
        needs: stages whose files it reads.
        items: run ↦ items that the config asks for, in the order in which they are computed.
        sources: (run, item) ↦ files of the needed stages that it is computed from.
        compute: (run, item) ↦ arrays, alone or `Timed`.
        agreement: (stored, recomputed) ↦ how far they are apart.
        version: number that is raised when a correction changes the arrays.
        at_once: number of items that are computed side by side on the CPU.
        kept: whether its files are part of a run. Those of a stage that is not kept, too large to
            publish, are computed where another stage needs them, and can be removed afterwards.
    """

    def __init__(
        self,
        name: str,
        *,
        fields: tuple[str, ...],
        items: Callable[[Run[Any]], Sequence[Item]],
        compute: Callable[[Run[Any], Any], Arrays | Timed],
        agreement: Callable[[Arrays, Arrays], list[Agreement]],
        needs: tuple[Stage, ...] = (),
        sources: Callable[[Run[Any], Any], Sequence[tuple[Stage, str]]] | None = None,
        version: int = 1,
        at_once: int = 1,
        kept: bool = True,
    ) -> None:
        self.name = name
        self.fields = fields
        self.needs = needs
        self.version = version
        self.items = items
        self._compute = compute
        self._sources = sources or (lambda run, item: ())
        self._agreement = agreement
        self._at_once = at_once
        self.kept = kept

    def steps(self, run: Run[Any]) -> list[int]:
        """Checkpoints among the items that the config asks for, ascending."""
        return sorted(item for item in self.items(run) if isinstance(item, int))

    def missing(self, run: Run[Any]) -> list[str]:
        return [file_name(item) for item in self.items(run) if not self._holds(run, item)]

    def make(self, run: Run[Any], names: Sequence[str]) -> None:
        items = [item for item in self.items(run) if file_name(item) in names]
        needed: dict[Stage, list[str]] = {}
        for stage, name in self.sources(run, names):
            needed.setdefault(stage, []).append(name)
        for stage, wanted in needed.items():
            run.ensure(stage, *wanted)
        stored = run.stored(self)
        found = side_by_side(
            partial(self._compute, run),
            items,
            at_once=self._at_once if run.device.type == "cpu" else 1,
        )
        label = self.name.partition("/")[2]
        started = time.monotonic()
        for item in tqdm(items, desc=label, unit="file", disable=None):
            result = next(found)
            timed = result if isinstance(result, Timed) else Timed(result, {})
            name, content = file_name(item), array_bytes(timed.arrays)
            sources, before = self._shas(run, item), stored.entry(name)
            stored.write(name, content, sources=sources, timings=timed.seconds)
            after = stored.entry(name)
            if before and after and before.sha256 != after.sha256:
                log.warning("%s came out different from what was recorded", stored.where(name))
            stored.add_seconds(time.monotonic() - started)
            started = time.monotonic()

    def files(self, run: Run[Any]) -> list[str]:
        return [file_name(item) for item in self.items(run)]

    def sources(self, run: Run[Any], names: Sequence[str]) -> list[tuple[Stage, str]]:
        items = [item for item in self.items(run) if file_name(item) in names]
        return [source for item in items for source in self._sources(run, item)]

    def published(self, run: Run[Any]) -> list[str]:
        return self.files(run)

    def checked(self, run: Run[Any]) -> list[Item]:
        return [item for item in self.items(run) if run.stored(self).present(file_name(item))]

    def check(self, run: Run[Any], item: Item) -> list[Agreement]:
        self._require_sources(run, item)
        result = self._compute(run, item)
        recomputed = result.arrays if isinstance(result, Timed) else result
        return self._agreement(run.arrays(self, item), recomputed)

    def _require_sources(self, run: Run[Any], item: Item) -> None:
        """Make sure that what an item is computed from is there, or can be computed again."""
        for stage, name in self._sources(run, item):
            if run.stored(stage).has(name):
                continue
            if not isinstance(stage, ArrayStage) or stage.kept:
                raise CannotRecomputeError(f"{stage.name}/{name} is not kept")
            for other in stage.items(run):
                if file_name(other) == name:
                    stage._require_sources(run, other)
            run.ensure(stage, name)

    def _holds(self, run: Run[Any], item: Item) -> bool:
        """Whether the file is there, and belongs to the files that it was computed from."""
        stored, name = run.stored(self), file_name(item)
        entry = stored.entry(name)
        if entry is None or not stored.has(name):
            return False
        return all(
            entry.sources.get(source) == sha for source, sha in self._shas(run, item).items()
        )

    def _shas(self, run: Run[Any], item: Item) -> dict[str, str]:
        """What is recorded of the files that an item is computed from, and that are kept."""
        found = {}
        for stage, name in self._sources(run, item):
            if isinstance(stage, ArrayStage) and not stage.kept:
                continue
            if entry := run.stored(stage).entry(name):
                found[f"{stage.name}/{name}"] = entry.sha256
        return found
