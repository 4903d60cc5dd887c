from __future__ import annotations

import gzip
import struct
from contextlib import suppress
from functools import partial

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from hdlib.tasks.idx import read_idx

# Without the time of writing, so that every test process has the same parameters.
packed = partial(gzip.compress, mtime=0)


def idx(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arrays(np.uint8, array_shapes(max_dims=4, min_side=0, max_side=5)))
def test_what_was_written_is_read(tmp_path, array):
    path = tmp_path / "file.gz"
    path.write_bytes(packed(idx(array)))
    value = read_idx(path)
    assert value.dtype == np.uint8
    np.testing.assert_array_equal(value, array)


WHOLE = idx(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))


@pytest.mark.parametrize("length", range(len(packed(WHOLE))))
def test_truncated_download(tmp_path, length):
    path = tmp_path / "file.gz"
    path.write_bytes(packed(WHOLE)[:length])
    with pytest.raises(ValueError, match=r"file\.gz"):
        read_idx(path)


@pytest.mark.parametrize("length", range(len(WHOLE)))
def test_truncated_content(tmp_path, length):
    path = tmp_path / "file.gz"
    path.write_bytes(packed(WHOLE[:length]))
    with pytest.raises(ValueError, match=r"file\.gz"):
        read_idx(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<html>not found</html>", "is not a whole gzip file"),
        (packed(WHOLE) + b"garbage", "is not a whole gzip file"),
        (packed(b""), "not an IDX file of unsigned bytes"),
        (packed(b"\x00\x00\x0d\x01" + bytes(8)), "unsigned bytes: starts 00000d01"),
        (packed(b"garbage"), "not an IDX file of unsigned bytes"),
        (packed(WHOLE[:9]), "ends within its header, at byte 9 of 16"),
        (packed(WHOLE + b"1"), r"holds 25 values, its header says \(2, 3, 4\): 24"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, content, words):
    path = tmp_path / "file.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words):
        read_idx(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, len(packed(WHOLE)) - 1), st.integers(1, 255))
def test_a_changed_byte_never_changes_values(tmp_path, position, change):
    """It is found, or it was in a field of the gzip header that holds no data."""
    content = bytearray(packed(WHOLE))
    content[position] ^= change
    path = tmp_path / "file.gz"
    path.write_bytes(content)
    with suppress(ValueError):
        np.testing.assert_array_equal(read_idx(path).ravel(), np.arange(24))
