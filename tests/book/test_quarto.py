"""Quarto's site: what it says is shown, and what it could not resolve is an error."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest

from hdlib.book import BookError, build
from hdlib.book.leftovers import leftovers

from .conftest import PNG, executed, sound_chapter

FAKE = """\
#!/bin/sh
[ "$1" = render ] && pwd > rendered
mkdir -p _book && echo "${PAGE:-<p>fine</p>}" > _book/index.html
printf '%b' "$SAYS"
exit ${FAIL:-0}
"""


@pytest.fixture
def fake(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program named quarto that says, writes and returns what the environment tells it."""
    programs = tmp_path_factory.mktemp("bin")
    (programs / "quarto").write_text(FAKE)
    (programs / "quarto").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")


def test_quarto_is_used_where_it_is(book, fake, monkeypatch, capfd):
    monkeypatch.setenv("SAYS", r"\033[1m[1/3] index.qmd\033[0m\n")
    first = build(book)
    assert (book / "rendered").read_text().strip() == str(book)
    assert (book / "assets" / "plotly.min.js").exists()
    assert "[1/3] index.qmd" in capfd.readouterr().out
    assert first == book / "_book" / "index.html"
    monkeypatch.setenv("FAIL", "3")
    with pytest.raises(BookError, match="exit status 3"):
        build(book)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (r"WARN: a.html: Unable to resolve crossref @fig-b\n", "a.html: Unable to .* @fig-b"),
        (
            r"\r[1/3] one.ipynb\n[WARNING] Citeproc: citation x not found\n",
            r"rendering one\.ipynb: .*citation x not found",
        ),
        (
            r"\033[33m[2/3] b.qmd\033[0m\nWARN: Unable to resolve link target: c.qmd\n",
            r"rendering b\.qmd: WARN: Unable to resolve link target: c\.qmd",
        ),
    ],
)
def test_what_quarto_could_not_resolve_is_an_error(book, fake, monkeypatch, capfd, said, message):
    monkeypatch.setenv("SAYS", said)
    with pytest.raises(BookError, match=message):
        build(book)
    assert capfd.readouterr().out


def test_marks_left_on_a_page_are_an_error(book, fake, monkeypatch):
    monkeypatch.setenv("PAGE", "<p>See ?fig-gaps and <code>:::</code></p>")
    with pytest.raises(BookError, match=r"index\.html: '\?fig-gaps and' is left in the text"):
        build(book)


@pytest.mark.parametrize(
    "text",
    ["a ::: {.note}", "?fig-a", "?tbl-a", "?sec-a", "?eq-a", "?@fig-a", "{#fig-a fig-alt='b'}"],
)
def test_leftovers(text):
    assert leftovers(f"<p>one <b>two</b> {text}</p>")
    for tag in ("code", "pre", "script", "style"):
        assert not leftovers(f"<p>what? (#fig-a) a::b</p><{tag}>{text}</{tag}>")


@pytest.mark.skipif(not shutil.which("quarto"), reason="Quarto is not on PATH")
class TestRealQuarto:
    """The program itself on the tiny book, sound and broken."""

    def test_a_sound_book(self, book: Path):
        build(book)
        page = (book / "_book" / "chapters" / "one.html").read_text(encoding="utf-8")
        for text in ("Figure&nbsp;1.1: Gaps", "Table&nbsp;1.1: The gaps", "Figure&nbsp;1.2: Move"):
            assert text in page
        assert '<script defer="" src="../assets/plotly.min.js"' in page
        assert "require" not in page
        assert "jquery" not in page

    def test_a_folded_scalar(self, book: Path):
        notebook = sound_chapter()
        folded = "#| label: fig-b\n#| fig-cap: one\n#| fig-alt: >-\n#|   two\nplot()"
        notebook.cells += [executed(folded, png=PNG), nbformat.v4.new_markdown_cell("See @fig-b.")]
        nbformat.write(notebook, book / "chapters" / "one.ipynb")
        with pytest.raises(BookError, match="Unable to resolve crossref @fig-b") as caught:
            build(book)
        assert "chapters/one.html: '{#fig-b fig-alt=" in str(caught.value)
        assert "chapters/one.html: '?fig-b" in str(caught.value)
