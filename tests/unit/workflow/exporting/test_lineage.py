"""The chain back to the sources is drawn and verified; what does not hold is shown as such."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest
from tests.unit.workflow.conftest import AT, RUN

from sluicegate.attest.statement import Subject
from sluicegate.cli import main as cli
from sluicegate.digest.algorithms import DIR_HASH_1
from sluicegate.orchestration.derived import code_version, derive
from sluicegate.workflow.exporting.lineage import svg, text_tree, trace
from sluicegate.workflow.sealing.seal import seal_into_ledger


@pytest.fixture
def derived(site):
    """Return a site where `features` was made of two sealed sources."""
    site.seal(site.clean)
    other = site.root / "other.txt"
    other.write_text("weather", encoding="utf-8")
    seal(site, other, "weather")

    def build():
        path = site.root / "features.txt"
        path.write_text("features", encoding="utf-8")
        return path

    make(site, build, "features", ["src", "weather"])
    return site


def seal(site, path, source, **more):
    return seal_into_ledger(
        path,
        source,
        evidence=site.evidence(),
        signer=site.signer("source"),
        at=AT,
        run=RUN,
        **more,
    )


def make(site, function, output, inputs):
    return derive(
        function,
        home=site.home,
        output=output,
        inputs=inputs,
        code=code_version(function),
        run={"orchestrator": "airflow", "dag_id": "etl", "task_id": "build"},
    )


def chain(site, source="features"):
    return trace(site.evidence(), source, at=AT)


def test_chain_leads_back_to_every_source(derived):
    top = chain(derived)
    assert top.exit_code == 0
    assert [(depth, step.source) for depth, step in top.walk()] == [
        (0, "features"),
        (1, "src"),
        (1, "weather"),
    ]
    first, *below = text_tree(top)
    assert "etl.build" in first
    assert "test_lineage.derived.<locals>.build sha256:" in first
    assert all(line.startswith("└─ ") for line in below)


def test_chain_names_the_batch_that_was_read_and_not_a_later_one(derived):
    before = derived.evidence().latest_seal("src", at=AT).digest
    derived.seal(derived.poisoned)
    top = chain(derived)
    assert top.inputs[0].digest == before
    assert top.exit_code == 0


def test_same_output_of_other_inputs_is_another_step(derived):
    path = derived.root / "features.txt"
    make(derived, lambda: path, "features", ["weather"])
    assert [step.source for step in chain(derived).inputs] == ["weather"]


def test_input_that_was_never_sealed_here_is_incomplete(site):
    (site.root / "x").write_text("x", encoding="utf-8")
    stranger = Subject("elsewhere", {DIR_HASH_1: "0" * 64})
    seal(site, site.root / "x", "x", inputs=(stranger,))
    top = chain(site, "x")
    assert top.exit_code == 2
    assert top.inputs[0].error.code == "EVIDENCE_MISSING"


def test_input_with_a_withdrawn_key_breaks_the_chain(derived):
    later = trace(derived.evidence(), "features", at=AT.replace(year=AT.year + 2))
    assert later.exit_code == 1
    assert later.error.code == "EXPIRED"


def test_chain_that_leads_to_itself_ends_with_an_error(site):
    (site.root / "x").write_text("x", encoding="utf-8")
    batch = seal(site, site.root / "x", "x")
    seal(site, site.root / "x", "x", inputs=batch.subjects)
    top = chain(site, "x")
    assert top.exit_code == 1
    assert top.inputs[0].error.code == "MALFORMED"


def test_copy_under_another_name_is_no_circle(site):
    (site.root / "x").write_text("x", encoding="utf-8")
    first = seal(site, site.root / "x", "x")
    seal(site, site.root / "x", "copy", inputs=first.subjects)
    assert chain(site, "copy").exit_code == 0


def test_drawing_is_well_formed_and_quotes_what_it_shows(derived):
    drawing = svg(chain(derived))
    root = ET.fromstring(drawing)
    texts = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert sum("✓" in text for text in texts) == 3
    assert "<script" not in drawing


def test_command_prints_and_draws(derived, capsys):
    drawing = derived.root / "out.svg"
    options = ["--home", str(derived.home.root), "--source", "features"]
    assert cli.main(["lineage", *options, "--svg", str(drawing)]) == 0
    assert capsys.readouterr().out.startswith("features: PROVEN\nfeatures@")
    assert drawing.read_text(encoding="utf-8").startswith("<svg")
    assert cli.main(["lineage", *options, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [item["source"] for item in shown["chain"]["inputs"]] == ["src", "weather"]
    assert cli.main(["lineage", *options[:2], "--source", "nothing"]) == 2


def test_code_version_changes_with_the_source_text():
    def one():
        return 1

    def two():
        return 2

    assert code_version(one).partition(" ")[2] != code_version(two).partition(" ")[2]
    assert code_version(one) == code_version(one)
