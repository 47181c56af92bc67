"""The manifests of docs/kubernetes: Airflow makes pods of them, and they run without a cluster."""

import ast
import base64
import configparser
import io
import json
import re
from importlib.metadata import metadata, version
from pathlib import Path

import pytest
import yaml
from pod import AIRFLOW_HOME, Pod, image_paths, needs_mounts
from tests.distributed.conftest import HOME, KEYS, SOURCES, verdicts

from sluicegate.cli.demo.airflow_rest import wait_until
from sluicegate.orchestration.provider import get_provider_info

pytestmark = pytest.mark.demo

MANIFESTS = Path(__file__).resolve().parents[2] / "docs" / "kubernetes"


def chart_values():
    return yaml.safe_load((MANIFESTS / "values.yaml").read_text())


class Nodes:
    """Runs what the scheduler sends to the queue `pods`, each task in a pod of its own.

    A workload is the same JSON for Celery and for Kubernetes. Airflow's own functions make the pod,
    from the template that the task names or the default one.
    """

    def __init__(self, cluster, office, broker, root):
        self._cluster, self._broker, self._root = cluster, broker[1], root
        self._secrets = {
            "sluicegate-reader": {"ledger": office.reader_url},
            "sluicegate-writer": {"ledger": office.server.url()},
            "sluicegate-keys": {
                f"{role}.pem": office.site.home.key(role).read_text() for role in KEYS
            },
            "sluicegate-store-reader": office.environ,
        }
        self._config_maps = {"airflow-config": {"airflow.cfg": self._configuration(office)}}
        self.made = []

    def _configuration(self, office):
        """Write what the chart makes of its values, with the places of this installation."""
        sections = chart_values()["config"]
        sections["sluicegate"] |= {"home": HOME, "home_pin": office.pin}
        sections["core"] = {
            "load_examples": False,
            "execution_api_server_url": f"{self._cluster.url}/execution/",
        }
        written = configparser.RawConfigParser()
        written.read_dict(sections)
        text = io.StringIO()
        written.write(text)
        return text.getvalue()

    def run_next(self):
        """Wait for a task, run its pod to the end; returns what it said."""
        waited = {"timeout_s": 90, "what": "a task in the queue `pods`"}
        message = json.loads(wait_until(lambda: self._broker.lpop("pods"), **waited))
        (workload,), _, _ = json.loads(base64.b64decode(message["body"]))
        done = self._pod(self._manifest(workload)).run()
        # Until it reads that, the executor takes the task for one that still runs.
        sent = message["headers"]["id"]
        told = {"task_id": sent, "status": "SUCCESS", "result": None, "traceback": None}
        self._broker.set(f"celery-task-meta-{sent}", json.dumps({**told, "children": []}))
        return done.stdout + done.stderr

    def run_in(self, template, *args):
        """Run a program in a pod of a template."""
        manifest = yaml.safe_load((MANIFESTS / template).read_text())
        return self._pod(manifest).run(*args)

    def _manifest(self, workload):
        from airflow.executors.workloads import ExecuteTask
        from airflow.providers.cncf.kubernetes.executors.kubernetes_executor_utils import (
            workload_to_command_args,
        )
        from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator

        task = ExecuteTask.model_validate_json(workload)
        # The scheduler reads it from its database; a workload does not carry it.
        shown = self._cluster.task(task.ti.dag_id, task.ti.run_id, task.ti.task_id)
        config = ast.literal_eval(shown["executor_config"])
        template = Path(config.get("pod_template_file", "train.yaml")).name
        made = PodGenerator.construct_pod(
            namespace="airflow",
            scheduler_job_id="1",
            pod_id=f"task-{len(self.made)}",
            dag_id=task.ti.dag_id,
            task_id=task.ti.task_id,
            run_id=task.ti.run_id,
            try_number=task.ti.try_number,
            map_index=task.ti.map_index,
            kube_image="",
            date=None,
            args=workload_to_command_args(task),
            pod_override_object=PodGenerator.from_obj(config),
            base_worker_pod=PodGenerator.deserialize_model_file(str(MANIFESTS / template)),
        )
        return PodGenerator.serialize_pod(made)

    def _pod(self, manifest):
        root = self._root / f"{len(self.made)}"
        root.mkdir()
        self.made.append(manifest)
        return Pod(
            manifest,
            secrets=self._secrets,
            config_maps=self._config_maps,
            image=image_paths(self._cluster.workers["train"].home / "dags"),
            variables={"SOURCES": ",".join(SOURCES)},
            root=root,
        )


@pytest.fixture(scope="module")
def nodes(cluster, office, broker, tmp_path_factory):
    """Somewhere to run pods."""
    pytest.importorskip("airflow.providers.cncf.kubernetes")
    return Nodes(cluster, office, broker, tmp_path_factory.mktemp("nodes"))


@needs_mounts
def test_clean_batch_is_judged_in_one_pod_and_trained_on_in_another(nodes, cluster, office):
    run_id = cluster.trigger("gated_pod_clean")
    sealing, gating = nodes.run_next(), nodes.run_next()
    assert cluster.ended("gated_pod_clean", run_id)[1] == "success", sealing + gating
    training = nodes.run_next()
    train_id, state = cluster.started_by_event("train_pod_clean")
    assert state == "success", training
    found = cluster.output("train_pod_clean", train_id, "train")
    assert found == {"rows": 3000, "keys": [], "write": "42501"}
    (verdict,) = verdicts(office, "pod_clean")
    assert cluster.admitted("train_pod_clean", train_id) == {"pod_clean": verdict}


@needs_mounts
def test_poisoned_batch_is_blocked_in_its_pod_and_refused_in_another(nodes, cluster, office):
    run_id = cluster.trigger("gated_pod_poisoned")
    nodes.run_next()
    assert "LABEL_FLIPS" in nodes.run_next()
    assert cluster.ended("gated_pod_poisoned", run_id)[1] == "failed"
    run_id = cluster.trigger("train_pod_poisoned")
    assert "GATE_BLOCKED" in nodes.run_next()
    assert cluster.ended("train_pod_poisoned", run_id)[1] == "failed"
    assert cluster.task("train_pod_poisoned", run_id, "train")["try_number"] == 1


@needs_mounts
@pytest.mark.parametrize("template", ["seal.yaml", "train.yaml"])
def test_pod_is_nobody_and_can_write_only_where_nothing_is_kept(nodes, template):
    places = (
        "/",
        AIRFLOW_HOME,
        f"{AIRFLOW_HOME}/dags",
        f"{AIRFLOW_HOME}/airflow.cfg",
        "/usr",
        "/tmp",
    )
    script = (
        "import os, sys; print(os.getuid(), [p for p in sys.argv[1:] if os.access(p, os.W_OK)])"
    )
    done = nodes.run_in(template, "python", "-c", script, *places)
    assert done.stdout == "50000 ['/tmp']\n", done.stderr


@needs_mounts
def test_keys_are_the_sealing_pods_alone_and_nobody_else_in_it_reads_them(nodes):
    look = (
        "sh",
        "-c",
        "cat /run/sluicegate/gate.pem | head -1; stat -Lc '%a %u' /run/sluicegate/*.pem",
    )
    assert (
        nodes.run_in("seal.yaml", *look).stdout == "-----BEGIN PRIVATE KEY-----\n" + 3 * "440 0\n"
    )
    assert "No such file" in nodes.run_in("train.yaml", *look).stderr


def test_chart_is_told_only_what_sluicegate_knows_and_pods_have():
    known = get_provider_info()["config"]["sluicegate"]["options"]
    told = chart_values()["config"]["sluicegate"]
    assert told.keys() <= known.keys()
    mounts = {mount["mountPath"] for mount in chart_values()["volumeMounts"]}
    assert told["home_cache"] in mounts & pod_mounts("train.yaml") & pod_mounts("seal.yaml")


def test_pods_differ_in_keys_and_account_alone():
    sealing, training = ((MANIFESTS / name).read_text() for name in ("seal.yaml", "train.yaml"))
    assert "sluicegate-writer" not in training
    assert "SLUICEGATE__KEY_" not in training
    assert pod_mounts("seal.yaml") - pod_mounts("train.yaml") == {"/run/sluicegate"}
    parts = [yaml.safe_load(text)["spec"] for text in (sealing, training)]
    for security in ("securityContext", "automountServiceAccountToken"):
        assert parts[0][security] == parts[1][security]
    first, second = (part["containers"][0]["securityContext"] for part in parts)
    assert first == second


def pod_mounts(template):
    (container,) = yaml.safe_load((MANIFESTS / template).read_text())["spec"]["containers"]
    return {mount["mountPath"] for mount in container["volumeMounts"]}


def test_image_is_of_the_airflow_that_is_tested_and_has_the_extras_of_many_machines():
    text = (MANIFESTS / "Dockerfile").read_text()
    assert f"FROM apache/airflow:{version('apache-airflow')}-python" in text
    asked = set(re.search(r"\$\{wheel\}\[([a-z0-9,]+)\]", text)[1].split(","))
    assert asked <= set(metadata("sluicegate").get_all("Provides-Extra"))
