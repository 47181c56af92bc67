"""What ran is compared with what was allowed; each way around the gate has its own code."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.workflow.conftest import AT, evaluate_once

from sluicegate.attest.keys import Algorithm, generate
from sluicegate.errors import MalformedEnvelope
from sluicegate.gate.default_policy import DEFAULT_POLICY
from sluicegate.workflow.auditing.audit import audit, open_for_audit
from sluicegate.workflow.auditing.custody_history import Hold, is_held
from sluicegate.workflow.auditing.run_records import (
    AdmissionTrace,
    AssetUse,
    DagRecord,
    HumanAnswer,
    RunRecords,
    TaskTry,
    UserEvent,
    read_records,
)
from sluicegate.workflow.auditing.runs import RunRules
from sluicegate.workflow.judging.gate import GateSigners, gate_source
from sluicegate.workflow.judging.runners import evaluate_directly
from sluicegate.workflow.response.quarantine import quarantine_batch, release_batch

LATER = AT + timedelta(minutes=30)
GATE = {"dag_id": "gate", "run_id": "g1", "task_id": "gate"}
FIT = {"dag_id": "train", "run_id": "t1", "task_id": "fit"}


def seconds(n: float) -> timedelta:
    return timedelta(seconds=n)


def tried(who=FIT, **changes) -> TaskTry:
    fields = {
        "map_index": -1,
        "try_number": 1,
        "state": "success",
        "start": AT + seconds(10),
        "end": AT + seconds(900),
        "operator": "TrainingGateOperator" if who == GATE else "BashOperator",
        "ran": True,
    }
    return TaskTry(**(who | fields | changes))


def by(event: str, who, **changes) -> UserEvent:
    fields = {"when": AT + seconds(999), "event": event, "owner": "mallory", "extra": ""}
    return UserEvent(**(who | fields | changes))


MARKED = by("patch_task_instance", FIT, extra='{"new_state": "success"}')


@pytest.fixture
def judged(site):
    return site.once(_judge)


def _judge(site):
    site.seal(site.clean)
    return gate(site)


def gate(site, at=AT, **run):
    who = {"orchestrator": "airflow", "map_index": "-1", "try_number": "1", **GATE, **run}
    signers = GateSigners(site.signer("gate"), site.signer("ledger"))
    issued, _ = gate_source(site.home, "src", signers=signers, at=at, run=who, runner=evaluate_once)
    return site, str(issued.envelope)


def records(envelope="", **changes) -> RunRecords:
    base = RunRecords(
        url="http://airflow",
        collected=LATER,
        since=None,
        dags=(
            DagRecord(dag_id="gate"),
            DagRecord(dag_id="train", tags=("training",), sources=("src",)),
        ),
        uses=(AssetUse(dag_id="gate", task_id="gate", source="src", is_outlet=True),),
        tries=(tried(GATE, start=AT), tried()),
        traces=(AdmissionTrace(**FIT, map_index=-1, verdicts={"src": envelope}),),
        events=(),
        answers=(),
        plugins=("sluicegate",),
    )
    return replace(base, **changes)


def found(site, value, **options):
    evidence = open_for_audit(site.home, at=LATER)
    return audit(evidence, at=LATER, records=value, **options).findings


def codes(site, value, **options) -> list[str]:
    return [finding.code for finding in found(site, value, **options)]


def test_admitted_training_after_its_gate_has_no_findings(judged):
    assert codes(judged[0], records(judged[1])) == []


def test_training_without_the_trace_of_the_guard_is_found(judged):
    assert codes(judged[0], records(traces=())) == ["TRAINED_UNGUARDED"]


def test_training_before_any_verdict_is_found(judged):
    early = tried(start=AT - seconds(600), end=AT - seconds(400))
    value = records(judged[1], tries=(tried(GATE), early))
    assert codes(judged[0], value) == ["TRAINED_WITHOUT_VERDICT"]


def test_training_a_moment_before_the_verdict_is_forgiven_to_the_clock(judged):
    value = records(judged[1], tries=(tried(GATE), tried(start=AT - seconds(30))))
    assert codes(judged[0], value) == []
    strict = RunRules(slack=seconds(5))
    assert codes(judged[0], value, rules=strict) == ["TRAINED_WITHOUT_VERDICT"]


def test_training_on_an_expired_verdict_is_found(site):
    text = DEFAULT_POLICY.replace("verdict_ttl_hours: 168", "verdict_ttl_hours: 0.1")
    site.home.policy.write_text(text, encoding="utf-8")
    site.seal(site.clean)
    _, envelope = gate(site)
    value = records(envelope, tries=(tried(GATE), tried(start=AT + seconds(600))))
    assert codes(site, value) == ["TRAINED_ON_EXPIRED_VERDICT"]


def test_training_on_a_failed_verdict_is_found(site):
    site.seal(site.poisoned)
    _, envelope = gate(site)
    value = records(envelope, tries=(tried(GATE, state="failed"), tried()))
    assert codes(site, value) == ["TRAINED_ON_FAILED_VERDICT"]


def test_training_after_a_newer_batch_that_nobody_judged_is_found(judged):
    site, envelope = judged
    site.seal(site.poisoned, at=AT + seconds(300))
    value = records(envelope, tries=(tried(GATE), tried(start=AT + seconds(600))))
    assert codes(site, value) == ["TRAINED_WITHOUT_VERDICT"]


def test_verdict_counts_again_when_its_batch_is_the_newest_again(judged):
    site, envelope = judged
    site.seal(site.poisoned, at=AT + seconds(300))
    site.seal(site.clean, at=AT + seconds(500))
    value = records(envelope, tries=(tried(GATE), tried(start=AT + seconds(600))))
    assert codes(site, value) == []


def test_trace_of_a_verdict_that_no_ledger_holds_is_forged(judged):
    assert codes(judged[0], records("sha256:" + "f" * 64)) == ["ADMISSION_FORGED"]


def test_trace_of_an_older_verdict_is_forged(judged):
    site, old = judged
    gate(site, at=AT + seconds(300), run_id="g2")
    tries = (tried(GATE), tried(GATE | {"run_id": "g2"}), tried(start=AT + seconds(600)))
    assert codes(site, records(old, tries=tries)) == ["ADMISSION_FORGED"]


def test_protected_training_that_names_no_source_is_found(judged):
    dags = (DagRecord(dag_id="train", tags=("training",)), DagRecord(dag_id="gate"))
    value = records(dags=dags, traces=())
    assert codes(judged[0], value) == ["TRAINED_UNGUARDED", "TRAINED_WITHOUT_SOURCE"]


def test_training_in_a_dag_that_lost_its_protection_is_found(judged):
    again = tried(FIT | {"run_id": "t2"})
    dags = (DagRecord(dag_id="train"), DagRecord(dag_id="gate"))
    value = records(judged[1], dags=dags, tries=(tried(GATE), tried(), again))
    assert codes(judged[0], value) == ["PROTECTION_REMOVED"]


def test_inlet_that_airflow_still_records_does_not_hide_the_lost_protection(judged):
    again = tried(FIT | {"run_id": "t2"})
    dags = (DagRecord(dag_id="train"), DagRecord(dag_id="gate"))
    inlet = AssetUse(dag_id="train", task_id="fit", source="src", is_outlet=False)
    value = records(judged[1], dags=dags, tries=(tried(GATE), tried(), again))
    value = replace(value, uses=(*value.uses, inlet))
    assert codes(judged[0], value) == ["PROTECTION_REMOVED"]


def test_dag_that_was_never_protected_is_nobodys_business(judged):
    other = tried(FIT | {"dag_id": "report"})
    value = records(judged[1], tries=(tried(GATE), tried(), other))
    assert codes(judged[0], value) == []


def test_training_that_failed_trained_nothing(judged):
    assert codes(judged[0], records(traces=(), tries=(tried(GATE), tried(state="failed")))) == []


def test_empty_task_that_the_scheduler_skipped_read_nothing(judged):
    empty = tried(operator="EmptyOperator", ran=False)
    assert codes(judged[0], records(traces=(), tries=(tried(GATE), empty))) == []


def test_earlier_try_of_a_cleared_training_is_judged_too(judged):
    early = tried(is_latest=False, start=AT - seconds(600), end=AT - seconds(500))
    value = records(judged[1], tries=(tried(GATE), tried(try_number=2), early))
    (finding,) = found(judged[0], value)
    assert (finding.code, finding.locator[-12:]) == ("TRAINED_WITHOUT_VERDICT", "try 1 on src")


def test_training_marked_as_succeeded_names_who_did_it(judged):
    value = records(traces=(), events=(MARKED,))
    (finding,) = found(judged[0], value)
    assert finding.code == "TASK_MARKED_SUCCESS"
    assert "mallory" in finding.message


def test_training_that_never_ran_and_succeeded_was_marked(judged):
    value = records(traces=(), tries=(tried(GATE), tried(ran=False, start=None)))
    assert codes(judged[0], value) == ["TASK_MARKED_SUCCESS"]


def test_gate_marked_as_succeeded_is_found_by_its_verdict(site):
    site.seal(site.poisoned)
    gate(site)
    event = by("patch_task_instance", GATE, extra='{"new_state": "success"}')
    value = records(tries=(tried(GATE),), traces=(), events=(event,))
    (finding,) = found(site, value)
    assert finding.code == "GATE_MARKED_SUCCESS"
    assert "FAILED" in finding.message
    assert "mallory" in finding.message


def test_gate_marked_before_it_judged_is_found(judged):
    other = tried(GATE | {"run_id": "g9"}, ran=False)
    value = records(judged[1], tries=(tried(GATE), tried(), other))
    assert codes(judged[0], value) == ["GATE_MARKED_SUCCESS"]


def test_gate_that_ran_and_left_no_verdict_is_found(judged):
    other = tried(GATE | {"run_id": "g9"})
    value = records(judged[1], tries=(tried(GATE), tried(), other))
    assert codes(judged[0], value) == ["GATE_WITHOUT_VERDICT"]


def test_cleared_gate_is_found_with_who_cleared_it(judged):
    who = {"dag_id": "gate", "run_id": "g1", "task_id": ""}
    clear = by("post_clear_task_instances", who, extra='{"task_ids": ["gate"]}')
    other = by("post_clear_task_instances", who, extra='{"task_ids": ["seal"]}')
    (finding,) = found(judged[0], records(judged[1], events=(clear, other)))
    assert finding.code == "GATE_CLEARED"
    assert "mallory" in finding.message


def test_verdict_of_a_run_that_airflow_does_not_know_is_found(judged):
    site, envelope = judged
    value = records(envelope, tries=(tried(),))
    assert codes(site, value) == ["VERDICT_RUN_UNKNOWN"]
    assert codes(site, replace(value, since=AT)) == []


def test_verdict_of_the_command_line_names_no_run(site):
    site.seal(site.clean)
    issued, _ = site.gate()
    assert codes(site, records(str(issued.envelope), tries=(tried(),))) == []


def test_deleted_run_of_a_gate_is_found(judged):
    event = by("delete_dag_run", {"dag_id": "gate", "run_id": "g0", "task_id": ""})
    assert codes(judged[0], records(judged[1], events=(event,))) == ["RECORDS_DELETED"]


def test_api_server_without_the_plugin_is_found(judged):
    assert codes(judged[0], records(judged[1], plugins=())) == ["GUARD_NOT_INSTALLED"]
    assert codes(judged[0], records(judged[1], plugins=None)) == []


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"responded": True}, ["WAIVER_ANSWERED_BY_NOBODY"]),
        ({"responded": True, "responded_by": "vera"}, []),
        ({"state": "awaiting_input"}, []),
        ({"state": "success"}, ["WAIVER_ANSWERED_BY_NOBODY"]),
        ({"responded": True, "dag_id": "lunch"}, []),
    ],
)
def test_answer_that_no_person_gave_is_found(judged, answer, expected):
    fields = {
        "dag_id": "gate",
        "run_id": "g1",
        "task_id": "waive",
        "operator": "ApprovalOperator",
        "state": "failed",
        "responded_by": "",
        "responded": False,
        **answer,
    }
    value = records(judged[1], answers=(HumanAnswer(**fields),))
    assert codes(judged[0], value) == expected


def test_records_survive_their_file(judged, tmp_path):
    value = records(judged[1], events=(MARKED,), since=AT)
    (tmp_path / "runs.json").write_bytes(value.to_json())
    assert read_records(tmp_path / "runs.json") == value


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"type": "x"}'])
def test_file_that_is_no_records_is_refused(data):
    with pytest.raises(MalformedEnvelope):
        RunRecords.from_json(data, locator="runs.json")


@pytest.fixture
def waived(site):
    """A FAILED batch whose fired signals two people waived a quarter of an hour later."""
    return site.once(_waive)


def _waive(site):
    from tests.unit.workflow.response.test_waiver import SECTION, _trust, ask, confirm

    people = [generate(Algorithm.ED25519) for _ in range(2)]
    _trust(site, [person.public_key for person in people])
    site.home.policy.write_text(DEFAULT_POLICY + SECTION, encoding="utf-8")
    site.seal(site.poisoned)
    _, envelope = gate(site)
    at = AT + seconds(600)
    confirm(site, ask(site, people[0], at=at), people[1], at=at)
    return site, envelope, people


def test_training_on_a_waived_verdict_is_no_finding(waived):
    site, envelope, _ = waived
    tries = (tried(GATE, state="failed"), tried(start=AT + seconds(700)))
    assert codes(site, records(envelope, tries=tries)) == []


def test_training_before_the_waiver_is_found(waived):
    site, envelope, _ = waived
    tries = (tried(GATE, state="failed"), tried(start=AT + seconds(100)))
    assert codes(site, records(envelope, tries=tries)) == ["TRAINED_ON_FAILED_VERDICT"]


def held(site, at):
    evidence = site.evidence(at)
    batch = evidence.latest_seal("src", at=at)
    signer = site.signer("gate")
    quarantine_batch(
        site.home, evidence, batch, reason="odd", signer=signer, run={"who": "test"}, at=at
    )


def test_training_on_a_quarantined_batch_is_found(judged):
    site, envelope = judged
    held(site, AT + seconds(600))
    late, early = tried(start=AT + seconds(1200)), tried(start=AT + seconds(60))
    gated = tried(GATE)
    assert codes(site, records(envelope, tries=(gated, early))) == []
    assert codes(site, records(envelope, tries=(gated, late))) == ["TRAINED_ON_QUARANTINED_BATCH"]


def test_training_after_the_release_has_no_findings(judged):
    site, _ = judged
    held(site, AT + seconds(600))
    issued = release_batch(
        site.home,
        "src",
        None,
        reason="looked again",
        signers=GateSigners(site.signer("gate"), site.signer("ledger")),
        runner=evaluate_directly,
        run={"who": "test"},
        at=AT + seconds(900),
    )
    tries = (tried(GATE), tried(start=AT + seconds(1200)))
    assert codes(site, records(str(issued.envelope), tries=tries)) == []


def test_release_that_does_not_verify_ends_no_quarantine(judged):
    site, envelope = judged
    held(site, AT + seconds(600))
    evidence = site.evidence()
    record = next(evidence.ledger.find("quarantine"))
    digest = evidence.latest_seal("src", at=AT).digest
    forged = record.envelope.replace(b'"sig"', b'"sig" ')
    evidence.append("src", digest, [("release", forged)])
    tries = (tried(GATE), tried(start=AT + seconds(1200)))
    assert "TRAINED_ON_QUARANTINED_BATCH" in codes(site, records(envelope, tries=tries))


def test_hold_counts_from_its_beginning_to_its_release():
    first, second = AT, AT + seconds(100)
    holds = [Hold("a", first, AT + seconds(50)), Hold("a", second, None), Hold("b", first, None)]
    moments = (-1, 0, 49, 50, 99, 100, 1000)
    assert [is_held(holds, "a", AT + seconds(n)) for n in moments] == [
        False,
        True,
        True,
        False,
        False,
        True,
        True,
    ]
    assert not is_held(holds, "c", AT)


ASK = {"dag_id": "gate", "run_id": "g1", "task_id": "waiver.request"}
CONFIRM = {"dag_id": "gate", "run_id": "g1", "task_id": "waiver.confirm"}
BACK = {"dag_id": "gate", "run_id": "g1", "task_id": "rollback"}
RAN_AT = {"start": AT + seconds(590), "end": AT + seconds(660)}


def announcing(envelope, *tries, events=()):
    """Records of a gate that failed, of tasks behind it that announce, and of no training."""
    value = records(envelope, tries=(tried(GATE, state="failed"), *tries), traces=(), events=events)
    outlets = (
        AssetUse(dag_id="gate", task_id=who["task_id"], source="src", is_outlet=True)
        for who in (CONFIRM, BACK)
    )
    dags = (DagRecord(dag_id="gate", tags=("training",)), *value.dags[1:])
    return replace(value, uses=(*value.uses, *outlets), dags=dags)


def test_waiver_through_airflows_form_is_no_finding(waived):
    site, envelope, _ = waived
    asked = tried(ASK, operator="RequestWaiverOperator", **RAN_AT)
    confirmed = tried(CONFIRM, operator="ConfirmWaiverOperator", **RAN_AT)
    assert codes(site, announcing(envelope, asked, confirmed)) == []


def test_confirmation_that_left_no_waiver_is_found(site):
    site.seal(site.poisoned)
    _, envelope = gate(site)
    confirmed = tried(CONFIRM, operator="ConfirmWaiverOperator", **RAN_AT)
    (finding,) = found(site, announcing(envelope, confirmed))
    assert finding.code == "GATE_WITHOUT_VERDICT"
    assert "no waiver" in finding.message


def test_waiver_steps_marked_as_succeeded_are_found_with_who_did_it(site):
    site.seal(site.poisoned)
    _, envelope = gate(site)
    tries = (
        tried(ASK, operator="RequestWaiverOperator", **RAN_AT),
        tried(CONFIRM, operator="ConfirmWaiverOperator", **RAN_AT),
    )
    marks = [
        by("patch_task_instance", who, extra='{"new_state": "success"}') for who in (ASK, CONFIRM)
    ]
    said = found(site, announcing(envelope, *tries, events=tuple(marks)))
    assert {item.code for item in said} == {"GATE_MARKED_SUCCESS", "TASK_MARKED_SUCCESS"}
    assert all("mallory" in item.message for item in said)


def test_rollback_to_a_batch_whose_verdict_is_in_force_is_no_finding(judged):
    site, envelope = judged
    site.seal(site.poisoned, at=AT + seconds(300))
    site.seal(site.clean, at=AT + seconds(600))
    value = announcing(envelope, tried(BACK, operator="RollbackOperator", **RAN_AT))
    value = replace(value, tries=(tried(GATE), *value.tries[1:]))
    assert codes(site, value) == []


def test_rollback_that_announced_a_batch_nobody_let_through_is_found(judged):
    site, envelope = judged
    site.seal(site.poisoned, at=AT + seconds(300))
    value = announcing(envelope, tried(BACK, operator="RollbackOperator", **RAN_AT))
    value = replace(value, tries=(tried(GATE), *value.tries[1:]))
    assert codes(site, value) == ["GATE_WITHOUT_VERDICT"]


def test_task_of_an_author_that_announces_a_waived_batch_is_found(waived):
    """Only our operators announce on a verdict that another task issued."""
    site, envelope, _ = waived
    forged = tried(CONFIRM, operator="BashOperator", **RAN_AT)
    assert codes(site, announcing(envelope, forged)) == ["GATE_WITHOUT_VERDICT"]
