"""in-toto Statement v1: which artefacts a predicate is about.

Fields that the specification does not name are ignored, as its parsing rules demand. Every field
that is used is checked.
Source: in-toto Attestation Framework v1, "Statement" and "DigestSet".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Self

from sluicegate.digest import canonical
from sluicegate.errors import MalformedEnvelope

if TYPE_CHECKING:
    from collections.abc import Mapping

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"

_TYPE_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]{1,1000}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Subject:
    """One artefact that a statement is about.

    Attributes:
        name: What consumers call it; here the name of the source.
        digest: Lower-case hex by algorithm; at least one.

    Raises:
        MalformedEnvelope: It has no name or no digest.
    """

    name: str
    digest: Mapping[str, str]

    def __post_init__(self) -> None:
        ok = bool(self.digest) and all(
            isinstance(key, str) and key and isinstance(value, str) and value
            for key, value in self.digest.items()
        )
        if not isinstance(self.name, str) or not ok:
            raise MalformedEnvelope(
                "subject needs a name and a digest", expected="text, and algorithm to hex"
            )
        object.__setattr__(self, "digest", MappingProxyType(dict(self.digest)))

    def __hash__(self) -> int:
        return hash((self.name, frozenset(self.digest.items())))

    def to_json(self) -> dict[str, Any]:
        """Return the ResourceDescriptor form."""
        return {"name": self.name, "digest": dict(self.digest)}

    @classmethod
    def from_json(cls, value: Any, *, locator: str) -> Self:
        """Read a ResourceDescriptor with name and digest.

        Args:
            value: From `canonical.loads`.
            locator: Where it came from, for messages.

        Raises:
            MalformedEnvelope: Name or digest is missing or mistyped.
        """
        match value:
            case {"name": str(name), "digest": dict(digest)} if name:
                return cls(name, digest)
        raise MalformedEnvelope("subject needs a name and a digest", locator=locator)


@dataclass(frozen=True, slots=True)
class Statement:
    """Subjects and what is said of them.

    Attributes:
        subjects: At least one, and no two of the same name.
        predicate_type: Type URI that says how to read the predicate.
        predicate: JSON object.

    Raises:
        MalformedEnvelope: There is no subject, a name is there twice, or the type is no URI.
    """

    subjects: tuple[Subject, ...]
    predicate_type: str
    predicate: Mapping[str, Any]

    def __post_init__(self) -> None:
        names = {subject.name for subject in self.subjects}
        if not self.subjects or len(names) != len(self.subjects):
            raise MalformedEnvelope("statement needs subjects with different names")
        if not _TYPE_URI.fullmatch(self.predicate_type):
            raise MalformedEnvelope(
                "predicate type is not a URI", got=ascii(self.predicate_type)[:80]
            )

    def to_bytes(self) -> bytes:
        """Write canonical JSON, the bytes that get signed.

        Raises:
            ConfigError: The predicate holds something that JSON cannot.
        """
        return canonical.dumps(
            {
                "_type": STATEMENT_TYPE,
                "subject": [subject.to_json() for subject in self.subjects],
                "predicateType": self.predicate_type,
                "predicate": dict(self.predicate),
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes, *, locator: str = "statement") -> Self:
        """Read a statement, only ever from bytes whose signature was verified.

        Args:
            data: Payload of a verified envelope.
            locator: Where it came from, for messages.

        Returns:
            The statement.

        Raises:
            MalformedEnvelope: It is no strict JSON, has another ``_type``, or a field is missing
                or mistyped.
        """
        match canonical.loads(data, locator=locator):
            case {
                "_type": str(kind),
                "subject": list(subjects),
                "predicateType": str(predicate_type),
                "predicate": dict(predicate),
            } if kind == STATEMENT_TYPE:
                return cls(
                    tuple(Subject.from_json(item, locator=locator) for item in subjects),
                    predicate_type,
                    predicate,
                )
        raise MalformedEnvelope(
            "is not an in-toto statement", locator=locator, expected=STATEMENT_TYPE
        )
