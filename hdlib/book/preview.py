"""The site for where Quarto cannot be had: each page by pandoc, with numbers and links as Quarto's.

No page makes a request to another host, and all work from disk.
"""

from __future__ import annotations

import json
import re
import shutil
from html import escape
from pathlib import Path, PurePosixPath
from typing import Any

from hdlib.book.cells import Page, read_page
from hdlib.book.errors import BookError
from hdlib.book.leftovers import leftovers
from hdlib.book.pandoc import Node, nodes, pandoc, plain
from hdlib.book.references import html_path, link_references, number_labels, numbered, up
from hdlib.book.site import page_paths

REFERENCES = "{#refs}"
TEMPLATE = Path(__file__).with_name("preview.html")


def write_preview(root: Path, outline: dict[str, Any], site: Path) -> None:
    """Write one HTML page for each page of the book, with the pictures they show.

    Args:
        root: the book's folder.
        outline: what its ``_quarto.yml`` says.
        site: the folder to write to.

    Raises:
        BookError: if a page is broken: a label is there twice; a reference, a citation, a link or a
            picture is of nothing; pandoc warns, or leaves a mark that it does not understand.
    """
    pages = {name: read_page(root / name) for name in page_paths(outline)}
    trees = {name: _parse(name, page) for name, page in pages.items()}
    targets = number_labels(trees)
    chapters = [name for name, tree in trees.items() if numbered(tree)]
    titles = {name: _title(name, trees[name], chapters) for name in pages}
    listed = next((name for name, page in pages.items() if REFERENCES in page.markdown), None)
    bibliography = outline.get("bibliography")
    common = [f"--bibliography={root / bibliography}"] if bibliography else []
    for name, page in pages.items():
        tree = link_references(name, trees[name], targets, pages)
        options = [*common, f"--metadata=pagetitle={titles[name]}"]
        options.append(f"--variable=pages={_links(name, titles)}")
        if listed and name != listed:
            # Pandoc links a citation to a list on its own page: that list is hidden.
            tree["blocks"].append({"t": "Div", "c": [["refs", [], [["hidden", ""]]], []]})
        if name in chapters:
            options += ["--number-sections", f"--number-offset={chapters.index(name)}"]
        html = _render(name, tree, options)
        for left in leftovers(html):
            raise BookError(f"{_where(name, page, left)}: {left!r} is left in the text")
        if listed and name != listed:
            html = html.replace('href="#ref-', f'href="{up(name)}{html_path(listed)}#ref-')
        html = html.replace('="/assets/', f'="{up(name)}assets/')
        target = site / html_path(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(html, encoding="utf-8")
        _write_pictures(name, tree, page, root, site)
    (site / "assets").mkdir(exist_ok=True)
    shutil.copyfile(root / "assets" / "plotly.min.js", site / "assets" / "plotly.min.js")


def _parse(name: str, page: Page) -> Node:
    """Pandoc's tree of a page; a title in its front matter becomes the heading."""
    listing = "\n\n---\nnocite: '@*'\n---\n" if REFERENCES in page.markdown else ""
    try:
        tree = json.loads(pandoc(page.markdown + listing, "--from=markdown", "--to=json"))
    except BookError as error:
        line = re.search(r"line (\d+)", str(error))
        where = f"{name}, cell {page.cell_at(int(line[1]))}" if line else name
        raise BookError(f"{where}: {error}") from error
    title = tree["meta"].pop("title", None)
    if title:
        tree["blocks"].insert(0, {"t": "Header", "c": [1, ["title", [], []], title["c"]]})
    return tree


def _render(name: str, tree: Node, options: list[str]) -> str:
    depth = plain(tree["meta"].get("toc-depth", {})) or "3"
    try:
        return pandoc(
            json.dumps(tree),
            "--from=json",
            "--to=html5",
            f"--template={TEMPLATE}",
            "--citeproc",
            "--metadata=link-citations",
            "--mathml",
            "--toc",
            f"--toc-depth={depth}",
            "--section-divs",
            *options,
        )
    except BookError as error:
        raise BookError(f"{name}: {error}") from error


def _title(name: str, tree: Node, chapters: list[str]) -> str:
    headings = (node["c"] for node in nodes(tree["blocks"]) if node["t"] == "Header")
    title = next((plain(c[2]) for c in headings if c[0] == 1), PurePosixPath(name).stem)
    return f"{chapters.index(name) + 1}  {title}" if name in chapters else title


def _links(name: str, titles: dict[str, str]) -> str:
    """Links from a page to all pages, as HTML."""
    return "".join(
        f'<li><a href="{up(name)}{html_path(other)}"'
        + (' aria-current="page">' if other == name else ">")
        + f"{escape(title)}</a></li>"
        for other, title in titles.items()
    )


def _where(name: str, page: Page, left: str) -> str:
    """The page, and the cell where one of the first two words left is in no other."""
    for word in left.split()[:2]:
        cells = [index for index, cell in enumerate(page.cells) if word in cell]
        if len(cells) == 1:
            return f"{name}, cell {cells[0]}"
    return name


def _write_pictures(name: str, tree: Node, page: Page, root: Path, site: Path) -> None:
    """Write the pictures among a page's outputs, and copy the others that it shows."""
    folder = PurePosixPath(name).parent
    for node in nodes(tree["blocks"]):
        if node["t"] != "Image":
            continue
        path = node["c"][2][0]
        target = site / folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if path in page.pictures:
            target.write_bytes(page.pictures[path])
        elif (root / folder / path).is_file():
            shutil.copyfile(root / folder / path, target)
        elif ":" not in path:
            raise BookError(f"{name} shows {path}, which does not exist")
