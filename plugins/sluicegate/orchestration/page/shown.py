"""How answers travel to the page: plain JSON, texts as data and never as HTML."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from sluicegate.adapters.reports.words import would_pass
from sluicegate.attest.timestamps import format_timestamp
from sluicegate.orchestration.page.drawn import drawn_evidence
from sluicegate.signals.decision.record import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sluicegate.errors import SluicegateError
    from sluicegate.ledger.checkpoint import Checkpoint
    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.workflow.overview.around import JudgedBy, Model, Promoted
    from sluicegate.workflow.overview.past import PastVerdict
    from sluicegate.workflow.overview.source_state import SourceState

_DIRECTORIES: Final = re.compile(r"(?<![\w.:/…])/(?:[^\s/'\",;:()]+/)+")
"""Directories at the beginning of an absolute path, not of a URL."""

_WORSE = (Status.PASSED, Status.WARNED, Status.NOT_EVALUATED, Status.FAILED)


def shown_head(head: Checkpoint, at: datetime) -> dict[str, Any]:
    """Return where the ledger stood, and when: a page stays open for longer than that holds.

    Args:
        head: Its newest checkpoint.
        at: When it was asked, aware UTC.
    """
    return {
        "origin": head.origin,
        "size": head.size,
        "root": head.root.hex(),
        "asked": format_timestamp(at),
    }


def shown_state(
    state: SourceState, past: Iterable[PastVerdict] | None, dags: Iterable[str]
) -> dict[str, Any]:
    """Return a source as it stands.

    Args:
        state: What training would meet.
        past: Its newest verdicts, newest first; None if they were not read yet.
        dags: Ids of the DAGs that wait for it.
    """
    issued = state.admission and state.admission.issued
    return {
        "source": state.source,
        "state": state.state.value,
        "refusal": None if state.refusal is None else shown_error(state.refusal),
        "batch": state.admission and str(state.admission.batch.digest),
        "expires": issued and format_timestamp(issued.verdict.expires),
        "past": None if past is None else [shown_past(verdict) for verdict in past],
        "dags": list(dags),
    }


def shown_error(error: SluicegateError) -> dict[str, str]:
    """Return an error with its text, without the directories of the server: its log names them."""
    told = {**error.to_dict(), "text": str(error)}
    if error.locator.startswith("/"):  # a path as a whole, whatever stands in it
        told = {key: text.replace(error.locator, _end(error.locator)) for key, text in told.items()}
    return {key: without_directories(text) for key, text in told.items()}


def without_directories(text: str) -> str:
    """Return a text with the last name of each absolute path only.

    Args:
        text: For a person.
    """
    return _DIRECTORIES.sub("…/", text)


def _end(path: str) -> str:
    return f"…/{path.rstrip('/').rpartition('/')[2]}"


def shown_past(past: PastVerdict) -> dict[str, Any]:
    """Return one verdict in short; one that does not hold has no result, and says why."""
    named = {"index": past.index, "batch": past.subject, "envelope": past.envelope}
    if past.issued is None:
        assert past.refusal is not None  # noqa: S101 - one of both
        return {**named, "result": None, "refusal": shown_error(past.refusal)}
    verdict = past.issued.verdict
    return {
        **named,
        "result": verdict.result.value,
        "issued": format_timestamp(verdict.issued),
        "expires": format_timestamp(verdict.expires),
        "summary": verdict.summary(),
    }


def shown_verdict(past: PastVerdict, records: Iterable[SignalRecord]) -> dict[str, Any]:
    """Return one verdict as a whole.

    Args:
        past: The verdict.
        records: Its findings.
    """
    if past.issued is None:
        return {**shown_past(past), "source": past.source}
    verdict = past.issued.verdict
    return {
        **shown_past(past),
        "source": past.source,
        "mode": verdict.mode.value,
        "run": dict(verdict.run),
        "reasons": [
            {"code": r.code, "column": r.column, "result": r.result.value, "message": r.message}
            for r in verdict.told
        ],
        "digests": {
            "batch": past.subject,
            "baseline": str(verdict.baseline),
            **({} if verdict.rolling is None else {"rolling baseline": str(verdict.rolling)}),
            "policy": str(verdict.policy),
            "suite": str(verdict.suite),
            "test result": str(past.issued.test_result),
            "verdict": past.envelope,
        },
        "code_version": verdict.code_version,
        "records": [_record(record) for record in records],
    }


def shown_around(
    judged: Iterable[JudgedBy], promoted: Iterable[Promoted], models: Iterable[Model]
) -> dict[str, Any]:
    """Return what stands around a source.

    Args:
        judged: Baselines that judged it.
        promoted: Promotions of its baselines.
        models: Models that were made of its batches.
    """
    return {
        "baselines": [
            {
                "lane": one.lane.value,
                "baseline": one.baseline,
                "n_verdicts": one.n_verdicts,
                "first": shown_past(one.first),
            }
            for one in judged
        ],
        "promotions": [_promoted(one) for one in promoted],
        "models": [
            {"name": one.name, "batch": one.batch, "judged": shown_past(one.judged)}
            for one in models
        ],
    }


def _promoted(one: Promoted) -> dict[str, Any]:
    if one.promotion is None:
        assert one.refusal is not None  # noqa: S101 - one of both
        return {"index": one.index, "lane": None, "refusal": shown_error(one.refusal)}
    return {
        "index": one.index,
        "lane": one.promotion.lane.value,
        "baseline": str(one.promotion.baseline),
        "created": format_timestamp(one.promotion.created),
        "expires": format_timestamp(one.promotion.expires),
        "rows": one.promotion.rows,
        "n_batches": len(one.promotion.inputs),
    }


def shown_findings(columns: Sequence[Iterable[SignalRecord]]) -> list[dict[str, Any]]:
    """Return a row for each signal that spoke in one of several verdicts, and a cell for each.

    Args:
        columns: Findings of each verdict.

    Returns:
        Rows by code. A cell is the worst status of the signal, and how many times what is tolerated
        the largest lower bound of its effects is; None where it left no record.
    """
    worst = [_by_code(records) for records in columns]
    codes = sorted(
        {code for cells in worst for code, cell in cells.items() if cell["status"] != Status.PASSED}
    )
    return [{"code": code, "cells": [cells.get(code) for cells in worst]} for code in codes]


def _by_code(records: Iterable[SignalRecord]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for record in records:
        cell = found.setdefault(record.code, {"status": Status.PASSED, "times": None})
        cell["status"] = max(cell["status"], record.status, key=_WORSE.index)
        if record.effect_bound is not None and record.tolerance:
            cell["times"] = max(cell["times"] or 0.0, record.effect_bound / record.tolerance)
    return found


def _record(record: SignalRecord) -> dict[str, Any]:
    """Return a finding without the part of its evidence that nobody draws."""
    whole = record.to_dict()
    return {**whole, "evidence": drawn_evidence(record), "would_pass": would_pass(record)}
