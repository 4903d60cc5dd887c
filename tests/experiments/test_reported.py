"""Reported numbers beside ours: the rules, the verdicts on the published runs, and the ledger."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

from hdlib.book.cells import read_notebook
from hdlib.experiments import reported
from hdlib.experiments.depth.results import published as depth_runs
from hdlib.experiments.grokking.recipe import EXPERIMENT as GROKKING
from hdlib.experiments.grokking.sweep import HEADS, NETWORKS
from hdlib.experiments.reported import CHAPTERS, Compared, Control, Reported
from hdlib.experiments.reported.record import NOTHING, ORIGINAL, STANDINGS
from hdlib.experiments.reported.rules import (
    Rule,
    about,
    around,
    at_least,
    at_most,
    between,
    mean_near,
)
from hdlib.store import PUBLISHED
from tests.experiments.chapter import shown_text

ROOT = PUBLISHED.parent
LEDGER = ROOT / "chapters" / "ledger.ipynb"
RECORDS = [(name, record) for name, records in CHAPTERS.items() for record in records]
DECIDED = [(name, record) for name, record in RECORDS if record.rule]
SIZES = np.geomspace(1e-4, 1e12, 1_000)
CANDIDATES = [*np.r_[-SIZES, 0, SIZES][:, None], np.array([-1e12, 1e12])]
"""Numbers of all sizes, one by one, and a range that has all others in it."""


def told(case: object) -> str:
    return case if isinstance(case, str) else getattr(case, "what", "")[:60]


@cache
def verdicts(chapter: str) -> list[tuple[Reported[Any], Compared]]:
    """Each record of a chapter with what came of it."""
    runs = reported.published(chapter)
    return [(record, record.compare(runs)) for record in CHAPTERS[chapter]]


@pytest.fixture(params=list(CHAPTERS))
def chapter(request: pytest.FixtureRequest) -> str:
    """A chapter whose runs are published; none is computed for a test."""
    if request.param == "grokking":
        configs = [*(config for group in NETWORKS.values() for config in group), *HEADS]
        assert all(GROKKING.open(config, root=PUBLISHED).complete for config in configs)
    return request.param


# --- the records


@pytest.mark.parametrize(("name", "record"), RECORDS, ids=told)
def test_section_and_work_are_in_the_book(name: str, record: Reported[Any]):
    source = "\n".join(
        cell.source
        for cell in read_notebook(ROOT / "chapters" / f"{name}.ipynb").cells
        if cell.cell_type == "markdown"
    )
    assert f"{{#{record.section}}}" in source
    listed = set(re.findall(r"^@\w+\{(\w+),", (ROOT / "references.bib").read_text(), re.MULTILINE))
    cited = record.work.split(", ")
    assert cited == [ORIGINAL] or {key.removeprefix("@") for key in cited} <= listed


def test_no_two_records_are_of_the_same():
    told_of = [(name, record.work, record.what) for name, record in RECORDS]
    assert len(set(told_of)) == len(told_of)


@pytest.mark.parametrize(("name", "record"), DECIDED, ids=told)
def test_a_rule_can_hold_and_fail(name: str, record: Reported[Any]):
    assert record.rule
    found = {record.rule.holds(numbers) for numbers in CANDIDATES}
    assert found == {True, False}, record.rule.words


# --- the rules


@pytest.mark.parametrize(
    ("rule", "holds", "fails"),
    [
        (about(5.0), [4, 6], [6, 7]),
        (about(-0.5), [-2, 0], [-0.4, 0]),
        (about(5.0, margin=1), [6, 7], [6.5, 7]),
        (around(10.0, factor=2), [20, 21], [20.5, 21]),
        (around(10.0, factor=2), [4, 5], [4, 4.9]),
        (mean_near(0.5, margin=0.1), [0.3, 0.8], [0.5, 0.8]),
        (between(1, 2), [1, 2], [1, 2.1]),
        (at_least(0.95, ".0%"), [0.95, 1], [0.94, 1]),
        (at_most(0.05), [0.01, 0.05], [0.01, 0.06]),
    ],
    ids=lambda case: case.words if isinstance(case, Rule) else None,
)
def test_rules(rule: Rule, holds: list[float], fails: list[float]):
    assert rule.holds(np.array(holds))
    assert not rule.holds(np.array(fails))


def test_numbers_that_are_missing_bear_nothing_out():
    missing = np.array([np.nan])
    for rule in (about(1), around(1, factor=2), mean_near(1, margin=1), between(0, 2), at_least(0)):
        assert not rule.holds(missing)


def test_a_rule_says_what_it_allows():
    assert at_least(0.95, ".0%").words == "each of ours is at least 95%"
    assert around(3.0, factor=2).words == "it lies among ours, give or take a factor of 2"


# --- the verdicts


def record(**fields: Any) -> Reported[dict[str, list[float]]]:
    known: dict[str, Any] = {
        "work": ORIGINAL,
        "what": "a number",
        "says": "1",
        "ours": lambda results: results["ours"],
        "rule": at_least(1),
        "seeds": 2,
        "section": "sec-one",
    }
    return Reported(**(known | fields))


def test_a_number_is_reproduced_or_not():
    assert record().compare({"ours": [1, 2]}).standing == "reproduced"
    assert record().compare({"ours": [0, 2]}).standing == "not reproduced"


@pytest.mark.parametrize(
    ("due", "beside", "standing", "why"),
    [
        (False, [3, 4], "artefact", "likewise with shuffled labels (3 to 4)"),
        (False, [0, 4], "reproduced", "not so with shuffled labels (0 to 4)"),
        (True, [0], "artefact", "not so with shuffled labels (0)"),
        (True, [1], "reproduced", "likewise with shuffled labels (1)"),
    ],
)
def test_a_control_tells_an_artefact(due: bool, beside: list[float], standing: str, why: str):
    beside_it = Control("with shuffled labels", lambda results: results["control"], due)
    compared = record(control=beside_it).compare({"ours": [1], "control": beside})
    assert (compared.standing, compared.why) == (standing, why)


def test_what_was_not_borne_out_needs_no_control():
    beside_it = Control("anywhere", lambda results: results["control"])
    assert record(control=beside_it).compare({"ours": [0]}).standing == "not reproduced"


def test_where_no_number_decides_it_says_why():
    apart = record(rule=None, apart="another size")
    assert apart.row({"ours": [1, 2]})[3:7] == ("1 to 2", "2", "another size", "not comparable")
    missing = record(rule=None, apart="not trained", ours=None, seeds=0)
    assert missing.row({})[3:5] == (NOTHING, NOTHING)
    assert record(rule=None, known="drawn at random").compare({"ours": [1]}).standing == "artefact"


@pytest.mark.parametrize(
    "fields",
    [
        {"apart": "another size"},
        {"rule": None},
        {"rule": None, "apart": "another size", "known": "drawn at random"},
        {"ours": None},
        {"ours": None, "rule": None, "apart": "not trained"},
    ],
)
def test_one_thing_decides(fields: dict[str, Any]):
    with pytest.raises(ValueError, match="a number: "):
        record(**fields)


# --- the published runs


def test_ours_are_numbers(chapter: str):
    for found, compared in verdicts(chapter):
        assert np.isfinite(compared.ours).all(), found.what
        assert bool(len(compared.ours)) == (found.ours is not None)
        assert len(compared.ours) >= found.seeds or found.ours is None, found.what


@pytest.mark.parametrize(
    ("name", "what", "standing"),
    [
        ("mnist", "largest eigenvalue, from 50 images", "artefact"),
        ("mnist", "test accuracy at step", "reproduced"),
        ("mnist", "a second group of about C²", "not reproduced"),
        ("planted", "two random matrices laid over one another", "reproduced"),
        ("depth", "largest eigenvalue after 9,001 updates, depth 4", "reproduced"),
        ("depth", "increases with depth", "not reproduced"),
        ("depth", "deep networks do not generalise", "artefact"),
        ("emergence", "on the logits, rows it was fitted on, width 256", "artefact"),
        ("least-action", "test accuracy at which networks wait", "artefact"),
        ("least-action", "generalises without a regulariser", "not reproduced"),
        ("least-action", "the weight norm grows", "artefact"),
    ],
)
def test_verdicts_that_chapters_tell(name: str, what: str, standing: str):
    (found,) = [compared for each, compared in verdicts(name) if what in each.what]
    assert found.standing == standing


@pytest.fixture
def deep_ones_learn() -> Iterator[None]:
    """The depth chapter's networks with all test pairs right at their last row."""
    networks = depth_runs().original("raw")
    for network in networks:
        column = network.history["test_accuracy"].copy()
        column[-1] = 1.0
        network.history = network.history | {"test_accuracy": column}
    yield
    for network in networks:
        del network.__dict__["history"]


@pytest.mark.usefixtures("deep_ones_learn")
def test_other_runs_have_other_verdicts():
    standing = {each.what: each.compare(depth_runs()).standing for each in CHAPTERS["depth"]}
    (two,) = [found for what, found in standing.items() if "only depth 2" in what]
    (deep,) = [found for what, found in standing.items() if "deep networks do not" in what]
    assert (two, deep) == ("reproduced", "not reproduced")
    assert standing["best test accuracy, depth 4"] == "not reproduced"


def test_numbers_come_out_more_often_than_sentences():
    came_out: dict[bool, list[bool]] = {True: [], False: []}
    originals = ("mnist", "depth", "emergence", "least-action")
    for found, compared in (each for name in originals for each in verdicts(name)):
        if found.rule and found.work == ORIGINAL:
            is_number = re.search(r"\d", found.says) is not None
            wrong = {"not reproduced"} if is_number else {"not reproduced", "artefact"}
            came_out[is_number].append(compared.standing not in wrong)
    assert np.mean(came_out[True]) > 0.75
    assert np.mean(came_out[False]) < 0.5


# --- the ledger


def test_the_ledger_has_the_table(chapter: str):
    assert str(reported.shown(chapter)) in shown_text(LEDGER)


def test_the_ledger_has_the_summary(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reported, "CHAPTERS", {"planted": CHAPTERS["planted"]})
    header, _, row, total = reported.summary().split("\n")
    assert header == f"| chapter | {' | '.join(STANDINGS)} |"
    assert row == "| @sec-planted | 2 | 0 | 0 | 0 |"
    assert total == "| all | 2 | 0 | 0 | 0 |"
    assert header in shown_text(LEDGER)
