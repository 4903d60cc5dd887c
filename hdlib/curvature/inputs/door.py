"""What comes in: pieces of the data, each with its weight in the mean over all of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from contextlib import nullcontext

from torch import Tensor

from hdlib.curvature.inputs.data import Batch, joined
from hdlib.curvature.inputs.functions import (
    SAME,
    check_derivatives,
    check_function,
    check_same,
    rounding,
)
from hdlib.curvature.inputs.moves import direction, moved
from hdlib.curvature.inputs.objective import Objective
from hdlib.curvature.inputs.settings import twice_differentiable
from hdlib.curvature.losses import IGNORED, NOTHING, cross_entropy, output_derivatives
from hdlib.curvature.memory import announce, saved_bytes
from hdlib.curvature.progress import progress

PROBE = 64
"""Most samples on which it is tested that a known loss is a mean."""
KEPT = 32
"""Most samples of the first piece that later ones are joined with."""
FEW, PAIR = 8, 2
"""Most samples on which derivatives are tested, and directions along which."""
AWAY = (0.3, 1.0, 3.0, 10.0)
"""Steps, over ‖θ‖, to where a loss that is nearly zero here is tested instead."""
TRANSIENT = 2
"""What backward passes take while they run, over what they keep, as seen."""
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
    (`hdlib.curvature.inputs.functions`). The loss of the first piece must be the weighted mean of
    the losses of its parts; that of each later piece, joined with samples of the first, too, unless
    the loss is a known one, for which one test is enough. Where the loss is so small that rounding
    would hide a difference, the tests are made at other weights. If random numbers are drawn, the
    loss of every piece must be the same twice.

    Attributes:
        own_weights: whether the loss divides by weights of its own, not by the number of samples;
            None before that shows.
        directions: vectors that there is room for at a time, known with the first piece.
    """

    def __init__(self, objective: Objective) -> None:
        self.own_weights: bool | None = None
        self.directions = 1
        self._objective = objective
        self._known = output_derivatives(objective.loss_given)
        self._rounding = 0.0
        self._away: float | None = None
        self._kept: Batch | None = None
        self._joined = False
        self._draws = False
        self._differentiated = False

    def pieces(
        self, stream: Iterable[Batch], most: int, *, directions: int
    ) -> Iterator[tuple[Batch, float]]:
        """Pieces of the data with their weights, which are zero where no target counts.

        Args:
            stream: batches as they came, at least one.
            most: samples in a piece; fewer where second derivatives of so many would not be small.
            directions: vectors that second derivatives are multiplied with at a time, at most.

        Raises:
            ValueError: if the loss is not one finite number, not a mean over samples, or not the
                same twice, derivatives are not those of the loss, or no target counts.
            MemoryError: if there is no room for the second derivatives of one sample.
        """
        batches, total = iter(stream), 0.0
        first = next(batches)
        with twice_differentiable(self._objective.dtype):
            most = self._fitting(first, most, directions)
            few = first[: max(1, min(FEW, most * (1 + self.directions) // (1 + PAIR)))]
            self._rounding = rounding(self._objective, few)
        bar = progress("samples", unit="sample")
        for piece in split(itertools.chain([first], batches), most):
            with twice_differentiable(self._objective.dtype):
                weight = self._weigh(piece)
            total += weight
            yield piece, weight
            bar.update(len(piece))
        bar.close()
        if not total:
            raise ValueError(NOTHING)

    def _fitting(self, first: Batch, most: int, directions: int) -> int:
        """How many samples have second derivatives that fit into `ROOM`, up to ``most``.

        Where those of one do not, it is fewer directions at a time.
        """
        few, more = (min(len(first), count) for count in (2, 4))
        self._draws = check_function(self._objective, first[:more])
        saved = self._saved(first[:more])
        if more > few:  # what all samples share does not count
            saved, more = saved - self._saved(first[:few]), more - few
        saved += first[:more].to(self._objective.device, self._objective.dtype).nbytes
        once = max(TRANSIENT * saved // more, 1)
        self.directions = min(directions, max(1, ROOM // once - 1))
        each = once * (1 + self.directions)
        most = max(1, min(most, ROOM // each))
        what = f"second derivatives of {most} samples along {self.directions} directions at a time"
        announce(what, most * each, self._objective.device)
        return most

    def _saved(self, batch: Batch) -> int:
        def graph() -> list[Tensor]:
            return self._objective.slopes(self._objective.value(batch), create_graph=True)

        try:
            return saved_bytes(graph)
        except RuntimeError as error:
            raise ValueError(f"the second derivative cannot be taken: {error}") from error

    def _weigh(self, piece: Batch) -> float:
        """The weight of a piece: the number of its samples, or what the loss divides by."""
        weight = None
        if self._draws:
            check_same(self._objective, piece)
        if self._kept is None:
            cut = min(KEPT, len(piece) // 3 or 1)
            self._kept = piece[:cut]
            self._check_mean(piece[cut : PROBE if self._known else None])
        elif not (self._joined and self._known):
            weight = self._check_mean(piece)
        if not self._differentiated and self._loss(piece[:FEW])[1]:
            with self._where_it_shows(piece[:FEW]):
                check_derivatives(self._objective, piece[:FEW])
            self._differentiated = True
        if self._known is not None:
            return _counted(self._known is cross_entropy, piece)
        if weight is None:
            weight = self._loss(piece)[1]
        return float(len(piece)) if self.own_weights is False else weight

    def _check_mean(self, piece: Batch) -> float | None:
        """The loss of the samples that are kept, joined with these, is the mean of both losses.

        Returns:
            What the loss of the piece divides by, where it was looked at.
        """
        assert self._kept is not None
        whole = joined(self._kept, piece) if len(piece) else None
        if whole is None:
            return None
        self._joined = True
        weights = self._check_law(self._kept, piece, whole)
        if self._is_small(self._loss(whole)[0]):
            with self._where_it_shows(whole):
                self._check_law(self._kept, piece, whole)
        if weights[0] == 0:
            self._kept = piece[:KEPT]
        return weights[1]

    def _check_law(self, *parts: Batch) -> list[float]:
        """The last loss is the mean of the first two, by their own weights or in number.

        Returns:
            Their own weights.
        """
        values, own = map(list, zip(*map(self._loss, parts), strict=True))
        numbers = [float(len(part)) for part in parts]
        for weights in {None: (own, numbers), True: (own,), False: (numbers,)}[self.own_weights]:
            one, other, whole = (v * w for v, w in zip(values, weights, strict=True))
            added = math.isclose(weights[0] + weights[1], weights[2], rel_tol=1e-6)
            if added and self._same(whole, one + other, abs(one) + abs(other), weights[2]):
                self.own_weights = weights is own
                return own
        one, other, whole = values
        told = (
            f"the loss of {len(parts[0])} samples is {one:.6g}, of {len(parts[1])} others "
            f"{other:.6g}, but of all of them {whole:.6g}: "
        )
        if self._same(whole, one + other, abs(one) + abs(other), 1.0):
            raise ValueError(f"{told}a sum over the samples; take the mean (reduction='mean')")
        raise ValueError(f"{told}not their mean. {ADVICE}")

    def _loss(self, batch: Batch) -> tuple[float, float]:
        value, weight = self._objective.value_and_weight(batch)
        return value.item(), weight

    def _same(self, a: float, b: float, size: float, weight: float) -> bool:
        return abs(a - b) <= SAME[self._objective.dtype] * size + self._rounding * weight

    def _is_small(self, value: float) -> bool:
        return abs(value) * SAME[self._objective.dtype] <= self._rounding

    def _where_it_shows(self, batch: Batch):
        """Here, or where the loss is large enough; here if it is nowhere."""
        v = direction(self._objective, 1)
        if self._away is None:
            self._away = 0.0
            for step in (0.0, *AWAY):
                with moved(self._objective, v, step):
                    self._rounding = max(self._rounding, rounding(self._objective, batch))
                    if not self._is_small(self._loss(batch)[0]):
                        self._away = step
                        break
        return moved(self._objective, v, self._away) if self._away else nullcontext()


def split(stream: Iterable[Batch], size: int) -> Iterator[Batch]:
    """Pieces of at most ``size`` samples."""
    for batch in stream:
        for start in range(0, len(batch), size):
            yield batch[start : start + size]


def _counted(ignoring: bool, piece: Batch) -> float:
    """How many targets a loss that is known is the mean over: cross-entropy ignores some."""
    targets = piece.targets
    if ignoring and not targets.is_floating_point():
        return float((targets != IGNORED).sum())
    return float(len(piece))
