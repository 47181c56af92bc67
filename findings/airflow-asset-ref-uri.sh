#!/usr/bin/env bash
# Apache Airflow 3.3.2 (Task SDK 1.3.2): `Asset.ref(uri=...)` does not find the asset of that URI.
#
# `Asset("x://a")` normalises its URI to "x://a/"; `Asset.ref(uri="x://a")` keeps "x://a". So a
# task that refers to an asset by the very text that defines it fails while its context is built,
# before its first line. An asset with a path, "x://a/b", is the same under both.
#
# Seen: the task with the reference to "x://a" fails, the one with "x://a/b" succeeds.
# Exits 0 while this is so, 1 if it changes. Needs python3.11 and a package index.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  "apache-airflow==3.3.2" "apache-airflow-task-sdk==1.3.2" "apache-airflow-providers-standard==1.21.0"
mkdir dags
cat > dags/refs.py <<'PY'
from airflow.sdk import DAG, Asset, task

for name, uri in (("bare", "x://a"), ("path", "x://a/b")):
    with DAG(f"refs_{name}", schedule=None) as dag:

        @task(outlets=[Asset(uri)])
        def produce():
            return 1

        @task(inlets=[Asset.ref(uri=uri)])
        def consume():
            return 2

        produce() >> consume()
    globals()[dag.dag_id] = dag
PY
export AIRFLOW_HOME=$work AIRFLOW__CORE__DAGS_FOLDER=$work/dags AIRFLOW__CORE__LOAD_EXAMPLES=False
export AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=sqlite:///$work/airflow.db
venv/bin/airflow db migrate > migrate.log 2>&1
venv/bin/python - <<'PY'
from airflow.sdk import Asset

print("Asset:", Asset("x://a").uri, " reference:", Asset.ref(uri="x://a").uri)
PY
failed=0
for name in bare path; do
  venv/bin/airflow dags test "refs_$name" > "$name.log" 2>&1 || true
  state=$(grep -oE "state=(success|failed)" "$name.log" | tail -1 || true)
  echo "refs_$name: $state"
done
grep -q "state=failed" bare.log || { echo "changed: the reference to x://a is found"; failed=1; }
grep -q "state=success" path.log && ! grep -q "state=failed" path.log \
  || { echo "changed: the reference to x://a/b is not found"; failed=1; }
exit "$failed"
