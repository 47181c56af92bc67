"""For each source: seal and gate on one queue, and training on another when the gate passes."""

import os
import time
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, task

from sluicegate import load_verified
from sluicegate.orchestration.assets import verified_asset
from sluicegate.orchestration.operators import SealSourceOperator, TrainingGateOperator

RETRIES = {"retries": 2, "retry_delay": timedelta(seconds=1)}
ROLES = ("source", "gate", "ledger")
SEALING_POD = {"pod_template_file": "/opt/airflow/pods/seal.yaml"}
"""Read by Airflow's KubernetesExecutor only."""


def keys_in_reach():
    """Return the roles whose key this machine can get by any of the ways that Sluicegate has."""
    from sluicegate.orchestration.keys import signer_for
    from sluicegate.orchestration.settings import Settings

    home, found = Settings.from_airflow(os.environ).home(), []
    for role in ROLES:
        try:
            signer_for(role, home)
        except Exception:  # noqa: BLE001 - whatever it is, there is no key
            continue
        found.append(role)
    return found


def write_refused():
    """Return the SQL state by which the ledger's database refuses this machine a leaf."""
    import pg8000
    import pg8000.dbapi
    from sqlalchemy.engine import make_url

    to = make_url(os.environ["AIRFLOW__SLUICEGATE__LEDGER"])
    connection = pg8000.dbapi.connect(
        to.username, to.host, to.database, to.port, to.password, timeout=30
    )
    try:
        connection.cursor().execute(f"DELETE FROM {to.query['schema']}.leaf")
    except pg8000.Error as error:
        return error.args[0]["C"]
    finally:
        connection.close()
    return "written"


def train(source):
    """Read the sealed bytes; while this machine has a file `hold`, be in the middle of it."""
    rows = load_verified(source)
    here = Path(os.environ["HOME"])
    (here / f"{source}.begun").touch()
    while (here / f"{source}.hold").exists():
        time.sleep(0.1)
    return {"rows": len(rows), "keys": keys_in_reach(), "write": write_refused()}


def chain(source):
    """Make the DAGs of one source; a gate alone judges what was sealed last."""
    path = f"s3://training/data/{source}"
    in_pods = source.startswith("pod_")
    on_seal = {"queue": "pods" if in_pods else "seal", "executor_config": SEALING_POD, **RETRIES}
    on_train = {"queue": "pods" if in_pods else "train", **RETRIES}
    with DAG(f"gated_{source}", schedule=None, default_args=on_seal):
        seal = SealSourceOperator(task_id="seal", source=source, path=path)
        seal >> TrainingGateOperator(task_id="gate", source=source)
    with DAG(f"seal_{source}", schedule=None, default_args=on_seal):
        SealSourceOperator(task_id="seal", source=source, path=path)
    with DAG(f"gate_{source}", schedule=None, default_args=on_seal):
        TrainingGateOperator(task_id="gate", source=source)
    with DAG(
        f"train_{source}",
        schedule=[verified_asset(source)],
        tags=["training"],
        default_args=on_train,
    ):
        task(train)(source)


for name in os.environ["SOURCES"].split(","):
    chain(name)
