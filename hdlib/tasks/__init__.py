"""What is learned."""

from hdlib.tasks.images import TRAIN_SIZE, Dataset, Images, Split, load_images, shuffled_labels
from hdlib.tasks.modular import ModularTask, Operation, Pairs, is_prime, modular_task
from hdlib.tasks.planted import planted_hessian
from hdlib.tasks.sums import Sums, SumsTask, sums_task

__all__ = [
    "TRAIN_SIZE",
    "Dataset",
    "Images",
    "ModularTask",
    "Operation",
    "Pairs",
    "Split",
    "Sums",
    "SumsTask",
    "is_prime",
    "load_images",
    "modular_task",
    "planted_hessian",
    "shuffled_labels",
    "sums_task",
]
