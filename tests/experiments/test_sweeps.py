"""Sweeps: their files, their names, what is told of them, and what is computed."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hdlib.cli import main
from hdlib.experiments import shipped
from hdlib.experiments.depth.config import DepthGrid
from hdlib.experiments.grid import FailedRunsError, compute_missing
from hdlib.experiments.registry import REGISTRY
from hdlib.experiments.sweep import Sweep, SweepFile, run_name
from hdlib.store import ConfigError
from hdlib.store.publish import publish

BASE = """
base: {p: 5, width: 4, depth: 1, train_fraction: 0.5, n_steps: 20, log_every: 10, spectra: 1,
       sharpness_every: 20, eigenpairs: 2, device: cpu}
"""
DEPTH = REGISTRY["depth"]


@pytest.fixture
def home(monkeypatch, tmp_path) -> Path:
    """A store of its own, without published runs, and the folder that is worked in."""
    monkeypatch.setenv("HDLIB_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    for module in ("places", "experiment"):
        monkeypatch.setattr(f"hdlib.store.{module}.PUBLISHED", tmp_path / "data")
    monkeypatch.setattr("hdlib.cli.publish_run", partial(publish, root=tmp_path / "data"))
    return tmp_path


@pytest.fixture
def swept(home):
    def write(text: str, name: str = "sweep.yaml") -> Path:
        path = home / name
        path.write_text(f"experiment: depth\n{text}")
        return path

    return write


@pytest.fixture
def cli(home, monkeypatch, capsys):
    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["hdlib", *words])
        code: Any = 0
        try:
            main()
        except SystemExit as leaving:
            code = leaving.code or 0
        printed = "".join(capsys.readouterr())
        return (1, printed + code) if isinstance(code, str) else (code, printed)

    return run


def test_a_grid_is_every_combination_by_names_of_what_varies(swept):
    text = f"{BASE}\ngrid: {{p: [17, 113], lr: [3e-4, 1e-3], weight_decay: [0.5, 1], seed: [0]}}"
    sweep = SweepFile.read(swept(text)).sweep({})
    assert len(sweep.configs) == 8
    assert [*sweep.configs][:3] == ["p17_lr3e-4_wd0.5", "p17_lr3e-4_wd1", "p17_lr1e-3_wd0.5"]
    config = sweep.configs["p113_lr1e-3_wd0.5"].model_dump()
    assert (config["p"], config["lr"], config["weight_decay"], config["width"]) == (
        *(113, 1e-3, 0.5),
        4,
    )


def test_named_runs_and_a_grid_are_their_product(swept):
    runs = "runs: [{name: plain}, {name: descent, optimizer: gd, lr: 1e-2}]"
    text = f"{BASE}\n{runs}\ngrid: {{seed: [0, 1, 2], exact: [0]}}"
    sweep = SweepFile.read(swept(text)).sweep({"n_steps": 7})
    assert [*sweep.configs] == [f"{n}_seed{s}" for n in ("plain", "descent") for s in range(3)]
    fields = [config.model_dump() for config in sweep.configs.values()]
    assert {row["n_steps"] for row in fields} == {7}
    assert [(row["optimizer"], row["lr"], row["seed"]) for row in fields[2:4]] == [
        ("adam", 1e-3, 2),
        ("gd", 1e-2, 0),
    ]


def test_every_key_of_the_base_reaches_the_run(swept):
    given = {"sharpness_every": 30, "unordered": True, "exact": 1, "encoding": "one_hot"}
    base = ", ".join(f"{name}: {str(value).lower()}" for name, value in given.items())
    (config,) = SweepFile.read(swept(f"base: {{{base}}}\ngrid: {{seed: [3]}}")).sweep({}).configs
    assert config == "seed3"
    found = SweepFile.read(swept(f"base: {{{base}}}\ngrid: {{seed: [3]}}")).sweep({})
    assert found.configs[config].model_dump(exclude_defaults=True) == {**given, "seed": 3}


def test_null_reaches_the_config(swept):
    with pytest.raises(ConfigError, match="bad: lr=None: Input should be a valid number"):
        SweepFile.read(swept("runs: [{name: bad, lr: null}]")).sweep({})


def test_one_config_under_two_names_is_told_and_is_one_run(swept, caplog):
    runs = "runs: [{name: a}, {name: b, lr: 0.001}, {name: c, seed: 1}]"
    sweep = SweepFile.read(swept(f"{BASE}\n{runs}")).sweep({})
    assert [*sweep.configs] == ["a", "c"]
    assert [record.getMessage() for record in caplog.records] == ["b is the same run as a"]
    assert [*sweep.only(["b"]).configs] == ["a"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("base: {}", "grid or runs: at least one of them is needed"),
        (
            "grid: {seed: [0]}\nbasis: {}",
            "basis: unknown; a sweep has experiment, base, grid",
        ),
        ("base: 3\ngrid: {seed: [0]}", "base=3: fields and their values are needed"),
        ("grid: [seed]", r"grid=\['seed'\]: fields and their values are needed"),
        ("grid: {seed: 3}", "grid: seed=3: a list of values is needed"),
        ("grid: {seed: []}", r"grid: seed=\[\]: a list of values is needed"),
        ("grid: {lr: [0.1, 1e-1]}", "grid: lr=0.1: given twice"),
        ("runs: {a: 1}", "runs={'a': 1}: a list of runs is needed, each with a name"),
        ("runs: [{lr: 0.1}]", "number 1 is {'lr': 0.1}: fields and a name are needed"),
        ("runs: [{name: 17}]", "number 1 is {'name': 17}: fields and a name are needed"),
        ("runs: [{name: a}, {name: a}]", "runs: name='a': given twice"),
        ("runs: [{name: a, seed: 1}]\ngrid: {seed: [0]}", "seed: given by the grid and by the run"),
        ("grid: {seed: [0], clip: [1]}", "seed0.*: clip=1: unknown; depth has p, width"),
        ("base: {clip: 1}\nruns: [{name: a}]", "a: clip=1: unknown; depth has p, width"),
        ("runs: [{name: a, lr: -1}]", "a: lr=-1: Input should be greater than 0"),
        ("grid: {p: [4]}", "p4: p=4: must be a prime"),
    ],
)
def test_what_is_no_sweep_is_told_and_nothing_begins(swept, cli, home, text, words):
    path = swept(text)
    with pytest.raises(ConfigError, match=words) as error:
        SweepFile.read(path).sweep({})
    assert str(path) in str(error.value)
    code, printed = cli("sweep", str(path))
    assert code == 1
    assert "Traceback" not in printed
    assert not (home / "home").exists()


def test_an_experiment_that_there_is_not(home):
    (home / "sweep.yaml").write_text("experiment: width\ngrid: {seed: [0]}")
    with pytest.raises(ConfigError, match=r"sweep.yaml: 'width' is no experiment; there"):
        SweepFile.read(home / "sweep.yaml")


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"lr": 3e-4, "weight_decay": 0.5}, "lr3e-4_wd0.5"),
        ({"lr": 0.0015, "weight_decay": 1.0, "eps": 1e8}, "lr0.0015_wd1_eps1e8"),
        ({"train_fraction": 0.3, "seed": 0, "n_steps": 150_000}, "train0.3_seed0_n_steps150000"),
        ({"optimizer": "GD", "clip": None, "tied": True}, "optimizer-gd_clip-none_tied-true"),
        (
            {"widths": (4, 8), "by": -0.5, "none": (), "word": ""},
            "widths4-8_by--0.5_none-none_word-none",
        ),
    ],
)
def test_names(fields, name):
    assert run_name(fields) == name


def test_the_grid_of_a_chapter_has_names_and_positions():
    sweep = Sweep.of_grid(DEPTH, DepthGrid())
    assert [*sweep.configs.values()] == DepthGrid().configs
    third = [*sweep.configs][2]
    assert sweep.only(["3"]).configs == sweep.only([third]).configs
    assert sweep.only(["3"]).configs == {third: DepthGrid().configs[2]}
    for name in ("0", "58", "-1", "deep"):
        with pytest.raises(ValueError, match=f"--only {name}: no such run; there are 1 to 57: d"):
            sweep.only([name])


def test_a_sweep_from_nothing_to_all(swept, cli, home):
    path = str(swept(f"{BASE}\nruns: [{{name: a}}, {{name: b, lr: 0.1}}]\ngrid: {{seed: [0, 1]}}"))
    code, printed = cli("sweep", path, "--dry-run")
    assert code == 0
    assert "   3  b_seed0  0 of 20 steps  depth (p=5, " in printed
    assert "4 of 4 runs are to be computed\nno run of the experiment is in the store" in printed
    assert not (home / "home").exists()

    code, printed = cli("sweep", path, "--only", "a_seed1", "--only", "3")
    assert code == 0
    assert [line.split()[-1] for line in printed.splitlines()[-2:]] == ["a_seed1", "b_seed0"]
    code, printed = cli("sweep", path, "--dry-run")
    assert "   2  a_seed1  complete  depth (" in printed
    assert "   4  b_seed1  0 of 20 steps  depth (" in printed
    assert "2 of 4 runs are to be computed\nabout " in printed
    assert "by the pace of 2 runs in the store; " in printed
    printed = cli("sweep", path, "--dry-run", "--p", "7")[1]
    assert "by the pace of 2 runs in the store (a guess: they have another p); " in printed
    code, printed = cli("sweep", path, "--dry-run", "--n-steps", "40")
    assert "   2  a_seed1  20 of 40 steps  depth (" in printed
    assert "4 of 4 runs are to be computed\nabout " in printed

    code, printed = cli("publish", path)
    assert code == 1
    assert "is not complete; run it first" in printed
    assert cli("publish", path, "--only", "2")[0] == 0
    assert len([*(home / "data/depth/runs").iterdir()]) == 1
    assert "unrecognized" in cli("publish", path, "--dry-run")[1].lower()


def test_a_failing_run_stops_no_other(swept, cli, caplog):
    runs = "runs: [{name: diverges, lr: 1e30, optimizer: gd}, {name: good}]"
    path = str(swept(f"{BASE}\n{runs}"))
    code, printed = cli("sweep", path)
    assert code == 1
    assert "error: 1 of 2 runs failed\ndiverges: FloatingPointError: the training loss" in printed
    assert "2  good      complete" in cli("sweep", path, "--dry-run")[1]


def test_runs_that_share_a_training_train_it_once(swept):
    runs = "runs: [{name: a}, {name: b, exact: 1}, {name: c, spectra: 2}, {name: d, n_steps: 40}]"
    sweep = SweepFile.read(swept(f"{BASE}\n{runs}")).sweep({})
    compute_missing(sweep.experiment, sweep.configs)
    found = [DEPTH.open(config) for config in sweep.configs.values()]
    assert all(run.complete for run in found)
    (training,) = {run.stored(DEPTH.stages[0]).home for run in found}
    assert len([*training.parent.glob("*/")]) == 1


def test_a_run_that_cannot_begin_is_told_with_the_others(swept, monkeypatch):
    sweep = SweepFile.read(swept(f"{BASE}\nruns: [{{name: large, depth: 100, exact: 1}}]")).sweep(
        {"width": 1000}
    )
    with pytest.raises(FailedRunsError, match="large: MemoryError: depth=100: the Hessian of"):
        compute_missing(sweep.experiment, sweep.configs)


def test_flags_change_all_runs_but_not_what_the_grid_varies(swept, cli):
    path = str(swept(f"{BASE}\ngrid: {{seed: [0, 1]}}"))
    code, printed = cli("sweep", path, "--seed", "3")
    assert code == 1
    assert f"seed=3: the grid of {path} varies it; choose among its runs by --only" in printed
    code, printed = cli("sweep", path, "--clip", "3")
    assert code == 2
    assert "--clip" in printed


def test_a_config_from_a_file_and_flags_over_it(home, cli):
    (home / "small.yaml").write_text(
        "p: 5\nwidth: 4\ndepth: 1\ntrain_fraction: .5\nn_steps: 20\nlr: 1e-2\nlog_every: 10\n"
        "sharpness_every: 20\neigenpairs: 2\nspectra: 1\ndevice: cpu\n"
    )
    code, printed = cli("run", "depth", "small.yaml", "--n-steps", "10", "--weight-decay", "0.1")
    assert code == 0
    for field in ("n_steps = 10", "lr = 0.01", "width = 4", "weight_decay = 0.1"):
        assert f"  {field}\n" in printed
    assert "complete" in printed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("width: 4\nclip: 1", "config.yaml: clip=1: unknown; depth has p, width, depth"),
        ("p: 4", "config.yaml: p=4: must be a prime"),
        ("lr: fast", "config.yaml: lr='fast': Input should be a valid number"),
        ("lr: 1\nlr: 2", "config.yaml: line 2: lr is given twice"),
    ],
)
def test_a_config_that_cannot_be(home, cli, text, words):
    (home / "config.yaml").write_text(text)
    code, printed = cli("run", "depth", "config.yaml")
    assert (code, words in printed) == (1, True), printed
    assert not (home / "home").exists()


def test_shipped_files_are_found_by_their_names(home, cli, monkeypatch):
    monkeypatch.setattr(shipped, "__file__", str(home / "experiments/shipped.py"))
    for kind, text in (("sweeps", "experiment: depth\ngrid: {seed: [0]}"), ("configs", "p: 4")):
        path = home / "experiments/depth" / kind / "own.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    assert "1  seed0  " in cli("sweep", "sweeps/own.yaml", "--dry-run")[1]
    assert "p=4: must be a prime" in cli("run", "depth", "configs/own.yaml")[1]
    wanted = "'sweeps/other.yaml': no such file; shipped sweeps: sweeps/own.yaml"
    assert wanted in cli("sweep", "sweeps/other.yaml")[1]
    assert "shipped configs: configs/own.yaml" in cli("run", "depth", "other.yaml")[1]
    grids = [name for name in REGISTRY if REGISTRY[name].grid is not None]
    assert {"depth", "least-action"} < {*grids}
    assert f"sweeps have: {', '.join(grids)}, sweeps/own.yaml" in cli("sweep", "mnist")[1]
    (home / "sweeps").mkdir()
    (home / "sweeps/own.yaml").write_text("experiment: depth\ngrid: {seed: [7]}")
    assert "1  seed7  " in cli("sweep", "sweeps/own.yaml", "--dry-run")[1]


def test_every_shipped_file_has_a_name_of_its_own_and_can_be():
    folder = Path(shipped.__file__).parent
    assert len([*folder.glob("*/sweeps/*.yaml")]) == len(shipped.shipped("sweeps"))
    assert len([*folder.glob("*/configs/*.yaml")]) == len(shipped.shipped("configs"))
    for path in shipped.shipped("sweeps").values():
        assert SweepFile.read(path).sweep({}).configs
