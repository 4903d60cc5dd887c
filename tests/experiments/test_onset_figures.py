"""The onset chapter's figures and tables, of networks whose events are planted."""

from __future__ import annotations

import numpy as np
import pytest

from hdlib.experiments.onset import figures, tables
from tests.experiments.followed import NEVER, PlantedOnset, planted


@pytest.fixture(scope="module")
def results() -> PlantedOnset:
    return PlantedOnset({"seen": (300, 1_500, NEVER), "detached": (2_000, 2_200, NEVER)})


def test_each_frequency_is_a_point_in_each_panel(results):
    fig = figures.first_of_two(results)
    for ax in fig.axes:
        points = {
            line.get_label(): np.asarray(line.get_ydata())
            for line in ax.lines
            if line.get_marker() == "o" and len(np.asarray(line.get_xdata()))
        }
        assert {label: len(y) for label, y in points.items()} == {
            "a doublet": 20,
            "one of the two never": 10,
        }
        assert (points["one of the two never"] > results.grid.n_steps).all()


def test_what_goes_away_again_has_a_colour_of_its_own():
    results = PlantedOnset()
    (network, *_) = results.followed
    network._spectra[-1]["dimensions"][:, 0] = 0.1
    seen, *_ = figures.first_of_two(results).axes
    labels = [line.get_label() for line in seen.lines]
    assert "one that goes away again" in labels


def test_a_bar_stands_where_there_is_a_gap():
    network = planted(gap=1_800)
    top = figures.arrival(network).axes[0]
    (bars,) = top.collections
    steps = [float(np.asarray(path.vertices)[0, 0]) for path in bars.get_paths()]
    assert steps == list(range(1_800, 2_801, 100))


def test_points_upon_each_other_are_moved_aside():
    x, y = np.array([1.0, 1, 1, 2]), np.array([5.0, 5, 5, 5])
    assert figures._spread(x, y).tolist() == [0, 1, -1, 0]


def test_the_timeline_has_all_networks(results):
    for ax in figures.timeline(results).axes:
        assert len(ax.lines) == len(results.followed) + len(results.controls)


def test_tables_tell_what_never_was(results):
    rows = tables.network_table(results).splitlines()[2:]
    assert len(rows) == 13
    assert "| 300, 1,500, – |" in rows[0]
    assert rows[-1].startswith("| few pairs, seed 2 | 10% | – |")
    leads = {row.split(" | ")[0]: row for row in tables.lead_table(results).splitlines()[2:]}
    assert "| 10 of 10 | 1,100 | +0 | +0 |" in leads["| half of the other pairs right"]
    assert "| +700 | +700 |" in leads["| first doublet that stays there"]
