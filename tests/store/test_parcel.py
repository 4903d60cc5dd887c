"""Runs that another machine computes: what goes along, what comes back, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from hdlib.store import ChangedError, DamagedRunError, Run
from hdlib.store.manifest import Entry
from hdlib.store.parcel import Parcel, pack_results, pack_to_compute, unpack
from hdlib.store.publish import publish
from hdlib.training import checkpoint_name, loop, state_name

from .killed import run_until
from .toy import NORMS, SUMS, TOY, TRAINING, Toy, contents


@pytest.fixture
def updates(monkeypatch) -> list[int]:
    """Steps of all updates that are made."""
    steps: list[int] = []
    update = loop._update

    def counted(stored, plan, step):
        steps.append(step)
        update(stored, plan, step)

    monkeypatch.setattr(loop, "_update", counted)
    return steps


def there(config: Toy, home: Path, elsewhere: Path) -> tuple[Parcel, Parcel]:
    """What goes to another machine, and what comes back."""
    sent = pack_to_compute(TOY.open(config, root=home))
    unpack(sent, TOY.open(config, root=elsewhere))
    run = TOY.run(config, root=elsewhere)
    return sent, pack_results(run, given=sent.sums)


def computed_there(config: Toy, home: Path, elsewhere: Path) -> tuple[Run[Toy], Parcel]:
    sent, back = there(config, home, elsewhere)
    run = TOY.open(config, root=home)
    unpack(back, run, given=sent.sums)
    return run, back


def named(parcel: Parcel) -> list[str]:
    return [f"{file.stage}/{file.name}" for file in parcel.files]


def without_early_states(root: Path) -> dict[str, bytes]:
    """Files but for records and the states of all checkpoints but the last."""
    found = {name: c for name, c in contents(root).items() if "/runs/" not in name}
    states = sorted(name for name in found if "/states/" in name)
    return {name: content for name, content in found.items() if name not in states[:-1]}


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_what_comes_back_is_what_is_computed_here(tmp_path, optimizer):
    config = Toy(optimizer=optimizer, by=0.05)
    TOY.run(config, root=tmp_path / "here")
    run, _ = computed_there(config, tmp_path / "home", tmp_path / "there")
    assert run.complete
    assert without_early_states(tmp_path / "home") == without_early_states(tmp_path / "here")
    for stage in TOY.stages:
        for name in run.stored(stage).names():
            environment = run.stored(stage).environment_of(name)
            assert environment
            assert environment["packages"]["hdlib"]
    assert run.stored(TRAINING).seconds > 0


def test_an_extension_goes_on_and_sends_no_weights(tmp_path, updates):
    TOY.run(Toy(n_steps=20), root=tmp_path / "home")
    updates.clear()
    sent, back = there(Toy(n_steps=30), tmp_path / "home", tmp_path / "there")
    assert updates == list(range(20, 30))
    whole = [f.name for f in sent.files if f.stage == TRAINING.name and f.content is not None]
    assert sorted(whole) == ["history.parquet", state_name(20)]
    assert f"toy/training/{checkpoint_name(15)}" not in named(back)
    run = TOY.open(Toy(n_steps=30), root=tmp_path / "home")
    unpack(back, run, given=sent.sums)
    TOY.run(Toy(n_steps=30), root=tmp_path / "once")
    assert run.complete
    for name, content in without_early_states(tmp_path / "once").items():
        assert contents(tmp_path / "home")[name] == content
    assert run.stored(TRAINING).entry(state_name(20)) is None


def test_only_what_is_missing_is_computed_and_comes_back(tmp_path, updates):
    TOY.run(Toy(), root=tmp_path / "home")
    updates.clear()
    run, back = computed_there(Toy(scale=2.0), tmp_path / "home", tmp_path / "there")
    assert not updates
    assert {file.stage for file in back.files} == {NORMS.name, SUMS.name}
    assert run.complete


def test_weights_that_were_dropped_are_not_trained_again(tmp_path, updates):
    publish(TOY.run(Toy(), root=tmp_path / "whole"), root=tmp_path / "home")
    updates.clear()
    sent, back = there(Toy(power=3), tmp_path / "home", tmp_path / "there")
    assert not updates
    assert named(back) == ["toy/sums/all.safetensors"]
    assert [f.content for f in sent.files if f.name == checkpoint_name(0)] == [None]


def test_nothing_goes_twice(tmp_path):
    TOY.run(Toy(), root=tmp_path / "home")
    before = contents(tmp_path / "home", manifests=True)
    _, back = there(Toy(), tmp_path / "home", tmp_path / "there")
    assert not back.files
    unpack(back, TOY.open(Toy(), root=tmp_path / "home"))
    assert contents(tmp_path / "home", manifests=True) == before


def altered(parcel: Parcel, **changes: object) -> Parcel:
    """With its last file changed, so that those before it could be written first."""
    *files, last = parcel.files
    return parcel._replace(files=(*files, last._replace(**changes)))  # pyright: ignore


def flipped(parcel: Parcel) -> Parcel:
    content = parcel.files[-1].content
    assert content
    return altered(parcel, content=bytes([content[0] ^ 1]) + content[1:])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (flipped, "toy/sums/all.safetensors was altered on its way: its sha256 is"),
        (lambda p: altered(p, name="../../out"), "../../out is outside of the folder"),
        (lambda p: altered(p, name="/tmp/out"), "/tmp/out is outside of the folder"),
        (lambda p: altered(p, stage="toy/other"), "toy/other/all.safetensors: the run has no such"),
        (lambda p: altered(p, entry=Entry("0" * 64, 1)), "was altered on its way"),
        (lambda p: p._replace(keys={**p.keys, "toy/sums": "0"}), "of a run with the keys"),
    ],
)
def test_what_was_altered_is_refused_and_nothing_is_written(tmp_path, change, words):
    sent, back = there(Toy(), tmp_path / "home", tmp_path / "there")
    with pytest.raises(DamagedRunError, match=words):
        unpack(change(back), TOY.open(Toy(), root=tmp_path / "home"), given=sent.sums)
    assert not contents(tmp_path / "home", manifests=True)


def test_results_of_another_config_are_refused(tmp_path):
    _, back = there(Toy(seed=1), tmp_path / "home", tmp_path / "there")
    with pytest.raises(DamagedRunError, match="of a run with the keys"):
        unpack(back, TOY.open(Toy(), root=tmp_path / "home"))


def test_what_was_computed_here_meanwhile_stays(tmp_path):
    TOY.run(Toy(n_steps=10), root=tmp_path / "home")
    sent, back = there(Toy(n_steps=20), tmp_path / "home", tmp_path / "there")
    TOY.run(Toy(n_steps=30), root=tmp_path / "home")
    before = contents(tmp_path / "home")
    run = TOY.open(Toy(n_steps=30), root=tmp_path / "home")
    unpack(back, TOY.open(Toy(n_steps=20), root=tmp_path / "home"), given=sent.sums)
    assert run.complete
    after = contents(tmp_path / "home")
    assert {name: after[name] for name in before} == before


def test_weights_that_are_recorded_otherwise_are_refused(tmp_path):
    run = TOY.run(Toy(), root=tmp_path / "home")
    path = run.stored(TRAINING).where(checkpoint_name(30))
    _, back = there(Toy(n_steps=45), tmp_path / "home", tmp_path / "there")
    *files, last = back.files
    other = next(f for f in back.files if f.name == checkpoint_name(45))
    path.unlink()
    forged = other._replace(name=checkpoint_name(30))
    with pytest.raises(ChangedError, match="comes out different"):
        unpack(
            back._replace(files=(forged, *files, last)),
            TOY.open(Toy(n_steps=45), root=tmp_path / "home"),
            given={},
        )


def receive(sent: Parcel, back: Parcel, home: Path) -> None:
    unpack(back, TOY.open(Toy(n_steps=30), root=home), given=sent.sums)


def test_a_client_that_is_killed_leaves_nothing_half(tmp_path):
    TOY.run(Toy(n_steps=30), root=tmp_path / "once")
    operation, code = 0, -9
    while code == -9:
        home = tmp_path / f"home{operation}"
        TOY.run(Toy(n_steps=20), root=home)
        sent, back = there(Toy(n_steps=30), home, tmp_path / f"there{operation}")
        code = run_until(operation, torn=True, function=receive, arguments=(sent, back, home))
        TOY.run(Toy(n_steps=30), root=home)
        for name, content in without_early_states(tmp_path / "once").items():
            assert contents(home)[name] == content, (operation, name)
        operation += 11
    assert code == 0
    assert operation > 20
