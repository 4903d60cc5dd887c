from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from hdlib.curvature import in_shapes, parameter_labels, parameter_layers
from hdlib.models import LeNetTiny


def names_of(model: nn.Module, labels) -> list[tuple[int, ...]]:
    rows = (labels.layer, labels.output, labels.channel, labels.row, labels.column)
    return list(zip(*(row.tolist() for row in rows), strict=True))


def test_each_label_is_the_index_of_its_weight():
    model = LeNetTiny(2)
    labels = parameter_labels(model)
    expected = []
    for layer, name in enumerate(("conv1", "conv2", "linear")):
        weight = model.get_parameter(f"{name}.weight").detach()
        if name == "linear":
            weight = weight.reshape(10, 4, 4, 4)
        expected += [(layer, *index) for index in np.ndindex(*weight.shape)]
        expected += [(layer, filter_, -1, -1, -1) for filter_ in range(len(weight))]
    assert names_of(model, labels) == expected
    assert labels.layers == ["conv1", "conv2", "linear"]


def test_layers_are_those_of_the_parameter_vector():
    model = LeNetTiny()
    labels = parameter_labels(model)
    for position, rows in enumerate(parameter_layers(model).values()):
        np.testing.assert_array_equal(np.flatnonzero(labels.layer == position), rows)


def tied() -> nn.Module:
    model = nn.Sequential(*(nn.Linear(4, 4) for _ in range(3)), nn.Linear(4, 2))
    model[2].weight = model[0].weight
    return model


def frozen() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2), nn.Linear(2, 2))
    model[0].weight.requires_grad_(False)
    return model


def shared() -> nn.Module:
    layer = nn.Linear(3, 3)
    return nn.Sequential(layer, layer, nn.Linear(3, 2))


@pytest.mark.parametrize("make", [tied, frozen, shared])
def test_labels_are_those_of_the_entries_of_the_parameter_vector(make):
    """Frozen parameters have no entry, and shared ones one, where they come first."""
    model = make()
    labels = parameter_labels(model)
    size = sum(map(len, parameter_layers(model).values()))
    entries = in_shapes(np.arange(size, dtype=np.float64), model)
    assert len(labels.layer) == size
    for name, numbers in entries.items():
        layer, _, kind = name.rpartition(".")
        for place, entry in np.ndenumerate(numbers):
            index = int(entry)
            assert labels.layers[labels.layer[index]] == layer
            assert labels.output[index] == place[0]
            assert labels.channel[index] == (place[1] if kind == "weight" else -1)


def test_a_unit_of_a_layer_before_a_frozen_one():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2), nn.Linear(2, 2))
    model[1].requires_grad_(False)
    labels = parameter_labels(model)
    units = in_shapes(labels.units("0").astype(np.float64), model)
    assert units["0.bias"].tolist() == [0, 1, 2]
    assert (units["2.weight"] == -1).all()


def test_a_unit_is_what_its_output_depends_on_and_what_reads_it():
    """Silencing the filter takes away all that its unit's parameters do."""
    torch.manual_seed(0)
    model, unit = LeNetTiny(2), 3
    labels = parameter_labels(model)
    with torch.no_grad():
        model.get_parameter("conv2.weight")[unit] = 0
        model.get_parameter("conv2.bias")[unit] = 0
    images = torch.randn(5, 1, 28, 28)
    nn.functional.cross_entropy(model(images), torch.arange(5)).backward()
    slope = torch.cat([p.grad.flatten() for p in model.parameters()])  # pyright: ignore
    members = labels.units("conv2") == unit
    reads, feeds = members & (labels.layer == 2), members & (labels.layer == 1)
    # A map of zeros teaches nothing to what reads it; at ReLU's kink nor to what feeds it.
    assert not slope[reads].any()
    assert not slope[feeds].any()
    others = (labels.units("conv2") >= 0) & ~members
    assert (slope[others] != 0).float().mean() > 0.5
    assert members.sum() == 4 * 4 * 10 + 2 * 25 + 1


def test_linear_layers_after_one_another():
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3, bias=False))
    labels = parameter_labels(model)
    assert labels.layers == ["1", "3"]
    assert set(labels.row.tolist()) == {-1}
    hidden = labels.units("1")
    assert [(hidden == unit).sum() for unit in range(4)] == [6 + 1 + 3] * 4


def test_description_names_what_a_cluster_holds_most_of():
    labels = parameter_labels(LeNetTiny())
    unit = np.flatnonzero(labels.units("conv2") == 5)
    assert labels.describe(unit) == [
        "conv2: 201 of 3,216 (most of output 5)",
        "linear: 160 of 2,570 (most of channel 5)",
    ]
    outputs = np.flatnonzero((labels.layer == 2) & (labels.output < 5))
    assert labels.describe(outputs, most=2) == ["linear: 1,285 of 2,570 (most of output 0, 1, …)"]
    assert labels.describe(np.arange(5_994)) == [
        "conv1: 208 of 208",
        "conv2: 3,216 of 3,216",
        "linear: 2,570 of 2,570",
    ]


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (nn.Sequential(nn.BatchNorm2d(3)), "0: BatchNorm2d has no labels"),
        (nn.Sequential(nn.Conv2d(4, 4, 3, groups=2)), "0: Conv2d has no labels"),
        (nn.Sequential(nn.Conv2d(1, 3, 3), nn.Linear(15, 2)), "1: 15 inputs are not 3 square maps"),
        (nn.Sequential(parametrizations.orthogonal(nn.Linear(3, 3))), "0.* has no labels"),
        (nn.Linear(2, 2).requires_grad_(False), "Linear has no parameter that requires grad"),
        (nn.ReLU(), "ReLU has no parameter that requires grad"),
    ],
)
def test_what_cannot_be_labelled(model: nn.Module, words: str):
    with pytest.raises(ValueError, match=words):
        parameter_labels(model)


def test_unknown_layer():
    with pytest.raises(ValueError, match="layer='conv3': must be one of conv1, conv2, linear"):
        parameter_labels(LeNetTiny()).units("conv3")
