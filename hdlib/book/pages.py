"""Reading the pages of the book: front matter, cell options, labels, references, bibliography."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import yaml
from nbformat.v4 import new_markdown_cell, new_notebook

from hdlib.book.errors import BookError

CODE = re.compile(r"(^```.*?^```[^\n]*$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
LABEL = re.compile(r"\{[^{}]*#((?:fig|tbl|eq|sec)-[\w-]+)[^{}]*\}")
REFERENCE = re.compile(r"(?<![\w.@/-])-?@(\w(?:[\w:.-]*\w)?)")
HEADING = re.compile(r"^(#{1,6}[ \t].*?)[ \t]*(?:\{([^{}\n]*)\})?[ \t]*$", re.MULTILINE)
IMAGE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)[^)]*\)(?:\{([^}]*)\})?")


def read_page(path: Path) -> tuple[dict[str, Any], nbformat.NotebookNode]:
    """Front matter and cells of a page, a ``.qmd`` as one Markdown cell.

    Raises:
        BookError: if the page is not a valid notebook or its front matter not valid YAML.
    """
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        try:
            notebook = nbformat.reads(text, as_version=4)
        except Exception as error:
            raise BookError(f"{path} is not a valid notebook: {error}") from error
    else:
        notebook = new_notebook(cells=[new_markdown_cell(text)])
    first = notebook.cells[0] if notebook.cells else new_markdown_cell("")
    matter = re.match(r"---\n(.*?)\n---[ \t]*(?:\n|\Z)", first.source, re.DOTALL)
    if first.cell_type == "code" or not matter:
        return {}, notebook
    first.source = first.source[matter.end() :]
    return _yaml(matter[1], f"front matter of {path}"), notebook


def cell_options(source: str) -> tuple[dict[str, Any], str]:
    r"""Quarto's options at the top of a code cell, and the code without them.

    Example:
        >>> cell_options("#| label: fig-a\n#| fig-cap: Gaps.\nplot(gaps)")
        ({'label': 'fig-a', 'fig-cap': 'Gaps.'}, 'plot(gaps)')
    """
    options = re.match(r"(?:#\|.*(?:\n|\Z))*", source)
    head = options[0] if options else ""
    lines = "\n".join(line[2:].removeprefix(" ") for line in head.splitlines())
    return _yaml(lines, "cell options"), source[len(head) :].lstrip("\n")


def cell_caption(options: dict[str, Any]) -> str:
    """The caption of a cell's figure or table; empty where it has none."""
    return str(options.get("fig-cap") or options.get("tbl-cap") or "")


def labels(notebook: nbformat.NotebookNode) -> Iterator[str]:
    """Every label that a page defines, in order, repetitions included."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            label = cell_options(cell.source)[0].get("label")
            if label:
                yield str(label)
        elif cell.cell_type == "markdown":
            yield from LABEL.findall(CODE.sub("", cell.source))


def references(notebook: nbformat.NotebookNode) -> Iterator[str]:
    """Every ``@name`` in the prose and the captions of a page: labels and citation keys."""
    for cell in notebook.cells:
        prose = ""
        if cell.cell_type == "code":
            prose = cell_caption(cell_options(cell.source)[0])
        elif cell.cell_type == "markdown":
            prose = cell.source
        yield from REFERENCE.findall(CODE.sub("", prose))


def read_bibliography(path: Path) -> dict[str, dict[str, str]]:
    """Fields of every entry of a BibTeX file, by key; braces dropped."""
    entries = {}
    for entry in re.split(r"^@", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        key = entry.partition("{")[2].partition(",")[0].strip()
        fields = re.findall(r"^\s*(\w+)\s*=\s*\{(.*)\},?\s*$", entry, re.MULTILINE)
        entries[key] = {name.lower(): re.sub(r"[{}]", "", value) for name, value in fields}
    return entries


def _yaml(text: str, where: str) -> dict[str, Any]:
    try:
        value = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise BookError(f"{where}: not valid YAML: {error}") from error
    if not isinstance(value, dict):
        raise BookError(f"{where}: expected `key: value` lines, got {text!r}")
    return value
