"""Values between Arrow and numpy, without pandas on the way."""

import subprocess
import sys

import numpy as np
import pyarrow as pa

from sluicegate.profiling.buffers import positions


def test_positions_are_where_a_mask_is_true():
    mask = np.array([True, False, False, True])
    assert positions(mask).to_pylist() == [0, 3]
    assert positions(mask).type == pa.int64()
    assert positions(mask[1:3]).to_pylist() == []


def test_rows_are_taken_without_pandas():
    program = (
        "import sys, numpy as np, pyarrow as pa\n"
        "from sluicegate.profiling.buffers import large_strings, positions\n"
        "table = pa.table([large_strings(('a', 'b'))], names=['x'])\n"
        "assert table.take(positions(np.array([False, True]))).num_rows == 1\n"
        "sys.exit('pandas' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
