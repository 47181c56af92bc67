#!/usr/bin/env bash
# apache-airflow-providers-celery 3.26.0 declares celery[redis] >=5.5.0,<6 and cannot be imported
# beside celery 5.7.0: it takes `retry` from celery.backends.database, which 5.7.0 no longer has.
#
# pip resolves the newest celery, installs both and `pip check` is content. With the Celery executor
# configured, Airflow's commands then end in this ImportError.
#
# Seen: with celery 5.7.0 the executor's module raises ImportError, with 5.6.3 it is imported;
# `pip check` finds nothing broken with either.
# Exits 0 while this is so, 1 if it changes. Needs python3.11 and a package index.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export AIRFLOW_HOME=$work
python3.11 -m venv venv
failed=0
for version in 5.7.0 5.6.3; do
  venv/bin/pip install --quiet --disable-pip-version-check "apache-airflow==3.3.2" \
    "apache-airflow-task-sdk==1.3.2" "apache-airflow-providers-celery==3.26.0" "celery==$version"
  venv/bin/pip check > check.log 2>&1 || { echo "changed: pip check: $(tail -1 check.log)"; failed=1; }
  venv/bin/python -c "import airflow.providers.celery.executors.celery_executor" \
    > "$version.log" 2>&1 && said=imported || said=$(tail -1 "$version.log")
  echo "celery $version: ${said%% (*}"
done
grep -q "cannot import name 'retry' from 'celery.backends.database'" 5.7.0.log \
  || { echo "changed: the executor's module is imported beside celery 5.7.0"; failed=1; }
! grep -q ImportError 5.6.3.log || { echo "changed: not imported beside celery 5.6.3"; failed=1; }
exit $failed
