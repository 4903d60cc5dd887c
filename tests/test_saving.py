"""Values as files: bit by bit the same when read again, or an error that says what is wrong."""

from __future__ import annotations

import os
from dataclasses import fields, make_dataclass
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch

from hdlib import (
    Dendrogram,
    Density,
    FiedlerTree,
    Spectrum,
    TraceEstimate,
    dendrogram,
    density,
    fiedler_tree,
    spectrum,
    trace,
)
from hdlib.saving import Saved

RNG = np.random.default_rng(0)
MATRIX = RNG.normal(size=(30, 30))
MATRIX = torch.from_numpy(MATRIX + MATRIX.T)
PART = spectrum(MATRIX).ends(lowest=2, highest=5)
VALUES: dict[str, Saved] = {
    "whole spectrum": spectrum(MATRIX, top=3, bottom=2),
    "without vectors": spectrum(MATRIX, vectors=0),
    "part of a spectrum": PART,
    "nothing certain": PART.ends(lowest=0, highest=0),
    "dendrogram": dendrogram(spectrum(MATRIX)),
    "dendrogram of a part": dendrogram(PART),
    "density": density(MATRIX, steps=5),
    "trace": trace(MATRIX),
    "tree": fiedler_tree(MATRIX),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "value"


def parts(value) -> dict[str, object]:
    return {field.name: getattr(value, field.name) for field in fields(value)}


@pytest.mark.parametrize("name", VALUES)
def test_round_trip(name, path):
    value = VALUES[name]
    value.save(path)
    content = path.read_bytes()
    again = type(value).load(path)
    assert type(again) is type(value)
    for (field, one), other in zip(parts(value).items(), parts(again).values(), strict=True):
        assert type(one) is type(other), field
        if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
            assert (one.dtype, one.shape, one.tobytes()) == (
                other.dtype,
                other.shape,
                other.tobytes(),
            )
        else:
            assert one == other, field
    again.save(str(path))
    assert path.read_bytes() == content
    assert repr(again) == repr(value)
    assert list(path.parent.iterdir()) == [path]


def test_what_is_loaded_works(path):
    spectrum(MATRIX, top=3, bottom=2).save(path)
    np.testing.assert_array_equal(Spectrum.load(path).top(3), spectrum(MATRIX, top=3).top(3))
    dendrogram(PART).save(path)
    assert Dendrogram.load(path).gaps(3) == dendrogram(PART).gaps(3)
    density(MATRIX, steps=5).save(path)
    assert Density.load(path).entropy() == density(MATRIX, steps=5).entropy()
    fiedler_tree(MATRIX).save(path)
    assert FiedlerTree.load(path).cut(4).tolist() == fiedler_tree(MATRIX).cut(4).tolist()


@pytest.mark.parametrize("name", ["part of a spectrum", "trace", "dendrogram"])
def test_every_altered_file_is_refused(name, path):
    """Each bit of the header flipped, some of the arrays', and the file cut anywhere."""
    value = VALUES[name]
    value.save(path)
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    bits = range(8 * len(whole))
    for bit in [*bits[: 8 * header], *bits[8 * header :: 97]]:
        altered = bytearray(whole)
        altered[bit // 8] ^= 1 << bit % 8
        path.write_bytes(altered)
        with pytest.raises(ValueError, match=r"altered|truncated|holds a"):
            type(value).load(path)
    for length in {*range(0, len(whole), 37), *range(12), len(whole) - 1}:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="truncated"):
            type(value).load(path)


def test_wrong_types_are_named(path):
    trace(MATRIX).save(path)
    with pytest.raises(ValueError, match=r"value holds a TraceEstimate, not a Spectrum"):
        Spectrum.load(path)
    VALUES["density"].save(path)
    with pytest.raises(ValueError, match=r"holds a Density, not a Dendrogram"):
        Dendrogram.load(path)


def test_foreign_files(path, tmp_path):
    with pytest.raises(FileNotFoundError):
        Spectrum.load(path)
    path.parent.mkdir()
    for content in (b"", b"hello", os.urandom(500), b"\x80\x04N.", b"PK\x03\x04" + bytes(100)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="value is truncated, or no safetensors file"):
            Spectrum.load(path)
    numbers = {"eigenvalues": np.arange(3.0)}
    for metadata, words in (
        (None, "was not saved by hdlib"),
        ({"hdlib": "[" * 100_000}, "its header cannot be read"),
        ({"hdlib": "[]"}, "its header cannot be read"),
        ({"hdlib": '{"type": "Spectrum"}'}, "its header cannot be read"),
        ({"hdlib": '{"type": "Spectrum", "scalars": {}, "sha256": ""}'}, "does not have the sum"),
    ):
        path.write_bytes(safetensors.numpy.save(numbers, metadata))
        with pytest.raises(ValueError, match=words):
            Spectrum.load(path)
    with pytest.raises((OSError, ValueError)):
        Spectrum.load(tmp_path)


def test_another_version_is_named(path):
    """A file with other fields than today's, whole in itself."""
    short = make_dataclass("TraceEstimate", [("value", float)], bases=(Saved,))
    short(3.0).save(path)
    with pytest.raises(
        ValueError, match=r"another version of TraceEstimate: .* missing 2 required"
    ):
        TraceEstimate.load(path)


def test_a_failed_write_leaves_what_was_there(path, monkeypatch):
    VALUES["trace"].save(path)
    before = path.read_bytes()

    def fail(descriptor):
        raise OSError(28, "no space")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space left"):
        VALUES["density"].save(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
    assert isinstance(TraceEstimate.load(path), TraceEstimate)
