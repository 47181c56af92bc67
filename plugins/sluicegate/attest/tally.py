"""The signed file of a tally: which files a task of the gate counted, against what, and the counts.

One line holds a DSSE envelope around the head. What follows are the packed counts, and the head
says their digest. Specified in docs/formats/tally.md.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from sluicegate.attest import dsse
from sluicegate.attest.trust_rules import Role
from sluicegate.digest import canonical
from sluicegate.digest.algorithms import Digest, sha256_bytes
from sluicegate.digest.portions import Portion
from sluicegate.errors import DigestMismatch, MalformedEnvelope

if TYPE_CHECKING:
    from datetime import datetime

    from sluicegate.attest.keys import Signer
    from sluicegate.attest.trust import TrustPolicy

TYPE: Final = "https://sluicegate.dev/tally/v1"
PAYLOAD_TYPE: Final = "application/vnd.sluicegate.tally+json"
MAX_BYTES: Final = 512 << 20
"""Largest file, and largest counts: those of a million rows of 20 columns are 70 MB."""

MAX_HEAD_BYTES: Final = 1 << 18
"""Largest first line: sixteen signatures of the largest kind are half of it."""

_MAX_PAYLOAD: Final = 1 << 16
_NAMED: Final = 80


@dataclass(frozen=True, slots=True)
class Against:
    """What a batch is counted against: only tallies in which all of it is the same add up.

    Attributes:
        source: Name of the source.
        batch: Identity of the batch.
        baselines: Digests of the baselines, the anchored one first.
        policy: Digest of the policy.
        code_version: Version of the code that counts.
    """

    source: str
    batch: Digest
    baselines: tuple[Digest, ...]
    policy: Digest
    code_version: str

    def difference(self, other: Against) -> tuple[str, str, str] | None:
        """Return what differs first, the own value and the other's; None if nothing does."""
        for name in ("source", "batch", "code_version", "baselines", "policy"):
            own, others = getattr(self, name), getattr(other, name)
            if own != others:
                return name.replace("_", " "), _shown(own), _shown(others)
        return None


@dataclass(frozen=True, slots=True)
class TallyHead:
    """What is signed of a tally.

    Attributes:
        against: Batch, baselines, policy and code.
        portion: The files that were counted.
        files: Identity of these files as a batch of their own; None for no file.
        counts: SHA-256 of the packed counts.
        size_bytes: How many bytes these are unpacked.
    """

    against: Against
    portion: Portion
    files: Digest | None
    counts: Digest
    size_bytes: int

    def payload(self) -> bytes:
        """Return the canonical bytes that are signed."""
        against = self.against
        value: dict[str, Any] = {
            "type": TYPE,
            "source": against.source,
            "batch": str(against.batch),
            "baselines": list(map(str, against.baselines)),
            "policy": str(against.policy),
            "code_version": against.code_version,
            "first": self.portion.first,
            "end": self.portion.end,
            "files": "" if self.files is None else str(self.files),
            "counts": str(self.counts),
            "size": self.size_bytes,
        }
        return canonical.dumps(value)

    @classmethod
    def from_payload(cls, data: bytes, *, locator: str) -> Self:
        """Read what `payload` wrote, only ever from bytes whose signature was verified.

        Args:
            data: Payload of a verified envelope.
            locator: Where it came from, for messages.

        Raises:
            MalformedEnvelope: A field is missing, unknown or mistyped.
        """
        match canonical.loads(data, locator=locator, max_bytes=_MAX_PAYLOAD):
            case {
                "type": str(kind),
                "source": str(source),
                "batch": str(batch),
                "baselines": [str(), *_] as baselines,
                "policy": str(policy),
                "code_version": str(code_version),
                "first": int(first),
                "end": int(end),
                "files": str(files),
                "counts": str(counts),
                "size": int(size),
                **others,
            } if kind == TYPE and not others:
                against = Against(
                    source,
                    Digest.parse(batch),
                    tuple(Digest.parse(str(baseline)) for baseline in baselines),
                    Digest.parse(policy),
                    code_version,
                )
                of_files = Digest.parse(files) if files else None
                portion = Portion(first, end)
                head = cls(against, portion, of_files, Digest.parse(counts), size)
                # A bool is an int to Python and a boolean to JSON.
                whole = all(type(number) is int for number in (first, end, size))
                if whole and 0 <= first <= end and head.payload() == data:
                    return head
        raise MalformedEnvelope("is no head of a tally", locator=locator, expected=TYPE)


def signed_tally(
    against: Against, portion: Portion, files: Digest | None, counts: bytes, signer: Signer
) -> bytes:
    """Return the file of a tally.

    Args:
        against: What was counted against.
        portion: The files that were counted.
        files: Identity of these as a batch of their own; None for no file.
        counts: What was counted.
        signer: Key of the gate.
    """
    packed = zlib.compress(counts, level=1)  # a third, and slower ones hardly pack hashes better
    head = TallyHead(against, portion, files, sha256_bytes(packed), len(counts))
    envelope = dsse.sign(head.payload(), signer, payload_type=PAYLOAD_TYPE)
    return b"\n".join((envelope.to_bytes(), packed))


def verified_head(line: bytes, trust: TrustPolicy, *, at: datetime, locator: str) -> TallyHead:
    """Return the head of a tally that the gate signed.

    Args:
        line: First line of the file, from wherever tallies lie.
        trust: The trust policy.
        at: Aware UTC; the key must be valid then.
        locator: Where the file lies, for messages.

    Raises:
        MalformedEnvelope: It is no such line.
        VerificationError: The gate did not sign it.
    """
    if len(line) > MAX_HEAD_BYTES:
        raise MalformedEnvelope("is no tally", locator=locator)
    envelope = dsse.Envelope.from_bytes(line, locator=locator)
    # 1. The gate signed it                       (counts that somebody else made up)
    trust.check_signatures(envelope, Role.GATE, at=at, locator=locator)
    # 2. It signed it as a tally                  (another statement of the gate)
    if envelope.payload_type != PAYLOAD_TYPE:
        raise MalformedEnvelope("is signed, and no tally", locator=locator)
    return TallyHead.from_payload(envelope.payload, locator=locator)


def signed_counts(data: bytes, head: TallyHead, *, locator: str) -> bytes:
    """Return the counts of a tally if they are those that were signed.

    Args:
        data: The file; what its first line says is not believed here.
        head: From `verified_head`.
        locator: Where the file lies, for messages.

    Raises:
        DigestMismatch: They were changed, or cut off.
        MalformedEnvelope: They do not unpack to as many bytes as the head says.
    """
    packed = data.partition(b"\n")[2]
    found = sha256_bytes(packed)
    if found != head.counts:
        raise DigestMismatch(
            "the counts of a tally are not those that were signed",
            locator=locator,
            expected=head.counts.short,
            got=f"{found.short}, {len(packed)} bytes",
            next_step="Count the portion again, and find out who can write where tallies lie.",
        )
    unpacker = zlib.decompressobj()
    try:
        counts = unpacker.decompress(packed, min(head.size_bytes, MAX_BYTES) + 1)
    except zlib.error:
        counts = b""
    if len(counts) != head.size_bytes or not unpacker.eof or unpacker.unused_data:
        raise MalformedEnvelope(
            "the counts of a tally do not unpack", locator=locator, got=f"{len(packed)} bytes"
        )
    return counts


def _shown(value: object) -> str:
    found = value if isinstance(value, tuple) else (value,)
    named = (one.short if isinstance(one, Digest) else ascii(one)[1:-1] for one in found)
    return " and ".join(named)[:_NAMED]
