"""A promotion: the baseline role lets batches that passed judge the batches after them.

Specified in docs/formats/baseline.md, "Promotion". It is a baseline statement that names its
lane. The newest one of a lane in the ledger is in force, wherever older files may lie.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sluicegate.attest.predicates import BASELINE
from sluicegate.attest.statement import Statement, Subject
from sluicegate.attest.timestamps import format_timestamp, parse_timestamp, require_in_force
from sluicegate.digest.algorithms import SHA256, Digest
from sluicegate.errors import MalformedEnvelope

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class Lane(StrEnum):
    """Two baselines judge side by side, so that neither a jump nor a slow ramp gets by."""

    ANCHORED = "anchored"
    """It moves seldom and by decision, so a ramp adds up against it."""
    ROLLING = "rolling"
    """It follows recent batches that passed, so a season does not count as an attack."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """What the baseline role signs.

    Attributes:
        source: Name of the source whose batches it may judge.
        lane: Which of the two baselines it replaces.
        baseline: SHA-256 of the bytes of ``baseline.json``.
        inputs: Digests of the batches that it was built from, in the order of reading.
        rows: Number of rows in these batches.
        created: When it was built, aware UTC.
        expires: First instant at which it judges nothing any more, aware UTC.
        seed: Seed of every random choice, so that anybody can build it again.
        run: Who proposed it.
        code_version: Version of Sluicegate that built it.
    """

    source: str
    lane: Lane
    baseline: Digest
    inputs: tuple[Digest, ...]
    rows: int
    created: datetime
    expires: datetime
    seed: int
    run: Mapping[str, str]
    code_version: str

    def to_statement(self) -> Statement:
        """Return the statement to sign."""
        return Statement(
            (Subject(f"baseline:{self.source}", {SHA256: self.baseline.hex}),),
            BASELINE,
            {
                "source": self.source,
                "lane": self.lane.value,
                "inputs": [str(digest) for digest in self.inputs],
                "rows": self.rows,
                "created": format_timestamp(self.created),
                "expires": format_timestamp(self.expires),
                "seed": self.seed,
                "run": dict(self.run),
                "codeVersion": self.code_version,
            },
        )

    def require_current(self, at: datetime) -> None:
        """Return if it may judge at a time, aware UTC.

        Raises:
            Expired: It is past its end, or was built in the future by more than clocks differ.
        """
        require_in_force(
            f"the {self.lane} baseline",
            self.created,
            self.expires,
            at=at,
            locator=f"baseline:{self.source}",
            next_step="Promote a new one with `sluicegate baseline promote`.",
        )


def promotion_from_statement(statement: Statement, *, locator: str) -> Promotion:
    """Read a promotion from its verified statement.

    Args:
        statement: Payload of an envelope whose signature was verified before.
        locator: Where it came from, for messages.

    Raises:
        MalformedEnvelope: It promotes nothing, or a field is missing, unknown or ill-typed.
    """
    if statement.predicate_type != BASELINE or len(statement.subjects) != 1:
        raise MalformedEnvelope("the statement promotes no baseline", locator=locator)
    match dict(statement.predicate):
        case {
            "source": str(source),
            "lane": str(lane),
            "inputs": [*inputs],
            "rows": int(rows),
            "created": str(created),
            "expires": str(expires),
            "seed": int(seed),
            "run": dict(run),
            "codeVersion": str(code_version),
        } if len(statement.predicate) == 9 and lane in set(Lane) and inputs:
            return Promotion(
                source=source,
                lane=Lane(lane),
                baseline=_subject_digest(statement, source, locator),
                inputs=tuple(Digest.parse(str(item)) for item in inputs),
                rows=rows,
                created=parse_timestamp(created, locator=locator),
                expires=parse_timestamp(expires, locator=locator),
                seed=seed,
                run={str(key): str(value) for key, value in run.items()},
                code_version=code_version,
            )
    raise MalformedEnvelope(
        "promotion has missing, unknown or mistyped fields", locator=locator, expected="one lane"
    )


def lane_of(statement: Statement) -> str:
    """Return the lane that a baseline statement names; "" if nobody promoted the baseline."""
    return str(statement.predicate.get("lane", ""))


def _subject_digest(statement: Statement, source: str, locator: str) -> Digest:
    (subject,) = statement.subjects
    value = subject.digest.get(SHA256)
    if subject.name != f"baseline:{source}" or value is None:
        raise MalformedEnvelope(
            "promotion is about another baseline than it names", locator=locator, got=subject.name
        )
    return Digest(SHA256, value)
