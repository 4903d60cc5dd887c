"""The bibliography, as pandoc reads it: who is listed is cited, and can be looked up."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from hdlib.book.cells import read_page
from hdlib.book.pandoc import nodes, pandoc
from hdlib.book.references import kind
from hdlib.book.site import page_paths, read_outline

from .conftest import ROOT


@pytest.fixture(scope="module")
def entries() -> dict[str, dict[str, Any]]:
    text = (ROOT / "references.bib").read_text(encoding="utf-8")
    listed = json.loads(pandoc(text, "--from=bibtex", "--to=csljson"))
    counts = Counter(entry["id"] for entry in listed)
    assert max(counts.values()) == 1, counts
    return {entry["id"]: entry for entry in listed}


@pytest.mark.parametrize("field", ["author", "title", "issued"])
def test_entries_are_complete(entries, field):
    assert {key for key, entry in entries.items() if field not in entry} == set()


def test_entries_have_a_link(entries):
    assert {key for key, entry in entries.items() if not {"DOI", "URL"} & set(entry)} == set()


def test_entries_are_those_that_are_cited(entries):
    pages = [read_page(ROOT / name) for name in page_paths(read_outline(ROOT))]
    trees = [json.loads(pandoc(page.markdown, "--from=markdown", "--to=json")) for page in pages]
    cites = [node["c"][0] for node in nodes(trees) if node["t"] == "Cite"]
    keys = {citation["citationId"] for cite in cites for citation in cite}
    assert {key for key in keys if not kind(key)} == set(entries)
