"""Arrays and tables as bytes, and back: safetensors and Parquet, nothing that runs code."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import safetensors.torch
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor

TABLE = ".parquet"
"""How names of tables end."""
MOST_VALUES = 100_000_000
"""In a table; more are refused by what its header declares, before they are read."""


class FormatError(ValueError):
    """Bytes that are not what they should be."""


def tensor_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """Tensors as a safetensors file; the same tensors give the same bytes."""
    still = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    return safetensors.torch.save(still)


def array_bytes(arrays: Mapping[str, NDArray]) -> bytes:
    """Arrays as a safetensors file."""
    return tensor_bytes({key: torch.tensor(np.asarray(value)) for key, value in arrays.items()})


def table_bytes(columns: Mapping[str, NDArray]) -> bytes:
    """Columns of one length as a Parquet file, of numbers that hardly repeat."""
    buffer = io.BytesIO()
    pq.write_table(
        pa.table({key: pa.array(value) for key, value in columns.items()}),
        buffer,
        compression="zstd",
        use_dictionary=False,
        column_encoding={
            name: "BYTE_STREAM_SPLIT" if columns[name].dtype.kind == "f" else "PLAIN"
            for name in columns
        },
        write_statistics=False,
        store_schema=False,
    )
    return buffer.getvalue()


def read_tensors(content: bytes) -> dict[str, Tensor]:
    """Tensors of a safetensors file, sorted by name.

    Raises:
        FormatError: if the bytes are no such file.
    """
    try:
        # The library gives them in an order that differs from one time to the next.
        return dict(sorted(safetensors.torch.load(content).items()))
    except (SafetensorError, ValueError, KeyError, RecursionError) as error:
        raise FormatError(f"no safetensors file: {error}") from error


def read_arrays(content: bytes) -> dict[str, NDArray]:
    """Arrays of a safetensors file; raises as `read_tensors` does."""
    return {key: tensor.numpy() for key, tensor in read_tensors(content).items()}


def table_length(content: bytes) -> int:
    """Number of rows of a Parquet file; 0 where the bytes are no such file."""
    try:
        return pq.read_metadata(pa.BufferReader(content)).num_rows
    except (pa.ArrowException, OSError, ValueError):
        return 0


def read_table(content: bytes) -> dict[str, NDArray]:
    """An array for each column of a Parquet file.

    Raises:
        FormatError: if the bytes are no such file, it declares more than 10⁸ values, or a column is
            not of numbers, of which no number of rows tells the size.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        _require_moderate(file)
        # Threads of the reader's that begin as the process ends would abort it.
        table = file.read(use_threads=False)
        return {column: table[column].to_numpy() for column in table.column_names}
    except (pa.ArrowException, OSError, ValueError) as error:
        raise (
            error if isinstance(error, FormatError) else FormatError(f"no Parquet file: {error}")
        ) from error


def _require_moderate(file: pq.ParquetFile) -> None:
    for column in file.schema_arrow:
        if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            raise FormatError(f"column {column.name!r} is of {column.type}; numbers alone are read")
    footer = file.metadata
    # What is read is what the parts declare, which may be more than the whole does.
    parts = sum(footer.row_group(i).num_rows for i in range(footer.num_row_groups))
    declared = max(footer.num_rows, parts) * footer.num_columns
    if declared > MOST_VALUES:
        raise FormatError(f"a table of {declared:,} values; at most {MOST_VALUES:,} are read")


def canonical(value: object) -> str:
    """JSON of a value, the same for equal values.

    Raises:
        ValueError: if a number in it is not finite.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
