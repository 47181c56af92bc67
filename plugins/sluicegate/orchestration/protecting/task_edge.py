"""The edge of a task: errors leave an operator as Airflow's, with a code of ours."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowException

from sluicegate.errors import SluicegateError
from sluicegate.foreign import DEBUG, coded
from sluicegate.orchestration.protecting.ending import ending

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def mapped_errors(*, foreign: bool = True) -> Iterator[None]:
    """Map every error inside to what Airflow should do about it.

    Args:
        foreign: Whether to map errors that are not ours too. False if code of the DAG's author
            runs inside: the author must read those errors.

    Raises:
        AirflowFailException: Checked and bad, or called wrongly: no retry.
        AirflowException: Could not check, or an error that nobody expected: Airflow may try again.
            An error that Airflow's own code raised passes as it is.
    """
    try:
        yield
    except AirflowException:
        raise
    except Exception as error:
        if not foreign and not isinstance(error, SluicegateError):
            raise
        # Without its cause: Airflow would print the statement that a database refused.
        raise ending(coded(error)) from (error if os.environ.get(DEBUG) else None)
