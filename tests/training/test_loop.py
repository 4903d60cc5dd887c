"""The training loop against a plain one written out by hand, whole and in pieces."""

from __future__ import annotations

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
from hdlib.training import HISTORY, checkpoint_name, evaluate, train

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


@pytest.mark.parametrize("batch_size", [16, 50, None, 1])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_equal_to_a_plain_loop(tmp_path, name, batch_size):
    run = Run(Small(), tmp_path)
    trained = train_small(run, OPTIMIZERS[name], batch_size=batch_size)
    model = network()
    optimizer = OPTIMIZERS[name](model.parameters())
    x, y = data()
    size = batch_size or SAMPLES
    kept = {}
    for step in range(13):
        kept[step] = {key: value.clone() for key, value in model.state_dict().items()}
        per_epoch = -(-SAMPLES // size)
        epoch, position = divmod(step, per_epoch)
        order = np.random.default_rng((SEED, epoch)).permutation(SAMPLES)
        batch = torch.from_numpy(order[position * size : (position + 1) * size])
        optimizer.zero_grad()
        F.cross_entropy(model(x[batch]), y[batch]).backward()
        optimizer.step()
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


@pytest.mark.parametrize("batch_size", [16, None])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_interrupted_training_ends_the_same(tmp_path, name, batch_size):
    whole = Run(Small(), tmp_path / "whole")
    train_small(whole, OPTIMIZERS[name], batch_size=batch_size)
    pieces = Run(Small(), tmp_path / "pieces")
    chance = random.Random(name)
    deaths = 0
    for _ in range(100):
        try:
            loss = loss_that_dies(chance.randint(3, 8))
            train_small(pieces, OPTIMIZERS[name], loss, batch_size=batch_size)
            break
        except KilledError:
            deaths += 1
    assert deaths > 1
    assert contents(pieces) == contents(whole)


@pytest.mark.parametrize("write", range(1, 19))
def test_death_at_each_write_ends_the_same(tmp_path, monkeypatch, write):
    whole = Run(Small(), tmp_path / "whole")
    train_small(whole)
    pieces = Run(Small(), tmp_path / "pieces")
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
        with pytest.raises(KilledError):
            train_small(pieces)
    train_small(pieces)
    assert contents(pieces) == contents(whole)


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
