"""Reads a role's key as an operator does, from a connection and a variable of Airflow."""

import json
import os
import sys
from pathlib import Path

import pytest

from sluicegate.attest.keys import Algorithm, generate
from sluicegate.errors import ConfigError
from sluicegate.orchestration.keys import signer_for
from sluicegate.workflow.evidence.home import SluiceHome

home = SluiceHome(Path(sys.argv[1]))
signer = generate(Algorithm.ED25519)
pem = signer.private_pem().decode()
os.environ["AIRFLOW_CONN_GATE_KEY"] = json.dumps({"conn_type": "x", "password": pem})
os.environ["AIRFLOW_VAR_GATE_KEY"] = pem
for reference in ("airflow-connection:gate_key", "airflow-variable:gate_key"):
    os.environ["AIRFLOW__SLUICEGATE__KEY_GATE"] = reference
    assert signer_for("gate", home).public_key == signer.public_key, reference
os.environ["AIRFLOW__SLUICEGATE__KEY_GATE"] = "airflow-connection:missing"
with pytest.raises(ConfigError, match="connection cannot be read"):
    signer_for("gate", home)
