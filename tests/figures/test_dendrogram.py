from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from hdlib.clustering import fiedler_tree
from hdlib.figures import dendrogram, dendrogram_pair, parameter_dendrogram

from .drawn import merge_heights, png
from .trees import caterpillar, random_tree

NAMES = ["conv1", "conv2", "linear"]
GROUPS = np.arange(40) % 3


def test_heights_drawn_are_the_largest_gaps(trajectory):
    spectra = {f"step {step}": trajectory[step] for step in (0, 14_070)}
    fig = dendrogram(spectra, merges=30)
    for ax, (label, spectrum) in zip(fig.axes, spectra.items(), strict=True):
        gaps = np.sort(np.diff(spectrum.eigenvalues))[-30:]
        np.testing.assert_array_equal(merge_heights(ax), gaps)
        assert ax.get_title("left") == f"{label} (5,994 eigenvalues)"
        assert len(ax.get_xticklabels()) == 31
        assert ax.get_ylim() == fig.axes[0].get_ylim()
    assert not plt.get_fignums()


def test_what_is_not_resolved_is_left_out(ends):
    for tree, spectrum in zip(ends.dendrograms, ends.spectra, strict=True):
        (ax,) = dendrogram(tree, merges=12).axes
        gaps = np.sort(np.delete(np.diff(spectrum.eigenvalues), 39))[-12:]
        np.testing.assert_array_equal(merge_heights(ax), gaps)
        assert ax.get_title("left") == "90 of 94,666 eigenvalues known"


@pytest.mark.parametrize("spectrum", [[1.0], [1.0, 1.0], [0.0, 1.0], [2.0] * 50])
def test_small_and_degenerate_spectra(spectrum):
    png(dendrogram(spectrum))


@pytest.mark.parametrize(
    ("spectra", "merges", "message"),
    [
        ({}, 30, "spectra must have at least one entry"),
        ([1.0, np.nan], 30, "must be finite, got nan"),
        ([], 30, r"must have shape \(any\), got \(0,\)"),
        ([1.0, 2.0], 0, "merges must be positive, got 0"),
    ],
)
def test_refuses(spectra, merges, message):
    with pytest.raises(ValueError, match=message):
        dendrogram(spectra, merges=merges)
    assert not plt.get_fignums()


def test_heights_and_groups_are_those_of_the_trees():
    trees = {"step 0": random_tree(40, 0), "step 5": random_tree(40, 1)}
    linkages = {label: tree.linkage for label, tree in trees.items()}
    fig = parameter_dendrogram(linkages, GROUPS, NAMES, merges=10)
    assert len(fig.axes) == 4
    for ax, strip, (label, tree) in zip(fig.axes[::2], fig.axes[1::2], trees.items(), strict=True):
        assert ax.get_title("left") == label
        np.testing.assert_array_equal(merge_heights(ax), tree.linkage[-10:, 2])
        (image,) = strip.images
        np.testing.assert_array_equal(np.asarray(image.get_array())[0], GROUPS[tree.order])
        assert ax.get_xlim() == strip.get_xlim() == (0, 40)
    assert [text.get_text() for text in fig.legends[0].get_texts()] == NAMES
    assert not plt.get_fignums()


def test_colours_of_the_strip_are_those_of_the_legend():
    tree = random_tree(40, 0)
    fig = parameter_dendrogram({"tree": tree.linkage}, GROUPS, NAMES)
    (image,) = fig.axes[1].images
    colours = image.to_rgba(GROUPS[None])[0]
    patches = fig.legends[0].get_patches()
    for group, patch in enumerate(patches):
        assert {to_hex(colour) for colour in colours[group == GROUPS]} == {
            to_hex(patch.get_facecolor())
        }


def test_every_panel_has_its_own_merge_heights():
    flat, steep = caterpillar(40), caterpillar(40)
    steep[:, 2] = np.geomspace(1, 1e5, 39)
    fig = parameter_dendrogram({"flat": flat, "steep": steep}, GROUPS, NAMES)
    scales = [ax.get_yscale() for ax in fig.axes[::2]]
    assert scales == ["linear", "log"]
    for ax in fig.axes[::2]:
        low, high = ax.get_ylim()
        assert 0 <= low < min(merge_heights(ax)) < max(merge_heights(ax)) < high
    png(fig)


def test_columns_are_filled_row_by_row():
    titles = ["a", "b", "c", "d"]
    linkages = {title: random_tree(40, seed).linkage for seed, title in enumerate(titles)}
    fig = parameter_dendrogram(linkages, GROUPS, NAMES, columns=2)
    panels = {ax.get_title("left"): ax for ax in fig.axes if ax.get_title("left")}
    assert list(panels) == titles
    for title, ax in panels.items():
        assert merge_heights(ax) == linkages[title][:, 2].tolist()
    places = [panels[title].get_position() for title in titles]
    assert places[0].y0 == places[1].y0 > places[2].y0 == places[3].y0
    assert places[0].x0 == places[2].x0 < places[1].x0 == places[3].x0
    png(fig)


def test_pieces_do_not_squeeze_the_others():
    uncoupled = np.zeros((40, 40))
    uncoupled[:38, :38] = np.random.default_rng(0).random((38, 38))
    linkage = fiedler_tree(uncoupled + uncoupled.T).linkage
    assert np.count_nonzero(linkage[:, 2] > 1e10) == 2
    ax = parameter_dendrogram({"tree": linkage}, GROUPS, NAMES).axes[0]
    low, high = ax.get_ylim()
    assert ax.get_yscale() == "linear"
    assert low < linkage[0, 2] < linkage[-3, 2] < high < 2 * linkage[-3, 2]


def test_two_parameters():
    png(parameter_dendrogram({"": [[0, 1, 1.0, 2]]}, [0, 0], ["layer"]))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"linkages": {}}, "linkages must have at least one entry"),
        ({"linkages": {"a": caterpillar(9)}}, r"linkages\['a'\] must have 39 rows for 40"),
        ({"groups": GROUPS + 1}, "groups must be integers 0 to 2, got 3 at index"),
        ({"groups": GROUPS / 2}, "got 0.5 at index 1"),
        ({"names": []}, "names must be 1 to 10 names, got 0"),
        ({"merges": 0}, "merges must be positive, got 0"),
        ({"columns": 0}, "columns must be positive, got 0"),
        ({"columns": 2}, "columns=2: must divide the number of trees, 1"),
    ],
)
def test_parameter_trees_refuse(changed, message):
    given = {"linkages": {"a": caterpillar(40)}, "groups": GROUPS, "names": NAMES, **changed}
    with pytest.raises(ValueError, match=message):
        parameter_dendrogram(**given)
    assert not plt.get_fignums()


def test_pair_shows_both_trees():
    tree, eigenvalues = random_tree(40, 0), np.random.default_rng(0).normal(size=40)
    fig = dendrogram_pair(eigenvalues, tree.linkage, GROUPS, NAMES, merges=8)
    left, right, strip = fig.axes
    gaps = np.sort(np.diff(np.sort(eigenvalues)))
    np.testing.assert_array_equal(sorted(merge_heights(left)), gaps[-8:])
    np.testing.assert_array_equal(merge_heights(right), tree.linkage[-8:, 2])
    (image,) = strip.images
    np.testing.assert_array_equal(np.asarray(image.get_array())[0], GROUPS[tree.order])


def test_pair_refuses():
    with pytest.raises(ValueError, match="linkage must have 39 rows for 40 parameters, got 8"):
        dendrogram_pair(np.arange(40), caterpillar(9), GROUPS, NAMES)
    with pytest.raises(ValueError, match="must be finite, got nan"):
        dendrogram_pair([np.nan], caterpillar(40), GROUPS, NAMES)
