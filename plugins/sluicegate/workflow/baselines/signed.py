"""The directory of a baseline: write it, signed or not, and read it back.

It holds ``baseline.json``: canonical bytes, no raw rows. If the baseline is signed, it also holds
``baseline.intoto.json``. This statement of the baseline role says which bytes are meant, which
batches they came from, and until when they may judge others.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sluicegate import __version__
from sluicegate.adapters.files.named_file import read_named, write_named
from sluicegate.attest import dsse
from sluicegate.attest.dsse import Envelope
from sluicegate.attest.predicates import BASELINE
from sluicegate.attest.statement import Statement, Subject
from sluicegate.attest.timestamps import format_timestamp, parse_timestamp
from sluicegate.attest.trust import Role, TrustPolicy
from sluicegate.digest.algorithms import Digest, sha256_bytes
from sluicegate.errors import (
    BadProof,
    DigestMismatch,
    EvidenceMissing,
    Expired,
    MalformedEnvelope,
)
from sluicegate.gate.limits import DEFAULT
from sluicegate.workflow.baselines.unsigned import BASELINE_FILE, read_body

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import pyarrow as pa

    from sluicegate.attest.keys import Signer
    from sluicegate.gate.limits import Limits
    from sluicegate.profiling.schema import BatchSchema
    from sluicegate.signals.baseline.rehearsal import Obstacle
    from sluicegate.signals.baseline.stored import Baseline

STATEMENT_FILE = "baseline.intoto.json"


@dataclass(frozen=True, slots=True)
class SignedBaseline:
    """A baseline whose signature was verified.

    Attributes:
        baseline: The parsed baseline.
        inputs: Digests of the batches it was built from.
        envelope: Exact bytes of the signed statement.
        promoted: Whether a promotion in the ledger put it in force.
    """

    baseline: Baseline
    inputs: frozenset[str]
    envelope: bytes
    promoted: bool = False


def write_baseline(
    data: Iterable[str | Path],
    schema: BatchSchema,
    *,
    out: Path,
    at: datetime,
    golden: str | Path | None = None,
    source: str = "",
    signer: Signer | None = None,
    ttl: timedelta = timedelta(days=365),
    seed: int = 0,
    limits: Limits = DEFAULT,
    obstacles: list[Obstacle] | None = None,
) -> Baseline:
    """Build a baseline from trusted data and write it, signed if there is a signer.

    Args:
        data: Locations of files or rows (docs/sources.md), each one batch.
        schema: Roles of the columns.
        out: Directory to write; existing files in it are replaced.
        at: Aware UTC; when it is built.
        golden: Held-out trusted data; the baseline finds its rows in later batches.
        source: Name of the source whose batches it will judge; needed to sign.
        signer: Holds the baseline role's key.
        ttl: How long the baseline may judge.
        seed: Seed of every random choice, so that a rebuild gives the same bytes.
        limits: How much may be decoded of each batch.
        obstacles: If given, what no batch could pass is added to it: the baseline's own rows are
            judged once.

    Returns:
        The baseline.

    Raises:
        UnreadableData: A file cannot be read, or no reader knows it: unread rows are not trusted.

    Cost:
        One pass over the data to count, and then the calibration by resampling.
    """
    from sluicegate.adapters.files.promotion import as_one
    from sluicegate.adapters.sources.tables import open_table
    from sluicegate.signals.baseline.build import build_baseline

    parts = [
        (str(locator), list(open_table(locator, limits=limits, dialect=schema.csv)))
        for locator in data
    ]
    rows = list(as_one(parts))
    baseline = build_baseline(
        rows,
        schema,
        created=at,
        seed=seed,
        golden=None if golden is None else open_table(golden, limits=limits, dialect=schema.csv),
        valid_for=ttl,  # the file and the statement about it must not expire at two times
    )
    if obstacles is not None:
        from sluicegate.signals.baseline.rehearsal import rehearse

        obstacles += rehearse(baseline, rows)
    out.mkdir(parents=True, exist_ok=True)
    body = baseline.to_bytes()
    write_named(out / BASELINE_FILE, body, "the baseline cannot be written")
    if signer is not None:
        statement = Statement(
            subjects=(Subject(f"baseline:{source}", {"sha256": sha256_bytes(body).hex}),),
            predicate_type=BASELINE,
            predicate={
                "source": source,
                "inputs": sorted(_identity(*part) for part in parts),
                "rows": baseline.n_rows,
                "created": format_timestamp(at),
                "expires": format_timestamp(at + ttl),
                "codeVersion": __version__,
            },
        )
        signed = dsse.sign(statement.to_bytes(), signer).to_bytes()
        write_named(out / STATEMENT_FILE, signed, "the baseline's statement cannot be written")
    return baseline


def _identity(locator: str, batches: list[pa.RecordBatch]) -> str:
    """Return the digest that a seal of the same batch names: of its files, or of its rows."""
    from sluicegate.adapters.sources.open import open_source
    from sluicegate.adapters.sources.rows import is_rows

    if not is_rows(locator):
        return str(open_source(locator).manifest().digest)
    from sluicegate.adapters.engines.table_commitment import commit_batches

    return str(commit_batches(iter(batches), locator=locator).digest)


def read_signed_baseline(
    directory: Path, source: str, trust: TrustPolicy, *, at: datetime
) -> SignedBaseline:
    """Read and verify the baseline that judges ``source``.

    Args:
        directory: Where ``build`` wrote it.
        source: Name of the source about to be judged.
        trust: Names the baseline role's keys.
        at: Aware UTC.

    Raises:
        EvidenceMissing: There is no signed statement.
        VerificationError: Signature, role or source do not fit, or the baseline has expired.
        DigestMismatch: The file is not the one that was signed.
    """
    statement_path = directory / STATEMENT_FILE
    envelope = read_named(
        statement_path,
        "the baseline is not there, or not signed",
        error=EvidenceMissing,
        next_step="Check the name of the source, or run `sluicegate baseline build --key`.",
    )
    where = str(statement_path)
    statement = trust.verify(
        Envelope.from_bytes(envelope, locator=where), Role.BASELINE, at=at, locator=where
    )
    inputs = _require_bound(statement, source, at=at, where=where)
    body_path = directory / BASELINE_FILE
    body = read_body(body_path)
    signed = Digest("sha256", statement.subjects[0].digest.get("sha256", ""))
    if sha256_bytes(body) != signed:
        raise DigestMismatch(
            "the baseline is not the one that was signed",
            locator=str(body_path),
            expected=signed.short,
            got=sha256_bytes(body).short,
            next_step="Restore the signed baseline, or build and sign it again.",
        )
    from sluicegate.signals.baseline.stored import Baseline

    return SignedBaseline(Baseline.from_bytes(body, locator=str(body_path)), inputs, envelope)


def _require_bound(
    statement: Statement, source: str, *, at: datetime, where: str
) -> frozenset[str]:
    try:
        named = str(statement.predicate["source"])
        expires = parse_timestamp(statement.predicate["expires"])
        inputs = frozenset(str(item) for item in statement.predicate["inputs"])
    except (KeyError, TypeError, ValueError) as error:
        raise MalformedEnvelope("not a baseline statement", locator=where) from error
    if named != source:
        raise BadProof(
            "the baseline was signed for another source",
            locator=where,
            expected=source,
            got=named,
        )
    if at >= expires:
        raise Expired(
            "the baseline has expired",
            locator=where,
            expected=f"use before {format_timestamp(expires)}",
            got=format_timestamp(at),
            next_step="Build and sign a new baseline from recent PASSED batches.",
        )
    return inputs
