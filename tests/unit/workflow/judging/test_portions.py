"""A batch judged in portions has the verdict of one piece, or none at all."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from tests.unit.workflow.conftest import AT, RUN, flipped, rows

from sluicegate.adapters.tally_store import TallyStore
from sluicegate.attest.dsse import Envelope
from sluicegate.attest.keys import Algorithm, generate
from sluicegate.attest.tally import signed_counts, signed_tally
from sluicegate.digest.portions import Portion
from sluicegate.errors import (
    BadProof,
    BadSignature,
    ConfigError,
    DigestMismatch,
    EvidenceMissing,
    MalformedEnvelope,
    SluicegateError,
    UnreadableData,
    UntrustedKey,
)
from sluicegate.workflow.evidence.kept_findings import kept_evidence
from sluicegate.workflow.judging import portions
from sluicegate.workflow.judging.case import open_case
from sluicegate.workflow.judging.gate import GateSigners, gate_source
from sluicegate.workflow.judging.portions import count, cut, joined
from sluicegate.workflow.judging.runners import evaluate_directly

LIMITS = """
contributors:
  max_share: 0.9
  max_class_share: 0.5
  max_period_share: 0.9
  period_hours: 24
"""


def deliver(site, table: pa.Table, n_files: int, kind: str = "parquet"):
    """Write a batch as files that differ in what does not matter, and seal it."""
    place = site.root / "batch"
    place.mkdir()
    ends = np.linspace(0, table.num_rows, n_files + 1).astype(int)
    for number in range(n_files):
        part = table.slice(ends[number], ends[number + 1] - ends[number])
        if number % 3 == 1 and kind == "parquet":  # a wider type, and another order of columns
            at = part.schema.get_field_index("label")
            part = part.set_column(at, "label", part["label"].cast("int32"))
            part = part.select(part.schema.names[::-1])
        if number % 5 == 3:
            part = part.drop_columns(["w3"])
        if kind == "csv":
            pa.csv.write_csv(part, place / f"{number:03}.csv")
        else:
            pq.write_table(part, place / f"{number:03}.parquet", row_group_size=400)
    (place / "_SUCCESS").touch()
    (place / "notes.bin").write_bytes(b"\x00\x01")  # a finding, in whichever portion it is
    return site.seal(place)


def case_of(site, **changes):
    return open_case(site.home, "src", at=AT, **changes)


def store_of(site) -> TallyStore:
    return TallyStore.open(str(site.root / "tallies"))


def counted(site, n_portions: int) -> list[str]:
    """Return the locations of tallies, each counted by a task of its own."""
    store, signer = store_of(site), site.signer("gate")
    empty, cuts = cut(case_of(site), store, n_portions, signer)
    return [count(case_of(site), store, empty, portion, signer) for portion in cuts]


def gate(site, locations=None):
    signers = GateSigners(site.signer("gate"), site.signer("ledger"))
    tallies = None if locations is None else (store_of(site), locations)

    def no_rows(*_):
        raise AssertionError("the joining gate read rows")

    runner = evaluate_directly if tallies is None else no_rows
    return gate_source(
        site.home, "src", signers=signers, at=AT, run=RUN, runner=runner, tallies=tallies
    )


def signed(site) -> list[bytes]:
    """Return what gates signed, to the byte."""
    records = site.evidence().ledger.find(source="src", newest_first=False)
    return [r.envelope for r in records if r.entry.kind in ("test-result", "verdict")]


def one_piece(site) -> list[bytes]:
    """Return what a gate signs of the batch in one piece, and forget that it did."""
    kept = site.root.with_name("kept")
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(site.root, kept)
    gate(site)
    found = signed(site)
    shutil.rmtree(site.root)
    shutil.copytree(kept, site.root)
    return found


def test_a_gate_of_portions_keeps_no_rows_and_says_so(site):
    with site.home.policy.open("a", encoding="utf-8") as file:
        file.write("\nworst_rows: {most: 5}\n")
    deliver(site, flipped(rows(2), "c1"), 3)
    issued, _ = gate(site, counted(site, 2))
    kept = kept_evidence(site.evidence(), str(issued.test_result), at=AT)
    assert kept.rows.worst == ()
    assert "portions" in kept.rows.lack


@pytest.mark.parametrize(("n_portions", "kind"), [(1, "parquet"), (7, "parquet"), (3, "csv")])
def test_verdict_in_portions_is_that_of_one_piece_to_the_byte(site, n_portions, kind):
    with site.home.policy.open("a", encoding="utf-8") as file:
        file.write(LIMITS)
    deliver(site, flipped(rows(2), "c1"), 12, kind)
    whole = one_piece(site)
    tallies = counted(site, n_portions)
    assert len(tallies) == n_portions
    random.Random(n_portions).shuffle(tallies)
    gate(site, tallies)
    assert signed(site) == whole
    assert b"UNJUDGED" in Envelope.from_bytes(whole[0]).payload
    assert b"max_class_share" in Envelope.from_bytes(whole[0]).payload


@pytest.mark.slow
def test_fifty_portions_of_a_clean_batch_pass_as_one_piece(site):
    deliver(site, rows(2), 60)
    whole = one_piece(site)
    gate(site, counted(site, 50))
    assert signed(site) == whole


def unlabelled(table: pa.Table, n_known: int) -> pa.Table:
    """Return the rows; only the last of them have a label."""
    labels = [*[None] * (table.num_rows - n_known), *table["label"].to_pylist()[-n_known:]]
    position = table.schema.get_field_index("label")
    return table.set_column(position, "label", pa.array(labels, pa.int8()))


@pytest.mark.parametrize(
    "table", [rows(2, 30), unlabelled(rows(2, 90), 30)], ids=["few rows", "few labels"]
)
def test_batch_of_few_rows_or_labels_is_judged_as_rows(site, table):
    n_rows = table.num_rows // 3
    place = site.root / "few"
    place.mkdir()
    for number in range(3):
        part = table.slice(n_rows * number, n_rows)
        pq.write_table(part, place / f"{number}.parquet")
    site.seal(place)
    whole = one_piece(site)
    signers = GateSigners(site.signer("gate"), site.signer("ledger"))
    tallies = (store_of(site), counted(site, 3))
    gate_source(
        site.home, "src", signers=signers, at=AT, run=RUN, runner=evaluate_directly, tallies=tallies
    )
    assert signed(site) == whole


# What the gate refuses, by name; no verdict is left.


def refused(site, locations, error, match=None):
    with pytest.raises(error, match=match):
        gate(site, locations)
    assert signed(site) == []


@pytest.fixture
def tallies(site):
    deliver(site, rows(2), 8)
    return counted(site, 4)


def test_missing_doubled_and_absent_tallies_are_refused(site, tallies):
    refused(site, tallies[1:], EvidenceMissing, "in no tally")
    refused(site, [*tallies[:2], tallies[3]], EvidenceMissing, "in no tally")
    refused(site, tallies[:-1], EvidenceMissing, "in no tally")
    refused(site, [], EvidenceMissing, "in no tally")
    refused(site, [*tallies, tallies[2]], BadProof, "counted twice")
    other = counted(site, 3)
    refused(site, [*tallies, other[1]], BadProof, "counted twice")
    Path(tallies[2]).unlink()
    refused(site, tallies, EvidenceMissing, "no such tally")


def test_edited_tally_is_refused(site, tallies):
    place = Path(tallies[1])
    data = place.read_bytes()
    place.write_bytes(data[:-1] + b" ")
    refused(site, tallies, DigestMismatch, "not those that were signed")
    place.write_bytes(data[: len(data) // 2])
    refused(site, tallies, DigestMismatch, "not those that were signed")
    # The counts of one portion under the signature of another.
    line, _, _ = data.partition(b"\n")
    _, _, counts = Path(tallies[2]).read_bytes().partition(b"\n")
    place.write_bytes(line + b"\n" + counts)
    refused(site, tallies, DigestMismatch, "not those that were signed")
    place.write_bytes(data.replace(b'"payload":"', b'"payload":"e', 1))
    refused(site, tallies, SluicegateError)
    place.write_bytes(b"")
    refused(site, tallies, MalformedEnvelope)


def forged(site, tallies, signer, **changes):
    """Sign the counts of the second portion as another task might."""
    case, place = case_of(site), Path(tallies[1])
    against = replace(portions._against(case), **changes.pop("against", {}))
    head = portions._head(case, store_of(site), tallies[1])
    counts = signed_counts(place.read_bytes(), head, locator="x")
    told = {"portion": head.portion, "files": head.files, "counts": counts} | changes
    place.write_bytes(signed_tally(against, signer=signer, **told))


def test_tally_that_the_gate_did_not_sign_is_refused(site, tallies):
    forged(site, tallies, generate(Algorithm.ED25519))
    refused(site, tallies, UntrustedKey)


def test_tally_signed_by_another_role_is_refused(site, tallies):
    forged(site, tallies, site.signer("source"))
    refused(site, tallies, UntrustedKey)


def test_signature_on_another_head_is_refused(site, tallies):
    own, other = (Path(tallies[i]).read_bytes() for i in (1, 2))
    mine, theirs = (Envelope.from_bytes(d.partition(b"\n")[0]) for d in (own, other))
    mixed = replace(theirs, signatures=mine.signatures)
    Path(tallies[1]).write_bytes(mixed.to_bytes() + b"\n" + other.partition(b"\n")[2])
    refused(site, tallies, BadSignature)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("policy", "0" * 64),
        ("batch", "1" * 64),
        ("baselines", "2" * 64),
        ("code_version", "0.0.1"),
        ("source", "another"),
    ],
)
def test_foreign_and_stale_tallies_are_refused_by_name(site, tallies, name, value):
    own = getattr(portions._against(case_of(site)), name)
    made = value
    if name == "baselines":
        made = (replace(own[0], hex=value),)
    elif name in ("policy", "batch"):
        made = replace(own, hex=value)
    forged(site, tallies, site.signer("gate"), against={name: made})
    refused(site, tallies, BadProof, f"of another {name.replace('_', ' ')}")


def test_tally_of_other_files_or_another_portion_is_refused(site, tallies):
    head = portions._head(case_of(site), store_of(site), tallies[1])
    data = Path(tallies[1]).read_bytes()
    signer = site.signer("gate")
    forged(site, tallies, signer, files=replace(head.files, hex="3" * 64))
    refused(site, tallies, BadProof, "of another files")
    Path(tallies[1]).write_bytes(data)
    forged(site, tallies, signer, portion=Portion(0, 1))
    refused(site, tallies, BadProof, "of another files")
    Path(tallies[1]).write_bytes(data)
    last = portions._head(case_of(site), store_of(site), tallies[-1]).portion
    forged(site, ["", tallies[-1]], signer, portion=replace(last, end=99))
    refused(site, tallies, BadProof, "not sealed")


def test_policy_that_changed_since_counting_makes_tallies_stale(site, tallies):
    with site.home.policy.open("a", encoding="utf-8") as file:
        file.write("\n# another policy\n")
    refused(site, tallies, BadProof, "of another policy")


def test_batch_sealed_since_counting_is_another_batch(site, tallies):
    site.seal(site.clean)
    refused(site, tallies, BadProof, "of another batch")


def test_malformed_counts_are_refused_although_they_are_signed(site, tallies):
    head = portions._head(case_of(site), store_of(site), tallies[1])
    counts = signed_counts(Path(tallies[1]).read_bytes(), head, locator="x")
    for made in (b"{}", b"[]", b"", counts + b" ", counts.replace(b'"n_rows":', b'"n_rows":-', 1)):
        forged(site, tallies, site.signer("gate"), counts=made)
        refused(site, tallies, MalformedEnvelope)


def test_file_changed_before_its_portion_is_counted_leaves_no_tally(site):
    deliver(site, rows(2), 4)
    store, signer = store_of(site), site.signer("gate")
    empty, cuts = cut(case_of(site), store, 2, signer)
    pq.write_table(rows(9, 500), site.root / "batch" / "001.parquet")
    with pytest.raises(DigestMismatch):
        count(case_of(site), store, empty, cuts[0], signer)
    count(case_of(site), store, empty, cuts[1], signer)


def test_columns_that_the_rows_did_not_need_are_refused(site, monkeypatch):
    """As where a large file was another one when its footer was looked at."""
    deliver(site, rows(2), 4)
    looked = portions.columns_of
    monkeypatch.setattr(
        portions, "columns_of", lambda *asked: looked(*asked).append(pa.field("more", pa.int8()))
    )
    refused(site, counted(site, 2), UnreadableData, "other columns than when")


def test_limits_hold_for_all_portions_together(site):
    with site.home.policy.open("a", encoding="utf-8") as file:
        file.write("\nlimits:\n  max_rows: 2000\n")
    deliver(site, rows(2), 4)
    refused(site, counted(site, 4), UnreadableData, "max_rows")


def test_portions_that_cannot_be_are_refused(site, tallies):
    case, store, signer = case_of(site), store_of(site), site.signer("gate")
    for wanted in (0, -1, 5000):
        with pytest.raises(ConfigError, match="number of portions"):
            cut(case, store, wanted, signer)
    empty, _ = cut(case, store, 2, signer)
    for first, end in ((0, 0), (5, 4), (0, 99), (-1, 2)):
        with pytest.raises(ConfigError, match="no such files"):
            count(case, store, empty, Portion(first, end), signer)


def test_joining_reads_no_row_and_no_file_of_the_batch(site, tallies):
    for path in (site.root / "batch").glob("*.parquet"):
        path.write_bytes(b"")
    assert joined(case_of(site), store_of(site), tallies).n_rows == 3000
