"""Synthetic files to check, written in pieces.

    python benchmarks/check/data.py table DATA.parquet ROWS COLUMNS SEED

A process of its own: what it needs would count as memory of every process started after it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Callable

PIECE = 250_000
N_CATEGORIES = 40
_WORDS = np.array([f"word{i}" for i in range(20_000)])
_WORDS_A_DOCUMENT = 12
_LONG_BYTES = 65_536
_SMALL_PIECE = 500


def write_table(path: Path, rows: int, columns: int, seed: int) -> None:
    """Write numbers, a category in every fifth column, a label that follows two numbers."""

    def piece(n: int, rng: np.random.Generator) -> pa.Table:
        data: dict[str, object] = {}
        for j in range(columns - 1):
            if j % 5 == 4:
                codes = pa.array(rng.integers(0, N_CATEGORIES, n, dtype=np.int32))
                names = pa.array([f"v{i}" for i in range(N_CATEGORIES)])
                data[f"c{j}"] = pa.DictionaryArray.from_arrays(codes, names).dictionary_decode()
            else:
                data[f"c{j}"] = rng.normal(size=n)
        noise = rng.random(n) < 0.05
        data["y"] = (((data["c0"] + data["c1"]) > 0) ^ noise).astype(np.int8)
        return pa.table(data)

    _write(path, rows, seed, piece)


def write_texts(path: Path, rows: int, _columns: int, seed: int) -> None:
    """Write documents of twelve words, of which frequent ones follow the label."""

    def piece(n: int, rng: np.random.Generator) -> pa.Table:
        label = rng.integers(0, 2, n).astype(np.int8)
        rank = (_WORDS.size ** rng.random((n, _WORDS_A_DOCUMENT))).astype(np.int64) - 1
        rank[:, 0] = rng.integers(0, 50, n) * 2 + label
        said = _WORDS[rank]
        return pa.table({"text": [" ".join(words) for words in said.tolist()], "y": label})

    _write(path, rows, seed, piece)


def write_long(path: Path, rows: int, _columns: int, seed: int) -> None:
    """Write documents of 64 KiB."""

    def piece(n: int, rng: np.random.Generator) -> pa.Table:
        texts = []
        for _ in range(n):
            rank = (_WORDS.size ** rng.random(_LONG_BYTES // 8)).astype(np.int64) - 1
            texts.append(" ".join(_WORDS[rank].tolist())[:_LONG_BYTES])
        return pa.table({"text": texts, "y": rng.integers(0, 2, n).astype(np.int8)})

    _write(path, rows, seed, piece, _SMALL_PIECE)


def write_vectors(path: Path, rows: int, columns: int, seed: int) -> None:
    """Write lists of numbers, as many as columns; the label follows the first."""

    def piece(n: int, rng: np.random.Generator) -> pa.Table:
        values = rng.normal(size=(n, columns)).astype(np.float32)
        label = (values[:, 0] > 0).astype(np.int8)
        lists = pa.FixedSizeListArray.from_arrays(values.ravel(), columns)
        return pa.table({"v": lists, "y": label})

    _write(path, rows, seed, piece, 20_000)


def _write(
    path: Path,
    rows: int,
    seed: int,
    piece: Callable[[int, np.random.Generator], pa.Table],
    size: int = PIECE,
) -> None:
    rng, writer = np.random.default_rng(seed), None
    for start in range(0, rows, size):
        table = piece(min(size, rows - start), rng)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table, row_group_size=size)
    if writer is not None:
        writer.close()


KINDS = {"table": write_table, "text": write_texts, "long": write_long, "vectors": write_vectors}

if __name__ == "__main__":
    kind, path, *sizes = sys.argv[1:]
    KINDS[kind](Path(path), *map(int, sizes))
