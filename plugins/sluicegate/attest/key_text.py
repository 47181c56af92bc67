r"""Which private key a text holds, however it was pasted, and what else it looks like.

Environment variables, secrets managers and web forms change a PEM on its way. Line breaks become
``\n`` or spaces. Quotes and byte order marks are added. Tools print attributes before it, or write
base64 of the whole. One rule covers all of this: **a text that holds exactly one private key is
that key.** Specified in docs/keys.md.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from typing import Final

_BLOCK: Final = re.compile(
    rb"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----(.*?)-----END \1-----", re.DOTALL
)
_ESCAPED_LINE_END: Final = re.compile(rb"\\+[rn]")
_HEXADECIMAL: Final = re.compile(rb"[0-9a-fA-F:\s]{32,}")
_WIDE: Final = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_SEQUENCE: Final = 0x30  # X.690 8.9; every encoding of a key is a sequence


def private_key_in(raw: bytes) -> bytes | None:
    """Return the one private key of a text, in an encoding that libraries read.

    Args:
        raw: A PEM with any line ends and anything before and after it, a DER, or base64 of
            either.

    Returns:
        Well-formed PEM, or DER; None if there is no private key, or more than one.
    """
    if _is_der(raw):
        return raw
    text = _unwrapped(raw)
    blocks = _BLOCK.findall(text)
    if blocks:
        return _pem(*blocks[0]) if len(blocks) == 1 else None
    decoded = _base64(text)
    # The text gets shorter with each step, so base64 of base64 ends.
    return None if decoded is None else private_key_in(decoded)


def looks_like(raw: bytes) -> str:
    """Return the kind of a text that holds no usable key; it says nothing about its content."""
    text = _unwrapped(raw).strip()
    if not text:
        return "nothing"
    if len(_BLOCK.findall(text)) > 1:
        return "several private keys"
    for label, kind in (
        (b"PRIVATE KEY-----", "a private key that is cut off"),
        (b"PUBLIC KEY-----", "a public key"),
        (b"-----BEGIN CERT", "a certificate"),
        (b"-----BEGIN", "another PEM"),
    ):
        if label in text:
            return kind
    if text.startswith((b"{", b"[")):
        return "JSON"
    return "hexadecimal digits" if _HEXADECIMAL.fullmatch(text) else "other text"


def _unwrapped(raw: bytes) -> bytes:
    if encoding := _WIDE.get(raw[:2]):
        raw = raw.decode(encoding, "replace").encode()
    return _ESCAPED_LINE_END.sub(b"\n", raw.removeprefix(codecs.BOM_UTF8))


def _pem(label: bytes, body: bytes) -> bytes:
    # Attributes of an encrypted key (RFC 1421) need their line ends; base64 does not.
    lines = body.strip() if b":" in body else b"\n".join(_chunks(b"".join(body.split())))
    return b"-----BEGIN %s-----\n%s\n-----END %s-----\n" % (label, lines, label)


def _chunks(body: bytes) -> list[bytes]:
    return [body[start : start + 64] for start in range(0, len(body), 64)]


def _base64(text: bytes) -> bytes | None:
    compact = b"".join(text.split()).strip(b"\"'`").rstrip(b"=")
    if not compact:
        return None
    padded = compact.translate(bytes.maketrans(b"-_", b"+/")) + b"=" * (-len(compact) % 4)
    try:
        return base64.b64decode(padded, validate=True)
    except binascii.Error:
        return None


def _is_der(raw: bytes) -> bool:
    """Return whether the bytes are one ASN.1 sequence to their end (X.690 8.1.3)."""
    if len(raw) < 2 or raw[0] != _SEQUENCE:
        return False
    if raw[1] < 0x80:
        return len(raw) == 2 + raw[1]
    n_length = raw[1] & 0x7F
    return len(raw) == 2 + n_length + int.from_bytes(raw[2 : 2 + n_length])
