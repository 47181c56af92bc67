"""The gate judges what was sealed, or says that it could not."""

from __future__ import annotations

from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.workflow.conftest import AT, SCHEMA, rows, write

from sluicegate.errors import (
    BadProof,
    ConfigError,
    DigestMismatch,
    EvidenceMissing,
    Expired,
    UnreadableData,
    UntrustedKey,
)
from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.decision.record import Status
from sluicegate.workflow.baselines.signed import STATEMENT_FILE, write_baseline
from sluicegate.workflow.baselines.unsigned import BASELINE_FILE
from sluicegate.workflow.judging.runners import evaluate_directly, watched


def kinds(site) -> list[str]:
    return [r.entry.kind for r in site.evidence().ledger.find(source="src", newest_first=False)]


def test_gate_run_leaves_baseline_details_and_verdict_in_the_ledger(site):
    site.seal(site.clean)
    issued, _ = site.gate()
    assert issued.verdict.result is Status.PASSED
    assert kinds(site) == ["seal", "provenance", "baseline", "test-result", "verdict"]


def test_sealing_unchanged_data_again_appends_nothing(site):
    first = site.seal(site.clean)
    assert site.seal(site.clean) == first
    assert kinds(site) == ["seal", "provenance"]


def test_version_rises_with_each_sealed_batch(site):
    assert site.seal(site.clean).version == 1
    assert site.seal(site.poisoned).version == 2
    assert site.seal(site.clean).version == 3


def test_batch_changed_between_seal_and_gate_gets_no_verdict(site):
    site.seal(site.clean)
    pq.write_table(rows(9), site.clean / "part.parquet")
    with pytest.raises(DigestMismatch):
        site.gate()
    assert "verdict" not in kinds(site)


def test_watched_gate_says_how_many_rows_it_read_and_finds_the_same(site):
    site.seal(site.clean)
    read = []
    watched_, _ = site.gate(runner=watched(evaluate_directly, read.append))
    assert sum(read) == rows(2).num_rows
    again, _ = site.gate()
    assert again == watched_, "the same findings make the same verdict"
    assert watched(evaluate_directly, None) is evaluate_directly


def test_error_in_a_signal_leaves_no_verdict_and_keeps_the_evidence(site):
    site.seal(site.clean)

    def broken(*_arguments):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        site.gate(runner=broken)
    assert kinds(site) == ["seal", "provenance"]


def test_truncated_parquet_could_not_be_checked(site):
    path = site.clean / "part.parquet"
    path.write_bytes(path.read_bytes()[:-200])
    site.seal(site.clean)
    with pytest.raises(UnreadableData):
        site.gate()


def test_zero_rows_could_not_be_checked(site):
    site.seal(write(rows(1).slice(0, 0), site.root / "empty"))
    with pytest.raises(UnreadableData, match="no rows"):
        site.gate()


def _without(table: pa.Table, name: str) -> pa.Table:
    return table.drop_columns([name])


def _null(table: pa.Table, name: str) -> pa.Table:
    position = table.schema.get_field_index(name)
    field = table.schema.field(name)
    return table.set_column(position, field, pa.nulls(table.num_rows, field.type))


def _new_class(table: pa.Table) -> pa.Table:
    labels = table["label"].to_pylist()
    labels[:200] = [7] * 200
    position = table.schema.get_field_index("label")
    return table.set_column(position, "label", pa.array(labels, pa.int8()))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda t: _without(t, "label"), "SCHEMA"),
        (lambda t: _without(t, "x"), "SCHEMA"),
        (lambda t: _null(t, "x"), "COMPLETENESS"),
        (lambda t: _null(t, "label"), "COMPLETENESS"),
        (_new_class, "LABEL_NEW_CLASS"),
    ],
    ids=["no-label", "no-feature", "null-feature", "null-label", "new-class"],
)
def test_broken_batch_is_checked_and_bad(site, change, code):
    site.seal(write(change(rows(5)), site.root / "broken"))
    issued, _ = site.gate()
    assert issued.verdict.result is Status.FAILED
    assert code in {reason.code for reason in issued.verdict.reasons}


def test_unsigned_baseline_cannot_judge(site):
    site.seal(site.clean)
    (site.home.baseline_dir("src") / STATEMENT_FILE).unlink()
    with pytest.raises(
        EvidenceMissing, match=r"not there, or not signed.* Check the name of the source"
    ):
        site.gate()


def test_baseline_edited_by_one_byte_is_found(site):
    site.seal(site.clean)
    path = site.home.baseline_dir("src") / BASELINE_FILE
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DigestMismatch):
        site.gate()


def _rebuild(site, *, source="src", role="baseline", ttl=timedelta(days=1), data=None):
    write_baseline(
        [data or site.root / "trusted"],
        BatchSchema.from_mapping(SCHEMA, locator="schema"),
        out=site.home.baseline_dir("src"),
        at=AT,
        source=source,
        signer=site.signer(role),
        ttl=ttl,
    )


def test_expired_baseline_cannot_judge(site):
    _rebuild(site, ttl=timedelta(hours=1))
    later = AT + timedelta(hours=1)
    site.seal(site.clean, at=later)
    with pytest.raises(Expired, match="baseline"):
        site.gate(at=later)


def test_baseline_of_another_source_cannot_judge(site):
    _rebuild(site, source="other")
    site.seal(site.clean)
    with pytest.raises(BadProof, match="another source"):
        site.gate()


def test_baseline_signed_by_the_gate_key_is_untrusted(site):
    _rebuild(site, role="gate")
    site.seal(site.clean)
    with pytest.raises(UntrustedKey):
        site.gate()


def test_batch_is_never_judged_by_a_baseline_it_belongs_to(site):
    _rebuild(site, data=site.clean)
    site.seal(site.clean)
    with pytest.raises(ConfigError, match="part of the anchored baseline"):
        site.gate()
