"""A training that was killed, anywhere, ends bit-identical to one that was not."""

from __future__ import annotations

import pytest

from hdlib.store import folder, manifest
from hdlib.store.formats import read_table
from hdlib.training import HISTORY, Resolution, Schedule, checkpoint_name, state_name

from .small import (
    CHECKPOINTS,
    OPTIMIZERS,
    SCHEDULE,
    STEPS,
    KilledError,
    contents,
    files_in,
    plan,
    trained,
)

# The test accuracy moves by multiples of 1/20.
ADAPTIVE = Schedule.of(
    STEPS,
    checkpoints=CHECKPOINTS,
    log_steps=range(13),
    resolution=Resolution("test_accuracy", 0.04),
)


@pytest.mark.parametrize(("schedule", "size"), [(SCHEDULE, 16), (SCHEDULE, None), (ADAPTIVE, None)])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_killed_in_updates(tmp_path, name, schedule, size):
    make = OPTIMIZERS[name]
    whole = trained(tmp_path / "whole", plan(make, size=size, dropout=0.3), schedule)
    for updates in (3, 4, 4):
        start = plan(make, size=size, dropout=0.3, dies_after=updates)
        with pytest.raises(KilledError):
            trained(tmp_path / "pieces", start, schedule)
    trained(tmp_path / "pieces", plan(make, size=size, dropout=0.3), schedule)
    assert contents(files_in(tmp_path / "pieces")) == contents(whole)
    if schedule is ADAPTIVE:
        adaptive = {step for step in range(13) if whole.has(checkpoint_name(step))}
        assert set(CHECKPOINTS) < adaptive < set(range(13))
        assert all(whole.has(state_name(step)) for step in adaptive)


@pytest.mark.parametrize("step", SCHEDULE.steps[:-1])
@pytest.mark.parametrize("name", ["momentum", "AdamW"])
def test_killed_after_each_logged_step(tmp_path, name, step):
    """It goes on from the state of that step, with as many updates as are left."""
    whole = trained(tmp_path / "whole", plan(OPTIMIZERS[name]))
    with pytest.raises(KilledError):
        trained(tmp_path / "pieces", plan(OPTIMIZERS[name], dies_after=step))
    trained(tmp_path / "pieces", plan(OPTIMIZERS[name], dies_after=STEPS - step))
    assert contents(files_in(tmp_path / "pieces")) == contents(whole)


def test_a_longer_training_goes_on_from_a_shorter_one(tmp_path):
    longer = Schedule.of(20, checkpoints=[*CHECKPOINTS, 16], log_steps=[4, 8])
    whole = trained(tmp_path / "whole", plan(), longer)
    trained(tmp_path / "pieces")
    pieces = trained(tmp_path / "pieces", plan(dies_after=8), longer)
    assert contents(pieces) == contents(whole)
    # And the shorter one is there already, with what it logs at other steps.
    trained(tmp_path / "pieces", plan(dies_after=0))


def test_another_schedule_adds_rows_and_keeps_those_there_are(tmp_path):
    stored = trained(tmp_path)
    before = contents(stored, "checkpoints")
    denser = Schedule.of(STEPS, checkpoints=[5], log_steps=range(0, 13, 3))
    stored = trained(tmp_path, plan(), denser)
    assert read_table(stored.read(HISTORY))["step"].tolist() == [0, 2, 3, 4, 5, 6, 7, 8, 9, 12]
    assert contents(stored, "checkpoints").items() > before.items()
    assert contents(stored, "checkpoints") == contents(
        trained(
            tmp_path / "new",
            plan(),
            Schedule.of(STEPS, checkpoints=[*CHECKPOINTS, 5]),
        ),
        "checkpoints",
    )


SHORT = Schedule.of(
    4, checkpoints=[0, 2], log_steps=range(5), resolution=Resolution("test_accuracy", 0.04)
)


def test_killed_at_each_write(tmp_path, monkeypatch):
    """Before each file and each line of the manifest; what is asked for is there in the end."""
    states = [state_name(step) for step in (0, 2, 4)]
    whole = trained(tmp_path / "whole", plan(), SHORT, also=states)
    write = 1
    while dies_at_write(write, tmp_path / str(write), monkeypatch):
        pieces = trained(tmp_path / str(write), plan(), SHORT, also=states)
        assert contents(pieces).items() >= contents(whole).items(), write
        assert not pieces.damaged()
        write += 1
    assert write > 2 * len(contents(whole))


def dies_at_write(write: int, root, monkeypatch) -> bool:
    """Train until a write that never happens; False where there are fewer."""
    left = write

    def dying(save):
        def dies(path, content):
            nonlocal left
            left -= 1
            if left == 0:
                raise KilledError
            save(path, content)

        return dies

    with monkeypatch.context() as patch:
        patch.setattr(folder, "write_atomically", dying(folder.write_atomically))
        patch.setattr(manifest, "append", dying(manifest.append))
        try:
            trained(root, plan(), SHORT)
        except KilledError:
            return True
    return False


@pytest.mark.parametrize("name", [checkpoint_name(4), checkpoint_name(7), HISTORY])
@pytest.mark.parametrize("damage", ["altered", "missing"])
def test_a_damaged_file_is_written_anew(tmp_path, name, damage):
    """Step 4 is no scheduled checkpoint: only the history says that it belongs to the run."""
    stored = trained(tmp_path, plan(size=None), ADAPTIVE)
    before = contents(stored)
    if damage == "altered":
        (stored.home / name).write_bytes(b"")
    else:
        (stored.home / name).unlink()
    assert stored.damaged() == [stored.home / name]
    assert contents(trained(tmp_path, plan(size=None), ADAPTIVE)) == before


def test_a_state_that_is_lost_is_made_again(tmp_path):
    stored = trained(tmp_path)
    before = contents(stored)
    (stored.home / state_name(7)).unlink()
    assert contents(trained(tmp_path, plan(dies_after=5))) == before
