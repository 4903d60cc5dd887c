"""A page as Markdown for pandoc: what its cells and their stored outputs become."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import yaml
from nbformat.v4 import new_markdown_cell, new_notebook

from hdlib.book.errors import BookError

PICTURES = {"image/png": "png", "image/jpeg": "jpg", "image/svg+xml": "svg"}


class Page(NamedTuple):
    """A page of the book, cell by cell."""

    cells: list[str]
    """Markdown of each cell."""
    pictures: dict[str, bytes]
    """Pictures among the outputs, by the name of the file that the Markdown shows."""

    @property
    def markdown(self) -> str:
        return "\n\n".join(self.cells)

    def cell_at(self, line: int) -> int:
        """Index of the cell with a line of `markdown`, counted from 1."""
        end = 0
        for index, cell in enumerate(self.cells):
            end += cell.count("\n") + 2
            if line <= end:
                return index
        return len(self.cells) - 1


class _QuartoLoader(yaml.SafeLoader):
    """Reads cell options as Quarto does: a folded or literal scalar begins with a line break.

    Pandoc then refuses the attribute that the value is put in (Quarto's issue 10216).
    """


def _scalar(_: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
    return "\n" + node.value if node.style in {">", "|"} else node.value


_QuartoLoader.add_constructor("tag:yaml.org,2002:str", _scalar)


def read_notebook(path: Path) -> nbformat.NotebookNode:
    """The cells of a page, a ``.qmd`` as one Markdown cell.

    Raises:
        BookError: if the page is not a valid notebook.
    """
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return new_notebook(cells=[new_markdown_cell(text)])
    try:
        return nbformat.reads(text, as_version=4)
    except Exception as error:
        raise BookError(f"{path} is not a valid notebook: {error}") from error


def read_page(path: Path) -> Page:
    """A page as Markdown, in the form that Quarto gives to pandoc.

    Raises:
        BookError: if the page is not a valid notebook, or a cell's options are not valid YAML.
    """
    cells, pictures = [], {}
    for index, cell in enumerate(read_notebook(path).cells):
        if cell.cell_type != "code":
            cells.append(cell.source)
            continue
        try:
            options, code = cell_options(cell.source)
        except BookError as error:
            raise BookError(f"{path}, cell {index}: {error}") from error
        label = str(options.get("label", ""))
        folded = f"<details>\n<summary>Code</summary>\n\n{_fenced(code, 'python')}\n\n</details>"
        outputs = [
            _output(output, f"{path.stem}-{label or index}-{number}", options, pictures)
            for number, output in enumerate(cell.outputs, 1)
        ]
        if label.startswith("tbl-"):
            outputs.insert(0, f"::: {{#{label}{_attribute('tbl-cap', options)}}}")
            outputs += [str(options.get("tbl-cap", "")), ":::"]
        cells.append("\n\n".join([folded, *outputs]))
    return Page(cells, pictures)


def cell_options(source: str) -> tuple[dict[str, Any], str]:
    r"""Quarto's options at the top of a code cell, and the code without them.

    Raises:
        BookError: if they are not valid YAML, or not ``key: value`` lines.

    Example:
        >>> cell_options("#| label: fig-a\n#| fig-cap: Gaps.\nplot(gaps)")
        ({'label': 'fig-a', 'fig-cap': 'Gaps.'}, 'plot(gaps)')
    """
    options = re.match(r"(?:#\|.*(?:\n|\Z))*", source)
    head = options[0] if options else ""
    text = "\n".join(line[2:].removeprefix(" ") for line in head.splitlines())
    try:
        value = yaml.load(text, _QuartoLoader) or {}
    except yaml.YAMLError as error:
        raise BookError(f"options are not valid YAML: {error}") from error
    if not isinstance(value, dict):
        raise BookError(f"options: expected `key: value` lines, got {text!r}")
    return value, source[len(head) :].lstrip("\n")


def _output(
    output: nbformat.NotebookNode, name: str, options: dict[str, Any], pictures: dict[str, bytes]
) -> str:
    """Markdown of one output; a picture is added to ``pictures``."""
    if output.output_type == "stream":
        return _fenced(output.text)
    if output.output_type == "error":
        return _fenced(f"{output.ename}: {output.evalue}")
    label, caption = str(options.get("label", "")), options.get("fig-cap", "")
    for kind, suffix in PICTURES.items():
        if kind in output.data:
            data = output.data[kind]
            file = f"{name}.{suffix}"
            pictures[file] = data.encode() if suffix == "svg" else base64.b64decode(data)
            identifier = f"#{label}" if label else ".picture"
            return f"![{caption}]({file}){{{identifier}{_attribute('fig-alt', options)}}}"
    if "text/markdown" not in output.data:
        return _fenced(output.data.get("text/plain", ""))
    text = output.data["text/markdown"]
    return f"::: {{#{label}}}\n{text}\n\n{caption}\n:::" if label.startswith("fig-") else text


def _attribute(name: str, options: dict[str, Any]) -> str:
    value = str(options.get(name, "")).replace("'", r"\'")
    return f" {name}='{value}'" if value else ""


def _fenced(text: str, language: str = "") -> str:
    """A code block, fenced by more backticks than are in it."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}" if text.strip() else ""
