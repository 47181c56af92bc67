"""Each signal is one record, and whatever is said of it elsewhere follows from that."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from sluicegate.adapters.gx.catalog import CATALOG
from sluicegate.gate.judgement import ALONE
from sluicegate.signals.decision.record import Status
from sluicegate.signals.definition import Scope
from sluicegate.signals.registry import (
    BY_CODE,
    FLOORS,
    OF_BATCHES,
    OF_POLICIES,
    SECTIONS,
    SIGNALS,
)

ROOT = Path(__file__).parents[3]
PAGES = runpy.run_path(str(ROOT / "docs" / "pages.py"), run_name="pages")["written"]()


@pytest.mark.parametrize("path", PAGES, ids=str)
def test_pages_say_what_the_registry_says(path):
    now = (ROOT / path).read_text(encoding="utf-8")
    assert now == PAGES[path], "stale: run `make pages`"


def test_codes_sections_and_counters_are_told_apart():
    assert len(BY_CODE) == len(SIGNALS)
    assert len({section.name for section in SECTIONS}) == len(SECTIONS)
    counters = {counting for signal in SIGNALS for counting in signal.counters}
    assert len({counting.name for counting in counters}) == len(counters)


def test_sections_of_a_baseline_share_no_key(baseline, priced):
    for known in (baseline, priced):
        written = [set(s.to_json(known.sections[s.name])) for s in SECTIONS]
        assert len(set().union(*written)) == sum(map(len, written))
        assert set().union(*written) == set(json.loads(known.to_bytes())["contamination"])


@pytest.mark.parametrize("signal", OF_BATCHES, ids=lambda s: s.code)
def test_a_signal_of_a_batch_has_all_that_others_derive(signal, baseline, priced):
    assert signal.findings is not None
    assert signal.floor is not None
    assert signal.expectation.startswith("Expect")
    asking = [known for known in (baseline, priced) if signal.applies(known)]
    assert asking
    assert all(signal.code in signal.expected(known) for known in asking)
    assert signal.severity in (Status.FAILED, Status.WARNED)
    assert signal.rows is None or signal.keeps


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda s: s.code)
def test_every_signal_says_in_words_what_it_asks_and_demands(signal):
    assert signal.asks
    assert signal.demand.endswith(".")
    assert signal.needs
    assert "|" not in signal.asks + signal.needs, "it stands in a table"


def test_codes_are_what_the_format_of_results_allows():
    schema = json.loads((ROOT / "docs" / "formats" / "check.schema.json").read_bytes())
    pattern = re.compile(schema["$defs"]["code"]["pattern"])
    assert all(pattern.fullmatch(code) for code in BY_CODE)


def test_scopes_divide_the_signals():
    assert tuple(CATALOG) == tuple(signal.code for signal in OF_BATCHES)
    alone = {Scope.PARTS, Scope.POLICY, Scope.HISTORY}
    assert tuple(s.code for s in SIGNALS if s.scope in alone) == ALONE
    assert all(signal.lack for signal in SIGNALS if signal.scope in alone)
    assert set(FLOORS) == {*CATALOG, "SEQUENCE"}
    assert {s.code for s in OF_POLICIES} == {*CATALOG, *ALONE}


def test_whoever_admits_or_audits_loads_no_signal():
    modules = "admission.admit, admission.read, auditing.policy_replay, auditing.audit"
    imports = ", ".join(f"sluicegate.workflow.{name}" for name in modules.split(", "))
    asked = f"import sys, {imports}; print('sluicegate.signals.registry' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
