"""A run: what a config asks for, stage by stage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Generic, TypeVar

import torch
from numpy.typing import NDArray
from torch import Tensor

from hdlib.device import resolve_device
from hdlib.store import formats
from hdlib.store.config import Config
from hdlib.store.environment import environment
from hdlib.store.manifest import key_of
from hdlib.store.places import roots as usual_roots
from hdlib.store.stage import Item, Stage, file_name
from hdlib.store.stored import Stored

C = TypeVar("C", bound=Config)


class Run(Generic[C]):
    """The files that a config asks for; of the stages that other runs share, the same files.

    Args:
        config: frozen config with a ``device``.
        stages: what is computed, each after those it needs.
        roots: folders to look in, in order, the last one for new files; the published ones and the
            user's where it is None.
    """

    def __init__(
        self, config: C, stages: Sequence[Stage], roots: Sequence[Path] | None = None
    ) -> None:
        self.config = config
        self.stages = tuple(stages)
        self.roots = tuple(roots if roots is not None else usual_roots())
        self._stored: dict[str, Stored] = {}

    @cached_property
    def device(self) -> torch.device:
        """Where it is computed.

        Raises:
            ValueError: if the config's device is not there.
        """
        return resolve_device(self.config.model_dump()["device"])

    @property
    def key(self) -> str:
        """16 hexadecimal digits of everything that the config asks for."""
        fields = self.config.model_dump()
        fields.pop("device", None)
        return key_of({"experiment": self.config.experiment, "config": fields})

    def stored(self, stage: Stage) -> Stored:
        """The files of a stage."""
        if stage.name not in self._stored:
            self._stored[stage.name] = Stored(self.roots, stage.header(self.config))
        return self._stored[stage.name]

    def missing(self) -> Iterator[tuple[Stage, list[str]]]:
        """Stages with files that are missing, and the names of these."""
        for stage in self.stages:
            if names := stage.missing(self):
                yield stage, names

    @property
    def complete(self) -> bool:
        """Whether everything that the config asks for is there, and is what was recorded."""
        return next(self.missing(), None) is None

    @property
    def mendable(self) -> bool:
        """Whether a manifest can be written anew, or what a killed process left be removed."""
        return any(self.stored(stage).mendable for stage in self.stages)

    def compute(self) -> None:
        """Compute what is missing, each stage in its turn."""
        for stage in self.stages:
            self.ensure(stage)

    def ensure(self, stage: Stage, *names: str) -> None:
        """Compute what is missing of a stage: of what the config asks for, or of these files."""
        stored = self.stored(stage)

        def missing() -> list[str]:
            return [n for n in names if not stored.has(n)] if names else stage.missing(self)

        if missing() or stored.mendable:
            with stored.writing(environment(self.device)):
                # Another process may have computed them meanwhile.
                if still := missing():
                    stage.make(self, still)

    def arrays(self, stage: Stage, item: Item) -> dict[str, NDArray]:
        """The arrays of an item.

        Raises:
            DamagedRunError: if the file is missing or altered.
        """
        return self.stored(stage).read_as(file_name(item), formats.read_arrays)

    def timings(self, stage: Stage, item: Item) -> dict[str, float]:
        """Wall times that were measured while an item was computed, in seconds."""
        entry = self.stored(stage).entry(file_name(item))
        return dict(entry.timings) if entry else {}

    def tensors(self, stage: Stage, name: str) -> dict[str, Tensor]:
        """The tensors of a file; raises as `arrays` does."""
        return self.stored(stage).read_as(name, formats.read_tensors)

    def table(self, stage: Stage, name: str) -> dict[str, NDArray]:
        """The columns of a table; raises as `arrays` does."""
        return self.stored(stage).read_as(name, formats.read_table)
