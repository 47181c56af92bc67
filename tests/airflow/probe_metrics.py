"""Runs inside a layout: play the DAG on each path, each task in a runner of its own.

`dag.test()` schedules, and its supervisor is the one of a worker: it forks a task runner, which is
where Airflow sets up metrics and traces.
"""

import sys
from types import SimpleNamespace

from probing import loaded_dags, log_to, played, prepare_database, report, scenes_and_log


def run_supervised(ti, task):
    """Run one task as `supervise_task` does it, and return what `dag.test()` asks of a result."""
    from airflow.executors.workloads import BundleInfo
    from airflow.executors.workloads.task import TaskInstanceDTO
    from airflow.models.taskinstance import TaskInstance
    from airflow.sdk.execution_time.supervisor import InProcessTestSupervisor, supervise_task
    from airflow.utils.session import create_session

    def row(session):
        return session.query(TaskInstance).filter_by(id=ti.id).one()

    with create_session() as session:
        what = TaskInstanceDTO.model_validate(row(session), from_attributes=True)
    supervise_task(
        ti=what,
        bundle_info=BundleInfo(name="dags-folder", version=None),
        dag_rel_path="metrics.py",
        token="",
        client=InProcessTestSupervisor._api_client(task.dag),
        subprocess_logs_to_stdout=True,
    )
    with create_session() as session:
        state = row(session).state
    return SimpleNamespace(msg=None, ti=SimpleNamespace(state=state, task=task))


def main():
    from airflow.sdk.execution_time import supervisor

    paths, log = scenes_and_log()
    out = log_to(log)
    prepare_database()
    bag = loaded_dags()
    ours = [name for name in sys.modules if name.startswith("sluicegate.orchestration.observing")]
    found = {"import_errors": bag.import_errors, "at_parse": ours, "runs": []}
    supervisor.run_task_in_process = run_supervised
    for path in paths:
        run, printed = played(bag.dags["metrics"], log, run_conf={"path": path})
        states = {ti.task_id: str(ti.state) for ti in run.get_task_instances()}
        found["runs"].append({"states": states, "log": printed})
    report(found, out)


main()
