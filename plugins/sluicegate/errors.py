"""Every error Sluicegate raises, with a stable code and one of three outcomes.

    SluicegateError
    ├── ConfigError            called wrongly: a setting, policy, key or argument is unusable
    ├── DataError              could not check: there is nothing to judge, or too little
    │   ├── UnreadableData         missing, truncated, empty, or not the declared format
    │   ├── InsufficientData       fewer rows than the question needs
    │   └── SchemaMismatch         the data cannot be compared with its baseline at all
    ├── EvidenceMissing        could not check: a required attestation is not there
    ├── IntegrityError         checked and bad: bytes are not the ones that were sealed
    │   ├── DigestMismatch
    │   ├── ManifestMismatch
    │   ├── UnsafePath             a name or file kind that no manifest may hold
    │   └── ChangedDuringRead
    ├── VerificationError      checked and bad: evidence does not prove what it claims
    │   ├── MalformedEnvelope
    │   ├── BadSignature
    │   ├── UntrustedKey
    │   ├── BadProof
    │   ├── Expired
    │   └── Rollback
    ├── LedgerError            could not check: the ledger cannot be read or written
    │   ├── LedgerConflict         another writer was first; carries the size it left
    │   └── LedgerCorrupt          checked and bad: the log contradicts itself
    ├── GateBlocked            checked and bad: the verdict forbids training
    │   └── Quarantined            somebody set the batch aside
    ├── SystemTrouble          could not check: disk, memory, permission, connection
    └── InternalError          could not check: an error that nobody expected

"Checked and bad", "could not check" and "called wrongly" never share a class, because
the three need three different people: security, operations and the caller.
Each class has an exit code of its own beside that of its outcome: 10 to 39 for checked and bad,
40 to 59 for could not check, 64 for called wrongly. Messages name the locator, what was expected,
what was found and the next step. They never hold row values or secrets.
"""

from __future__ import annotations

from enum import Enum
from typing import ClassVar

from sluicegate.credentials import without_credentials
from sluicegate.untrusted import visible


class Outcome(Enum):
    """What an error says about the data; the value is the process exit code."""

    CHECKED_AND_BAD = 1
    COULD_NOT_CHECK = 2
    CALLED_WRONGLY = 64


class SluicegateError(Exception):
    """Base of all errors.

    Args:
        what: One clause that says what failed.
        locator: Path, URI, field or ledger index the error is about.
        expected: What should have been there.
        got: What was there instead; digests are cut to 12 hex digits by the caller.
        next_step: What a person should do now.

    Attributes:
        code: Stable name; every class has its own.
        own_exit_code: Stable number, as distinct as the name; ``verify --exit-by-code``.
        outcome: What the error says about the data; its value is the usual exit code.
    """

    code: ClassVar[str] = "ERROR"
    own_exit_code: ClassVar[int] = 40
    outcome: ClassVar[Outcome] = Outcome.COULD_NOT_CHECK

    def __init__(
        self,
        what: str,
        *,
        locator: str = "",
        expected: str = "",
        got: str = "",
        next_step: str = "",
    ) -> None:
        # Nobody means to show a password, and people forget that an address may hold one.
        self.what = without_credentials(what)
        self.locator = without_credentials(locator)
        self.expected = without_credentials(expected)
        self.got = without_credentials(got)
        self.next_step = without_credentials(next_step)
        super().__init__(self._text())

    def _text(self) -> str:
        # Every part may hold a name from data: of a column, a file, a contributor.
        parts = (self.locator, self.what, self.expected, self.got, self.next_step)
        locator, what, expected, got, next_step = map(visible, parts)
        head = f"{locator}: {what}" if locator else what
        facts = ", ".join(
            f"{label} {value}" for label, value in (("expected", expected), ("got", got)) if value
        )
        text = f"[{self.code}] {head}" + (f": {facts}" if facts else "")
        return f"{text.removesuffix('.')}. {next_step}" if next_step else text

    def to_dict(self) -> dict[str, str]:
        """Return the error as flat JSON for `--json` output."""
        return {
            "code": self.code,
            "outcome": self.outcome.name,
            "locator": self.locator,
            "what": self.what,
            "expected": self.expected,
            "got": self.got,
            "next_step": self.next_step,
        }


class ConfigError(SluicegateError):
    """A setting, policy, key or argument is unusable."""

    code = "CONFIG"
    own_exit_code = 64
    outcome = Outcome.CALLED_WRONGLY


class DataError(SluicegateError):
    """There is nothing to judge, or too little of it."""

    code = "DATA"
    own_exit_code = 41


class UnreadableData(DataError):
    """Data is missing, truncated, empty, or not in the declared format."""

    code = "DATA_UNREADABLE"
    own_exit_code = 42


class InsufficientData(DataError):
    """Fewer rows than the question needs."""

    code = "DATA_INSUFFICIENT"
    own_exit_code = 43


class SchemaMismatch(DataError):
    """The data cannot be compared with its baseline at all."""

    code = "DATA_SCHEMA"
    own_exit_code = 44


class EvidenceMissing(SluicegateError):
    """A required attestation is not there."""

    code = "EVIDENCE_MISSING"
    own_exit_code = 45


class IntegrityError(SluicegateError):
    """Bytes are not the ones that were sealed."""

    code = "INTEGRITY"
    own_exit_code = 10
    outcome = Outcome.CHECKED_AND_BAD


class DigestMismatch(IntegrityError):
    """One file or object has another digest than its manifest says."""

    code = "DIGEST_MISMATCH"
    own_exit_code = 11


class ManifestMismatch(IntegrityError):
    """Files were added, removed, renamed or changed."""

    code = "MANIFEST_MISMATCH"
    own_exit_code = 12


class UnsafePath(IntegrityError):
    """A name or kind of file that no manifest may hold."""

    code = "UNSAFE_PATH"
    own_exit_code = 13


class ChangedDuringRead(IntegrityError):
    """A file changed while it was read."""

    code = "CHANGED_DURING_READ"
    own_exit_code = 14


class VerificationError(SluicegateError):
    """Evidence does not prove what it claims."""

    code = "VERIFICATION"
    own_exit_code = 20
    outcome = Outcome.CHECKED_AND_BAD


class MalformedEnvelope(VerificationError):
    """Evidence is not in its specified format."""

    code = "MALFORMED"
    own_exit_code = 21


class BadSignature(VerificationError):
    """A signature does not match the bytes it stands on."""

    code = "BAD_SIGNATURE"
    own_exit_code = 22


class UntrustedKey(VerificationError):
    """The trust policy does not let this key sign this."""

    code = "UNTRUSTED_KEY"
    own_exit_code = 23


class BadProof(VerificationError):
    """A Merkle proof or checkpoint does not hold."""

    code = "BAD_PROOF"
    own_exit_code = 24


class Expired(VerificationError):
    """Evidence was valid once and is not any more, or is not yet."""

    code = "EXPIRED"
    own_exit_code = 25


class Rollback(VerificationError):
    """Older evidence or a smaller ledger is presented as current."""

    code = "ROLLBACK"
    own_exit_code = 26


class LedgerError(SluicegateError):
    """The ledger cannot be read or written."""

    code = "LEDGER"
    own_exit_code = 46


class LedgerConflict(LedgerError):
    """Another writer was first.

    Args:
        known_size: Number of leaves the store holds now.
        what: One clause that says what failed.
        locator: Path or URL of the store.
    """

    code = "LEDGER_CONFLICT"
    own_exit_code = 47

    def __init__(self, known_size: int, what: str, *, locator: str = "") -> None:
        self.known_size = known_size
        super().__init__(what, locator=locator, got=f"size {known_size}")


class LedgerCorrupt(LedgerError):
    """The log contradicts itself."""

    code = "LEDGER_CORRUPT"
    own_exit_code = 30
    outcome = Outcome.CHECKED_AND_BAD


class GateBlocked(SluicegateError):
    """The verdict forbids training.

    Args:
        verdict: The verdict that blocks; typed as object so that this module stays a leaf.
        what: One clause that says what failed.
        locator: Source and digest the verdict is about.
        next_step: What a person should do now.
    """

    code = "GATE_BLOCKED"
    own_exit_code = 31
    outcome = Outcome.CHECKED_AND_BAD

    def __init__(
        self, verdict: object, what: str, *, locator: str = "", next_step: str = ""
    ) -> None:
        self.verdict = verdict
        super().__init__(what, locator=locator, next_step=next_step)


class Quarantined(GateBlocked):
    """The batch was set aside, and no release lets it back."""

    code = "QUARANTINED"
    own_exit_code = 32


class SystemTrouble(SluicegateError):
    """Disk, memory, permission or connection failed."""

    code = "SYSTEM"
    own_exit_code = 58


class InternalError(SluicegateError):
    """An error that nobody expected; nothing was decided."""

    code = "INTERNAL"
    own_exit_code = 59
