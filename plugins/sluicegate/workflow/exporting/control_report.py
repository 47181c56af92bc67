"""Which artefacts of an export are evidence towards which published control.

The mapping is data (``controls/mapping.json``), so that people can review and replace it without
reading code. It claims little on purpose: an export shows one run, and a control asks for a
practice.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from sluicegate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

MAPPING_TYPE = "https://sluicegate.dev/control-mapping/v1"
NOT_COVERED = "not covered"


def read_mapping() -> dict[str, Any]:
    """Return the control mapping that this version ships.

    Raises:
        ConfigError: The installation is damaged.
    """
    path = files("sluicegate.workflow.exporting.controls") / "mapping.json"
    value = json.loads(path.read_text(encoding="utf-8"))
    if value.get("type") != MAPPING_TYPE:
        raise ConfigError("not a control mapping", locator=str(path), expected=MAPPING_TYPE)
    return dict(value)


def control_report(present: AbstractSet[str], subject: str) -> dict[str, Any]:
    """Report for every control which artefacts of an export are evidence for it.

    Args:
        present: Artefacts in the export: ledger kinds, ``proof`` and ``mlbom``.
        subject: The batch that the export is about, as text.

    Returns:
        Plain JSON types: ``frameworks`` with a status for each control (``evidence``,
        ``evidence missing`` or ``not covered``), and ``not_covered`` as a list of its own.
    """
    mapping = read_mapping()
    frameworks = [_framework(item, present) for item in mapping["frameworks"]]
    return {
        "subject": subject,
        "mapping": mapping["version"],
        "reading": mapping["reading"],
        "frameworks": frameworks,
        "not_covered": [
            f"{framework['name']}: {control['id']} {control['about']}"
            for framework in frameworks
            for control in framework["controls"]
            if control["status"] == NOT_COVERED
        ],
    }


def _framework(framework: dict[str, Any], present: AbstractSet[str]) -> dict[str, Any]:
    controls = [
        {**control, "status": _status(control, present), "artefacts": _held(control, present)}
        for control in framework["controls"]
    ]
    return {**framework, "controls": controls}


def _held(control: dict[str, Any], present: AbstractSet[str]) -> list[str]:
    return [name for name in control["artefacts"] if name in present]


def _status(control: dict[str, Any], present: AbstractSet[str]) -> str:
    if control["covered"] == "none":
        return NOT_COVERED
    return "evidence" if _held(control, present) else "evidence missing"
