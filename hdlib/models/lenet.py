"""LeNet-tiny: a convolutional network small enough for its exact Hessian."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn


class LeNetTiny(nn.Sequential):
    """Two convolutions and a linear read-out for 28 × 28 images of ten classes.

    Conv2d(1, w, 5) → ReLU → MaxPool(2) → Conv2d(w, 2w, 5) → ReLU → MaxPool(2) → Linear(32w, 10),
    a reduced LeNet-5 (LeCun et al. 1998). The default width of 8 has 5,994 parameters.

    Args:
        width: channels w of the first convolution; the second has twice as many.

    Raises:
        ValueError: if ``width`` is not positive.
    """

    def __init__(self, width: int = 8) -> None:
        if width < 1:
            raise ValueError(f"width must be at least 1, got {width}")
        super().__init__(
            OrderedDict(
                conv1=nn.Conv2d(1, width, 5),
                relu1=nn.ReLU(),
                pool1=nn.MaxPool2d(2),
                conv2=nn.Conv2d(width, 2 * width, 5),
                relu2=nn.ReLU(),
                pool2=nn.MaxPool2d(2),
                flatten=nn.Flatten(),
                linear=nn.Linear(2 * width * 4 * 4, 10),
            )
        )
