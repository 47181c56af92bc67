"""Credentials inside an address, cut out of whatever is shown.

Secrets that we look up ourselves are a `Secret`, which cannot be shown. This is the second line of
defence. It cuts what somebody wrote into an address that is shown on purpose: the password of a
URL, the token of a signed URL, the PIN in a token's URI.
"""

from __future__ import annotations

import re
from typing import Final

HIDDEN: Final = "..."

# User and password end at the last @ before the path. A password that is not encoded may hold a
# slash itself. So everything after a colon that begins no port is cut up to the last @, or up to
# the end of a text that was cut before its @. One slash is enough where there is an @, because a
# path library folds two into one.
_SIGNED_IN: Final = r"[^\s/@:]*:(?!\d*(?:[/?#]|$))\S*"
# A name before the @ is shown: Azure writes a container there, PostgreSQL a user.
_TOKEN: Final = r"(?![\w.$-]{1,31}@)[^\s/]*"  # noqa: S105 - a pattern of one
_USER: Final = re.compile(
    rf"(?<=[a-zA-Z0-9])(?:(:/{{1,3}})(?:{_SIGNED_IN}|{_TOKEN})(@)|(://){_SIGNED_IN}$())"
)
_OPTION: Final = re.compile(
    r"(?i)([?&;,](?:pass(?:word|wd|phrase)?|pwd|pin-value|pin|secret|token|sig|signature|"
    r"(?:access_|api_?|secret_|private_)key|credential|x-amz-[a-z-]+|x-goog-[a-z-]+)=|"
    r"\s(?:password|passwd|pwd)=)[^\s&;,#]+"
)


def without_credentials(text: str) -> str:
    """Return a text without the credentials of the addresses in it.

    Args:
        text: A locator, or a sentence that names some.

    Returns:
        The same text if it holds none. A second call changes nothing more.

    Example:
        >>> without_credentials("postgresql://u:hunter2@db/rows?password=hunter2#t")
        'postgresql://...@db/rows?password=...#t'
    """
    if ":/" in text:
        text = _USER.sub(lambda m: f"{m[1] or m[3]}{HIDDEN}{m[2] or m[4]}", text)
    return _OPTION.sub(rf"\1{HIDDEN}", text) if "=" in text else text
