"""What a reader writes runs as it stands."""

from __future__ import annotations

import re
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


def test_snippets_of_the_readme():
    """All of them, one after the other in one place."""
    snippets = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(snippets) >= 3
    names: dict[str, object] = {}
    for snippet in snippets:
        exec(snippet, names)


def test_what_there_is_not():
    with pytest.raises(AttributeError, match="module 'hdlib' has no attribute 'spectral_density'"):
        hdlib.spectral_density  # pyright: ignore[reportAttributeAccessIssue]  # noqa: B018
