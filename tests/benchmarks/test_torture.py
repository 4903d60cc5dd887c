"""The store under torture: what `tests/store` samples, all of it; half an hour."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.store.small import SMALL
from tests.store.test_kills import kill_again_and_again, kill_at_operations, kill_while_publishing
from tests.store.test_manifest import CONFIG, faults, flipped, manifest_of
from tests.store.toy import NORMS, SUMS, TOY, TRAINING, Toy, contents


@pytest.mark.parametrize("start", [None, Toy(n_steps=5)], ids=["from nothing", "going on"])
def test_killed_at_every_operation(tmp_path, start):
    kill_at_operations(tmp_path, start, every=1)


def test_killed_at_every_operation_of_publishing(tmp_path):
    kill_while_publishing(tmp_path, every=1)


@pytest.mark.parametrize("name", SMALL)
def test_an_experiment_with_many_short_lives(tmp_path, name):
    kill_again_and_again(tmp_path, name, life=(8, 40))


@pytest.mark.parametrize("stage", [TRAINING, NORMS, SUMS], ids=lambda stage: stage.name)
def test_every_bit_of_a_manifest(tmp_path: Path, stage):
    TOY.run(CONFIG, root=tmp_path)
    before = contents(tmp_path)
    path = manifest_of(tmp_path, stage)
    whole = path.read_bytes()
    for bit in range(8 * len(whole)):
        path.write_bytes(flipped(whole, bit))
        assert faults(tmp_path), bit
        assert TOY.run(CONFIG, root=tmp_path).complete
        assert contents(tmp_path) == before, bit
        assert not faults(tmp_path), bit
