"""Read what earlier checks of a source found, from the OUT.json files that they wrote.

docs/formats/check.md specifies the format.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sluicegate.digest.canonical import loads
from sluicegate.errors import MalformedEnvelope, SchemaMismatch, UnreadableData
from sluicegate.signals.decision.record import Status
from sluicegate.signals.labels.excess import read_step
from sluicegate.signals.labels.flips import CODE as FLIPS

if TYPE_CHECKING:
    from pathlib import Path

    from sluicegate.digest.algorithms import Digest
    from sluicegate.signals.labels.excess import Step

TYPE = "https://sluicegate.dev/check/v1"
KEYS = frozenset(
    {"type", "baseline", "policy", "verdict", "batch_score", "n_rows", "signals", "reasons"}
)


def read_history(directory: Path, baseline: Digest) -> tuple[Step | None, ...]:
    """Read all ``*.json`` files of a directory, in order of name.

    Args:
        directory: Holds one file for each earlier check, and no other JSON.
        baseline: What the batch is about to be compared with.

    Returns:
        What each batch adds to the sequence; None for a batch whose labels were not evaluated.

    Raises:
        UnreadableData: The directory or a file cannot be read.
        SchemaMismatch: A file compared with another baseline, so its effects say nothing here.
        MalformedEnvelope: A file is not the output of a check.
    """
    try:
        paths = sorted(p for p in directory.iterdir() if p.name.endswith(".json"))
        bodies = [(str(path), path.read_bytes()) for path in paths]
    except OSError as error:
        raise UnreadableData(
            "the history cannot be read",
            locator=error.filename or str(directory),
            got=error.strerror or type(error).__name__,
            next_step="Create the directory; the first check of a source finds it empty.",
        ) from error
    return tuple(parse_check(body, where, baseline) for where, body in bodies)


def parse_check(body: bytes, where: str, baseline: Digest) -> Step | None:
    """Read what one earlier check found.

    Args:
        body: Bytes of its OUT.json.
        where: Path of the file, for messages.
        baseline: What the batch is about to be compared with.

    Returns:
        What that batch adds to the sequence; None if its labels were not evaluated.

    Raises:
        MalformedEnvelope: The bytes are not the output of a check.
        SchemaMismatch: That check compared with another baseline.
    """
    value = loads(body, locator=where)
    if not isinstance(value, dict) or set(value) != KEYS or value["type"] != TYPE:
        raise MalformedEnvelope(
            "not the output of a check",
            locator=where,
            expected=TYPE,
            next_step="Move it out of the history; it holds only what `check --json` wrote.",
        )
    if value["baseline"] != str(baseline):
        raise SchemaMismatch(
            "an earlier check compared with another baseline",
            locator=where,
            expected=baseline.short,
            got=str(value["baseline"]).partition(":")[2][:12],
            next_step="Start a new history directory for each baseline.",
        )
    try:
        return _step(value["signals"])
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise MalformedEnvelope(
            "the labels' excesses are malformed", locator=where, got=type(error).__name__
        ) from error


def _step(signals: list[dict[str, Any]]) -> Step | None:
    found = [record for record in signals if record["code"] == FLIPS]
    if len(found) > 1:
        raise ValueError("two records of one signal")
    if not found or found[0]["status"] == Status.NOT_EVALUATED.value:
        return None
    return read_step(found[0]["evidence"]["sequence"])
