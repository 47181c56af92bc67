"""Whether a FAILED verdict was waived, read from an evidence folder with public keys only.

Nobody signed the order of the lines in a folder. Waivers are ordered by the leaf index of their
proof. A revocation without a proof counts as the newest, a waiver without one as the oldest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.attest.dsse import Envelope
from sluicegate.attest.predicates import TEST_RESULT
from sluicegate.attest.statement import Statement
from sluicegate.attest.timestamps import format_timestamp
from sluicegate.attest.trust import Role
from sluicegate.digest.algorithms import sha256_bytes
from sluicegate.errors import EvidenceMissing, GateBlocked, SluicegateError
from sluicegate.gate.policy import Mode, Policy, parse_policy
from sluicegate.gate.verdict import policy_from_test_result
from sluicegate.gate.waiver_check import Answered, LoggedWaiver, claims_revocation, waived_by
from sluicegate.ledger.proof import TlogProof

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sluicegate.attest.trust import TrustPolicy
    from sluicegate.digest.algorithms import Digest
    from sluicegate.gate.verdict import Verdict
    from sluicegate.workflow.evidence.folder import EvidenceFolder

WAIVERS = "waivers.intoto.jsonl"
_NEWEST = 2**63


def require_waived(
    folder: EvidenceFolder,
    verdict: Verdict,
    envelope: Digest,
    trust_for: Callable[[bytes], TrustPolicy],
    *,
    at: datetime,
) -> str:
    """Return, in words, why training could start on a FAILED verdict at an instant.

    Args:
        folder: Holds the waivers, and the test result that keeps the policy.
        verdict: The FAILED verdict, verified.
        envelope: Digest of its envelope.
        trust_for: Returns the trust policy that an envelope is checked against.
        at: Aware UTC; the instant that is asked about.

    Raises:
        GateBlocked: No waiver holds, or the waivers do not cover all that fired.
        Expired: The verdict itself was not valid at that time.
        EvidenceMissing: The policy that decides is not in the folder, or cannot be read here.
    """
    where = f"{verdict.source}@{verdict.digest.short}"
    policy = _policy(folder, verdict, trust_for, at=at)
    entries = [
        LoggedWaiver(line, f"{WAIVERS} line {number}", trust_for(line))
        for number, line in enumerate(folder.waivers, start=1)
    ]
    entries.sort(key=lambda entry: _place(folder, entry.envelope), reverse=True)
    waived = waived_by(entries, Answered(verdict, envelope, policy), at=at)
    # In shadow mode nothing blocks, so nothing is waived either: FAILED stays FAILED.
    if not waived.waivers or policy.mode is Mode.SHADOW:
        raise GateBlocked(
            verdict,
            f"verdict FAILED: {verdict.summary()}; no waiver holds: {'; '.join(waived.refused)}",
            locator=where,
            next_step="If training started earlier, name that moment: --at.",
        )
    verdict.require_passed(policy, at=at, waived=waived.codes)
    people = sorted({waiver.requested_by for waiver in waived.waivers})
    until = format_timestamp(min(waiver.expires for waiver in waived.waivers))
    return (
        f"FAILED under policy {verdict.policy.short}, waived until {until} at the request of "
        f"{', '.join(people)}: {', '.join(sorted(waived.codes))}"
    )


def _policy(
    folder: EvidenceFolder,
    verdict: Verdict,
    trust_for: Callable[[bytes], TrustPolicy],
    *,
    at: datetime,
) -> Policy:
    """Return the policy of the verdict, as the gate logged it."""
    raw = _kept(folder, trust_for, at=at)
    try:
        # PyYAML, which nothing else of a verification needs.
        from sluicegate.adapters.policy_file import load_yaml
    except ImportError as error:
        raise EvidenceMissing(
            "the policy that decides about waivers cannot be read here",
            locator=verdict.source,
            got=f"no module {error.name}",
            next_step="Run: python -m pip install pyyaml.",
        ) from error
    policy = parse_policy(load_yaml(raw, locator="policy"), raw, locator="policy")
    if policy.digest != verdict.policy:
        raise GateBlocked(
            verdict,
            "the test result keeps another policy than the verdict was issued under",
            locator=verdict.source,
        )
    return policy


def _kept(
    folder: EvidenceFolder, trust_for: Callable[[bytes], TrustPolicy], *, at: datetime
) -> bytes:
    for line in folder.envelopes:
        try:
            envelope = Envelope.from_bytes(line, locator="evidence.intoto.jsonl")
            if Statement.from_bytes(envelope.payload).predicate_type != TEST_RESULT:
                continue
            raw = policy_from_test_result(trust_for(line).verify(envelope, Role.GATE, at=at))
        except SluicegateError:
            continue  # reported by the check of its own line
        if raw is not None:
            return raw
    raise EvidenceMissing(
        "no valid test result keeps the policy that decides about waivers",
        locator=WAIVERS,
        next_step="Export the batch again: sluicegate export.",
    )


def _place(folder: EvidenceFolder, envelope: bytes) -> int:
    """Return the leaf index that a proof claims; the check `ledger` verifies the proof."""
    proof = folder.proofs.get(sha256_bytes(envelope).hex)
    if proof is not None:
        try:
            return TlogProof.parse(proof, locator=WAIVERS).index
        except SluicegateError:
            pass  # reported by the check of the ledger
    return _NEWEST if claims_revocation(envelope) else -1
