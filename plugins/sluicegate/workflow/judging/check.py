"""Judge a batch against a baseline without signing: the command and Python share this."""

from __future__ import annotations

import json
import math
import os
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sluicegate.adapters.reports.check_history import TYPE, read_history
from sluicegate.adapters.reports.rows import row_table
from sluicegate.adapters.reports.words import untitled
from sluicegate.adapters.sources.tables import open_table
from sluicegate.credentials import without_credentials
from sluicegate.digest.algorithms import sha256_bytes
from sluicegate.gate.judgement import ALONE, Compared, judge, require_usable
from sluicegate.gate.limits import DEFAULT
from sluicegate.signals.comparison import MIN_ROWS
from sluicegate.signals.contributors.limits import LimitCounts
from sluicegate.signals.contributors.names import SHOWN
from sluicegate.signals.decision.record import UNJUDGED, Status
from sluicegate.signals.evaluate import evaluate
from sluicegate.signals.registry import OF_BATCHES, expected_findings
from sluicegate.workflow.admission.stopped import hint_of
from sluicegate.workflow.baselines.unsigned import BASELINE_FILE, read_baseline
from sluicegate.workflow.judging.threads import threads_for
from sluicegate.workflow.judging.unjudged import column_records, unjudged_records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from os import PathLike

    import pyarrow as pa

    from sluicegate.adapters.files.formats import Unjudged
    from sluicegate.digest.algorithms import Digest
    from sluicegate.gate.policy import Policy, Result
    from sluicegate.gate.verdict import Reason
    from sluicegate.signals.baseline.stored import Baseline
    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.signals.evaluate import CheckResult

_BUDGET = 0.01  # without a policy: one clean batch in a hundred
_SMALL: Final = (
    "So few rows are not judged alone: `sluicegate gate` judges them together with the batches "
    "before them, which its ledger knows."
)


@dataclass(frozen=True, slots=True)
class Checked:
    """A finished check.

    Attributes:
        verdict: PASSED, WARNED or FAILED.
        accepted: Whether the policy lets training start with this verdict.
        reasons: What led to the verdict, worst first.
        found: Records and row scores.
        baseline: Digest of the baseline's bytes.
        policy: Digest of the policy's bytes, or None for none.
        not_asked: Sections of the policy that only the gate can ask: they need signed evidence.
        not_applicable: Signals of the policy that the baseline has nothing for, such as classes.
            The policy does not require them; that is no failure to evaluate them.
        locator: What was judged, without credentials.
        again: Commands that show the same digests and findings again.
    """

    verdict: Result
    accepted: bool
    reasons: tuple[Reason, ...]
    found: CheckResult
    baseline: Digest
    policy: Digest | None
    not_asked: tuple[str, ...] = ()
    not_applicable: tuple[str, ...] = ()
    locator: str = ""
    again: tuple[str, ...] = ()

    @property
    def hint(self) -> str:
        """What to do with so few rows; "" for more."""
        return _SMALL if self.found.n_rows < MIN_ROWS else ""

    @property
    def notes(self) -> list[str]:
        """What was not asked or not judged although nothing fired, a sentence each."""
        unjudged = (r.message for r in self.records if r.code == UNJUDGED and r.column)
        return [
            *(f"Not asked here, the gate does: {name}." for name in self.not_asked),
            *(
                f"Does not apply, the baseline has nothing for it: {code}."
                for code in self.not_applicable
            ),
            *(untitled(message, UNJUDGED) for message in unjudged),
        ]

    @property
    def records(self) -> tuple[SignalRecord, ...]:
        """Findings, one for each signal and column."""
        return self.found.records

    @property
    def rows(self) -> pa.Table:
        """Lines, one for each row of the batch, in its order: id, score, flagged, reasons."""
        return row_table(self.found)

    def to_json(self) -> str:
        """Return OUT.json (docs/formats/check.md): indented, keys sorted, finite numbers."""
        value = {
            "type": TYPE,
            "baseline": str(self.baseline),
            "policy": None if self.policy is None else str(self.policy),
            "verdict": self.verdict.value,
            "batch_score": self.found.batch_score,
            "n_rows": self.found.n_rows,
            "signals": [record.to_dict() for record in self.found.records],
            "reasons": [
                {"code": r.code, "column": r.column, "result": r.result.value, "message": r.message}
                for r in self.reasons
            ],
        }
        return json.dumps(_finite(value), indent=2, sort_keys=True, allow_nan=False) + "\n"

    def to_html(self) -> str:
        """Return a self-contained page for a person; loads nothing."""
        from sluicegate.adapters.reports.html_report import html_report

        policy = "none" if self.policy is None else str(self.policy)
        return html_report(
            self.found,
            verdict=self.verdict,
            reasons=self.reasons,
            batch=self.locator,
            judged_with={"baseline": str(self.baseline), "policy": policy},
            again=self.again,
            hints=[hint for hint in (hint_of(self.reasons), self.hint) if hint],
            notes=self.notes,
        )


def check(
    batch: str | PathLike[str],
    *,
    baseline: str | PathLike[str],
    policy: str | PathLike[str] | None = None,
    history: str | PathLike[str] | None = None,
    rows: bool = True,
    source: str = "",
    on_rows: Callable[[int], None] | None = None,
) -> Checked:
    """Judge a batch.

    Args:
        batch: Locator of files or rows, as `seal` takes it (docs/sources.md). A file that no
            reader knows is a finding. CSV is read as the baseline's schema declares it.
        baseline: Directory that `sluicegate baseline build` wrote.
        policy: Policy file; without it every signal counts with its own severity.
        history: Directory of OUT.json files of earlier checks of the same source, judged
            together with the batch in order of name. Nothing is written there.
        rows: Whether to score rows; without, `Checked.rows` names none and memory does not grow
            with the batch. The verdict is the same.
        source: Name of the source, for a policy that has rules of its own for it.
        on_rows: Is told how many rows were read, each time some were.

    Raises:
        SluicegateError: The batch, baseline, policy or history cannot be used.

    Cost: one pass over the batch.

    Example: ``sluicegate.check("july.parquet", baseline="baseline").verdict``
    """
    rules = None if policy is None else _rules(Path(policy), source)
    reference, body = read_baseline(Path(baseline))
    digest = sha256_bytes(body)
    past = None if history is None else read_history(Path(history), digest)
    contributors = None if rules is None else rules.contributors
    naming = SHOWN if rules is None else rules.naming
    counts = None if contributors is None else LimitCounts(reference.schema, contributors, naming)
    unjudged: list[Unjudged] = []
    limits = DEFAULT if rules is None else rules.limits
    opened = open_table(
        os.fspath(batch), limits=limits, unjudged=unjudged, dialect=reference.schema.csv
    )
    seen: list[pa.Schema] = []
    found = evaluate(
        reference,
        _counted(opened, counts, seen, on_rows),
        tolerances={} if rules is None else rules.tolerances,
        false_block_budget=_BUDGET if rules is None else rules.false_block_budget,
        history=past,
        rows=rows,
        naming=naming,
        threads=threads_for(os.environ),
    )
    limited = () if counts is None else counts.records(reference.known_contributors)
    columns = column_records(reference, seen[0] if seen else None)
    alone = (*limited, *unjudged_records(unjudged), *columns)
    return replace(
        _decided(found, alone, rules, reference, digest),
        locator=without_credentials(os.fspath(batch)),
        again=_again(batch, baseline, policy, history, source),
    )


def _again(
    batch: str | PathLike[str],
    baseline: str | PathLike[str],
    policy: str | PathLike[str] | None,
    history: str | PathLike[str] | None,
    source: str,
) -> tuple[str, str]:
    """Return the commands that show digests and findings again, for a shell."""
    files = [str(Path(baseline) / BASELINE_FILE), *([] if policy is None else [os.fspath(policy)])]
    options = {"baseline": baseline, "policy": policy, "source": source, "history": history}
    given = (
        word for name, value in options.items() if value for word in (f"--{name}", os.fspath(value))
    )
    check_again = ["sluicegate", "check", without_credentials(os.fspath(batch)), *given]
    return shlex.join(["sha256sum", *files]), shlex.join(check_again)


def _rules(path: Path, source: str) -> Policy:
    from sluicegate.adapters.policy_file import read_policy

    rules = read_policy(path)
    require_usable(rules)
    return rules.for_source(source)


def _counted(
    batches: Iterable[pa.RecordBatch],
    counts: LimitCounts | None,
    seen: list[pa.Schema],
    on_rows: Callable[[int], None] | None,
) -> Iterator[pa.RecordBatch]:
    """Note columns, and count who delivered the rows, while they pass by; data are read once."""
    for batch in batches:
        if not seen:
            seen.append(batch.schema)
        if counts is not None:
            counts.update(batch)
        if on_rows is not None:
            on_rows(batch.num_rows)
        yield batch


def _decided(
    found: CheckResult,
    found_alone: tuple[SignalRecord, ...],
    rules: Policy | None,
    reference: Baseline,
    digest: Digest,
) -> Checked:
    own = tuple(record for record in found.records if record.code not in ALONE)
    alone = [*found_alone, *(record for record in found.records if record.code in ALONE)]
    judged = judge(rules, [Compared(own, expected_findings(reference))], alone)
    started = judged.result is not Status.FAILED if rules is None else rules.starts(judged.result)
    return Checked(
        verdict=judged.result,
        accepted=started,
        reasons=judged.reasons,
        found=replace(found, records=judged.records),
        baseline=digest,
        policy=None if rules is None else rules.digest,
        not_asked=() if rules is None else _not_asked(rules),
        not_applicable=() if rules is None else _not_applicable(rules, reference),
    )


def _not_asked(rules: Policy) -> tuple[str, ...]:
    asked = {"freshness": rules.freshness is not None, "promoted": bool(rules.promoted)}
    return tuple(name for name, is_set in asked.items() if is_set)


def _not_applicable(rules: Policy, reference: Baseline) -> tuple[str, ...]:
    known, asked = {signal.code for signal in OF_BATCHES}, set(expected_findings(reference))
    optional = (key for key, rule in rules.signals.items() if not rule.required)
    return tuple(sorted(key for key in optional if key in known - asked))


def _finite(value: Any) -> Any:
    """Replace what JSON cannot hold: NaN becomes null, which no reader takes for 0."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
