"""The verdict: what the gate says of one batch, and everything that it stands on.

Two statements are signed for each gate run (docs/formats/verdict.md). One is an in-toto test result
with every signal's record. The other is a Simple Verification Result that binds source, digest,
baseline, policy, code, run, mode, time and expiry. A reader that knows only the in-toto predicates
sees result, policies and passed properties. The binding is in the field ``sluicegate``, which such
readers ignore.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sluicegate.attest.predicates import SVR, TEST_RESULT
from sluicegate.attest.statement import Statement, Subject
from sluicegate.attest.timestamps import format_timestamp, parse_timestamp, require_in_force
from sluicegate.digest.algorithms import Digest, sha256_bytes
from sluicegate.errors import ConfigError, GateBlocked, MalformedEnvelope
from sluicegate.gate.policy import RESULTS, Mode, Policy, Result, result_of
from sluicegate.gate.pool import Pool
from sluicegate.profiling.csv_dialect import UNDECLARED, CsvDialect
from sluicegate.signals.decision.record import UNEVALUATED, Status
from sluicegate.untrusted import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from sluicegate.signals.decision.record import SignalRecord

VERIFIER_ID = "https://sluicegate.dev/gate/v1"
_EXTENSION = "sluicegate"

AS_OF = "as_of"
"""Key in ``run``: the day whose baselines judged, if that is not the day of the verdict."""

MODEL: Final = "model:"
"""Stands before the name of a model where a verdict names its source."""
TRAINED_ON: Final = "trained_on:"
"""Stands before the name of a source in ``run`` of the verdict on a model that was made of it."""

NOBODY: Final = "expected, and nobody evaluated it"
"""End of the message of a reason about a missing finding; a replay looks for it."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One signal's part in the verdict, short enough to print.

    Attributes:
        code: Code of the signal.
        column: The column that it is about; "" for the whole batch.
        result: What this signal alone makes of the verdict.
        message: One sentence, safe to show.
    """

    code: str
    column: str
    result: Result
    message: str

    def __post_init__(self) -> None:
        # A record's message is visible already; a statement's is whatever its signer wrote.
        object.__setattr__(self, "message", visible(self.message))


_NAMED: Final = 3
"""Most columns that a line about several findings names."""


def joined(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    """Return reasons as a person reads them: signals that lack the same thing are one.

    Args:
        reasons: Of a verdict or a check; their order stays.
    """
    found: dict[tuple[Result, str], list[Reason]] = {}
    for reason in reasons:
        _, lacks, why = reason.message.partition(UNEVALUATED)
        found.setdefault((reason.result, why if lacks else reason.message), []).append(reason)
    return tuple(
        same[0] if len(same) == 1 else _as_one(same, why) for (_, why), same in found.items()
    )


def _as_one(reasons: Sequence[Reason], why: str) -> Reason:
    codes = ", ".join(dict.fromkeys(reason.code for reason in reasons))
    columns = dict.fromkeys(reason.column for reason in reasons)
    named = f" of column {', '.join(columns)}" if all(columns) and len(columns) <= _NAMED else ""
    message = f"{len(reasons)} findings{UNEVALUATED}{why} ({codes}{named})"
    return Reason(reasons[0].code, "", reasons[0].result, message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the gate says of one batch.

    Attributes:
        result: PASSED, WARNED or FAILED.
        source: Name of the source.
        digest: Digest of the batch's manifest; the verdict speaks of no other bytes.
        baseline: Digest of the signed, anchored baseline that judged it.
        rolling: Digest of the rolling baseline that judged it as well, or None.
        policy: Digest of the policy file.
        suite: Digest of the Great Expectations suite, or of the list of signals if the gate ran
            without one.
        code_version: Version of Sluicegate that judged.
        run: Who ran it: orchestrator, DAG, run and task ids; and `AS_OF`.
        mode: Enforce or shadow.
        issued: Aware UTC.
        expires: First instant at which the verdict lets nothing start any more, aware UTC.
        reasons: What made it WARNED or FAILED, worst first; empty if it is PASSED.
        csv: How text files of the batch were read. Whoever trusts the verdict reads the same
            cells, and so reads them the same way.
        pool: The earlier batches that a batch of few rows was judged together with; None for a
            batch that was judged alone.
    """

    result: Result
    source: str
    digest: Digest
    baseline: Digest
    policy: Digest
    suite: Digest
    code_version: str
    run: Mapping[str, str]
    mode: Mode
    issued: datetime
    expires: datetime
    reasons: tuple[Reason, ...]
    rolling: Digest | None = None
    csv: CsvDialect = UNDECLARED
    pool: Pool | None = None

    def require_passed(
        self, policy: Policy, *, at: datetime, waived: frozenset[str] = frozenset()
    ) -> None:
        """Return if this verdict lets training start under ``policy``.

        Args:
            policy: The policy that is in force now.
            at: Now, aware UTC.
            waived: Codes that valid waivers of this very verdict cover.

        Raises:
            Expired: It is past its expiry, or was issued in the future by more than clocks differ.
            GateBlocked: It was issued under another policy, or its result is not accepted.
        """
        policy = policy.for_source(self.source)
        where = f"{self.source}@{self.digest.short}"
        require_in_force(
            "the verdict",
            self.issued,
            self.expires,
            at=at,
            locator=where,
            next_step="Run the gate again.",
        )
        if self.policy != policy.digest:
            raise GateBlocked(
                self,
                f"the verdict was issued under policy {self.policy.short}, "
                f"and policy {policy.digest.short} is in force",
                locator=where,
                next_step="Run the gate again under the policy in force.",
            )
        if policy.mode is not Mode.SHADOW and self._blocks(policy, waived):
            raise GateBlocked(
                self,
                f"verdict {self.result}: {self.summary()}",
                locator=where,
                next_step=(self.pool and self.pool.next_step)
                or "Correct the batch, or have it waived by an authorised person.",
            )

    def _blocks(self, policy: Policy, waived: frozenset[str]) -> bool:
        """Return whether something speaks against training that nobody waived."""
        if self.result in policy.accept:
            return False
        against = [reason for reason in self.reasons if reason.result not in policy.accept]
        # Nobody can waive a result that no reason explains: there is nothing to waive.
        worst = any(reason.result is self.result for reason in against)
        return not worst or any(
            reason.result is not Status.FAILED or reason.code not in waived for reason in against
        )

    @property
    def told(self) -> tuple[Reason, ...]:
        """The reasons as a person reads them: `joined`."""
        return joined(self.reasons)

    def summary(self) -> str:
        """Return the three worst reasons in one line, how many more there are, and the pool."""
        told = self.told
        more = f" (and {len(told) - 3} more)" if len(told) > 3 else ""
        said = [reason.message for reason in told[:3]]
        said[:-1] = [message.removesuffix(".") for message in said[:-1]]
        text = "; ".join(said) or "no signal fired"
        pooled = "" if self.pool is None else f" ({self.pool.text})"
        return f"{text}{more}{pooled}"

    def to_statement(self, subjects: tuple[Subject, ...], test_result: Digest) -> Statement:
        """Return the Simple Verification Result statement.

        Args:
            subjects: The sealed subject, as the seal names it.
            test_result: Digest of the envelope with this run's test result.
        """
        return Statement(
            subjects=subjects,
            predicate_type=SVR,
            predicate={
                "verifier": {"id": VERIFIER_ID, "policies": [_descriptor("policy", self.policy)]},
                "timeCreated": format_timestamp(self.issued),
                "properties": [f"SLUICEGATE_{self.result}"],
                _EXTENSION: {
                    "result": self.result.value,
                    "source": self.source,
                    "digest": str(self.digest),
                    "baseline": str(self.baseline),
                    "policy": str(self.policy),
                    "suite": str(self.suite),
                    "testResult": str(test_result),
                    "codeVersion": self.code_version,
                    "run": dict(self.run),
                    "mode": self.mode.value,
                    "expires": format_timestamp(self.expires),
                    "reasons": [
                        [reason.code, reason.column, reason.result.value, reason.message]
                        for reason in self.reasons
                    ],
                }
                | ({} if self.rolling is None else {"rollingBaseline": str(self.rolling)})
                | ({} if self.csv == UNDECLARED else {"csv": self.csv.to_json()})
                | ({} if self.pool is None else {"pool": self.pool.to_json()}),
            },
        )


def verdict_from_statement(statement: Statement, *, locator: str) -> Verdict:
    """Read a verdict back from its verified statement.

    Args:
        statement: Payload of an envelope whose signature was verified before.
        locator: Where it came from, for messages.

    Raises:
        MalformedEnvelope: It is no verdict, or a field is missing or ill-typed.
    """
    if statement.predicate_type != SVR:
        raise MalformedEnvelope(
            "the statement is not a verdict",
            locator=locator,
            expected=SVR,
            got=statement.predicate_type,
        )
    try:
        body = statement.predicate[_EXTENSION]
        return Verdict(
            result=result_of(body["result"]),
            source=_text(body["source"]),
            digest=Digest.parse(body["digest"]),
            baseline=Digest.parse(body["baseline"]),
            policy=Digest.parse(body["policy"]),
            suite=Digest.parse(body["suite"]),
            code_version=_text(body["codeVersion"]),
            run={_text(key): _text(value) for key, value in body["run"].items()},
            mode=Mode(body["mode"]),
            issued=parse_timestamp(statement.predicate["timeCreated"]),
            expires=parse_timestamp(body["expires"]),
            reasons=tuple(
                Reason(_text(code), _text(column), result_of(result), _text(message))
                for code, column, result, message in body["reasons"]
            ),
            rolling=Digest.parse(body["rollingBaseline"]) if "rollingBaseline" in body else None,
            csv=CsvDialect.from_mapping(body.get("csv", {}), locator=locator),
            pool=Pool.from_json(body["pool"]) if "pool" in body else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError, ConfigError) as error:
        raise MalformedEnvelope(
            "the statement is not a verdict",
            locator=locator,
            expected=SVR,
            got=f"{type(error).__name__} in its fields",
        ) from error


def named_test_result(statement: Statement) -> Digest:
    """Return the digest of the envelope of the test result that a verified verdict names.

    Raises:
        MalformedEnvelope: It names none.
    """
    try:
        return Digest.parse(statement.predicate[_EXTENSION]["testResult"])
    except (KeyError, TypeError, AttributeError) as error:
        raise MalformedEnvelope("the verdict names no test result", locator="testResult") from error


def test_result_statement(
    verdict: Verdict,
    records: tuple[SignalRecord, ...],
    subjects: tuple[Subject, ...],
    *,
    policy: bytes | None,
    kept: Mapping[str, Any],
) -> Statement:
    """Return the in-toto test result that holds every signal's record.

    Args:
        verdict: The verdict that the records led to.
        records: Findings of the run.
        subjects: The sealed subject, as the seal names it.
        policy: Exact bytes of the policy file. The statement keeps them, so that an auditor can
            say what was weakened between two verdicts; None keeps nothing.
        kept: What else is kept of the batch, by key, as JSON.
    """
    # Two baselines may speak of one signal and column. The worse finding names the test.
    results = {(reason.code, reason.column): reason.result for reason in reversed(verdict.reasons)}
    names: dict[Result, list[str]] = {result: [] for result in RESULTS}
    for key in dict.fromkeys((record.code, record.column) for record in records):
        names[results.get(key, Status.PASSED)].append(":".join(filter(None, key)))
    return Statement(
        subjects=subjects,
        predicate_type=TEST_RESULT,
        predicate={
            "result": verdict.result.value,
            "configuration": [
                _descriptor("policy", verdict.policy) | _content(policy),
                _descriptor("baseline", verdict.baseline),
                _descriptor("suite", verdict.suite),
                *_rolling(verdict.rolling),
            ],
            "passedTests": names[Status.PASSED],
            "warnedTests": names[Status.WARNED],
            "failedTests": names[Status.FAILED],
            _EXTENSION: {**kept, "records": [record.to_dict() for record in records]},
        },
    )


def policy_from_test_result(statement: Statement) -> bytes | None:
    """Return the policy file that a verified test result keeps, or None if it keeps none.

    Raises:
        MalformedEnvelope: The kept bytes do not have the digest that stands beside them.
    """
    try:
        named = next(d for d in statement.predicate["configuration"] if d["name"] == "policy")
        if "content" not in named:
            return None
        raw = base64.b64decode(named["content"], validate=True)
        signed = Digest("sha256", named["digest"]["sha256"])
    except (KeyError, TypeError, ValueError, StopIteration) as error:
        raise MalformedEnvelope(
            "the test result names no policy", locator="configuration"
        ) from error
    if sha256_bytes(raw) != signed:
        raise MalformedEnvelope(
            "the test result keeps another policy than it names",
            locator="configuration",
            expected=signed.short,
            got=sha256_bytes(raw).short,
        )
    return raw


def _rolling(digest: Digest | None) -> list[dict[str, Any]]:
    return [] if digest is None else [_descriptor("rolling-baseline", digest)]


def _content(policy: bytes | None) -> dict[str, str]:
    """Return the fields of an in-toto ResourceDescriptor that hold the bytes themselves."""
    if policy is None:
        return {}
    return {"content": base64.b64encode(policy).decode("ascii"), "mediaType": "application/yaml"}


def _descriptor(name: str, digest: Digest) -> dict[str, Any]:
    return {"name": name, "digest": {digest.algorithm: digest.hex}}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {type(value).__name__}")
    return value
