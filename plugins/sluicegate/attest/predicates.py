"""Predicate types that Sluicegate signs, and the statements of a seal and of provenance.

Specified in docs/formats/predicates.md and docs/formats/seal.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sluicegate.attest.contents import identity_of, subject_of
from sluicegate.attest.resources import manifest_of, predicate_of, resources_text
from sluicegate.attest.statement import Statement, Subject
from sluicegate.attest.timestamps import format_timestamp, parse_timestamp
from sluicegate.digest.algorithms import Digest
from sluicegate.errors import ConfigError, MalformedEnvelope

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sluicegate.attest.contents import Contents
    from sluicegate.digest.manifest import Manifest

OMS_SIGNATURE: Final = "https://model_signing/signature/v1.0"
"""Seal of files: OpenSSF Model Signing 1.0."""

PROVENANCE: Final = "https://sluicegate.dev/provenance/v1"
"""Where a batch came from, which run sealed it, and as which version of its source."""

BASELINE: Final = "https://sluicegate.dev/baseline/v1"
"""Approval of a baseline for one source."""

WAIVER: Final = "https://sluicegate.dev/waiver/v1"
"""Accepted exception for one digest and one signal."""

SVR: Final = "https://in-toto.io/attestation/svr/v0.2"
"""Verdict: in-toto Simple Verification Result."""

TEST_RESULT: Final = "https://in-toto.io/attestation/test-result/v0.1"
"""Details of a verdict: in-toto Test Result."""

_CONNECTION: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a sealed batch came from.

    Attributes:
        source: Name of the source.
        digest: Identity of the batch.
        version: Position among the seals of this source, from 1; it never falls.
        location: Where the data can be read again.
        connection: Airflow connection by which they were read, or None.
        sealed_at: When it was sealed, aware UTC.
        run: Who ran it: orchestrator, DAG, run and task ids.
        code_version: Version of the code that sealed.
        inputs: Artefacts that the batch was made from; empty at the start of a chain.
    """

    source: str
    digest: Digest
    version: int
    location: str
    sealed_at: datetime
    run: Mapping[str, str]
    code_version: str
    inputs: tuple[Subject, ...] = ()
    connection: str | None = None


def is_connection(text: str) -> bool:
    """Return whether a text may be the id of an Airflow connection, and so be signed and shown.

    Narrower than Airflow, which allows slashes and colons: a URL with a password would pass.
    """
    return bool(_CONNECTION.fullmatch(text))


def seal_payload(source: str, manifest: Manifest) -> bytes:
    """Say that a source consists of exactly these files.

    Args:
        source: Name of the source.
        manifest: Its files.

    Returns:
        Canonical bytes of a Model Signing 1.0 statement, with the size of each file, or the
        names of empty files beside shards, as extra fields.

    Cost: linear; about 1 microsecond for each file.
    """
    subjects = (subject_of(source, manifest),)
    empty = Statement(subjects, OMS_SIGNATURE, predicate_of(manifest)).to_bytes()
    # A quote inside a value is escaped, so this key stands in the text once.
    head, found, tail = empty.partition(_NO_RESOURCES)
    assert found  # noqa: S101 - written above
    return b"".join((head, _NO_RESOURCES[:-1], resources_text(manifest), b"]", tail))


def seal_statement(source: str, manifest: Manifest) -> Statement:
    """Return what `seal_payload` writes, as a value.

    Args:
        source: Name of the source.
        manifest: Its files.
    """
    return Statement.from_bytes(seal_payload(source, manifest), locator="new seal")


_NO_RESOURCES: Final = b'"resources":[]'


def manifest_from_statement(statement: Statement, *, locator: str) -> Manifest:
    """Read the manifest out of a verified seal.

    Args:
        statement: From `TrustPolicy.verify`.
        locator: Where it came from, for messages.

    Returns:
        The manifest that was signed.

    Raises:
        MalformedEnvelope: It is no seal of files, `manifest_of` refuses its predicate, or a
            digest contradicts the resources.
        UnsafePath: It names a resource that no manifest may hold.
    """
    if statement.predicate_type != OMS_SIGNATURE:
        raise _malformed(locator, "is not a seal of files", OMS_SIGNATURE, statement.predicate_type)
    manifest = manifest_of(statement.predicate, locator=locator)
    _check_subject(statement, manifest, locator)
    return manifest


def provenance_statement(
    source: str,
    contents: Contents,
    *,
    location: str,
    version: int,
    at: datetime,
    run: Mapping[str, str],
    code_version: str,
    inputs: tuple[Subject, ...] = (),
    connection: str | None = None,
) -> Statement:
    """Say where a batch came from.

    Args:
        source: Name of the source.
        contents: Files or rows of the batch.
        location: Where the data can be read again.
        version: Position among the seals of this source, from 1.
        at: When it was sealed, aware.
        run: Who ran it: orchestrator, DAG, run and task ids.
        code_version: Version of the code that sealed.
        inputs: Artefacts that the batch was made from.
        connection: Airflow connection by which they were read; its id, never what it holds.

    Returns:
        The statement.

    Raises:
        ConfigError: The version is below 1, the time is naive, or the connection has no such id.
    """
    if connection is not None and not is_connection(connection):
        raise ConfigError("not the id of a connection", locator=source)
    if version < 1:
        raise ConfigError("version of a source starts at 1", locator=source, got=str(version))
    return Statement(
        (subject_of(source, contents),),
        PROVENANCE,
        {
            "version": version,
            "locator": location,
            "sealedAt": format_timestamp(at),
            "run": dict(run),
            "codeVersion": code_version,
            "inputs": [item.to_json() for item in inputs],
            **({} if connection is None else {"connection": connection}),
        },
    )


def provenance_from_statement(statement: Statement, *, locator: str) -> Provenance:
    """Read a verified provenance statement.

    Args:
        statement: From `TrustPolicy.verify`.
        locator: Where it came from, for messages.

    Returns:
        What it says.

    Raises:
        MalformedEnvelope: It has another predicate type, or a field is missing, unknown or
            ill-typed.
    """
    if statement.predicate_type != PROVENANCE:
        raise _malformed(
            locator, "is not a provenance statement", PROVENANCE, statement.predicate_type
        )
    subject = _only_subject(statement, locator)
    identity = identity_of(subject, locator=locator)
    fields = dict(statement.predicate)
    connection = fields.pop("connection", None)
    named = "connection" in statement.predicate
    if named and not (isinstance(connection, str) and is_connection(connection)):
        raise _malformed(locator, "provenance statement names no connection that can be one")
    match fields:
        case {
            "version": int(version),
            "locator": str(place),
            "sealedAt": str(sealed_at),
            "run": dict(run),
            "codeVersion": str(code_version),
            "inputs": list(inputs),
        } if len(fields) == 6 and version >= 1 and version is not True:
            if not all(isinstance(value, str) for value in run.values()):
                raise _malformed(locator, "run of a provenance statement is not a map of texts")
            return Provenance(
                source=subject.name,
                digest=identity,
                version=version,
                location=place,
                sealed_at=parse_timestamp(sealed_at, locator=f"{locator}: sealedAt"),
                run=run,
                code_version=code_version,
                inputs=tuple(Subject.from_json(item, locator=locator) for item in inputs),
                connection=connection,
            )
    raise _malformed(locator, "provenance statement has missing, unknown or mistyped fields")


def _check_subject(statement: Statement, manifest: Manifest, locator: str) -> None:
    subject = _only_subject(statement, locator)
    identity_of(subject, locator=locator)  # refuses a second one that another reader might take
    for computed in (manifest.oms_root, manifest.digest):
        algorithm = computed.algorithm
        signed = _digest_of(subject, algorithm, locator)
        if signed != computed:
            raise _malformed(
                locator,
                f"seal contradicts itself: its resources do not hash to its {algorithm}",
                signed.short,
                computed.short,
            )


def _only_subject(statement: Statement, locator: str) -> Subject:
    if len(statement.subjects) != 1:
        raise _malformed(
            locator, "statement is about several subjects", "1", str(len(statement.subjects))
        )
    return statement.subjects[0]


def _digest_of(subject: Subject, algorithm: str, locator: str) -> Digest:
    value = subject.digest.get(algorithm)
    if value is None:
        raise _malformed(locator, f"subject has no {algorithm}")
    return Digest(algorithm, value)


def _malformed(locator: str, what: str, expected: str = "", got: str = "") -> MalformedEnvelope:
    return MalformedEnvelope(what, locator=locator, expected=expected, got=got)
