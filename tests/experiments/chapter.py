"""What a chapter shows."""

from __future__ import annotations

from pathlib import Path

from hdlib.book.cells import read_notebook


def shown_text(chapter: Path) -> str:
    """All Markdown that the cells of a chapter have put out."""
    return "\n".join(
        output.data.get("text/markdown", "")
        for cell in read_notebook(chapter).cells
        for output in cell.get("outputs", [])
        if "data" in output
    )
