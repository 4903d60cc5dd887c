"""Whether what is given has a Hessian, and one that does not depend on how the data are cut."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from hdlib.curvature.data import Batch, joined
from hdlib.curvature.losses import IGNORED, cross_entropy, output_derivatives
from hdlib.curvature.memory import announce, saved_bytes
from hdlib.curvature.nested import tensors_in
from hdlib.curvature.objective import Objective
from hdlib.curvature.products import hessian_map
from hdlib.curvature.settings import twice_differentiable

PROBE = 64
"""Most samples on which it is tested that a known loss is a mean."""
KEPT = 32
"""Most samples of the first piece that later ones are joined with."""
FEW = 8
"""Most samples on which determinism and derivatives are tested."""
ROOM = 2**30
"""Bytes that the second derivatives of a piece may take: larger pieces are no faster."""
STEP = 1e-6
"""Of finite differences, relative to ‖θ‖: few ReLUs switch on so short a way."""
SAME = {torch.float64: 1e-9, torch.float32: 1e-4}
"""How far losses that should be equal may differ, over their size."""
ROUNDING = {torch.float64: 1e-13, torch.float32: 1e-5}
"""And over the size of the outputs: a loss of almost nothing is what is left of them."""
ELSEWHERE = 0.3
"""How far the weights are moved, over their norm, where the loss is too small to tell."""
ADVICE = (
    "Model or loss couples samples: batch statistics (call model.eval()), samples along another "
    "axis than the first (batch_first=True), a contrastive loss, or weights or a mask that the "
    "loss divides by on its own. Curvature is that of a mean over samples: pass a loss that is the "
    "mean of one term for each sample; class weights and ignored targets are understood where "
    "PyTorch's own cross_entropy or nll_loss takes them"
)
SHARED = (
    "a copy of the model, which curvature is computed with, would not see it move. Give a function "
    "that was put in place of a forward a class of its own or bind it with types.MethodType; a "
    "loss takes outputs and targets only"
)


class Door:
    """Lets pieces of the data in, each with its weight in the mean over all of them.

    The first piece is evaluated twice (the loss must be a function), its loss must be the weighted
    mean of the losses of its parts, and on a few samples Hv is compared with vᵀH and with finite
    differences of the gradient. A loss that is not known must also be the mean of each later piece
    joined with samples of the first.

    Attributes:
        own_weights: whether the loss divides by weights of its own, not by the number of samples;
            None before that shows.
    """

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        self._floor = 0.0
        self._known = output_derivatives(objective.loss_given)
        self.own_weights: bool | None = None
        self._kept: Batch | None = None
        self._joined = False
        self._differentiated = False

    def pieces(
        self, stream: Iterable[Batch], most: int, *, directions: int
    ) -> Iterator[tuple[Batch, float]]:
        """Pieces of the data with their weights; those without any are left out.

        Args:
            stream: batches as they came.
            most: samples in a piece; fewer where second derivatives of so many would not be small.
            directions: vectors that second derivatives are multiplied with at a time.

        Raises:
            ValueError: if the loss is not one finite number, not a mean over samples, or not the
                same twice, derivatives are not those of the loss, or no target counts.
            MemoryError: if there is no room for the second derivatives of one sample.
        """
        for piece, weight in self._weighed(stream, most, directions):
            if weight:
                yield piece, weight

    def all_pieces(self, stream: Iterable[Batch], most: int, *, directions: int) -> Iterator[Batch]:
        """The pieces of `pieces`, and those without any weight too."""
        for piece, _ in self._weighed(stream, most, directions):
            yield piece

    def _weighed(
        self, stream: Iterable[Batch], most: int, directions: int
    ) -> Iterator[tuple[Batch, float]]:
        batches, total = iter(stream), 0.0
        first = next(batches)
        with self._looking():
            self._is_a_function(first[:FEW])
            most = self._fitting(first, most, directions)
        for piece in split(itertools.chain([first], batches), most):
            with self._looking():
                weight = self._weigh(piece)
            total += weight
            yield piece, weight
        if not total:
            raise ValueError("no target counts: all are ignored by the loss, or have the weight 0")

    @contextmanager
    def _looking(self) -> Iterator[None]:
        with twice_differentiable(self._objective.dtype), torch.no_grad():
            yield

    def _fitting(self, first: Batch, most: int, directions: int) -> int:
        """How many samples have second derivatives that fit into `ROOM`, up to ``most``."""
        sizes = [min(len(first), count) for count in (2, 4)]
        small, large = (saved_bytes(lambda n=n: self._graph(first[:n])) for n in sizes)
        each = (
            (large - small) // (sizes[1] - sizes[0]) if sizes[1] > sizes[0] else large // sizes[0]
        )
        each = max(each, 1) * (1 + directions)
        most = max(1, min(most, ROOM // each))
        announce(
            f"second derivatives of {most} samples along {directions} directions at a time",
            most * each,
            self._objective.device,
        )
        return most

    @torch.enable_grad()
    def _graph(self, batch: Batch) -> list[Tensor]:
        try:
            return self._objective.slopes(self._objective.value(batch), create_graph=True)
        except RuntimeError as error:
            raise ValueError(f"the second derivative cannot be taken: {error}") from error

    def _weigh(self, piece: Batch) -> float:
        """The weight of a piece: the number of its samples, or what the loss divides by."""
        weight = None
        if self._kept is None:
            cut = min(KEPT, len(piece) // 3 or 1)
            self._kept = piece[:cut]
            self._is_a_mean(piece[cut : PROBE if self._known else None])
        elif not (self._joined and self._known):
            weight = self._is_a_mean(piece)
        few = piece[:FEW]
        if not self._differentiated and self._objective.value_and_weight(few)[1]:
            self._has_derivatives(few)
            self._differentiated = True
        if self._known is not None:
            return _counted(self._known is cross_entropy, piece)
        if weight is None:
            weight = self._objective.value_and_weight(piece)[1]
        return float(len(piece)) if self.own_weights is False else weight

    def _is_a_function(self, batch: Batch) -> None:
        objective = self._objective
        if isinstance(objective.loss_given, nn.Module):
            held = set(map(id, objective.loss_given.parameters()))
            if held & set(map(id, objective.given.parameters())):
                raise ValueError(f"the loss holds parameters of the model: {SHARED}")
        before = {name: t.clone() for name, t in objective.model.named_buffers()}
        try:
            outputs = tensors_in(objective.outputs(batch)[0])
            once = objective.value_and_weight(batch)[0]
        except RuntimeError as error:
            raise ValueError(self._failed(batch, error)) from error
        sizes = [float(t.nan_to_num(0, 0, 0).abs().max()) for t in outputs if t.numel()]
        self._floor = ROUNDING[objective.dtype] * (1 + max(sizes, default=0.0))
        twice = objective.value_and_weight(batch)[0]
        advice = "; call model.eval() first" if objective.given.training else ""
        if not self._same(once, twice, once.abs() + twice.abs()):
            raise ValueError(
                f"the loss of the same {len(batch)} samples is {once.item():.6g}, then "
                f"{twice.item():.6g} (dropout or other noise, a state that is kept): it is not a "
                f"function{advice}"
            )
        for name, buffer in objective.model.named_buffers():
            if buffer.is_floating_point() and not torch.equal(buffer, before[name]):
                buffer += torch.randn_like(buffer)
                again = objective.value_and_weight(batch)[0]
                if not self._same(once, again, once.abs() + again.abs()):
                    raise ValueError(
                        f"forward changes the buffer {name}, and the loss depends on it: it is not "
                        f"a function{advice}"
                    )
                buffer.copy_(before[name])
        with torch.enable_grad():
            self._is_of_the_copy(objective.value(batch))

    def _is_a_mean(self, piece: Batch) -> float | None:
        """The loss of the samples that are kept, joined with these, is the mean of both losses.

        Returns:
            What the loss of the piece divides by, where it was looked at.
        """
        assert self._kept is not None
        whole = joined(self._kept, piece) if len(piece) else None
        if whole is None:
            return None
        self._joined = True
        parts = (self._kept, piece, whole)
        found = self._law(parts)
        if max(float(value.abs()) for value, _ in found) < 1e6 * self._floor:
            with self._moved(self._direction(1), ELSEWHERE):
                self._law(parts)
        if found[0][1] == 0:
            self._kept = piece[:KEPT]
        return found[1][1]

    def _law(self, parts: tuple[Batch, Batch, Batch]) -> list[tuple[Tensor, float]]:
        """The losses and weights of the parts and the whole; it must be their mean.

        By the weights that the loss divides by, or else by the numbers of samples.
        """
        found = [self._objective.value_and_weight(part) for part in parts]
        own, numbers = [weight for _, weight in found], [float(len(part)) for part in parts]
        allowed = {None: (own, numbers), True: (own,), False: (numbers,)}[self.own_weights]
        for weights in allowed:
            one, other, whole = (value * w for (value, _), w in zip(found, weights, strict=True))
            added = math.isclose(weights[0] + weights[1], weights[2], rel_tol=1e-6)
            size = one.abs() + other.abs() + whole.abs() + self._floor * weights[2]
            if added and self._same(whole, one + other, size):
                self.own_weights = weights is own
                return found
        one, other, whole = (value for value, _ in found)
        told = (
            f"the loss of {len(parts[0])} samples is {one.item():.6g}, of {len(parts[1])} others "
            f"{other.item():.6g}, but of all of them {whole.item():.6g}: "
        )
        if self._same(whole, one + other, whole.abs()):
            raise ValueError(f"{told}a sum over the samples; take the mean (reduction='mean')")
        raise ValueError(f"{told}not their mean. {ADVICE}")

    def _same(self, a: Tensor, b: Tensor, size: Tensor) -> bool:
        return bool((a - b).abs() <= SAME[self._objective.dtype] * size + self._floor)

    def _has_derivatives(self, batch: Batch) -> None:
        objective = self._objective
        u, v = self._direction(0), self._direction(1)
        try:
            with torch.enable_grad():
                hu, hv = hessian_map(objective, batch)(torch.stack([u, v], 1)).T
        except RuntimeError as error:
            raise ValueError(f"the second derivative cannot be taken: {error}") from error
        norm = u.norm() * hv.norm() + v.norm() * hu.norm()
        exact = objective.dtype == torch.float64
        if not (u @ hv - v @ hu).abs() <= (1e-8 if exact else 1e-2) * norm:
            raise ValueError(
                f"second derivatives are not symmetric: uᵀHv is {u @ hv:.6g}, vᵀHu {v @ hu:.6g}; "
                "some backward pass is not the derivative of its forward pass"
            )
        if not exact:
            return
        far, near = (self._difference(v, size, batch) for size in (STEP, STEP / 4))
        sizes = [parameter.numel() for parameter in objective.parameters.values()]
        parts = zip(objective.parameters, *(d.split(sizes) for d in (far, near, hv)), strict=True)
        for name, coarse, fine, product in parts:
            # At a kink the differences grow as 1/step: nothing can be said there.
            settled = (coarse - fine).norm() <= 1e-5 * fine.norm()
            if settled and (fine - product).norm() > 1e-4 * torch.max(fine.norm(), product.norm()):
                raise ValueError(
                    f"second derivatives are not those of the loss: along {name} they are "
                    f"{product.norm():.6g} in norm, finite differences of the gradient give "
                    f"{fine.norm():.6g}; some operation is not differentiated twice, or does not "
                    "see its parameters"
                )

    def _is_of_the_copy(self, value: Tensor) -> None:
        """The copy must not compute with parameters of the model as it came."""
        foreign = {
            id(parameter): name for name, parameter in self._objective.given.named_parameters()
        }
        waiting, seen = [value.grad_fn], set()
        while waiting:
            node = waiting.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            name = foreign.get(id(getattr(node, "variable", None)))
            if name is not None:
                raise ValueError(f"a function holds on to {name} of the model: {SHARED}")
            waiting += [following for following, _ in node.next_functions]

    def _direction(self, seed: int) -> Tensor:
        """A random direction in θ, without the rows of embeddings that pad: these are constants."""
        generator = torch.Generator().manual_seed(seed)
        padding = {
            id(module.weight): module.padding_idx
            for module in self._objective.model.modules()
            if isinstance(module, (nn.Embedding, nn.EmbeddingBag))
            and module.padding_idx is not None
        }
        parts = []
        for parameter in self._objective.parameters.values():
            part = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            if id(parameter) in padding:
                part[padding[id(parameter)]] = 0
            parts.append(part.flatten())
        return torch.cat(parts).to(self._objective.device, self._objective.dtype)

    def _difference(self, v: Tensor, step: float, batch: Batch) -> Tensor:
        """(∇L(θ + hv) − ∇L(θ − hv)) / 2h with h‖v‖ = step · ‖θ‖."""

        def slope(step: float) -> tuple[Tensor, float]:
            with self._moved(v, step) as h, torch.enable_grad():
                parts = self._objective.slopes(self._objective.value(batch))
            return torch.cat([part.flatten() for part in parts]), h

        (ahead, h), (behind, _) = slope(step), slope(-step)
        return (ahead - behind) / (2 * h)

    @contextmanager
    def _moved(self, v: Tensor, step: float) -> Iterator[float]:
        """θ + hv for a while, with h‖v‖ = step · ‖θ‖; h is given."""
        parameters = list(self._objective.parameters.values())
        kept = [parameter.detach().clone() for parameter in parameters]
        norm = sum(float(start.square().sum()) for start in kept) ** 0.5 or 1.0
        length = step * norm / float(v.norm())
        try:
            with torch.no_grad():
                pieces = v.split([start.numel() for start in kept])
                for parameter, start, piece in zip(parameters, kept, pieces, strict=True):
                    parameter.copy_(start + length * piece.view_as(start))
            yield length
        finally:
            with torch.no_grad():
                for parameter, start in zip(parameters, kept, strict=True):
                    parameter.copy_(start)

    def _failed(self, batch: Batch, error: RuntimeError) -> str:
        objective = self._objective
        told = f"model or loss fails on {len(batch)} samples in {objective.dtype}: {error}"
        named = objective.given.named_modules()
        replaced = [name for name, part in named if "forward" in vars(part)]
        if replaced:
            told += f"; forward of {replaced[0] or 'the model'} was replaced: {SHARED}"
        elif objective.dtype == torch.float64:
            told += "; a model that is in single precision inside takes dtype=torch.float32"
        return told


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
