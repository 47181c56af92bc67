"""A directory of a table format is refused by name: its files are not its rows."""

from __future__ import annotations

import pytest
from tests.attacks.formats.cases import CASES, TABLES, parquet
from tests.attacks.formats.test_beside import checked, put
from tests.unit.workflow.conftest import AT, built_site, flipped, rows, site  # noqa: F401

from sluicegate.adapters.files.table_layouts import layout_of
from sluicegate.cli.main import main
from sluicegate.errors import UnreadableData
from sluicegate.profiling.schema import BatchSchema
from sluicegate.workflow.admission.read import load_verified, open_verified, stream_verified
from sluicegate.workflow.baselines.signed import write_baseline
from sluicegate.workflow.response.quarantine import quarantine_batch

LIVE, DELETED = rows(2), flipped(rows(3), "c1")
every = pytest.mark.parametrize("name", TABLES)


def table_of(site, name):  # noqa: F811
    what, log = TABLES[name]
    files = {"old.parquet": parquet(DELETED), "new.parquet": parquet(LIVE), **log}
    return what, put(site.root / "table", files)


@every
def test_check_baseline_and_seal_refuse_it_by_name(site, name):  # noqa: F811
    what, root = table_of(site, name)
    schema = BatchSchema.from_mapping({"id": "id"}, locator="schema")
    for use in (
        lambda: checked(site, root),
        lambda: write_baseline([root], schema, out=site.root / "b", at=AT),
        lambda: site.seal(root),
    ):
        with pytest.raises(UnreadableData, match=f"is an? {what}") as caught:
            use()
        assert "as Parquet into another directory" in caught.value.next_step
    assert site.evidence().newest_provenance("src") is None


@every
def test_seal_of_the_command_line_refuses_it(site, name, capsys):  # noqa: F811
    what, root = table_of(site, name)
    key = str(site.home.key("source"))
    out = site.root / "out"
    code = main(["seal", str(root), "--name", "src", "--key", key, "--out", str(out)])
    assert (code, what in capsys.readouterr().err, out.exists()) == (2, True, False)


@every
def test_gate_and_every_verified_read_refuse_what_was_sealed_before(site, name, monkeypatch):  # noqa: F811
    """Admitted by a version that did not look: nothing is handed out any more."""
    from sluicegate.adapters.files import table_layouts, tabular

    what, root = table_of(site, name)
    with monkeypatch.context() as old:
        old.setattr(table_layouts, "refuse_table_layout", lambda *_a, **_k: None)
        old.setattr(tabular, "refuse_table_layout", lambda *_a, **_k: None)
        batch = site.seal(root)
        with site.home.policy.open("a", encoding="utf-8") as policy:
            policy.write("  UNJUDGED: {severity: warn}\n")
        text = site.home.policy.read_text(encoding="utf-8")
        site.home.policy.write_text(text.replace("mode: enforce", "mode: shadow"), encoding="utf-8")
        if name != "Delta checkpoint":  # whose "PAR1" nothing can read
            site.gate()
    with pytest.raises(UnreadableData, match=what):
        site.gate()
    if name == "Delta checkpoint":
        return
    for read in (open_verified, stream_verified):
        with pytest.raises(UnreadableData, match=what):
            next(read("src", home=site.home, at=AT))
    with pytest.raises(UnreadableData, match=what):
        load_verified("src", home=site.home, at=AT)
    # What is bad must still be put away.
    kept = quarantine_batch(
        site.home, site.evidence(), batch, reason="x", signer=site.signer("gate"), run={}, at=AT
    )
    assert (kept / "data" / "old.parquet").exists()


@pytest.mark.parametrize("name", ["Delta", "Iceberg", "Iceberg, metadata alone", "Hudi"])
@pytest.mark.parametrize("part", ["data", "data/old.parquet", "data/*.parquet"])
def test_part_of_a_table_is_refused_too(site, name, part):  # noqa: F811
    what, log = TABLES[name]
    root = put(site.root / "table", {"data/old.parquet": parquet(DELETED), **log})
    with pytest.raises(UnreadableData, match=f"inside an? {what}"):
        site.seal(root / part)
    if "*" not in part:
        with pytest.raises(UnreadableData, match=f"inside an? {what}"):
            checked(site, root / part)


@pytest.mark.parametrize(
    "paths",
    [
        ["a.parquet"],
        ["metadata/camera.metadata.json", "a.parquet"],
        ["metadata/a.avro", "a.parquet"],
        ["state.json", "a.parquet"],
        ["dataset_info.json", "train.arrow"],
        ["delta_1_2/a.parquet", "base_20130401/a.parquet"],
        ["delta_log/a.json", "hoodie/x"],
        ["_versions", "data/a.parquet"],
    ],
)
def test_what_only_looks_alike_is_no_table(paths):
    assert layout_of(paths, lambda _name: b'{"format": 35}') == ""


def test_json_in_a_directory_called_metadata_is_not_called_iceberg(site):  # noqa: F811
    files = CASES["JSON in a directory called metadata"].files(LIVE)
    site.seal(put(site.root / "batch", {"a.parquet": parquet(LIVE), **files}))
    assert [r.code for r in site.gate()[0].verdict.reasons] == ["UNJUDGED"]
