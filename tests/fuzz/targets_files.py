"""Parsers of what describes data: manifests, tables, profiles, baselines, schemas and suites."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tests.fuzz.target import Target

from sluicegate.adapters.files.declared import DeclaredSchema
from sluicegate.adapters.files.table_files import TableFiles
from sluicegate.adapters.gx.suite import load_suite
from sluicegate.adapters.policy_file import load_yaml
from sluicegate.adapters.reports.check_history import TYPE, parse_check
from sluicegate.adapters.sources.rows import open_rows
from sluicegate.adapters.sources.text_rows import CsvRows, JsonLinesRows
from sluicegate.digest import canonical
from sluicegate.digest.algorithms import sha256_bytes
from sluicegate.digest.incremental import ScanState
from sluicegate.digest.manifest import FileEntry, Manifest
from sluicegate.digest.merkle_manifest import MerkleManifest, Part
from sluicegate.profiling.columns import infer_column
from sluicegate.profiling.counts import Profile
from sluicegate.profiling.csv_dialect import CsvDialect
from sluicegate.profiling.layout import Layout
from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.baseline.build import Baseline, build_baseline
from sluicegate.tables.row_schema import TableSchema
from sluicegate.tables.sketch import Sketch
from sluicegate.tables.table_digest import TableDigest

_MANIFEST = Manifest.from_entries([FileEntry("a/b", sha256_bytes(b"1"), 1)])
_MERKLE = MerkleManifest(_MANIFEST.digest, 1, (Part("a/b", sha256_bytes(b"1"), 1),))
_STATE = ScanState(_MANIFEST.digest, {"a/b": (1, 2, 3, 4, 5)})
_ROWS = pa.table({"x": [0.5, 1.5, None] * 80, "kind": ["a", "b", None] * 80})
_SCHEMA = BatchSchema()
_LAYOUT = Layout(
    tuple(infer_column(n, _ROWS[n], role=_SCHEMA.role(n)) for n in _ROWS.column_names), _SCHEMA
)
_BASELINE = build_baseline(
    _ROWS.to_batches(), _SCHEMA, created=datetime(2026, 3, 1, tzinfo=UTC), seed=1
)
_DIGEST = TableDigest(TableSchema(("a",), ("int",))).update(np.ones((1, 32), np.uint8))
_DECLARED = DeclaredSchema.of({"a": "int64", "b": "string", "c": "decimal(5,2)", "d": "timestamp"})
_SUITE = Path(__file__).parents[2] / "expectations" / "tabular.json"
_CHECK = canonical.dumps(
    {
        "type": TYPE, "baseline": str(_BASELINE.digest), "policy": None, "verdict": "PASSED",
        "batch_score": 0.0, "n_rows": 1, "reasons": [],
        "signals": [{"code": "LABEL_FLIPS", "status": "PASSED", "evidence": {"sequence": [
            {"subject": "y", "level": 1, "effect": 0.1, "own_error": 0.1, "shared_error": 0.1,
             "p_value": 0.5},
        ]}}],
    }
)  # fmt: skip


def _merkle(data: bytes) -> MerkleManifest:
    return MerkleManifest.from_json(canonical.loads(data, locator="x"), locator="x")


def _state(data: bytes) -> ScanState:
    return ScanState.from_json(canonical.loads(data, locator="x"), locator="x")


def _columns(data: bytes) -> TableSchema:
    return TableSchema.from_json(canonical.loads(data, locator="x"), locator="x")


def _parquet() -> bytes:
    out = io.BytesIO()
    pq.write_table(_ROWS.slice(0, 3), out)
    return out.getvalue()


def _lists() -> bytes:
    out = io.BytesIO()
    pq.write_table(
        pa.table({"id": [1, 2, 3], "v": [[1, 2], [3], None], "s": ["a", "b", None]}), out
    )
    return out.getvalue()


def _rows(name: str, seed: bytes) -> Target:
    return Target(lambda data: list(TableFiles("x").rows_of(name, data)), seed)


FILES = {
    "merkle manifest": Target(
        _merkle,
        canonical.dumps(_MERKLE.to_json()),
        lambda data: canonical.dumps(_merkle(data).to_json()),
    ),
    "scan state": Target(
        _state,
        canonical.dumps(_STATE.to_json()),
        lambda data: canonical.dumps(_state(data).to_json()),
    ),
    "columns": Target(
        _columns,
        b'[["a","int"],["b",["list","string"]]]',
        lambda data: canonical.dumps(_columns(data).to_json()),
    ),
    "table digest": Target(
        lambda data: TableDigest.from_bytes(data, locator="x"),
        _DIGEST.to_bytes(),
        lambda data: TableDigest.from_bytes(data, locator="x").to_bytes(),
    ),
    "table difference": Target(
        lambda data: Sketch.from_text(data.decode("latin-1"), 96, locator="x"),
        Sketch(96).to_text().encode(),
        lambda data: Sketch.from_text(data.decode("latin-1"), 96, locator="x").to_text().encode(),
    ),
    "profile": Target(
        lambda data: Profile.from_bytes(data, _LAYOUT),
        Profile.of(_LAYOUT, _ROWS.to_batches()).to_bytes(),
        lambda data: Profile.from_bytes(data, _LAYOUT).to_bytes(),
    ),
    "baseline": Target(
        Baseline.from_bytes,
        _BASELINE.to_bytes(),
        lambda data: Baseline.from_bytes(data).to_bytes(),
    ),
    "schema": Target(
        lambda data: BatchSchema.from_mapping(load_yaml(data, locator="x")),
        b"id: a\nlabel: y\ntext: [note]\n",
    ),
    "suite": Target(load_suite, _SUITE.read_bytes()),
    "check": Target(lambda data: parse_check(data, "x", _BASELINE.digest), _CHECK),
    "row locator": Target(
        lambda data: open_rows(data.decode("utf-8", "surrogateescape")),
        b'csv:/data/x.csv#{"id":"int64"}',
    ),
    "declared csv": Target(
        lambda data: list(CsvRows(data, _DECLARED, "x").batches()),
        b"a,b,c,d\n1,x,1.25,2026-03-01T12:00:00Z\n",
    ),
    "declared json lines": Target(
        lambda data: list(JsonLinesRows(data, _DECLARED, "x").batches()),
        b'{"a":1,"b":"x","c":"1.25","d":"2026-03-01T12:00:00Z"}\n',
    ),
    "parquet": _rows("x.parquet", _parquet()),
    "parquet with lists": _rows("x.parquet", _lists()),
    "csv": _rows("x.csv", b"x,kind\n0.5,a\n"),
    "json lines": _rows(
        "x.jsonl", b'{"x":0.5,"at":"2026-03-01T12:00:00Z","v":[{"k":[]}]}\n{"x":1,"on":null}\n'
    ),
    "verdict's dialect": Target(
        lambda data: CsvDialect.from_mapping(canonical.loads(data, locator="x"), locator="x"),
        canonical.dumps({"columns": [["b", "int64"], ["a", "string"]], "missing": ["-"]}),
        lambda data: canonical.dumps(
            CsvDialect.from_mapping(canonical.loads(data, locator="x"), locator="x").to_json()
        ),
    ),
}
