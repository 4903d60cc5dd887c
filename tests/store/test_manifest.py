"""Manifests and data files that are altered: noticed, and repaired to the same bytes."""

from __future__ import annotations

import random
import re
import shutil
from pathlib import Path

import pytest

from hdlib.store import DamagedRunError, Run, Stage
from hdlib.store.verify import check_folders, check_records

from .toy import NORMS, REGISTRY, SUMS, TOY, TRAINING, Toy, contents, folder

CONFIG = Toy(n_steps=5)
FLIPS = 400
"""Of the bits of a manifest; the long version flips each."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("undisturbed")
    TOY.run(CONFIG, root=root)
    return root


@pytest.fixture
def root(undisturbed, tmp_path) -> Path:
    return Path(shutil.copytree(undisturbed, tmp_path / "root"))


def faults(root: Path) -> list[str]:
    return [finding.sentence for finding in check_folders([root]) if finding.fault]


def flipped(content: bytes, bit: int) -> bytes:
    altered = bytearray(content)
    altered[bit // 8] ^= 1 << bit % 8
    return bytes(altered)


def manifest_of(root: Path, stage: Stage = SUMS) -> Path:
    return folder(TOY.open(CONFIG), stage, root) / "manifest.jsonl"


def repaired(root: Path, undisturbed: Path) -> Run[Toy]:
    run = TOY.run(CONFIG, root=root)
    assert run.complete
    assert contents(root) == contents(undisturbed)
    assert not faults(root)
    return run


@pytest.mark.parametrize("stage", [TRAINING, NORMS, SUMS], ids=lambda stage: stage.name)
def test_each_flip_in_a_manifest_is_told_and_repaired(root, undisturbed, stage):
    path = manifest_of(root, stage)
    whole = path.read_bytes()
    bits = random.Random(stage.name).sample(range(8 * len(whole)), FLIPS // 3)
    for bit in bits:
        path.write_bytes(flipped(whole, bit))
        assert any(str(path) in sentence for sentence in faults(root)), bit
        repaired(root, undisturbed)


@pytest.mark.parametrize("stage", [TRAINING, NORMS, SUMS], ids=lambda stage: stage.name)
def test_each_flip_in_a_file_is_named_and_never_read(root, undisturbed, stage):
    chance = random.Random(0)
    for path in folder(TOY.open(CONFIG), stage, root).rglob("*.*"):
        if path.suffix not in (".safetensors", ".parquet"):
            continue
        whole = path.read_bytes()
        for bit in chance.sample(range(8 * len(whole)), 10):
            path.write_bytes(flipped(whole, bit))
            assert faults(root) == [f"{path}: missing or altered"]
            name = path.relative_to(folder(TOY.open(CONFIG), stage, root)).as_posix()
            with pytest.raises(DamagedRunError, match=re.escape(str(path))):
                TOY.open(CONFIG, root=root).stored(stage).read(name)
        repaired(root, undisturbed)


GARBAGE = {
    "empty": b"",
    "a list": b"[]\n",
    "null": b"null\n",
    "random": random.Random(0).randbytes(3_000),
    "nested": b"[" * 100_000,
    "nested objects": b'{"a":' * 100_000,
    "too large": b" " * 65_000_000,
    "complete": b'{"complete": true, "files": {}}',
}


@pytest.mark.parametrize("stage", [TRAINING, NORMS, SUMS], ids=lambda stage: stage.name)
@pytest.mark.parametrize("content", [*GARBAGE.values(), None], ids=[*GARBAGE, "missing"])
def test_a_manifest_of_garbage_is_told_and_repaired(root, undisturbed, stage, content):
    path = manifest_of(root, stage)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert any(str(path) in sentence for sentence in faults(root))
    repaired(root, undisturbed)


def test_a_manifest_of_the_header_alone(root, undisturbed):
    path = manifest_of(root)
    path.write_bytes(path.read_bytes().split(b"\n")[0] + b"\n")
    assert not TOY.open(CONFIG, root=root).complete
    assert "not recorded" in faults(root)[0]
    repaired(root, undisturbed)


def test_damaged_lines_still_vouch_for_their_files(root):
    """A flip in a file's name costs no computation."""
    path = manifest_of(root, TRAINING)
    before = {p: p.stat().st_mtime_ns for p in path.parent.rglob("*.*") if p != path}
    path.write_bytes(path.read_bytes().replace(b"history.parquet", b"hi5tory.parquet"))
    TOY.run(CONFIG, root=root)
    assert {p: p.stat().st_mtime_ns for p in path.parent.rglob("*.*") if p != path} == before


def test_one_bad_folder_does_not_hide_another(root):
    paths = [manifest_of(root, stage) for stage in (TRAINING, NORMS, SUMS)]
    paths[0].unlink()
    paths[1].write_bytes(b"[]")
    data = paths[2].parent / "all.safetensors"
    data.unlink()
    told = "\n".join(faults(root))
    for path in (paths[0], paths[1], data):
        assert str(path) in told


@pytest.mark.parametrize("content", [b"", b"[]", b"[" * 100_000, b"\xff", b"x" * 200_000])
def test_a_damaged_record_is_told_and_repaired(root, undisturbed, monkeypatch, content):
    for module in ("registry.roots", "run.usual_roots"):
        monkeypatch.setattr(f"hdlib.store.{module}", lambda: [root])
    (record,) = (root / "toy/runs").iterdir()
    record.write_bytes(content)
    (found,) = check_records(REGISTRY)
    assert found.fault
    assert str(record) in found.sentence
    repaired(root, undisturbed)
    assert not list(check_records(REGISTRY))
