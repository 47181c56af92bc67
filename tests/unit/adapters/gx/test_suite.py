"""A suite is a list of demands: whatever is not plainly one is refused before it runs."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest

from sluicegate.adapters.gx.catalog import CATALOG, CODE_OF
from sluicegate.adapters.gx.suite import expectation_types, load_suite
from sluicegate.errors import ConfigError
from sluicegate.signals.registry import OF_BATCHES

EXPECTATIONS = Path(__file__).parents[4] / "expectations"
PARAMETERS = {key: {"$PARAMETER": key} for key in ("baseline", "limits")}
ONE = {"type": "expect_labels_to_agree_with_baseline", "kwargs": PARAMETERS}


def as_bytes(**changes):
    return json.dumps({"name": "s", "expectations": [ONE], **changes}).encode()


def changed_expectation(**changes):
    return as_bytes(expectations=[{**ONE, **changes}])


def test_every_signal_has_an_expectation():
    assert set(CATALOG) == {signal.code for signal in OF_BATCHES}
    assert len(CODE_OF) == len(CATALOG)


@pytest.mark.parametrize("name", ["tabular", "flights"])
def test_shipped_suite_lists_every_signal_once(name):
    suite = load_suite(EXPECTATIONS / f"{name}.json")
    codes = [CODE_OF[kind] for kind in expectation_types(suite)]
    assert sorted(codes) == sorted(CATALOG)
    assert [item["meta"]["signal"] for item in suite["expectations"]] == codes
    assert suite["meta"]["title"]
    assert suite["meta"]["description"]


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "not a JSON object"),
        (b'{"name": "s", "name": "t", "expectations": []}', "duplicate key"),
        (b'{"name": "s", "expectations": NaN}', "NaN"),
        (b"\xff", "UTF-8"),
        (as_bytes(name=""), "needs a name"),
        (as_bytes(name=3), "needs a name"),
        (as_bytes(expectations=[]), "must hold expectations"),
        (as_bytes(expectations=None), "must hold expectations"),
        (as_bytes(expectations={"a": ONE}), "must hold expectations"),
        (as_bytes(expectations=[3]), "not a JSON object"),
        (as_bytes(expectations=[ONE, ONE]), "listed twice"),
        (as_bytes(expectation=[ONE]), "unknown key in the suite"),
        (as_bytes(suite_parameters={"baseline": "x"}), "must not fix its parameters"),
        (changed_expectation(type="expect_nothing"), "unknown expectation type"),
        (changed_expectation(type="expect_table_row_count_to_equal"), "unknown expectation type"),
        (changed_expectation(type=None), "unknown expectation type"),
        (changed_expectation(enabled=False), "unknown key in an expectation"),
        (changed_expectation(kwargs=None), "not a JSON object"),
        (changed_expectation(kwargs={}), "must be given by the run"),
        (changed_expectation(kwargs={**PARAMETERS, "mostly": 0.1}), "unknown key in kwargs"),
        (
            changed_expectation(kwargs={**PARAMETERS, "limits": "sha256:00"}),
            "must be given by the run",
        ),
    ],
)
def test_unusable_suite_is_refused(data, match):
    with pytest.raises(ConfigError, match=match):
        load_suite(data)


def test_unreadable_suite_names_its_path(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.json"):
        load_suite(tmp_path / "none.json")


def test_checking_a_suite_leaves_it_unchanged():
    suite = load_suite(as_bytes())
    before = copy.deepcopy(suite)
    assert expectation_types(suite) == (ONE["type"],)
    assert suite == before


def test_importing_the_package_and_loading_a_suite_imports_no_great_expectations():
    code = (
        "import sys; from sluicegate.adapters.gx import load_suite, run_suite; "
        f"load_suite({str(EXPECTATIONS / 'tabular.json')!r}); "
        "sys.exit(sorted({'great_expectations', 'pandas', 'scipy'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
