"""What Airflow is told about the distribution."""

import json
from importlib.util import find_spec
from pathlib import Path

import jsonschema
import pytest

from sluicegate.adapters.keys.settings import SIGNING_ROLES
from sluicegate.orchestration.provider import get_provider_info
from sluicegate.orchestration.settings import Settings

pytestmark = pytest.mark.airflow


def test_provider_info_is_valid_for_airflows_schema():
    (airflow,) = find_spec("airflow").submodule_search_locations
    schema = json.loads((Path(airflow) / "provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)


def test_every_setting_is_documented_with_the_default_that_is_in_force():
    options = get_provider_info()["config"]["sluicegate"]["options"]
    asked = []
    Settings.read(asked.append, {})
    keys = {f"key_{role}" for role in SIGNING_ROLES}
    cosigners = {f"cosign_{role}" for role in SIGNING_ROLES} - {"cosign_ledger"}
    of_the_canary = {"canary_queues"}
    assert {*asked, *keys, *cosigners, *of_the_canary} == set(options)
    documented = Settings.read(lambda option: options[option]["default"], {})
    assert documented == Settings.read(lambda _option: None, {})


@pytest.mark.parametrize("layout", ["installed", "dropped_in"])
def test_password_of_the_ledger_is_hidden_where_airflow_hides_its_own(layout, request):
    airflow = request.getfixturevalue(layout)
    (airflow.home / "airflow.cfg").write_text(
        "[api]\nexpose_config = True\n"
        "[sluicegate]\nhome = /srv/gate\nledger = postgresql://writer:hunter2@db/evidence\n"
    )
    answer = airflow.run(Path(__file__).parent / "probe_config.py", "hunter2")
    assert not answer["leaks"], answer
    assert answer["options"]["ledger"] == "< hidden >"
    assert answer["options"]["home"] == "/srv/gate"
