"""Where the book is, which pages it has, and building it as a site."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import plotly.offline

from hdlib.book.errors import BookError
from hdlib.book.quarto import render

OUTLINE = "_quarto.yml"


def find_root(start: Path | None = None) -> Path:
    """The book's folder: the nearest one with a ``_quarto.yml``, from ``start`` upward.

    Args:
        start: a folder inside the book; the current one where it is not given.

    Raises:
        BookError: if neither ``start`` nor a folder above it has the file.
    """
    start = Path.cwd() if start is None else start.resolve()
    for folder in (start, *start.parents):
        if (folder / OUTLINE).is_file():
            return folder
    raise BookError(f"no {OUTLINE} in {start} or above it: run this inside the book's folder")


def read_outline(root: Path) -> dict[str, Any]:
    """What ``_quarto.yml`` says.

    Raises:
        BookError: if it is not valid YAML, or not that of a book with chapters.
    """
    import yaml

    try:
        outline = yaml.safe_load((root / OUTLINE).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise BookError(f"{OUTLINE} is not valid YAML: {error}") from error
    book = outline.get("book") if isinstance(outline, dict) else None
    if not isinstance(book, dict) or not isinstance(book.get("chapters"), list):
        raise BookError(f"{OUTLINE} names no chapters under `book: chapters:`")
    return outline


def page_paths(outline: dict[str, Any]) -> list[str]:
    """The pages of a book in reading order, parts and appendices flattened.

    Example:
        >>> part = {"part": "I", "chapters": ["a.ipynb"]}
        >>> page_paths({"book": {"chapters": ["index.qmd", part]}})
        ['index.qmd', 'a.ipynb']
    """

    def flatten(entries: list[Any]) -> list[str]:
        paths = []
        for entry in entries:
            if isinstance(entry, str):
                paths.append(entry)
                continue
            # A part is a title or a page of its own; a chapter can be `{file:, text:}`.
            named = [entry.get("file"), entry.get("part")]
            paths += [name for name in named if name and name.endswith((".qmd", ".ipynb"))]
            paths += flatten(entry.get("chapters", []))
        return paths

    book = outline["book"]
    return flatten(book["chapters"]) + flatten(book.get("appendices", []))


def copy_assets(root: Path | None = None) -> Path:
    """Write the installed plotly's ``plotly.min.js`` into the book's ``assets`` folder.

    Args:
        root: the book's folder; found from the current one where it is not given.

    Returns:
        The file written.
    """
    target = (find_root() if root is None else root) / "assets" / "plotly.min.js"
    target.parent.mkdir(exist_ok=True)
    target.write_text(plotly.offline.get_plotlyjs(), encoding="utf-8")
    return target


def build(root: Path | None = None, *, preview: bool = False) -> Path:
    """Build the site: with Quarto where it is on PATH, else as a preview by pandoc.

    Chapters are never executed: they are shown with the outputs they are stored with. One line
    saying what was made is printed.

    Args:
        root: the book's folder; found from the current one where it is not given.
        preview: make the preview even where Quarto is on PATH.

    Returns:
        The first page of the site.

    Raises:
        BookError: if a page is missing or broken, Quarto fails, or what it made is not sound.
    """
    root = find_root() if root is None else root.resolve()
    outline = read_outline(root)
    missing = [path for path in page_paths(outline) if not (root / path).is_file()]
    if missing:
        raise BookError(f"{OUTLINE} names pages that do not exist: {', '.join(missing)}")
    site = root / outline.get("project", {}).get("output-dir", "_book")
    copy_assets(root)

    quarto = None if preview else shutil.which("quarto")
    if quarto:
        render(quarto, root, site)
        print(f"built {site / 'index.html'}")
    else:
        from hdlib.book.preview import write_preview

        write_preview(root, outline, site)
        why = "as asked" if preview else "Quarto is not on PATH"
        print(f"a preview by pandoc ({why}): {site / 'index.html'}")
    return site / "index.html"
