"""No stage reads a field of the config that is not among those its key is made of."""

from __future__ import annotations

from typing import Any

import pytest

from hdlib.experiments.registry import REGISTRY
from hdlib.store import ArrayStage, Config, Run, Stage
from hdlib.training import TrainingStage

from .small import SMALL

LENGTH = {"n_epochs", "n_steps"}
"""How long training goes on, which is in no key of it."""


def declared(stage: Stage) -> set[str]:
    return {*stage.fields}.union(*(declared(need) for need in stage.needs))


def watched(config: Config, read: set[str]) -> Any:
    """The config, and what is read of it from now on."""

    class Watched(type(config)):
        def __getattribute__(self, name: str) -> Any:
            if name in type(config).model_fields:
                read.add(name)
            return super().__getattribute__(name)

    return Watched.model_construct(**config.model_dump())


@pytest.mark.parametrize("name", SMALL)
def test_a_stage_reads_what_it_declares(tmp_path, name):
    experiment, config = REGISTRY[name], SMALL[name]
    experiment.run(config, root=tmp_path)
    for stage in experiment.stages:
        read: set[str] = set()
        run = Run(watched(config, read), experiment.stages, [tmp_path])
        _ = run.device
        allowed = declared(stage)
        if isinstance(stage, TrainingStage):
            stage._plan(run.config, run.device)
        elif isinstance(stage, ArrayStage):
            items = stage.items(Run(config, experiment.stages, [tmp_path]))[:2]
            allowed |= LENGTH
            read.clear()
            for item in items:
                stage._compute(run, item)
        assert read
        assert read <= allowed, (stage.name, read - allowed)
