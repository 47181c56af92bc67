"""How a task ends that Sluicegate stops: the last block of its log is for a person to read.

Airflow logs whatever fails a task with its traceback. Ours would show which of our lines raised,
which says nothing about the data, and the same text twice: once as the cause.
"""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Final

from airflow.sdk.exceptions import AirflowException, AirflowFailException

import sluicegate
from sluicegate.errors import Outcome, SluicegateError

if TYPE_CHECKING:
    from types import TracebackType

_log = logging.getLogger("sluicegate")
# The context manager around our code has a frame of its own, which says no more.
_OWN: Final = (str(Path(sluicegate.__file__).parent), contextlib.__file__)


class _Readable(AirflowException):
    """Shows its text and the frames of others."""

    def __str__(self) -> str:
        # A task's log asks for the text first and then for the frames, when all are there.
        _leave_out_own(self.__traceback__)
        return super().__str__()


class NotChecked(_Readable):
    """It could not be checked: Airflow may try again."""


class Stopped(_Readable, AirflowFailException):
    """Checked and bad, or called wrongly: Airflow does not try again."""


def ending(error: SluicegateError, head: str = "", *, final: bool = False) -> AirflowException:
    """Return what to raise in a task; raise it ``from None``.

    Args:
        error: What stopped the task.
        head: Text to put before the error's own.
        final: Whether Airflow must not try again, whatever the error is.

    Returns:
        An exception whose text is the whole block.
    """
    from sluicegate.workflow.admission.stopped import block

    _log.debug("where Sluicegate stopped this task", exc_info=error)
    retry = error.outcome is Outcome.COULD_NOT_CHECK and not final
    return (NotChecked if retry else Stopped)(head + block(error, command=True))


def _leave_out_own(frames: TracebackType | None) -> None:
    while frames is not None:
        while (below := frames.tb_next) is not None and _is_own(below):
            frames.tb_next = below.tb_next
        frames = frames.tb_next


def _is_own(frames: TracebackType) -> bool:
    return frames.tb_frame.f_code.co_filename.startswith(_OWN)
