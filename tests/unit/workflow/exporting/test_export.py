"""An export verifies anywhere, packs to the same bytes, and claims no more than it holds."""

from __future__ import annotations

import json
import re
import shutil
import tarfile
from datetime import timedelta

import pytest
from tests.unit.workflow.conftest import AT, judge_clean

from sluicegate.attest import dsse
from sluicegate.attest.keys import Algorithm, generate
from sluicegate.attest.trust import Role
from sluicegate.digest.algorithms import sha256_bytes
from sluicegate.errors import ConfigError, EvidenceMissing
from sluicegate.gate.default_policy import DEFAULT_POLICY
from sluicegate.workflow.evidence.opening import read_trust
from sluicegate.workflow.exporting.control_report import control_report, read_mapping
from sluicegate.workflow.exporting.export import Extras, export_run, find_batch, write_archive
from sluicegate.workflow.verification.verify import verify_folder

ALL = Extras(controls=True, mlbom=True, openlineage=True)


@pytest.fixture
def judged(site):
    site.once(judge_clean)
    return site


def export(site, name="out", extras=ALL, **which):
    evidence = site.evidence()
    batch = find_batch(evidence, at=AT, **(which or {"source": "src"}))
    return export_run(evidence, batch, site.root / name, at=AT, extras=extras)


def read(site, name):
    return json.loads((site.root / "out" / name).read_text(encoding="utf-8"))


def test_export_verifies_offline_with_data(judged):
    export(judged)
    trust = read_trust(judged.home.trust)
    assert verify_folder(judged.root / "out", trust, at=AT, data=judged.clean).exit_code == 0


def test_export_names_every_file_it_wrote(judged):
    names = export(judged)
    assert [name for name in names if not name.startswith("proofs/")] == [
        "checkpoint",
        "controls.json",
        "evidence.intoto.jsonl",
        "model.cdx.json",
        "openlineage.json",
        "policy.yaml",
        "seal.sigstore.json",
        "trust.json",
    ]
    assert len(names) == 8 + 5


def test_exported_policy_is_the_one_that_judged_not_the_one_in_force(judged):
    judged.home.policy.write_text(DEFAULT_POLICY.replace("168", "24"), encoding="utf-8")
    export(judged)
    assert (judged.root / "out" / "policy.yaml").read_text(encoding="utf-8") == DEFAULT_POLICY


def test_exported_checkpoint_is_one_to_remember(judged):
    export(judged)
    judged.gate(at=AT + timedelta(hours=1))
    note = (judged.root / "out" / "checkpoint").read_bytes()
    judged.evidence().ledger.require_extends(note)


def test_export_without_extras_derives_nothing(judged):
    names = export(judged, extras=Extras())
    assert not {"controls.json", "model.cdx.json", "openlineage.json"} & set(names)


def test_model_run_is_found_by_the_verdict_on_its_card(judged):
    issued = judged.evidence().verdict_of("src", judged.seal(judged.clean).digest, at=AT)
    judged.seal(judged.poisoned)
    export(judged, verdict=str(issued.envelope))
    assert read(judged, "model.cdx.json")["components"][0]["bom-ref"].endswith(
        str(issued.verdict.digest)
    )


def test_unknown_verdict_is_missing_evidence(judged):
    with pytest.raises(EvidenceMissing):
        export(judged, verdict="sha256:" + "0" * 64)


def test_export_never_overwrites_evidence(judged):
    export(judged)
    with pytest.raises(ConfigError):
        export(judged)


def test_waivers_of_the_batch_travel_with_it(site):
    from tests.unit.workflow.response.test_waiver import SECTION, _trust, ask, confirm

    people = [generate(Algorithm.ED25519) for _ in range(2)]
    _trust(site, [person.public_key for person in people])
    site.home.policy.write_text(DEFAULT_POLICY + SECTION, encoding="utf-8")
    site.seal(site.poisoned)
    site.gate()
    confirm(site, ask(site, people[0]), people[1])
    names = export(site)
    (line,) = (site.root / "out" / "waivers.intoto.jsonl").read_bytes().splitlines()
    assert f"proofs/{sha256_bytes(line).hex}.tlog-proof" in names
    envelope = dsse.Envelope.from_bytes(line, locator="waiver")
    read_trust(site.root / "out" / "trust.json").verify(envelope, Role.WAIVER, at=AT)


def test_same_evidence_packs_to_the_same_bytes(judged):
    export(judged)
    shutil.copytree(judged.root / "out", judged.root / "again", copy_function=shutil.copyfile)
    first = write_archive(judged.root / "out", judged.root / "a.tar.gz")
    assert write_archive(judged.root / "again", judged.root / "b.tar.gz") == first
    assert sha256_bytes((judged.root / "b.tar.gz").read_bytes()) == first
    with pytest.raises(ConfigError):
        write_archive(judged.root / "out", judged.root / "a.tar.gz")


def test_archive_verifies_after_unpacking(judged):
    export(judged)
    write_archive(judged.root / "out", judged.root / "a.tar.gz")
    with tarfile.open(judged.root / "a.tar.gz") as tar:
        tar.extractall(judged.root / "unpacked", filter="data")
    folder = judged.root / "unpacked" / "evidence"
    trust = read_trust(folder / "trust.json")
    assert verify_folder(folder, trust, at=AT, data=judged.clean).exit_code == 0


def test_bill_of_materials_ties_the_model_to_its_data(judged):
    model = judged.root / "model.joblib"
    model.write_bytes(b"weights")
    export(judged, extras=Extras(model=model))
    bom = read(judged, "model.cdx.json")
    data, trained = bom["components"]
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.6")
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", bom["serialNumber"])
    assert (data["type"], trained["type"]) == ("data", "machine-learning-model")
    assert trained["hashes"][0]["content"] == sha256_bytes(b"weights").hex
    assert trained["modelCard"]["modelParameters"]["datasets"] == [{"ref": data["bom-ref"]}]
    assert bom["dependencies"] == [{"ref": trained["bom-ref"], "dependsOn": [data["bom-ref"]]}]
    assert len({item["bom-ref"] for item in bom["components"]}) == 2


def test_model_that_cannot_be_read_leaves_no_half_export(judged):
    with pytest.raises(ConfigError):
        export(judged, extras=Extras(model=judged.root / "absent"))
    assert not (judged.root / "out").exists()


def test_openlineage_event_names_batch_and_verdict(judged):
    export(judged)
    event = read(judged, "openlineage.json")
    (dataset,) = event["inputs"]
    batch = judged.evidence().latest_seal("src", at=AT)
    assert event["eventType"] == "COMPLETE"
    assert dataset["facets"]["version"]["datasetVersion"] == str(batch.digest)
    assert dataset["facets"]["sluicegate_verdict"]["result"] == "PASSED"
    assert all({"_producer", "_schemaURL"} <= set(facet) for facet in dataset["facets"].values())


def test_batch_without_a_verdict_is_exported_without_claiming_one(site):
    site.seal(site.clean)
    names = export(site)
    assert "openlineage.json" not in names
    controls = {
        control["id"]: control["status"]
        for framework in read(site, "controls.json")["frameworks"]
        for control in framework["controls"]
    }
    assert controls["v1.0-C1.3.1"] == "evidence missing"
    assert controls["v1.0-C1.1.3"] == "evidence"


def test_control_report_lists_what_is_not_covered():
    report = control_report({"seal"}, "src")
    assert any("clean-label" in line for line in report["not_covered"])
    for framework in report["frameworks"]:
        statuses = {control["status"] for control in framework["controls"]}
        assert "not covered" in statuses, framework["id"]


def test_mapping_is_complete_and_claims_nothing_in_full():
    mapping = read_mapping()
    assert [framework["id"] for framework in mapping["frameworks"]] == [
        "aisvs",
        "ssdf-ai",
        "atlas",
        "eu-ai-act",
        "ai-data-security",
    ]
    for framework in mapping["frameworks"]:
        assert {"name", "edition", "source", "confirmed"} <= framework.keys()
        ids = [control["id"] for control in framework["controls"]]
        assert len(ids) == len(set(ids))
        for control in framework["controls"]:
            assert control["covered"] in {"part", "none"}
            assert bool(control["artefacts"]) == (control["covered"] == "part")
