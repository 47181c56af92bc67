"""What the text of a DAG file says about sealed data and settings, without running it.

The guard sees the tasks that a DAG file made. A worker without the guard sees nothing, and Airflow
records no inlet that is not a plain asset. So the audit reads the file too. It keeps what it
recognised, and never the text, which may hold a secret.
"""

from __future__ import annotations

import ast
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from sluicegate.workflow.admission.protected import folded, is_protected_uri
from sluicegate.workflow.evidence.home import setting_names

if TYPE_CHECKING:
    from collections.abc import Iterator

_READERS: Final = frozenset(
    {"load_verified", "open_verified", "stream_verified", "verified_asset", "guarded_task"}
)

_SETTINGS: Final = frozenset(setting_names())
_SETTERS: Final = frozenset({"putenv", "setdefault", "setenv", "__setitem__"})


class Mention(StrEnum):
    """What a DAG file says."""

    READS = "reads"
    """It names verified data: our functions, or an asset of ours in any spelling."""
    SETS = "sets"
    """It gives one of our settings a value, which a guard never takes from it."""
    UNREADABLE = "unreadable"
    """This version of Python cannot parse it."""


def mentions(text: str, dag_id: str) -> frozenset[Mention]:
    """Return what a DAG file says about one of its DAGs.

    Args:
        text: The file, as Airflow kept it.
        dag_id: The DAG. What another DAG of the file reads is not counted, if the file keeps
            them apart by ``with DAG("ID")`` or ``@dag``.

    Cost: one parse, and time linear in the text for each name in a chain of assignments.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset({Mention.UNREADABLE})
    found = set()
    names = _READERS | _names_that_lead_to_data(tree)
    if any(_reads(node, names) for part in _parts(tree, dag_id) for node in _walk(part)):
        found.add(Mention.READS)
    theirs = [part for part in tree.body if _dag_of(part) in {None, dag_id}]
    if any(_sets(node) for part in theirs for node in ast.walk(part)):
        found.add(Mention.SETS)
    return frozenset(found)


def _parts(tree: ast.Module, dag_id: str) -> list[ast.AST]:
    """Return the blocks of one DAG, or the whole file if it has none of its own."""
    return [part for part in tree.body if _dag_of(part) == dag_id] or [tree]


def _dag_of(part: ast.AST) -> str | None:
    calls: list[tuple[ast.AST, str | None]] = []
    if isinstance(part, ast.With):
        calls = [(item.context_expr, None) for item in part.items]
    elif isinstance(part, ast.FunctionDef):
        calls = [(found, part.name) for found in part.decorator_list]
    for call, default in calls:
        function = call.func if isinstance(call, ast.Call) else call
        if _name(function).lower() != "dag":
            continue
        given = [*call.args[:1]] if isinstance(call, ast.Call) else []
        given += [k.value for k in getattr(call, "keywords", ()) if k.arg == "dag_id"]
        named = [item.value for item in given if isinstance(item, ast.Constant)]
        return str(named[0]) if named else default
    return None


def _names_that_lead_to_data(tree: ast.Module) -> frozenset[str]:
    """Return the names of the module that hold verified data, or a function that reads some."""
    found: frozenset[str] = frozenset()
    while True:
        known = _READERS | found
        more = {
            name
            for part in tree.body
            if _dag_of(part) is None and any(_reads(node, known) for node in _walk(part))
            for name in _given_names(part)
        }
        if more <= found:
            return found
        found |= more


def _given_names(part: ast.AST) -> Iterator[str]:
    if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield part.name
    elif isinstance(part, ast.Assign | ast.AnnAssign):
        targets = part.targets if isinstance(part, ast.Assign) else [part.target]
        for node in (inner for target in targets for inner in ast.walk(target)):
            if isinstance(node, ast.Name):
                yield node.id


def _walk(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield every node, but none of what a task only announces."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if not (isinstance(node, ast.keyword) and node.arg == "outlets"):
            waiting.extend(ast.iter_child_nodes(node))


def _reads(node: ast.AST, names: frozenset[str]) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and is_protected_uri(node.value, ())
    return _name(node) in names


def _sets(node: ast.AST) -> bool:
    return any(isinstance(key, ast.Constant) and key.value in _SETTINGS for key in _keys(node))


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def _keys(node: ast.AST) -> Iterator[ast.AST | None]:
    """Yield what a node gives a value to: a subscript, a key of a dict, an argument."""
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
        yield node.slice
    elif isinstance(node, ast.Dict):
        yield from node.keys
    elif isinstance(node, ast.Call) and _name(node.func) in _SETTERS:
        yield from node.args[:1]
    elif isinstance(node, ast.keyword):
        yield ast.Constant(node.arg)
        if node.arg == "name":
            yield node.value  # V1EnvVar(name=..., value=...) of a pod


def looks_like(tag: str, wanted: str) -> bool:
    """Return whether a person may take one tag for the other.

    Only letters and digits are compared, and letters that look alike are equal.

    Args:
        tag: As its author wrote it.
        wanted: As the administrator wrote it.
    """
    return _skeleton(tag) == _skeleton(wanted)


def _skeleton(text: str) -> str:
    return "".join(char for char in folded(text).translate(_ALIKE) if char.isalnum())


_ALIKE: Final = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0501\u04bb\u03b1\u03bf\u03b9\u03bd\u03c1"
    "01|",
    "aeopcyxijsdhaoivpoll",
)
"""Letters of Cyrillic and Greek, and digits, that look like Latin ones in common fonts."""
