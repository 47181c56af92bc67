"""The page in a real Airflow: who may ask, what is answered, and what a browser makes of it."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from tests.support.guard_faults import FAULTS
from tests.support.real_airflow import ROLES, wait_refused
from tests.unit.adapters.reports.test_html_report import accusing, spread
from tests.unit.adapters.reports.test_html_report import page as report
from tests.unit.workflow.conftest import AT

from sluicegate.adapters.policy_file import read_policy
from sluicegate.cli.demo.airflow_env import DEMO_PASSWORD
from sluicegate.cli.demo.airflow_rest import wait_until
from sluicegate.orchestration.page.api import build
from sluicegate.workflow.admission.admit import admit_training
from sluicegate.workflow.evidence.opening import open_evidence
from sluicegate.workflow.overview.source_state import state_of

pytestmark = pytest.mark.airflow

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "page.md").read_text(encoding="utf-8")
CHROMIUM = shutil.which("chromium")
in_browser = pytest.mark.skipif(
    CHROMIUM is None or importlib.util.find_spec("playwright") is None,
    reason="needs chromium and playwright",
)

QUESTIONS = {
    "/page/{name}": "page/page.js",
    "/api/sources": "api/sources",
    "/api/source": "api/source?name=good",
    "/api/acts": "api/acts?name=good",
    "/api/verdict": "api/verdict?index=0",
    "/api/ledger": "api/ledger",
    "/api/guard": "api/guard",
    "/api/decisions": "api/decisions?dag=only_good",
    "/api/lineage": "api/lineage?name=good",
}
"""A question to each route; a new one needs a line here, and one in docs/page.md."""
WHO = ("anonymous", "wrong token", "viewer", "user", "op", "admin")
UNSERVED = ("", "docs", "redoc", "openapi.json", "page", "api")


@pytest.fixture(scope="module")
def airflow(real_airflow):
    return real_airflow[0]


def ask(airflow, path, token=None, method="GET", **headers):
    """Status, headers and body of one request."""
    if token:
        headers["Authorization"] = f"Bearer {token}"
    got = httpx.request(method, f"{airflow.url}/sluicegate/{path}", headers=headers, timeout=60)
    return got.status_code, got.headers, got.content


@pytest.fixture(scope="module")
def tokens(airflow):
    def token(name):
        person = {"username": name, "password": DEMO_PASSWORD}
        got = httpx.post(f"{airflow.url}/auth/token", json=person, timeout=60)
        return got.raise_for_status().json()["access_token"]

    return {name: token(name) for name in ROLES}


@pytest.fixture(scope="module")
def answer(airflow, tokens):
    def answer(path, name="vera"):
        for _ in range(50):  # parts of one answer
            status, _, body = ask(airflow, path, tokens[name])
            assert status == 200, body
            if (found := json.loads(body)).get("whole", True):
                return found
        raise AssertionError(f"{path} is never whole")

    return answer


def test_every_route_answers_each_role_as_the_docs_say(airflow, tokens):
    people = {role: tokens[name] for name, role in ROLES.items()}
    given = {"anonymous": None, "wrong token": "no.such.token", **people}
    said = {}
    for route in build("/page").routes:
        asked = QUESTIONS[route.path]
        said[f"{'|'.join(sorted(route.methods))} {route.path}"] = [
            ask(airflow, asked, given[who])[0] for who in WHO
        ]
    rows = re.findall(r"^\| `([A-Z]+ [^`]+)` \|((?: \d+ \|)+)$", PAGE, re.MULTILINE)
    assert {route: list(map(int, re.findall(r"\d+", row))) for route, row in rows} == said


@pytest.mark.parametrize("path", UNSERVED)
def test_nothing_else_is_served(airflow, path, tokens):
    assert ask(airflow, path, tokens["admin"])[0] == 404


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("page/..%2Fapi.py", 404),
        ("page/none.js", 404),
        ("api/source", 422),
        ("api/source?name=", 422),
        ("api/source?name=..%2F..%2Ftrust.json", 404),
        ("api/verdict?index=-1", 422),
        ("api/verdict?index=x", 422),
        ("api/verdict?index=99999999", 404),
        ("api/verdict?index=0", 404),
        ("api/sources?limit=1000000", 422),
        ("api/sources?state=fine", 422),
        ("api/ledger?before=-1", 422),
        ("api/guard?limit=1000000", 422),
        ("api/decisions", 422),
        ("api/decisions?dag=no_such_dag", 403),
        ("api/lineage?name=..%2Ftrust.json", 404),
    ],
)
def test_what_makes_no_sense_is_refused(airflow, tokens, path, status):
    assert ask(airflow, path, tokens["admin"])[0] == status


def test_nobody_changes_anything_by_asking(airflow, tokens):
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert ask(airflow, "api/sources", tokens["admin"], method)[0] == 405


def test_the_list_says_of_each_source_what_the_guard_says(real_airflow, answer):
    site = real_airflow[1]
    body = answer("api/sources?limit=200")
    assert body["total"] == len(body["sources"]) == sum(body["counts"].values())
    rows = {row["source"]: row for row in body["sources"]}
    admission = admit_training(site.home, ["good"], at=AT)["good"]
    assert rows["good"]["state"] == "trusted"
    assert rows["good"]["batch"] == str(admission.batch.digest)
    for name, fault in FAULTS.items():
        if name != "unsealed":
            assert rows[name]["state"] != "trusted"
            assert rows[name]["refusal"]["code"] == fault.code
    states = [row["state"] for row in body["sources"]]
    assert states.index("blocked") < states.index("trusted")


def test_a_list_can_be_searched_filtered_and_read_in_pages(answer):
    everything = answer("api/sources?limit=200")["sources"]
    assert [row["source"] for row in answer("api/sources?search=GOOD")["sources"]] == ["good"]
    blocked = answer("api/sources?state=blocked&limit=200")
    assert {row["state"] for row in blocked["sources"]} == {"blocked"}
    assert blocked["total"] == blocked["counts"]["blocked"]
    page = answer("api/sources?offset=2&limit=3")["sources"]
    assert [row["source"] for row in page] == [row["source"] for row in everything[2:5]]


def test_an_answer_that_the_browser_has_is_not_sent_again(airflow, tokens, answer):
    answer("api/sources")  # until it is whole
    for _ in range(2):  # the minute may end in between, once
        _, headers, _ = ask(airflow, "api/sources", tokens["vera"])
        known = {"If-None-Match": headers["ETag"]}
        status, _, body = ask(airflow, "api/sources", tokens["vera"], **known)
        if status == 304:
            break
    assert (status, body) == (304, b"")
    assert ask(airflow, "api/sources?search=x", tokens["vera"], **known)[0] == 200


def test_a_block_is_explained_to_the_contributor(answer):
    source = answer("api/source?name=blocked")
    assert (source["state"], source["past"][0]["result"]) == ("blocked", "FAILED")
    assert "LABEL_FLIPS" in [row["code"] for row in source["findings"]]
    verdict = answer(f"api/verdict?index={source['past'][0]['index']}")
    flips = next(record for record in verdict["records"] if record["code"] == "LABEL_FLIPS")
    assert flips["effect_bound"] > flips["tolerance"]
    assert "c1" in flips["message"]
    assert "Would pass if" in flips["would_pass"]
    assert verdict["digests"]["batch"] == source["past"][0]["batch"]


@pytest.fixture(scope="module")
def trained(airflow):
    """A run in which the guard admitted a task, and one in which it refused."""
    runs = {dag_id: airflow.trigger(dag_id) for dag_id in ("only_good", "unjudged")}
    airflow.wait_task("only_good", runs["only_good"], "good", "success")
    airflow.wait_task("unjudged", runs["unjudged"], "baseline_missing", "failed", timeout_s=180)
    return runs


def test_an_admission_is_told_with_the_verdict_that_the_ledger_holds(trained, answer):
    run = quote(trained["only_good"], safe="")
    body = answer(f"api/decisions?dag=only_good&run={run}&task=good")
    (note,) = body["airflow"]["noted"]
    (pointed,) = note["verdicts"]
    newest = answer("api/source?name=good")["past"][0]
    assert (pointed["refusal"], pointed["verdict"]["index"]) == (None, newest["index"])
    assert body["airflow"]["tasks"][0]["sources"] == [{"source": "good", "state": "trusted"}]
    assert answer("api/decisions?dag=only_good&run=another")["airflow"]["noted"] == []


def test_the_guard_view_names_tasks_hosts_and_refusals(trained, answer):
    body = answer("api/guard?search=only_good")
    assert [(task["dag"], task["task"]) for task in body["airflow"]["tasks"]] == [
        ("only_good", "good")
    ]
    assert sum(host["count"] for host in body["airflow"]["armed"]) >= 2
    assert body["airflow"]["unarmed"] == []
    assert ("unjudged", "EVIDENCE_MISSING") in {
        (one["dag"], one["refused"]) for one in body["airflow"]["refused"]
    }


def test_a_gate_links_to_its_source(airflow, trained):
    run = quote(trained["unjudged"], safe="")
    gate = f"/dags/unjudged/dagRuns/{run}/taskInstances/gate_baseline_missing"
    found = airflow.rest.call("GET", f"{gate}/links")
    assert found["extra_links"] == {"Sluicegate": "plugin/sluicegate/source?name=baseline_missing"}


@pytest.fixture(scope="module")
def browser():
    """Chromium, with what it would look up by itself switched off."""
    from playwright.sync_api import sync_playwright

    quiet = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=list(quiet))
        yield running
        running.close()


@pytest.fixture
def page(airflow, browser):
    """A page of somebody who may only look, and whatever went wrong in it."""
    with page_of(airflow, browser, "vera") as page:
        yield page


@contextlib.contextmanager
def page_of(airflow, browser, person):
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(60_000)
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(airflow.url)
    page.fill("input[name=username]", person)
    page.fill("input[name=password]", DEMO_PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Sluicegate").first.wait_for()
    yield page
    context.close()
    assert wrong == []


@in_browser
def test_somebody_goes_from_the_rail_to_the_reason_of_a_block(airflow, page):
    page.get_by_role("link", name="Sluicegate").first.click()
    page.get_by_role("heading", name="Training data").wait_for()
    page.get_by_role("searchbox", name="Search sources").fill("blocked")
    page.get_by_role("link", name="blocked", exact=True).click()
    page.get_by_role("heading", name="blocked", level=1).wait_for()
    page.get_by_text("contributor c1").first.wait_for()
    page.get_by_role("row").filter(has_text="FAILED").get_by_role("link").first.click()
    page.get_by_role("heading", name="Verdict in ledger entry").wait_for()
    page.get_by_text("Would pass if").first.wait_for()
    drawn = page.get_by_role("img", name="Labels by contributor: those of contributor")
    drawn.get_by_text("contributor c1").wait_for()
    assert drawn.locator("svg rect").count() >= 4
    label = page.get_by_role("figure").filter(has=drawn)
    label.get_by_text("As a table").first.click()
    assert label.get_by_role("rowheader").first.is_visible()
    assert "--source 'blocked'" in page.locator("code").last.inner_text()


@in_browser
def test_a_page_says_that_nothing_could_be_checked_and_can_be_asked_again(airflow, page):
    page.route(
        "**/sluicegate/api/sources*",
        lambda route: route.fulfill(
            status=503, json={"error": {"text": "[LEDGER] the ledger does not answer"}}
        ),
    )
    page.goto(f"{airflow.url}/plugin/sluicegate")
    page.get_by_role("alert").get_by_text("could not check").wait_for()
    page.get_by_text("the ledger does not answer").wait_for()
    page.unroute("**/sluicegate/api/sources*")
    page.get_by_role("button", name="Try again").click()
    page.get_by_role("link", name="good", exact=True).wait_for()


@in_browser
def test_text_from_data_is_never_read_as_html(airflow, page):
    hostile = "<img src=x onerror=\"document.title='run'\">"

    def answered(route):
        body = route.fetch().json()
        body["sources"][0]["source"] = hostile
        body["sources"][0]["dags"] = [hostile]
        route.fulfill(json=body)

    page.route("**/sluicegate/api/sources*", answered)
    page.goto(f"{airflow.url}/plugin/sluicegate")
    page.get_by_role("link", name=hostile, exact=True).nth(1).wait_for()
    assert page.locator("img[src=x]").count() == 0
    assert page.title() != "run"


@in_browser
def test_what_is_drawn_is_never_read_as_html(airflow, page, answer):
    hostile = "<img src=x onerror=\"document.title='run'\">"
    index = answer("api/source?name=blocked")["past"][0]["index"]

    def answered(route):
        body = route.fetch().json()
        shape = {**body["shapes"]["anchored"][0], "column": hostile, "cells": [hostile] * 4}
        shape["baseline"] = shape["batch"] = [1, 2, 3, 4]
        shape["parts"] = [{"subject": hostile, "baseline": [1] * 4, "batch": [2] * 4}]
        body["shapes"] = {"anchored": [shape], "rolling": [{**shape, "kind": "time"}]}
        body["reasons"] = [{**body["reasons"][0], "column": hostile}]
        row = {"score": 0.5, "codes": [hostile], "values": {"id": hostile}}
        body["rows"] = {"named": 30, "worst": [{**row, "row": i} for i in range(30)], "lack": ""}
        route.fulfill(json=body)

    page.route("**/sluicegate/api/verdict*", answered)
    page.goto(f"{airflow.url}/plugin/sluicegate/verdict?index={index}")
    page.get_by_role("img", name=hostile).first.wait_for()
    rows = page.get_by_role("region", name="Worst rows").locator("tbody tr")
    assert rows.count() == 20
    page.get_by_role("button", name="Show more rows").click()
    assert rows.count() == 30
    assert page.locator("img[src=x]").count() == 0
    assert page.title() != "run"


@in_browser
def test_a_verdict_without_shapes_says_so(airflow, page, answer):
    index = answer("api/source?name=blocked")["past"][0]["index"]
    page.route(
        "**/sluicegate/api/verdict*",
        lambda route: route.fulfill(json={**route.fetch().json(), "shapes": None}),
    )
    page.goto(f"{airflow.url}/plugin/sluicegate/verdict?index={index}")
    page.get_by_text("kept no shapes").wait_for()


@in_browser
def test_a_narrow_window_scrolls_tables_and_not_the_page(airflow, page, answer):
    page.set_viewport_size({"width": 400, "height": 900})
    index = answer("api/source?name=blocked")["past"][0]["index"]
    views = ("", "/guard", "/ledger", "/lineage", "/lineage?name=good")
    for path in (*views, "/source?name=blocked", f"/verdict?index={index}"):
        page.goto(f"{airflow.url}/plugin/sluicegate{path}")
        page.get_by_text("Verified up to ledger entry").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        assert page.evaluate("document.querySelector('main').scrollWidth") <= 400


def test_a_long_name_pushes_no_state_out_of_sight(airflow, page):
    def answered(route):
        body = route.fetch().json()
        body["sources"] = [{**row, "source": row["source"] * 40} for row in body["sources"]]
        route.fulfill(json=body)

    page.route("**/sluicegate/api/sources*", answered)
    page.goto(f"{airflow.url}/plugin/sluicegate")
    state = page.get_by_role("cell").first
    state.wait_for()
    box = state.bounding_box()
    assert box["x"] + box["width"] < 640
    name = page.get_by_role("rowheader").get_by_role("link").first.bounding_box()
    assert name["x"] + name["width"] <= box["x"], "the name lies over its state"


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, '{"detail": "Not authenticated"}', "You are not logged in any more"),
        (403, '{"detail": "Forbidden"}', "You may not see this"),
        (404, '{"detail": "no such source"}', "There is nothing to show"),
        (502, "<html>bad gateway", "No answer"),
        (200, "<html>a proxy's own page", "No answer"),
    ],
)
def test_what_says_nothing_of_training_is_not_told_as_if_it_did(airflow, page, status, body, said):
    page.route("**/sluicegate/api/*", lambda route: route.fulfill(status=status, body=body))
    page.goto(f"{airflow.url}/plugin/sluicegate/source?name=good")
    alert = page.get_by_role("alert")
    alert.get_by_text(said).wait_for()
    assert "Protected tasks" not in alert.inner_text()


def test_no_source_is_shown_with_the_state_of_another(airflow, page):
    page.goto(f"{airflow.url}/plugin/sluicegate")
    page.get_by_role("link", name="blocked", exact=True).click()
    page.get_by_role("link", name="Training data").click()
    page.get_by_role("link", name="good", exact=True).click()
    page.get_by_text("Training starts on batch").wait_for()
    page.route("**/sluicegate/api/source?*", lambda _never_answered: None)
    page.evaluate("history.go(-2)")
    page.get_by_role("heading", name="blocked", level=1).wait_for()
    assert page.get_by_text("Training starts on batch").count() == 0


def test_bars_are_drawn_in_a_narrow_window(airflow, page, answer):
    page.set_viewport_size({"width": 400, "height": 900})
    index = answer("api/source?name=blocked")["past"][0]["index"]
    page.goto(f"{airflow.url}/plugin/sluicegate/verdict?index={index}")
    number = page.get_by_text("tolerated", exact=True).first
    number.wait_for()
    assert number.locator("xpath=following-sibling::*[1]").bounding_box()["height"] >= 10


def test_every_table_has_row_headers_and_can_be_scrolled_by_keyboard(airflow, page):
    page.goto(f"{airflow.url}/plugin/sluicegate/source?name=blocked")
    page.get_by_role("region", name="Signals by verdict").wait_for()
    for table in page.get_by_role("table").all():
        rows = table.locator("tbody tr").count()
        assert table.get_by_role("rowheader").count() == rows > 0
        assert table.locator("xpath=..").get_attribute("tabindex") == "0"


@in_browser
def test_somebody_goes_from_a_run_to_its_verdict_and_through_the_views(airflow, trained, page):
    run = quote(trained["only_good"], safe="")
    page.goto(f"{airflow.url}/dags/only_good/runs/{run}/tasks/good")
    page.get_by_role("link", name="Sluicegate").last.click()
    page.get_by_text("admitted").wait_for()
    page.get_by_text("Airflow's record, not signed").first.wait_for()
    page.get_by_role("link", name="verdict in entry").click()
    page.get_by_role("heading", name="Verdict in ledger entry").wait_for()
    views = page.get_by_role("navigation", name="Sluicegate")
    for view in ("Guard", "Ledger", "Lineage"):
        views.get_by_role("link", name=view).click()
        page.get_by_role("heading", name=view, level=1).wait_for()
        page.get_by_text("Verified up to ledger entry").wait_for()


@in_browser
def test_a_view_that_cannot_be_renewed_stays_and_says_so(airflow, page):
    page.clock.install()
    page.goto(f"{airflow.url}/plugin/sluicegate/ledger")
    page.get_by_text("Verified up to ledger entry").wait_for()
    page.route(
        "**/sluicegate/api/ledger*",
        lambda route: route.fulfill(
            status=503, json={"error": {"text": "[LEDGER] the ledger does not answer"}}
        ),
    )
    page.clock.run_for(25_000)
    page.get_by_text("This view could not be renewed").wait_for()
    page.get_by_role("region", name="Ledger entries").wait_for()
    page.unroute("**/sluicegate/api/ledger*")
    page.get_by_role("button", name="Try again").click()
    page.get_by_text("This view could not be renewed").wait_for(state="detached")


@in_browser
@pytest.mark.parametrize("width", [400, 1280])
def test_report_of_a_check_fits_its_window_whatever_the_names(browser, width):
    """It needs no Airflow, but the browser that is here; scripts stay off."""
    long = "a" * 300
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme="dark")
    page = context.new_page()
    page.set_content(report(accusing(long), name=long, shapes={long: spread(long)}))
    for part in page.locator("summary").all():
        part.click()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    background = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(background) == "rgb(15, 20, 25)", "dark, as the person's system is"
    context.close()


# Acting


def acts(answer, source, name):
    return answer(f"api/acts?name={source}", name)


def test_only_who_may_change_the_asset_and_start_its_dag_is_shown_what_can_be_done(answer):
    for name in ("vera", "ursula"):
        body = acts(answer, "poised", name)
        assert (body["dag"], body["acts"], body["runs"]) == (None, [], [])
        assert "right to change" in body["why_not"]
    for name in ("alice", "admin"):
        body = acts(answer, "poised", name)
        assert body["dag"] == "sluicegate_response_poised"
        assert [one["action"] for one in body["acts"]] == ["quarantine", "rollback", "waive"]
    assert acts(answer, "good", "alice")["why_not"].startswith("No DAG acts on this source")


def test_airflow_itself_refuses_who_may_not_start_the_dag(airflow):
    start = {"dag_run_id": "by_vera", "logical_date": None, "conf": {"action": "rollback"}}
    place = "/dags/sluicegate_response_poised/dagRuns"
    vera = airflow.as_person("vera")
    wait_refused(lambda: vera.call("POST", place, start), 403, "a run by vera")


def open_source(airflow, page, name):
    page.goto(f"{airflow.url}/plugin/sluicegate/source?name={name}")
    page.get_by_role("heading", name="Act", exact=True).wait_for()


def do(page, label, reason=""):
    """Choose an action, read what it does, and confirm it."""
    page.get_by_role("button", name=label, exact=True).click()
    form = page.get_by_role("form", name=label)
    form.wait_for()
    if reason:
        form.get_by_label("Reason").fill(reason)
    form.get_by_role("button", name=label, exact=True).click()
    form.wait_for(state="detached")


def approve(page, subject, **entries):
    question = page.get_by_role("group", name=subject)
    question.wait_for(timeout=240_000)
    for name, value in entries.items():
        question.get_by_label(name, exact=False).first.fill(value)
    question.get_by_role("button", name="Approve").click()
    question.wait_for(state="detached", timeout=240_000)


@in_browser
def test_two_people_waive_a_block_in_the_browser_and_training_starts(real_airflow, browser):
    airflow, site, _ = real_airflow
    with page_of(airflow, browser, "alice") as page:
        open_source(airflow, page, "pardoned")
        do(page, "Ask for a waiver")
        approve(page, "is blocked: waive", reason="<b>checked</b> with the supplier")
        # Who asked may not confirm.
        confirm = page.get_by_role("group", name="Confirm the waiver")
        confirm.wait_for(timeout=240_000)
        assert confirm.get_by_role("button", name="Approve").count() == 0
    with page_of(airflow, browser, "bob") as page:
        open_source(airflow, page, "pardoned")
        page.get_by_text("<b>checked</b> with the supplier").wait_for(timeout=240_000)
        approve(page, "Confirm the waiver")
        page.get_by_text("let through").first.wait_for(timeout=240_000)
    admission = admit_training(site.home, ["pardoned"], at=datetime.now(UTC))["pardoned"]
    assert admission.issued.verdict.result.value == "FAILED"
    run_id = airflow.wait_new_run("train_on_pardoned", (), 120)
    assert airflow.wait_run("train_on_pardoned", run_id, 240) == "success"


@in_browser
def test_a_source_is_rolled_back_set_aside_and_let_back_in_the_browser(real_airflow, browser):
    airflow, site, _ = real_airflow
    with page_of(airflow, browser, "admin") as page:
        open_source(airflow, page, "parted")
        for label, reason, state in (
            ("Roll back", "", "trusted"),
            ("Quarantine", "a story", "quarantined"),
            ("Release", "checked", "trusted"),
            ("Promote a baseline", "", "trusted"),
        ):
            do(page, label, reason)
            page.get_by_text(f"{state}", exact=False).first.wait_for(timeout=240_000)
            wait_until(
                lambda state=state: state in shown_state(site) or None,
                timeout_s=120,
                what=f"{label} in the ledger",
            )
    done = ("quarantine", "release", "promotion")

    def logged():
        kinds = [leaf.entry.kind for leaf in site.evidence().ledger.find(source="parted")]
        return [kinds.count(kind) for kind in done]

    wait_until(lambda: logged() == [1, 1, 1] or None, timeout_s=120, what="one entry of each")


def shown_state(site):
    """Return how the guard's own function finds the source that is acted on."""
    at = datetime.now(UTC)
    found = state_of(
        open_evidence(site.home, at=at), read_policy(site.home.policy), "parted", at=at
    )
    return found.state.value


@in_browser
@pytest.mark.parametrize("person", ["vera", "ursula"])
def test_whoever_may_not_act_sees_why_and_no_button(airflow, browser, person):
    with page_of(airflow, browser, person) as page:
        open_source(airflow, page, "poised")
        page.get_by_text("Acting needs the right to change").wait_for()
        assert page.get_by_role("button", name="Roll back").count() == 0
        assert page.get_by_role("button", name="Quarantine").count() == 0
