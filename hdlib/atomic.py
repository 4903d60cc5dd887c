"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path

TEMPORARY = ".tmp-"
"""How the names of unfinished files begin."""


def write_atomically(path: Path, content: bytes) -> None:
    """Write to a temporary file in the same folder, flush it, rename it, and flush the folder.

    Args:
        path: name of the file; folders that are missing are made.
        content: all of it.

    Raises:
        OSError: if it cannot be written; the folder is as before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=TEMPORARY, dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
        flush_folder(path.parent)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            free = shutil.disk_usage(path.parent).free
            raise OSError(
                errno.ENOSPC, f"no space left ({free:,} bytes free) to write {len(content):,}", path
            ) from error
        raise


def append(path: Path, content: bytes) -> None:
    """Add to the end of a file, and flush it; a kill leaves a part of ``content`` at most.

    Raises:
        OSError: if it cannot be written.
    """
    new = not path.exists()
    with path.open("ab") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if new:
        flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Make names of files that were written last through a loss of power, where systems can."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
