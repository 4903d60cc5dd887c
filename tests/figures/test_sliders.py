from __future__ import annotations

import json
from io import BytesIO
from itertools import chain

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from hdlib.figures import dendrogram_animation, dendrogram_slider, embed, parameter_slider

from .spectra import through
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
    figure = parameter_slider(
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
    figure = parameter_slider([0, 1], [steep, caterpillar(40)], told)
    axis = figure.layout.yaxis
    assert axis.type == "log"
    low, high = axis.range
    assert low < np.log10(10) < 5 < high


def test_size_of_the_page():
    steps, tree = np.arange(25), random_tree(200, 0)
    words = "conv1: 180 of 208 (most of output 0, 1, 3, 4, …)<br>" * 3
    figure = parameter_slider(steps, [tree.linkage] * 25, lambda t, members: words)
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
def test_parameter_slider_refuses(changed, message):
    given = {"steps": [0, 1], "linkages": [caterpillar(9)] * 2, "describe": told, **changed}
    with pytest.raises(ValueError, match=message):
        parameter_slider(**given)


@pytest.mark.parametrize("spectrum", [[1.0], [1.0, 1.0], [0.0, 1.0], [2.0] * 50])
def test_small_and_degenerate_spectra(spectrum):
    for draw in (dendrogram_animation, dendrogram_slider):
        draw(through([0], [spectrum]))
        with pytest.raises(ValueError, match="merges must be positive, got 0"):
            draw(through([0], [spectrum]), merges=0)


def test_what_is_not_resolved_is_left_out(ends):
    content = json.loads(str(dendrogram_slider(ends, merges=12).to_json()))
    assert content["layout"]["title"]["text"] == "90 of 94,666 eigenvalues known"
    for frame, spectrum in zip(content["frames"], ends.spectra, strict=True):
        _, tops, leaves = frame["data"]
        gaps = np.sort(np.delete(np.diff(spectrum.eigenvalues), 39))[-12:]
        np.testing.assert_allclose(tops["y"], gaps, rtol=1e-3)
        assert sum(int(text.split()[0]) for text in leaves["text"]) == 94_666
    first = ends.at([0])
    whole = through([0], [first.spectra[0].eigenvalues])
    assert dendrogram_animation(first).data != dendrogram_animation(whole).data


def test_animation_has_a_frame_a_checkpoint(trajectory, steps):
    first = trajectory.at(steps[:4])
    image = dendrogram_animation(first, frame_ms=250)
    assert repr(image) == "<IPython.core.display.Image object>"
    assert isinstance(image.data, bytes)
    with Image.open(BytesIO(image.data)) as picture:
        assert isinstance(picture, PngImageFile)
        assert picture.n_frames == 4
        assert picture.info["duration"] == 250
        assert picture.convert("RGB").getpixel((1, 1)) == (255, 255, 255)
    assert len(image.data) * len(steps) / 4 < 700_000
    assert dendrogram_animation(first, frame_ms=250).data == image.data


def test_slider_has_a_frame_a_checkpoint(trajectory, steps):
    figure = dendrogram_slider(trajectory)
    text = str(figure.to_json())
    assert len(text) < 600_000
    content = json.loads(text)
    assert [frame["name"] for frame in content["frames"]] == [str(step) for step in steps]
    assert [step["label"] for step in content["layout"]["sliders"][0]["steps"]] == [
        str(step) for step in steps
    ]
    for frame, spectrum in zip(content["frames"], trajectory.spectra, strict=True):
        _, tops, leaves = frame["data"]
        gaps = np.sort(np.diff(spectrum.eigenvalues))[-30:]
        np.testing.assert_allclose(tops["y"], gaps, rtol=1e-3)
        members = [int(text.split()[0]) for text in leaves["text"]]
        assert sum(members) == spectrum.n
        assert len(frame["layout"]["xaxis"]["ticktext"]) == 31


def test_an_embedded_figure_is_stable_and_holds_no_library(trajectory, steps):
    figure = dendrogram_slider(trajectory.at(steps[:3]))
    again = dendrogram_slider(trajectory.at(steps[:3]))
    other = dendrogram_slider(trajectory.at(steps[:2]))
    html = str(embed(figure, alt="A <tree>").data)
    assert html == embed(again, alt="A <tree>").data
    assert html.startswith('```{=html}\n<script defer src="/assets/plotly.min.js"></script>\n')
    assert html.count('<script type="module"') == 1
    assert 'aria-label="A &lt;tree&gt;"' in html
    assert "cdn" not in html
    assert "width:100%" in html
    assert 'id="curvature"' in str(embed(figure, alt="", div_id="curvature").data)
    identifier = html.split('id="')[1].split('"')[0]
    assert identifier not in str(embed(other, alt="").data)
