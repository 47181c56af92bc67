"""A key that was pasted in a wrong way is in no line that a real Airflow writes.

One run of a real DAG: each spelling in the environment, and in options, connections and variables;
a ledger's password in URLs that do not work; and a CSV file whose rows are not as they should be.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.support.key_spellings import Canary, accepted, refused
from tests.unit.workflow.conftest import Site, built_site  # noqa: F401 - a fixture

pytestmark = pytest.mark.airflow

HERE = Path(__file__).parent
CANARY = Canary()
WRONG = list(refused(CANARY.pem).values())
BODY = accepted(CANARY.pem)["base64 of DER"]
LEDGERS = (
    f"postgresql://writer:{BODY}@127.0.0.1:1/evidence",
    f"postgresql://writer:{BODY.replace('/', '%2F').replace('+', '%2B')}@127.0.0.1:1/evidence",
    f"postgresql://writer@127.0.0.1:port/evidence?password={BODY}",
    f"postgresql://writer@127.0.0.1:1/evidence?password={BODY}",
    BODY,
)


@pytest.fixture(scope="module")
def played(built_site, installed_python, make_layout, tmp_path_factory):  # noqa: F811
    root = tmp_path_factory.mktemp("secrets")
    site = Site(root / "site")
    shutil.copytree(built_site, site.root)
    (root / "rows").mkdir()
    (root / "rows" / "part.csv").write_text(f"id,x\n1,2\n{BODY}\n")
    layout = make_layout(installed_python, root)
    shutil.copy(HERE / "dags" / "pasted_secrets.py", layout.home / "dags")
    held = dict(enumerate(WRONG))
    layout.env |= {
        "SLUICEGATE_HOME": str(site.home.root),
        "DATA": str(site.clean),
        "ROWS": str(root / "rows"),
        "CANARY_COUNT": str(len(WRONG)),
        "CANARY_LEDGERS": str(len(LEDGERS)),
        **{f"CANARY_{n}": text for n, text in held.items()},
        **{f"CANARY_LEDGER_{n}": text for n, text in enumerate(LEDGERS)},
        **{f"AIRFLOW_VAR_CANARY_{n}": text for n, text in held.items()},
        **{
            f"AIRFLOW_CONN_CANARY_{n}": json.dumps({"conn_type": "generic", "password": text})
            for n, text in held.items()
        },
    }
    found = layout.run(HERE / "probe_secrets.py", str(root / "log.txt"), timeout=400)
    assert found["import_errors"] == {}
    logs = [root / "log.txt", *(layout.home / "logs").rglob("*.log")]
    found["log"] = "".join(path.read_text() for path in logs)
    return found


def test_every_task_came_to_its_secret_and_failed(played):
    assert set(played["states"].values()) == {"failed"}, played["states"]
    for place in (
        "env:SLUICEGATE_KEY_SOURCE",
        "env:SLUICEGATE_KEY_GATE",
        "[sluicegate] key_source",
    ):
        assert place in played["log"]
    for scheme in ("airflow-connection", "airflow-variable"):
        named = [n for n in range(0, len(WRONG), 3) if f"{scheme}:canary_{n}:" in played["log"]]
        assert len(named) > 10  # the others hold a reference, and what it names was asked
    assert "ledger URL: " in played["log"]
    assert "a line of 1, not 2 columns" in played["log"]


def test_no_piece_of_a_secret_is_in_any_log_or_in_what_airflow_keeps(played):
    shown = [line for line in played["log"].splitlines() if CANARY.seen_in(line)]
    assert shown == []
    assert not CANARY.seen_in(json.dumps(played))
