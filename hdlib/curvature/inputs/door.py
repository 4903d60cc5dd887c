"""What comes in: pieces of the data, each with its weight in the mean over all of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from hdlib.curvature.inputs.data import Batch
from hdlib.curvature.inputs.functions import (
    SAME,
    check_derivatives,
    check_function,
    check_leaves,
    check_same,
    check_slope,
    output_rounding,
    rounding,
)
from hdlib.curvature.inputs.moves import direction, moved
from hdlib.curvature.inputs.objective import NOTHING, NoHessianError, Objective
from hdlib.curvature.inputs.settings import twice_differentiable
from hdlib.curvature.memory import announce, saved_bytes
from hdlib.curvature.progress import progress

KEPT = 32
"""Most samples of a piece that later ones are joined with."""
FEW, PAIR = 8, 2
"""Most samples on which derivatives are tested, and directions along which."""
AWAY = (0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 1e-3, 1e-4)
"""Steps, over ‖θ‖, to a place some way off; the first where a loss shows is taken."""
CANCELLED = {torch.float64: 1e-14, torch.float32: 1e-5}
"""What is left of losses of size one when they are subtracted."""
TRANSIENT = 2
"""What backward passes take while they run, over what they keep, as seen."""
UNSEEN = 20
"""What they keep where that cannot be seen, over the data."""
ROOM = 2**30
"""Bytes that the second derivatives of a piece may take: larger pieces are no faster."""
ADVICE = (
    "Model or loss couples samples: batch statistics (call model.eval()), samples along another "
    "axis than the first (batch_first=True), a contrastive loss, or weights or a mask that the "
    "loss divides by on its own. Curvature is that of a mean over samples: pass a loss that is the "
    "mean of one term for each sample; class weights and ignored targets are understood where "
    "PyTorch's own cross_entropy or nll_loss takes them"
)


class Door:
    """Lets pieces of the data in if their losses are parts of one mean.

    On a few samples the loss must be a function that can be differentiated twice
    (`hdlib.curvature.inputs.functions`). Of the first piece, and the first of any other shape, the
    loss must be the weighted mean of the losses of its parts; that of each later piece, joined with
    samples of the first, too. Where a loss is almost zero, outputs are all the same, or a ReLU is
    at its kink, these tests would show little, so they are made some way off, at other weights.

    Args:
        objective: loss as a function of the parameters.
        order: order of the derivatives that are wanted, 1 or 2.

    Attributes:
        own_weights: whether the loss divides by weights of its own, not by the number of samples;
            None before that shows.
        directions: number of vectors that there is room for at a time, known with the first piece.
    """

    def __init__(self, objective: Objective, *, order: int = 2) -> None:
        self.own_weights: bool | None = None
        self.directions = 1
        self._objective = objective
        self._order = order
        self._rounding = 0.0
        self._away: float | None = None
        self._kept: dict[tuple[torch.Size, ...], Batch] = {}
        self._draws = False
        self._depends = False
        self._differentiated = False

    def pieces(
        self, stream: Iterable[Batch], most: int, *, directions: int
    ) -> Iterator[tuple[Batch, float]]:
        """Pieces of the data with their weights, which are zero where no target counts.

        Args:
            stream: batches as they came, at least one.
            most: largest number of samples in a piece; fewer where their derivatives are large.
            directions: largest number of vectors multiplied by second derivatives at a time.

        Raises:
            NoHessianError: if the loss is not one finite number, not a mean over samples, or not
                the same twice, derivatives are not those of the loss, or no target counts.
            MemoryError: if there is no room for the derivatives of one sample.
        """
        batches, total = iter(stream), 0.0
        first = next(batches)
        with twice_differentiable(self._objective.dtype):
            most = self._fitting(first, most, directions)
            few = first[: max(1, min(FEW, most * (1 + self.directions) // (1 + PAIR)))]
            self._rounding = rounding(self._objective, few)
            before = self._loss(few)[0]
        bar = progress("samples", unit="sample")
        for piece in split(itertools.chain([first], batches), most):
            with twice_differentiable(self._objective.dtype):
                weight = self._weigh(piece)
            total += weight
            yield piece, weight
            bar.update(len(piece))
        bar.close()
        if not total:
            raise NoHessianError(NOTHING)
        if not self._depends:
            raise NoHessianError(
                "the loss does not depend on the parameters: is something detached?"
            )
        with twice_differentiable(self._objective.dtype):
            after = self._loss(few)[0]
        if not self._same(before, after, abs(before) + abs(after), 1.0):
            raise NoHessianError(
                f"the loss of the same {len(few)} samples is {before:.6g}, and {after:.6g} after "
                "all others: model or loss keep a state that they depend on"
            )

    def _fitting(self, first: Batch, most: int, directions: int) -> int:
        """How many samples have second derivatives that fit into `ROOM`, up to ``most``.

        Where those of one do not, it is fewer directions at a time.
        """
        few, more = (min(len(first), count) for count in (2, 4))
        self._draws = check_function(self._objective, first[:more])
        size = first[:more].to(self._objective.device, self._objective.dtype).nbytes
        saved = self._saved(first[:more], size)
        if more > few:  # what all samples share does not count
            saved, more = saved - self._saved(first[:few], size), more - few
        once = max(TRANSIENT * (saved + size) // more, 1)
        self.directions = min(directions, max(1, ROOM // once - 1))
        each = once * (1 + self.directions)
        most = max(1, min(most, ROOM // each))
        what = f"derivatives of {most} samples along {self.directions} directions at a time"
        announce(what, most * each, self._objective.device)
        return most

    def _saved(self, batch: Batch, size: int) -> int:
        def graph() -> list[Tensor]:
            value = self._objective.value(batch)
            return self._objective.slopes(value, create_graph=self._order > 1)

        try:
            return saved_bytes(graph)
        except RuntimeError:  # the model has transforms of its own inside, which cannot be watched
            try:
                graph()
            except RuntimeError as error:
                raise NoHessianError(f"the derivative cannot be taken: {error}") from error
            return UNSEEN * size

    def _weigh(self, piece: Batch) -> float:
        """The weight of a piece: the number of its samples, or what the loss divides by."""
        if self._draws:
            check_same(self._objective, piece)
        few = piece[:FEW]
        first = not self._differentiated and self._loss(few)[1] > 0
        if first:
            check_leaves(self._objective, few)
        weight = self._check_mean(piece)
        if first:
            check = check_derivatives if self._order > 1 else check_slope
            with self._elsewhere(few):
                check(self._objective, few)
            self._differentiated = True
        if weight is None:
            weight = self._loss(piece)[1]
        return float(len(piece)) if self.own_weights is False else weight

    def _check_mean(self, piece: Batch) -> float | None:
        """The loss of samples that were kept, joined with these, is the mean of both losses.

        Returns:
            What the loss of the piece divides by, where it was looked at.
        """
        shapes = piece.shapes
        kept = self._kept.get(shapes)
        if kept is None:
            cut = min(KEPT, len(piece) // 3 or 1)
            self._kept[shapes], rest = piece[:cut], piece[cut:]
            if len(rest):
                parts = piece[:cut], rest, piece
                with self._elsewhere(piece):
                    there = [self._loss(part)[0] for part in parts]
                self._check_law(parts, there)
            return None
        weights = self._check_law((kept, piece, kept.joined(piece)))
        if weights[0] == 0:
            self._kept[shapes] = piece[:KEPT]
        return weights[1]

    def _check_law(
        self, parts: tuple[Batch, Batch, Batch], there: list[float] | None = None
    ) -> list[float]:
        """The last loss is the mean of the first two, by their own weights or in number.

        Args:
            parts: two pieces and both together.
            there: losses of the parts at other weights; their differences from the losses here must
                be the mean, too.

        Returns:
            What the losses divide by.
        """
        values, own = map(list, zip(*map(self._loss, parts), strict=True))
        numbers = [float(len(part)) for part in parts]
        changes = [b - a for a, b in zip(values, there or values, strict=True)]
        for weights in {None: (own, numbers), True: (own,), False: (numbers,)}[self.own_weights]:
            added = math.isclose(weights[0] + weights[1], weights[2], rel_tol=1e-6)
            size = CANCELLED[self._objective.dtype] * max(map(abs, values))
            if added and self._is_mean(values, weights) and self._is_mean(changes, weights, size):
                self.own_weights = weights is own
                return own
        shown = values if there is None or not self._is_mean(changes, numbers) else there
        one, other, whole = shown
        told = (
            f"the loss of {len(parts[0])} samples is {one:.6g}, of {len(parts[1])} others "
            f"{other:.6g}, but of all of them {whole:.6g}: "
        )
        for one, other, whole in (values, changes):
            size = abs(one) + abs(other)
            if size and self._same(whole, one + other, size, 1.0):
                raise NoHessianError(
                    f"{told}a sum over the samples; take the mean (reduction='mean')"
                )
        raise NoHessianError(f"{told}not their mean. {ADVICE}")

    def _is_mean(self, values: list[float], weights: list[float], cancelled: float = 0.0) -> bool:
        one, other, whole = (v * w for v, w in zip(values, weights, strict=True))
        size = abs(one) + abs(other) + cancelled * weights[2] / SAME[self._objective.dtype]
        return self._same(whole, one + other, size, weights[2])

    def _loss(self, batch: Batch) -> tuple[float, float]:
        value, weight = self._objective.value_and_weight(batch)
        self._depends = self._depends or value.requires_grad
        return value.item(), weight

    def _same(self, a: float, b: float, size: float, weight: float) -> bool:
        return abs(a - b) <= SAME[self._objective.dtype] * size + self._rounding * weight

    def _elsewhere(self, batch: Batch) -> AbstractContextManager:
        """Some way off, where the loss is finite and not small; here if there is no such place."""
        v = direction(self._objective, 3)
        if self._away is None:
            self._away = 0.0
            for step in AWAY:
                with moved(self._objective, v, step):
                    if self._shows(batch):
                        self._away = step
                        break
        return moved(self._objective, v, self._away)

    def _shows(self, batch: Batch) -> bool:
        try:
            value = abs(self._loss(batch)[0])
        except NoHessianError:  # as a logarithm of what is negative there
            return False
        self._rounding = max(self._rounding, rounding(self._objective, batch))
        floor = max(self._rounding, output_rounding(self._objective, batch))
        return value * SAME[self._objective.dtype] > floor


def split(stream: Iterable[Batch], size: int) -> Iterator[Batch]:
    """Pieces of at most ``size`` samples."""
    for batch in stream:
        for start in range(0, len(batch), size):
            yield batch[start : start + size]
