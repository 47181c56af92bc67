"""Where a key is said to be: a text that is a place, or else is never shown.

Whoever configures a key may paste the key itself where its place belongs. So a text is treated
as a secret until it has proven to be a place: a known scheme with a name, or a path that looks
like one. What proves to be neither is refused by the name of the setting that it stood in.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sluicegate.attest.key_text import looks_like, private_key_in
from sluicegate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from sluicegate.attest.secret import Secret

REMOTE_SCHEMES: Final = ("awskms", "azurekms", "gcpkms", "hsm", "file2")

# A scheme of one letter is a drive; a path never holds a scheme of two or more here.
_REFERENCE: Final = re.compile(r"([a-z][a-z0-9+-]+):(.*)", re.DOTALL)

# Base64 and hexadecimal have no dot. A colon would be a URL's, perhaps with a password.
_KEY_FILE: Final = re.compile(r"[\w./~@%+, -]{1,1024}\.(pem|key|p8|pk8|der)", re.IGNORECASE)
_NAME: Final = re.compile(r"[a-z_][a-z0-9_.-]{0,63}|[A-Z_][A-Z0-9_.-]{0,63}")
_LONG_RUN: Final = re.compile(r"[A-Za-z0-9+=]{24}")


@dataclass(frozen=True, slots=True)
class Reference:
    """A place of a key.

    Attributes:
        scheme: ``file``, one of `REMOTE_SCHEMES`, or of a lookup such as ``env``.
        rest: What is behind the scheme. Of a remote scheme it may hold credentials.
        place: The reference as it may be shown.
    """

    scheme: str
    rest: str = field(repr=False)
    place: str


def reference_in(held: Secret, lookups: Collection[str]) -> Reference:
    """Return the reference that a text is.

    Args:
        held: What somebody configured, or what a lookup returned.
        lookups: Schemes beside ``file`` and `REMOTE_SCHEMES`.

    Raises:
        ConfigError: It is none; says where it stood and at most of which kind it is.
    """
    text = held.reveal().strip()
    match = _REFERENCE.fullmatch(text)
    scheme, rest = match.groups() if match else ("file", text)
    if scheme in REMOTE_SCHEMES:
        return Reference(scheme, rest, f"{scheme}: key")
    if scheme in lookups and rest:
        return Reference(scheme, rest, f"{scheme}:{name_or_not(rest)}")
    if scheme == "file" and is_path(rest):
        return Reference(scheme, rest, rest)
    raw = held.reveal_bytes()
    if private_key_in(raw) is not None:
        what, got = "a private key was given instead of its place", ""
    elif match and scheme != "file":
        what, got = "unknown place of a key", ""
    else:
        what, got = "neither a key nor a place of one", looks_like(raw)
    known = " ".join(f"{name}:" for name in ("file", *lookups, *REMOTE_SCHEMES))
    raise ConfigError(
        what,
        locator=held.place,
        expected=f"a path that exists or ends in .pem or .key, or one of {known}",
        got=got,
        next_step="See docs/keys.md for where keys may be.",
    ) from None


def is_path(text: str) -> bool:
    """Return whether a text is certainly a path, and so may be shown.

    It is if something is there, or if it is named as key files are and nothing in it could be
    a key: a base64 key may well begin with a slash.
    """
    if len(text) <= 4096 and os.path.lexists(text):
        return True
    return bool(_KEY_FILE.fullmatch(text)) and not _LONG_RUN.search(text)


def may_be_key(path: Path) -> bool:
    """Return whether a path that is not there, nor its directory, could be a key with slashes."""
    if not _LONG_RUN.search(str(path)) or os.path.lexists(path):
        return False
    return path.parent == path.parent.parent or not os.path.lexists(path.parent)


def name_or_not(text: str) -> str:
    """Return a name if it can be no key; keys mix their cases."""
    return text if _NAME.fullmatch(text) and not _LONG_RUN.search(text) else "(not shown)"
