"""Configs from YAML files: numbers as YAML 1.2 has them, and nothing that is not plain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

import pytest
from pydantic import Field

from hdlib.store import Config, ConfigError, read_fields


class Optimised(Config):
    experiment: ClassVar[str] = "optimised"

    eps: float = 1e-6
    clip: float | None = 1.0
    n_steps: Annotated[int, Field(ge=1)] = 3
    name: str = ""
    tied: bool = False
    widths: tuple[int, ...] = ()


@pytest.fixture
def written(tmp_path):
    def write(text: str | bytes) -> Path:
        path = tmp_path / "config.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.mark.parametrize("field", ["eps", "clip"])
@pytest.mark.parametrize(
    ("number", "value"),
    [
        *[("1e-8", 1e-8), ("1.0e-8", 1e-8), ("1E-8", 1e-8), ("1e+8", 1e8), ("1.0E8", 1e8)],
        *[("1e8", 1e8), (".5", 0.5), ("3.", 3.0), ("-2", -2.0), ("'1e-8'", 1e-8), ("7", 7.0)],
    ],
)
def test_numbers(written, field, number, value):
    found = getattr(Optimised(**read_fields(written(f"{field}: {number}"))), field)
    assert type(found) is float
    assert found == value


@pytest.mark.parametrize("number", ["20000", "2e4", "2.0e+4", "20_000", "'20000'", "+20000"])
def test_whole_numbers(written, number):
    found = Optimised(**read_fields(written(f"n_steps: {number}"))).n_steps
    assert type(found) is int
    assert found == 20_000


def test_other_values(written):
    text = "clip: null\nname: no  # a word\ntied: true\nwidths: [1, 2]\n"
    config = Optimised(**read_fields(written(text)))
    assert config == Optimised(clip=None, name="no", tied=True, widths=(1, 2))
    assert Optimised(**read_fields(written("clip: ~"))).clip is None
    assert read_fields(written("name: 2024-01-01")) == {"name": "2024-01-01"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("eps: 1\nclip: 2\neps: 3", "line 3: eps is given twice, first in line 1"),
        ("eps: {a: 1, a: 2}", "line 1: a is given twice"),
        ("- eps", r"a mapping of names to values is needed, got \['eps'\]"),
        ("", "a mapping of names to values is needed, got None"),
        ("17", "a mapping of names to values is needed, got 17"),
        ("1: 2", "line 1: 1: a key must be a name"),
        ("true: 2", "line 1: True: a key must be a name"),
        ("[a, b]: 2", r"line 1: \['a', 'b'\]: a key must be a name"),
        ("eps: !!python/object/apply:os.system ['true']", "line 1: tag:yaml.org,2002:python/obj"),
        ("eps: !!set {a, b}", "tags are not read"),
        ("\nname: !own x", "line 2: !own: tags are not read; plain values are"),
        ("a: &x [1]\nb: *x", r"line 2: \*x: aliases are not read; write the value"),
        ("a: &x {b: 1}\nc:\n  <<: *x", "line 3: .*aliases are not read"),
        ("eps: [1", "expected ',' or ']'"),
        ("eps: 1\n---\neps: 2", "single document"),
        ("n_steps: " + "9" * 5000, "digits"),
        (b"name: \xff\xfe", "config.yaml: "),
        (b"name: \x00", "config.yaml: "),
        ("a: " + "[" * 5000, "nested too deep"),
        ("#" * 1_000_001, "1,000,001 bytes; a config has at most 1,000,000"),
    ],
)
def test_what_is_refused(written, text, words):
    path = written(text)
    with pytest.raises(ConfigError, match=words) as error:
        read_fields(path)
    assert str(path) in str(error.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.yaml"):
        read_fields(tmp_path / "config.yaml")
