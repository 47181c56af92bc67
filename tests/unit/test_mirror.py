"""Whoever changes a module finds its tests: at the mirrored place, by its name, or listed here."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PACKAGE = TESTS.parent / "plugins" / "sluicegate"
ROOM = 20
"""Most modules of a room: a reader should see all of it at a glance."""
CORE = ("attest", "digest", "gate", "ledger")
"""Rooms that everything rests on: a test that only imports their modules is not enough."""

COVERED_BY = {
    "airflow/test_guard_matrix.py": "orchestration.protecting.declared",
    "airflow/test_guard_spelling.py": "orchestration.protecting.references",
    "airflow/test_instance.py": "cli.demo.airflow_env cli.demo.processes",
    "airflow/test_layouts.py": "orchestration.plugin",
    "airflow/test_page.py": """orchestration.page.access orchestration.page.acts
        orchestration.responding.operators orchestration.responding.response""",
    "airflow/test_sealed_chain.py": "orchestration.operators_sealed",
    "airflow/test_stores.py": "adapters.sources.connection",
    "attacks/labels/test_broken_features.py": "signals.model.evidence signals.labels.questions",
    "attacks/formats/test_bounds.py": "adapters.files.parquet_rows gate.limits",
    "attacks/signals/test_every_signal.py": """signals.arrival.burst_rows
        signals.comparison signals.copies.conflict_rows signals.labels.flipped_rows signals.rows
        signals.text.reference signals.traces signals.triggers.trigger_rows
        signals.triggers.token_finding""",
    "conformance/test_wycheproof.py": "attest.public_key",
    "e2e/test_audit_walkthrough.py": "cli.administration.airflow_login",
    "faults/ledger/test_move_ledger.py": "workflow.evidence.migrating",
    "faults/ledger/test_postgres.py": """adapters.ledgers.postgres_errors
        adapters.ledgers.postgres_sql ledger.group""",
    "services/test_home_in_s3.py": "cli.administration.home",
    "services/test_url_list.py": "cli.fetch",
    "unit/adapters/engines/test_profiles.py": "adapters.engines.profile_sql profiling.packed",
    "unit/adapters/engines/test_table.py": "adapters.engines.sql tables.cells",
    "unit/adapters/files/test_csv_dialect.py": """adapters.files.csv_rows
        adapters.files.csv_suspicion adapters.files.text_input""",
    "unit/adapters/files/test_promotion.py": "adapters.files.kept_rows adapters.files.layout",
    "unit/adapters/gx/test_gx_engines.py": "adapters.gx.accounting adapters.gx.offline_docs",
    "unit/adapters/reports/test_html_report.py": "adapters.reports.plots adapters.reports.told",
    "unit/attest/test_predicates.py": "attest.contents attest.seal_form",
    "unit/cli/administration/test_trust.py": "workflow.evidence.trust_admin",
    "unit/cli/administration/test_witness.py": "workflow.evidence.witnessing",
    "unit/cli/test_check.py": "adapters.reports.check_history",
    "unit/cli/test_commands.py": """cli.administration.keygen cli.administration.ledger
        cli.administration.policy cli.diff cli.digest cli.seal cli.verify""",
    "unit/cli/test_hybrid_keys.py": "cli.export cli.gate",
    "unit/cli/test_people.py": """cli.baseline cli.response.quarantine cli.response.release
        cli.response.rollback cli.response.waive""",
    "unit/digest/test_file_hash.py": "digest.hashers",
    "unit/digest/test_manifest.py": "digest.scan",
    "unit/gate/test_decide.py": "gate.judgement",
    "unit/gate/test_layers.py": "gate.policy_lint gate.promotion",
    "unit/gate/test_policy.py": "gate.default_policy gate.policy_sections",
    "unit/ledger/test_audit.py": "ledger.scan",
    "unit/ledger/test_log.py": "ledger.frontier ledger.growth",
    "unit/ledger/test_walk.py": "ledger.lookup",
    "unit/ledger/cosigning/test_witness.py": "ledger.cosigning.cosignature",
    "unit/orchestration/test_notifier.py": "workflow.response.incidents",
    "unit/orchestration/test_operators_waiver.py": "workflow.response.waiver_question",
    "unit/signals/arrival/test_time_burst.py": "signals.arrival.arrival_count",
    "unit/signals/baseline/test_build.py": """signals.model.calibration
        signals.contributors.shares signals.model.reference signals.learning""",
    "unit/signals/copies/test_conflicts.py": "signals.copies.conflict_count",
    "unit/signals/counters/test_counter.py": "signals.counters.counting signals.counters.reference",
    "unit/signals/labels/test_sequence.py": "signals.decision.tolerance",
    "unit/signals/test_signals.py": """signals.copies.golden
        signals.model.margin_count signals.model.reference_model
        signals.triggers.block_habits""",
    "unit/signals/text/test_word_evidence.py": "signals.text.token_count signals.text.views",
    "unit/workflow/admission/test_admit.py": "workflow.admission.freshness workflow.evidence.batch",
    "unit/workflow/admission/test_standing.py": "workflow.baselines.rests_on",
    "unit/workflow/auditing/test_audit.py": """workflow.auditing.baseline_history
        workflow.auditing.leaves workflow.auditing.standing workflow.auditing.statements
        workflow.auditing.verdict_history""",
    "unit/workflow/auditing/test_dag_text.py": "workflow.admission.protected",
    "unit/workflow/auditing/test_uses.py": "cli.response.uses",
    "unit/workflow/exporting/test_export.py": "workflow.exporting.bill_of_materials",
    "unit/workflow/exporting/test_lineage.py": "cli.lineage",
    "unit/workflow/judging/test_gate.py": "workflow.judging.reruns",
    "unit/workflow/judging/test_model_gate.py": "cli.model",
    "unit/workflow/judging/test_partitions.py": """workflow.admission.parts
        workflow.judging.facts""",
    "unit/workflow/response/test_quarantine.py": """cli.response.history gate.custody
        workflow.evidence.custody""",
    "unit/workflow/response/test_waiver.py": """gate.waiver gate.waiver_check
        workflow.admission.waived""",
    "unit/workflow/sealing/test_sealed_rows.py": "workflow.evidence.sealed",
    "unit/workflow/test_check_output.py": "signals.columns.shapes",
    "unit/workflow/test_contributor_names.py": "adapters.reports.rows",
    "unit/workflow/test_guard_faults.py": "workflow.overview.source_state",
    "unit/workflow/test_large_batches.py": "digest.merkle_files",
    "unit/workflow/test_policy_depth.py": "workflow.baselines.sampling",
    "unit/workflow/test_read_engines.py": "adapters.engines.hand_over",
    "unit/workflow/test_remembered.py": "ledger.standing",
    "unit/workflow/verification/test_verify.py": """workflow.verification.data
        workflow.verification.keys workflow.verification.lines workflow.verification.log
        workflow.verification.proofs""",
}
"""Test file to the modules that it covers, where that is not the mirrored place."""


def modules():
    """Every module that holds code, as the import names it below the package."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.name != "__init__.py":
            yield ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def imported(path):
    """Modules of ours that a test file imports, in full."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sluicegate."):
            inside = node.module.removeprefix("sluicegate.")
            yield inside
            yield from (f"{inside}.{alias.name}" for alias in node.names)


@pytest.fixture(scope="module")
def named():
    # attacks/signals/test_every_signal.py asks for an attack on every signal of the registry.
    files = [*TESTS.rglob("test_*.py"), PACKAGE / "signals" / "registry.py"]
    return {name for path in files for name in imported(path)}


def mirrored(module):
    *rooms, name = module.split(".")
    return TESTS.joinpath("unit", *rooms, f"test_{name}.py")


def test_every_module_has_its_tests(named):
    listed = {module for text in COVERED_BY.values() for module in text.split()}
    without = [
        module
        for module in modules()
        if not mirrored(module).exists()
        and module not in listed
        and (module not in named or module.startswith(CORE))
    ]
    assert not without, f"write {mirrored(without[0]).relative_to(TESTS)}, or list what covers it"


def test_list_names_what_there_is_once_and_nothing_that_has_its_own_file():
    listed = [module for text in COVERED_BY.values() for module in text.split()]
    assert len(listed) == len(set(listed))
    assert set(listed) <= set(modules())
    assert all((TESTS / path).exists() for path in COVERED_BY)
    assert [module for module in listed if mirrored(module).exists()] == []


def test_no_room_holds_more_than_a_reader_sees_at_a_glance():
    held = Counter(module.rpartition(".")[0] for module in modules())
    assert {room: n for room, n in held.items() if n > ROOM} == {}
