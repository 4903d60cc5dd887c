"""Files that are not what they should be, under a right sum: named, and never taken for data."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hdlib.store import DamagedRunError
from hdlib.store.folder import Folder

from .toy import SUMS, TOY, TRAINING, Toy, folder

CONFIG = Toy(n_steps=5)


@pytest.fixture
def root(tmp_path) -> Path:
    TOY.run(CONFIG, root=tmp_path)
    return tmp_path


def forge(path: Path, content: bytes) -> None:
    """Put a file with another content, and record its right sum."""
    held = Folder(path.parent, Folder(path.parent, {}).manifest.header)
    with held.writing():
        old = held.entries[path.name]
        held.write(path.name, content, sources=old.sources, environment={}, timings={})


def forge_history(root: Path, content: bytes) -> Path:
    path = folder(TOY.open(CONFIG), TRAINING, root) / "history.parquet"
    forge(path, content)
    return path


HUGE = b'{"a":{"dtype":"F64","shape":[1000000000000],"data_offsets":[0,8000000000000]}}'


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 8, b"\xff" * 100, len(HUGE).to_bytes(8, "little") + HUGE, b"PAR1" * 4],
)
def test_no_safetensors_is_named(root, content):
    path = folder(TOY.open(CONFIG), SUMS, root) / "all.safetensors"
    forge(path, content)
    with pytest.raises(DamagedRunError, match=re.escape(str(path))):
        TOY.open(CONFIG, root=root).arrays(SUMS, "all")


@pytest.mark.parametrize("content", [b"", b"PAR1" * 4, b"\xff" * 100])
def test_no_parquet_is_named(root, content):
    path = forge_history(root, content)
    run = TOY.open(CONFIG, root=root)
    for reads in (lambda: TRAINING.history(run), lambda: TRAINING.checkpoints(run)):
        with pytest.raises(DamagedRunError, match=re.escape(str(path))):
            reads()


def many_rows() -> bytes:
    """110 million equal rows in half a megabyte."""
    table, buffer = pa.table({"step": np.zeros(10_000_000)}), io.BytesIO()
    with pq.ParquetWriter(buffer, table.schema) as writer:
        for _ in range(11):
            writer.write_table(table)
    return buffer.getvalue()


def with_rows(content: bytes, declared: int) -> bytes:
    """A Parquet file of which the footer declares another number of rows; its parts do not."""
    size = int.from_bytes(content[-8:-4], "little")
    data, footer = content[: -8 - size], content[-8 - size : -8]
    rows = pq.ParquetFile(io.BytesIO(content)).metadata.num_rows
    footer = footer.replace(varint(rows), varint(declared), 1)
    forged = data + footer + len(footer).to_bytes(4, "little") + b"PAR1"
    assert pq.ParquetFile(io.BytesIO(forged)).metadata.num_rows == declared
    return forged


def varint(number: int) -> bytes:
    """A number as Parquet's footer has it: twice that, seven bits a byte, the lowest first."""
    digits = [2 * number >> shift & 127 for shift in range(0, (2 * number).bit_length(), 7)]
    return bytes([digit | 128 for digit in digits[:-1]] + digits[-1:])


def one_column(values: pa.Array) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"step": values}), buffer, compression="zstd")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (many_rows, "a table of 110,000,000 values; at most 100,000,000 are read"),
        (lambda: with_rows(many_rows(), 10), "a table of 110,000,000 values"),
        (lambda: with_rows(one_column(pa.array([0.0] * 999)), 10**12), "1,000,000,000,000 values"),
        (
            lambda: one_column(pa.array([np.zeros(20_000_000, np.int8)])),
            "column 'step' is of list<element: int8>; numbers alone are read",
        ),
        (lambda: one_column(pa.array(["x" * 20_000_000])), "column 'step' is of string"),
    ],
    ids=["rows", "rows the footer denies", "rows the footer invents", "a list", "a string"],
)
def test_a_table_too_large_is_refused_by_what_it_declares(root, content, sentence):
    path = forge_history(root, content())
    assert path.stat().st_size < 1_000_000
    usual, counted = pa.default_memory_pool(), pa.proxy_memory_pool(pa.default_memory_pool())
    run = TOY.open(CONFIG, root=root)
    pa.set_memory_pool(counted)
    try:
        with pytest.raises(DamagedRunError, match=re.escape(str(path))) as refused:
            TRAINING.history(run)
    finally:
        pa.set_memory_pool(usual)
    assert sentence in str(refused.value)
    assert counted.max_memory() < 1_000_000
