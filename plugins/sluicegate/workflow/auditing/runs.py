"""Find where Airflow ran something that the ledger did not allow.

Airflow's records may be edited and its tasks may lie, but neither can make a verdict. So each
question is put to both sides: Airflow says what ran, and signatures say what was allowed.
docs/adr/0008-audit-and-bypasses.md says what this cannot see.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from sluicegate.attest.timestamps import format_timestamp
from sluicegate.workflow.admission.protected import protected_tag
from sluicegate.workflow.auditing.dag_text import Mention, looks_like
from sluicegate.workflow.auditing.findings import AuditFinding
from sluicegate.workflow.auditing.verdict_history import VerdictState, run_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sluicegate.workflow.auditing.run_records import RunRecords, TaskTry, UserEvent
    from sluicegate.workflow.auditing.standing import StandingAudit
    from sluicegate.workflow.auditing.verdict_history import PastVerdict, VerdictHistory

DEFAULT_TAGS: Final = frozenset({"training"})
GATE_OPERATORS: Final = frozenset({"TrainingGateOperator"})
EXEMPT_OPERATORS: Final = GATE_OPERATORS | {"SealSourceOperator", "WaitForVerdictOperator"}
"""Our operators, by name only: the guard tells a class of the same name apart, Airflow's records do
not. A gate that succeeds must leave a verdict all the same."""

ANNOUNCING_OPERATORS: Final = frozenset({"ConfirmWaiverOperator", "RollbackOperator"})
"""Operators that announce a batch on a verdict of another task. When they ended, that verdict, or
waivers of it, must have let training start."""
ASKING_OPERATORS: Final = frozenset({"RequestWaiverOperator"})

SLACK: Final = timedelta(seconds=60)
"""Clocks of workers and gate may differ, statements carry whole seconds, and the guard checks a
little after the start that Airflow notes."""

_MARK: Final = ("patch_task_instance", "bulk_task_instances", "patch_dag_run", "bulk_dag_runs")
_DELETE: Final = ("delete_dag_run", "delete_task_instance", "delete_dag")
_CODES: Final = {
    VerdictState.FAILED: "TRAINED_ON_FAILED_VERDICT",
    VerdictState.EXPIRED: "TRAINED_ON_EXPIRED_VERDICT",
    VerdictState.QUARANTINED: "TRAINED_ON_QUARANTINED_BATCH",
    VerdictState.NOTHING: "TRAINED_WITHOUT_VERDICT",
}


@dataclass(frozen=True, slots=True)
class RunRules:
    """What the administrator protects, as the guard's settings say it.

    Attributes:
        tags: DAG tags whose tasks need a verdict.
        slack: How far clocks may differ.
    """

    tags: frozenset[str] = DEFAULT_TAGS
    slack: timedelta = SLACK


class RunAudit:
    """Compares one set of records with one history.

    Args:
        records: What Airflow recorded.
        history: What the ledger allowed.
        rules: What is protected.
        standing: Whether what a verdict rests on still counts.
    """

    def __init__(
        self,
        records: RunRecords,
        history: VerdictHistory,
        rules: RunRules,
        standing: StandingAudit,
    ) -> None:
        self._standing = standing
        self._records = records
        self._history = history
        self._rules = rules
        self._tags = {dag.dag_id: frozenset(dag.tags) for dag in records.dags}
        self._scheduled = {dag.dag_id: dag.sources for dag in records.dags}
        self._inlets: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._outlets: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._others = {
            **{(dag.dag_id, ""): dag.assets[0] for dag in records.dags if dag.assets},
            **{(use.dag_id, use.task_id): use.asset for use in records.uses if use.asset},
        }
        for use in records.uses:
            if use.asset:
                continue
            side = self._outlets if use.is_outlet else self._inlets
            side[(use.dag_id, use.task_id)].append(use.source)
        self._mentions = {dag.dag_id: frozenset(dag.mentions) for dag in records.dags}
        self._traces = {item.key: item.verdicts for item in records.traces if not item.refused}
        self._noted = {trace.key for trace in records.traces}
        self._armed = {task.host for task in records.tries if task.key in self._noted}
        self._once_guarded = {trace.dag_id for trace in records.traces if trace.verdicts}
        self._issued: dict[object, list[PastVerdict]] = defaultdict(list)
        for past in history.all():
            self._issued[run_key(past.verdict)].append(past)
        self._by_envelope = {past.envelope: past for past in history.all()}
        self._unspoken = self._unspoken_runs()

    @property
    def n_armed(self) -> int:
        """Number of hosts on which a guard spoke."""
        return len(self._armed - {""})

    def findings(self) -> Iterator[AuditFinding]:
        """Yield each thing that ran and was not allowed, or that a person must explain."""
        for task in self._records.tries:
            if self._is_gate(task):
                yield from self._gate(task)
            elif task.state == "success" and task.operator in ASKING_OPERATORS:
                yield from self._asked(task)
            elif task.state == "success" and task.operator not in EXEMPT_OPERATORS:
                yield from self._training(task)
        yield from self._reads_unguarded()
        yield from self._hosts()
        yield from self._settings()
        yield from self._clearings()
        yield from self._deletions()
        yield from self._unknown_runs()
        yield from self._answers()
        if self._records.plugins is not None and "sluicegate" not in self._records.plugins:
            said = "the API server does not list the plugin, so its environment lacks the guard"
            yield AuditFinding("GUARD_NOT_INSTALLED", self._records.url, said)

    def _is_gate(self, task: TaskTry) -> bool:
        return bool(self._outlets.get((task.dag_id, task.task_id)))

    def _gate(self, task: TaskTry) -> Iterator[AuditFinding]:
        """Check that a gate which succeeded issued a verdict that lets training start."""
        if task.state != "success":
            return
        issued = self._issued.get(task.key, [])
        mark = self._marked(task)
        if not issued and not mark and task.ran and task.operator in ANNOUNCING_OPERATORS:
            yield from self._announced(task)
        elif not issued:
            code = "GATE_MARKED_SUCCESS" if mark or not task.ran else "GATE_WITHOUT_VERDICT"
            said = f"succeeded, and the ledger holds no verdict of this run{_by(mark)}"
            yield AuditFinding(code, _where(task), said)
        elif not issued[-1].accepted and task.is_latest:
            verdict = issued[-1].verdict
            said = f"succeeded although its verdict is {verdict.result}{_by(mark)}"
            yield AuditFinding("GATE_MARKED_SUCCESS", _where(task), said)

    def _announced(self, task: TaskTry) -> Iterator[AuditFinding]:
        """Check that what a waiver or a rollback announced was allowed at that moment."""
        end, slack = task.end or task.start, self._rules.slack
        for source in self._outlets[(task.dag_id, task.task_id)]:
            past = self._history.by_source.get(source)
            if past is None or end is None or not past.during(end - slack, end + slack):
                said = f"announced {source}, on which no verdict and no waiver let anybody train"
                yield AuditFinding("GATE_WITHOUT_VERDICT", _where(task), said)

    def _asked(self, task: TaskTry) -> Iterator[AuditFinding]:
        """Report a question that was marked as answered: nobody was asked, and nothing trains."""
        mark = self._marked(task)
        if mark or not task.ran:
            said = f"marked as answered; nobody was asked{_by(mark)}"
            yield AuditFinding("TASK_MARKED_SUCCESS", _where(task), said)

    def _training(self, task: TaskTry) -> Iterator[AuditFinding]:
        if task.operator == "EmptyOperator" and not task.ran:
            return  # the scheduler skips it: nothing ran and nothing was read
        reason = self._protection(task)
        if not reason:
            if task.dag_id in self._once_guarded and task.key not in self._noted:
                said = "succeeded unguarded in a DAG that the guard used to protect"
                yield AuditFinding("PROTECTION_REMOVED", _where(task), said)
            return
        mark = self._marked(task)
        if mark or not task.ran:
            said = f"marked as succeeded; what its run did is not known{_by(mark)}"
            yield AuditFinding("TASK_MARKED_SUCCESS", _where(task), said)
            return
        trace = self._traces.get(task.key) if task.is_latest else None
        if task.is_latest and trace is None:
            code = "PROTECTION_REMOVED" if self._rests_on_an_inlet(task) else "TRAINED_UNGUARDED"
            said = f"succeeded without an admission by the guard ({reason})"
            yield AuditFinding(code, _where(task), said)
        yield from self._read(task, trace or {}, reason)

    def _read(self, task: TaskTry, trace: Mapping[str, str], reason: str) -> Iterator[AuditFinding]:
        """Check that a verdict was in force on each source the task declares or was admitted to."""
        sources = sorted({*self._declared(task), *trace})
        if not sources:
            said = f"succeeded, is protected ({reason}), and names no source"
            yield AuditFinding("TRAINED_WITHOUT_SOURCE", _where(task), said)
        for source in sources:
            yield from self._source(task, source, trace.get(source))

    def _source(self, task: TaskTry, source: str, traced: str | None) -> Iterator[AuditFinding]:
        if task.start is None:
            return
        where, slack = f"{_where(task)} on {source}", self._rules.slack
        last = min(filter(None, (task.end, task.start + slack)))
        past = self._history.by_source.get(source)
        in_force = [] if past is None else past.during(task.start - slack, max(last, task.start))
        if not in_force:
            state, verdict = (
                (VerdictState.NOTHING, None) if past is None else past.state(task.start)
            )
            code = _CODES.get(state, "TRAINED_WITHOUT_VERDICT")
            entry = f" (ledger entry {verdict.index})" if verdict else ""
            said = f"started {_text(task.start)}: {state}{entry}"
            yield AuditFinding(code, where, said)
        elif traced is not None and traced not in {item.envelope for item in in_force}:
            known = self._by_envelope.get(traced)
            what = f"ledger entry {known.index}" if known else "a verdict that no ledger holds"
            said = f"notes an admission on {what}, which was not in force at {_text(task.start)}"
            yield AuditFinding("ADMISSION_FORGED", where, said)
        else:
            admitting = [item for item in in_force if traced in (None, item.envelope)]
            yield from self._standing.findings(admitting[-1], task.start, where)

    def _protection(self, task: TaskTry) -> str:
        tag = self._tag(task.dag_id)
        if tag:
            return f"DAG tag {tag!r}"
        if sources := self._declared(task):
            return f"source {sources[0]!r}"
        keys = (task.dag_id, task.task_id), (task.dag_id, "")
        other = next((self._others[key] for key in keys if key in self._others), "")
        return f"asset {other!r}" if other else ""

    def _tag(self, dag_id: str) -> str:
        """Return a tag that is protected, or that a person may take for one."""
        tags = self._tags.get(dag_id, frozenset())
        if (tag := protected_tag(tags, self._rules.tags)) is not None:
            return tag
        alike = (tag for tag in tags for wanted in self._rules.tags if looks_like(tag, wanted))
        return min(alike, default="")

    def _reads_unguarded(self) -> Iterator[AuditFinding]:
        """Yield a finding for each run that read verified data past every guard."""
        for tasks in self._unspoken:
            names = ", ".join(sorted({task.task_id for task in tasks}))
            said = f"its DAG file names verified data, and the guard saw none of {names}"
            yield AuditFinding("READ_UNGUARDED", _where(tasks[0]), said)

    def _unspoken_runs(self) -> list[list[TaskTry]]:
        """Return the work of runs whose DAG file names verified data, and that no guard explains.

        This looks further than the guard. It reads the file, not what Airflow made of it: an inlet
        that is no plain asset leaves no record, and a worker without the guard sees none at all. A
        guard explains a run in which it spoke, and a run whose records say which task it
        protects. If it spoke in other runs of the DAG, it also explains a run on hosts that have
        it: there the reader was skipped.
        """
        runs: dict[tuple[str, str], list[TaskTry]] = defaultdict(list)
        for task in self._records.tries:
            if Mention.READS in self._mentions.get(task.dag_id, ()):
                runs[(task.dag_id, task.run_id)].append(task)
        spoken = {key[:2] for key in self._noted}
        known = {dag_id for dag_id, _ in spoken}
        found = []
        for run, tasks in runs.items():
            work = [task for task in tasks if _did_foreign_work(task)]
            elsewhere = run[0] in known and all(task.host in self._armed for task in work)
            explained = run in spoken or elsewhere or any(map(self._protection, tasks))
            if work and not explained:
                found.append(work)
        return found

    def _hosts(self) -> Iterator[AuditFinding]:
        """Report each host that trained past the guard and on which no guard ever spoke."""
        silent = [task for tasks in self._unspoken for task in tasks]
        silent += [
            task
            for task in self._records.tries
            if _did_foreign_work(task) and task.key not in self._noted and self._protection(task)
        ]
        for host in sorted({task.host for task in silent if task.host} - self._armed):
            tasks = [task for task in silent if task.host == host]
            queues = ", ".join(sorted({task.queue for task in tasks if task.queue})) or "unknown"
            said = f"ran {len(tasks)} training tasks, queue {queues}, and no guard ever spoke there"
            yield AuditFinding("HOST_NOT_ARMED", f"{host}, e.g. {_where(tasks[0])}", said)

    def _settings(self) -> Iterator[AuditFinding]:
        for dag_id in sorted({task.dag_id for task in self._records.tries}):
            if Mention.SETS in self._mentions.get(dag_id, ()):
                said = "its file sets where the evidence is; only an administrator does that"
                yield AuditFinding("SETTINGS_IN_DAG_FILE", dag_id, said)

    def _rests_on_an_inlet(self, task: TaskTry) -> bool:
        """Return whether a DAG the guard used to admit is protected by a recorded inlet alone.

        Airflow 3.3.2 keeps inlets on record that a changed DAG file no longer names, so such
        a task may well have lost its protection.
        """
        scheduled = self._scheduled.get(task.dag_id, ())
        return task.dag_id in self._once_guarded and not self._tag(task.dag_id) and not scheduled

    def _declared(self, task: TaskTry) -> list[str]:
        inlets = self._inlets.get((task.dag_id, task.task_id), [])
        return sorted({*self._scheduled.get(task.dag_id, ()), *inlets})

    def _relevant_dags(self) -> set[str]:
        tagged = {dag_id for dag_id in self._tags if self._tag(dag_id)}
        scheduled = {dag_id for dag_id, sources in self._scheduled.items() if sources}
        used = {use.dag_id for use in self._records.uses}
        return tagged | scheduled | used | self._once_guarded

    def _marked(self, task: TaskTry) -> UserEvent | None:
        """Return the entry of the audit log by which a person set this task's state."""
        return next(
            (
                event
                for event in reversed(self._records.events)
                if event.event.startswith(_MARK)
                and "success" in event.extra
                and _concerns(event, task)
                and event.when >= (task.start or event.when)
            ),
            None,
        )

    def _clearings(self) -> Iterator[AuditFinding]:
        gates = {task.key[:3]: task for task in self._records.tries if self._is_gate(task)}
        for event in self._records.events:
            if "clear" not in event.event:
                continue
            for task in gates.values():
                if _concerns(event, task):
                    said = f"cleared by {event.owner or 'nobody known'} at {_text(event.when)}"
                    yield AuditFinding("GATE_CLEARED", _where(task), said)

    def _deletions(self) -> Iterator[AuditFinding]:
        relevant = self._relevant_dags()
        for event in self._records.events:
            if event.event.startswith(_DELETE) and event.dag_id in relevant:
                where = "/".join(filter(None, (event.dag_id, event.run_id, event.task_id)))
                said = f"{event.event} by {event.owner or 'nobody known'} at {_text(event.when)}"
                yield AuditFinding("RECORDS_DELETED", where, said)

    def _unknown_runs(self) -> Iterator[AuditFinding]:
        known = {task.key for task in self._records.tries}
        since = self._records.since
        for past in self._history.all():
            key, issued = run_key(past.verdict), past.verdict.issued
            if key is None or key in known or issued > self._records.collected:
                continue
            if since is not None and issued < since + self._rules.slack:
                continue
            said = f"names the run {'/'.join(map(str, key[:3]))}, which Airflow does not know"
            yield AuditFinding("VERDICT_RUN_UNKNOWN", f"ledger entry {past.index}", said)

    def _answers(self) -> Iterator[AuditFinding]:
        relevant = self._relevant_dags()
        for answer in self._records.answers:
            if answer.dag_id not in relevant and "waiver" not in answer.operator.lower():
                continue
            if answer.responded_by or not (answer.responded or answer.state == "success"):
                continue
            where = f"{answer.dag_id}/{answer.run_id}/{answer.task_id}"
            chosen = ", ".join(answer.options) or "nothing"
            said = f"went on with the answer {chosen!r}, which no person gave"
            yield AuditFinding("WAIVER_ANSWERED_BY_NOBODY", where, said)


def _did_foreign_work(task: TaskTry) -> bool:
    ours = EXEMPT_OPERATORS | ANNOUNCING_OPERATORS | ASKING_OPERATORS
    return task.ran and task.is_latest and task.state == "success" and task.operator not in ours


def _concerns(event: UserEvent, task: TaskTry) -> bool:
    """Return whether an audit-log entry names a task; a request for a whole run names all."""
    if event.dag_id != task.dag_id:
        return False
    if (event.run_id or task.run_id) != task.run_id:
        return False
    if not event.run_id and "run_id" in event.extra and task.run_id not in event.extra:
        return False
    if event.task_id:
        return event.task_id == task.task_id
    return "task_ids" not in event.extra or f'"{task.task_id}"' in event.extra


def _where(task: TaskTry) -> str:
    mapped = f"[{task.map_index}]" if task.map_index >= 0 else ""
    return f"{task.dag_id}/{task.run_id}/{task.task_id}{mapped} try {task.try_number}"


def _by(event: UserEvent | None) -> str:
    if event is None:
        return ""
    return f"; {event.event} by {event.owner or 'nobody known'} at {_text(event.when)}"


def _text(at: datetime) -> str:
    return format_timestamp(at)
