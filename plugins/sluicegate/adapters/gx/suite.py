"""Read a suite strictly: every key known, every expectation ours, none twice, never empty.

Great Expectations itself logs an expectation that it does not know and goes on without it.
A gate's suite is a list of demands, so here each of these is an error before anything runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

from sluicegate.adapters.gx.catalog import CODE_OF
from sluicegate.digest.canonical import loads
from sluicegate.errors import ConfigError, MalformedEnvelope

_SUITE_KEYS: Final = frozenset({"name", "expectations", "meta", "notes", "id", "suite_parameters"})
_EXPECTATION_KEYS: Final = frozenset(
    {"type", "kwargs", "meta", "notes", "id", "description", "severity", "rendered_content"}
)
_KWARGS: Final = ("baseline", "limits")
_MAX_BYTES: Final = 1_000_000  # a suite is a page
_NEXT = "Correct the suite; expectations/tabular.json is an example."


def load_suite(source: Path | str | bytes) -> dict[str, Any]:
    """Read a suite from JSON.

    Args:
        source: Path of the file, or its bytes.

    Returns:
        The suite as Great Expectations writes it: ``name``, ``expectations``, ``meta``.

    Raises:
        ConfigError: Unreadable, not strict JSON, or what `expectation_types` refuses.
    """
    locator = "suite" if isinstance(source, bytes) else str(source)
    try:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
        suite = loads(data, locator=locator, max_bytes=_MAX_BYTES)
    except OSError as error:
        raise ConfigError(
            "the suite cannot be read", locator=locator, got=error.strerror or "", next_step=_NEXT
        ) from error
    except MalformedEnvelope as error:
        raise ConfigError(
            error.what, locator=locator, expected=error.expected, got=error.got, next_step=_NEXT
        ) from error
    expectation_types(suite, locator=locator)
    return dict(suite)


def expectation_types(suite: Any, *, locator: str = "suite") -> tuple[str, ...]:
    """Check a suite and return the types of its expectations, in order.

    Args:
        suite: Parsed JSON.
        locator: Path to name in errors.

    Raises:
        ConfigError: Unknown key, unknown or repeated expectation, foreign keyword argument,
            or no expectation at all.
    """
    body = _mapping(suite, "the suite", _SUITE_KEYS, locator)
    if not isinstance(body.get("name"), str) or not body["name"]:
        _refuse("a suite needs a name", locator, "text", _kind(body.get("name")))
    if body.get("suite_parameters"):
        # Great Expectations ignores them, so a reader would believe a value that is not used.
        _refuse("a suite must not fix its parameters", locator, "none", "suite_parameters")
    listed = body.get("expectations")
    if not isinstance(listed, list) or not listed:
        _refuse("a suite must hold expectations", locator, "a list", _kind(listed))
    types = tuple(_type(item, f"{locator}: expectation {i}") for i, item in enumerate(listed))
    if twice := sorted({name for name in types if types.count(name) > 1}):
        _refuse("an expectation is listed twice", locator, got=", ".join(twice))
    return types


def _type(item: Any, locator: str) -> str:
    body = _mapping(item, "an expectation", _EXPECTATION_KEYS, locator)
    name = body.get("type")
    if not isinstance(name, str) or name not in CODE_OF:
        known = ", ".join(sorted(CODE_OF))
        _refuse("unknown expectation type", locator, known, repr(name)[:80])
    kwargs = _mapping(body.get("kwargs"), "kwargs", frozenset(_KWARGS), locator)
    for key in _KWARGS:
        wanted = {"$PARAMETER": key}
        if kwargs.get(key) != wanted:
            # Fixed digests would need a new suite for every baseline, and could pin an old one.
            got = _kind(kwargs.get(key))
            _refuse(f"kwarg {key} must be given by the run", locator, json.dumps(wanted), got)
    return name


def _mapping(value: Any, what: str, known: frozenset[str], locator: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        _refuse(f"{what} is not a JSON object", locator, got=_kind(value))
    if unknown := sorted(str(key) for key in value if key not in known):
        _refuse(f"unknown key in {what}", locator, ", ".join(sorted(known)), ", ".join(unknown))
    return value


def _refuse(what: str, locator: str, expected: str = "", got: str = "") -> NoReturn:
    raise ConfigError(what, locator=locator, expected=expected, got=got, next_step=_NEXT)


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "text"
    return "nothing" if value in (None, [], {}) else type(value).__name__
