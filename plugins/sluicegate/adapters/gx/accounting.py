"""Believe only what can be accounted for: each listed expectation has one sound result.

Great Expectations drops an expectation whose module nobody imported and calls the rest a
success, in a stored suite and in a checkpoint alike. What was evaluated is therefore compared
with what the suite's own file lists, and every gap becomes a NOT_EVALUATED record.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sluicegate.adapters.gx.catalog import CATALOG, CODE_OF
from sluicegate.adapters.gx.suite import expectation_types
from sluicegate.digest.algorithms import Digest, sha256_bytes
from sluicegate.digest.canonical import dumps
from sluicegate.signals.decision.record import Family, SignalRecord, Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sluicegate.signals.decision.shape import Shape


@dataclass(frozen=True, slots=True)
class SuiteOutcome:
    """What a suite found on a batch.

    Attributes:
        records: The core's records of the signals in the suite, in the core's order, then
            one NOT_EVALUATED record for each expectation without a usable result.
        suite_digest: SHA-256 of the suite as canonical JSON.
        evaluated: Types that Great Expectations reports to have evaluated, in suite order.
        gx_version: Version of Great Expectations.
        shapes: How label, contributor and accused columns are spread, by column.
    """

    records: tuple[SignalRecord, ...]
    suite_digest: Digest
    evaluated: tuple[str, ...]
    gx_version: str
    shapes: Mapping[str, Shape] = field(default_factory=dict)


def account(
    suite_json: Mapping[str, Any],
    results: Sequence[Any],
    *,
    reason: str = "",
    gx_version: str = "",
) -> SuiteOutcome:
    """Compare the results of a validation with the expectations that a suite lists.

    Args:
        suite_json: What `load_suite` returned: the file, not what Great Expectations keeps.
        results: ``results`` of the validation of one batch, from `run_suite` or from
            ``checkpoint.run(...).run_results``; with ``result_format="COMPLETE"``.
        reason: Why results are missing, for the records of those that are.
        gx_version: Version of Great Expectations.

    Returns:
        Records for every listed expectation that applies to the baseline; for one without a
        usable result a record NOT_EVALUATED, whatever the validation's ``success`` says.

    Raises:
        ConfigError: The suite is unusable.
    """
    listed = expectation_types(suite_json)
    done = [str(result.expectation_config.type) for result in results]
    found = [
        _records(name, [r for r, d in zip(results, done, strict=True) if d == name], reason)
        for name in listed
    ]
    ordered = sorted((pair for pairs in found for pair in pairs), key=_position)
    return SuiteOutcome(
        records=tuple(record for _, record in ordered),
        suite_digest=sha256_bytes(dumps(dict(suite_json))),
        evaluated=tuple(name for name in listed if name in done),
        gx_version=gx_version,
    )


def _records(name: str, results: Sequence[Any], reason: str) -> list[tuple[int, SignalRecord]]:
    """Return an expectation's records with their position in the core's result."""
    if not results:
        return [_not_evaluated(name, reason or "the expectation dropped out of the suite")]
    if len(results) > 1:
        return [_not_evaluated(name, "the expectation has several results")]
    [result] = results
    if _raised(result.exception_info):
        return [_not_evaluated(name, reason or f"exception{_place(result.exception_info)}")]
    details = (result.result or {}).get("details") or {}
    positions, rows = details.get("positions"), details.get("records")
    if not isinstance(positions, list) or not isinstance(rows, list):
        return [_not_evaluated(name, "the result holds no records")]
    records = [_record(row) for row in rows]
    blocked = any(r.status in (Status.FAILED, Status.NOT_EVALUATED) for r in records)
    if any(r.code != CODE_OF[name] for r in records) or bool(result.success) is blocked:
        return [_not_evaluated(name, "the result contradicts its records")]
    return list(zip(positions, records, strict=True))


def _record(row: Mapping[str, Any]) -> SignalRecord:
    return SignalRecord(**{**row, "family": Family(row["family"]), "status": Status(row["status"])})


def _not_evaluated(name: str, reason: str) -> tuple[int, SignalRecord]:
    code = CODE_OF[name]
    record = SignalRecord(
        code=code,
        family=CATALOG[code].family,
        status=Status.NOT_EVALUATED,
        evidence={"expectation": name},
        message=f"{code}: not evaluated: {reason}",
    )
    return -1, record


def _position(pair: tuple[int, SignalRecord]) -> float:
    return pair[0] if pair[0] >= 0 else float("inf")


def _raised(info: Any) -> bool:
    """Return whether exception_info speaks of an exception, in either of its two layouts.

    Layouts: one ExceptionInfo, or a mapping of metric ids to ExceptionInfo.
    """
    if not info:
        return False
    if "raised_exception" in info:
        return bool(info["raised_exception"])
    return True


def _place(info: Any) -> str:
    """Return file and line of the exception; its text is left out, it may hold row values."""
    found = re.findall(r'File "([^"\n]+)", line (\d+)', str(info))
    return f" at {found[-1][0].rpartition('/')[2]}:{found[-1][1]}" if found else ""
