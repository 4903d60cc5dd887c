"""The command line, as a person uses it."""

from __future__ import annotations

import ast
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import hdlib
import hdlib.store.places
from hdlib.cli import main
from hdlib.experiments.mnist.recipe import SPECTRA
from hdlib.experiments.registry import REGISTRY
from hdlib.store.folder import Folder
from hdlib.store.formats import array_bytes, read_arrays
from hdlib.store.record import record

from .small import SMALL

CONFIG = SMALL["mnist"].model_copy(update={"sweep_checkpoints": 0, "draws": 0})
OPTIONS = [
    word
    for name, value in CONFIG.model_dump(exclude_defaults=True).items()
    for word in (f"--{name.replace('_', '-')}", str(value))
]
GROKKING = "run grokking --p 5 --width 8 --n-heads 2 --eigenpairs 30"


@pytest.fixture(autouse=True)
def nothing_published(monkeypatch, tmp_path):
    published = tmp_path / "data"
    published.mkdir()
    for module in ("places", "experiment"):
        monkeypatch.setattr(f"hdlib.store.{module}.PUBLISHED", published)


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("home")
    REGISTRY["mnist"].run(CONFIG, root=home / "runs")
    return home


def hdlib_(monkeypatch, capsys, home: Path, *words: str) -> tuple[int, str]:
    """Exit code, and all that is printed."""
    monkeypatch.setenv("HDLIB_HOME", str(home))
    monkeypatch.setattr(sys, "argv", ["hdlib", *words])
    code: object = 0
    try:
        main()
    except SystemExit as leaving:
        code = leaving.code
    printed = "".join(capsys.readouterr())
    if isinstance(code, str):
        return 1, printed + code
    assert code is None or isinstance(code, int)
    return code or 0, printed


@pytest.fixture
def cli(monkeypatch, capsys, home):
    return lambda *words, home=home: hdlib_(monkeypatch, capsys, home, *words)


def test_run_show_verify(cli, home):
    key = REGISTRY["mnist"].open(CONFIG).key
    code, printed = cli("run", "mnist", *OPTIONS)
    assert (code, "complete" in printed) == (0, True)
    assert key in cli("show")[1]
    assert "n_epochs = 1" in cli("show", key[:6])[1]
    for options in ([], ["--step", "1"], ["--all-steps"]):
        code, printed = cli("verify", f"mnist/{key}", *options)
        assert code == 0, printed
        for stage in ("lenet/training", "mnist/spectra"):
            assert re.search(rf"{stage} at .* agree to", printed)
    assert cli("verify")[0] == 0


def test_verify_finds_an_eigenvalue_that_was_forged_with_its_sums(cli, home):
    run = REGISTRY["mnist"].open(CONFIG, root=home / "runs")
    path = home / "runs/mnist/spectra" / SPECTRA.key(run.config) / "step_000001.safetensors"
    folder = Folder(path.parent, SPECTRA.header(run.config))
    whole = path.read_bytes()
    arrays = read_arrays(whole)
    entry = folder.entries[path.name]

    def put(content: bytes) -> None:
        with folder.writing():
            folder.write(path.name, content, sources=entry.sources, environment={}, timings={})

    eigenvalues = np.array(arrays["eigenvalues"])
    eigenvalues[0] *= 1 + 1e-6
    put(array_bytes({**arrays, "eigenvalues": eigenvalues}))
    code, printed = cli("verify", run.key, "--step", "1")
    assert code == 1
    assert "mnist/spectra at 1" in printed
    assert "DISAGREE" in printed
    put(whole)
    assert cli("verify", run.key, "--step", "1")[0] == 0


def test_verify_of_a_run_finds_what_is_missing(cli, home, tmp_path):
    shutil.copytree(home / "runs", tmp_path / "runs")
    key = REGISTRY["mnist"].open(CONFIG).key
    shutil.rmtree(tmp_path / "runs/mnist/spectra")
    code, printed = cli("verify", key, home=tmp_path)
    assert code == 1
    assert re.search(r"files are missing \(\d+ of mnist/spectra\); run it again", printed)


@pytest.mark.parametrize("step", ["4", "-1"])
def test_verify_of_a_step_that_is_no_checkpoint(cli, step):
    key = REGISTRY["mnist"].open(CONFIG).key
    code, printed = cli("verify", key, "--step", step)
    assert code == 1
    assert re.search(rf"no checkpoint at step {step}; there are: 0, 1", printed)


def test_a_name_that_fits_several_runs_names_these(cli, tmp_path):
    runs = [REGISTRY["mnist"].config(dataset="digits", seed=seed) for seed in range(40)]
    for config in runs:
        record(REGISTRY["mnist"].open(config, root=tmp_path / "runs"))
    keys = sorted(REGISTRY["mnist"].open(config).key for config in runs)
    shared = next(a[0] for a, b in pairwise(keys) if a[0] == b[0])
    code, printed = cli("show", shared, home=tmp_path)
    fitting = [key for key in keys if key.startswith(shared)]
    assert code == 1
    assert f"{shared!r} fits {len(fitting)} runs; they are: " in printed
    assert {key for key in keys if key in printed} == set(fitting)
    assert "fits 0 runs; there are: " in (told := cli("show", "nothing", home=tmp_path)[1])
    assert told.rstrip().endswith(" and 20 more")


def test_a_reader_who_has_seen_enough_is_no_error(home):
    end, start = os.pipe()
    os.close(end)
    with os.fdopen(start, "wb") as nobody:
        left = subprocess.run(
            [sys.executable, "-c", "from hdlib.cli import main; main()", "show"],
            env=os.environ | {"HDLIB_HOME": str(home)},
            stdout=nobody,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (left.returncode, left.stderr) == (1, "")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("verify nothing", "'nothing' fits"),
        ("verify --step 1", "--step 1: of which run? Name it"),
        ("verify mnist --step 1 --all-steps", "--step 1 and --all-steps: one of them"),
        ("sweep depth --cluster here --p 7", "missing port number in address 'here'"),
        ("run grok", "grok"),
        ("verify mnist --step x", "--step"),
        ("run mnist --n-epochs 0", "n_epochs=0"),
        ("run mnist --n-epochs 1000000000", "n_epochs=1000000000"),
        ("run mnist --width 100000", "width=100000"),
        ("run mnist --width 500 --dataset digits", "width=500: the Hessian of"),
        ("run mnist --seed 100000000000000000000", "seed=100000000000000000000"),
        ("run mnist --hessian-seed 100000000000000000000", "hessian_seed=1000"),
        ("run fiedler --hessian-samples 0", "hessian_samples=0"),
        ("run grokking --p 4", "p=4: must be a prime"),
        ("run grokking --p 5 --width 9 --n-heads 2", "n_heads=2"),
        (f"{GROKKING}0 --width 8", "eigenpairs=300: at most 184"),
        ("run grokking --width 128 --p 113 --equals-logit 0", "equals-logit"),
        ("run grokking --width 1000000000", "width=1000000000"),
        ("run grokking --seed 100000000000000000000", "seed=1000"),
    ],
)
def test_impossible_values_are_named_and_leave_nothing(cli, tmp_path, words, sentence):
    code, printed = cli(*words.split(), home=tmp_path / "empty")
    assert code in (1, 2)
    assert sentence in printed
    assert "Traceback" not in printed
    assert not (tmp_path / "empty").exists()


def test_a_home_that_is_a_file(cli, tmp_path):
    (tmp_path / "file").touch()
    code, printed = cli("run", "mnist", *OPTIONS, home=tmp_path / "file")
    assert code == 1
    assert f"HDLIB_HOME={tmp_path / 'file'}: a folder is needed" in printed


def test_a_home_with_a_tilde(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HDLIB_HOME", "~/mine")
    assert hdlib.store.places.home() == tmp_path / "mine/runs"


def test_a_data_home_that_is_not_there(cli, monkeypatch, tmp_path):
    monkeypatch.setenv("HDLIB_DATA_HOME", str(tmp_path / "nowhere"))
    code, printed = cli("run", "mnist", "--n-epochs", "1", home=tmp_path / "empty")
    assert code == 1
    assert f"HDLIB_DATA_HOME={tmp_path / 'nowhere'}: there is no such folder" in printed


def test_names_are_printed_without_commands_to_the_terminal(cli, home):
    (stage,) = (home / "runs/mnist/spectra").glob("*/")
    bad = stage / "\x1b[31mred.safetensors"
    bad.touch()
    code, printed = cli("verify")
    bad.unlink()
    assert code == 1
    assert "\x1b" not in printed
    assert r"\x1b[31mred.safetensors: not recorded" in printed


def test_interrupting_is_one_line(tmp_path):
    words = ["run", "grokking", "--p", "7", "--n-steps", "1000000", "--device", "cpu"]
    process = subprocess.Popen(
        [sys.executable, "-c", "from hdlib.cli import main; main()", *words],
        env=os.environ | {"HDLIB_HOME": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
        # A shell has its background jobs ignore the signal, and they hand that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        while not list(tmp_path.rglob("history.parquet")):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, printed = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert printed.strip().splitlines()[-1] == "interrupted; run it again to go on"
    assert "Traceback" not in printed


def test_no_pickle_is_read():
    """Calls are looked for, not words in messages."""
    readers = {"torch.load", "np.load", "joblib", "shelve", "marshal", "dill", "pickle"}
    for path in Path(hdlib.__file__).parent.rglob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        used = {ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute | ast.Name)}
        imported = {a.name for n in nodes if isinstance(n, ast.Import) for a in n.names}
        assert not readers & (used | imported), path
