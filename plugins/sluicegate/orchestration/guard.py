"""Keeps a protected task from running without a fresh, signed verdict.

This module is the ``airflow.policy`` entry point. Airflow calls ``task_policy`` for every
task whenever it parses a DAG file: in the dag-processor, and again in the process that is
about to run the task. There the guard sets a hook that Airflow calls before ``execute``,
and before a deferred task resumes. See docs/adr/0003-guard.md for what else was measured.

It is a barrier against missing, stale and forged evidence, whatever the DAG says; it is
none against a DAG author who attacks the process both run in. ``load_verified`` and the
audit's bypass report answer that.
"""

from __future__ import annotations

import copy
import json
import logging
import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.policies import hookimpl

from sluicegate.errors import ConfigError, InternalError, SluicegateError, VerificationError
from sluicegate.foreign import DEBUG, coded
from sluicegate.orchestration.pointers import (
    pointers_of,
    require_same_batch,
    triggering_sources,
)
from sluicegate.orchestration.protection import (
    Protection,
    is_mapped,
    protection_of,
)
from sluicegate.orchestration.settings import Settings
from sluicegate.workflow.home import ENV_ADMITTED
from sluicegate.workflow.run_records import ADMITTED_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sluicegate.workflow.home import SluiceHome

_log = logging.getLogger("sluicegate.guard")


def _read_settings() -> Settings | Exception:
    """Read the settings while no DAG file of this process has run yet.

    A DAG file may change ``os.environ``; settings read later would be the author's. An
    error is kept instead of raised: raised here it would break every ``airflow`` command.
    """
    try:
        return Settings.from_airflow(os.environ)
    except Exception as error:  # noqa: BLE001 - reported by every guarded task instead
        return error


_SETTINGS: Settings | Exception = _read_settings()


@hookimpl
def task_policy(task: Any) -> None:
    """Guard ``task`` if the administrator's settings protect it.

    Never raises for a reason of its own: Airflow would drop the whole DAG file, or in a
    worker reschedule innocent tasks for ever. A task it cannot judge gets a guard that
    refuses.
    """
    try:
        if isinstance(_SETTINGS, Exception):
            raise _SETTINGS  # noqa: TRY301 - one place turns every error into a refusing guard
        protection = protection_of(task, _SETTINGS)
        guard = None if protection is None else GuardHook(_SETTINGS, protection)
    except Exception as error:  # noqa: BLE001 - fail closed for this task, open for no other
        guard = GuardHook(None, Protection(reason="guard error", sources=()), broken=_kind(error))
    if guard is not None:
        _install(task, guard)


def _install(task: Any, guard: GuardHook) -> None:
    """Put ``guard`` in front of whatever the DAG author set, once."""
    if is_mapped(task):
        task.partial_kwargs["pre_execute"] = guard.before(task.partial_kwargs.get("pre_execute"))
        task.unmap = _GuardedUnmap(task, guard)
    else:
        task._pre_execute_hook = guard.before(task._pre_execute_hook)  # noqa: SLF001 - the argument `pre_execute` lands here
    if getattr(task, "start_from_trigger", False):
        # Such a task would go from the scheduler to the triggerer and run before any hook.
        task.start_from_trigger = False


@dataclass(frozen=True, slots=True)
class _GuardedUnmap:
    """Guards the operator that a mapped task becomes.

    ``expand_kwargs`` may hold ``pre_execute``: such a value wins over the argument where
    the guard sits, or clashes with it. So the operator is built as its author wrote it, and
    the guard set on the result. The argument stays as the second line, should Airflow one
    day expand tasks without calling ``unmap``.
    """

    task: Any
    guard: GuardHook

    def __call__(self, resolve: Mapping[str, Any]) -> Any:
        """Return the unmapped operator with the guard in front of its own hook."""
        unguarded = copy.copy(self.task)
        unguarded.partial_kwargs = dict(self.task.partial_kwargs)
        hook = unguarded.partial_kwargs.pop("pre_execute", None)
        if isinstance(hook, GuardHook) and hook.author_hook is not None:
            unguarded.partial_kwargs["pre_execute"] = hook.author_hook
        operator = type(self.task).unmap(unguarded, resolve)
        operator._pre_execute_hook = self.guard.before(operator._pre_execute_hook)  # noqa: SLF001 - as in _install
        return operator


@dataclass(frozen=True, slots=True)
class GuardHook:
    """What Airflow calls before ``execute``: admit, then the author's own hook.

    Attributes:
        settings: Settings in force, None if they could not be read.
        protection: Why the task is protected and which sources it needs.
        author_hook: The hook the DAG author had set, run only after admission.
        broken: Why the guard could not judge this task; then it always refuses.
    """

    settings: Settings | None
    protection: Protection
    author_hook: Callable[..., Any] | None = None
    broken: str = ""

    def before(self, hook: Callable[..., Any] | None) -> GuardHook:
        """Return this guard in front of ``hook``; in place of an older guard, never twice."""
        return replace(self, author_hook=hook.author_hook if isinstance(hook, GuardHook) else hook)

    def __call__(self, context: Mapping[str, Any]) -> None:
        """Refuse or let pass.

        Raises:
            AirflowFailException: Refused; Airflow does not retry it.
        """
        os.environ.pop(ENV_ADMITTED, None)  # never the pointer of another task
        try:
            self._admit(context)
        except SluicegateError as error:
            _refuse(str(error), error)
        except Exception as error:  # noqa: BLE001 - fail closed: no answer is not a yes
            _refuse(f"[GUARD_ERROR] the guard itself failed: {_kind(error)}", error)
        if self.author_hook is not None:
            _run_author_hook(self.author_hook, context)

    def _admit(self, context: Mapping[str, Any]) -> None:
        settings = self.settings
        if self.broken or settings is None:
            raise ConfigError(
                "the guard could not judge this task",
                got=self.broken,
                next_step="Repair the setting or the DAG; see the dag-processor's log.",
            )
        sources = self.protection.sources
        if not self.protection.certain:
            sources = triggering_sources(context, settings)
            if not sources:
                return
        if not sources:
            raise ConfigError(
                "the task is protected but names no source",
                locator=self.protection.reason,
                next_step='Declare inlets=[verified_asset("...")] or schedule the DAG on it.',
            )
        home = settings.home()
        admitted = admit(context, sources, home)
        os.environ[ENV_ADMITTED] = json.dumps(admitted, sort_keys=True)
        os.environ.update(home.environ)  # they may be set in airflow.cfg alone
        _leave_trace(context, admitted)
        _log.info("Sluicegate admitted %s (%s)", ", ".join(sources), self.protection.reason)


def admit(context: Mapping[str, Any], sources: tuple[str, ...], home: SluiceHome) -> dict[str, str]:
    """Verify that training may start on ``sources`` now.

    Args:
        context: Airflow's task context.
        sources: Sources the task needs, at least one.
        home: Ledger, trust policy and gate policy to verify against.

    Returns:
        Source to digest of the verdict envelope that admitted it.

    Raises:
        SluicegateError: A source has no valid verdict.
    """
    from sluicegate.workflow.admit import admit_training

    pointers = pointers_of(context)
    admissions = admit_training(home, sources, pointers, at=datetime.now(UTC))
    if missing := sorted(set(sources) - set(admissions)):
        raise VerificationError("no verdict was checked", locator=", ".join(missing))
    admitted = {source: admissions[source].pointer for source in sources}
    for source in pointers.keys() & admitted.keys():
        require_same_batch(pointers[source], admitted[source])
    return {source: pointer["verdict"] for source, pointer in admitted.items()}


def _leave_trace(context: Mapping[str, Any], admitted: dict[str, str]) -> None:
    """Note in Airflow which verdicts admitted this task; the audit asks for it.

    Anybody in this process could write the same. That gains nothing: the audit looks the
    verdict up and asks whether it was in force. What it finds is the missing trace.
    """
    try:
        context["ti"].xcom_push(key=ADMITTED_KEY, value=admitted)
    except Exception as error:  # noqa: BLE001 - the admission stands, the audit will ask about it
        _log.warning("Sluicegate could not note the admission: %s", _kind(error))


def _run_author_hook(hook: Callable[..., Any], context: Mapping[str, Any]) -> None:
    """Run the author's hook as Airflow would have, generators included."""
    from airflow.sdk.execution_time.callback_runner import create_executable_runner
    from airflow.sdk.execution_time.context import context_get_outlet_events

    outlet_events = context_get_outlet_events(context)  # type: ignore[arg-type]
    create_executable_runner(hook, outlet_events, logger=_log).run(context)


def _refuse(text: str, error: Exception) -> NoReturn:
    from airflow.sdk.exceptions import AirflowFailException

    _log.error("Sluicegate refused to start this task: %s", text)
    # Without its cause: Airflow would print what a library quotes, and nobody's own frames.
    cause = error if os.environ.get(DEBUG) else None
    raise AirflowFailException(f"Sluicegate refused to start this task: {text}") from cause


def _kind(error: Exception) -> str:
    """Return an error's kind and coded text; its own text may quote anything."""
    kind, found = type(error).__name__, coded(error)
    if isinstance(found, InternalError):
        return f"{kind}; set {DEBUG}=1 to see where"
    return f"{kind}: {found}"
