"""How it learns."""

from hdlib.training.adamw import adamw
from hdlib.training.decay import decay_groups
from hdlib.training.evaluate import evaluate, evaluation, logits_of, supervised
from hdlib.training.files import HISTORY, checkpoint_name, state_name
from hdlib.training.known_pairs import known_pairs_step
from hdlib.training.loop import train
from hdlib.training.losses import cross_entropy_float64, cross_entropy_of_errors
from hdlib.training.pairs import MIRRORED, OTHERS, pair_evaluation, steps_to
from hdlib.training.plan import Batches, Log, Plan, Resolution, Schedule, State
from hdlib.training.random_numbers import seeded
from hdlib.training.regularisers import (
    low_frequency_share,
    routing_consistency,
    routing_entropy,
    routing_gini,
    routing_sparsity,
    squared_jacobian_norm,
)
from hdlib.training.schedule import checkpoint_steps, coarse_to_fine, grokking_steps
from hdlib.training.stage import TrainingStage
from hdlib.training.state import moment, state_tensors
from hdlib.training.warm_up import warm_up

__all__ = [
    "HISTORY",
    "MIRRORED",
    "OTHERS",
    "Batches",
    "Log",
    "Plan",
    "Resolution",
    "Schedule",
    "State",
    "TrainingStage",
    "adamw",
    "checkpoint_name",
    "checkpoint_steps",
    "coarse_to_fine",
    "cross_entropy_float64",
    "cross_entropy_of_errors",
    "decay_groups",
    "evaluate",
    "evaluation",
    "grokking_steps",
    "known_pairs_step",
    "logits_of",
    "low_frequency_share",
    "moment",
    "pair_evaluation",
    "routing_consistency",
    "routing_entropy",
    "routing_gini",
    "routing_sparsity",
    "seeded",
    "squared_jacobian_norm",
    "state_name",
    "state_tensors",
    "steps_to",
    "supervised",
    "train",
    "warm_up",
]
