"""The index of a published home: which documents a release holds, signed by the root keys.

Specified in docs/formats/home-index.md. Documents lie in a store under their digests and never
change; a release is one small index of them. So a home changes in one step, and whoever can write
the store can neither edit a document nor mix two releases.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from sluicegate.attest import dsse
from sluicegate.attest.timestamps import format_timestamp, parse_timestamp
from sluicegate.attest.trust_rules import Role
from sluicegate.digest import canonical
from sluicegate.digest.algorithms import SHA256, Digest
from sluicegate.errors import ConfigError, Expired, MalformedEnvelope, UntrustedKey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sluicegate.attest.keys import Signer
    from sluicegate.attest.trust import TrustPolicy

TYPE: Final = "https://sluicegate.dev/home/v1"
PAYLOAD_TYPE: Final = "application/vnd.sluicegate.home+json"
"""Payload type of its own, so that no other signature of a root key passes as one over an index."""

MAX_BYTES: Final = 8 << 20
"""Largest index file, in bytes: some 40,000 documents."""

TRUST: Final = "trust.json"
POLICY: Final = "policy.yaml"
FLOOR: Final = "remembered.json"
"""What whoever published remembers of the ledger; a machine without a memory begins there."""

_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
_DOCUMENT: Final = re.compile(
    rf"trust\.json|policy\.yaml|remembered\.json|cosigned|certificates/{_NAME}\.pem|"
    r"timestamps/[0-9a-f]{64}\.tsr|witnessed/[0-9]{1,19}|"
    rf"baselines/{_NAME}/(?:baseline\.json|(?:baseline|pending-(?:anchored|rolling))\.intoto\.json|"
    r"promoted/[0-9a-f]{64}\.json)"
)
_FIELDS: Final = {"type", "version", "previous", "published", "expires", "documents"}


def is_document(path: str) -> bool:
    """Return whether a path of a home may be published; a private key never may."""
    return bool(_DOCUMENT.fullmatch(path))


@dataclass(frozen=True, slots=True)
class HomeIndex:
    """One release.

    Attributes:
        version: From 1, one more than the release before.
        previous: Digest of the index file before this one; None for the first.
        published: Aware UTC.
        expires: Aware UTC; from this instant nobody uses the release.
        documents: Digest of each document by its path in a home.
        envelope: Signed bytes; None for an index that nobody signed.
    """

    version: int
    previous: Digest | None
    published: datetime
    expires: datetime
    documents: Mapping[str, Digest]
    envelope: dsse.Envelope | None = None

    @classmethod
    def from_bytes(cls, data: bytes, *, locator: str) -> Self:
        """Read an index file, signed or not, without believing it.

        Args:
            data: JSON text.
            locator: Where it came from, for messages.

        Raises:
            MalformedEnvelope: It is no such file, or names a path that no release may hold.
        """
        value = canonical.loads(data, locator=locator, max_bytes=MAX_BYTES)
        envelope = None
        if isinstance(value, dict) and "payloadType" in value:
            envelope = dsse.Envelope.from_json(value, locator=locator)
            if envelope.payload_type != PAYLOAD_TYPE:
                raise _malformed(locator, "is signed, and no index of a home")
            value = canonical.loads(envelope.payload, locator=locator, max_bytes=MAX_BYTES)
        if not isinstance(value, dict) or set(value) != _FIELDS or value["type"] != TYPE:
            raise _malformed(locator, "is no index of a home")
        version, previous, documents = value["version"], value["previous"], value["documents"]
        if not isinstance(version, int) or version is True or not 1 <= version < 10**8:
            raise _malformed(locator, "its version is no number from 1")
        if not isinstance(documents, dict) or not {TRUST, POLICY} <= documents.keys():
            raise _malformed(locator, f"names no {TRUST} or no {POLICY}")
        if not all(map(is_document, documents)):
            raise _malformed(locator, "names a document that no home holds")
        return cls(
            version,
            None if previous == "" and version == 1 else _digest(previous, locator),
            parse_timestamp(value["published"], locator=f"{locator}: published"),
            parse_timestamp(value["expires"], locator=f"{locator}: expires"),
            {path: _digest(text, locator) for path, text in documents.items()},
            envelope,
        )

    def payload(self) -> bytes:
        """Return the canonical bytes that are signed."""
        value: dict[str, Any] = {
            "type": TYPE,
            "version": self.version,
            "previous": "" if self.previous is None else self.previous.hex,
            "published": format_timestamp(self.published),
            "expires": format_timestamp(self.expires),
            "documents": {path: digest.hex for path, digest in self.documents.items()},
        }
        return canonical.dumps(value)

    def signed(self, signers: Sequence[Signer]) -> bytes:
        """Return the index file.

        Args:
            signers: Root keys; none for an index that only a pin of its own digest admits.
        """
        if not signers:
            return self.payload()
        return dsse.sign(self.payload(), *signers, payload_type=PAYLOAD_TYPE).to_bytes()

    def require_signed(self, trust: TrustPolicy, *, locator: str) -> None:
        """Return if the root keys of its own trust policy signed the index.

        Args:
            trust: The policy in the release, which somebody else vouches for.
            locator: Where the index came from.

        Raises:
            UntrustedKey: It is not signed, or not by enough root keys.
            BadSignature: It was edited.
        """
        if self.envelope is None:
            raise UntrustedKey(
                "the index of the home carries no signature",
                locator=locator,
                expected="signed by the root keys of its trust policy",
                next_step="Publish it with --root-key, or pin the digest of the index.",
            )
        trust.check_signatures(self.envelope, Role.ROOT, at=trust.expires, locator=locator)

    def require_current(self, at: datetime, *, locator: str) -> None:
        """Return if the release has not expired.

        Args:
            at: Aware UTC.
            locator: Where the index came from.

        Raises:
            Expired: It has: nobody can say whether a newer one is held back.
        """
        if at >= self.expires:
            raise Expired(
                "the published home has expired",
                locator=locator,
                expected=f"use before {format_timestamp(self.expires)}",
                got=format_timestamp(at),
                next_step="Publish it again: sluicegate home push.",
            )


@dataclass(frozen=True, slots=True)
class Pin:
    """What an administrator's settings say of a published home.

    Attributes:
        of: ``trust`` for a signed trust policy, whose root keys vouch for what follows it;
            ``index`` for one release and no other.
        digest: SHA-256 of that file.
    """

    of: str
    digest: Digest

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a pin.

        Args:
            text: ``trust:HEX`` or ``index:HEX``.

        Raises:
            ConfigError: It is neither; without a pin whoever writes the store decides.
        """
        of, _, value = text.strip().partition(":")
        if of not in {"trust", "index"} or not re.fullmatch(r"[0-9a-f]{64}", value):
            raise ConfigError(
                "a home in a store is not pinned",
                locator="[sluicegate] home_pin",
                expected="trust: or index: and 64 hex digits",
                next_step="Copy the line that `sluicegate home push` prints.",
            )
        return cls(of, Digest(SHA256, value))

    def __str__(self) -> str:
        return f"{self.of}:{self.digest.hex}"


def _digest(value: Any, locator: str) -> Digest:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9a-f]{64}", value):
        raise _malformed(locator, "a digest in it is not 64 hex digits")
    return Digest(SHA256, value)


def _malformed(locator: str, what: str) -> MalformedEnvelope:
    return MalformedEnvelope(what, locator=locator)
