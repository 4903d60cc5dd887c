"""The files of a training: history, weights, and states to go on from."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from hdlib.store import DamagedRunError, Stored, formats
from hdlib.training.plan import Plan, Row
from hdlib.training.state import load_state, state_tensors

HISTORY = "history.parquet"
WEIGHTS, STATES = "checkpoints", "states"


def checkpoint_name(step: int) -> str:
    """File of the weights after ``step`` updates."""
    return f"{WEIGHTS}/step_{step:06d}.safetensors"


def state_name(step: int) -> str:
    """File of the whole state after ``step`` updates: weights, optimiser, random numbers."""
    return f"{STATES}/step_{step:06d}.safetensors"


def steps_in(stored: Stored, folder: str) -> list[int]:
    """Steps of which there is a file in a folder, ascending."""
    names = [name for name in stored.names() if name.startswith(f"{folder}/")]
    return sorted(int(name.rpartition("_")[2].partition(".")[0]) for name in names)


def read_rows(stored: Stored) -> list[Row]:
    """The history, row by row; none where there is no history.

    Raises:
        DamagedRunError: if the history is no table.
    """
    if not stored.has(HISTORY):
        return []
    return list(stored.parsed(HISTORY, _rows))


def _rows(content: bytes) -> tuple[Row, ...]:
    table = formats.read_table(content)
    columns = [values.tolist() for values in table.values()]
    return tuple(dict(zip(table, row, strict=True)) for row in zip(*columns, strict=True))


def write_rows(stored: Stored, rows: Sequence[Row]) -> None:
    """Write the history; where a row does not have a column of another, it is NaN."""
    names = dict.fromkeys(name for row in rows for name in row)
    table = {name: np.array([row.get(name, np.nan) for row in rows]) for name in names}
    stored.write(HISTORY, formats.table_bytes(table))


def write_checkpoint(stored: Stored, plan: Plan, step: int, *, restore: bool) -> None:
    """Write the weights, unless they are there; compare them with what is recorded of them.

    Args:
        stored: files of the training, held for writing.
        plan: training after ``step`` updates.
        step: number of updates.
        restore: whether to write weights that were dropped.

    Raises:
        ChangedError: if other weights are recorded.
    """
    name, content = checkpoint_name(step), formats.tensor_bytes(plan.model.state_dict())
    stored.require_same(name, content)
    if not stored.has(name) and (restore or not stored.dropped(name)):
        stored.write(name, content)


def write_state(stored: Stored, plan: Plan, step: int, *, keep: Collection[int]) -> None:
    """Write the state after ``step`` updates, and remove those of steps that are not to be kept."""
    if not stored.has(state_name(step)):
        stored.write(state_name(step), formats.tensor_bytes(state_tensors(plan)))
    for earlier in steps_in(stored, STATES):
        if earlier < step and earlier not in keep:
            stored.remove(state_name(earlier))


def last_state(stored: Stored, *, before: int) -> int | None:
    """Step of the last state that is whole of at most ``before`` updates."""
    steps = (step for step in reversed(steps_in(stored, STATES)) if step <= before)
    return next((step for step in steps if stored.has(state_name(step))), None)


def restore_state(stored: Stored, plan: Plan, *, before: int) -> int:
    """Put the plan into the last state that is kept of at most ``before`` updates.

    Returns:
        How many updates it has had; 0 where there is no state, and it is left as it is.

    Raises:
        DamagedRunError: if the file is no state of this training.
    """
    step = last_state(stored, before=before)
    if step is None:
        return 0
    name = state_name(step)
    try:
        load_state(plan, formats.read_tensors(stored.read(name)))
    except ValueError as error:
        raise DamagedRunError(f"{stored.where(name)}: {error}; delete it") from error
    return step
