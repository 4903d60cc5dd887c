from __future__ import annotations

import json
from io import BytesIO

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from hdlib.figures import dendrogram, dendrogram_animation, dendrogram_slider, embed

from .drawn import png

BUILDERS = [
    lambda spectrum, **options: dendrogram({"step 0": spectrum}, **options),
    lambda spectrum, **options: dendrogram_animation([0], [spectrum], **options),
    lambda spectrum, **options: dendrogram_slider([0], [spectrum], **options),
]


def largest_gaps(values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    return np.sort(np.diff(np.sort(values)))[::-1][:count]


def drawn_heights(ax):
    (branches,) = (part for part in ax.collections if isinstance(part, LineCollection))
    return sorted((segment[1, 1] for segment in branches.get_segments()), reverse=True)


def test_heights_drawn_are_the_largest_gaps(trajectory):
    spectra = {"step 0": trajectory[0], "step 14070": trajectory[-1]}
    fig = dendrogram(spectra, merges=30)
    assert len(fig.axes) == 2
    for ax, values in zip(fig.axes, spectra.values(), strict=True):
        np.testing.assert_array_equal(drawn_heights(ax), largest_gaps(values, 30))
        assert len(ax.get_xticklabels()) == 31
        assert ax.get_ylim() == fig.axes[0].get_ylim()
    assert not plt.get_fignums()


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize("spectrum", [[1.0], [1.0, 1.0], [0.0, 1.0], [2.0] * 50])
def test_small_and_degenerate_spectra(build, spectrum):
    figure = build(spectrum)
    if isinstance(figure, Figure):
        png(figure)


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize(
    ("spectrum", "options", "message"),
    [
        ([1.0, np.nan], {}, "must be finite, got nan"),
        ([], {}, r"must have shape \((1, )?any\)"),
        ([1.0, 2.0], {"merges": 0}, "merges must be positive, got 0"),
    ],
)
def test_refuses(build, spectrum, options, message):
    with pytest.raises(ValueError, match=message):
        build(spectrum, **options)
    assert not plt.get_fignums()


def test_refuses_nothing_to_draw():
    with pytest.raises(ValueError, match="spectra must have at least one entry"):
        dendrogram({})


def test_animation_has_a_frame_a_checkpoint(trajectory, steps):
    image = dendrogram_animation(steps[:4], trajectory[:4], frame_ms=250)
    assert repr(image) == "<IPython.core.display.Image object>"
    assert isinstance(image.data, bytes)
    with Image.open(BytesIO(image.data)) as picture:
        assert isinstance(picture, PngImageFile)
        assert picture.n_frames == 4
        assert picture.info["duration"] == 250
        assert picture.convert("RGB").getpixel((1, 1)) == (255, 255, 255)
    assert len(image.data) * len(steps) / 4 < 700_000
    assert dendrogram_animation(steps[:4], trajectory[:4], frame_ms=250).data == image.data


def test_slider_has_a_frame_a_checkpoint(trajectory, steps):
    figure = dendrogram_slider(steps, trajectory)
    text = str(figure.to_json())
    assert len(text) < 600_000
    content = json.loads(text)
    assert [frame["name"] for frame in content["frames"]] == [str(step) for step in steps]
    assert [step["label"] for step in content["layout"]["sliders"][0]["steps"]] == [
        str(step) for step in steps
    ]
    for frame, values in zip(content["frames"], trajectory, strict=True):
        _, tops, leaves = frame["data"]
        np.testing.assert_allclose(np.array(tops["y"])[::-1], largest_gaps(values, 30), rtol=1e-3)
        members = [int(text.split()[0]) for text in leaves["text"]]
        assert sum(members) == len(values)
        assert len(frame["layout"]["xaxis"]["ticktext"]) == 31


def test_an_embedded_figure_is_stable_and_holds_no_library(trajectory, steps):
    figure = dendrogram_slider(steps[:3], trajectory[:3])
    again = dendrogram_slider(steps[:3], trajectory[:3])
    other = dendrogram_slider(steps[:2], trajectory[:2])
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
