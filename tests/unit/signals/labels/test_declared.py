"""A schema that declares its label's kind promises the signals that a baseline will support."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import yaml
from tests.unit.signals.conftest import CREATED

from sluicegate.gate.default_policy import default_policy
from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.baseline.build import build_baseline
from sluicegate.signals.labels.declared import declared_codes
from sluicegate.signals.registry import BY_CODE, expected_codes


def built(label):
    x = np.random.default_rng(1).normal(size=400)
    table = pa.table({"x": x, "y": np.round(2 * x).astype(np.int64)})
    schema = BatchSchema.from_mapping({"label": label} if label else {})
    return build_baseline(table.to_batches(), schema, created=CREATED, seed=1)


@pytest.mark.parametrize("kind", ["class", "number"])
def test_promised_signals_are_those_that_a_baseline_supports(kind):
    baseline = built({"column": "y", "kind": kind})
    promised = set(declared_codes(baseline.schema))
    labels = {c for c in expected_codes(baseline) if c.startswith(("LABEL", "TARGET"))}
    default = yaml.safe_load(default_policy(promised))["signals"]
    assert default.keys() >= promised - {"TARGET_SHIFT"}, "only warns by itself, so has no rule"
    known = yaml.safe_load(default_policy(expected_codes(baseline)))["signals"]
    assert default.items() <= known.items()
    assert promised <= labels
    assert {*promised, "LABEL_CONFLICTS", "LABEL_FLIPS"} >= labels
    assert promised <= set(BY_CODE)


def test_undeclared_kind_promises_nothing_and_no_label_nothing_at_all():
    assert declared_codes(BatchSchema(label="y")) is None
    assert declared_codes(BatchSchema()) == ()
