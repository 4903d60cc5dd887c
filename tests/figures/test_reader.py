"""What a reader draws of checkpoints of their own."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn
from torch.nn import functional as F

import hdlib

from .drawn import merge_heights, png, xs


def test_a_trajectory_of_checkpoints_is_drawn_as_it_is():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    x, y = torch.randn(40, 6, dtype=torch.float64), torch.randint(3, (40,))
    checkpoints = {}
    for step in range(0, 40, 10):
        checkpoints[step] = {name: p.detach().clone() for name, p in model.named_parameters()}
        for parameter in model.parameters():
            parameter.data -= 0.1 * torch.randn_like(parameter)
    t = hdlib.trajectory(model, F.cross_entropy, (x, y), checkpoints, top=10, bottom=10, vectors=3)

    evolution = hdlib.figures.evolution(t)
    assert xs(evolution.axes[0].lines[0]).tolist() == list(checkpoints)
    slider = hdlib.figures.dendrogram_slider(t)
    assert [frame.name for frame in slider.frames] == list(map(str, checkpoints))
    (ax,) = hdlib.figures.dendrogram(t[30]).axes
    assert np.max(merge_heights(ax)) == t.gaps(1)[30][0].size
    for fig in (
        evolution,
        hdlib.figures.gap_barcode(t),
        hdlib.figures.cluster_count_map(t, t.resolutions()),
        hdlib.figures.overlap_map(t.steps, t.overlaps(3)),
    ):
        assert isinstance(fig, Figure)
        png(fig)
