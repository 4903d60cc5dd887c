"""Progress bars of products."""

from __future__ import annotations

from tqdm import tqdm

PATIENCE = 2.0
"""Seconds before a bar is shown."""


def progress(what: str, total: int | None = None) -> tqdm:
    """A bar that counts products; silent where output is no terminal, and for short work."""
    return tqdm(desc=what, total=total, unit="product", disable=None, leave=False, delay=PATIENCE)
