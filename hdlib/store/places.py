"""Where results are looked for, and where new ones are kept."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path

PUBLISHED = Path(__file__).parent.parent.parent / "data"
"""Published results; there in the repository, and not in a wheel."""


def home() -> Path:
    """Folder of new results: ``$HDLIB_HOME/runs``, by default in the user's cache folder.

    Raises:
        NotADirectoryError: if ``$HDLIB_HOME`` is a file.
    """
    named = os.environ.get("HDLIB_HOME")
    folder = Path(named).expanduser() if named else user_cache_path("hdlib")
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"HDLIB_HOME={named}: a folder is needed, this is a file")
    return folder / "runs"


def roots() -> list[Path]:
    """Where results are looked for, in order; what is missing is written into the last."""
    return [PUBLISHED, home()]
