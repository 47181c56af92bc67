"""Sources that lack a role, or whose label is of another kind: whatever is FAILED says why."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from tests.attacks.everyday.world import ROLES, fresh, put_column, trusted

from sluicegate.cli.main import main
from sluicegate.workflow.judging.check import check


def roles(**other):
    return {key: value for key, value in {**ROLES, **other}.items() if value}


def label(make):
    def change(table):
        random = np.random.default_rng(table.num_rows)
        return put_column(table, "y", pa.array(make(table, random)))

    return change


def number(table, name):
    return np.array(table[name].to_pylist(), dtype="float64")


def kept(table):
    return table


SOURCES = {
    "no owner, no time": (
        lambda t: t.drop_columns(["customer", "ts"]), roles(contributor=None, timestamp=None),
    ),
    "no id": (lambda t: t.drop_columns(["id"]), roles(id=None)),
    "no role at all": (kept, {}),
    "words for classes": (
        label(lambda t, _: [("no", "yes")[y] for y in t["y"].to_pylist()]), ROLES,
    ),
    "twelve classes": (label(lambda t, _: (number(t, "age") // 6).astype("int64")), ROLES),
    "one class only": (label(lambda t, _: [1] * t.num_rows), ROLES),
    "a class of one in a thousand": (
        label(lambda t, _: [int(i % 1000 == 0) for i in range(t.num_rows)]), ROLES,
    ),
    "cents of a database": (
        label(lambda t, _: [int(v * 100) for v in number(t, "amount")]),
        roles(label={"column": "y", "kind": "number"}),
    ),
    "lists of tags": (label(lambda t, _: [[str(y)] for y in t["y"].to_pylist()]), ROLES),
    "stars that nothing predicts": (label(lambda t, r: r.integers(1, 6, t.num_rows)), ROLES),
    "no feature": (lambda t: t.select(["id", "ts", "customer", "y"]), ROLES),
    "an owner for each row": (lambda t: put_column(t, "customer", t["id"]), ROLES),
}  # fmt: skip
UNKNOWABLE = {
    "one class only",
    "a class of one in a thousand",
    "no feature",
    "an owner for each row",
}


@pytest.mark.parametrize("name", SOURCES)
def test_clean_batch_passes_or_each_reason_is_printed_with_what_to_change(world, name, capsys):
    change, named = SOURCES[name]
    base = world.baseline(name, lambda: change(trusted()), named)
    place, out = world.put(change(fresh())), world.root / "out.json"
    asked = ["check", place, "--baseline", base, "--policy", world.policy, "--json", out]
    code = main([str(part) for part in asked])
    said = capsys.readouterr().out
    reasons = json.loads(out.read_text())["reasons"]
    shown = said[said.index(f": {fresh().num_rows} rows, ") :]
    assert [r["code"] for r in reasons if r["code"] not in shown] == [], shown
    if name not in UNKNOWABLE:
        assert (code, reasons) == (0, []), shown
    else:
        assert code == 1
        assert all("not evaluated: " in r["message"] for r in reasons), shown
        assert "in the policy: CODE: {severity: block, not_evaluated: " in shown


def test_reason_in_the_policy_lets_the_batch_pass(world, tmp_path):
    """What the message says is what works."""
    change, named = SOURCES["one class only"]
    base = world.baseline("one class only", lambda: change(trusted()), named)
    rule = '{severity: block, required: false, not_evaluated: "only good orders are delivered"}'
    text = world.policy.read_text(encoding="utf-8")
    text = text.replace("LABEL_FLIPS: {severity: block, required: false}", f"LABEL_FLIPS: {rule}")
    (tmp_path / "policy.yaml").write_text(f"{text}  CONTRIBUTOR_LABEL_SKEW: {rule}\n")
    batch = world.put(change(fresh()))
    assert check(batch, baseline=base, policy=tmp_path / "policy.yaml").accepted
