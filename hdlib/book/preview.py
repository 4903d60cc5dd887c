"""A plain HTML preview of the book, by nbconvert, for where Quarto cannot be had.

It understands as much of Quarto as the book uses. Numbers run through the whole book.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import nbformat
from jinja2 import FileSystemLoader
from nbconvert import HTMLExporter
from nbformat.v4 import new_markdown_cell
from pygments.formatters import HtmlFormatter

from hdlib.book.errors import BookError
from hdlib.book.markdown import Target, author_year, plain_markdown
from hdlib.book.pages import (
    CODE,
    HEADING,
    IMAGE,
    LABEL,
    cell_caption,
    cell_options,
    labels,
    read_bibliography,
    read_page,
)
from hdlib.book.site import page_paths

KINDS = {"fig": "Figure", "tbl": "Table", "eq": "Equation", "sec": "Section"}


def write_preview(root: Path, outline: dict[str, Any], site: Path) -> None:
    """Write one HTML page for each page of the book, with the images they show.

    Args:
        root: the book's folder.
        outline: what its ``_quarto.yml`` says.
        site: the folder to write to.

    Raises:
        BookError: if a page is broken or shows an image that does not exist.
    """
    names = page_paths(outline)
    pages = {name: read_page(root / name) for name in names}
    titles = {name: _title(name, *pages[name]) for name in names}
    bibliography = outline.get("bibliography")
    entries = read_bibliography(root / bibliography) if bibliography else {}
    targets = _number(pages)
    listed = next((name for name in names if "{#refs}" in _prose(pages[name][1])), "")
    for key, fields in entries.items():
        targets[key] = Target(f"{_html(listed)}#ref-{key}" if listed else "", author_year(fields))

    exporter = HTMLExporter(
        template_name="basic",
        template_file="preview.html.j2",
        extra_loaders=[FileSystemLoader(Path(__file__).parent)],
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )
    highlighting = HtmlFormatter().get_style_defs(".highlight")
    for name, (matter, notebook) in pages.items():
        up = "../" * (len(PurePosixPath(name).parts) - 1)

        def render(text: str, up: str = up) -> str:
            return plain_markdown(text, targets, entries, up)

        for cell in notebook.cells:
            if cell.cell_type == "code":
                _prepare_code(cell, targets, render)
            elif cell.cell_type == "markdown":
                _copy_images(cell.source, name, root, site)
                cell.source = render(cell.source)
        if "title" in matter:
            subtitle = f"\n\n*{matter['subtitle']}*" if "subtitle" in matter else ""
            notebook.cells.insert(0, new_markdown_cell(f"# {matter['title']}{subtitle}"))
        links = [(up + _html(other), titles[other], other == name) for other in names]
        context = {"title": titles[name], "up": up, "links": links, "highlighting": highlighting}
        body, _ = exporter.from_notebook_node(notebook, resources={"page": context})
        target = site / _html(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(body, encoding="utf-8")
    (site / "assets").mkdir(exist_ok=True)
    shutil.copyfile(root / "assets" / "plotly.min.js", site / "assets" / "plotly.min.js")


def _html(name: str) -> str:
    return PurePosixPath(name).with_suffix(".html").as_posix()


def _prose(notebook: nbformat.NotebookNode) -> str:
    prose = (cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return CODE.sub("", "\n\n".join(prose))


def _title(name: str, matter: dict[str, Any], notebook: nbformat.NotebookNode) -> str:
    if "title" in matter:
        return str(matter["title"])
    heading = HEADING.search(_prose(notebook))
    return heading[1].lstrip("# ") if heading else PurePosixPath(name).stem


def _number(pages: dict[str, tuple[dict[str, Any], nbformat.NotebookNode]]) -> dict[str, Target]:
    counts = dict.fromkeys(KINDS, 0)
    targets = {}
    for name, (_, notebook) in pages.items():
        headings = {
            label: heading[1].lstrip("# ")
            for cell in notebook.cells
            for heading in HEADING.finditer(cell.source)
            for label in LABEL.findall(f"{{{heading[2]}}}")
        }
        for label in labels(notebook):
            kind = label.partition("-")[0]
            if kind in KINDS:
                counts[kind] += 1
                text = headings.get(label, f"{KINDS[kind]} {counts[kind]}")
                targets[label] = Target(f"{_html(name)}#{label}", text)
    return targets


def _prepare_code(
    cell: nbformat.NotebookNode, targets: dict[str, Target], render: Callable[[str], str]
) -> None:
    options, cell.source = cell_options(cell.source)
    shown = options.get("include", True)
    cell.metadata["hide_code"] = not (shown and options.get("echo", True))
    if not shown:
        cell.outputs = []
    caption, label = cell_caption(options), str(options.get("label", ""))
    if caption:
        number = f"{targets[label].text}: " if label in targets else ""
        cell.metadata["caption"] = number + render(str(caption))
    cell.metadata["anchor"] = label
    if "fig-alt" in options:
        cell.metadata["alt"] = str(options["fig-alt"])


def _copy_images(source: str, name: str, root: Path, site: Path) -> None:
    for _, path, _ in IMAGE.findall(CODE.sub("", source)):
        if re.match(r"\w+:", path):  # an address, data or an attachment
            continue
        relative = PurePosixPath(path[1:]) if path[0] == "/" else PurePosixPath(name).parent / path
        if not (root / relative).is_file():
            raise BookError(f"{name} shows {path}, which does not exist")
        (site / relative).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / relative, site / relative)
