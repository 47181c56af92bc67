"""Rows with values that the baseline does not know: which of them still testify about labels."""

from tests.unit.signals.conftest import put

from sluicegate.signals.decision.record import Status


def with_values(table, columns, values):
    """Every 25th row has these values in some columns."""
    for name, value in zip(columns, values, strict=True):
        rows = table[name].to_pylist()
        table = put(table, name, [value if i % 25 == 0 else v for i, v in enumerate(rows)])
    return table


def test_labels_of_rows_moved_outward_in_several_columns_are_judged_with_all_columns(check, batch):
    """By x0 and x1 these rows belong to class 1; whoever flips their labels moved them out."""
    outward = with_values(batch, ("x0", "x1", "y"), (9.0, -9.0, 0))
    record = check(outward)["LABEL_FLIPS", "y"]
    assert record.status is Status.FAILED
    assert "cannot be judged" not in record.message


def test_rows_with_lost_values_in_several_columns_accuse_nobody_and_are_counted(check, batch):
    record = check(with_values(batch, ("x0", "note"), (None, None)))["LABEL_FLIPS", "y"]
    assert record.status is not Status.FAILED
    assert "60 " in record.message
