"""The chapters: every check is a function, tried on them and on samples that break it."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from hdlib.book.cells import cell_options, read_notebook
from hdlib.book.site import page_paths, read_outline
from hdlib.experiments.registry import CHAPTERS as EXPERIMENTS

from .conftest import PNG, ROOT, sound_chapter

MAX_OUTPUT = 1_000_000  # bytes of one stored output
RUN_NOISE = {"papermill", "execution", "ExecuteTime"}
PICTURES = {"image/png", "image/svg+xml"}
FOR_A_CDN = {"text/html", "application/javascript"}
FOLDED = re.compile(r"^#\|[ \t]*([\w-]+):[ \t]*[>|]", re.MULTILINE)
# A word folded after its hyphen; "top- and bottom" is none.
BROKEN_WORD = re.compile(r"\b\w*[a-z]-\s(?!(?:and|or|to|nor)\b)[a-z]+")


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


def folded_options(notebook: nbformat.NotebookNode) -> Iterator[str]:
    """Folded and literal scalars: Quarto loses label and caption of such a cell."""
    for i, cell in enumerate(notebook.cells):
        for name in FOLDED.findall(cell.source) if cell.cell_type == "code" else ():
            yield f"cell {i}: {name} is a folded scalar; write it on its own line, in quotes"


def broken_words(notebook: nbformat.NotebookNode) -> Iterator[str]:
    for i, cell in enumerate(notebook.cells):
        texts = [output.data.get("text/markdown", "") for output in shown(cell)]
        for text in [cell.source, *texts]:
            for word in BROKEN_WORD.findall(text):
                yield f"cell {i}: a word is broken after its hyphen: {word!r}"


def shown(cell: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [output for output in cell.get("outputs", []) if "data" in output]


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
            if kinds := FOR_A_CDN & set(output.get("data", {})):
                yield f"cell {i} stores {kinds}: Quarto's page would ask a CDN for libraries"
            if (size := len(json.dumps(output))) > MAX_OUTPUT:
                yield f"cell {i} stores an output of {size} bytes, more than {MAX_OUTPUT}"


def wrong_figures(notebook: nbformat.NotebookNode) -> Iterator[str]:
    for i, cell in enumerate(notebook.cells):
        options = cell_options(cell.source)[0] if cell.cell_type == "code" else {}
        label = str(options.get("label", ""))
        outputs = [output.data for output in shown(cell)]
        pictures = any(PICTURES & set(data) for data in outputs)
        if pictures and not label.startswith("fig-"):
            yield f"cell {i} shows a figure without `#| label: fig-…`"
        if label.startswith("fig-"):
            if not options.get("fig-cap"):
                yield f"{label} has no fig-cap"
            named = any('aria-label="' in data.get("text/markdown", "") for data in outputs)
            if not pictures and not named:
                yield f"{label} is no picture and has no aria-label: Quarto drops its fig-alt"
            if pictures and not options.get("fig-alt"):
                yield f"{label} has no fig-alt"
        if label.startswith("tbl-") and not options.get("tbl-cap"):
            yield f"{label} has no tbl-cap"


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


# --- the book

CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
CHECKS = [folded_options, broken_words, wrong_code_cells, wrong_figures]


def test_the_outline_names_every_chapter_and_nothing_else():
    assert CHAPTERS, "no chapters"
    assert list(wrong_outline(ROOT)) == []


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.stem)
def test_chapter(chapter, check):
    assert list(check(read_notebook(chapter))) == []


@pytest.mark.parametrize("name", [each.name for each in EXPERIMENTS])
def test_chapter_of_an_experiment_has_parameters(name):
    assert list(wrong_parameters(read_notebook(ROOT / "chapters" / f"{name}.ipynb"))) == []


@pytest.mark.parametrize("name", [each.name for each in EXPERIMENTS])
def test_the_ledger_has_every_claim_of_an_experiment(name):
    ledger = read_notebook(ROOT / "chapters" / "ledger.ipynb")
    texts = [out.data.get("text/markdown") for cell in ledger.cells for out in shown(cell)]
    assert str(import_module(f"hdlib.experiments.{name.replace('-', '_')}.claims").shown()) in texts


# --- the checks


def test_checks_pass_on_a_sound_book(book):
    assert list(wrong_outline(book)) == []
    for check in [*CHECKS, wrong_parameters]:
        assert list(check(sound_chapter())) == []


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
        ("1", {"outputs": [new_output("display_data", {"text/html": "a"})]}, "would ask a CDN"),
        ("1", {"outputs": [new_output("display_data", {"image/png": PNG})]}, "without `#| label"),
        (
            "#| label: fig-b\n#| fig-cap: B.\n1",
            {"outputs": [new_output("display_data", {"image/png": PNG})]},
            "fig-b has no fig-alt",
        ),
        ("#| label: fig-b\n#| fig-alt: B.\n1", {}, "fig-b has no fig-cap"),
        ("#| label: fig-b\n#| fig-alt: B.\n1", {}, "fig-b is no picture and has no aria-label"),
        ("#| label: tbl-b\n1", {}, "tbl-b has no tbl-cap"),
        ("#| label: fig-b\n#| fig-alt: >-\n#|   B.\n1", {}, "fig-alt is a folded scalar"),
        ("#| label: tbl-b\n#| tbl-cap: |\n#|   B.\n1", {}, "tbl-cap is a folded scalar"),
        ("#| label: fig-b\n#|fig-cap:  >\n#|   B.\n1", {}, "fig-cap is a folded scalar"),
        ('#| label: tbl-b\n#| tbl-cap: "The Hessian- vector product."', {}, "'Hessian- vector'"),
        ("n = 1", {"metadata": {"tags": ["parameters"]}}, "2 cells carry the tag"),
        ("n = 1", {"metadata": {"tags": ["parameters"]}}, "not `name: type = literal`: n = 1"),
        ("n: int = f()", {"metadata": {"tags": ["parameters"]}}, "not a literal: n: int = f()"),
        ("n: list = [\n1]", {"metadata": {"tags": ["parameters"]}}, "more than one line"),
    ],
)
def test_checks_find_what_is_wrong(source, change, message):
    notebook = sound_chapter()
    notebook.cells.append(new_code_cell(source, **({"execution_count": 9} | change)))
    wrong = [sentence for check in [*CHECKS, wrong_parameters] for sentence in check(notebook)]
    assert any(message in sentence for sentence in wrong), wrong


def test_a_chapter_without_parameters_is_wrong():
    assert "0 cells carry the tag" in next(wrong_parameters(new_notebook()))
