"""What may lie beside the file that everybody reads, and what has to happen to it."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import zlib
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from pyarrow import feather, orc
from tests.unit.workflow.conftest import rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Fate(Enum):
    """What becomes of a file beside a good one."""

    JUDGED = "its rows are read, judged and handed out"
    MARKER = "it is passed over, and never handed out"
    UNJUDGED = "it blocks"


@dataclass(frozen=True)
class Case:
    """One neighbour.

    Attributes:
        fate: What has to happen.
        files: Makes files by name from the rows that would be poison if nobody read them.
        spark: Options with which Spark reads the same directory.
    """

    fate: Fate
    files: Callable[[pa.Table], Mapping[str, bytes]]
    spark: Mapping[str, str] | None = None


def parquet(table: pa.Table, **options) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


def csv(table: pa.Table) -> bytes:
    # Whole seconds, as both readers take them for the same type.
    place = table.schema.get_field_index("time")
    seconds = table["time"].cast(pa.timestamp("s"), safe=False)
    out = io.BytesIO()
    pa_csv.write_csv(table.set_column(place, "time", seconds), out)
    return out.getvalue()


def arrow(table: pa.Table, opener) -> bytes:
    out = io.BytesIO()
    with opener(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


def written(writer, table: pa.Table, **options) -> bytes:
    out = pa.BufferOutputStream()
    writer(table, out, **options)
    return out.getvalue().to_pybytes()


def lines(table: pa.Table) -> bytes:
    return "".join(json.dumps(row, default=str) + "\n" for row in table.to_pylist()).encode()


def metadata(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_metadata(table.schema, out)
    return out.getvalue()


def checksums(data: bytes) -> bytes:
    """What Hadoop writes beside a file, and reads: one CRC for each 512 bytes."""
    chunks = (data[at : at + 512] for at in range(0, len(data), 512))
    return b"crc\0" + struct.pack(">I", 512) + b"".join(map(_crc, chunks))


def _crc(chunk: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(chunk))


def judged(name: str, **spark: str) -> Case:
    return Case(Fate.JUDGED, lambda table: {name: parquet(table)}, spark or None)


def unjudged(name: str, make: Callable[[pa.Table], bytes]) -> Case:
    return Case(Fate.UNJUDGED, lambda table: {name: make(table)})


def marker(name: str, make: Callable[[pa.Table], bytes] = lambda _table: b"") -> Case:
    return Case(Fate.MARKER, lambda table: {name: make(table)})


CASES = {
    "suffix of old": judged("b.pq"),
    "Impala": judged("b.parq"),
    "Hive": judged("000000_0"),
    "Hadoop": judged("part-00000"),
    "Spark": judged("part-00000-1b4e28ba-2fa1-11d2-883f-0016d3cca427.c000.snappy.parquet"),
    "pandas says gzip and means the codec": judged("b.parquet.gzip"),
    "upper case": judged("B.PARQUET"),
    "another suffix": judged("b.data"),
    "Parquet that calls itself a backup": judged("b.parquet.bak"),
    "Parquet that calls itself CSV": judged("b.csv"),
    "Parquet that calls itself gzip": judged("b.csv.gz"),
    "space and umlaut": judged("märz 1.parquet"),
    "underscore and equals sign": judged("_k=1.parquet"),
    "nested directory": judged("2026/04/b.parquet", recursiveFileLookup="true"),
    "no row in it": Case(
        Fate.JUDGED, lambda table: {"b.parquet": parquet(table), "c": parquet(table.slice(0, 0))}
    ),
    "_SUCCESS": marker("_SUCCESS"),
    "_metadata": marker("_metadata", metadata),
    "_common_metadata": marker("_common_metadata", metadata),
    "checksum": marker(".a.parquet.crc", lambda _table: checksums(parquet(rows(2)))),
    "marker with rows": marker("_SUCCESS", parquet),
    "marker in a directory": marker("_temporary/_SUCCESS"),
    "Feather": unjudged("b.feather", lambda t: written(feather.write_feather, t)),
    "Feather, version 1": unjudged("b.feather", lambda _table: b"FEA1\0\0\0\0FEA1"),
    "Arrow file": unjudged("b.arrow", lambda t: arrow(t, pa.ipc.new_file)),
    "Arrow stream": unjudged("b.arrows", lambda t: arrow(t, pa.ipc.new_stream)),
    "Feather that calls itself Parquet": unjudged(
        "b.parquet", lambda t: written(feather.write_feather, t)
    ),
    "ORC": unjudged("b.orc", lambda t: written(orc.write_table, t)),
    "Avro": unjudged("b.avro", lambda _table: b"Obj\x01\x04\x14avro.codec"),
    "packed JSON lines that call themselves plain": unjudged(
        "b.jsonl", lambda t: gzip.compress(lines(t))
    ),
    "JSON": unjudged("b.json", lambda t: json.dumps(t.to_pylist(), default=str).encode()),
    "text": unjudged("b.txt", csv),
    "tabs": unjudged("b.tsv", lambda t: csv(t).replace(b",", b"\t")),
    "compressed CSV that calls itself CSV": unjudged("b.csv", lambda t: gzip.compress(csv(t))),
    "compressed Parquet": unjudged("b.parquet.gz", lambda t: gzip.compress(parquet(t))),
    "pickle": unjudged("b.pkl", lambda t: pickle.dumps(t.slice(0, 10).to_pylist())),
    "backup of a CSV": unjudged("b.csv.bak", csv),
    "workbook": unjudged("b.xlsx", lambda _table: b"PK\x03\x04\x14\0"),
    "text that calls itself Parquet": unjudged("b.parquet", csv),
    "encrypted": unjudged("b.parquet", lambda t: b"PARE" + parquet(t)[4:-4] + b"PARE"),
    "one file, two tables": unjudged("b.csv", lambda t: csv(t) + parquet(t)),
    "hidden by an underscore": unjudged("_b.parquet", parquet),
    "hidden by a dot": unjudged(".b.parquet", parquet),
    "hidden directory": unjudged("_temporary/0/b.parquet", parquet),
    "hidden directory of a dot": unjudged(".staging/b.parquet", parquet),
    "half copied": unjudged("b.parquet._COPYING_", parquet),
    "marker with a suffix": unjudged("_SUCCESS.parquet", parquet),
    "checksum that is not hidden": unjudged("a.parquet.crc", lambda _table: b"crc\0"),
    "commit of Databricks": unjudged("_committed_42", lambda _table: b'{"added":["a"]}'),
    "empty file": unjudged(".gitkeep", lambda _table: b""),
    "read me": unjudged("README.md", lambda _table: b"Rows of April."),
    "JSON in a directory called metadata": unjudged(
        "metadata/camera.metadata.json", lambda _table: b'{"lens": 35}'
    ),
}

DELTA_LOG = {
    "_delta_log/00000000000000000000.json": b'{"add":{"path":"old.parquet"}}\n',
    "_delta_log/00000000000000000001.json": b'{"remove":{"path":"old.parquet"}}\n',
}
ICEBERG_METADATA = json.dumps(
    {"format-version": 2, "table-uuid": "9c12d441", "snapshots": [{"snapshot-id": 1}]}
).encode()

TABLES = {
    "Delta": ("Delta", DELTA_LOG),
    "Delta below": ("Delta", {f"sales/{name}": log for name, log in DELTA_LOG.items()}),
    "Delta checkpoint": ("Delta", {"_delta_log/00000000000000000001.checkpoint.parquet": b"PAR1"}),
    "Iceberg": (
        "Iceberg",
        {"metadata/v2.metadata.json": b"{}", "metadata/snap-1-1-9c12d441.avro": b"Obj\x01"},
    ),
    "Iceberg, metadata alone": ("Iceberg", {"metadata/00001-9c.metadata.json": ICEBERG_METADATA}),
    "Hudi": ("Hudi", {".hoodie/hoodie.properties": b"hoodie.table.name=t"}),
    "Lance": ("Lance", {"_versions/1.manifest": b"x", "data/0.lance": b"LANC"}),
    "Hugging Face": (
        "Hugging Face",
        {"state.json": b"{}", "dataset_info.json": b"{}", "data-00000-of-00001.arrow": b"ARROW1"},
    ),
    "Hive, transactional": ("Hive", {"delta_0000001_0000001_0000/bucket_00000": b"ORC"}),
}
