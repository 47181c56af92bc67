"""The leaf: which envelope was logged, of which kind, about which digest of which source.

Specified in docs/formats/ledger.md, section "Leaf". A leaf carries no time of its own. The time
is inside the signed statement, where somebody answers for it.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from sluicegate.digest import canonical
from sluicegate.digest.algorithms import Digest, sha256_bytes
from sluicegate.errors import ConfigError, MalformedEnvelope
from sluicegate.ledger.merkle import leaf_hash

MAX_SOURCE_CHARS: Final = 255
"""Longest source name in characters, as long as a file name may be."""

MAX_LEAF_BYTES: Final = 4096
"""Largest leaf in bytes: four fixed fields and a source name of 255 code points fit."""

_KEYS: Final = frozenset({"v", "kind", "source", "subject", "envelope"})

_SHA256_TEXT: Final = re.compile("sha256:[0-9a-f]{64}")

_SOURCES_CACHED: Final = 4096  # names are few, and every leaf has one


class Kind(StrEnum):
    """What the envelope of an entry states."""

    SEAL = "seal"
    PROVENANCE = "provenance"
    TABLE = "table"
    PROFILE = "profile"
    BASELINE = "baseline"
    TEST_RESULT = "test-result"
    VERDICT = "verdict"
    WAIVER = "waiver"
    QUARANTINE = "quarantine"
    RELEASE = "release"
    PROMOTION = "promotion"


_KINDS: Final = frozenset(map(str, Kind))


@dataclass(frozen=True, slots=True)
class Entry:
    """One leaf of the ledger.

    Attributes:
        kind: What the envelope states; one of `Kind`.
        source: Name of the source: 1..255 printable characters in NFC, no outer spaces.
        subject: Digest that the statement is about, as text; for a batch its identity.
        envelope: ``sha256:hex`` of the envelope's exact bytes.

    Raises:
        ConfigError: A field is outside these limits.
        MalformedEnvelope: Subject or envelope is no digest.

    Example:
        >>> entry = Entry.of(Kind.SEAL, "flights", "dirHash1:" + "ab" * 32, b"{}")
        >>> Entry.from_bytes(entry.to_bytes(), locator="example") == entry
        True
    """

    kind: str
    source: str
    subject: str
    envelope: str

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise ConfigError(
                "unknown kind of ledger entry",
                expected=" or ".join(Kind),
                got=repr(self.kind)[:60],
            )
        if not isinstance(self.source, str) or not is_source_name(self.source):
            raise ConfigError(
                "source name cannot be logged",
                expected=f"1..{MAX_SOURCE_CHARS} printable characters in NFC, no outer spaces",
                got=repr(self.source)[:60],
            )
        Digest.parse(self.subject)
        if not _SHA256_TEXT.fullmatch(self.envelope):
            raise MalformedEnvelope(
                "not the digest of an envelope",
                expected="sha256: and 64 lower-case hexadecimal digits",
                got=repr(self.envelope)[:60],
            )

    @classmethod
    def of(cls, kind: str, source: str, subject: Digest | str, envelope: bytes) -> Entry:
        """Build the entry of an envelope's bytes.

        Args:
            kind: What the envelope states; one of `Kind`.
            source: Name of the source.
            subject: Digest that the statement is about.
            envelope: Exact bytes; only their digest is kept.
        """
        return cls(kind, source, str(subject), str(sha256_bytes(envelope)))

    def to_bytes(self) -> bytes:
        """Return the leaf's canonical JSON, which the tree hashes.

        The text is written here and not by `canonical.dumps`, because an audit does this a
        million times. A test holds the two equal.
        """
        text = (
            f'{{"envelope":"{self.envelope}","kind":"{self.kind}",'
            f'"source":{_quoted(self.source)},"subject":"{self.subject}","v":1}}'
        )
        return text.encode("utf-8")

    @classmethod
    def from_bytes(cls, data: bytes, *, locator: str) -> Entry:
        """Parse a leaf.

        Args:
            data: Canonical JSON.
            locator: Where it came from, for messages.

        Raises:
            MalformedEnvelope: It is not exactly what `to_bytes` would write.
        """
        value = canonical.loads(data, locator=locator, max_bytes=MAX_LEAF_BYTES)
        if not isinstance(value, dict) or set(value) != _KEYS or value["v"] != 1:
            raise MalformedEnvelope("text is not a version 1 leaf", locator=locator)
        fields = [value[key] for key in ("kind", "source", "subject", "envelope")]
        if not all(isinstance(field, str) for field in fields):
            raise MalformedEnvelope("leaf field is not a string", locator=locator)
        kind, source, subject, envelope = fields
        try:
            entry = cls(kind, source, subject, envelope)
        except ConfigError as error:
            raise MalformedEnvelope(error.what, locator=locator, got=error.got) from None
        # Two spellings of one leaf would be two leaves that say the same.
        if entry.to_bytes() != data:
            raise MalformedEnvelope("leaf is not in canonical form", locator=locator)
        return entry

    def hashed(self) -> bytes:
        """Return the RFC 6962 leaf hash."""
        return leaf_hash(self.to_bytes())


class LeafForm:
    """Writes the leaves of one kind and source, as an audit does a million times.

    Args:
        kind: One of `Kind`.
        source: Name of the source.

    Raises:
        ConfigError: No entry has this kind and source.

    Example:
        >>> entry = Entry.of(Kind.SEAL, "flights", "dirHash1:" + "ab" * 32, b"{}")
        >>> form = LeafForm("seal", "flights")
        >>> digest = bytes.fromhex(entry.envelope.removeprefix("sha256:"))
        >>> form.leaf(b"dirHash1:" + bytes.fromhex("ab" * 32), digest) == entry.to_bytes()
        True
    """

    __slots__ = ("_between",)

    VALUE_BYTES: Final = 32
    """Length of the digest values that `between` is for; every algorithm of today has it."""

    def __init__(self, kind: str, source: str) -> None:
        Entry.of(kind, source, "sha256:" + "0" * 64, b"")
        self._between = f'","kind":"{kind}","source":{_quoted(source)},"subject":"'

    def leaf(self, subject: bytes, envelope: bytes) -> bytes:
        """Return the canonical JSON of a leaf.

        Args:
            subject: Algorithm, colon and raw value of the digest.
            envelope: Raw SHA-256 of the envelope, 32 bytes.

        Raises:
            MalformedEnvelope: An entry may not hold one of these digests.
        """
        algorithm, _, raw = subject.partition(b":")
        if len(envelope) != 32:
            raise MalformedEnvelope("not the digest of an envelope", got=f"{len(envelope)} bytes")
        return (
            f'{{"envelope":"sha256:{envelope.hex()}{self._between}'
            f'{_algorithm(algorithm, len(raw))}{raw.hex()}","v":1}}'
        ).encode()

    def between(self, algorithm: bytes) -> str:
        """Return the text between the hexadecimal values of envelope and subject.

        Args:
            algorithm: Algorithm of the subject, with its colon; its values have 32 bytes.

        Raises:
            MalformedEnvelope: There is no such algorithm.
        """
        name, colon, rest = algorithm.partition(b":")
        if not colon or rest:
            raise MalformedEnvelope("digest has no algorithm", expected="algorithm:hex")
        return self._between + _algorithm(name, self.VALUE_BYTES)


@lru_cache(maxsize=64)
def _algorithm(name: bytes, n_bytes: int) -> str:
    """Return ``name:`` if digests of this name have this length."""
    prefix = f"{name.decode('ascii', errors='replace')}:"
    Digest.parse(prefix + "00" * n_bytes)
    return prefix


@lru_cache(maxsize=_SOURCES_CACHED)
def is_source_name(text: str) -> bool:
    """Say whether a text may name a source: logs and terminals must not change it."""
    return (
        1 <= len(text) <= MAX_SOURCE_CHARS
        and text.isprintable()
        and text == text.strip()
        and unicodedata.is_normalized("NFC", text)
    )


@lru_cache(maxsize=_SOURCES_CACHED)
def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
