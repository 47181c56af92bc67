"""Ways to change a batch of the small source of `tests/unit/signals`, good and bad."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from tests.unit.signals.conftest import make_rows, put

if TYPE_CHECKING:
    from collections.abc import Callable

    Change = Callable[[pa.Table], pa.Table]

N_BATCH = 1500
GOLDEN_SEED, N_GOLDEN = 77, 400  # as the golden set of the baseline was drawn


def column(name: str, value: Callable[[int, object], object]) -> Change:
    """Give each row another value, from its number and its value."""
    return lambda t: put(t, name, [value(i, v) for i, v in enumerate(t[name].to_pylist())])


def every(step: int, name: str, new: object) -> Change:
    """Replace the value of each step-th row."""
    return column(name, lambda i, v: new if i % step == 0 else v)


def flip(share: float, **where: object) -> Change:
    """Turn round the labels of a share of the batch, optionally of rows with one value."""

    def change(table: pa.Table) -> pa.Table:
        labels = table["y"].to_pylist()
        for i in pick(table, share, **where):
            labels[i] = 1 - labels[i]
        return put(table, "y", labels)

    return change


def priced(share: float, new: Callable[[float], float], **where: object) -> Change:
    """Give a share of the batch another price, optionally of rows with one value."""

    def change(table: pa.Table) -> pa.Table:
        prices = table["price"].to_pylist()
        for i in pick(table, share, **where):
            prices[i] = new(prices[i])
        return put(table, "price", prices)

    return change


def exchanged(share: float, **where: object) -> Change:
    """Exchange prices within a share of the batch, optionally of rows with one value."""

    def change(table: pa.Table) -> pa.Table:
        prices, rows = table["price"].to_pylist(), pick(table, share, **where)
        found = [prices[i] for i in rows]
        for i, price in zip(rows, [*found[1:], *found[:1]], strict=True):
            prices[i] = price
        return put(table, "price", prices)

    return change


def pick(table: pa.Table, share: float, **where: object) -> list[int]:
    """Choose rows of a batch, seeded."""
    at = np.arange(table.num_rows)
    for name, value in where.items():
        at = at[np.array([v == value for v in table[name].to_pylist()])[at]]
    rng = np.random.default_rng(0)
    return rng.choice(at, round(share * table.num_rows), replace=False).tolist()


def words(share: float, said: str, **where: object) -> Change:
    """Add words to the note of a share of the rows."""

    def change(table: pa.Table) -> pa.Table:
        notes = table["note"].to_pylist()
        for i in pick(table, share, **where):
            notes[i] = f"{notes[i]} {said}"
        return put(table, "note", notes)

    return change


def stamped(share: float, value: float, *, label: int | None) -> Change:
    """Give a share of the rows one exact value of x3, and one label unless it is None."""

    def change(table: pa.Table) -> pa.Table:
        values, labels = table["x3"].to_pylist(), table["y"].to_pylist()
        for i in pick(table, share):
            values[i] = value
            labels[i] = labels[i] if label is None else label
        return put(put(table, "x3", values), "y", labels)

    return change


def placed(share: float, *, label: int | None) -> Change:
    """Move a share of the rows near one place of x2 and x3, none to the same, under one label."""

    def change(table: pa.Table) -> pa.Table:
        rng = np.random.default_rng(3)
        rows = pick(table, share)
        labels = table["y"].to_pylist()
        for name, centre in (("x2", 1.31), ("x3", -1.27)):
            values = table[name].to_pylist()
            for i in rows:
                values[i] = centre + rng.normal() * 0.02
            table = put(table, name, values)
        for i in rows:
            labels[i] = labels[i] if label is None else label
        return put(table, "y", labels)

    return change


def stuffed(share: float, numbers: range, **where: object) -> Change:
    """Add twelve known words, drawn for each row, to the note of a share of the rows."""

    def change(table: pa.Table) -> pa.Table:
        rng = np.random.default_rng(3)
        notes = table["note"].to_pylist()
        for i in pick(table, share, **where):
            said = rng.choice(list(numbers), 12, replace=False)
            notes[i] = " ".join([notes[i], *(f"word{k}" for k in said)])
        return put(table, "note", notes)

    return change


def newcomer(step: int, *, label: int | None = None) -> Change:
    """Let an unknown contributor deliver each step-th row, with one label unless it is None."""

    def change(table: pa.Table) -> pa.Table:
        labels = table["y"].to_pylist()
        if label is not None:
            labels[::step] = [label] * len(labels[::step])
        return put(every(step, "who", "newcomer")(table), "y", labels)

    return change


def copied(n_copies: int) -> Change:
    """Replace the last rows by copies of the first three, under ids of their own."""

    def change(table: pa.Table) -> pa.Table:
        kept = table.num_rows - n_copies
        rows = table.take([*range(kept), *(i % 3 for i in range(n_copies))])
        return column("id", lambda i, v: v if i < kept else f"copy-{i}")(rows)

    return change


def bursting(n_rows: int, *, label: int | None = None, who: str | None = None) -> Change:
    """Let some rows come within a minute, with one label and from one contributor if named."""

    def change(table: pa.Table) -> pa.Table:
        rows = pick(table, n_rows / table.num_rows)
        times, labels, names = (table[name].to_pylist() for name in ("at", "y", "who"))
        start = times[table.num_rows // 2]
        for i, row in enumerate(rows):
            times[row] = start + timedelta(seconds=60 * i / n_rows)
            labels[row] = labels[row] if label is None else label
            names[row] = names[row] if who is None else who
        return put(put(put(table, "at", times), "y", labels), "who", names)

    return change


def redelivered(n_rows: int, *, flipped: int = 0, renamed: bool = False) -> Change:
    """Add rows of the baseline, some of them with the other label, perhaps under new ids."""
    rows = make_rows(3000, 1).slice(0, n_rows)
    turned = column("y", lambda i, v: 1 - int(str(v)) if i < flipped else v)(rows)
    named = column("id", lambda i, v: f"again-{i}" if renamed else v)(turned)
    return lambda t: pa.concat_tables([t, named])


def again(n_rows: int, times: int = 1) -> Change:
    """Deliver the first rows of the batch again, with their ids."""
    return lambda t: pa.concat_tables([t, *[t.slice(0, n_rows)] * times])


def leaked(n_rows: int) -> Change:
    """Replace the first rows by rows of the golden set."""
    golden = make_rows(N_GOLDEN, GOLDEN_SEED)
    return lambda t: pa.concat_tables([t.slice(n_rows), golden.slice(0, n_rows)])


def far_out(n_rows: int) -> Change:
    """Move the first rows far from everything in two columns."""
    first = column("x0", lambda i, v: 8.0 + i / 10 if i < n_rows else v)
    second = column("x1", lambda i, v: -8.0 if i < n_rows else v)
    return lambda t: second(first(t))


def classes(n_zero: int, n_one: int) -> Change:
    """Draw so many fresh rows of each class: the prior moves, what a label means does not."""

    def change(_: pa.Table) -> pa.Table:
        rows = make_rows(4000, 9)
        labels = np.array(rows["y"].to_pylist())
        keep = [np.flatnonzero(labels == y)[:n] for y, n in ((0, n_zero), (1, n_one))]
        return rows.take(np.sort(np.concatenate(keep)).tolist())

    return change


def without(*names: str) -> Change:
    """Drop columns."""
    return lambda t: t.drop_columns(list(names))


def nothing_in(name: str) -> Change:
    """Keep a column without any value."""
    return lambda t: put(t, name, [None] * t.num_rows)


def as_text(name: str) -> Change:
    """Deliver numbers as words."""
    return lambda t: t.set_column(
        t.schema.get_field_index(name), name, pa.array([f"v{v}" for v in t[name].to_pylist()])
    )


def numbered(name: str) -> Change:
    """Deliver words as numbers."""
    return lambda t: t.set_column(
        t.schema.get_field_index(name), name, pa.array(range(t.num_rows), pa.int64())
    )


def first(n_rows: int) -> Change:
    """Keep only the first rows."""
    return lambda t: t.slice(0, n_rows)
