"""The store: what was computed, found by what it depends on and by nothing else."""

from hdlib.store.agreement import agreement, difference
from hdlib.store.arrays import Arrays, ArrayStage, Timed
from hdlib.store.config import Config, ConfigError
from hdlib.store.experiment import Experiment, Grid
from hdlib.store.fields import read_fields
from hdlib.store.folder import DamagedRunError
from hdlib.store.parallel import one_thread, side_by_side
from hdlib.store.places import PUBLISHED, home, roots
from hdlib.store.provenance import provenance
from hdlib.store.registry import Registry
from hdlib.store.run import Run
from hdlib.store.stage import Agreement, CannotRecomputeError, Item, Stage, file_name
from hdlib.store.stored import ChangedError, Stored

__all__ = [
    "PUBLISHED",
    "Agreement",
    "ArrayStage",
    "Arrays",
    "CannotRecomputeError",
    "ChangedError",
    "Config",
    "ConfigError",
    "DamagedRunError",
    "Experiment",
    "Grid",
    "Item",
    "Registry",
    "Run",
    "Stage",
    "Stored",
    "Timed",
    "agreement",
    "difference",
    "file_name",
    "home",
    "one_thread",
    "provenance",
    "read_fields",
    "roots",
    "side_by_side",
]
