"""A baseline as its file says it is, unverified: what a check reads, and needs no keys for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sluicegate.adapters.files.named_file import read_named
from sluicegate.errors import UnreadableData
from sluicegate.signals.baseline.stored import Baseline

if TYPE_CHECKING:
    from pathlib import Path

BASELINE_FILE: Final = "baseline.json"


def read_baseline(directory: Path) -> tuple[Baseline, bytes]:
    """Read a baseline without verifying it, for checks that issue no verdict.

    Returns:
        The baseline and its exact bytes.

    Raises:
        UnreadableData: The file is missing or unreadable.
        MalformedEnvelope: The file is not a baseline, or was edited.
    """
    path = directory / BASELINE_FILE
    body = read_body(path)
    return Baseline.from_bytes(body, locator=str(path)), body


def read_body(path: Path) -> bytes:
    """Return the bytes of a baseline.

    Raises:
        UnreadableData: The file is missing or unreadable.
    """
    return read_named(
        path,
        "the baseline cannot be read",
        error=UnreadableData,
        next_step="Name the directory that `sluicegate baseline build` wrote, or build one.",
    )
