"""What a reader writes runs as it stands."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure

import hdlib

README = Path(__file__).parent.parent / "README.md"


@pytest.mark.parametrize("form", ["matrix", "array", "operator", "float32 operator"])
def test_lines_of_the_design(form, tmp_path, capsys):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 9), torch.nn.Tanh(), torch.nn.Linear(9, 3))
    loader = [(torch.randn(20, 8), torch.randint(3, (20,))) for _ in range(4)]
    if "operator" in form:
        dtype = torch.float32 if "float32" in form else torch.float64
        H = hdlib.HessianOperator(model, F.cross_entropy, loader, dtype=dtype)
    else:
        H = hdlib.hessian(model, F.cross_entropy, loader)
        H = H.numpy() if form == "array" else H

    s = hdlib.spectrum(H, top=20, bottom=20)
    tree = hdlib.dendrogram(s)
    print(s, tree.gaps(3), hdlib.trace(H))
    figures = hdlib.figures.dendrogram(tree), hdlib.figures.density(hdlib.density(H))

    printed = capsys.readouterr().out
    for words in ("Spectrum of 111 eigenvalues", "pairs certified", "Gap(rank=", "TraceEstimate(v"):
        assert words in printed
    assert all(isinstance(figure, Figure) for figure in figures)
    assert isinstance(hdlib.figures.dendrogram(s), Figure)
    s.save(tmp_path / "spectrum")
    assert repr(hdlib.Spectrum.load(tmp_path / "spectrum")) == repr(s)
    assert hdlib.in_shapes(s.top(2), model)["0.weight"].shape == (2, 9, 8)


def snippets() -> dict[str, list[str]]:
    """The README's Python, by section."""
    sections = re.split(r"^## ", README.read_text(), flags=re.MULTILINE)
    found = {
        part.split("\n")[0]: re.findall(r"```python\n(.*?)```", part, re.S) for part in sections
    }
    return {section: blocks for section, blocks in found.items() if blocks}


@pytest.mark.parametrize("section", snippets())
def test_snippets_of_the_readme(section, tmp_path, monkeypatch):
    """All of a section, one after the other in one place."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for number, snippet in enumerate(snippets()[section], 1):
        exec(compile(snippet, f"<{section}, block {number}>", "exec"), names)


def test_the_readme_has_snippets():
    assert sum(map(len, snippets().values())) >= 3


def test_without_the_repository(tmp_path):
    """As a wheel installs it: the package alone, in a place without published runs."""
    shutil.copytree(Path(hdlib.__file__).parent, tmp_path / "site" / "hdlib")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = os.environ | {
        "PYTHONPATH": str(tmp_path / "site"),
        "HDLIB_HOME": str(tmp_path / "home"),
    }

    def python(*arguments: str) -> str:
        run = subprocess.run(
            [sys.executable, *arguments],
            cwd=elsewhere,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert run.returncode == 0, run.stderr
        return run.stdout

    (snippet, *_), *_ = snippets().values()
    printed = python("-c", f"import hdlib; print(hdlib.__file__)\n{snippet}")
    assert printed.startswith(str(tmp_path))
    assert "pairs certified" in printed
    python("-c", "from hdlib.cli import main; main()", "show")


def test_what_there_is_not():
    with pytest.raises(AttributeError, match="module 'hdlib' has no attribute 'spectral_density'"):
        hdlib.spectral_density  # pyright: ignore[reportAttributeAccessIssue]  # noqa: B018
