"""Where a key is said to be: a text that is a place, or else is never shown.

Somebody may paste the key itself where its place belongs. So a text is treated as a secret until
it has proven to be a place: a known scheme with a name, or a path that looks like one. A text that
is neither is refused, and the message shows only the name of the setting that held it.
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

# A scheme of one letter is a drive. A scheme of two or more letters never begins a path here.
_REFERENCE: Final = re.compile(r"([a-z][a-z0-9+-]+):(.*)", re.DOTALL)

# Base64 and hexadecimal have no dot. With a colon it could be a URL that holds a password.
_KEY_FILE: Final = re.compile(r"[\w./~@%+, -]{1,1024}\.(pem|key|p8|pk8|der)", re.IGNORECASE)
_NAME: Final = re.compile(r"[a-z_][a-z0-9_.-]{0,63}|[A-Z_][A-Z0-9_.-]{0,63}")
_LONG_RUN: Final = re.compile(r"[A-Za-z0-9+=]{24}")


@dataclass(frozen=True, slots=True)
class Reference:
    """A place of a key.

    Attributes:
        scheme: ``file``, one of `REMOTE_SCHEMES`, or a lookup's such as ``env``.
        rest: What follows the scheme. After a remote scheme it may hold credentials.
        place: The part of the reference that may be shown.
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
        ConfigError: It is none. The message says where the text stood, and at most what kind of
            text it is.
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

    It is a path if something is there, or if it has a key file's name and no part of it could be
    a key. A base64 key may begin with a slash.
    """
    if len(text) <= 4096 and os.path.lexists(text):
        return True
    return bool(_KEY_FILE.fullmatch(text)) and not _LONG_RUN.search(text)


def may_be_key(path: Path) -> bool:
    """Return whether a path could be a key with slashes: neither it nor its directory is there."""
    if not _LONG_RUN.search(str(path)) or os.path.lexists(path):
        return False
    return path.parent == path.parent.parent or not os.path.lexists(path.parent)


def name_or_not(text: str) -> str:
    """Return a name if it cannot be a key, otherwise "(not shown)"; keys mix their cases."""
    return text if _NAME.fullmatch(text) and not _LONG_RUN.search(text) else "(not shown)"
