"""A baseline and the statement about it expire at one time, whatever validity was asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sluicegate.attest.dsse import Envelope
from sluicegate.attest.keys import Algorithm, generate
from sluicegate.attest.statement import Statement
from sluicegate.attest.timestamps import parse_timestamp
from sluicegate.profiling.schema import BatchSchema
from sluicegate.workflow.baselines.signed import STATEMENT_FILE, write_baseline

if TYPE_CHECKING:
    from pathlib import Path

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_baseline_and_its_statement_expire_together(tmp_path: Path):
    values = np.random.default_rng(0).normal(size=400)
    pq.write_table(pa.table({"x": values}), tmp_path / "trusted.parquet")
    ttl = timedelta(days=7)
    baseline = write_baseline(
        [tmp_path / "trusted.parquet"],
        BatchSchema(),
        out=tmp_path / "baseline",
        at=AT,
        source="src",
        signer=generate(Algorithm.ED25519),
        ttl=ttl,
    )
    envelope = Envelope.from_bytes((tmp_path / "baseline" / STATEMENT_FILE).read_bytes())
    signed = Statement.from_bytes(envelope.payload).predicate["expires"]
    assert baseline.expires == parse_timestamp(signed) == AT + ttl
