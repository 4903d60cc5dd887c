"""How it learns."""

from hdlib.training.evaluate import evaluate
from hdlib.training.loop import HISTORY, checkpoint_name, train
from hdlib.training.schedule import checkpoint_steps

__all__ = ["HISTORY", "checkpoint_name", "checkpoint_steps", "evaluate", "train"]
