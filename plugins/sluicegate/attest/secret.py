"""Secrets: each has a place, which may be shown, and no text of its own.

A secret that is a `str` ends in a message sooner or later, because every message is made of
texts. This type is no text: the type checker refuses it wherever a text belongs, and formatting or
pickling it raises. Only `reveal` gives it away, and a search for that name finds every use. See
docs/adr/0013-secrets-have-a-type.md.
"""

from __future__ import annotations

import hmac
from typing import Any, Final, NoReturn, final

_NO_TEXT: Final = "a secret cannot be put into a text or pickled"


@final
class Secret:
    """A text that nobody may see.

    Args:
        text: The secret.
        place: Where it came from, for messages, e.g. ``env:SLUICEGATE_KEY_GATE``.
    """

    __slots__ = ("_text", "place")

    def __init__(self, text: str, place: str) -> None:
        self._text = text
        self.place = place

    def reveal(self) -> str:
        """Return the secret, only to use it. It must never go into a message, log or error."""
        return self._text

    def reveal_bytes(self) -> bytes:
        """Return the secret as the bytes of an environment variable, under the rule of `reveal`."""
        return self._text.encode("utf-8", "surrogateescape")

    def __bool__(self) -> bool:
        return bool(self._text.strip())

    def __eq__(self, other: object) -> bool:
        # It compares with another secret only: to compare with a text is to guess.
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.reveal_bytes(), other.reveal_bytes())

    def __hash__(self) -> int:
        return hash(self.place)

    def __repr__(self) -> str:
        return f"Secret({self.place})"

    def __str__(self) -> NoReturn:
        raise TypeError(_NO_TEXT)

    def __format__(self, format_spec: str) -> NoReturn:
        raise TypeError(_NO_TEXT)

    def __deepcopy__(self, memo: Any) -> Secret:
        # Airflow copies tasks, and the guard's settings with them. A secret never changes.
        return self

    def __copy__(self) -> Secret:
        return self

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(_NO_TEXT)
