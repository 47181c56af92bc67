"""A blocked batch, put to two people: Airflow's human-in-the-loop form becomes a signed waiver.

`waiver(source)` makes a group of two tasks that runs after the gate. If the gate blocked, the first
task waits until a person explains why training may go on all the same. The second waits until
another person confirms exactly that. Each answer is signed with that person's own key. Only the
ledger's entry lets training start: marking these tasks successful does not.

These tasks need the approvers' keys and the ledger's; the training task must never have them. See
docs/adr/0011-waiver-through-airflow.md.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk.exceptions import AirflowSkipException

from sluicegate.digest.algorithms import sha256_bytes
from sluicegate.errors import ConfigError, VerificationError
from sluicegate.orchestration.answers import (
    ABOUT,
    APPROVE,
    REJECT,
    Answer,
    answer_of,
    people_of,
    same_person,
)
from sluicegate.orchestration.assets import announce, verified_asset
from sluicegate.orchestration.operators import _SluicegateOperator
from sluicegate.untrusted import visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import TaskGroup

    from sluicegate.gate.waiver import Waiver
    from sluicegate.workflow.evidence.home import SluiceHome
    from sluicegate.workflow.response.waiver_question import Question

DEFAULT_PATIENCE: Final = timedelta(hours=72)


def waiver(source: str, *, group_id: str = "waiver", **options: Any) -> TaskGroup:
    """Return the two tasks that ask two people about a blocked batch.

    Args:
        source: Name of the source.
        group_id: Name of the group.
        **options: For both operators: ``user_ids``, ``response_timeout``, ``queue``, ...

    Example::

        gate >> waiver("flights")
    """
    from airflow.sdk import TaskGroup

    with TaskGroup(group_id) as group:
        request = RequestWaiverOperator(task_id="request", source=source, **options)
        ConfirmWaiverOperator(task_id="confirm", source=source, request=request.output, **options)
    return group


class _AsksAPerson(_SluicegateOperator):
    """What both steps share: they show the form and read the answer.

    Args:
        source: Name of the source.
        user_ids: Name in the policy to Airflow's user id, for each person whose id is not the
            name.
        response_timeout: How long to wait. After that the task fails, and nothing is waived.
        **kwargs: As for any operator.
    """

    def __init__(
        self,
        *,
        source: str,
        user_ids: Mapping[str, str] | None = None,
        response_timeout: timedelta = DEFAULT_PATIENCE,
        **kwargs: Any,
    ) -> None:
        super().__init__(source=source, **kwargs)
        self.user_ids = dict(user_ids or {})
        self.response_timeout = response_timeout

    def answered(
        self, context: Mapping[str, Any], event: Mapping[str, Any], asked: Mapping[str, str]
    ) -> dict[str, str]:
        """Go on with what Airflow was answered.

        Raises:
            AirflowFailException: The answer does not count; clearing the task asks again.
            AirflowException: Could not check: Airflow may try again.
        """
        return self._mapped(lambda home, at: self._resume(home, context, event, asked, at))

    def _resume(
        self,
        home: SluiceHome,
        context: Mapping[str, Any],
        event: Mapping[str, Any],
        asked: Mapping[str, str],
        at: datetime,
    ) -> dict[str, str]:
        question = self._question(home, at)
        if asked["about"] != self._about(question):
            raise VerificationError(
                "the answer is about a verdict that is no longer the newest",
                locator=self.source,
                next_step="Clear the task: it asks again.",
            )
        answer = answer_of(
            event,
            about=asked["about"],
            asked_at=datetime.fromisoformat(asked["at"]),
            people=people_of(question.people, self.user_ids),
        )
        return self._decide(home, context, question, answer, at)

    def _question(self, home: SluiceHome, at: datetime) -> Question:
        from sluicegate.workflow.response.waiver_question import question_about

        if (question := question_about(home, self.source, at=at)) is None:
            raise ConfigError("there is nothing left to waive", locator=self.source)
        return question

    def _about(self, question: Question) -> str:
        raise NotImplementedError

    def _decide(
        self,
        home: SluiceHome,
        context: Mapping[str, Any],
        question: Question,
        answer: Answer,
        at: datetime,
    ) -> dict[str, str]:
        raise NotImplementedError

    def _form(
        self,
        context: Mapping[str, Any],
        *,
        subject: str,
        body: str,
        about: str,
        people: Mapping[str, str],
        fields: Mapping[str, Any],
    ) -> BaseException:
        """Show the form; return what to raise so that the task waits until `answered` is called."""
        if not people:  # then Airflow would let everybody answer
            raise ConfigError("nobody is left who may answer", locator=self.source)
        from airflow.sdk import Param
        from airflow.sdk.exceptions import TaskAwaitingInput
        from airflow.sdk.execution_time.hitl import HITLUser, upsert_hitl_detail

        asked = {"about": about, "at": datetime.now(UTC).isoformat()}
        form = {ABOUT: Param(about, type="string", description="leave as it is"), **fields}
        upsert_hitl_detail(
            ti_id=context["ti"].id,
            options=[APPROVE, REJECT],
            subject=subject,
            body=body,
            # No defaults: with them, a timeout would answer.
            params={name: param.serialize() for name, param in form.items()},
            assigned_users=[HITLUser(id=key, name=name) for key, name in people.items()],
        )
        self.log.info("waiting for %s", " or ".join(sorted(people.values())))
        return TaskAwaitingInput(
            method_name="answered", kwargs={"asked": asked}, timeout=self.response_timeout
        )


class RequestWaiverOperator(_AsksAPerson):
    """Ask a person why a blocked batch may be trained on. Skipped if the gate let it through.

    Returns:
        Through XCom ``{source, digest, request}``: the signed request, which is verified where it
        is used. There is no ``request`` if a waiver already lets training start.
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("trigger_rule", "all_done")
        super().__init__(**kwargs)

    def _run(self, home: SluiceHome, context: Mapping[str, Any], at: datetime) -> dict[str, str]:
        from airflow.sdk import Param

        from sluicegate.workflow.response.waiver_question import question_about

        question = question_about(home, self.source, at=at)
        if question is None:
            return _already_admitted(home, self.source, at)
        people = people_of(question.people, self.user_ids)
        hours = Param(
            min(24, question.max_hours),
            type="number",
            description=f"how many hours the waiver holds, at most {question.max_hours:g}",
        )
        raise self._form(
            context,
            subject=f"Training on {self.source} is blocked: waive {', '.join(question.codes)}?",
            body=f"{_literal(question.summary)}\n\nBatch `{question.digest}`. "
            "Your name and reason are signed and kept; a second person has to confirm.",
            about=str(question.verdict),
            people=people,
            fields={"reason": Param("", type="string", description="why"), "hours": hours},
        )

    def _about(self, question: Question) -> str:
        return str(question.verdict)

    def _decide(
        self,
        home: SluiceHome,
        context: Mapping[str, Any],
        question: Question,
        answer: Answer,
        at: datetime,
    ) -> dict[str, str]:
        from sluicegate.workflow.response.waiver_question import request_answered

        try:
            reason, hours = answer.text("reason"), answer.number("hours", question.max_hours)
        except ConfigError as error:
            # Airflow does not look at what was entered; a slip is no reason to fail.
            self.log.error("asking again: %s", error)  # noqa: TRY400 - no stack trace for a slip
            return self._run(home, context, at)
        request = request_answered(
            home,
            question,
            reason=reason,
            hours=hours,
            by=answer.by,
            signer=self._signer(home, f"waiver_{answer.by}"),
            at=at,
        )
        digest = str(question.digest)
        return {"source": self.source, "digest": digest, "request": request.decode()}


class ConfirmWaiverOperator(_AsksAPerson):
    """Ask a second person to confirm a request; then append the waiver and announce the batch.

    Args:
        request: What `RequestWaiverOperator` returned; templated.
        **kwargs: As for `RequestWaiverOperator`. ``outlets`` always holds
            ``verified_asset(source)``.

    Returns:
        Through XCom and the event's extra ``{source, digest, verdict}``: a pointer.
    """

    template_fields: Sequence[str] = ("request",)

    def __init__(self, *, source: str, request: Any, **kwargs: Any) -> None:
        outlets = [*kwargs.pop("outlets", []), verified_asset(source)]
        super().__init__(source=source, outlets=outlets, **kwargs)
        self.request = request

    def _run(self, home: SluiceHome, context: Mapping[str, Any], at: datetime) -> dict[str, str]:
        if not isinstance(self.request, dict):
            raise ConfigError("nobody asked for a waiver", locator=self.source)
        if "request" not in self.request:
            return self._announce(home, context, at)
        question, asked_for = self._question(home, at), self._asked_for(home, at)
        others = tuple(
            name for name in question.people if not same_person(name, asked_for.requested_by)
        )
        until = asked_for.expires.isoformat()
        raise self._form(
            context,
            subject=f"Confirm the waiver of {', '.join(sorted(asked_for.signals))} "
            f"on {self.source}?",
            body=f"{asked_for.requested_by} asks for it until {until}, because:\n\n"
            f"{_literal(asked_for.reason)}\n\n{_literal(question.summary)}\n\n"
            f"Batch `{asked_for.digest}`.",
            about=self._about(question),
            people=people_of(others, self.user_ids),
            fields={},
        )

    def _decide(
        self,
        home: SluiceHome,
        context: Mapping[str, Any],
        question: Question,  # noqa: ARG002 - confirm_waiver reads the newest verdict itself
        answer: Answer,
        at: datetime,
    ) -> dict[str, str]:
        from sluicegate.workflow.evidence.opening import open_evidence
        from sluicegate.workflow.response.waiver import confirm_waiver
        from sluicegate.workflow.response.waiver_question import require_own_key

        signer = self._signer(home, f"waiver_{answer.by}")
        require_own_key(home, self.source, answer.by, signer)
        given = confirm_waiver(
            home,
            open_evidence(home, at=at, ledger_signer=self._signer(home, "ledger")),
            self.request["request"].encode(),
            by=answer.by,
            signer=signer,
            at=at,
            locator=f"XCom of {self.task_id}",
        )
        self.log.info("waived by %s and %s", given.requested_by, answer.by)
        return self._announce(home, context, at)

    def _asked_for(self, home: SluiceHome, at: datetime) -> Waiver:
        from sluicegate.workflow.evidence.opening import open_evidence
        from sluicegate.workflow.response.waiver import read_request

        request = self.request["request"].encode()
        _, asked_for = read_request(open_evidence(home, at=at), request, at=at, locator="XCom")
        return asked_for

    def _about(self, _question: Question | None) -> str:
        return str(sha256_bytes(self.request["request"].encode()))

    def _announce(
        self, home: SluiceHome, context: Mapping[str, Any], at: datetime
    ) -> dict[str, str]:
        pointer = _admitted(home, self.source, at)
        announce(context, self.source, pointer)
        return pointer


def _literal(text: str) -> str:
    """Return text that Airflow's form shows as it is; its Markdown could make a link of a name."""
    return f"    {visible(text)}"


def _already_admitted(home: SluiceHome, source: str, at: datetime) -> dict[str, str]:
    """Return a pointer if people waived the verdict by other means; skip if nobody had to."""
    from sluicegate.adapters.policy_file import read_policy
    from sluicegate.errors import GateBlocked
    from sluicegate.workflow.admission.admit import admit_training

    admission = admit_training(home, [source], at=at)[source]
    try:
        admission.issued.verdict.require_passed(read_policy(home.policy), at=at)
    except GateBlocked:
        return {"source": source, "digest": str(admission.batch.digest)}
    raise AirflowSkipException("the gate let the batch through: there is nothing to waive")


def _admitted(home: SluiceHome, source: str, at: datetime) -> dict[str, str]:
    from sluicegate.workflow.admission.admit import admit_training

    return admit_training(home, [source], at=at)[source].pointer
