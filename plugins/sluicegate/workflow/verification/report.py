"""What a verifier demands of evidence, and what it found.

Specified in docs/formats/evidence-folder.md, section "Report".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sluicegate.errors import Outcome, SluicegateError

if TYPE_CHECKING:
    from sluicegate.attest.public_key import PublicKey
    from sluicegate.digest.algorithms import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Demands:
    """What must hold beyond the evidence being consistent in itself.

    Attributes:
        source: Name that the seal must carry; stops evidence of another source.
        remembered_version: Highest version of the source that was ever seen; stops the
            replay of an older batch with its own valid seal.
        ledger: Whether proofs are needed; if not, evidence that was never logged passes.
        post_quantum: Whether every statement needs an ML-DSA-65 signature.
        timestamp_authorities: PEM certificates of the authorities whose timestamps are believed;
            the trust policy's when empty. If there is none at all, timestamps are ignored.
        log: Directory or URL of a copy of the whole log; stops evidence that was taken out.
    """

    source: str | None = None
    remembered_version: int | None = None
    ledger: bool = False
    post_quantum: bool = False
    timestamp_authorities: bytes = b""
    log: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a check has established, if it holds.

    Attributes:
        detail: For a person.
        signers: Keys that signed and count.
        version: Version of the source, if the check is about one.
        time: When the statement was made, as its signer says.
        superseded: Whether it is only told, and decides nothing any more.
        batches: Digests of other batches, if the check is about some.
    """

    detail: str
    signers: tuple[PublicKey, ...] = ()
    version: int | None = None
    time: str = ""
    superseded: bool = False
    batches: tuple[Digest, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportedCheck:
    """One check of the report.

    Attributes:
        check: What was checked.
        error: Why it does not hold, or None.
        found: What was established; if there is an error, only the detail.
    """

    check: str
    error: SluicegateError | None
    found: Found

    @property
    def code(self) -> str:
        """``OK``, or the code of the error."""
        return self.error.code if self.error else "OK"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        found = self.found
        signers = [{"key_id": k.key_id, "algorithm": k.algorithm.value} for k in found.signers]
        return {
            "check": self.check,
            "ok": self.error is None,
            "code": self.code,
            "detail": found.detail,
            **({"signers": signers} if signers else {}),
            **({} if found.version is None else {"version": found.version}),
            **({"time": found.time} if found.time else {}),
            **({"batches": list(map(str, found.batches))} if found.batches else {}),
            **({"superseded": True} if found.superseded else {}),
        }

    def to_row(self) -> tuple[str, ...]:
        """Return the cells of `HEADER`."""
        found = self.found
        keys = " ".join(f"{key.short}/{key.algorithm.value}" for key in found.signers)
        version = "-" if found.version is None else str(found.version)
        return self.check, self.code, version, found.time or "-", keys or "-", found.detail


HEADER = ("CHECK", "RESULT", "VERSION", "TIME", "SIGNED BY", "DETAIL")


@dataclass(frozen=True, slots=True)
class Report:
    """All findings of one verification."""

    source: str
    digest: str
    findings: tuple[ReportedCheck, ...]

    @property
    def gravest(self) -> SluicegateError | None:
        """The gravest error, or None: checked and bad outweighs could not check."""
        errors = [finding.error for finding in self.findings if finding.error]
        order = (Outcome.CHECKED_AND_BAD, Outcome.CALLED_WRONGLY, Outcome.COULD_NOT_CHECK)
        return min(errors, key=lambda error: order.index(error.outcome), default=None)

    @property
    def exit_code(self) -> int:
        """0 valid, otherwise the outcome of the gravest error."""
        return 0 if self.gravest is None else self.gravest.outcome.value

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "source": self.source,
            "digest": self.digest,
            "valid": self.gravest is None,
            "code": "OK" if self.gravest is None else self.gravest.code,
            "findings": [finding.to_dict() for finding in self.findings],
        }
