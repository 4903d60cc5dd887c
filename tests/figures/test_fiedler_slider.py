from __future__ import annotations

import json
from itertools import chain

import numpy as np
import pytest

from hdlib.figures import embed, fiedler_slider

from .trees import caterpillar, random_tree

STEPS = [0, 10, 100]


def told(t, members):
    return f"{t}: {sorted(members.tolist())}"


def told_members(text, t):
    checkpoint, members = text.split("<br>")[-1].split(": ")
    assert checkpoint == str(t)
    return json.loads(members)


def test_frames_tell_the_members_of_every_cluster():
    trees = [random_tree(40, seed) for seed in range(3)]
    measures = {"λ₂": [tree.connectivity for tree in trees]}
    figure = fiedler_slider(
        STEPS, [tree.linkage for tree in trees], told, measures=measures, merges=6
    )
    content = json.loads(str(figure.to_json()))
    assert [frame["name"] for frame in content["frames"]] == ["0", "10", "100"]
    assert content["layout"]["yaxis"]["type"] == "linear"
    for t, (frame, tree) in enumerate(zip(content["frames"], trees, strict=True)):
        _, tops, leaves = frame["data"]
        np.testing.assert_allclose(tops["y"], tree.linkage[-6:, 2], rtol=1e-3)
        parts = [told_members(text, t) for text in leaves["text"]]
        assert sorted(chain.from_iterable(parts)) == list(range(40))
        assert frame["layout"]["xaxis"]["ticktext"] == [str(len(part)) for part in parts]
        joined = [told_members(text, t) for text in tops["text"]]
        assert [len(part) for part in joined] == tree.linkage[-6:, 3].tolist()
        for text, height, value in zip(
            tops["text"], tree.linkage[-6:, 2], tree.connectivity[-6:], strict=True
        ):
            assert text.startswith(f"height {height:.3g}, λ₂ {value:.3g}<br>")


def test_wide_heights_have_a_logarithmic_axis_with_every_merge_in_it():
    steep = caterpillar(40)
    steep[:, 2] = np.geomspace(1, 1e5, 39)
    figure = fiedler_slider([0, 1], [steep, caterpillar(40)], told)
    axis = figure.layout.yaxis
    assert axis.type == "log"
    low, high = axis.range
    assert low < np.log10(10) < 5 < high


def test_size_of_the_page():
    steps, tree = np.arange(25), random_tree(200, 0)
    words = "conv1: 180 of 208 (most of output 0, 1, 3, 4, …)<br>" * 3
    figure = fiedler_slider(steps, [tree.linkage] * 25, lambda t, members: words)
    assert len(str(embed(figure, alt="").data).encode()) < 900_000


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"steps": [3, 1]}, "strictly increasing"),
        ({"linkages": [caterpillar(9)]}, "linkages must be 2, one a step, got 1"),
        ({"linkages": [caterpillar(9), caterpillar(8)]}, r"linkages\[1\] must have 8 rows for 9"),
        ({"measures": {"a": np.ones((2, 9))}}, r"measures\['a'\] must have shape \(2, 8\)"),
        ({"merges": 0}, "merges must be positive, got 0"),
    ],
)
def test_refuses(changed, message):
    given = {"steps": [0, 1], "linkages": [caterpillar(9)] * 2, "describe": told, **changed}
    with pytest.raises(ValueError, match=message):
        fiedler_slider(**given)
