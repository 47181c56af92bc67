"""Write everything about a batch into a folder, for somebody who trusts nobody.

OUT/seal.sigstore.json, evidence.intoto.jsonl, proofs/   as `sluicegate verify` reads them
OUT/checkpoint        newest signed checkpoint of the ledger
OUT/trust.json        trust policy in force: a copy for convenience, not to be trusted
OUT/policy.yaml       the gate policy that the test result keeps
OUT/controls.json     optional: which control each artefact is evidence for
OUT/model.cdx.json    optional: CycloneDX ML-BOM
OUT/openlineage.json  optional: OpenLineage event
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sluicegate.adapters.files.named_file import write_named
from sluicegate.digest.algorithms import Digest, sha256_bytes
from sluicegate.errors import ConfigError, EvidenceMissing, VerificationError
from sluicegate.gate.verdict import policy_from_test_result
from sluicegate.ledger.entry import Kind
from sluicegate.workflow.auditing.leaves import EXPECTED
from sluicegate.workflow.evidence.folder import WAIVERS_FILE, export_folder, read_folder
from sluicegate.workflow.exporting.bill_of_materials import ModelFile, ml_bom, openlineage_event
from sluicegate.workflow.exporting.control_report import control_report
from sluicegate.workflow.verification.lines import of_kind, read_lines

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from sluicegate.workflow.evidence.batch import IssuedVerdict, SealedBatch
    from sluicegate.workflow.evidence.verified import Evidence

CHECKPOINT_FILE = "checkpoint"
TRUST_FILE = "trust.json"
POLICY_FILE = "policy.yaml"
CONTROLS_FILE = "controls.json"
MLBOM_FILE = "model.cdx.json"
OPENLINEAGE_FILE = "openlineage.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What an export holds beside the evidence itself. All of it is derived from the evidence.

    Attributes:
        controls: Whether to write the control report.
        mlbom: Whether to write the ML-BOM.
        openlineage: Whether to write the OpenLineage event.
        model: Model file to name in the ML-BOM.
    """

    controls: bool = False
    mlbom: bool = False
    openlineage: bool = False
    model: Path | None = None


def find_batch(
    evidence: Evidence, *, at: datetime, source: str = "", digest: str = "", verdict: str = ""
) -> SealedBatch:
    """Return the batch to export.

    Args:
        evidence: Open ledger and trust policy.
        at: Aware UTC.
        source: Name of the source; its newest batch unless ``digest`` is given.
        digest: Identity of the exact batch.
        verdict: Digest of the envelope of a verdict, as a model card keeps it. It replaces both.

    Raises:
        ConfigError: Neither a source nor a verdict is named.
        EvidenceMissing: There is no such verdict or batch.
    """
    if verdict:
        record = evidence.ledger.by_envelope(verdict)
        if record is None or record.entry.kind != "verdict":
            raise EvidenceMissing("the ledger holds no such verdict", locator=verdict[:19])
        source, digest = record.entry.source, record.entry.subject
    if not source:
        raise ConfigError("nothing says what to export", expected="a source or a verdict")
    if digest:
        return evidence.seal_of(source, Digest.parse(digest), at=at)
    return evidence.latest_seal(source, at=at)


def export_run(
    evidence: Evidence,
    batch: SealedBatch,
    out: Path,
    *,
    at: datetime,
    extras: Extras,
) -> list[str]:
    """Write the evidence of one batch.

    Args:
        evidence: Open ledger and trust policy.
        batch: The batch, verified.
        out: Directory to write; must not hold evidence yet.
        at: Aware UTC; derived files name the verdict only if its signer is valid then.
        extras: Which derived files to add.

    Returns:
        Names of the files, sorted.

    Raises:
        ConfigError: ``out`` holds evidence already, or the model cannot be read.
    """
    model = None if extras.model is None else _model(extras.model)
    export_folder(evidence, batch, out)
    (out / CHECKPOINT_FILE).write_bytes(evidence.ledger.checkpoint())
    (out / TRUST_FILE).write_bytes(evidence.pinned.to_bytes())
    issued = _verdict(evidence, batch, at)
    lines = {line.name: line for line in read_lines(read_folder(out))}
    named = lines.get(issued.test_result) if issued else None
    policy = policy_from_test_result(named.claimed) if named and named.claimed else None
    if policy is not None:
        (out / POLICY_FILE).write_bytes(policy)
    if extras.openlineage and issued is not None:
        _write(out / OPENLINEAGE_FILE, openlineage_event(batch, issued))
    if extras.mlbom or model is not None:
        _write(out / MLBOM_FILE, ml_bom(batch, issued, model))
    if extras.controls:
        batched = str(batch.digest)
        present = {kind for kind in EXPECTED if of_kind(lines.values(), Kind(kind), batched)}
        present |= {"seal", "proof"} | ({"waiver"} if (out / WAIVERS_FILE).exists() else set())
        present |= {"mlbom"} if (out / MLBOM_FILE).exists() else set()
        _write(out / CONTROLS_FILE, control_report(present, f"{batch.source}@{batch.digest}"))
    return sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())


def write_archive(folder: Path, archive: Path) -> Digest:
    """Pack a folder so that the same files always give the same bytes.

    Names are sorted. Owner, mode and time are fixed, because none of them is evidence.

    Args:
        folder: Folder that `export_run` wrote.
        archive: File to write, ``.tar.gz``.

    Returns:
        SHA-256 of the archive.

    Raises:
        ConfigError: The archive exists already.
    """
    if archive.exists():
        raise ConfigError("the archive exists already", locator=str(archive))
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", filename="", mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in sorted(folder.rglob("*"), key=lambda item: item.relative_to(folder).as_posix()):
            if path.is_file():
                data = path.read_bytes()
                info = tarfile.TarInfo(f"evidence/{path.relative_to(folder).as_posix()}")
                info.size, info.mode = len(data), 0o644
                tar.addfile(info, io.BytesIO(data))
    write_named(archive, packed.getvalue(), "the archive cannot be written")
    return sha256_bytes(packed.getvalue())


def _verdict(evidence: Evidence, batch: SealedBatch, at: datetime) -> IssuedVerdict | None:
    try:
        return evidence.verdict_of(batch.source, batch.digest, at=at)
    except (EvidenceMissing, VerificationError):
        return None  # never judged, or it counts no longer; all other evidence is exported


def _model(path: Path) -> ModelFile:
    try:
        return ModelFile(path.name, sha256_bytes(path.read_bytes()))
    except OSError as error:
        raise ConfigError(
            "the model cannot be read",
            locator=str(path),
            got=error.strerror or type(error).__name__,
        ) from error


def _write(path: Path, value: Any) -> None:
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
