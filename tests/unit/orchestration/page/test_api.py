"""Whatever is asked, and whatever is broken below, the answer has words and is never green."""

from __future__ import annotations

import json
import os

import pytest
from airflow.api_fastapi.common.db.common import _get_session
from airflow.api_fastapi.core_api import security
from airflow.models import import_all_models
from airflow.models.base import Base
from fastapi.testclient import TestClient
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool
from tests.unit.workflow.conftest import AT, RUN, built_site, judge_clean, site  # noqa: F401 - fixtures

from sluicegate.attest.timestamps import format_timestamp
from sluicegate.orchestration.page import api, guard_view, ledger_view, lineage_view
from sluicegate.workflow.overview.overview import PORTION, Overview
from sluicegate.workflow.overview.source_state import URGENCY
from sluicegate.workflow.sealing.seal import seal_into_ledger


class _Allows:
    def is_authorized_asset(self, **_asked):
        return True


@pytest.fixture(scope="module")
def database():
    """Airflow's tables, with nothing in them."""
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args=ANY_THREAD)
    import_all_models()
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        yield session
    engine.dispose()


ANY_THREAD = {"check_same_thread": False}


@pytest.fixture
def asked(site, monkeypatch, database):  # noqa: F811
    """The application on a judged installation, asked by somebody who may see everything."""
    site.once(judge_clean)

    def readable(names, _user, _session):
        assert "\0" not in "".join(names), "PostgreSQL refuses such a text"
        return {name: [] for name in names}

    monkeypatch.setattr(api, "_OVERVIEW", Overview(lambda: site.home, lambda: AT))
    for module in (api, guard_view, ledger_view, lineage_view):
        monkeypatch.setattr(module, "readable", readable)
    monkeypatch.setattr(guard_view, "readable_dags", lambda *_asked: frozenset({"mine"}))
    monkeypatch.setattr(guard_view, "may_read_runs", lambda *_asked: True)
    monkeypatch.setattr(security, "get_auth_manager", _Allows)
    app = api.build("/page")
    app.dependency_overrides[security.get_user] = lambda: "somebody"
    app.dependency_overrides[_get_session] = lambda: database
    return TestClient(app, raise_server_exceptions=False).get


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"verdict?index={2**63 - 1}", 404),
        (f"verdict?index={2**63}", 422),
        (f"verdict?index={2**70}", 422),
        ("verdict?index=" + "9" * 5000, 422),
        ("source?name=src%00", 404),
        ("source?name=%ED%A0%80", 404),
        ("source?name=" + "x" * 256, 422),
        ("source?name[]=src", 422),
        ("sources?search=%00", 200),
        (f"sources?offset={2**70}", 200),
        ("ledger?before=-1", 422),
        (f"ledger?before={2**63}", 422),
        ("ledger?limit=101", 422),
        ("ledger?before=0", 200),
        ("guard?limit=201", 422),
        ("guard?search=%00", 200),
        ("decisions", 422),
        ("decisions?dag=mine&map_index=-2", 422),
        ("decisions?dag=mine&run=%00", 404),
        ("decisions?dag=mine&run=none&task=none&map_index=0", 200),
        ("decisions?dag=another", 403),
        ("lineage?name=", 422),
        ("lineage?name=src%00", 404),
        ("lineage?name=src", 200),
    ],
)
def test_a_question_without_sense_is_the_askers_fault(asked, path, status):
    assert asked(f"/api/{path}").status_code == status


BROKEN = {
    "no ledger": lambda home: home.ledger.unlink(),
    "empty ledger file": lambda home: os.truncate(home.ledger, 0),
    "no ledger at all": lambda home: home.ledger.write_bytes(b"not a ledger" * 1000),
    "no policy": lambda home: home.policy.unlink(),
    "half a policy": lambda home: home.policy.write_text("{: ["),
    "no trust policy": lambda home: home.trust.unlink(),
    "another trust policy": lambda home: home.trust.write_text("{}"),
    "no memory": lambda home: home.memory.unlink(),
}


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize(
    "path", ["sources", "source?name=src", "verdict?index=2", "ledger", "guard", "lineage?name=src"]
)
def test_an_installation_that_breaks_while_it_is_looked_at_answers_nothing(
    asked,
    site,  # noqa: F811
    broken,
    path,
):
    assert asked("/api/sources").json()["counts"] == {"trusted": 1}
    BROKEN[broken](site.home)
    answer = asked(f"/api/{path}")
    assert answer.status_code == 503
    error = answer.json()["error"]
    assert set(answer.json()) == {"error"}
    assert error["code"] != "INTERNAL"
    assert error["next_step"]


def test_settings_that_cannot_be_read_are_an_answer(asked, monkeypatch):
    def unset():
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(api, "_OVERVIEW", Overview(unset, lambda: AT))
    answer = asked("/api/sources")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "INTERNAL")
    assert "hunter2" not in answer.text


def test_an_answer_says_when_it_was_asked(asked):
    assert asked("/api/sources").json()["ledger"]["asked"].startswith(f"{AT:%Y-%m-%dT%H:%M:%S}")


def test_a_long_list_comes_in_parts_that_say_what_lacks(asked, site):  # noqa: F811
    evidence = site.evidence()
    subject = evidence.latest_seal("src", at=AT).digest
    others = [f"other-{number:02}" for number in range(2 * PORTION)]
    for name in others:
        evidence.append(name, subject, [("seal", name.encode())])
    api._OVERVIEW._spent = iter(range(10**6)).__next__  # no question has time for more
    for n_known in (PORTION, 2 * PORTION, len(others) + 1):
        got = asked("/api/sources?limit=200")
        body = got.json()
        assert (sum(body["counts"].values()), body["total"]) == (n_known, n_known)
        assert body["waiting"] == len(others) + 1 - n_known
        assert len(body["sources"]) == n_known
        assert "ETag" not in got.headers, "a part is not the answer"
        assert got.headers["Cache-Control"] == "no-store"
        assert not body["whole"]
    while not (body := (got := asked("/api/sources?limit=200")).json())["whole"]:
        assert None in [row["past"] for row in body["sources"]]
    tag = got.headers["ETag"]
    assert asked("/api/sources?limit=200", headers={"If-None-Match": tag}).status_code == 304
    assert {row["source"] for row in body["sources"]} == {"src", *others}
    assert asked("/api/sources?state=trusted").json()["total"] == 1


def test_the_ledger_is_read_in_pages_and_told_again_only_when_it_changed(asked):
    page = asked("/api/ledger?limit=2")
    body = page.json()
    assert [leaf["index"] for leaf in body["leaves"]] == [body["older"] + 1, body["older"]]
    assert body["leaves"][0]["index"] == body["ledger"]["size"] - 1
    rest = asked(f"/api/ledger?before={body['older']}&limit=100").json()
    assert (len(rest["leaves"]), rest["older"]) == (body["older"], None)
    again = asked("/api/ledger?limit=2", headers={"If-None-Match": page.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_leaves_about_a_source_that_is_not_the_askers_are_counted_and_not_shown(asked, monkeypatch):
    monkeypatch.setattr(ledger_view, "readable", lambda *_asked: {})
    body = asked("/api/ledger").json()
    assert (body["leaves"], body["hidden"]) == ([], body["ledger"]["size"])
    assert "src" not in json.dumps(body)


def test_what_a_person_reads_names_no_directory_of_the_server_and_the_log_does(
    asked,
    site,  # noqa: F811
    caplog,
):
    where = str(site.home.root)
    for broken in ("no trust policy", "no ledger"):
        BROKEN[broken](site.home)
        answer = asked("/api/sources")
        assert answer.status_code == 503
        assert where not in answer.text
        assert where.rpartition("/")[0] not in answer.text
    assert where in caplog.text


def test_counts_come_in_the_order_in_which_sources_need_somebody(asked, site):  # noqa: F811
    seal_into_ledger(
        site.clean, "new", evidence=site.evidence(), signer=site.signer("source"), at=AT, run=RUN
    )
    counts = asked("/api/sources").json()["counts"]
    assert list(counts) == [state.value for state in URGENCY if state.value in counts]
    assert counts == {"not judged": 1, "trusted": 1}


def test_the_age_of_the_newest_trusted_batch_is_told(asked):
    assert asked("/api/sources").json()["newest_trusted"] == format_timestamp(AT)


def test_lineage_follows_the_batch_and_hides_what_is_not_the_askers(asked, monkeypatch):
    body = asked("/api/lineage?name=src").json()
    assert (body["batch"]["source"], body["batch"]["refusal"]) == ("src", None)
    monkeypatch.setattr(lineage_view, "readable", lambda *_asked: {})
    assert asked("/api/lineage?name=src").status_code == 403


def test_a_guard_without_records_is_told_as_nothing_and_not_as_live(asked):
    body = asked("/api/guard").json()
    assert (body["total"], body["whole"]) == (0, True)
    assert {key: body["airflow"][key] for key in ("armed", "unarmed", "refused", "audits")} == {
        "armed": [],
        "unarmed": [],
        "refused": [],
        "audits": [],
    }
