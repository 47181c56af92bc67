"""Which features and models were made of a batch, file, contributor or row, by the ledger."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from tests.unit.workflow.conftest import AT, RUN, SCHEMA, rows, write

from sluicegate.attest.contents import subject_of
from sluicegate.cli.main import main
from sluicegate.gate.default_policy import DEFAULT_POLICY
from sluicegate.profiling.schema import BatchSchema
from sluicegate.workflow.judging.gate import GateSigners
from sluicegate.workflow.judging.model_gate import Contest, judge_model
from sluicegate.workflow.sealing.seal import seal_into_ledger

RULES = {f"max_{what}regression": 0.05 for what in ("", "class_", "slice_")}
RULES |= {"max_disagreement": 0.5, "max_leakage": 0.001, "slices": ["who"]}


def seal(site, path, name, *made_of):
    return seal_into_ledger(
        path,
        name,
        evidence=site.evidence(),
        signer=site.signer("source"),
        at=AT,
        run=RUN,
        inputs=tuple(subject_of(batch.source, batch.contents) for batch in made_of),
    )


@pytest.fixture
def chain(site):
    """Two batches; features of the first alone, a model of the features, notes of the second."""
    site.home.policy.write_text(DEFAULT_POLICY + yaml.safe_dump({"model": RULES}), "utf-8")
    first = site.seal(site.clean)
    second = rows(9)
    renamed = pa.array(["newcomer"] * second.num_rows)
    second = second.set_column(second.schema.get_field_index("who"), "who", renamed)
    other = site.seal(write(second, site.root / "second"))
    features = seal(site, write(rows(41), site.root / "features"), "features", first)
    seal(site, write(rows(43), site.root / "notes"), "notes", other)
    golden = rows(77, 2000)
    seal(site, write(golden, site.root / "golden"), "golden")
    (site.root / "model").mkdir()
    (site.root / "model" / "weights").write_bytes(b"weights")
    labels = np.array(golden["label"].to_pylist(), dtype="int8")
    answers = site.root / "answers.parquet"
    pq.write_table(pa.table({"id": golden["id"], "prediction": labels}), answers)
    contest = Contest(
        name="late",
        model=site.root / "model",
        golden="golden",
        schema=BatchSchema.from_mapping(SCHEMA, locator="schema"),
        champion=answers,
        challenger=answers,
        trained_on=["features"],
    )
    signers = GateSigners(site.signer("gate"), site.signer("ledger"))
    issued = judge_model(site.home, contest, signers=signers, run=RUN, at=AT)
    return site, first, features, issued.verdict


def ask(site, capsys, *arguments):
    code = main(["uses", "src", "--home", str(site.home.root), "--json", *arguments])
    answer = json.loads(capsys.readouterr().out)
    return code, [(use["kind"], use["source"]) for use in answer["uses"]], answer


def test_model_is_found_through_the_features_it_was_trained_on(chain, capsys):
    site, first, features, verdict = chain
    code, found, answer = ask(site, capsys, "--digest", str(first.digest))
    assert (code, found) == (0, [("batch", "features"), ("model", verdict.source)])
    assert answer["uses"][1]["of"] == [f"features@{features.digest}"]
    assert answer["uses"][1]["digest"] == str(verdict.digest)


@pytest.mark.parametrize(
    ("arguments", "used"),
    [
        ([], {"features", "model", "notes"}),
        (["--contributor", "c1"], {"features", "model"}),
        (["--contributor", "newcomer"], {"notes"}),
        (["--contributor", "nobody"], set()),
        (["--row", "2-17"], {"features", "model"}),
        (["--row", "9-17"], {"notes"}),
        (["--row", "0", "--column", "nowhere"], set()),
        (["--file", "part.parquet"], {"features", "model", "notes"}),
        (["--file", "absent.parquet"], set()),
    ],
)
def test_only_what_was_made_of_the_batches_meant_is_listed(chain, capsys, arguments, used):
    code, found, _ = ask(chain[0], capsys, *arguments)
    assert code == 0
    assert {name if kind == "batch" else kind for kind, name in found} == used


def test_file_is_found_by_its_content_too(chain, capsys):
    site, first, _, _ = chain
    (entry,) = first.manifest.entries
    _, found, _ = ask(site, capsys, "--file", entry.digest.hex)
    assert [kind for kind, _ in found] == ["batch", "model"]


def test_what_cannot_be_read_for_its_rows_is_no_answer(chain, capsys):
    site = chain[0]
    (site.clean / "part.parquet").unlink()
    assert main(["uses", "src", "--home", str(site.home.root), "--row", "2-17"]) == 2
    assert "part.parquet" in capsys.readouterr().err


def test_table_for_a_person_names_kind_and_origin(chain, capsys):
    assert main(["uses", "src", "--home", str(chain[0].home.root)]) == 0
    shown = capsys.readouterr().out
    assert "model" in shown
    assert f"features@{chain[2].digest.hex[:12]}" in shown
