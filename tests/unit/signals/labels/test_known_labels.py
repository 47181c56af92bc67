"""Rows whose label the baseline's signals know, and which signals ask for them."""

from __future__ import annotations

import pyarrow as pa
import pytest
from tests.unit.signals.conftest import make_prices, make_rows

from sluicegate.signals.labels.known_labels import with_known_labels
from sluicegate.signals.registry import OF_BATCHES, OF_LABELS


def known(baseline, table: pa.Table) -> int:
    return sum(with_known_labels(baseline, rows).num_rows for rows in table.to_batches())


def with_labels(table: pa.Table, labels: list) -> pa.Table:
    place = table.schema.get_field_index("y")
    return table.set_column(place, "y", pa.array(labels, table["y"].type))


def test_rows_without_a_label_or_of_a_new_class_are_left_out(baseline):
    table = make_rows(40, 5)
    labels = table["y"].to_pylist()
    assert known(baseline, table) == 40
    assert known(baseline, with_labels(table, [None] * 10 + labels[10:])) == 30
    new = type(labels[0])(7)
    assert known(baseline, with_labels(table, [new] * 10 + labels[10:])) == 30


def test_measured_labels_are_known_where_they_are_there(priced):
    table = make_prices(40, 5)
    name = priced.layout.label.name
    place = table.schema.get_field_index(name)
    values = [None] * 10 + table[name].to_pylist()[10:]
    assert known(priced, table.set_column(place, name, pa.array(values, pa.float64()))) == 30


def test_without_exactly_one_column_of_the_label_no_row_has_a_known_one(baseline):
    table = make_rows(40, 5)
    assert known(baseline, table.drop_columns(["y"])) == 0
    assert known(baseline, table.append_column("y", table["y"])) == 0


@pytest.mark.parametrize("signal", OF_BATCHES, ids=lambda signal: signal.code)
def test_signal_that_needs_labels_in_numbers_is_asked_of_pooled_labels(signal):
    needs = "label" in signal.needs or "classes" in signal.needs
    assert (signal.code in OF_LABELS) is (needs and signal.min_rows > 1)
