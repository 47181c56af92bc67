"""Export a policy's contributor limits as weights with which training draws rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.adapters.files.named_file import writing
from sluicegate.errors import ConfigError, SchemaMismatch
from sluicegate.gate.promotion import Lane
from sluicegate.workflow.baselines.in_force import baselines_in_force
from sluicegate.workflow.sealing.sealed_rows import batch_table, judged_dialect

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from sluicegate.gate.policy import Policy
    from sluicegate.workflow.evidence.home import SluiceHome
    from sluicegate.workflow.evidence.verified import Evidence


def write_weights(
    home: SluiceHome, evidence: Evidence, policy: Policy, source: str, out: Path, *, at: datetime
) -> tuple[int, int]:
    """Write a weight for each row of the newest sealed batch, in the order of its rows.

    Args:
        home: Paths of the installation.
        evidence: Open ledger and trust policy.
        policy: The policy; its section ``contributors`` for the source counts.
        source: Name of the source.
        out: Parquet file to write: ``id`` if the schema names one, and ``weight`` in (0, 1].
        at: Aware UTC.

    Returns:
        Number of rows, and number of rows that weigh less than 1.

    Raises:
        ConfigError: The policy sets no limits for the source, or the file exists.
        SchemaMismatch: The batch has no contributor column.

    Cost: one verified read of the batch.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from sluicegate.signals.contributors.limits import sampling_weights

    limits = policy.for_source(source).contributors
    if limits is None or out.exists():
        what = "the policy sets no contributor limits" if limits is None else "the file exists"
        raise ConfigError(what, locator=source if limits is None else str(out))
    baseline = baselines_in_force(home, evidence, source, at=at)[Lane.ANCHORED].baseline
    newest = evidence.latest_seal(source, at=at)
    table = batch_table(
        newest,
        dialect=judged_dialect(evidence, newest, at=at),
        limits=policy.for_source(source).limits,
        unjudged=[],
    )
    if baseline.schema.contributor not in table.schema.names:
        raise SchemaMismatch(
            "nothing says who delivered a row, so no row can weigh less",
            locator=f"{source}: {baseline.schema.contributor or 'contributor'}",
            expected="a contributor column in schema and batch",
        )
    weights = sampling_weights(table, baseline.schema, baseline.known_contributors, limits)
    name = baseline.schema.id
    ids = {"id": table.column(name)} if name in table.schema.names else {}
    with writing(out, "the weights cannot be written") as draft:
        pq.write_table(pa.table({**ids, "weight": pa.array(weights, pa.float64())}), draft)
    return len(weights), sum(weight < 1 for weight in weights)
