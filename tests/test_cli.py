"""The command line, as a person uses it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SMALL = "--dataset digits --n-epochs 1 --width 1 --hessian-samples 50 --vectors 10"
SMALL += " --sweep-checkpoints 0 --draws 0"


def hdlib(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from hdlib.cli import main; main()", *arguments],
        env=os.environ | {"HDLIB_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    done = hdlib("run", "mnist", *SMALL.split(), home=home)
    assert done.returncode == 0, done.stderr
    return home


def test_run_show_verify(home: Path):
    (folder,) = (home / "runs" / "mnist").glob("*/")

    assert str(folder) in hdlib("show", home=home).stdout
    assert "n_epochs = 1" in hdlib("show", folder.name[:6], home=home).stdout
    verified = hdlib("verify", str(folder), home=home)
    assert verified.returncode == 0, verified.stderr
    assert "agree to" in verified.stdout


def test_verify_names_an_altered_file_and_run_repairs_it(home: Path):
    (folder,) = (home / "runs" / "mnist").glob("*/")
    file = folder / "spectra" / "step_000010.safetensors"
    good = file.read_bytes()
    file.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))

    verified = hdlib("verify", str(folder), home=home)
    assert verified.returncode == 1
    assert f"{file}: missing or altered" in verified.stdout

    assert hdlib("run", "mnist", *SMALL.split(), home=home).returncode == 0
    assert file.read_bytes() == good
    assert hdlib("verify", str(folder), home=home).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["verify", "nothing"], "'nothing' fits 0 runs"),
        (["run", "mnist", "--n-epochs", "0"], "greater than or equal"),
        (["run", "grok"], "grok"),
        (["verify", "mnist/0", "--step", "x"], "--step"),
    ],
)
def test_errors_say_what_is_wrong(arguments: list[str], sentence: str, tmp_path: Path):
    done = hdlib(*arguments, home=tmp_path)

    assert done.returncode != 0
    assert sentence in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
