"""The preview: what pandoc makes of a tiny book, and of one with something wrong in it."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import plotly.offline
import pytest
from nbformat.v4 import new_markdown_cell

from hdlib.book import BookError, build, copy_assets, find_root
from hdlib.book.cells import cell_options, read_notebook

from .conftest import PNG, ROOT, executed, sound_chapter


def flat(path: Path) -> str:
    """The text of a file without the line breaks that pandoc puts in."""
    return " ".join(path.read_text(encoding="utf-8").split())


def test_pages(book, no_quarto, capsys):
    first = build(book)
    assert capsys.readouterr().out == f"a preview by pandoc (Quarto is not on PATH): {first}\n"
    assert first == book / "_book" / "index.html"
    assert (first.parent / "dot.svg").exists()
    index = flat(first)
    assert '<a href="chapters/one.html#sec-x">Section 1.1</a> of' in index
    assert '<a href="chapters/one.html#sec-one">Chapter 1</a>, not <code>@code</code>' in index
    assert '<figure id="fig-dot"> <img src="dot.svg" alt="dot" />' in index
    assert "Figure 1: a</figcaption>" in index

    page = flat(first.parent / "chapters" / "one.html")
    assert "<title>1 One</title>" in page
    assert '<a href="../references.html">References</a>' in page
    assert '<a href="#sec-x" id="toc-sec-x">' in page
    assert '<span class="header-section-number">1.1</span> What <code>x</code> is</h2>' in page
    assert '<a href="../index.html#top">start</a>' in page
    assert 'href="../references.html#ref-a2000" role="doc-biblioref">Adams 2000</a>' in page
    assert "Bo et al." in page
    assert '<a href="#fig-gaps">Figure 1.1</a>' in page
    assert 'alt="Two gaps; the reader&#39;s own."' in page
    assert "Figure 1.1: Gaps (<a" in page.replace('<span class="citation" data-cites="a2000">', "")
    assert "<mi>x</mi>" in page
    assert 'Table 1.1: The gaps of <a href="#fig-gaps">Figure 1.1</a>.</figcaption>' in page
    assert "Figure 1.2: Move it.</figcaption>" in page
    assert "<summary> Code </summary>" in page
    assert "#|" not in page
    assert "fig-cap" not in page

    references = flat(first.parent / "references.html")
    assert "<em>The <span>Alpha</span></em>" in references
    assert '<a href="https://example.org/beta">https://example.org/beta</a>' in references


def test_only_pages_with_an_interactive_figure_load_plotly(book, no_quarto):
    site = build(book).parent
    assert (site / "assets" / "plotly.min.js").stat().st_size > 1e6
    assert "plotly.min.js" not in (site / "index.html").read_text()
    page = (site / "chapters" / "one.html").read_text()
    assert re.findall(r"<script[^>]*src=[^>]*>", page) == [
        '<script defer src="../assets/plotly.min.js">'
    ]


def test_copy_assets_copies_the_installed_plotly(book, monkeypatch):
    monkeypatch.chdir(book / "chapters")
    assert find_root() == book
    target = copy_assets()
    assert target == book / "assets" / "plotly.min.js"
    assert target.read_text(encoding="utf-8") == plotly.offline.get_plotlyjs()


def test_no_book_here(tmp_path):
    with pytest.raises(BookError, match=r"no _quarto\.yml in .* or above it"):
        find_root(tmp_path)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("_quarto.yml", "book: {chapters: [index.qmd, gone.ipynb]}", r"do not exist: gone\.ipynb"),
        ("_quarto.yml", "book: {chapters: [", "not valid YAML"),
        ("_quarto.yml", "project: {type: book}", "names no chapters"),
        ("index.qmd", "![a](gone.png)", r"index\.qmd shows gone\.png, which does not exist"),
        ("index.qmd", "[a](chapters/gone.ipynb)", r"index\.qmd links to chapters/gone\.ipynb"),
        ("index.qmd", "---\na: [\n---\n\nText", r"index\.qmd.*YAML"),
        ("chapters/one.ipynb", "{}", r"one\.ipynb is not a valid notebook"),
    ],
)
def test_what_is_wrong_is_said(book, no_quarto, file, text, message):
    (book / file).write_text(text)
    with pytest.raises(BookError, match=message):
        build(book)


SMALLEST = "#| label: fig-b\n#| fig-cap: one\n#| fig-alt: >-\n#|   two\nplot()"


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        # What Quarto 1.5 to 1.11 make of a folded scalar: no figure, and the attributes as text.
        (executed(SMALLEST, png=PNG), r"one\.ipynb, cell 8: .\{#fig-b fig-alt=’ two’\}"),
        (
            executed("#| label: tbl-b\n#| tbl-cap: >-\n#|   two\nt()", markdown="a"),
            r"one\.ipynb, cell 8: '::: \{#tbl-b tbl-cap=’ two’\}",
        ),
        (executed("#| label: fig-b\n#| fig-cap: [a\n1"), r"one\.ipynb, cell 8: .*not valid YAML"),
        (executed("#| label: fig-gaps\n#| fig-cap: B\n1", png=PNG), "defines fig-gaps, which"),
        (executed("#| label: fig-b\n#| fig-cap: As @fig-no.\n1", png=PNG), "@fig-no refers to"),
        (executed("#| label: fig-b\n#| fig-cap: '[@c2002]'\n1", png=PNG), "c2002 not found"),
        (executed("#| label: tbl-b\n1", markdown="a"), "tbl-b has no caption"),
        (new_markdown_cell("See @tbl-none."), r"chapters/one\.ipynb: @tbl-none refers to nothing"),
        (new_markdown_cell("::: {.note}\nopen"), r"one\.ipynb, cell 8: Div at .* unclosed"),
        (new_markdown_cell("::: {.note}\n\n:::\n\n:::"), r"one\.ipynb: ':::' is left"),
    ],
)
def test_a_broken_cell_is_found(book, no_quarto, cell, message):
    notebook = sound_chapter()
    notebook.cells.append(cell)
    nbformat.write(notebook, book / "chapters" / "one.ipynb")
    with pytest.raises(BookError, match=message):
        build(book)


def test_every_labelled_cell_of_the_book_is_a_figure_with_number_caption_and_alt(preview):
    """What the chapters' cells become, through the real pandoc."""
    for path in sorted((ROOT / "chapters").glob("*.ipynb")):
        cells = [cell for cell in read_notebook(path).cells if cell.cell_type == "code"]
        options = [cell_options(cell.source)[0] for cell in cells]
        labels = [option["label"] for option in options if "label" in option]
        page = (preview / "chapters" / f"{path.stem}.html").read_text(encoding="utf-8")
        figures = re.findall(r'<figure id="([^"]+)">(.*?)</figure>', page, re.DOTALL)
        assert [name for name, _ in figures] == labels
        for name, figure in figures:
            kind = {"fig": "Figure", "tbl": "Table"}[name[:3]]
            caption = re.search(r"<figcaption>(.*?)</figcaption>", figure, re.DOTALL)
            assert caption, name
            assert re.match(rf"{kind}\s+\d+\.\d+: \S", caption[1]), caption[1]
            if kind == "Figure":
                assert re.search(r'\s(?:alt|aria-label)="[^"]+"', figure), name
