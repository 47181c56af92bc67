#!/usr/bin/env bash
# pyarrow 26.0.1: `pyarrow.json.read_json` gives other values than the file says, without an error.
#
# An integer that no double holds becomes its neighbour where fractions follow in the same column, and
# a time with a zone becomes one without: the instant in UTC, as if it were the time that was written.
# Both are valid JSON, and Python's json gives them back as they are.
#
# Seen: 9007199254740993 read as 9007199254740992.0; "2026-01-01T00:00:00+02:00" read as 22:00 of the
# day before, without zone. Exits 0 while this is so, 1 if it changes. Needs python3.11 and a package index.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check "pyarrow==26.0.1"
cat > read.py <<'PY'
import io
import sys

import pyarrow.json as pj

print(pj.read_json(io.BytesIO(sys.argv[1].encode())).to_pydict())
PY
venv/bin/python read.py $'{"a":9007199254740993}\n{"a":1.5}\n' | tee number.log
venv/bin/python read.py $'{"a":"2026-01-01T00:00:00+02:00"}\n' | tee time.log
grep -q "9007199254740992.0" number.log && grep -q "datetime.datetime(2025, 12, 31, 22, 0)" time.log
