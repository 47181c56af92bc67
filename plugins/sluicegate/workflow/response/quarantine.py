"""Set a batch aside with its evidence, and let it back only if it passes the gate."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sluicegate.adapters.policy_file import read_policy
from sluicegate.attest import dsse
from sluicegate.attest.trust import Role
from sluicegate.digest.algorithms import Digest, sha256_bytes
from sluicegate.errors import EvidenceMissing, UnreadableData
from sluicegate.gate.custody import Custody, CustodyChange
from sluicegate.gate.limits import UNLIMITED
from sluicegate.ledger.entry import Kind
from sluicegate.profiling.csv_dialect import UNDECLARED
from sluicegate.workflow.admission.admit import require_admissible
from sluicegate.workflow.evidence.custody import open_quarantine
from sluicegate.workflow.evidence.folder import export_folder
from sluicegate.workflow.evidence.opening import open_evidence
from sluicegate.workflow.judging.gate import gate_source
from sluicegate.workflow.sealing.seal import seal_into_ledger

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sluicegate.attest.keys import Signer
    from sluicegate.workflow.evidence.batch import IssuedVerdict, SealedBatch
    from sluicegate.workflow.evidence.home import SluiceHome
    from sluicegate.workflow.evidence.verified import Evidence
    from sluicegate.workflow.judging.gate import GateSigners
    from sluicegate.workflow.judging.runners import Runner

QUARANTINE: Final = "quarantine"
"""Directory in the home, mode 0700; training must run as another user."""


def quarantine_batch(
    home: SluiceHome,
    evidence: Evidence,
    batch: SealedBatch,
    *,
    reason: str,
    signer: Signer,
    run: Mapping[str, str],
    at: datetime,
    filesystem: Any = None,
) -> Path:
    """Log that a batch may not be trained on, and keep its bytes, seal and reasons.

    The ledger comes first: after a crash the batch is blocked, and a second call copies the bytes.

    Args:
        home: Paths of the installation.
        evidence: Open for appending.
        batch: The sealed batch.
        reason: Why, in words; the reasons of its newest verdict are kept beside it.
        signer: Gate role's key.
        run: Who does it.
        at: Aware UTC.
        filesystem: fsspec file system with credentials, for a batch in an object store.

    Returns:
        The directory that holds the bytes.

    Raises:
        IntegrityError: The bytes are not the sealed ones; the batch is blocked all the same.
        UnreadableData: The bytes cannot be copied; the batch is blocked all the same.
    """
    reasons = (
        (reason, *_reasons(evidence, batch, at=at)) if reason else _reasons(evidence, batch, at=at)
    )
    change = CustodyChange(
        state=Custody.QUARANTINED,
        subjects=batch.subjects,
        reasons=reasons or ("set aside by hand",),
        answers="",
        run=run,
        at=at,
    )
    _append(evidence, batch, Kind.QUARANTINE, change, signer, at=at)
    return _keep(home, evidence, batch, change, filesystem)


def release_batch(
    home: SluiceHome,
    source: str,
    digest: Digest | None,
    *,
    reason: str,
    signers: GateSigners,
    runner: Runner,
    run: Mapping[str, str],
    at: datetime,
) -> IssuedVerdict:
    """Judge a quarantined batch again, and end its quarantine if it may be trained on.

    Args:
        home: Paths of the installation.
        source: Name of the source.
        digest: Identity of the batch; None for the newest.
        reason: Why, in words; when empty, the new verdict is the reason.
        signers: Gate and ledger keys.
        runner: Evaluates the signals.
        run: Who does it.
        at: Aware UTC.

    Raises:
        EvidenceMissing: The batch is not in quarantine.
        GateBlocked: The new verdict does not let it pass either; it stays in quarantine.
    """
    evidence = open_evidence(home, at=at, ledger_signer=signers.ledger)
    batch = batch_of(evidence, source, digest, at=at)
    held = open_quarantine(evidence, source, batch.digest)
    if held is None:
        raise EvidenceMissing(
            "the batch is not in quarantine", locator=f"{source}@{batch.digest.short}"
        )
    policy = read_policy(home.policy)
    issued, _ = gate_source(
        home,
        source,
        signers=signers,
        at=at,
        run=run,
        runner=runner,
        digest=batch.digest,
        policy=policy,
    )
    require_admissible(evidence, policy, issued, at=at)
    change = CustodyChange(
        state=Custody.RELEASED,
        subjects=batch.subjects,
        reasons=(reason or f"verdict {issued.verdict.result} on the same bytes",),
        answers=held.entry.envelope,
        run=run,
        at=at,
    )
    _append(evidence, batch, Kind.RELEASE, change, signers.gate, at=at)
    return issued


def seal_remainder(
    evidence: Evidence,
    batch: SealedBatch,
    rows: Path,
    out: Path,
    *,
    signer: Signer,
    run: Mapping[str, str],
    at: datetime,
    filesystem: Any = None,
) -> tuple[SealedBatch, int]:
    """Write the rows that nobody flagged as a new batch of the source, and seal it.

    Args:
        evidence: Open for appending.
        batch: The batch that was checked.
        rows: The file that ``check --rows`` wrote: a line for each row of the batch, in its order.
        out: Directory to create.
        signer: Source role's key.
        run: Who does it.
        at: Aware UTC.
        filesystem: As `quarantine_batch`.

    Returns:
        The new batch, whose provenance names the old one, and how many rows were left out.

    Raises:
        UnreadableData: The file has another number of rows, flags no row, or flags all of them.
    """
    import pyarrow.parquet as pq

    from sluicegate.workflow.sealing.sealed_rows import batch_table, judged_dialect

    dialect = judged_dialect(evidence, batch, at=at)
    table = batch_table(batch, filesystem, dialect=dialect, limits=UNLIMITED, unjudged=[])
    flagged = _flags(rows)
    n_flagged = sum(flagged)
    if len(flagged) != table.num_rows or not 0 < n_flagged < len(flagged):
        raise UnreadableData(
            "the row report does not fit the batch",
            locator=str(rows),
            expected=f"{table.num_rows} rows, some flagged and some not",
            got=f"{len(flagged)} rows, {n_flagged} flagged",
            next_step="Write it with `sluicegate check --rows` from the same batch.",
        )
    out.mkdir(parents=True)
    pq.write_table(table.filter([not flag for flag in flagged]), out / "remainder.parquet")
    sealed = seal_into_ledger(
        out,
        batch.source,
        evidence=evidence,
        signer=signer,
        at=at,
        run={**run, "quarantined_rows": str(n_flagged)},
        inputs=batch.subjects,
    )
    return sealed, n_flagged


def batch_of(
    evidence: Evidence, source: str, digest: Digest | None, *, at: datetime
) -> SealedBatch:
    """Return a sealed batch: the one with this digest, or the newest.

    Args:
        evidence: Ledger and trust policy.
        source: Name of the source.
        digest: Identity of the batch; None for the newest.
        at: Aware UTC; keys must be valid then.

    Raises:
        EvidenceMissing: It was never sealed.
        VerificationError: The seal does not hold.
    """
    if digest is None:
        return evidence.latest_seal(source, at=at)
    return evidence.seal_of(source, digest, at=at)


def _flags(rows: Path) -> list[bool]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        found: list[bool] = pq.read_table(rows, columns=["flagged"])["flagged"].to_pylist()
    except (OSError, pa.ArrowException, KeyError):
        raise UnreadableData("the row report cannot be read", locator=str(rows)) from None
    if not all(isinstance(flag, bool) for flag in found):
        raise UnreadableData("the row report leaves a row undecided", locator=str(rows))
    return found


def _reasons(evidence: Evidence, batch: SealedBatch, *, at: datetime) -> tuple[str, ...]:
    try:
        issued = evidence.verdict_of(batch.source, batch.digest, at=at)
    except EvidenceMissing:
        return ()
    return tuple(f"{r.result}: {r.message}" for r in issued.verdict.reasons)


def _append(
    evidence: Evidence,
    batch: SealedBatch,
    kind: str,
    change: CustodyChange,
    signer: Signer,
    *,
    at: datetime,
) -> None:
    envelope = dsse.sign(change.to_statement().to_bytes(), signer)
    evidence.require_signed([envelope], Role.GATE, at=at)
    evidence.append(batch.source, batch.digest, [(kind, envelope.to_bytes())])


def _keep(
    home: SluiceHome,
    evidence: Evidence,
    batch: SealedBatch,
    change: CustodyChange,
    filesystem: Any,
) -> Path:
    """Copy bytes that match the seal, whole or not at all."""
    home.require_directory("the bytes of a batch that is set aside")
    root = home.root / QUARANTINE
    kept = root / f"{batch.source}@{batch.digest.hex}"
    if kept.exists():
        return kept
    root.mkdir(mode=0o700, exist_ok=True)
    root.chmod(0o700)
    partial = root / f".{secrets.token_hex(8)}"
    partial.mkdir(mode=0o700)
    try:
        _copy(batch, partial / "data", filesystem)
        export_folder(evidence, batch, partial / "evidence")
        body = sha256_bytes(change.to_statement().to_bytes())
        about = {"reasons": list(change.reasons), "locator": batch.location, "statement": str(body)}
        _write(partial / "reasons.json", json.dumps(about, indent=1, sort_keys=True).encode())
        partial.rename(kept)
    except OSError as error:
        raise UnreadableData(
            "the batch cannot be copied into quarantine",
            locator=batch.location,
            got=error.strerror or type(error).__name__,
            next_step="It is blocked already; run the command again to keep the bytes.",
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return kept


def _copy(batch: SealedBatch, out: Path, filesystem: Any) -> None:
    from sluicegate.workflow.sealing.sealed_rows import batch_table, files_of

    if batch.table is not None:
        import pyarrow.parquet as pq

        out.mkdir(mode=0o700)
        rows = batch_table(batch, filesystem, dialect=UNDECLARED, limits=UNLIMITED)
        pq.write_table(rows, out / "rows.parquet")
        return
    data = files_of(batch, filesystem)
    for entry in batch.manifest.entries:
        # A source that is one file has one entry, named ".".
        name = Path(batch.location).name if entry.path == "." else entry.path
        _write(out / name, data.read_verified(entry))


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
