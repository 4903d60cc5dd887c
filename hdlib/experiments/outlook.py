"""What there is of a sweep, and how long the rest will take."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch

from hdlib.experiments.grid import changed
from hdlib.experiments.registry import REGISTRY
from hdlib.experiments.sweep import Sweep
from hdlib.store import Run, Stage
from hdlib.training import TrainingStage

MOST_PACES = 100
"""Runs that the time is estimated from."""


class Pace(NamedTuple):
    """How fast a stage of a run was computed.

    Attributes:
        fields: fields of its config.
        seconds: wall time for each update of the training.
    """

    fields: Mapping[str, Any]
    seconds: float


class Left(NamedTuple):
    """A stage of a run that is missing.

    Attributes:
        stage: its name.
        fields: fields of the config.
        updates: updates of the training that it takes, or that it looks back on.
    """

    stage: str
    fields: Mapping[str, Any]
    updates: int


Paces = dict[str, list[Pace]]
"""By the name of the stage."""


def outlook(sweep: Sweep) -> Iterator[str]:
    """A line for each run of a sweep, how far it is, and an estimate of the time for the rest.

    The estimate takes, for each stage that is missing, the wall seconds for each update of that
    run which has most fields in common, in the sweep or else among all of the experiment; sizes in
    which they differ are told.
    """
    width = max(map(len, sweep.configs))
    paces: Paces = defaultdict(list)
    left: dict[str, Left] = {}
    incomplete = 0
    for number, (name, config) in enumerate(sweep.configs.items(), 1):
        run = sweep.experiment.open(config)
        missing = [stage for stage, _ in run.missing()]
        yield f"{number:>4}  {name:<{width}}  {_how_far(run, missing)}  {changed(config)}"
        _add_paces(paces, run)
        incomplete += bool(missing)
        for stage in missing:
            # What several runs share is computed once.
            left.setdefault(run.stored(stage).key, _left(run, stage))
    yield f"{incomplete} of {len(sweep.configs)} runs are to be computed"
    if incomplete:
        if not paces:
            for run in REGISTRY.runs():
                if run.config.experiment == sweep.experiment.name:
                    _add_paces(paces, run)
        yield _estimate([*left.values()], paces, min(incomplete, torch.get_num_threads()))


def _how_far(run: Run[Any], missing: Sequence[Stage]) -> str:
    if not missing:
        return "complete"
    for stage in missing:
        if isinstance(stage, TrainingStage):
            done, asked = stage.progress(run)
            if done < asked:
                return f"{done:,} of {asked:,} steps"
    return f"trained; missing are files of {', '.join(stage.name for stage in missing)}"


def _left(run: Run[Any], stage: Stage) -> Left:
    if isinstance(stage, TrainingStage):
        done, asked = stage.progress(run)
        updates = asked - done
    else:
        updates = sum(s.progress(run)[1] for s in _trainings(run))
    return Left(stage.name, run.config.model_dump(), updates)


def _add_paces(paces: Paces, run: Run[Any]) -> None:
    updates = sum(stage.recorded(run) for stage in _trainings(run))
    for stage in run.stages:
        if updates and (seconds := run.stored(stage).seconds):
            paces[stage.name].append(Pace(run.config.model_dump(), seconds / updates))


def _trainings(run: Run[Any]) -> list[TrainingStage]:
    return [stage for stage in run.stages if isinstance(stage, TrainingStage)]


def _estimate(left: Sequence[Left], paces: Paces, workers: int) -> str:
    if not paces:
        return "no run of the experiment is in the store to estimate the time from"
    total, unlike = 0.0, set[str]()
    for stage, fields, updates in left:
        known = paces.get(stage, [])
        # Of many, some that are spread over the sweep.
        some = known[:: -(-len(known) // MOST_PACES) or 1]
        if nearest := max(some, key=lambda pace: _common(pace.fields, fields), default=None):
            total += updates * nearest.seconds
            unlike |= _unlike(nearest.fields, fields)
    count = max(map(len, paces.values()))
    other = f" (a guess: they have another {', '.join(sorted(unlike))})" if unlike else ""
    return (
        f"about {_duration(total)} of computing, by the pace of {count} runs in the store{other}; "
        f"{_duration(total / workers)} where {workers} are computed side by side"
    )


def _common(a: Mapping[str, Any], b: Mapping[str, Any]) -> int:
    return sum(b[name] == value for name, value in a.items() if name in b)


def _unlike(a: Mapping[str, Any], b: Mapping[str, Any]) -> set[str]:
    """Sizes in which two configs differ, or what is of another kind: a pace depends on these."""
    return {
        name
        for name in a.keys() & b.keys()
        if a[name] != b[name]
        and not isinstance(a[name], float)
        and not name.endswith(("seed", "steps"))
    }


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
