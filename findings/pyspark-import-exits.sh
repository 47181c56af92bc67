#!/usr/bin/env bash
# PySpark 4.3.0 beside Great Expectations 1.24.1: an import ends the process, with exit code 0.
#
# `import great_expectations` imports `pyspark.sql.connect` where PySpark is installed. Without the
# packages of Spark Connect that module looks at the main module: if it has neither a file nor a
# spec, it takes the process for a run of doctests and calls `sys.exit(0)`. `python -c`, an
# interpreter inside another program and the workers of execnet (pytest-xdist) are such processes.
# A check that is written there never runs, and its exit code says that all is well.
#
# Seen: the script in a file prints "checked"; the same text behind -c prints nothing, and both
# exit with 0. Exits 0 while this is so, 1 if it changes. Needs python3.11 and a package index.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  "great-expectations==1.24.1" "pyspark==4.3.0" "pandas==3.1.1" "pyarrow==26.0.1"
script='import great_expectations; print("checked")'
echo "$script" > check.py
in_file=$(venv/bin/python check.py 2> file.log) && code_of_file=$? || code_of_file=$?
typed=$(venv/bin/python -c "$script" 2> typed.log) && code_typed=$? || code_typed=$?
echo "in a file: '$in_file', exit $code_of_file; behind -c: '$typed', exit $code_typed"
grep -h "^Skipping doctests" typed.log || true
[[ "$in_file" == checked && $code_of_file == 0 ]] || { echo "changed: the file does not run"; exit 1; }
[[ -z "$typed" && $code_typed == 0 ]] || { echo "changed: what stands behind -c runs"; exit 1; }
