"""A tiny sound book, and the preview of the real one, built once."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output, new_raw_cell

from hdlib.book import build

ROOT = Path(__file__).parents[2]
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"
    "rkJggg=="
)
FIGURE = """\
#| label: fig-gaps
#| fig-cap: "Gaps [@a2000] at $x$."
#| fig-alt: "Two gaps; the reader's own."
plot(gaps)"""
TABLE = """\
#| label: tbl-gaps
#| tbl-cap: "The gaps of @fig-gaps."
table(gaps)"""
SLIDER = """\
#| label: fig-slider
#| fig-cap: "Move it."
embed(gaps)"""


def executed(source: str, **data: str) -> nbformat.NotebookNode:
    """A code cell with one output, of the types ``png``, ``markdown`` or ``html``."""
    kinds = {"png": "image/png", "markdown": "text/markdown", "html": "text/html"}
    output = new_output("display_data", {kinds[name]: value for name, value in data.items()})
    return new_code_cell(source, execution_count=1, outputs=[output] if data else [])


def sound_chapter() -> nbformat.NotebookNode:
    """A notebook with nothing wrong in it."""
    parameters = executed("n: int = 3  # how many")
    parameters.metadata["tags"] = ["parameters"]
    return new_notebook(
        cells=[
            new_raw_cell("---\ntoc-depth: 2\n---"),
            new_markdown_cell("# One {#sec-one}\n\nSee @fig-gaps, [@a2000; @b2001], @b2001."),
            parameters,
            new_markdown_cell("## What `x` is {#sec-x}\n\nNot @tbl-gaps, but @fig-slider."),
            new_markdown_cell("::: {.callout-note}\nBack to [start](../index.qmd#top).\n:::"),
            executed(FIGURE, png=PNG),
            executed(TABLE, markdown="| a | b |\n| :-- | --: |\n| 1 | 2 |"),
            executed(
                SLIDER,
                markdown='```{=html}\n<script defer src="/assets/plotly.min.js"></script>\n'
                '<div role="group" aria-label="A slider."></div>\n```',
            ),
        ]
    )


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """The folder of a book of a preface, one chapter and the references."""
    (tmp_path / "chapters").mkdir()
    nbformat.write(sound_chapter(), tmp_path / "chapters" / "one.ipynb")
    (tmp_path / "_quarto.yml").write_text(
        "project: {type: book}\nbibliography: all.bib\nexecute: {enabled: false}\n"
        "book:\n  title: Tiny\n  chapters:\n  - index.qmd\n"
        "  - part: First\n    chapters: [chapters/one.ipynb]\n  - references.qmd\n"
    )
    (tmp_path / "index.qmd").write_text(
        "# Tiny {#top .unnumbered}\n\nIn @sec-x of @sec-one, not `@code`.\n\n"
        "![a](dot.svg){#fig-dot fig-alt='dot'}\n"
    )
    (tmp_path / "dot.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (tmp_path / "references.qmd").write_text("# References {.unnumbered}\n\n::: {#refs}\n:::\n")
    (tmp_path / "all.bib").write_text(
        "@book{a2000,\n  author = {Adams, A.},\n  title = {The {Alpha}},\n  year = {2000}\n}\n"
        "@book{b2001,\n  author = {Bo, B. and Cu, C. and Do, D. and E, E.},\n"
        "  title = {Beta},\n  year = {2001},\n  url = {https://example.org/beta}\n}\n"
    )
    return tmp_path


@pytest.fixture
def no_quarto(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)


@pytest.fixture(scope="session")
def preview(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the real book's preview: all that its chapters become, through pandoc."""
    root = tmp_path_factory.mktemp("book")
    for name in ("_quarto.yml", "index.qmd", "references.qmd", "references.bib"):
        shutil.copyfile(ROOT / name, root / name)
    shutil.copytree(ROOT / "chapters", root / "chapters")
    return build(root, preview=True).parent
