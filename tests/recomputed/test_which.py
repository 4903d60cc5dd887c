"""That enough claims are recomputed, and with other code."""

from __future__ import annotations

import ast
from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest

from tests.recomputed.claims import CHAPTERS, RECOMPUTED

FOLDER = Path(__file__).parent
TESTS = [f"tests.recomputed.test_{chapter}" for chapter in CHAPTERS]
PERMITTED = {"display", "store", "tasks"}
"""Parts of the package that compute no number of a claim."""
OF_CHAPTERS = {"CONTROLS", "claim", "config", "lenet", "planted", "recipe", "results"}
"""The same of the chapters' modules: fields of configs, and what is stored under which name."""


@pytest.fixture(scope="module", autouse=True)
def _marked() -> None:
    for name in TESTS:
        import_module(name)


def test_thirty_claims_at_least_of_eight_chapters():
    per_chapter = Counter(chapter for chapter, _ in RECOMPUTED)
    assert set(per_chapter) == set(CHAPTERS)
    assert sum(per_chapter.values()) >= 30
    assert min(per_chapter.values()) >= 3


def test_each_is_a_claim_of_its_chapter():
    for chapter, name in RECOMPUTED:
        claims = import_module(f"hdlib.experiments.{chapter}.claims").CLAIMS
        assert name in {claim.name for claim in claims}, f"{chapter} has no claim {name!r}"


def test_each_chapter_marks_its_own():
    for chapter in CHAPTERS:
        module = import_module(f"tests.recomputed.test_{chapter}")
        own = [tests for (of, _), tests in RECOMPUTED.items() if of == chapter]
        assert {test for tests in own for test in tests} <= set(vars(module))


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_nothing_here_calls_what_it_checks(path: Path):
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            found += [f"{node.module}.{name.name}" for name in node.names]
        elif isinstance(node, ast.Import):
            found += [name.name for name in node.names]
    ours = [name.split(".") for name in found if name.split(".")[0] == "hdlib"]
    for _, part, *rest in ours:
        assert part in PERMITTED or (part == "experiments" and OF_CHAPTERS & set(rest)), path
