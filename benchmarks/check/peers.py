"""What others need for the same counts: one of them a process, chosen by its first argument.

    python benchmarks/check/peers.py bare DATA.parquet

Each counts every column of a file against 64 fixed edges, or by value where it is a category.
None keeps baselines, tolerances or p-values, so what they do is less than a check.
"""

from __future__ import annotations

import sys

import numpy as np

EDGES = np.linspace(-3, 3, 65)


def read(data: str) -> None:
    """Decode the file and do nothing with it."""
    for _ in _batches(data):
        pass


def bare(data: str) -> None:
    """Count with searchsorted and bincount, the least that any such check must do."""
    import pyarrow as pa  # noqa: PLC0415 - each peer pays for its own imports only

    counts: dict[str, np.ndarray] = {}
    for batch in _batches(data):
        for name, array in zip(batch.schema.names, batch.columns, strict=True):
            if pa.types.is_floating(array.type):
                values = np.frombuffer(array.buffers()[1], np.float64, len(array), array.offset * 8)
                found = np.bincount(np.searchsorted(EDGES, values), minlength=66)
            else:
                indices = array.dictionary_encode().indices
                values = np.frombuffer(indices.buffers()[1], np.int32, len(indices))
                found = np.bincount(values, minlength=66)
            counts[name] = counts.get(name, 0) + found[:66]


def duckdb(data: str) -> None:
    """Count with DuckDB's histogram, inside its engine."""
    import duckdb as db  # noqa: PLC0415

    connection = db.connect()
    edges = ", ".join(f"{e}::DOUBLE" for e in EDGES)
    columns = connection.execute(f"DESCRIBE SELECT * FROM '{data}'").fetchall()
    asked = [
        f"histogram({name}, [{edges}])" if kind == "DOUBLE" else f"histogram({name})"
        for name, kind, *_ in columns
    ]
    connection.execute(f"SELECT {', '.join(asked)} FROM '{data}'").fetchall()


def polars(data: str) -> None:
    """Count with Polars, streaming, one column after the other."""
    import polars as pl  # noqa: PLC0415

    frame, edges = pl.scan_parquet(data), [-np.inf, *EDGES.tolist(), np.inf]
    for name, kind in frame.collect_schema().items():
        column = pl.col(name)
        cell = column.bin_intervals(edges, labels=False) if kind.is_float() else column
        frame.group_by(cell.alias("cell")).len().collect(engine="streaming")


def great_expectations(data: str) -> None:
    """Judge each column with Great Expectations' own divergence from a fixed partition."""
    import logging  # noqa: PLC0415
    import warnings  # noqa: PLC0415

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    import great_expectations as gx
    import pandas as pd

    frame = pd.read_parquet(data)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("source").add_dataframe_asset("asset")
    batch = asset.add_batch_definition_whole_dataframe("whole")
    suite = context.suites.add(gx.ExpectationSuite(name="suite"))
    for name in frame.columns:
        if pd.api.types.is_float_dtype(frame[name]):
            bins, weights = EDGES.tolist(), [1 / 64] * 64
            partition = {"bins": [-10.0, *bins, 10.0], "weights": [0.0, *weights, 0.0]}
        else:
            values = sorted(frame[name].iloc[:10_000].unique().tolist())
            partition = {"values": values, "weights": [1 / len(values)] * len(values)}
        suite.add_expectation(
            gx.expectations.ExpectColumnKLDivergenceToBeLessThan(
                column=name, partition_object=partition, threshold=1.0
            )
        )
    definition = gx.ValidationDefinition(name="validation", data=batch, suite=suite)
    context.validation_definitions.add(definition).run(batch_parameters={"dataframe": frame})


def _batches(data: str) -> object:
    import pyarrow.parquet as pq  # noqa: PLC0415

    return pq.ParquetFile(data, pre_buffer=False).iter_batches(65_536, use_threads=False)


PEERS = {f.__name__: f for f in (read, bare, duckdb, polars, great_expectations)}

if __name__ == "__main__":
    PEERS[sys.argv[1]](sys.argv[2])
