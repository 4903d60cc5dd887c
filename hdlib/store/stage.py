"""A stage: something to compute, found by what it depends on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from hdlib.store.config import Config
from hdlib.store.manifest import key_of

if TYPE_CHECKING:
    from hdlib.store.run import Run

Item = int | tuple[int, int] | str
"""What a file is of: a checkpoint, a checkpoint and a number of samples, or a word."""


class Agreement(NamedTuple):
    """How far what is stored and what is recomputed are apart.

    Attributes:
        what: quantity and unit of the error.
        error: largest difference.
        allowed: largest difference that counts as rounding.
    """

    what: str
    error: float
    allowed: float


class CannotRecomputeError(Exception):
    """What a file was computed from is not kept."""


def file_name(item: Item) -> str:
    """The safetensors file of an item."""
    match item:
        case int():
            return f"step_{item:06d}.safetensors"
        case (step, samples):
            return f"step_{step:06d}_samples_{samples:06d}.safetensors"
        case _:
            return f"{item}.safetensors"


class Stage(ABC):
    """Something to compute: its files are found by a key that is made of what they depend on.

    Attributes:
        name: "experiment/stage", which is also the folder below a root.
        fields: names of the config's fields that it reads; no other may be read.
        needs: stages whose files it reads.
        version: number that is raised when a correction changes the result.
    """

    name: str
    fields: tuple[str, ...]
    needs: tuple[Stage, ...] = ()
    version: int = 1

    def __repr__(self) -> str:
        return f"stage {self.name}"

    def header(self, config: Config) -> dict[str, Any]:
        """What the key is made of."""
        values = config.model_dump()
        return {
            "stage": self.name,
            "version": self.version,
            "fields": {field: values[field] for field in self.fields},
            "needs": {need.name: need.key(config) for need in self.needs},
        }

    def key(self, config: Config) -> str:
        """16 hexadecimal digits that are the same where nothing differs that matters."""
        return key_of(self.header(config))

    @abstractmethod
    def missing(self, run: Run[Any]) -> list[str]:
        """Names of files that the config asks for, and that are not there."""

    @abstractmethod
    def make(self, run: Run[Any], names: Sequence[str]) -> None:
        """Compute these files, and others of the run's config that come on the way.

        Args:
            run: run whose folder of this stage is held.
            names: files that are missing.
        """

    @abstractmethod
    def files(self, run: Run[Any]) -> list[str]:
        """Names of all files of a run, in an order in which they can be written one by one.

        All that a complete run consists of, and from what it can be extended; of a run that is not
        complete, as far as it is known.
        """

    def essential(self, run: Run[Any]) -> list[str]:
        """Those of its files without which it would compute again what is recorded."""
        return self.files(run)

    def sources(self, run: Run[Any], names: Sequence[str]) -> list[tuple[Stage, str]]:
        """Files of other stages that these are computed from."""
        return []

    @abstractmethod
    def published(self, run: Run[Any]) -> list[str]:
        """Names of the files that are kept where the run is published."""

    @abstractmethod
    def checked(self, run: Run[Any]) -> list[Item]:
        """What `check` can recompute."""

    @abstractmethod
    def check(self, run: Run[Any], item: Item) -> list[Agreement]:
        """Recompute a file from what it was computed from, and compare.

        Raises:
            CannotRecomputeError: if that is not kept.
        """
