"""Whether the sealed bytes are still there. No other part of the audit reads data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.adapters.sources.open import open_source
from sluicegate.digest.manifest import require_same
from sluicegate.errors import IntegrityError, SluicegateError
from sluicegate.workflow.auditing.findings import AuditFinding
from sluicegate.workflow.sealing.sealed_rows import files_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from sluicegate.attest.sealed_table import SealedTable
    from sluicegate.workflow.evidence.verified import Evidence


def data_findings(
    evidence: Evidence, *, at: datetime, places: Mapping[str, str | Path] | None = None
) -> Iterator[AuditFinding]:
    """Hash the newest sealed batch of every source again, and yield what differs.

    Args:
        evidence: Open ledger and trust policy.
        at: Aware UTC.
        places: Path or URL where a source lies now, if not where it was sealed.

    Cost: one read of all bytes of those batches.
    """
    sources = {record.entry.source for record in evidence.ledger.find("provenance")}
    for source in sorted(sources):
        try:
            batch = evidence.latest_seal(source, at=at)
        except SluicegateError:
            continue  # a seal that does not verify is a finding of the statement audit
        place = (places or {}).get(source)
        where = f"{source}@{batch.digest.short} in {place or batch.location}"
        try:
            if batch.table is None:
                data = files_of(batch) if place is None else open_source(place, follow=False)
                found = data.manifest(batch.manifest.algorithm)
                require_same(batch.manifest, found, locator=data.location)
            else:
                _verify_rows(batch.table, batch.location)
        except IntegrityError as error:
            yield AuditFinding("DATA_CHANGED", where, str(error))
        except SluicegateError as error:
            yield AuditFinding("DATA_MISSING", where, str(error))


def _verify_rows(table: SealedTable, locator: str) -> None:
    from sluicegate.adapters.engines.table_commitment import commit_batches
    from sluicegate.workflow.sealing.sealed_rows import require_same_rows, rows_of

    found = commit_batches(rows_of(locator, unjudged=[]), locator=locator)
    require_same_rows(table, found, locator=locator)
