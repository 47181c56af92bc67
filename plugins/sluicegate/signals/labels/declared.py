"""Which signals of labels a schema alone promises, before there is a baseline.

Whether flips can be told depends on what the features say of the label: only a baseline knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sluicegate.profiling.label_kind import LabelKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.profiling.schema import BatchSchema

_CODES: Final[Mapping[LabelKind, tuple[str, ...]]] = {
    LabelKind.CLASS: ("LABEL_PRIOR", "LABEL_NEW_CLASS"),
    LabelKind.NUMBER: ("TARGET_RANGE", "TARGET_SHIFT"),
}


def declared_codes(schema: BatchSchema) -> tuple[str, ...] | None:
    """Return the codes of the signals of labels that a schema supports.

    Args:
        schema: Roles of columns.

    Returns:
        Codes; none without a label, and None if the label's kind is left to its values.
    """
    if schema.label is None:
        return ()
    return None if schema.label_kind is None else _CODES[schema.label_kind]
