"""Progress bars."""

from __future__ import annotations

from tqdm import tqdm

PATIENCE = 2.0
"""Seconds before a bar is shown."""


def progress(what: str, total: int | None = None, *, unit: str = "product") -> tqdm:
    """A bar that counts; silent where output is no terminal, and for short work."""
    return tqdm(desc=what, total=total, unit=unit, disable=None, leave=False, delay=PATIENCE)
