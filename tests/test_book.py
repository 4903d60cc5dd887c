"""The book's pages: every check is a function, tried on the book and on samples that break it."""

from __future__ import annotations

import ast
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
import plotly.offline
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output, new_raw_cell

from hdlib.book import BookError, build, copy_assets, find_root
from hdlib.book.pages import cell_options, labels, read_bibliography, read_page, references
from hdlib.book.site import page_paths, read_outline

ROOT = Path(__file__).parent.parent
MAX_OUTPUT = 1_000_000  # bytes of one stored output
RUN_NOISE = {"papermill", "execution", "ExecuteTime"}


# --- checks: each yields one sentence for each thing that is wrong


def wrong_outline(root: Path) -> Iterator[str]:
    named = page_paths(read_outline(root))
    for path in named:
        if not (root / path).is_file():
            yield f"_quarto.yml names {path}, which does not exist"
        if named.count(path) > 1:
            yield f"_quarto.yml names {path} {named.count(path)} times"
    for path in sorted((root / "chapters").iterdir()):
        name = path.relative_to(root).as_posix()
        if path.suffix == ".ipynb" and name not in named:
            yield f"_quarto.yml does not name {name}"
        if path.suffix in {".py", ".qmd"} and path.with_suffix(".ipynb").exists():
            yield f"{name} is beside a chapter of the same stem: Quarto would drop the chapter"


def wrong_code_cells(notebook: nbformat.NotebookNode) -> Iterator[str]:
    if noise := RUN_NOISE & set(notebook.metadata):
        yield f"run noise in the notebook's metadata: {noise}"
    for i, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        if cell.execution_count is None:
            yield f"cell {i} was not executed"
        if noise := RUN_NOISE & set(cell.metadata):
            yield f"cell {i}: run noise in its metadata: {noise}"
        for output in cell.outputs:
            if output.output_type == "error":
                yield f"cell {i} stores an error: {output.ename}: {output.evalue}"
            if output.get("name") == "stderr":
                yield f"cell {i} stores stderr: {output.text[:80]!r}"
            if (size := len(json.dumps(output))) > MAX_OUTPUT:
                yield f"cell {i} stores an output of {size} bytes, more than {MAX_OUTPUT}"


def wrong_figures(notebook: nbformat.NotebookNode) -> Iterator[str]:
    for cell in notebook.cells:
        options = cell_options(cell.source)[0] if cell.cell_type == "code" else {}
        label = str(options.get("label", ""))
        if label.startswith("fig-"):
            for name in ("fig-cap", "fig-alt"):
                if not options.get(name):
                    yield f"{label} has no {name}"
    for kind in ("image/png", "image/svg+xml"):
        for i, cell in enumerate(notebook.cells):
            shown = any(kind in output.get("data", {}) for output in cell.get("outputs", []))
            if shown and not str(cell_options(cell.source)[0].get("label")).startswith("fig-"):
                yield f"cell {i} shows a figure without `#| label: fig-…`"


def wrong_parameters(notebook: nbformat.NotebookNode) -> Iterator[str]:
    tagged = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    if len(tagged) != 1:
        yield f"{len(tagged)} cells carry the tag `parameters` in their metadata, not one"
    for cell in tagged:
        for line in ast.parse(cell_options(cell.source)[1]).body:
            code = ast.unparse(line)
            if not isinstance(line, ast.AnnAssign) or line.value is None:
                yield f"parameters: not `name: type = literal`: {code}"
                continue
            if line.lineno != line.end_lineno:
                yield f"parameters: more than one line: {code}"
            try:
                ast.literal_eval(line.value)
            except ValueError:
                yield f"parameters: not a literal: {code}"


def wrong_references(
    pages: dict[str, nbformat.NotebookNode], bibliography: dict[str, dict[str, str]]
) -> Iterator[str]:
    defined = [label for notebook in pages.values() for label in labels(notebook)]
    for label in sorted({label for label in defined if defined.count(label) > 1}):
        yield f"the label {label} is defined {defined.count(label)} times"
    for name, notebook in pages.items():
        for reference in references(notebook):
            kind = reference.partition("-")[0].lower()
            known = defined if kind in {"fig", "tbl", "eq", "sec"} else bibliography
            if reference not in known:
                yield f"{name}: @{reference} refers to nothing"


# --- the book

CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
PAGE_CHECKS = [wrong_code_cells, wrong_figures, wrong_parameters]


def test_the_outline_names_every_chapter_and_nothing_else():
    assert CHAPTERS, "no chapters"
    assert list(wrong_outline(ROOT)) == []


@pytest.mark.parametrize("check", PAGE_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.stem)
def test_chapter(chapter, check):
    assert list(check(read_page(chapter)[1])) == []


def test_every_reference_and_citation_resolves():
    named = [name for name in page_paths(read_outline(ROOT)) if (ROOT / name).is_file()]
    pages = {name: read_page(ROOT / name)[1] for name in named}
    assert list(wrong_references(pages, read_bibliography(ROOT / "references.bib"))) == []


def test_bibliography_entries_have_author_title_and_year():
    entries = read_bibliography(ROOT / "references.bib")
    assert entries
    text = (ROOT / "references.bib").read_text(encoding="utf-8")
    assert len(entries) == len(re.findall(r"^@", text, re.MULTILINE)), "a key is there twice"
    for key, fields in entries.items():
        assert {"author", "title", "year"} <= set(fields), key


# --- a tiny book, sound and broken

PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"
    "rkJggg=="
)
FIGURE = """\
#| label: fig-gaps
#| fig-cap: 'Gaps [@a2000] at $x$.'
#| fig-alt: Two gaps.
plot(gaps)"""


def chapter() -> nbformat.NotebookNode:
    """A notebook with nothing wrong in it."""
    figure = new_code_cell(FIGURE, execution_count=2)
    figure.outputs = [new_output("display_data", {"image/png": PNG})]
    parameters = new_code_cell("n: int = 3  # how many", execution_count=1)
    parameters.metadata["tags"] = ["parameters"]
    return new_notebook(
        cells=[
            new_raw_cell("---\ntitle: One\nsubtitle: of one\n---"),
            parameters,
            new_markdown_cell(
                "## What `x` is {#sec-x}\n\nSee @fig-gaps, [@a2000; @b2001], @b2001."
            ),
            new_markdown_cell("::: {.callout-note}\nBack to [start](../index.qmd#top).\n:::"),
            figure,
        ]
    )


@pytest.fixture
def book(tmp_path: Path) -> Path:
    (tmp_path / "chapters").mkdir()
    nbformat.write(chapter(), tmp_path / "chapters" / "one.ipynb")
    (tmp_path / "_quarto.yml").write_text(
        "project: {type: book}\nbibliography: all.bib\nbook:\n  chapters:\n  - index.qmd\n"
        "  - part: First\n    chapters: [chapters/one.ipynb]\n  - references.qmd\n"
    )
    (tmp_path / "index.qmd").write_text(
        "---\ntitle: Tiny\n---\n\nIn @sec-x, not `@code`; ![a](dot.svg){#fig-dot fig-alt='dot'}\n"
    )
    (tmp_path / "dot.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (tmp_path / "references.qmd").write_text("# References {.unnumbered}\n\n::: {#refs}\n:::\n")
    (tmp_path / "all.bib").write_text(
        "@book{a2000,\n  author = {Adams, A.},\n  title = {The {Alpha}},\n  year = {2000}\n}\n"
        "@book{b2001,\n  author = {Bo, B. and Cu, C. and Do, D.},\n  year = {2001}\n}\n"
    )
    return tmp_path


@pytest.fixture
def no_quarto(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)


def test_preview(book, no_quarto, capsys):
    first = build(book)
    assert capsys.readouterr().out.startswith("plain HTML preview")
    assert first == book / "_book" / "index.html"
    assert (first.parent / "dot.svg").exists()
    assert (first.parent / "assets" / "plotly.min.js").stat().st_size > 1e6
    index = first.read_text()
    assert '<a href="chapters/one.html#sec-x">What <code>x</code> is</a>' in index
    assert "<code>@code</code>" in index
    assert '<figure id="fig-dot">' in index

    page = (first.parent / "chapters" / "one.html").read_text()
    head = page.partition("</head>")[0]
    scripts = re.findall(r"<script[^>]*src=\"([^\"]*)\"", head)
    assert scripts[0] == "../assets/plotly.min.js"
    assert "require" not in head
    assert '<h1 id="One">One' in page
    assert '<a id="sec-x"></a>What <code>x</code> is' in page
    assert '<a href="../index.html#top">start</a>' in page
    assert '<a href="../references.html#ref-a2000">Adams 2000</a>; <a href' in page
    assert "Bo et al. 2001" in page
    assert '<figure id="fig-gaps">' in page
    assert "<figcaption><p>Figure 2: Gaps (<a" in page
    assert 'alt="Two gaps."' in page
    assert "plot" in page
    assert "fig-cap" not in page
    assert "#|" not in page
    assert '<div class="callout-note">' in page
    assert '<p id="ref-a2000">' in (first.parent / "references.html").read_text()


def test_quarto_is_used_where_it_is(book, tmp_path_factory, monkeypatch):
    programs = tmp_path_factory.mktemp("bin")
    quarto = programs / "quarto"
    quarto.write_text('#!/bin/sh\n[ "$1" = render ] && pwd > rendered\nexit ${FAIL:-0}\n')
    quarto.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    build(book)
    assert (book / "rendered").read_text().strip() == str(book)
    assert (book / "assets" / "plotly.min.js").exists()
    monkeypatch.setenv("FAIL", "3")
    with pytest.raises(BookError, match="exit status 3"):
        build(book)


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
        ("chapters/one.ipynb", "{}", r"one\.ipynb is not a valid notebook"),
    ],
)
def test_what_is_wrong_is_said(book, no_quarto, file, text, message):
    (book / file).write_text(text)
    with pytest.raises(BookError, match=message):
        build(book)


def test_checks_pass_on_a_sound_book(book):
    notebook = chapter()
    assert list(wrong_outline(book)) == []
    for check in PAGE_CHECKS:
        assert list(check(notebook)) == []
    pages = {"index.qmd": read_page(book / "index.qmd")[1], "one.ipynb": notebook}
    assert list(wrong_references(pages, read_bibliography(book / "all.bib"))) == []


def test_outline_checks_find_what_is_wrong(book):
    (book / "chapters" / "two.ipynb").write_text("{}")
    (book / "chapters" / "one.py").touch()
    (book / "references.qmd").unlink()
    wrong = "\n".join(wrong_outline(book))
    assert "does not name chapters/two.ipynb" in wrong
    assert "chapters/one.py is beside a chapter" in wrong
    assert "names references.qmd, which does not exist" in wrong


@pytest.mark.parametrize(
    ("source", "change", "message"),
    [
        ("1", {"execution_count": None}, "was not executed"),
        ("1", {"metadata": {"papermill": {}}}, "run noise"),
        ("1", {"outputs": [new_output("error", ename="E", evalue="no")]}, "stores an error: E: no"),
        ("1", {"outputs": [new_output("stream", name="stderr", text="w")]}, "stores stderr"),
        ("1", {"outputs": [new_output("stream", text="x" * MAX_OUTPUT)]}, "bytes, more than"),
        ("1", {"outputs": [new_output("display_data", {"image/png": PNG})]}, "without `#| label"),
        ("#| label: fig-b\n#| fig-cap: B.\n1", {}, "fig-b has no fig-alt"),
        ("#| label: fig-b\n#| fig-alt: B.\n1", {}, "fig-b has no fig-cap"),
        ("#| label: fig-gaps\n1", {}, "the label fig-gaps is defined 2 times"),
        ("#| fig-cap: As @fig-none.\n1", {}, "@fig-none refers to nothing"),
        ("#| fig-cap: As [@c2002].\n1", {}, "@c2002 refers to nothing"),
        ("n = 1", {"metadata": {"tags": ["parameters"]}}, "2 cells carry the tag"),
        ("n = 1", {"metadata": {"tags": ["parameters"]}}, "not `name: type = literal`: n = 1"),
        ("n: int = f()", {"metadata": {"tags": ["parameters"]}}, "not a literal: n: int = f()"),
        ("n: list = [\n1]", {"metadata": {"tags": ["parameters"]}}, "more than one line"),
    ],
)
def test_page_checks_find_what_is_wrong(book, source, change, message):
    notebook = chapter()
    notebook.cells.append(new_code_cell(source, **({"execution_count": 9} | change)))
    wrong = [sentence for check in PAGE_CHECKS for sentence in check(notebook)]
    wrong += wrong_references({"one": notebook}, read_bibliography(book / "all.bib"))
    assert any(message in sentence for sentence in wrong), wrong


def test_a_chapter_without_parameters_is_wrong():
    assert "0 cells carry the tag" in next(wrong_parameters(new_notebook()))
