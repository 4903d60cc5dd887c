"""What each parameter of a feed-forward network is: its layer, filter, channel, position, class."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

import numpy as np
from numpy.typing import NDArray
from torch import nn

from hdlib.curvature.inputs.selection import selected

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class ParameterLabels:
    """What the P entries of a parameter vector are; each array is (P,) int64, −1 where it has none.

    Attributes:
        layers: names of the layers, in the order of the forward pass.
        layer: positions in ``layers``.
        output: filter of a convolution, or output of a linear layer: in the last, the class.
        channel: channel that a weight reads: a filter of the layer before, or an input.
        row: row of a weight in its filter's patch, or, for a linear layer that reads flattened
            maps, in the map.
        column: column of a weight, in the same place as its row.
    """

    layers: list[str]
    layer: IntArray
    output: IntArray
    channel: IntArray
    row: IntArray
    column: IntArray

    def units(self, layer: str) -> IntArray:
        """Which unit of a layer a parameter belongs to: it feeds the unit, or reads it.

        Unit u of layer ℓ has the weights and the bias of filter u, and the weights of the next
        layer that read channel u.

        Returns:
            (P,) int64, −1 for parameters of neither layer, and for the biases of the next.

        Raises:
            ValueError: for an unknown layer.
        """
        if layer not in self.layers:
            raise ValueError(f"layer={layer!r}: must be one of {', '.join(self.layers)}")
        position = self.layers.index(layer)
        reading = np.where(self.layer == position + 1, self.channel, -1)
        return np.where(self.layer == position, self.output, reading)

    def describe(self, members: IntArray, *, most: int = 4) -> list[str]:
        """The filters and channels of which a group of parameters has the largest shares, in words.

        For each layer in the group how many of its parameters; then units of a layer, the weights
        of one filter or those that read one channel, of which the group has more than half.

        Args:
            members: indices of the parameters in the group.
            most: largest number of units of a layer that are named.
        """
        lines = []
        for position, name in enumerate(self.layers):
            of_layer = self.layer == position
            here = members[of_layer[members]]
            if not len(here):
                continue
            named = [
                *_mostly("output", self.output[of_layer], self.output[here], most),
                *_mostly("channel", self.channel[of_layer], self.channel[here], most),
            ]
            share = f"{name}: {len(here):,} of {of_layer.sum():,}"
            lines.append(f"{share} ({'; '.join(named)})" if named else share)
        return lines


def _mostly(name: str, whole: IntArray, part: IntArray, most: int) -> list[str]:
    """Values of which more than half are in the part, if these are not nearly all there are."""
    of_whole, of_part = (np.bincount(values[values >= 0], minlength=1) for values in (whole, part))
    of_part = np.pad(of_part, (0, len(of_whole) - len(of_part)))
    held = np.flatnonzero(of_part > of_whole / 2)
    if not len(held) or len(held) == len(of_whole):
        return []
    shown = ", ".join(map(str, held[:most]))
    return [f"most of {name} {shown}{', …' if len(held) > most else ''}"]


def parameter_labels(model: nn.Module) -> ParameterLabels:
    """Label every parameter of a network of convolutions and linear layers, one after the other.

    θ is as in `parameter_layers`: frozen parameters are not in it, and shared ones once, where they
    come first. A linear layer after a convolution reads C square maps that were
    flattened, C the number of filters there; one after a linear layer reads its outputs.

    Raises:
        ValueError: if a module with parameters is neither Conv2d nor Linear or has others than
            weight and bias, a convolution is grouped, a linear layer's inputs are not C square
            maps, or no parameter is trained.
    """
    names: list[str] = []
    rows: list[IntArray] = []
    filters: int | None = None
    inside = {id(parameter) for parameter in selected(model, None).values()}
    for name, module in model.named_modules():
        if not list(module.parameters(recurse=False)):
            continue
        if isinstance(module, nn.Conv2d) and module.groups == 1:
            shape = tuple(module.weight.shape)
            filters = shape[0]
        elif isinstance(module, nn.Linear):
            shape = _linear_shape(name, module, filters)
            filters = None
        else:
            raise ValueError(
                f"{name}: {type(module).__name__} has no labels; Conv2d of one group and Linear do"
            )
        shapes = {"weight": shape, "bias": shape[:1]}
        for own, parameter in module.named_parameters(recurse=False):
            if own not in shapes:
                raise ValueError(f"{name}.{own} has no labels; weight and bias do")
            if id(parameter) not in inside:
                continue
            inside.remove(id(parameter))
            places = np.indices(shapes[own]).reshape(len(shapes[own]), -1)
            labels = np.full((5, places.shape[1]), -1)
            labels[0] = len(names)
            labels[1 : 1 + len(places)] = places
            rows.append(labels)
        names.append(name)
    if not rows:
        raise ValueError("the model has no parameter that requires grad")
    return ParameterLabels(names, *np.concatenate(rows, axis=1))


def _linear_shape(name: str, module: nn.Linear, filters: int | None) -> tuple[int, ...]:
    """(outputs, inputs), or (outputs, channels, rows, columns) after a convolution."""
    if filters is None:
        return module.out_features, module.in_features
    side = isqrt(module.in_features // filters)
    if filters * side**2 != module.in_features:
        raise ValueError(f"{name}: {module.in_features} inputs are not {filters} square maps")
    return module.out_features, filters, side, side
