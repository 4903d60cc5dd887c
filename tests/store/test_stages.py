"""What is computed again where something changes: what depends on it, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from hdlib.store import Config, Experiment, Run
from hdlib.training import HISTORY

from .toy import MOMENTS, NORMS, SUMS, TOY, TRAINING, WITH_MOMENTS, Toy, contents

RECIPES = [
    {},
    {"batch_size": 7},
    {"optimizer": "momentum", "batch_size": 7},
    {"optimizer": "adam"},
    {"optimizer": "adam", "dropout": 0.5, "batch_size": 7},
    {"optimizer": "adam", "dropout": 0.3, "by": 0.2},
]


def stages_of(root: Path) -> dict[str, int]:
    """Number of folders of each stage."""
    return {
        stage.name: len([p for p in (root / stage.name).iterdir() if p.is_dir()])
        for stage in TOY.stages
    }


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({"power": 3}, {"toy/sums"}),
        ({"scale": 2.0}, {"toy/norms", "toy/sums"}),
        ({"seed": 1}, {"toy/training", "toy/norms", "toy/sums"}),
        ({"n_steps": 15}, {"toy/sums"}),
        ({"device": "auto"}, set()),
    ],
    ids=["power", "scale", "seed", "n_steps", "device"],
)
def test_a_field_recomputes_what_depends_on_it(tmp_path, change, again):
    TOY.run(Toy(), root=tmp_path)
    before = contents(tmp_path)
    times = {name: (tmp_path / name).stat().st_mtime_ns for name in before}
    TOY.run(Toy(**change), root=tmp_path)
    assert stages_of(tmp_path) == {
        stage.name: 2 if stage.name in again else 1 for stage in TOY.stages
    }
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in before} == times


@pytest.mark.parametrize(
    ("stage", "again"),
    [
        (SUMS, {"toy/sums"}),
        (NORMS, {"toy/norms", "toy/sums"}),
        (TRAINING, {"toy/training", "toy/norms", "toy/sums"}),
    ],
    ids=lambda value: value.name if hasattr(value, "name") else "",
)
def test_a_version_recomputes_the_stage_and_what_needs_it(tmp_path, monkeypatch, stage, again):
    TOY.run(Toy(), root=tmp_path)
    before = contents(tmp_path)
    monkeypatch.setattr(stage, "version", 2)
    TOY.run(Toy(), root=tmp_path)
    assert {name for name, count in stages_of(tmp_path).items() if count == 2} == again
    assert contents(tmp_path).items() >= before.items()


def test_one_file_is_computed_alone(tmp_path):
    run = TOY.open(Toy(), root=tmp_path)
    run.ensure(TRAINING)
    run.ensure(NORMS, "step_000015.safetensors")
    assert run.stored(NORMS).names() == ["step_000015.safetensors"]


class Second(Toy):
    experiment = "second"


def test_two_experiments_share_a_training(tmp_path, monkeypatch):
    second: Experiment[Config] = Experiment(Second, (TRAINING, NORMS), cost="no time")
    first = TOY.run(Toy(), root=tmp_path)
    monkeypatch.setattr(TRAINING, "_plan", None)
    run = second.run(Second(), root=tmp_path)
    assert run.complete
    assert run.key != first.key
    assert stages_of(tmp_path)["toy/training"] == 1


def trained(root: Path, recipe: dict, *lengths: int) -> Run[Toy]:
    experiment = WITH_MOMENTS if recipe.get("optimizer") == "adam" else TOY
    runs = [experiment.run(Toy(n_steps=n_steps, **recipe), root=root) for n_steps in lengths]
    return runs[-1]


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
@pytest.mark.parametrize("shorter", [15, 20, 7])
def test_an_extended_training_is_a_longer_one(tmp_path, recipe, shorter):
    once = trained(tmp_path / "once", recipe, 30)
    extended = trained(tmp_path / "extended", recipe, shorter, 30)
    assert TRAINING.checkpoints(extended) == TRAINING.checkpoints(once)
    ours, theirs = TRAINING.history(extended), TRAINING.history(once)
    assert {k: v.tobytes() for k, v in ours.items()} == {k: v.tobytes() for k, v in theirs.items()}
    found, expected = contents(tmp_path / "extended"), contents(tmp_path / "once")
    for name, content in expected.items():
        if not name.endswith(HISTORY):
            assert found[name] == content, name


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
@pytest.mark.parametrize("shorter", [15, 13])
def test_a_shorter_run_after_a_longer_reads_its_own_view(tmp_path, recipe, shorter):
    alone = trained(tmp_path / "alone", recipe, shorter)
    after = trained(tmp_path / "after", recipe, 30, shorter)
    assert after.complete
    assert TRAINING.checkpoints(after) == TRAINING.checkpoints(alone)
    ours, theirs = TRAINING.history(after), TRAINING.history(alone)
    assert ours["step"].tolist() == sorted({*range(0, shorter + 1, 5), shorter})
    assert {k: v.tobytes() for k, v in ours.items()} == {k: v.tobytes() for k, v in theirs.items()}
    for stage in after.stages[1:]:
        for name in after.stored(stage).names():
            if name in alone.stored(stage).names():
                assert after.stored(stage).read(name) == alone.stored(stage).read(name)
    assert trained(tmp_path / "after", recipe, 30).complete


def test_a_state_that_is_lost_is_made_again_for_what_needs_it(tmp_path):
    run = trained(tmp_path, {"optimizer": "adam"}, 30)
    before = contents(tmp_path)
    for name in before:
        if "states/" in name or "moments/" in name:
            (tmp_path / name).unlink()
    trained(tmp_path, {"optimizer": "adam"}, 30)
    assert run.complete
    assert contents(tmp_path) == before
    assert run.stored(MOMENTS).names()
