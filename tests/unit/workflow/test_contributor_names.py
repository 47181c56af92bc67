"""With `contributor_names: hidden` no name leaves in a message, record, page or log."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from tests.unit.workflow.conftest import AT, RUN, SCHEMA, Site, flipped, rows, write

from sluicegate.attest import dsse
from sluicegate.cli.main import main
from sluicegate.gate.default_policy import DEFAULT_POLICY
from sluicegate.ledger.entry import Kind
from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.contributors.names import pseudonym
from sluicegate.workflow.baselines.signed import write_baseline
from sluicegate.workflow.judging.gate import GateSigners, gate_source
from sluicegate.workflow.judging.runners import evaluate_directly, suite_runner

pytestmark = pytest.mark.slow  # every channel of several whole gates is read

CANARY = "zoe-canary"
FLIPPER, FLOODER, NEW = f"{CANARY}-1\x1b[31m", f"{CANARY}-2", f"{CANARY}-new"
SUITE = Path(__file__).parents[3] / "expectations" / "tabular.json"
LIMITS = {
    "max_share": 0.05,
    "max_class_share": 0.05,
    "max_new_share": 0.01,
    "max_period_share": 0.05,
    "period_hours": 240,
}


def called(table, name=lambda who: FLIPPER if who == "c1" else f"{CANARY}-{who[1:]}"):
    """Return the table with every contributor under a name that can be searched for."""
    who = [name(who) for who in table["who"].to_pylist()]
    return table.set_column(table.schema.get_field_index("who"), "who", pa.array(who))


def attacked():
    """Flips by one, a flood and a burst in one hour by another, a newcomer, redelivered labels."""
    table = called(flipped(rows(9), "c1"))
    who = np.array(table["who"].to_pylist(), dtype=object)
    who[(np.arange(len(who)) % 3 == 0) & (who != FLIPPER)] = FLOODER
    who[np.arange(len(who)) % 11 == 0] = NEW
    # One whose labels are all the same.
    labels = np.where(who == f"{CANARY}-3", 1, table["label"].to_numpy())
    times = table["time"].to_numpy().copy()
    times[np.flatnonzero(who == FLOODER)[:400]] = times[1500]
    # Rows that the baseline holds, with the other label.
    old = called(flipped(rows(1, 6000), "c1")).filter(
        pa.array([name == "c1" for name in rows(1, 6000)["who"].to_pylist()])
    )
    new = {"who": who.tolist(), "time": times, "label": labels.astype("int8")}
    for name, values in ((name, pa.array(values)) for name, values in new.items()):
        table = table.set_column(table.schema.get_field_index(name), name, values)
    return pa.concat_tables([table, old.slice(0, 100)])


@pytest.fixture(scope="module")
def named_site(built_site, tmp_path_factory):
    """The site of the other tests, with a baseline whose contributors carry the canary too."""
    site = Site(tmp_path_factory.mktemp("names") / "site")
    shutil.copytree(built_site, site.root)
    shutil.rmtree(site.home.baseline_dir("src"))
    write_baseline(
        [write(called(rows(1, 6000)), site.root / "named")],
        BatchSchema.from_mapping(SCHEMA, locator="schema"),
        out=site.home.baseline_dir("src"),
        at=AT,
        source="src",
        signer=site.signer("baseline"),
    )
    write(attacked(), site.root / "attacked")
    write(called(rows(2)), site.root / "calm")
    return site.root


@pytest.fixture
def site(named_site, tmp_path):
    shutil.copytree(named_site, tmp_path / "site")
    return Site(tmp_path / "site")


def use(site, display, mode="enforce"):
    value = {**yaml.safe_load(DEFAULT_POLICY), "mode": mode}
    value["contributors"] = LIMITS
    value["signals"]["SEQUENCE"] = {"severity": "warn"}
    if display is not None:
        value["contributor_names"] = display
    site.home.policy.write_text(yaml.safe_dump(value), encoding="utf-8")


def checked(site, capsys, batch="attacked"):
    """Return each thing that `check` writes, as text."""
    past = site.root / "past"
    past.mkdir(exist_ok=True)
    out, page = site.root / "out.json", site.root / "page.html"
    code = main(
        ["check", str(site.root / batch), "--baseline", str(site.home.baseline_dir("src")),
         "--policy", str(site.home.policy), "--source", "src", "--json", str(out),
         "--history", str(past), "--report", str(page), "--rows", str(site.root / "rows.parquet")]
    )  # fmt: skip
    said = capsys.readouterr()
    found = [path.read_text(encoding="utf-8") for path in (out, page)]
    found.append(str(pq.read_table(site.root / "rows.parquet").to_pylist()))
    return code, [said.out + said.err, *found], json.loads(found[0])


def payloads(site):
    """Return the payload of every verdict and test result that the ledger keeps."""
    ledger = site.evidence().ledger
    found = []
    for kind in (Kind.VERDICT, Kind.TEST_RESULT):
        for record in ledger.find(kind, "src"):
            envelope = ledger.get_verified(record.index).envelope
            found.append(dsse.Envelope.from_bytes(envelope).payload.decode())
    return found


def gated(site, runner=evaluate_directly):
    signers = GateSigners(site.signer("gate"), site.signer("ledger"))
    how = {"signers": signers, "at": AT, "run": RUN, "runner": runner}
    return gate_source(site.home, "src", **how)[0].verdict


def test_hidden_names_are_in_nothing_that_check_writes(site, capsys):
    use(site, "hidden")
    code, texts, value = checked(site, capsys)
    fired = {s["code"] for s in value["signals"] if s["status"] in ("FAILED", "WARNED")}
    assert code == 1
    named = {"LABEL_FLIPS", "LABEL_TRUSTED", "CONTRIBUTOR_NEW", "CONTRIBUTOR_FLOOD",
             "CONTRIBUTOR_LABEL_SKEW", "CONTRIBUTOR_LIMIT", "TIME_BURST", "SEQUENCE"}  # fmt: skip
    assert named <= fired, "every signal that names people has somebody to name"
    for text in texts:
        assert CANARY not in text
    assert f"contributor {pseudonym(FLIPPER)}" in texts[0]
    assert f"contributor {pseudonym(FLOODER)}" in texts[0]
    assert pseudonym(NEW) in texts[0]


@pytest.mark.parametrize("display", ["shown", None])
def test_names_are_shown_escaped_unless_the_policy_hides_them(site, capsys, display):
    use(site, display)
    _, texts, _ = checked(site, capsys)
    assert rf"contributor {CANARY}-1\x1b[31m" in texts[0]
    assert "\x1b" not in texts[0] + texts[2]
    assert all(CANARY in text for text in texts[:3])


def test_hiding_names_changes_no_verdict_and_no_row(site, capsys):
    found = {}
    for display in ("shown", "hidden"):
        use(site, display)
        code, texts, value = checked(site, capsys)
        numbers = [(s["code"], s["column"], s["status"], s["effect"]) for s in value["signals"]]
        found[display] = code, value["verdict"], value["batch_score"], numbers, texts[3]
    assert found["shown"] == found["hidden"]


@pytest.mark.parametrize("suite", [False, True])
def test_hidden_names_are_in_no_verdict_test_result_or_list(site, capsys, suite):
    if suite:
        pytest.importorskip("great_expectations")
    use(site, "hidden")
    site.seal(site.root / "calm")
    gated(site)
    site.seal(site.root / "attacked")
    verdict = gated(site, suite_runner(SUITE) if suite else evaluate_directly)
    assert verdict.result == "FAILED"
    kept = payloads(site)
    assert len(kept) == 4
    home = ("--home", str(site.home.root))
    for words in ("history src", "ledger list", "audit", f"policy test {site.home.policy}"):
        main([*words.split(), *home])
    main(["history", "src", "--json", *home])
    said = capsys.readouterr()
    for text in (*kept, said.out + said.err, *(reason.message for reason in verdict.reasons)):
        assert CANARY not in text
    assert any(pseudonym(FLIPPER) in reason.message for reason in verdict.reasons)
    assert main(["history", "src", "--contributor", FLIPPER, "--json", *home]) == 0
    (version,) = json.loads(capsys.readouterr().out)["versions"]
    assert version["version"] == 2, "who knows the name finds the batch"


def test_task_log_holds_no_hidden_name(site, monkeypatch, capsys, caplog):
    from airflow.sdk.exceptions import AirflowFailException

    from sluicegate.orchestration.operators import SealSourceOperator, TrainingGateOperator

    use(site, "hidden")
    caplog.set_level("INFO")
    monkeypatch.setenv("AIRFLOW__SLUICEGATE__HOME", str(site.home.root))

    class Ti:
        dag_id = run_id = task_id = "t"
        map_index, try_number = -1, 1

    context = {"ti": Ti(), "outlet_events": {}}
    batch = str(site.root / "attacked")
    SealSourceOperator(task_id="seal", source="src", path=batch).execute(context)
    gate = TrainingGateOperator(task_id="gate", source="src", announce=False)
    with pytest.raises(AirflowFailException) as caught:
        gate.execute(context)
    use(site, "hidden", mode="shadow")  # which logs the reasons and goes on
    gate.execute(context)
    # Whichever it is that Airflow's logging writes to in this process.
    log = capsys.readouterr().out + caplog.text
    for text in (str(caught.value), log):
        assert CANARY not in text
        assert pseudonym(FLIPPER) in text


def test_names_of_a_time_when_they_were_shown_are_hidden_in_what_is_said_now(site, capsys):
    """The step of a batch judged before the switch names people; the sequence goes on unnamed."""
    past = site.root / "past"
    use(site, "shown")
    _, texts, _ = checked(site, capsys, "calm")
    assert CANARY in texts[1]
    shutil.copy(site.root / "out.json", past / "001.json")
    use(site, "hidden")
    _, texts, value = checked(site, capsys)
    assert all(CANARY not in text for text in texts)
    (sequence,) = [s for s in value["signals"] if s["code"] == "SEQUENCE"]
    assert sequence["evidence"]["batches"] == 2
    assert sequence["evidence"]["subject"] == f"contributor {pseudonym(FLIPPER)}"
    assert len(sequence["evidence"]["effects"]) == 2, "one person, one track"


def test_gate_hides_one_who_was_named_in_an_earlier_verdict(site):
    """Of one who delivered flips then and nothing now, the sequence still speaks."""
    turned = write(called(flipped(rows(3), "c1")), site.root / "turned")
    calm = called(rows(4))
    others = pa.array([who != FLIPPER for who in calm["who"].to_pylist()])
    for display, batch in (
        ("shown", turned),
        ("hidden", write(calm.filter(others), site.root / "others")),
    ):
        value = {**yaml.safe_load(DEFAULT_POLICY), "contributor_names": display}
        warn = {"severity": "warn"}
        rules = {"SEQUENCE": {}, "CONTRIBUTOR_LABEL_SKEW": {}, **value["signals"]}
        value["signals"] = {code: {**rule, **warn} for code, rule in rules.items()}
        site.home.policy.write_text(yaml.safe_dump(value), encoding="utf-8")
        site.seal(batch)
        verdict = gated(site)
        assert verdict.result == "WARNED", (display, verdict.reasons)
    newest, earlier = (text for text in payloads(site) if "evidence" in text)
    assert CANARY in earlier, "what was signed stays as it was signed"
    assert CANARY not in newest
    assert f"SEQUENCE: contributor {pseudonym(FLIPPER)}: over 2 batches" in newest
