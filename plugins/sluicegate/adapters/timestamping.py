"""RFC 3161 timestamps: an authority, not the signer, says when something was signed.

This module needs the extra ``timestamps``. It writes a request and verifies an answer. Sending
the request is left to a tool that may use the network (`openssl ts`, curl).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sluicegate.errors import BadSignature, ConfigError, MalformedEnvelope

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography import x509


def request_for(data: bytes) -> bytes:
    """Return a DER request for a timestamp over the SHA-256 of some bytes, with a nonce.

    Raises:
        ConfigError: The package of the extra ``timestamps`` is missing.

    Source: RFC 3161, section 2.4.1.
    """
    client = _client()
    builder = client.TimestampRequestBuilder().data(data)
    builder = builder.hash_algorithm(client.HashAlgorithm.SHA256)
    request: bytes = builder.build().as_bytes()
    return request


def verified_time(
    response: bytes, data: bytes, authorities: Sequence[x509.Certificate], *, locator: str
) -> datetime:
    """Return when an authority saw these bytes.

    Args:
        response: DER timestamp response.
        data: The exact bytes that were stamped.
        authorities: Root certificates of the trusted timestamp authorities; at least one.
        locator: Where the response came from, for messages.

    Returns:
        The authority's time, with its zone: UTC.

    Raises:
        MalformedEnvelope: The bytes are not a timestamp response.
        BadSignature: The timestamp is over other bytes, or no trusted authority made it.
        ConfigError: No authority is trusted, or the package is missing.

    Source: RFC 3161, section 2.4.2.
    """
    if not authorities:
        raise ConfigError("no timestamp authority is trusted", locator=locator)
    client = _client()
    try:
        stamp = client.decode_timestamp_response(response)
    except ValueError as error:
        raise MalformedEnvelope("is not a timestamp response", locator=locator) from error
    builder = client.VerifierBuilder()
    for certificate in authorities:
        builder = builder.add_root_certificate(certificate)
    try:
        builder.build().verify_message(stamp, data)
    except client.VerificationError as error:
        raise BadSignature(
            "timestamp does not hold",
            locator=locator,
            next_step="Get the timestamp of exactly these bytes from a trusted authority.",
        ) from error
    except ValueError as error:  # the library parses the token inside only here
        raise MalformedEnvelope("is not a timestamp response", locator=locator) from error
    at: datetime = stamp.tst_info.gen_time
    return at


def _client() -> Any:
    try:
        return import_module("rfc3161_client")
    except ImportError as error:
        raise ConfigError(
            "timestamps need a package",
            got=error.name or "",
            next_step="Run: pip install sluicegate[timestamps]",
        ) from error
