"""Every spelling of a protected task that was tried, through Airflow's own task runner.

docs/guard.md shows the same table.
"""

import re
import shutil
from pathlib import Path

import pytest
from tests.unit.workflow.conftest import Site, rows, write

from sluicegate.workflow.admission.read import load_verified

pytestmark = pytest.mark.airflow

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[1] / "docs" / "guard.md"
HELPERS = {"tie", "known", "between"}
"""They set the scene."""
SAYS_ITS_HOME = {"good_bash", "good_virtualenv"}
"""No Sluicegate to read with there; both names of the home say what it would read from."""


@pytest.fixture(scope="module")
def played(installed_python, tmp_path_factory, make_layout, built_site):
    root = tmp_path_factory.mktemp("spelling")
    site, rogue = Site(root / "site"), Site(root / "rogue")
    for one in (site, rogue):
        shutil.copytree(built_site, one.root)
    write(rows(9), rogue.clean)
    for one in (site, rogue):
        one.seal(one.clean)
        one.gate()
    layout = make_layout(installed_python, root)
    shutil.copy(HERE / "dags" / "guard_spelling.py", layout.home / "dags")
    layout.env |= {
        "RAN": str(root / "ran.txt"),
        "SLUICEGATE_HOME": str(site.home.root),
        "ROGUE_HOME": str(rogue.home.root),
    }
    (root / "ran.txt").touch()
    found = layout.run(HERE / "probe_spelling.py", timeout=400)
    found["site"], found["rogue"] = site, rogue
    found["ran"] = dict(line.partition(" ")[::2] for line in found["ran"])
    assert found["import_errors"] == {}
    return found


def documented():
    """Return the rows of the page: name to outcome and what the message carries."""
    found = re.findall(
        r"^\| `([a-z_]+)` \| (?:[^|\\]|\\.)+ \| (refused|runs|admitted) \| (`\w+`)? *\|",
        DOCUMENT.read_text(),
        flags=re.MULTILINE,
    )
    return {name: (outcome, code.strip("`")) for name, outcome, code in found}


def test_the_document_names_every_row_that_was_played(played):
    assert set(documented()) == set(played["states"]) - HELPERS


def test_nothing_of_a_refused_row_ran_and_each_refusal_says_why(played):
    refused = {name: code for name, (outcome, code) in documented().items() if outcome == "refused"}
    for name, code in refused.items():
        assert played["states"][name] == "failed", name
        assert f"[{code}]" in played["failures"][name], (name, played["failures"][name])
    assert not refused.keys() & played["ran"].keys()


def test_the_guard_and_no_accident_stopped_them(played):
    """One is refused while it reads: it was admitted to another source."""
    for name, (outcome, _code) in documented().items():
        if outcome == "refused" and name != "reads_undeclared":
            assert "Sluicegate refused to start this task: [" in played["failures"][name], name
    assert 'add verified_asset("rogue") to the task' in played["failures"]["reads_undeclared"]


def test_every_other_row_ran(played):
    ran = {name for name, (outcome, _code) in documented().items() if outcome != "refused"}
    assert {name: played["states"][name] for name in ran} == dict.fromkeys(ran, "success")
    assert ran == played["ran"].keys()


def test_what_admitted_is_what_reads_whatever_the_dag_file_set(played):
    """The rogue home verifies by itself; the task was not admitted by it."""
    admitted = f"{load_verified('src', home=played['site'].home)['x'].sum():.3f}"
    assert f"{load_verified('src', home=played['rogue'].home)['x'].sum():.3f}" != admitted
    home = str(played["site"].home.root)
    for name, (outcome, _code) in documented().items():
        if outcome == "admitted":
            expected = f"{home} {home}" if name in SAYS_ITS_HOME else admitted
            assert played["ran"][name] == expected, name
