"""The files of one stage and key, wherever they are: in the published folder, or in the user's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from hdlib.store.folder import DamagedRunError, Folder, sha256_of
from hdlib.store.formats import TABLE, FormatError, table_length
from hdlib.store.manifest import Entry, key_of

T = TypeVar("T")


class ChangedError(ArithmeticError):
    """A file comes out different from what is recorded of it."""


class Stored:
    """Folders of one key below several roots, as one.

    A file is read from the first folder that has it; a table from the one where it is longest, as
    the history of a training grows when the training goes on from what an earlier folder has. A
    file that is missing is written into the last, except where it comes out as an earlier folder
    has recorded it: then that is repaired.

    Args:
        roots: folders to look in, in order.
        header: stage, version, fields and needed keys, of which the key is made.
    """

    def __init__(self, roots: Sequence[Path], header: Mapping[str, Any]) -> None:
        self._environment: Mapping[str, Any] = {}
        self._parsed: dict[str, tuple[Entry | None, Any]] = {}
        self.key = key_of(header)
        self._folders = [Folder(root / header["stage"] / self.key, header) for root in roots]

    @property
    def folders(self) -> list[Folder]:
        """Those that exist, in order."""
        return [folder for folder in self._folders if folder.path.is_dir()]

    @property
    def home(self) -> Path:
        """Folder into which new files are written."""
        return self._folders[-1].path

    def names(self) -> list[str]:
        """Names of all files that are recorded and kept, sorted."""
        found = {n for f in self.folders for n, entry in f.entries.items() if entry.kept}
        return sorted(found)

    def recorded(self) -> list[str]:
        """The same with those that were dropped on purpose."""
        return sorted({name for folder in self.folders for name in folder.entries})

    def present(self, name: str) -> bool:
        """Whether a file is recorded and there; its content is not read."""
        return any(folder.present(name) for folder in self.folders)

    def has(self, name: str) -> bool:
        """Whether a file is there and is what was recorded."""
        return any(folder.has(name) for folder in self.folders)

    def entry(self, name: str) -> Entry | None:
        """What is recorded of a file: where it is whole, else where it was recorded first."""
        recorded = self._recorded(name)
        whole = [folder for folder in recorded if folder.has(name)]
        return (whole or recorded)[0].entries[name] if recorded else None

    def _recorded(self, name: str) -> list[Folder]:
        """Folders that have recorded a file, in the order in which it is looked for."""
        found = [folder for folder in self.folders if name in folder.entries]
        if name.endswith(TABLE) and len({folder.entries[name].sha256 for folder in found}) > 1:
            lengths = {f.path: table_length(f.read(name)) if f.has(name) else 0 for f in found}
            found.sort(key=lambda folder: -lengths[folder.path])
        return found

    def environment_of(self, name: str) -> Mapping[str, Any] | None:
        """On what a file was computed; None where that is not known any more."""
        for folder in self._recorded(name):
            position = folder.entries[name].environment
            known = folder.manifest.environments
            return known[position] if position is not None and position < len(known) else None
        return None

    def is_own(self, name: str) -> bool:
        """Whether a file is recorded in the folder of new files."""
        return name in self._folders[-1].entries

    def dropped(self, name: str) -> bool:
        """Whether a file is recorded, and was dropped on purpose."""
        entry = self.entry(name)
        return entry is not None and not entry.kept

    def read(self, name: str) -> bytes:
        """The bytes of a file.

        Raises:
            DamagedRunError: if it is nowhere as it was recorded.
        """
        for folder in self._recorded(name):
            if folder.present(name):
                try:
                    return folder.read(name)
                except DamagedRunError:
                    if not self.has(name):
                        raise
        raise DamagedRunError(f"{self.where(name)} is missing; run it again to repair it")

    def read_as(self, name: str, parse: Callable[[bytes], T]) -> T:
        """What a file's bytes are parsed to.

        Args:
            name: file.
            parse: bytes ↦ value.

        Raises:
            DamagedRunError: if the file is nowhere as it was recorded, or is of another format.
        """
        try:
            return parse(self.read(name))
        except FormatError as error:
            raise DamagedRunError(f"{self.where(name)}: {error}") from error

    def parsed(self, name: str, parse: Callable[[bytes], T]) -> T:
        """The same, parsed once for as long as the file is recorded the same.

        Args:
            name: file.
            parse: bytes ↦ value; always the same for a name.

        Raises:
            DamagedRunError: as `read_as` does.
        """
        entry = self.entry(name)
        if name not in self._parsed or self._parsed[name][0] != entry:
            self._parsed[name] = entry, self.read_as(name, parse)
        return self._parsed[name][1]

    def where(self, name: str) -> Path:
        """Where a file is, was recorded, or would be written."""
        recorded = [folder.path for folder in self._recorded(name)]
        return (recorded or [self.home])[0] / name

    def write(
        self,
        name: str,
        content: bytes,
        *,
        sources: Mapping[str, str] | None = None,
        timings: Mapping[str, float] | None = None,
        environment: Mapping[str, Any] | None = None,
    ) -> None:
        """Write and record a file; the folders must be held by `writing`.

        Args:
            name: file.
            content: all of it.
            sources: sha256 of each file that it was computed from, by "stage/name".
            timings: wall times that were measured on the way, in seconds.
            environment: record of what it was computed on; that of `writing` where it is None.
        """
        digest = sha256_of(content)
        folder = self._folders[-1]
        for earlier in self._folders[:-1]:
            recorded = earlier.entries.get(name)
            if recorded and recorded.kept and recorded.sha256 == digest and earlier.writable:
                folder = earlier
                break
        folder.write(
            name,
            content,
            sources=sources or {},
            environment=self._environment if environment is None else environment,
            timings=timings or {},
        )

    def record_dropped(self, name: str, entry: Entry) -> None:
        """Record a file that is not kept in the folder of new files."""
        self._folders[-1].record_dropped(name, entry)

    def require_same(self, name: str, content: bytes) -> None:
        """Refuse content that is not what is recorded of a file, if anything is.

        Raises:
            ChangedError: if it is recorded with another content.
        """
        entry = self.entry(name)
        if entry is not None and entry.sha256 != sha256_of(content):
            where = self.where(name)
            raise ChangedError(
                f"{where}: computed anew it comes out different from what is recorded, as on "
                "another processor or with another version of PyTorch it may; so it cannot be "
                "repaired here, and was left as it is. Restore the file from where it came, or "
                f"delete {where.parent.parent} to have another training in its place"
            )

    def damaged(self) -> list[Path]:
        """Recorded files that are missing or altered, and are whole in no other folder."""
        return [
            folder.path / name
            for folder in self.folders
            for name in folder.damaged()
            if not self.has(name)
        ]

    def damage(self) -> list[str]:
        """Sentences about manifests that are not what was written."""
        return [folder.manifest.damage for folder in self.folders if folder.manifest.damage]

    @property
    def mendable(self) -> bool:
        """Whether a manifest can be written anew, or what a killed process left be removed."""
        return any(folder.mendable for folder in self.folders)

    def remove(self, name: str) -> None:
        """Remove a file and its record from the folder of new files."""
        self._folders[-1].remove(name)

    def add_seconds(self, seconds: float) -> None:
        """Add to the wall time of the folder of new files."""
        self._folders[-1].add_seconds(seconds)

    @property
    def seconds(self) -> float:
        """Wall time of computing all files."""
        return sum(folder.manifest.seconds for folder in self.folders)

    @contextmanager
    def writing(self, environment: Mapping[str, Any]) -> Iterator[None]:
        """Hold every folder that is there and can be written, and that of new files.

        Args:
            environment: record of what is computed on, kept with each file.
        """
        self._environment = environment
        with ExitStack() as held:
            for folder in self._folders[:-1]:
                if folder.path.is_dir() and folder.writable:
                    held.enter_context(folder.writing())
            held.enter_context(self._folders[-1].writing())
            yield
