"""The guard: it keeps a protected task from running without a fresh, signed verdict.

This module is the ``airflow.policy`` entry point. Airflow calls ``task_policy`` for every task
whenever it parses a DAG file: in the dag-processor, and again in the process that is about to run
the task. There the guard sets a hook, which Airflow calls before ``execute`` and before a deferred
task resumes. docs/adr/0003-guard.md says what else was measured.

The guard stops missing, stale and forged evidence, whatever the DAG says. It does not stop a DAG's
author who attacks the process that both run in. ``load_verified`` and the audit's bypass report
answer that.
"""

from __future__ import annotations

import copy
import logging
import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NoReturn

from airflow.policies import hookimpl

from sluicegate import __version__
from sluicegate.errors import ConfigError, InternalError, SluicegateError, VerificationError
from sluicegate.orchestration.protecting.author_code import is_mapped, may_change_when_expanded
from sluicegate.orchestration.protecting.protection import Protection, protection_of
from sluicegate.orchestration.settings import Settings
from sluicegate.workflow.evidence.home import ENV_ADMITTED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sluicegate.orchestration.observing.steps import GuardWatch
    from sluicegate.workflow.admission.admitted import Admitted
    from sluicegate.workflow.evidence.batch import IssuedVerdict
    from sluicegate.workflow.evidence.home import SluiceHome

_log = logging.getLogger("sluicegate.guard")

REFUSED: Final = "Sluicegate refused to start this task: "
GUARD_ERROR: Final = "GUARD_ERROR"
"""Stands where an error's code would, if the guard itself failed."""


def _read_settings() -> Settings | Exception:
    """Read the settings while no DAG file of this process has run yet.

    A DAG file may change ``os.environ``, so settings that are read later would be its author's. An
    error is kept and not raised: here it would break every ``airflow`` command.
    """
    try:
        return Settings.from_airflow(os.environ)
    except Exception as error:  # noqa: BLE001 - reported by every guarded task instead
        return error


_SETTINGS: Settings | Exception = _read_settings()

if isinstance(_SETTINGS, Settings) and _SETTINGS.preload:
    # Here and not in a task: a worker imports this module, and forks its tasks later.
    from sluicegate.orchestration.protecting.preload import preload

    preload(_SETTINGS.preload)


def settings() -> Settings:
    """Return the settings in force since this process imported Airflow.

    Raises:
        Exception: The error with which they could not be read.
    """
    if isinstance(_SETTINGS, Exception):
        raise _SETTINGS
    return _SETTINGS


@hookimpl
def task_policy(task: Any) -> None:
    """Guard ``task`` if the administrator's settings protect it, and keep it to guarded queues.

    It never raises for a reason of its own: Airflow would drop the whole DAG file or, in a worker,
    reschedule innocent tasks for ever. A task that it cannot judge gets a guard that refuses.
    """
    guard = _guard_of(task)
    if guard is not None:
        _install(task, guard)
        if isinstance(_SETTINGS, Settings) and _SETTINGS.guarded_queues:
            from sluicegate.orchestration.protecting.queues import keep_to_queues

            keep_to_queues(task, guard.protection, _SETTINGS.guarded_queues)
    if is_mapped(task) and (guard is not None or may_change_when_expanded(task)):
        task.unmap = _GuardedUnmap(task, guard)


def _guard_of(task: Any) -> GuardHook | None:
    try:
        protection = protection_of(task, settings())
        return None if protection is None else GuardHook(settings(), protection)
    except Exception as error:  # noqa: BLE001 - fail closed for this task, open for no other
        return GuardHook(
            None, Protection(reason="guard error", sources=()), broken=_described(error)
        )


def _install(task: Any, guard: GuardHook) -> None:
    """Put ``guard`` before the hook that the DAG's author set, once."""
    if is_mapped(task):
        task.partial_kwargs["pre_execute"] = guard.before(task.partial_kwargs.get("pre_execute"))
    else:
        task._pre_execute_hook = guard.before(task._pre_execute_hook)  # noqa: SLF001 - the argument `pre_execute` lands here
    if getattr(task, "start_from_trigger", False):
        # Such a task would go from the scheduler to the triggerer and run before any hook.
        task.start_from_trigger = False


@dataclass(frozen=True, slots=True)
class _GuardedUnmap:
    """Guards the operator that a mapped task becomes.

    ``expand_kwargs`` may hold ``pre_execute``. Such a value wins over the argument that holds the
    guard, or clashes with it. It may also hold inlets and callbacks, which nobody sees before. So
    the operator is built as its author wrote it and judged again, and the guard is set on the
    result. That guard never asks for less than the mapped task's own. The argument stays too, in
    case Airflow one day expands tasks without calling ``unmap``.
    """

    task: Any
    guard: GuardHook | None

    def __call__(self, resolve: Mapping[str, Any]) -> Any:
        """Return the unmapped operator with the guard before its own hook."""
        unguarded = copy.copy(self.task)
        unguarded.partial_kwargs = dict(self.task.partial_kwargs)
        hook = unguarded.partial_kwargs.pop("pre_execute", None)
        author_hook = hook.author_hook if isinstance(hook, GuardHook) else hook
        if author_hook is not None:
            unguarded.partial_kwargs["pre_execute"] = author_hook
        operator = type(self.task).unmap(unguarded, resolve)
        guard = _guard_of(operator)
        if self.guard is not None:
            guard = self.guard.joined(guard)
        if guard is not None:
            _install(operator, guard)
        return operator


@dataclass(frozen=True, slots=True)
class GuardHook:
    """What Airflow calls before ``execute``: it admits the task, then runs the author's own hook.

    Attributes:
        settings: Settings in force, None if they could not be read.
        protection: Why the task is protected and which sources it needs.
        author_hook: The hook that the DAG's author set; it runs only after admission.
        broken: Why the guard could not judge this task; if set, it always refuses.
    """

    settings: Settings | None
    protection: Protection
    author_hook: Callable[..., Any] | None = None
    broken: str = ""

    def before(self, hook: Callable[..., Any] | None) -> GuardHook:
        """Return this guard before ``hook``; it replaces an older guard, so there is only one."""
        return replace(self, author_hook=hook.author_hook if isinstance(hook, GuardHook) else hook)

    def joined(self, other: GuardHook | None) -> GuardHook:
        """Return a guard that asks for what both ask for."""
        if other is None or self.broken:
            return self
        return replace(other, protection=other.protection.joined(self.protection))

    def __call__(self, context: Mapping[str, Any]) -> None:
        """Refuse the task, or let it pass.

        Raises:
            AirflowFailException: Refused; Airflow does not retry it.
        """
        from sluicegate.orchestration.observing.steps import GuardWatch

        os.environ.pop(ENV_ADMITTED, None)  # never the pointer of another task
        watch = GuardWatch()
        try:
            self._admit(context, watch)
        except SluicegateError as error:
            watch.refused(error.code)
            self._note(context, refused=error.code)
            _refuse(error)
        except Exception as error:  # noqa: BLE001 - fail closed: no answer is not a yes
            watch.refused(GUARD_ERROR)
            self._note(context, refused=GUARD_ERROR)
            _fail(error)
        if self.author_hook is not None:
            _run_author_hook(self.author_hook, context)

    def _admit(self, context: Mapping[str, Any], watch: GuardWatch) -> None:
        settings = self.settings
        if self.broken or settings is None:
            raise ConfigError(
                "the guard could not judge this task",
                got=self.broken,
                next_step="Repair the setting or the DAG; see the dag-processor's log.",
            )
        from sluicegate.orchestration.protecting.references import sources_at_run

        sources = sources_at_run(self.protection, context, settings)
        if not sources and not self.protection.certain:
            self._note(context)
            return
        if not sources:
            raise ConfigError(
                "the task is protected but names no source",
                locator=self.protection.reason,
                next_step='Declare inlets=[verified_asset("...")] or schedule the DAG on it.',
            )
        from sluicegate.workflow.admission.admitted import Admitted

        home = settings.home()
        issued = admit(context, sources, home)
        verdicts = {source: str(verdict.envelope) for source, verdict in issued.items()}
        _hand_down(Admitted(home, verdicts), context.get("task"))
        watch.admitted(issued)
        self._note(context, verdicts)
        _log.info("Sluicegate admitted %s (%s)", ", ".join(sources), self.protection.reason)

    def _note(
        self,
        context: Mapping[str, Any],
        verdicts: Mapping[str, str] | None = None,
        refused: str = "",
    ) -> None:
        """Note in Airflow what was decided; the audit and the canary read it.

        The note proves that this host has a guard: Airflow accepts it only from a holder of the
        task's token, and records the host itself. Anybody in this process could write the same,
        but gains nothing: the audit looks the verdict up and checks that it was in force.
        """
        from sluicegate.workflow.admission.admitted import ADMITTED_KEY

        settings = "" if self.settings is None else self.settings.digest
        guard = {"version": __version__, "settings": settings}
        value = {"sources": dict(verdicts or {}), "refused": refused, "guard": guard}
        try:
            context["ti"].xcom_push(key=ADMITTED_KEY, value=value)
        except Exception as error:  # noqa: BLE001 - the decision stands, the audit will ask about it
            _log.warning("Sluicegate could not note its decision: %s", _described(error))


def admit(
    context: Mapping[str, Any], sources: tuple[str, ...], home: SluiceHome
) -> dict[str, IssuedVerdict]:
    """Verify that training may start on ``sources`` now.

    Args:
        context: Airflow's task context.
        sources: Sources the task needs, at least one.
        home: Ledger, trust policy and gate policy to verify against.

    Returns:
        Source to the verdict that admitted it.

    Raises:
        SluicegateError: A source has no valid verdict.
    """
    from sluicegate.orchestration.protecting.pointers import pointers_of, require_same_batch
    from sluicegate.workflow.admission.admit import admit_training

    pointers = pointers_of(context)
    admissions = admit_training(home, sources, pointers, at=datetime.now(UTC))
    if missing := sorted(set(sources) - set(admissions)):
        raise VerificationError("no verdict was checked", locator=", ".join(missing))
    admitted = {source: admissions[source].pointer for source in sources}
    for source in pointers.keys() & admitted.keys():
        require_same_batch(pointers[source], admitted[source])
    return {source: admissions[source].issued for source in sources}


def _hand_down(admitted: Admitted, task: Any) -> None:
    """Leave the admission for this process, and for a child that gets its own environment.

    This is for children on this machine (BashOperator, ``@task.external_python``,
    ``@task.virtualenv``). Only its author knows where the home of a container is.
    """
    admitted.leave(os.environ, task=os.environ)
    for name, is_local in (("env", "append_env"), ("env_vars", "inherit_env")):
        given = getattr(task, name, None)
        if isinstance(given, dict) and isinstance(getattr(task, is_local, None), bool):
            own = dict(given)
            admitted.leave(own, task=os.environ)
            setattr(task, name, own)


def _run_author_hook(hook: Callable[..., Any], context: Mapping[str, Any]) -> None:
    """Run the author's hook as Airflow would have run it, generators included."""
    from airflow.sdk.execution_time.callback_runner import create_executable_runner
    from airflow.sdk.execution_time.context import context_get_outlet_events

    outlet_events = context_get_outlet_events(context)  # type: ignore[arg-type]
    create_executable_runner(hook, outlet_events, logger=_log).run(context)


def _refuse(error: SluicegateError) -> NoReturn:
    from sluicegate.orchestration.protecting.ending import ending

    _log.error("%s%s", REFUSED, error)
    raise ending(error, REFUSED, final=True) from None


def _fail(error: Exception) -> NoReturn:
    """Refuse because of a defect. The log names it; with ``SLUICEGATE_DEBUG`` also the place."""
    from airflow.sdk.exceptions import AirflowFailException

    from sluicegate.foreign import DEBUG

    said = f"{REFUSED}[{GUARD_ERROR}] the guard itself failed: {_described(error)}"
    _log.error(said)
    # Without its cause: Airflow would print its text, in which a library may quote anything.
    raise AirflowFailException(said) from (error if os.environ.get(DEBUG) else None)


def _described(error: Exception) -> str:
    """Return the kind and the coded text of an error; its own text may quote anything."""
    if isinstance(error, SluicegateError):
        return str(error)
    from sluicegate.foreign import DEBUG, coded

    kind, found = type(error).__name__, coded(error)
    if isinstance(found, InternalError):
        return f"{kind}; set {DEBUG}=1 to see where"
    return f"{kind}: {found}"
