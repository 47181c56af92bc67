"""What an audit can find: stable codes, the severity of each, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class Severity(StrEnum):
    """How much of the evidence a finding takes away."""

    HIGH = "high"
    """Evidence was edited, or a model was trained on data that nobody let through."""
    MEDIUM = "medium"
    """Somebody stepped around a rule, or weakened one; a person must explain it."""
    LOW = "low"
    """Nothing is known to be wrong, but nobody can say that all is right."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One code.

    Attributes:
        severity: How grave.
        next_step: What a person should do now.
    """

    severity: Severity
    next_step: str


_KEEP: Final = "Keep this ledger as it is, compare with a copy, and find who could write to it."
_WHO: Final = "Ask the person that Airflow's audit log names, and judge the model by hand."
_RETRAIN: Final = "Withdraw the model; gate the source and train again."

KINDS: Final[Mapping[str, Kind]] = {
    "LEDGER_ROLLBACK": Kind(Severity.HIGH, _KEEP),
    "LEDGER_BAD_PROOF": Kind(Severity.HIGH, _KEEP),
    "LEDGER_BAD_SIGNATURE": Kind(Severity.HIGH, _KEEP),
    "LEDGER_UNTRUSTED_KEY": Kind(Severity.HIGH, _KEEP),
    "LEDGER_MALFORMED": Kind(Severity.HIGH, _KEEP),
    "LEDGER_CORRUPT": Kind(Severity.HIGH, _KEEP),
    "WITNESS_QUORUM": Kind(
        Severity.MEDIUM, "Have the witnesses that the trust policy names cosign the checkpoint."
    ),
    "TRUST_EXPIRED": Kind(Severity.MEDIUM, "Review the trust policy and issue a new version."),
    "SIGNER_EXPIRED": Kind(Severity.HIGH, "Find who signs with a key outside its validity."),
    "SIGNER_REVOKED": Kind(Severity.HIGH, "Review what it signed, then sign with a valid key."),
    "SIGNER_UNTRUSTED": Kind(Severity.HIGH, "Find who may append statements nobody vouches for."),
    "STATEMENT_SIGNATURE": Kind(Severity.HIGH, "Treat the statement as forged."),
    "STATEMENT_MALFORMED": Kind(Severity.HIGH, "Find the program that appended it."),
    "STATEMENT_MISROUTED": Kind(
        Severity.HIGH, "Find who appended it: its leaf would lead a reader to another batch."
    ),
    "STATEMENT_TIME": Kind(
        Severity.MEDIUM, "Find whose clock was wrong, or who used an old key to sign today."
    ),
    "VERDICT_SHADOW": Kind(Severity.MEDIUM, "Set mode: enforce, or record why not."),
    "VERDICT_INCOMPLETE": Kind(Severity.MEDIUM, "Find the gate that logs no test result."),
    "POLICY_WEAKENED": Kind(Severity.MEDIUM, "Have the change approved, or restore the policy."),
    "BASELINE_ROLLBACK": Kind(
        Severity.HIGH, "Find who put an older baseline back; judge the batch again."
    ),
    "BASELINE_UNPROVEN": Kind(
        Severity.HIGH, "Promote a baseline of batches that passed, and judge again since then."
    ),
    "POLICY_CHANGED": Kind(
        Severity.LOW, "Compare both policies by hand: the ledger keeps no text of one of them."
    ),
    "DATA_CHANGED": Kind(Severity.HIGH, "Restore the sealed batch, or seal and gate it again."),
    "DATA_MISSING": Kind(Severity.LOW, "Bring the batch back if the audit has to cover it."),
    "TRAINED_WITHOUT_VERDICT": Kind(Severity.HIGH, _RETRAIN),
    "TRAINED_ON_FAILED_VERDICT": Kind(Severity.HIGH, _RETRAIN),
    "TRAINED_ON_EXPIRED_VERDICT": Kind(Severity.HIGH, _RETRAIN),
    "TRAINED_ON_QUARANTINED_BATCH": Kind(Severity.HIGH, _RETRAIN),
    "TRAINED_ON_REVOKED_EVIDENCE": Kind(
        Severity.HIGH, "Review what the revoked key signed; " + _RETRAIN
    ),
    "TRAINED_ON_QUARANTINED_BASELINE": Kind(
        Severity.HIGH, "Promote a baseline without that batch; " + _RETRAIN
    ),
    "BASELINE_QUARANTINED_SINCE": Kind(
        Severity.LOW, "Judge the batch again under a baseline without it, and decide on the model."
    ),
    "TRAINED_WITHOUT_SOURCE": Kind(Severity.HIGH, _RETRAIN),
    "TRAINED_UNGUARDED": Kind(
        Severity.HIGH, "Find why the guard left no trace: worker image, DAG file, or its removal."
    ),
    "ADMISSION_FORGED": Kind(Severity.HIGH, "Find who wrote the XCom of this task; " + _RETRAIN),
    "PROTECTION_REMOVED": Kind(
        Severity.HIGH, "Restore the tag or schedule; whoever removed it is in the DAG's history."
    ),
    "READ_UNGUARDED": Kind(
        Severity.HIGH, "Declare what the DAG reads as inlets, and arm the workers that ran it."
    ),
    "HOST_NOT_ARMED": Kind(
        Severity.HIGH,
        "Install Sluicegate in the image of this host, then fire `sluicegate doctor --canary`.",
    ),
    "SETTINGS_IN_DAG_FILE": Kind(
        Severity.MEDIUM, "Take the settings out of the DAG file, and ask why they are there."
    ),
    "TASK_MARKED_SUCCESS": Kind(Severity.MEDIUM, _WHO),
    "GATE_MARKED_SUCCESS": Kind(Severity.MEDIUM, _WHO),
    "GATE_WITHOUT_VERDICT": Kind(
        Severity.HIGH, "Find what ran in its place: a gate that succeeds leaves a verdict."
    ),
    "GATE_CLEARED": Kind(Severity.LOW, _WHO),
    "VERDICT_RUN_UNKNOWN": Kind(
        Severity.MEDIUM, "Find who holds the gate's key, or who deleted the run."
    ),
    "RECORDS_DELETED": Kind(Severity.MEDIUM, _WHO),
    "GUARD_NOT_INSTALLED": Kind(
        Severity.HIGH, "Install Sluicegate in every image that parses or runs DAGs."
    ),
    "WAIVER_ANSWERED_BY_NOBODY": Kind(
        Severity.HIGH, "Take the default answer and its timeout out of the waiver task."
    ),
}
"""Every code. Codes are stable: new ones are added, and none is removed."""


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """One thing that is wrong, or that a person must explain.

    Attributes:
        code: A key of ``KINDS``.
        locator: Ledger entry, task instance, or file.
        message: What was found, for a person.
    """

    code: str
    locator: str
    message: str

    @property
    def kind(self) -> Kind:
        """Severity and next step of the code."""
        return KINDS[self.code]

    def to_dict(self) -> dict[str, str]:
        """Return plain JSON types."""
        return {
            "code": self.code,
            "severity": self.kind.severity.value,
            "locator": self.locator,
            "message": self.message,
            "next_step": self.kind.next_step,
        }


def by_gravity(findings: list[AuditFinding]) -> tuple[AuditFinding, ...]:
    """Return findings, gravest first and otherwise in the order found."""
    order = list(Severity)
    return tuple(sorted(findings, key=lambda finding: order.index(finding.kind.severity)))
