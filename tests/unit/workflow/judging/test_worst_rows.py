"""A gate names rows where its policy asks, and of them only what the policy lists."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest
from tests.unit.workflow.conftest import AT

from sluicegate.errors import DigestMismatch
from sluicegate.gate.worst_rows import Shown
from sluicegate.workflow.evidence.kept_findings import kept_evidence
from sluicegate.workflow.judging import worst_rows
from sluicegate.workflow.judging.check import check


def asked(site, path, section):
    with site.home.policy.open("a", encoding="utf-8") as file:
        file.write(f"\nworst_rows: {section}\n")
    site.seal(path)
    issued, _ = site.gate()
    return kept_evidence(site.evidence(), str(issued.test_result), at=AT).rows


def test_the_worst_rows_are_those_that_check_names(site):
    kept = asked(site, site.poisoned, "{most: 30}")
    table = pq.read_table(site.poisoned)
    found = check(
        site.poisoned, baseline=site.home.baseline_dir("src"), policy=site.home.policy
    ).rows.to_pylist()
    named = [i for i, row in enumerate(found) if row["flagged"]]
    assert kept.named == len(named)
    assert len(kept.worst) == 30
    assert {row.row for row in kept.worst} <= set(named)
    assert [row.score for row in kept.worst] == sorted(
        (round(found[i]["score"], 4) for i in named), reverse=True
    )[:30]
    assert all(row.codes == tuple(found[row.row]["reasons"]) for row in kept.worst)
    accused = [table["who"][row.row].as_py() for row in kept.worst]
    assert accused.count("c1") > 20, "whose labels were flipped"
    assert all(not row.values for row in kept.worst), "no value unless the policy lists its role"


def test_values_are_those_of_listed_roles_and_names_as_the_policy_asks(site):
    section = "{most: 5, values: [id, contributor]}\ncontributor_names: hidden"
    kept = asked(site, site.poisoned, section)
    table = pq.read_table(site.poisoned)
    for row in kept.worst:
        assert row.values.keys() == {Shown.ID, Shown.CONTRIBUTOR}
        assert row.values[Shown.ID] == table["id"][row.row].as_py()
        assert row.values[Shown.CONTRIBUTOR].startswith("#")


def test_a_clean_batch_is_not_read_again(site, monkeypatch):
    def read(*_):
        raise AssertionError("read again")

    monkeypatch.setattr(worst_rows, "MOST_READ", -1)
    assert asked(site, site.clean, "{most: 5}") is None


def test_a_long_batch_is_not_read_again_and_that_is_said(site, monkeypatch):
    monkeypatch.setattr(worst_rows, "MOST_READ", 2999)
    kept = asked(site, site.poisoned, "{most: 5}")
    assert (kept.named, kept.worst) == (0, ())
    assert "2999" in kept.lack


def test_a_batch_that_changes_before_it_is_read_again_gets_no_verdict(site):
    with site.home.policy.open("a", encoding="utf-8") as file:
        file.write("\nworst_rows: {most: 5}\n")
    site.seal(site.poisoned)
    from tests.unit.workflow.conftest import evaluate_once

    def changing(rows, baselines, policy):
        found = evaluate_once(rows, baselines, policy)
        pq.write_table(pq.read_table(site.clean), site.poisoned / "part.parquet")
        return found

    with pytest.raises(DigestMismatch):
        site.gate(runner=changing)
