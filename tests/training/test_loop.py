"""The training loop against a plain one written out by hand, whole and in pieces."""

from __future__ import annotations

import copy
import random
from functools import partial
from typing import ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import accuracy_score, log_loss
from torch import nn

from hdlib.config import Config
from hdlib.runs import Run
from hdlib.training import HISTORY, checkpoint_name, evaluate, optimizer_name, train

CPU = torch.device("cpu")
SAMPLES, SEED = 50, 3
CHECKPOINTS = [0, 2, 7, 12]
LOG_STEPS = [0, 4, 8, 12]


class Small(Config):
    experiment: ClassVar[str] = "small"


def data(n: int = SAMPLES, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 4, generator=generator), torch.randint(0, 3, (n,), generator=generator)


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))


OPTIMIZERS = {
    "SGD": partial(torch.optim.SGD, lr=0.1),
    "momentum": partial(torch.optim.SGD, lr=0.05, momentum=0.9),
    "AdamW": partial(torch.optim.AdamW, lr=0.01, weight_decay=0.1),
    "fused AdamW": partial(torch.optim.AdamW, lr=0.01, weight_decay=0.1, fused=True),
}

# The test accuracy moves by multiples of 1/20.
ADAPTIVE = {
    "batch_size": None,
    "log_steps": range(13),
    "resolution": 0.04,
    "keep_optimizer": True,
}


class KilledError(Exception):
    pass


def loss_that_dies(after: int):
    """Cross-entropy that raises at one of its calls."""
    left = after

    def loss(outputs, targets):
        nonlocal left
        left -= 1
        if left < 0:
            raise KilledError
        return F.cross_entropy(outputs, targets)

    return loss


def train_small(run: Run, make=OPTIMIZERS["momentum"], loss=F.cross_entropy, **changes):
    model = network()
    settings = {
        "n_steps": 12,
        "batch_size": 16,
        "seed": SEED,
        "checkpoints": CHECKPOINTS,
        "log_steps": LOG_STEPS,
    }
    with run.writing(CPU):
        train(run, model, loss, make(model.parameters()), data(), data(20, 1), **settings | changes)
    return model


def plain_loop(make, batch_size):
    """Weights and the optimiser's states before each update, of a loop written out by hand."""
    model = network()
    optimizer = make(model.parameters())
    x, y = data()
    size = min(batch_size or SAMPLES, SAMPLES)
    weights, states = [], []
    for step in range(13):
        weights.append({key: value.clone() for key, value in model.state_dict().items()})
        states.append(copy.deepcopy(optimizer.state_dict()["state"]))
        epoch, position = divmod(step, -(-SAMPLES // size))
        order = np.random.default_rng((SEED, epoch)).permutation(SAMPLES)
        batch = torch.from_numpy(order[position * size : (position + 1) * size])
        if size == SAMPLES:
            batch = torch.arange(SAMPLES)
        optimizer.zero_grad()
        F.cross_entropy(model(x[batch]), y[batch]).backward()
        optimizer.step()
    return weights, states


@pytest.mark.parametrize("batch_size", [16, 50, 80, None, 1])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_equal_to_a_plain_loop(tmp_path, name, batch_size):
    run = Run(Small(), tmp_path)
    trained = train_small(run, OPTIMIZERS[name], batch_size=batch_size)
    kept, _ = plain_loop(OPTIMIZERS[name], batch_size)
    for step in CHECKPOINTS:
        stored = run.tensors(checkpoint_name(step))
        assert stored.keys() == kept[step].keys()
        for key, value in stored.items():
            assert torch.equal(value, kept[step][key])
    for key, value in trained.state_dict().items():
        assert torch.equal(value, kept[12][key])
    assert sorted(run.files) == sorted(
        ["config.json", HISTORY, *(checkpoint_name(step) for step in CHECKPOINTS)]
    )


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_files_equal_a_plain_loop(tmp_path, name):
    run = Run(Small(), tmp_path)
    train_small(run, OPTIMIZERS[name], batch_size=None, keep_optimizer=True)
    _, states = plain_loop(OPTIMIZERS[name], None)
    for step in CHECKPOINTS:
        expected = {
            f"{index}.{key}": value
            for index, values in states[step].items()
            for key, value in values.items()
            if value is not None
        }
        stored = run.tensors(optimizer_name(step))
        assert stored.keys() == expected.keys()
        if "AdamW" in name and step > 0:
            assert {f"{index}.exp_avg_sq" for index in range(4)} < stored.keys()
            assert stored["0.exp_avg_sq"].any()
        assert all(torch.equal(value, expected[key]) for key, value in stored.items())


class Ramp(nn.Module):
    """Class 1 where x is below a weight that grows by 1 in each update, and class 0 elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return torch.stack([torch.zeros_like(x), self.weight - x], 1)


def kept_steps(root, thresholds, targets, resolution, *, scheduled, log_every=1) -> list[int]:
    """Checkpoints of 40 updates in which sample i becomes class 1 just before step thresholds[i].

    A sample of class 1 is then right, one of class 0 wrong.
    """
    run = Run(Small(), root)
    model = Ramp()
    test = (torch.tensor(thresholds) - 0.5, torch.tensor(targets))
    with run.writing(CPU):
        train(
            run,
            model,
            lambda outputs, targets: -outputs[:, 1].mean(),
            torch.optim.SGD(model.parameters(), lr=1.0),
            test,
            test,
            n_steps=40,
            seed=0,
            checkpoints=scheduled,
            log_steps=range(0, 41, log_every),
            resolution=resolution,
        )
    kept = [step for step in range(41) if run.has(checkpoint_name(step))]
    assert [run.tensors(checkpoint_name(step))["weight"] for step in kept] == kept
    return kept


NEVER = 1_000


@pytest.mark.parametrize(
    ("thresholds", "targets", "resolution", "log_every", "expected"),
    [
        # Nothing moves: only the scheduled ones.
        ([NEVER] * 4, [1] * 4, 0.25, 1, [0, 20, 40]),
        # Not asked for.
        ([5, 6, 7, 8], [1] * 4, None, 1, [0, 20, 40]),
        # Each quarter at its step.
        ([5, 11, 25, 26], [1] * 4, 0.25, 1, [0, 5, 11, 20, 25, 26, 40]),
        # Moves of a quarter add up to the half that is asked for.
        ([5, 11, 25, 26], [1] * 4, 0.5, 1, [0, 11, 20, 26, 40]),
        # A scheduled checkpoint counts, too: from it on only a quarter is left to move.
        ([5, 11, 13, 25], [1] * 4, 0.5, 1, [0, 11, 20, 40]),
        # A leap of all at once.
        ([17] * 4, [1] * 4, 0.25, 1, [0, 17, 20, 40]),
        # Seen at the next logged step.
        ([12, 12, 31, 31], [1] * 4, 0.25, 5, [0, 15, 20, 35, 40]),
        # Getting worse is moving; step 0 is at three quarters.
        ([5, 9, 13, 30], [0, 1, 0, 0], 0.25, 1, [0, 5, 9, 13, 20, 30, 40]),
        # There and back without having moved far enough.
        ([5, 9, 13, 30], [0, 1, 0, 1], 0.5, 1, [0, 20, 40]),
    ],
)
def test_checkpoints_where_the_accuracy_moves(
    tmp_path, thresholds, targets, resolution, log_every, expected
):
    kept = kept_steps(
        tmp_path, thresholds, targets, resolution, scheduled=[0, 20, 40], log_every=log_every
    )
    assert kept == expected


def test_every_sample_is_seen_once_in_an_epoch(tmp_path):
    seen = []

    class Watched(nn.Linear):
        def forward(self, input):
            if self.training and torch.is_grad_enabled():
                seen.append(input[:, 0].tolist())
            return super().forward(input)

    model = Watched(1, 2)
    x, y = torch.arange(10.0)[:, None], torch.zeros(10, dtype=torch.int64)
    run = Run(Small(), tmp_path)
    with run.writing(CPU):
        train(
            run,
            model,
            F.cross_entropy,
            torch.optim.SGD(model.parameters(), lr=0.0),
            (x, y),
            (x, y),
            n_steps=6,
            batch_size=4,
            seed=0,
            checkpoints=[0],
            log_steps=[6],
        )
    assert [len(batch) for batch in seen] == [4, 4, 2, 4, 4, 2]
    epochs = [seen[0] + seen[1] + seen[2], seen[3] + seen[4] + seen[5]]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_history(tmp_path):
    run = Run(Small(), tmp_path)
    train_small(run)
    history = run.table(HISTORY)
    steps = sorted({*CHECKPOINTS, *LOG_STEPS})
    assert list(history) == [
        "step",
        "epoch",
        "train_loss",
        "test_loss",
        "train_accuracy",
        "test_accuracy",
        "gradient_norm",
        "lr",
    ]
    assert history["step"].tolist() == steps
    np.testing.assert_allclose(history["epoch"], np.array(steps) / 4)
    assert (history["lr"] == 0.05).all()
    for step in CHECKPOINTS:
        row = {key: values[steps.index(step)] for key, values in history.items()}
        model = network()
        model.load_state_dict(run.tensors(checkpoint_name(step)))
        model.double()
        for part, (x, y) in (("train", data()), ("test", data(20, 1))):
            p = model(x.double()).softmax(1).detach().numpy()
            assert row[f"{part}_loss"] == pytest.approx(log_loss(y, p, labels=[0, 1, 2]), rel=1e-5)
            assert row[f"{part}_accuracy"] == pytest.approx(accuracy_score(y, p.argmax(1)))
        x, y = data()
        F.cross_entropy(model(x.double()), y).backward()
        norm = sum(float((p.grad**2).sum()) for p in model.parameters() if p.grad is not None)
        assert row["gradient_norm"] == pytest.approx(norm**0.5, rel=1e-5)


def test_evaluation_in_pieces_and_mode():
    model = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5)).train()
    x, y = data(2500)
    measured = evaluate(model, F.cross_entropy, x, y)
    assert model.training
    p = model.eval()(x).softmax(1).detach().double().numpy()
    assert measured.keys() == {"loss", "accuracy"}
    assert measured["loss"] == pytest.approx(log_loss(y, p / p.sum(1, keepdims=True)), rel=1e-5)
    assert measured["accuracy"] == accuracy_score(y, p.argmax(1))


def contents(run: Run) -> dict[str, bytes]:
    paths = [path for path in run.path.rglob("*") if path.is_file() and path.stem != "manifest"]
    return {str(path.relative_to(run.path)): path.read_bytes() for path in paths}


@pytest.mark.parametrize("changes", [{}, {"batch_size": None}, ADAPTIVE])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_interrupted_training_ends_the_same(tmp_path, name, changes):
    whole = Run(Small(), tmp_path / "whole")
    train_small(whole, OPTIMIZERS[name], **changes)
    pieces = Run(Small(), tmp_path / "pieces")
    chance = random.Random(name)
    deaths = 0
    for _ in range(100):
        try:
            loss = loss_that_dies(chance.randint(3, 8))
            train_small(pieces, OPTIMIZERS[name], loss, **changes)
            break
        except KilledError:
            deaths += 1
    assert deaths > 1
    assert contents(pieces) == contents(whole)
    if changes is ADAPTIVE:
        adaptive = {step for step in range(13) if whole.has(checkpoint_name(step))}
        assert set(CHECKPOINTS) < adaptive < set(range(13))
        assert all(whole.has(optimizer_name(step)) for step in adaptive)


SHORT = {"n_steps": 4, "checkpoints": [0, 4], "log_steps": range(5)}


@pytest.mark.parametrize("changes", [{}, ADAPTIVE | SHORT])
def test_death_at_each_write_ends_the_same(tmp_path, monkeypatch, changes):
    whole = Run(Small(), tmp_path / "whole")
    train_small(whole, **changes)
    # The history and the state at each logged step, the other files once, and a removal.
    writes = 2 * len(whole.table(HISTORY)["step"]) + (len(whole.files) - 1) + 1
    for write in range(1, writes + 1):
        pieces = Run(Small(), tmp_path / str(write))
        assert dies_at_write(write, pieces, monkeypatch, changes)
        train_small(pieces, **changes)
        assert contents(pieces) == contents(whole), write
    assert not dies_at_write(writes + 1, Run(Small(), tmp_path / "alive"), monkeypatch, changes)


def dies_at_write(write: int, run: Run, monkeypatch, changes) -> bool:
    """Train until a write that never happens; False where there are fewer."""
    left = write

    def dies(run, name, content, save=Run._write):
        nonlocal left
        left -= 1
        if left == 0:
            raise KilledError
        save(run, name, content)

    def keeps(run, name, remove=Run.remove):
        dies(run, name, b"", save=lambda run, name, content: remove(run, name))

    with monkeypatch.context() as patch:
        patch.setattr(Run, "_write", dies)
        patch.setattr(Run, "remove", keeps)
        try:
            train_small(run, **changes)
        except KilledError:
            return True
    return False


@pytest.mark.parametrize("name", [checkpoint_name(4), optimizer_name(4), checkpoint_name(7)])
def test_a_damaged_file_is_written_anew(tmp_path, name):
    """Step 4 is no scheduled checkpoint: only the history says that it belongs to the run."""
    run = Run(Small(), tmp_path)
    train_small(run, **ADAPTIVE)
    before = contents(run)
    for damage in ("altered", "missing"):
        if damage == "altered":
            (run.path / name).write_bytes(b"")
        else:
            (run.path / name).unlink()
        assert run.damaged() == [name]
        train_small(run, **ADAPTIVE)
        assert contents(run) == before


def test_training_goes_on_after_its_last_checkpoint(tmp_path):
    """All checkpoints are there when it dies, but not the whole history."""
    changes = {"checkpoints": [0], "log_steps": [0, 6, 12]}
    whole = Run(Small(), tmp_path / "whole")
    train_small(whole, **changes)
    pieces = Run(Small(), tmp_path / "pieces")
    with pytest.raises(KilledError):
        train_small(pieces, loss=loss_that_dies(9), **changes)
    train_small(pieces, **changes)
    assert contents(pieces) == contents(whole)


def test_a_finished_training_is_not_repeated(tmp_path):
    run = Run(Small(), tmp_path)
    train_small(run)
    train_small(run, loss=loss_that_dies(0))


def test_loss_that_is_not_finite(tmp_path):
    run = Run(Small(), tmp_path)

    updates = 0

    def explodes(outputs, targets):
        nonlocal updates
        updates += len(outputs) in (16, 2)  # a batch, not all of the data
        value = F.cross_entropy(outputs, targets)
        return value * float("nan") if updates > 9 else value

    with pytest.raises(FloatingPointError, match="loss is nan at step 9; lower the learning rate"):
        train_small(run, loss=explodes)
    assert run.table(HISTORY)["step"].tolist() == [0, 2, 4, 7, 8]
    assert [step for step in CHECKPOINTS if run.has(checkpoint_name(step))] == [0, 2, 7]
    assert not run.damaged()
    train_small(run)
    whole = Run(Small(), tmp_path / "whole")
    train_small(whole)
    assert contents(run) == contents(whole)
