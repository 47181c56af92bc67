"""JSON with one byte string for each value, and a reader that refuses what parsers disagree on.

Signed text that two parsers understand differently is a hole: one checks the first of two
equal keys, the other uses the second. The reader below therefore refuses everything on
which JSON parsers are known to disagree (RFC 8259 sections 4, 6, 8; RFC 7493, I-JSON).
Specified in docs/formats/digest.md, section "Canonical JSON".
"""

from __future__ import annotations

import json
import math
from itertools import chain
from typing import Any, Final, NoReturn

from sluicegate.errors import ConfigError, MalformedEnvelope

MAX_JSON_BYTES: Final = 64 * 1024 * 1024
"""Default size limit in bytes: a manifest of 100,000 files with long names needs about 40 MB."""

MAX_DEPTH: Final = 64
"""Deepest nesting read or written; our own formats need 8, and recursion must stay bounded."""

MAX_INTEGER: Final = 2**63 - 1
"""Largest magnitude of an integer: beyond 64 bits, readers round, wrap or fail."""

_INTEGER_DIGITS: Final = 20  # sign and 19 digits; longer text is refused before it is converted


_CONTAINERS: Final = (dict, list, tuple)  # a tuple of types is four times faster than a union


class _Refused(ValueError):
    """What a hook of the JSON parser found; `loads` turns it into MalformedEnvelope."""


def dumps(value: Any) -> bytes:
    """Write a JSON value as canonical bytes.

    Args:
        value: dict with str keys, list, tuple, str, int, float, bool or None, nested.

    Returns:
        UTF-8, keys sorted by code point, no spaces, shortest float repr, no final newline.

    Raises:
        ConfigError: It holds what `loads` would refuse to read back: NaN, infinity, an integer
            beyond 64 bits, a key that is no string, a lone surrogate, or another type.

    Cost: linear; about 50 ns for each byte.

    Example:
        >>> dumps({"b": 1, "a": [1.5, None]})
        b'{"a":[1.5,null],"b":1}'
    """
    _check_writable(value)
    try:
        text = json.dumps(
            value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )
        return text.encode("utf-8")
    except (ValueError, TypeError, RecursionError) as error:
        raise ConfigError("value cannot be written as canonical JSON", got=str(error)) from error


def loads(data: bytes, *, locator: str, max_bytes: int = MAX_JSON_BYTES) -> Any:
    """Read JSON strictly.

    Args:
        data: The text as bytes.
        locator: Where the bytes came from, for the message.
        max_bytes: Size limit; larger input is refused unread.

    Returns:
        The value; an object becomes a dict, a number an int or a float as it is written.

    Raises:
        MalformedEnvelope: The text is too large, not UTF-8, not JSON or nested deeper than 64
            levels, or it has a byte order mark, a duplicate key, NaN, infinity, an integer
            beyond 64 bits or a lone surrogate.

    Cost: linear; memory about ten times the input.
    """
    if len(data) > max_bytes:
        _refuse(locator, "JSON text is too large", f"at most {max_bytes} bytes", f"{len(data)}")
    if data.startswith(b"\xef\xbb\xbf"):
        _refuse(locator, "JSON text starts with a byte order mark")
    try:
        value = _DECODER.decode(data.decode("utf-8"))
    except _Refused as error:
        _refuse(locator, str(error))
    except UnicodeDecodeError as error:
        _refuse(locator, "JSON text is not UTF-8", got=f"byte {error.start}")
    except json.JSONDecodeError as error:
        _refuse(locator, "text is not JSON", got=f"{error.msg} at character {error.pos}")
    except RecursionError:
        _refuse(locator, "JSON text is nested too deeply", f"at most {MAX_DEPTH} levels")
    if _depth_exceeds(value, MAX_DEPTH):
        _refuse(locator, "JSON text is nested too deeply", f"at most {MAX_DEPTH} levels")
    if b"\\u" in data and _has_lone_surrogate(value):
        _refuse(locator, "JSON string holds half of a surrogate pair")
    return value


def _refuse(locator: str, what: str, expected: str = "", got: str = "") -> NoReturn:
    # `from None` on purpose: the parser's own exception quotes the text, which may be secret.
    raise MalformedEnvelope(what, locator=locator, expected=expected, got=got) from None


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Refused("JSON object has a duplicate key")
    return found


def _bounded_int(text: str) -> int:
    if len(text) > _INTEGER_DIGITS or abs(number := int(text)) > MAX_INTEGER:
        raise _Refused("JSON integer does not fit in 64 bits")
    return number


def _finite_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _Refused("JSON number is not finite")
    return number


def _no_constant(text: str) -> NoReturn:
    raise _Refused(f"JSON has no number {text}")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique_keys,
    parse_int=_bounded_int,
    parse_float=_finite_float,
    parse_constant=_no_constant,
)


def _children(containers: list[Any]) -> list[Any]:
    return list(
        chain.from_iterable(
            item.values() if isinstance(item, dict) else item for item in containers
        )
    )


def _depth_exceeds(value: Any, limit: int) -> bool:
    """Search breadth first, so that no depth of input can exhaust the stack."""
    level = [value] if isinstance(value, _CONTAINERS) else []
    for _ in range(limit):
        if not level:
            return False
        level = [child for child in _children(level) if isinstance(child, _CONTAINERS)]
    return bool(level)


def _has_lone_surrogate(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def _check_writable(value: Any) -> None:
    """Refuse what json.dumps would write but `loads` would not give back.

    It goes level by level, so that each check is one call over all values of a level: a
    manifest has a hundred thousand of them.
    """
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH + 1):
        kinds = set(map(type, level))
        if any(issubclass(kind, int) for kind in kinds):
            largest = max(abs(item) for item in level if isinstance(item, int))
            if largest > MAX_INTEGER:
                raise ConfigError(
                    "integer does not fit in 64 bits", got=f"{largest.bit_length()} bits"
                )
        if not any(issubclass(kind, _CONTAINERS) for kind in kinds):
            return
        containers = [item for item in level if isinstance(item, _CONTAINERS)]
        keys = chain.from_iterable(item for item in containers if isinstance(item, dict))
        if not all(issubclass(kind, str) for kind in set(map(type, keys))):
            raise ConfigError("JSON object has a key that is no string")
        level = _children(containers)
    raise ConfigError("value is nested too deeply", expected=f"at most {MAX_DEPTH} levels")
