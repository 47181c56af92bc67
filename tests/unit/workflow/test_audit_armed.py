"""The audit's own rules, broader than the guard's: what nobody guarded, and where nobody could."""

import json
from dataclasses import replace

import pytest
from tests.unit.workflow.auditing.test_runs import FIT, GATE, codes, found, gate, records, tried
from tests.unit.workflow.conftest import AT

from sluicegate.workflow.auditing.collect_records import collect_records
from sluicegate.workflow.auditing.run_records import AdmissionTrace, AssetUse, DagRecord, RunRecords

OTHER_TASK = {"dag_id": "report", "task_id": "plot"}
OTHER = {"dag_id": "report", "run_id": "r1", "task_id": "plot"}
REFUSED = AdmissionTrace(**OTHER, map_index=-1, verdicts={}, refused="EVIDENCE_MISSING")


@pytest.fixture
def judged(site):
    return site.once(_judge)


def _judge(site):
    site.seal(site.clean)
    return gate(site)


def with_report(envelope, *, tags=(), says=("reads",), traces=(), **task):
    """A history without fault, and beside it a DAG of which the guard knows nothing."""
    base = records(envelope)
    return records(
        envelope,
        dags=(*base.dags, DagRecord(dag_id="report", tags=tags, mentions=says)),
        tries=(*base.tries, tried(OTHER, **task)),
        traces=(*base.traces, *traces),
    )


def test_a_dag_file_that_names_verified_data_and_was_not_guarded_is_found(judged):
    site, envelope = judged
    (finding,) = found(site, with_report(envelope))
    assert (finding.code, finding.locator) == ("READ_UNGUARDED", "report/r1/plot try 1")
    assert "saw none of plot" in finding.message


@pytest.mark.parametrize(
    "changes",
    [
        {"says": ()},
        {"says": ("unreadable",)},
        {"state": "failed"},
        {"ran": False},
        {"operator": "SealSourceOperator"},
        {"operator": "RequestWaiverOperator"},
        {"operator": "RollbackOperator"},
    ],
)
def test_what_does_no_work_on_it_is_none(judged, changes):
    site, envelope = judged
    assert codes(site, with_report(envelope, **changes)) == []


def test_a_run_in_which_the_guard_spoke_is_none(judged):
    """It refused one task and left the others of the run to themselves, as it should."""
    site, envelope = judged
    assert codes(site, with_report(envelope, traces=[REFUSED])) == []


def test_a_refusal_is_no_admission(judged):
    site, envelope = judged
    refused = AdmissionTrace(**FIT, map_index=-1, verdicts={"src": envelope}, refused="EXPIRED")
    assert codes(site, records(envelope, traces=(refused,))) == ["TRAINED_UNGUARDED"]


@pytest.mark.parametrize("tag", ["Training", " training", "tr\u0430ining", "train-ing"])
def test_a_tag_that_a_person_takes_for_a_protected_one_protects(judged, tag):
    site, envelope = judged
    found = codes(site, with_report(envelope, tags=(tag,)))
    assert found == ["TRAINED_UNGUARDED", "TRAINED_WITHOUT_SOURCE"]


@pytest.mark.parametrize("tag", ["trainings", "trainer", "pre-training", "reporting"])
def test_another_tag_does_not(judged, tag):
    site, envelope = judged
    assert codes(site, with_report(envelope, tags=(tag,), says=())) == []


@pytest.mark.parametrize("task_id", ["plot", ""])
def test_a_protected_asset_of_others_protects_as_inlet_and_as_schedule(judged, task_id):
    site, envelope = judged
    value = with_report(envelope, says=())
    if task_id:
        use = AssetUse(**{**OTHER_TASK, "source": "", "is_outlet": False, "asset": "s3://f/x"})
        value = replace(value, uses=(*value.uses, use))
    else:
        dags = (*value.dags[:-1], DagRecord(dag_id="report", assets=("s3://f/x",)))
        value = replace(value, dags=dags)
    assert codes(site, value) == ["TRAINED_UNGUARDED", "TRAINED_WITHOUT_SOURCE"]
    assert "asset 's3://f/x'" in found(site, value)[0].message
    noted = AdmissionTrace(**OTHER, map_index=-1, verdicts={"src": envelope})
    assert codes(site, replace(value, traces=(*value.traces, noted))) == []


class Assets:
    """Airflow's API with assets and nothing else."""

    url = "http://airflow"

    def __init__(self, *assets):
        self.assets = assets

    def pages(self, path, key, **_query):
        return [*self.assets] if path == "/assets" else []


@pytest.mark.parametrize(
    ("uri", "name", "source", "other"),
    [
        ("sluicegate://src/", "sluicegate://src", "src", ""),
        ("SluiceGate://src", "x", "src", ""),
        ("sluicegate:/src", "x", "src", ""),
        ("s3://lake", "sluicegate://src", "src", ""),
        ("S3://Features/x", "x", "", "S3://Features/x"),
    ],
)
def test_assets_are_recognised_in_every_spelling(uri, name, source, other):
    task = {"dag_id": "d", "task_id": "t"}
    asset = {"uri": uri, "name": name, "scheduled_dags": [], "producing_tasks": []}
    api = Assets({**asset, "consuming_tasks": [task]}, {**asset, "uri": "x", "name": "y"})
    (use,) = collect_records(api, collected=AT, assets=("s3://features/",)).uses
    assert (use.source, use.asset) == (source, other)


def test_a_host_that_trained_and_never_spoke_is_found(judged):
    site, envelope = judged
    tries = (tried(GATE, start=AT, host="a"), tried(host="a", queue="gpu"))
    unarmed = (tried(**{**FIT, "run_id": f"t{i}"}, host="b", queue="gpu") for i in (2, 3))
    value = records(envelope, tries=(*tries, *unarmed))
    (finding,) = [item for item in found(site, value) if item.code == "HOST_NOT_ARMED"]
    assert finding.locator == "b, e.g. train/t2/fit try 1"
    assert "ran 2 training tasks, queue gpu" in finding.message
    assert codes(site, records(envelope, tries=tries)) == []


def test_a_refusal_proves_a_host_too(judged):
    """The run that it did not guard is found all the same; the host is not to blame."""
    site, envelope = judged
    second = {**FIT, "run_id": "t2"}
    refused = AdmissionTrace(**second, map_index=-1, verdicts={}, refused="EXPIRED")
    tries = (tried(GATE), tried(host="a"), tried(second, host="b", state="failed"))
    third = tried({**FIT, "run_id": "t3"}, host="b")
    base = records(envelope)
    value = records(envelope, tries=(*tries, third), traces=(*base.traces, refused))
    assert codes(site, value) == ["TRAINED_UNGUARDED"]


def skipped_day(envelope, **host):
    """A run that found nothing new, so that its training was skipped and no guard was asked."""
    value = with_report(envelope, **host)
    skipped = tried({**OTHER, "task_id": "train"}, state="skipped", ran=False)
    return replace(value, tries=(*value.tries, skipped))


def test_a_run_whose_training_was_skipped_is_explained_by_the_record_of_its_inlet(judged):
    site, envelope = judged
    value = skipped_day(envelope, host="pod-1")
    use = AssetUse(dag_id="report", task_id="train", source="src", is_outlet=False)
    assert codes(site, replace(value, uses=(*value.uses, use))) == []


def test_or_by_another_run_of_its_dag_if_its_host_is_armed(judged):
    """Airflow records no inlet by `&`, so the DAG's other runs have to say it."""
    site, envelope = judged
    value = skipped_day(envelope, host="a")
    day_before = {**OTHER, "run_id": "r0", "task_id": "train"}
    spoke = AdmissionTrace(**day_before, map_index=-1, verdicts={}, refused="EXPIRED")
    before = tried(day_before, state="failed", host="a")
    value = replace(value, traces=(*value.traces, spoke), tries=(*value.tries, before))
    assert codes(site, value) == []
    elsewhere = tuple(
        replace(task, host="b") if task.task_id == "plot" else task for task in value.tries
    )
    found = codes(site, replace(value, tries=elsewhere))
    assert found == ["READ_UNGUARDED", "HOST_NOT_ARMED"]


def test_a_pod_that_ran_the_unprotected_task_of_a_guarded_run_need_not_speak(judged):
    site, envelope = judged
    value = with_report(envelope, traces=[REFUSED], host="pod-1")
    second = tried({**OTHER, "task_id": "load"}, host="pod-2")
    assert codes(site, replace(value, tries=(*value.tries, second))) == []


def test_a_host_that_ran_only_other_things_need_not_speak(judged):
    site, envelope = judged
    assert codes(site, with_report(envelope, says=(), host="c")) == []


def test_a_dag_file_that_sets_our_settings_is_found(judged):
    site, envelope = judged
    value = with_report(envelope, says=("sets",))
    assert codes(site, value) == ["SETTINGS_IN_DAG_FILE"]
    assert [item.locator for item in found(site, value)] == ["report"]


KEY = ("d", "r", "t", -1)


@pytest.mark.parametrize(
    ("value", "verdicts", "refused"),
    [
        ({"sources": {"a": "x"}, "refused": "", "guard": {"version": "1"}}, {"a": "x"}, ""),
        (json.dumps({"sources": {"a": "x"}}), {"a": "x"}, ""),
        ({"sources": {}, "refused": "EXPIRED"}, {}, "EXPIRED"),
        ({"a": "sha256:0"}, {"a": "sha256:0"}, ""),  # a guard before notes had parts
        ({"sources": "sha256:0"}, {"sources": "sha256:0"}, ""),  # of such a one, by this name
        ({"sources": {"a": 1}, "refused": None, "guard": "x"}, {"a": "1"}, ""),
        ("[1", {}, ""),
        ("[" * 100_000, {}, ""),
        (None, {}, ""),
        ([1], {}, ""),
    ],
)
def test_whatever_lies_in_the_xcom_is_read_without_believing_it(value, verdicts, refused):
    trace = AdmissionTrace.of(KEY, value)
    assert (trace.key, dict(trace.verdicts), trace.refused) == (KEY, verdicts, refused)


def test_records_of_before_are_read_and_new_ones_come_back(judged):
    _, envelope = judged
    value = with_report(envelope, host="a", queue="q", dag_version=3)
    assert RunRecords.from_json(value.to_json(), locator="x") == value
    old = json.loads(value.to_json())
    for item in old["tries"]:
        del item["host"], item["queue"], item["dag_version"]
    for item in old["traces"]:
        del item["refused"], item["version"], item["settings"]
    for item in old["dags"]:
        del item["mentions"]
    read = RunRecords.from_json(json.dumps(old).encode(), locator="x")
    assert {task.host for task in read.tries} == {""}
