"""UNJUDGED: what of a batch nobody judged: files that no reader knows, and values of columns."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sluicegate.profiling.columns import Kind, kind_of
from sluicegate.profiling.encode import comparable
from sluicegate.signals.counters.counter import counters_judged
from sluicegate.signals.decision.record import UNJUDGED
from sluicegate.signals.labels.information import TELL_LITTLE, tells
from sluicegate.workflow.judging.facts import fact_record

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from sluicegate.adapters.files.formats import Unjudged
    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.decision.record import SignalRecord

_NAMED: Final = 5
_ONLY_PRESENCE: Final = {
    Kind.DATETIME: "dates and times that are no role",
    Kind.NESTED: "lists and structures that are no embedding",
    Kind.OPAQUE: "names or codes that hardly repeat, or bytes that are no text",
    Kind.EMPTY: "it was empty in the baseline, so nothing is known of its values",
}
_TYPES: Final = {
    Kind.NUMERIC: "number",
    Kind.CATEGORICAL: "text",
    Kind.BOOLEAN: "boolean",
    Kind.DATETIME: "time",
    Kind.NESTED: "list or structure",
    Kind.OPAQUE: "neither number nor text",
}


def unjudged_records(found: Sequence[Unjudged]) -> tuple[SignalRecord, ...]:
    """Return the finding about a batch's files.

    Args:
        found: Files that were not read; empty for a batch that was read whole, or has no files.

    Returns:
        One record. It is FAILED if a file was not read: its rows may be anything.
    """
    if not found:
        return (_record(0, f"{UNJUDGED}: every file was read."),)
    named = ", ".join(str(item) for item in found[:_NAMED])
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    text = f"{UNJUDGED}: {len(found)} file(s) of the batch were not read: {named}{more}"
    return (_record(len(found), text),)


def column_records(baseline: Baseline, schema: pa.Schema | None) -> tuple[SignalRecord, ...]:
    """Return a note on each column whose values nobody looks at, so that it is not silent.

    Args:
        baseline: Says what is counted of each column.
        schema: Columns of the batch; None for a batch without rows.

    Returns:
        Records PASSED: whether a value is there is judged, and a type that changed is a finding of
        SCHEMA already.
    """
    types = {} if schema is None else {field.name: field.type for field in schema}
    notes = [(name, "the schema ignores it") for name in baseline.schema.ignore]
    judged = counters_judged(baseline)
    for column in baseline.layout.columns:
        type_ = types.get(column.name)
        if type_ is not None and not comparable(column, type_):
            was, now = _TYPES[column.source], _TYPES[kind_of(type_)]
            notes.append((column.name, f"{now} ({type_}) in this batch, {was} in the baseline"))
        elif column in baseline.layout.counters:
            if column.name not in judged:
                why = "only whether a value is there: a counter without a course"
                notes.append((column.name, why))
        elif column.kind in _ONLY_PRESENCE and _has_values(baseline, column.name):
            notes.append(
                (column.name, f"only whether a value is there: {_ONLY_PRESENCE[column.kind]}")
            )
    said = [(name, f"column {name} is not judged: {why}") for name, why in notes]
    if baseline.labels is not None and not tells(baseline.labels):
        name = baseline.schema.label or ""
        said.append((name, f"whether labels {name} are flipped is not judged: {TELL_LITTLE}"))
    return tuple(replace(_record(0, f"{UNJUDGED}: {t}."), column=name) for name, t in said)


def _has_values(baseline: Baseline, column: str) -> bool:
    """Whether a column is a feature or the label: other roles are read in ways of their own."""
    schema = baseline.schema
    return column not in (schema.id, schema.timestamp, schema.contributor)


def _record(n_files: int, text: str) -> SignalRecord:
    known = "what was read is a fact"
    return fact_record(UNJUDGED, n_files, unit="files", known=known, message=text)
