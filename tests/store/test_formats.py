"""Tables as bytes, and back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hdlib.store import formats

THREADS = Path("/proc/self/task")
LEFT_BEHIND = f"""
from pathlib import Path
import numpy as np
from hdlib.store import formats
threads = lambda: len([*Path("{THREADS}").iterdir()])
content = formats.table_bytes({{str(i): np.arange(100.0) for i in range(40)}})
before = threads()
formats.read_table(content)
print(threads() - before)
"""


@given(st.lists(st.floats(allow_nan=True), min_size=1), st.integers(-(2**63), 2**63 - 1))
def test_a_table_comes_back_to_the_bit(values, step):
    table = {"step": np.full(len(values), step), "loss": np.array(values)}
    found = formats.read_table(formats.table_bytes(table))
    assert list(found) == list(table)
    for name, column in table.items():
        assert found[name].dtype == column.dtype
        assert found[name].tobytes() == column.tobytes()


@pytest.mark.skipif(not THREADS.exists(), reason="threads are counted where Linux lists them")
def test_reading_a_table_leaves_no_thread_behind():
    """One that is still beginning when the process ends would abort it."""
    told = subprocess.run(
        [sys.executable, "-c", LEFT_BEHIND], capture_output=True, text=True, check=True
    )
    assert told.stdout == "0\n"
