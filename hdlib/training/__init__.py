"""How it learns."""

from hdlib.training.evaluate import evaluate
from hdlib.training.loop import (
    HISTORY,
    checkpoint_name,
    optimizer_name,
    stored_checkpoints,
    train,
)
from hdlib.training.losses import cross_entropy_float64
from hdlib.training.schedule import checkpoint_steps, grokking_steps

__all__ = [
    "HISTORY",
    "checkpoint_name",
    "checkpoint_steps",
    "cross_entropy_float64",
    "evaluate",
    "grokking_steps",
    "optimizer_name",
    "stored_checkpoints",
    "train",
]
