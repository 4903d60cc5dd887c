"""What the leading eigenvectors do to the function of the chapter's networks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from hdlib.experiments.grokking.config import GrokkingConfig
from hdlib.experiments.grokking.measures import attention_shifts
from hdlib.experiments.grokking.recipe import FUNCTIONS
from hdlib.experiments.grokking.spectra import DOSES, leading_vectors
from hdlib.experiments.grokking.sweep import GrokkingSweep, head_name
from hdlib.experiments.grokking.training import TRAINING
from hdlib.measures.functions import concentration
from hdlib.store import Run

Array = NDArray[np.float64]
Key = TypeVar("Key", int, str)


class AttentionMoves(NamedTuple):
    """Attention of H heads over the training pairs, as the weights move along eigenvectors.

    Attributes:
        step: checkpoint.
        to_a: (H,), mean attention to a.
        to_equals: (H,), mean attention to "=".
        changes: (H + 1, H), changes of the first along the leading eigenvectors.
    """

    step: int
    to_a: Array
    to_equals: Array
    changes: Array


class _Functions(Generic[Key]):
    """What is stored of functions, for each of several networks or checkpoints."""

    doses = DOSES

    def __init__(self, found: Mapping[Key, Mapping[str, NDArray]]) -> None:
        self._found = found

    def moves(self, key: Key) -> tuple[Array, Array]:
        """Changes of the losses at each dose, along eigenvectors and random directions."""
        return self._found[key]["responses"], self._found[key]["random_responses"]

    def concentrations(self, key: Key) -> tuple[Array, Array]:
        """Largest share of one key frequency in these changes, (doses, 12) each."""
        along, random = (
            np.stack([concentration(at_dose) for at_dose in moves]) for moves in self.moves(key)
        )
        return along, random


class FunctionResults(_Functions[int]):
    """What the leading eigenvectors of a run do to its function, wherever its weights are kept.

    Attributes:
        run: complete run.
        steps: checkpoints with weights.
        doses: lengths of the moves, as shares of the norm of the weights.

    Raises:
        ValueError: if the run has none.
    """

    def __init__(self, run: Run[GrokkingConfig]) -> None:
        self.run = run
        self.steps = FUNCTIONS.steps(run)
        if not self.steps:
            raise ValueError("the run has no functions: spectra=0; at least 1 is needed")
        super().__init__({step: run.arrays(FUNCTIONS, step) for step in self.steps})

    @property
    def energies(self) -> dict[str, NDArray[np.float32]]:
        """Share of each frequency in J v along each eigenvector, (12, F), at each checkpoint."""
        return {f"{step:,}": self._found[step]["energy"] for step in self.steps}

    @cached_property
    def attention(self) -> AttentionMoves:
        """How the leading eigenvectors, one more than there are heads, move each head's attention.

        At the last checkpoint with weights at which less than half of the test pairs are right, or
        at the first one; recomputed from its weights.
        """
        history, config = TRAINING.history(self.run), self.run.config
        accuracy = dict(zip(history["step"], history["test_accuracy"], strict=True))
        kept = TRAINING.with_weights(self.run)
        step = max((step for step in kept if accuracy[step] < 0.5), default=kept[0])
        model = TRAINING.model(self.run, step)
        vectors = leading_vectors(config, model, config.n_heads + 1)
        to_a, changes = attention_shifts(model, config.task, vectors)
        to_equals = model.attention(config.task.train.tokens())[2].mean(0).detach().numpy()
        return AttentionMoves(step, to_a, to_equals, changes)


class HeadFunctions(_Functions[str]):
    """The same at the end of training, of the networks with one to eight heads.

    Attributes:
        names: networks, in words.
        doses: lengths of the moves, as shares of the norm of the weights.
    """

    def __init__(self, sweep: GrokkingSweep) -> None:
        super().__init__(
            {
                head_name(found): found.arrays(FUNCTIONS, found.config.n_steps)
                for found in sweep.heads
            }
        )
        self.names = list(self._found)
