"""Files that the experiments bring: sweeps and configs, as data."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Kind = Literal["sweeps", "configs"]


def shipped(kind: Kind) -> dict[str, Path]:
    """Files of a kind, by what is typed, as in "sweeps/transformer.yaml"."""
    files = Path(__file__).parent.glob(f"*/{kind}/*.yaml")
    return {f"{kind}/{path.name}": path for path in sorted(files)}


def find_file(name: str, kind: Kind) -> Path:
    """A file by its path or, where there is none, one that is shipped by its name.

    Raises:
        ValueError: if there is neither; names those that are shipped.
    """
    if Path(name).is_file():
        return Path(name)
    files = shipped(kind)
    if name not in files:
        known = ", ".join(files) or "none"
        raise ValueError(f"{name!r}: no such file; shipped {kind}: {known}")
    return files[name]
