"""What is published stays: what is missing of it is computed, and nothing else in its place."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from hdlib.store import ChangedError, DamagedRunError, Run, Timed, file_name
from hdlib.store import manifest as manifests
from hdlib.store.folder import Folder
from hdlib.store.publish import publish
from hdlib.training import HISTORY, Plan, checkpoint_name

from .toy import NORMS, SUMS, TOY, TRAINING, Toy, contents, folder

CONFIG = Toy()


@pytest.fixture
def published(place) -> Path:
    TOY.run(CONFIG, root=place / "computed")
    publish(TOY.open(CONFIG, root=place / "computed"), root=place / "data")
    return place / "data"


@pytest.fixture
def home(place) -> Path:
    return place / "home"


@pytest.fixture(params=["writable", "read-only"])
def settle(request, published, bound) -> Callable[[], bool]:
    """To be called once the damage is done; whether what is published can be written from then."""

    def settle() -> bool:
        if request.param == "writable":
            return True
        for path in (published, *published.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        bound(published.parent)
        return False

    return settle


@pytest.fixture
def another_processor(monkeypatch, published):
    """On which the weights come out a little different."""

    def plan(config: Toy, device: torch.device, usual=TRAINING._plan) -> Plan:
        made = usual(config, device)
        with torch.no_grad():
            for parameter in made.model.parameters():
                parameter.mul_(1 + 1e-6)
        return made

    monkeypatch.setattr(TRAINING, "_plan", plan)


def opened(published: Path, home: Path) -> Run[Toy]:
    return Run(CONFIG, TOY.stages, [published, home])


def data(stage, published: Path, name: str) -> Path:
    return folder(TOY.open(CONFIG, root=published), stage, published) / name


def test_a_published_run_is_complete_without_the_weights_that_were_dropped(published, home):
    run = opened(published, home)
    assert run.complete
    assert TRAINING.with_weights(run) == [30]
    assert TRAINING.checkpoints(run) == [0, 15, 30]
    assert not home.exists()


def test_what_was_dropped_is_published_where_it_is_asked_for_now(place, published):
    """As when a run of fewer checkpoints was published before, and comes out the same."""
    path = data(NORMS, published, "step_000015.safetensors")
    whole, dropping = path.read_bytes(), Folder(path.parent, NORMS.header(CONFIG))
    entry = dropping.entries[path.name]
    with dropping.writing():
        dropping.remove(path.name)
        dropping.record_dropped(path.name, entry)
    assert not TOY.open(CONFIG, root=published).stored(NORMS).has(path.name)
    publish(TOY.open(CONFIG, root=place / "computed"), root=published)
    assert path.read_bytes() == whole
    assert TOY.open(CONFIG, root=published).stored(NORMS).has(path.name)


@pytest.mark.usefixtures("another_processor")
def test_a_missing_measure_needs_its_weights_alone(published, home, settle):
    """Those are kept, so that no other processor matters."""
    path = data(NORMS, published, "step_000030.safetensors")
    whole, before = path.read_bytes(), contents(published, manifests=True)
    path.unlink()
    writable = settle()
    run = opened(published, home)
    run.compute()
    assert run.complete
    if writable:
        assert path.read_bytes() == whole
        assert contents(published).keys() == {n for n in before if not n.endswith(".jsonl")}
    else:
        assert data(NORMS, home, path.name).read_bytes() == whole
        assert not path.exists()


def test_weights_that_were_dropped_are_restored_where_they_come_out_the_same(
    published, home, settle
):
    path = data(NORMS, published, "step_000015.safetensors")
    whole = path.read_bytes()
    path.unlink()
    settle()
    before = contents(published, manifests=True)
    run = opened(published, home)
    run.compute()
    assert run.complete
    assert run.stored(NORMS).read(path.name) == whole
    assert data(TRAINING, home, checkpoint_name(15)).is_file()
    after = contents(published, manifests=True)
    assert {name: after[name] for name in before if not name.endswith(".jsonl")} == {
        name: content for name, content in before.items() if not name.endswith(".jsonl")
    }


@pytest.mark.parametrize(
    "lost", [(TRAINING, checkpoint_name(30)), (NORMS, "step_000015.safetensors")], ids=str
)
@pytest.mark.usefixtures("another_processor")
def test_weights_that_come_out_different_are_refused(published, home, settle, lost):
    """Also where they were dropped: a measure of theirs would be one of other weights."""
    data(lost[0], published, lost[1]).unlink()
    for state in data(TRAINING, published, "states").iterdir():
        state.unlink()
    settle()
    before = contents(published, manifests=True)
    where = data(TRAINING, published, "checkpoints")
    with pytest.raises(ChangedError, match=f"{re.escape(str(where))}.*different.*[Rr]estore"):
        opened(published, home).compute()
    assert contents(published, manifests=True) == before
    assert not [name for name in contents(home) if "checkpoints" in name]


@pytest.mark.usefixtures("another_processor")
def test_history_that_comes_out_different_does_not_replace_the_recorded_one(published, home):
    path = data(TRAINING, published, HISTORY)
    path.unlink()
    before = contents(published)
    with pytest.raises(ChangedError):
        opened(published, home).compute()
    assert contents(published) == before


def test_a_damaged_published_file_is_never_read(published, home, settle):
    path = data(SUMS, published, "all.safetensors")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"\1")
    writable = settle()
    run = opened(published, home)
    with pytest.raises(DamagedRunError, match=re.escape(str(path))):
        run.arrays(SUMS, "all")
    run.compute()
    assert run.stored(SUMS).read(path.name) == whole
    assert (path if writable else data(SUMS, home, path.name)).read_bytes() == whole


def test_measures_that_come_out_different_are_told_and_kept_apart(
    published, home, monkeypatch, caplog
):
    path = data(SUMS, published, "all.safetensors")
    path.unlink()
    before = contents(published, manifests=True)
    compute = SUMS._compute

    def other(run, item):
        arrays = compute(run, item)
        assert not isinstance(arrays, Timed)
        return {name: values * (1 + 1e-9) for name, values in arrays.items()}

    monkeypatch.setattr(SUMS, "_compute", other)
    run = opened(published, home)
    run.compute()
    assert run.complete
    assert data(SUMS, home, path.name).is_file()
    assert contents(published, manifests=True) == before
    assert f"{path} came out different from what was recorded" in caplog.text


def test_a_removal_that_was_cut_off_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The record is gone, the file is not: who holds the folder next removes it."""
    TOY.run(Toy(n_steps=5), root=tmp_path)
    (own,) = TOY.open(Toy(n_steps=5), root=tmp_path).stored(TRAINING).folders
    name = next(name for name in own.entries if name.startswith("states/"))
    with monkeypatch.context() as killed:
        killed.setattr(Path, "unlink", lambda path, missing_ok=False: None)
        own.remove(name)
    assert (own.path / name).exists()
    assert TOY.open(Toy(n_steps=5), root=tmp_path).mendable
    TOY.run(Toy(n_steps=5), root=tmp_path)
    assert not (own.path / name).exists()


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "states/../../outside"])
def test_a_manifest_names_nothing_outside_of_its_folder(tmp_path: Path, name: str):
    TOY.run(Toy(n_steps=5), root=tmp_path)
    (own,) = TOY.open(Toy(n_steps=5), root=tmp_path).stored(TRAINING).folders
    manifests.append_to(own.path, {"file": name, "removed": True})
    again = TOY.open(Toy(n_steps=5), root=tmp_path).stored(TRAINING).folders[0]
    assert not again.manifest.removed
    assert again.manifest.damage


def test_publishing_again_adds_no_time(tmp_path, monkeypatch):
    roots = [tmp_path / "data", tmp_path / "computed"]
    TOY.run(CONFIG, root=roots[1])
    both = Run(CONFIG, TOY.stages, roots)
    seconds = []
    for _ in range(3):
        publish(both, root=roots[0])
        seconds.append([Run(CONFIG, TOY.stages, roots[:1]).stored(s).seconds for s in TOY.stages])
    assert sum(seconds[0]) > 0
    assert seconds == [seconds[0]] * 3


def test_publishing_what_was_computed_elsewhere_adds_its_time(tmp_path):
    roots = [tmp_path / "data", tmp_path / "computed"]
    TOY.run(Toy(n_steps=15), root=roots[1])
    publish(Run(Toy(n_steps=15), TOY.stages, roots), root=roots[0])
    shutil.rmtree(roots[1])
    longer = Run(CONFIG, TOY.stages, roots)
    longer.compute()
    published, computed = longer.stored(NORMS).folders
    assert set(computed.entries) == {file_name(30)}
    with published.writing(), computed.writing():
        published.add_seconds(20)
        computed.add_seconds(10)
    expected = published.manifest.seconds + computed.manifest.seconds
    for _ in range(2):
        publish(longer, root=roots[0])
        assert published.manifest.seconds == pytest.approx(expected, abs=2e-3)
