"""The IDX file format of the original MNIST files."""

from __future__ import annotations

import gzip
import struct
import zlib
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

UNSIGNED_BYTE = 0x08


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read a gzipped IDX file of unsigned bytes.

    The format (LeCun et al. 1998): two zero bytes, a type byte, the number of dimensions, the
    dimensions as big-endian uint32, then the values in row-major order.

    Raises:
        ValueError: if the file is not gzip, not IDX of unsigned bytes, or does not hold exactly the
            number of values that its header gives.
    """
    try:
        content = gzip.decompress(path.read_bytes())
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} is not a whole gzip file: {error}") from error
    if len(content) < 4 or content[:3] != bytes([0, 0, UNSIGNED_BYTE]):
        raise ValueError(f"{path} is not an IDX file of unsigned bytes: starts {content[:4].hex()}")
    dimensions = content[3]
    header = 4 + 4 * dimensions
    if len(content) < header:
        raise ValueError(f"{path} ends within its header, at byte {len(content)} of {header}")
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    if len(content) - header != prod(shape):
        raise ValueError(
            f"{path} holds {len(content) - header} values, its header says {shape}: {prod(shape)}"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)
