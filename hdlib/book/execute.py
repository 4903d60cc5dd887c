"""Executing chapters, so that they are stored with fresh outputs."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

from hdlib.book.errors import BookError
from hdlib.book.site import find_root, page_paths, read_outline

if TYPE_CHECKING:
    from nbformat import NotebookNode

NOISE = ("execution", "papermill", "widgets")
COVER = "fig-dendrograms"


def execute_chapters(root: Path | None = None) -> None:
    """Execute every chapter in place, and strip the noise of the run: timestamps, not outputs.

    The figure that the preface and the README show is written beside the chapters.

    Args:
        root: the book's folder; found from the current one where it is not given.

    Raises:
        BookError: if a cell fails.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    root = find_root() if root is None else root.resolve()
    for page in page_paths(read_outline(root)):
        path = root / page
        if path.suffix != ".ipynb":
            continue
        print(f"executing {page}")
        notebook = nbformat.read(path, as_version=4)
        resources = {"metadata": {"path": str(path.parent)}}
        try:
            NotebookClient(notebook, timeout=None, resources=resources).execute()
        except CellExecutionError as error:
            raise BookError(f"{page} fails: {error}") from error
        for metadata in (notebook.metadata, *(cell.metadata for cell in notebook.cells)):
            for key in NOISE:
                metadata.pop(key, None)
        nbformat.write(notebook, path)
        _write_cover(notebook, path.parent / "dendrograms.png")


def _write_cover(notebook: NotebookNode, path: Path) -> None:
    """Write the figure that the preface and the README show, if this chapter has it."""
    from hdlib.book.cells import cell_options

    for cell in notebook.cells:
        if cell.cell_type == "code" and cell_options(cell.source)[0].get("label") == COVER:
            images = [o.data["image/png"] for o in cell.outputs if "image/png" in o.get("data", {})]
            path.write_bytes(base64.b64decode(images[0]))
