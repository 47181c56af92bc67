"""Whether a batch was set aside and let back, read from an evidence folder with public keys only.

The rule is that of admission: the newest quarantine holds the batch, whoever signed it, until a
release that verifies answers exactly that entry. A quarantine without a proven place counts as the
newest.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from sluicegate.attest.dsse import Envelope
from sluicegate.attest.trust import Role
from sluicegate.errors import Quarantined, SluicegateError
from sluicegate.gate.custody import answered_by, require_release
from sluicegate.ledger.entry import Kind
from sluicegate.workflow.verification.lines import of_kind

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime

    from sluicegate.attest.trust import TrustPolicy
    from sluicegate.digest.algorithms import Digest
    from sluicegate.workflow.verification.lines import Line


def require_not_held(
    lines: Sequence[Line],
    gone: Collection[int],
    source: str,
    digest: Digest,
    trust_for: Callable[[bytes], TrustPolicy],
    *,
    at: datetime,
) -> str:
    """Return, in words, what a folder tells about the custody of its batch.

    Args:
        lines: All lines of the folder.
        gone: Numbers of the lines that are superseded.
        source: Name of the source.
        digest: Identity of the batch.
        trust_for: Returns the trust policy that an envelope is checked against.
        at: Aware UTC; keys must be valid then.

    Raises:
        Quarantined: The batch was set aside, and no release holds.
    """
    kept = of_kind(lines, Kind.QUARANTINE, str(digest))
    holds = [line for line in kept if line.number not in gone]
    if not holds:
        return "unknown: nothing here says that it was set aside; only the log can (--log)"
    claims: dict[str, list[Line]] = defaultdict(list)
    for line in of_kind(lines, Kind.RELEASE, str(digest)):
        if line.claimed is not None:  # only those that answer a hold are verified
            claims[answered_by(line.claimed)].append(line)
    answers = []
    for hold in holds:
        answering = (
            line
            for line in claims[str(hold.name)]
            if _releases(line, hold, source, digest, trust_for, at=at)
        )
        answer = next(answering, None)
        if answer is None:
            raise Quarantined(
                None,
                f"the batch has been in quarantine since {_where(hold)}, and no release holds",
                locator=f"{source}@{digest.short}",
                next_step="Do not train on it; its owner may correct and seal it, or release it.",
            )
        answers.append(f"set aside at {_where(hold)}, released at {_where(answer)}")
    return "; ".join(answers)


def _releases(
    line: Line,
    hold: Line,
    source: str,
    digest: Digest,
    trust_for: Callable[[bytes], TrustPolicy],
    *,
    at: datetime,
) -> bool:
    if line.place is not None and hold.place is not None and line.place < hold.place:
        return False
    try:
        envelope = Envelope.from_bytes(line.raw)
        statement = trust_for(line.raw).verify(envelope, Role.GATE, at=at)
        require_release(statement, source, digest, str(hold.name), locator="release")
    except SluicegateError:
        return False  # shown at its own line
    return True


def _where(line: Line) -> str:
    return f"line {line.number}" if line.place is None else f"ledger entry {line.place}"
