"""Runs inside a layout: what does parsing a DAG file with our modules cost over Airflow's own?"""

import json
import sys
import time
from importlib.metadata import EntryPoint

import importlib_metadata  # Airflow brings it; it takes over the finding of entry points

GUARD = {"s": 0.0, "added": set()}


def measured(load):
    """Wrap EntryPoint.load: Airflow loads the guard while it is imported itself."""

    def load_and_measure(entry_point):
        before, started = set(sys.modules), time.process_time()
        loaded = load(entry_point)
        if entry_point.value.startswith("sluicegate."):
            GUARD["s"] += time.process_time() - started
            GUARD["added"] |= set(sys.modules) - before
        return loaded

    return load_and_measure


for kind in (EntryPoint, importlib_metadata.EntryPoint):
    kind.load = measured(kind.load)


def parse(dag_file):
    from airflow.dag_processing.dagbag import DagBag

    before, started = set(sys.modules), time.process_time()
    bag = DagBag(dag_file)
    assert bag.import_errors == {}
    return set(sys.modules) - before, time.process_time() - started


def main():
    started = time.process_time()
    import sluicegate  # noqa: F401

    alone_s, alone = time.process_time() - started, set(sys.modules)
    plain_dag, our_dag = sys.argv[1:]
    parse(plain_dag)  # Airflow's own imports, and the guard
    airflow_s = time.process_time()
    _, plain_s = parse(plain_dag)
    added, ours_s = parse(our_dag)
    found = {
        "package_alone_s": alone_s,
        "package_alone": sorted(name for name in alone if name.startswith("sluicegate.")),
        "added": sorted(added | GUARD["added"]),
        "added_s": ours_s - plain_s,
        "guard_s": GUARD["s"],
        "airflow_s": airflow_s,
    }
    sys.stdout.write("\n" + json.dumps(found) + "\n")


main()
