"""Whether a task is our operator and nothing else, or carries code of the DAG's author.

Our operators run before there is a verdict, so the guard leaves them out. That is right only while
nothing but our own code runs in them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, Final

OPERATORS_MODULE: Final = "sluicegate.orchestration.operators"
OUR_MODULES: Final = frozenset(
    {
        OPERATORS_MODULE,
        *(f"{OPERATORS_MODULE}_{name}" for name in ("portions", "rollback", "wait", "waiver")),
    }
)
"""Modules of the operators that run before there is a verdict."""

_CALLBACKS: Final = tuple(
    f"on_{event}_callback" for event in ("execute", "failure", "success", "retry", "skipped")
)
_ARGUMENTS: Final = ("pre_execute", "post_execute", *_CALLBACKS, "notifiers", "retry_policy")
"""Arguments of an operator that may hold code."""

_HOOKS: Final = {"pre_execute": "_pre_execute_hook", "post_execute": "_post_execute_hook"}
"""Attributes where an operator keeps two of them; a mapped one keeps all by their own names."""

_OF_THE_DAG: Final = ("user_defined_macros", "user_defined_filters")
"""What every template of the DAG may call."""

_INSTALLED: Final = ("airflow.", "sluicegate.")


def is_mapped(task: Any) -> bool:
    """Return whether the task is expanded at run time, so that its hook is an argument."""
    return isinstance(getattr(task, "partial_kwargs", None), dict)


def is_our_operator(task: Any) -> bool:
    """Return whether the class is exactly one that our operators' modules define.

    The object counts and not its name. A subclass does not count: its ``execute`` could be
    anything. If such a module was never imported, no task can be of its classes.
    """
    cls = task.operator_class if is_mapped(task) else type(task)
    name = getattr(cls, "__module__", "")
    module = sys.modules.get(name) if name in OUR_MODULES else None
    return module is not None and getattr(module, cls.__name__, None) is cls


def author_code(task: Any) -> str:
    """Return the name of the first place in which a task carries its author's code, or "".

    Notifiers and macros of Airflow, of its providers and of ours are not the author's code.
    """
    for name, value in (*_arguments(task), *_of_the_dag(task)):
        if any(_is_author(item) for item in _items(value)):
            return name
    if any(map(_is_own_renderer, _renderers(task.dag))):
        return "jinja_environment_kwargs or template_undefined"
    if is_mapped(task):
        return ""
    cls = type(task)
    return next((name for name in vars(task) if callable(getattr(cls, name, None))), "")


def may_change_when_expanded(task: Any) -> bool:
    """Return whether expanding a mapped task can add inlets or code that parsing did not see."""
    value = getattr(getattr(task, "expand_input", None), "value", None)
    if value is None:
        return False
    telling = {"inlets", *_ARGUMENTS}
    if isinstance(value, Mapping):
        return not telling.isdisjoint(value)
    if not isinstance(value, list | tuple):
        return True  # the output of another task
    return any(not isinstance(item, Mapping) or not telling.isdisjoint(item) for item in value)


def _arguments(task: Any) -> Iterator[tuple[str, Any]]:
    for name in _ARGUMENTS:
        if is_mapped(task):
            yield name, task.partial_kwargs.get(name)
        else:
            yield name, getattr(task, _HOOKS.get(name, name), None)


def _of_the_dag(task: Any) -> Iterator[tuple[str, Any]]:
    for name in _OF_THE_DAG:
        yield name, getattr(task.dag, name, None)


def _renderers(dag: Any) -> Iterator[Any]:
    """Yield what renders the templates of a DAG; it is set beside the macros."""
    yield getattr(dag, "template_undefined", None)
    options = getattr(dag, "jinja_environment_kwargs", None) or {}
    for name, value in options.items():
        # An extension may be named by a text, which is imported.
        named = name == "extensions"
        yield from (item for item in _items(value) if named or not isinstance(item, str))


def _is_own_renderer(value: Any) -> bool:
    module = value if isinstance(value, str) else getattr(value, "__module__", None) or ""
    if module.startswith("jinja2."):
        return False
    return isinstance(value, str) or _is_author(value)


def _items(value: Any) -> tuple[Any, ...]:
    if isinstance(value, Mapping):
        return tuple(value.values())
    return tuple(value) if isinstance(value, list | tuple | set) else (value,)


def _is_author(value: Any) -> bool:
    """Return whether a value is code, or leads to code, that its author brought or chose.

    Constants, and types and modules of the standard library, are not: ``timedelta`` is common among
    the macros. A function of the standard library is, because ``subprocess.run`` runs whatever it
    is given. So is a partial or a bound method, because it hides what it calls.
    """
    if value is None:
        return False
    if isinstance(value, ModuleType):
        return not (_is_standard(value.__name__) or value.__name__.startswith(_INSTALLED))
    code = value if isinstance(value, type | FunctionType | BuiltinFunctionType) else type(value)
    module = getattr(code, "__module__", None) or ""
    if _is_standard(module):
        return callable(value) and not isinstance(value, type)
    known = sys.modules.get(module) if module.startswith(_INSTALLED) else None
    return getattr(known, code.__name__, None) is not code


def _is_standard(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names
