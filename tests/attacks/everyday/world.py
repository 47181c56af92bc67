"""Tables as people have them: a trusted one, a batch without drift, and how it is judged."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sluicegate.errors import SluicegateError
from sluicegate.gate.default_policy import DEFAULT_POLICY
from sluicegate.profiling.schema import BatchSchema
from sluicegate.signals.decision.record import Status
from sluicegate.workflow.baselines.signed import write_baseline
from sluicegate.workflow.judging.check import check

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from sluicegate.workflow.judging.check import Checked

AT = datetime(2026, 4, 1, tzinfo=UTC)
ROLES = {"id": "id", "label": "y", "contributor": "customer", "timestamp": "ts"}
SHOPS = {"a": 1, "b": 2, "c": 3, "d": 4}

Files = "Mapping[str, pa.Table | bytes | str] | pa.Table"


def rows(n: int, seed: int, start: str = "2026-01-01", days: int = 90) -> pa.Table:
    """Orders: two numbers and a channel predict the label; nothing drifts."""
    random = np.random.default_rng(seed)
    amount, age = np.round(random.gamma(2, 40, n), 2), random.integers(18, 90, n)
    channel = random.choice(["web", "app", "shop"], n, p=[0.5, 0.3, 0.2])
    customer = random.choice(list(SHOPS), n)
    score = 0.02 * (amount - 80) + 0.03 * (age - 50) + (channel == "web") * 0.8
    seconds = np.sort(random.integers(0, days * 86_400, n))
    at = np.datetime64(start, "us") + seconds * np.timedelta64(1_000_000, "us")
    return pa.table(
        {
            "id": [f"o{seed}-{i}" for i in range(n)],
            "ts": at,
            "amount": amount,
            "age": age,
            "channel": channel,
            "customer": customer,
            "y": (score + random.normal(0, 1, n) > 0.5).astype("int64"),
        }
    )


def trusted(n: int = 3000) -> pa.Table:
    return rows(n, 0)


def fresh(n: int = 600) -> pa.Table:
    return rows(n, 1, "2026-04-01", 30)


def put_column(table: pa.Table, name: str, values: object) -> pa.Table:
    """Return the table with a column replaced, or with one more."""
    place = table.schema.get_field_index(name)
    if place < 0:
        return table.append_column(name, values)
    return table.set_column(place, name, values)


def cast(name: str, type_: pa.DataType) -> Callable[[pa.Table], pa.Table]:
    return lambda table: put_column(table, name, table[name].cast(type_))


def some(values: list, with_: object, every: int = 3) -> list:
    """Return values of which each third, or so, is replaced."""
    return [with_ if i % every == 0 else value for i, value in enumerate(values)]


def text(table: pa.Table, *, spell: Mapping[type, Callable] | None = None, **options) -> str:
    """Return a table as a program writes CSV.

    Args:
        table: Rows.
        spell: How values of a type are written.
        options: Of `csv.writer`.
    """
    said = {datetime: lambda value: value.isoformat(" "), type(None): lambda _: "", **(spell or {})}
    out = io.StringIO()
    writer = csv.writer(out, **{"lineterminator": "\n", **options})
    writer.writerow(table.column_names)
    for row in zip(*(column.to_pylist() for column in table.columns), strict=True):
        writer.writerow([said[type(v)](v) if type(v) in said else v for v in row])
    return out.getvalue()


@dataclass(frozen=True)
class Outcome:
    """What became of a batch.

    Attributes:
        said: Everything that a user gets to read.
        verdict: PASSED, WARNED or FAILED; "" if the batch was refused.
        fired: ``CODE:column`` of each reason.
        error: Why it was refused.
        checked: What was found.
    """

    said: str
    verdict: str = ""
    fired: frozenset[str] = frozenset()
    error: SluicegateError | None = None
    checked: Checked | None = None

    @property
    def reasons(self) -> list[str]:
        """Messages of the reasons."""
        return [] if self.checked is None else [reason.message for reason in self.checked.reasons]

    @property
    def short(self) -> str:
        """The begin of what a user reads first."""
        return self.said[:300]

    def require_passed(self) -> None:
        """Nothing speaks against the batch."""
        assert self.error is None, self.short
        assert (self.verdict, sorted(self.fired)) == ("PASSED", []), self.short

    def require_named(self, *keys: str) -> None:
        """Each of these is a reason that stops the batch, and its message tells the column."""
        assert self.error is None, self.short
        assert self.verdict == Status.FAILED.value, self.short
        assert set(keys) <= self.fired, (sorted(self.fired), self.short)
        for key in keys:
            assert key.partition(":")[2] in self.said

    def require_refused(self, *words: str) -> None:
        """An error says where, what, and what to do."""
        assert self.error is not None, (self.verdict, sorted(self.fired))
        assert self.error.locator, self.short
        assert self.error.next_step, self.short
        assert [word for word in words if word not in self.said] == [], self.short


@dataclass
class World:
    """A directory with baselines that are built once, and the policy that `policy init` writes."""

    root: Path
    _built: dict[str, Path] = field(default_factory=dict)
    _n: int = 0

    def __post_init__(self) -> None:
        (self.root / "policy.yaml").write_text(DEFAULT_POLICY, encoding="utf-8")

    @property
    def policy(self) -> Path:
        return self.root / "policy.yaml"

    def put(self, files: Files) -> Path:
        self._n += 1
        place = self.root / str(self._n)
        place.mkdir()
        files = {"p.parquet": files} if isinstance(files, pa.Table) else files
        for name, content in files.items():
            target = place / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, pa.Table):
                pq.write_table(content, target)
            else:
                target.write_bytes(content if isinstance(content, bytes) else content.encode())
        return place

    def baseline(self, name: str, make: Callable[[], Files], roles: Mapping = ROLES) -> Path:
        """Return the baseline of this name; it is built when it is first asked for."""
        if name not in self._built:
            out = self.root / f"baseline {name}"
            schema = BatchSchema.from_mapping(dict(roles))
            write_baseline([self.put(make())], schema, out=out, at=AT)
            self._built[name] = out
        return self._built[name]

    def check(self, batch: Files | Path | str, baseline: Path) -> Outcome:
        """Judge a batch under the default policy."""
        place = self.put(batch) if isinstance(batch, dict | pa.Table) else batch
        try:
            done = check(place, baseline=baseline, policy=self.policy, rows=False)
        except SluicegateError as error:
            return Outcome(str(error), error=error)
        fired = frozenset(f"{r.code}:{r.column or ''}" for r in done.reasons)
        said = "\n".join([*(r.message for r in done.reasons), *(r.message for r in done.records)])
        return Outcome(said, done.verdict.value, fired, checked=done)
