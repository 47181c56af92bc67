"""What a docstring must say, read off the syntax tree: nothing is imported.

A public function has no leading underscore, and neither has its class. Arrays among the fields of
a public class need their words too. These are let off:
- an overload: the function behind it is asked;
- an override, of its parameters and arrays: its class names a base that documents the method, or
  a Protocol of the package documents a method of this name with these parameters.
What a function raises is only what its own body raises by a class's name.
"""

from __future__ import annotations

import ast
import builtins
import io
import re
import tokenize
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef

_SECTION = re.compile(r"^(\w+):\n((?:[ \t]+.*\n|\n)*)", re.MULTILINE)
_ENTRY = re.compile(
    r"^ {4}\*{0,2}([\w.]+)(?: \(.*?\))?:((?:.*\n)(?:(?: {5,}.*)?\n)*)", re.MULTILINE
)
_PAGE = re.compile(r"[\w./-]+\.md\b")
_DTYPE = r"(?:bool|object|datetime64|intp|(?:u?int|float)(?:8|16|32|64))"
_ANY_DTYPE = rf"(?:{_DTYPE}|dtype)"


@dataclass(frozen=True, slots=True)
class Doc:
    """A docstring, by its sections."""

    text: str

    def section(self, name: str) -> str | None:
        found = dict(_SECTION.findall(self.text + "\n"))
        return found.get(name)

    def entries(self, name: str) -> dict[str, str]:
        return {key.split(".")[-1]: text for key, text in _ENTRY.findall(self.section(name) or "")}

    @property
    def returned(self) -> str:
        """The words about the result; a docstring without that section is about nothing else."""
        return self.section("Returns") or self.section("Yields") or self.text


@dataclass
class Module:
    """One module's tree and the names that it defines or imports."""

    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def aliases(self) -> dict[str, ast.expr]:
        nodes = [node for node in self.tree.body if isinstance(node, ast.Assign)]
        return {n.targets[0].id: n.value for n in nodes if isinstance(n.targets[0], ast.Name)}

    @cached_property
    def origins(self) -> dict[str, str]:
        """Return the module that each imported name comes from."""
        nodes = [node for node in ast.walk(self.tree) if isinstance(node, ast.ImportFrom)]
        return {name.name: node.module or "" for node in nodes for name in node.names}

    @cached_property
    def classes(self) -> list[ast.ClassDef]:
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.ClassDef)]

    def public_classes(self) -> list[ast.ClassDef]:
        return [cls for cls in self.classes if not cls.name.startswith("_")]

    def functions(self) -> Iterator[tuple[ast.ClassDef | None, Function]]:
        """Yield each public function with its class."""
        for owner in (None, *self.public_classes()):
            for node in (owner or self.tree).body:
                if isinstance(node, Function) and not node.name.startswith("_"):
                    yield owner, node

    def prose(self) -> Iterator[tuple[int, str]]:
        """Yield line and text of each comment, and of each text that is a statement."""
        for token in tokenize.generate_tokens(io.StringIO(self.text).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                yield node.lineno, str(node.value.value)


@dataclass
class Law:
    """The law for one package: a module may use what another of them defines."""

    modules: dict[str, Module]
    pages: Path
    bases: dict[str, set[str]] = field(init=False, default_factory=dict)
    documented: dict[str, dict[str, Function]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for cls in (cls for module in self.modules.values() for cls in module.classes):
            self.bases.setdefault(cls.name, set()).update(map(_last, cls.bases))
            methods = {n.name: n for n in cls.body if isinstance(n, Function) and _doc(n).text}
            self.documented.setdefault(cls.name, {}).update(methods)

    def faults(self, name: str) -> Iterator[str]:
        """Yield what a module's docstrings lack, each as ``line name: what``."""
        module = self.modules[name]
        for owner, node in module.functions():
            if "overload" not in map(_last, node.decorator_list):
                label = f"{owner.name}.{node.name}" if owner else node.name
                for fault in self._function(module, owner, node):
                    yield f"{node.lineno} {label}: {fault}"
        for cls in module.public_classes():
            for fault in self._fields(module, cls):
                yield f"{cls.lineno} {cls.name}: {fault}"
        for line, text in module.prose():
            for page in _PAGE.findall(text):
                if not (self.pages / page).is_file():
                    yield f"{line} {page}: is not in the repository"

    def _function(self, module: Module, owner: ast.ClassDef | None, node: Function) -> list[str]:
        doc = _doc(node)
        if not doc.text:
            return ["no docstring"]
        faults = [] if self._is_override(owner, node) else list(self._parts(module, owner, node))
        named = set(doc.entries("Raises"))
        return faults + [
            f"Raises lacks {error}"
            for error in dict.fromkeys(_raised(node.body))
            if not named & self._ancestors(error)
        ]

    def _parts(self, module: Module, owner: ast.ClassDef | None, node: Function) -> Iterator[str]:
        doc, parameters = _doc(node), _parameters(owner, node)
        entries = doc.entries("Args")
        arrays = {p.arg: self._dtypes(module, p.annotation) for p in parameters}
        for name, dtypes in arrays.items():
            if name in entries:
                yield from _filler(f"Args: {name}", entries[name], name)
                yield from _unsaid(f"Args: {name}", entries[name], dtypes)
            elif len(parameters) > 1 or dtypes:
                yield f"Args lacks {name}"
        yield from _unsaid("Returns", doc.returned, self._dtypes(module, node.returns))

    def _fields(self, module: Module, cls: ast.ClassDef) -> Iterator[str]:
        entries = _doc(cls).entries("Attributes")
        for node in cls.body:
            if isinstance(node, ast.AnnAssign) and (
                dtypes := self._dtypes(module, node.annotation)
            ):
                name = _last(node.target)
                yield from _unsaid(f"Attributes: {name}", entries.get(name, ""), dtypes)

    def _is_override(self, owner: ast.ClassDef | None, node: Function) -> bool:
        if owner is None:
            return False
        above = self._ancestors(owner.name) - {owner.name}
        if any(node.name in self.documented.get(name, {}) for name in above):
            return True
        names = [p.arg for p in _parameters(owner, node)]
        protocols = (name for name in self.documented if "Protocol" in self.bases[name])
        theirs = (self.documented[name].get(node.name) for name in protocols if name != owner.name)
        return any(names == [p.arg for p in _parameters(owner, other)] for other in theirs if other)

    def _ancestors(self, name: str) -> set[str]:
        """Return a class's name and those of all its bases, of the package or built in."""
        builtin = getattr(builtins, name, None)
        found = {cls.__name__ for cls in builtin.__mro__} if isinstance(builtin, type) else {name}
        above = self.bases.get(name, set()) - found  # a class may have the name of its base
        return found.union(*map(self._ancestors, above))

    def _dtypes(self, module: Module, annotation: ast.expr | None) -> list[str]:
        """Return a pattern for the dtype of each array in an annotation."""
        match annotation:
            case ast.Subscript(value=value, slice=dtype) if _last(value) == "NDArray":
                name = _last(dtype).rstrip("_")
                return [name if re.fullmatch(_DTYPE, name) else _ANY_DTYPE]
            case ast.Name(id=name) if name in module.aliases:
                return self._dtypes(module, module.aliases[name])
            case ast.Name(id=name) if module.origins.get(name) in self.modules:
                there = self.modules[module.origins[name]]
                return self._dtypes(there, there.aliases.get(name))
            case ast.Attribute(attr="ndarray"):
                return [_ANY_DTYPE]
            case ast.expr():
                inner = (n for n in ast.iter_child_nodes(annotation) if isinstance(n, ast.expr))
                return [dtype for node in inner for dtype in self._dtypes(module, node)]
        return []


def _doc(node: Function | ast.ClassDef) -> Doc:
    return Doc(ast.get_docstring(node) or "")


def _filler(where: str, words: str, name: str) -> Iterator[str]:
    """Yield a fault if the words about a parameter repeat its name and say nothing else."""
    if not set(re.findall(r"[a-z]+", words.lower())) - {"a", "an", "the", *name.split("_")}:
        yield f"{where} says only its name"


def _unsaid(where: str, words: str, dtypes: list[str]) -> Iterator[str]:
    """Yield what the words about arrays do not say."""
    if dtypes and "shape" not in words:
        yield f"{where} gives no shape"
    for dtype in dict.fromkeys(dtypes):
        if not re.search(rf"\b{dtype}\b", words):
            yield f"{where} does not say {dtype if dtype != _ANY_DTYPE else 'which dtype'}"


def _parameters(owner: ast.ClassDef | None, node: Function) -> list[ast.arg]:
    args = node.args
    named = [*args.posonlyargs, *args.args]
    if owner and "staticmethod" not in map(_last, node.decorator_list):
        named = named[1:]
    return [*named, *filter(None, [args.vararg]), *args.kwonlyargs, *filter(None, [args.kwarg])]


def _raised(body: list[ast.stmt]) -> Iterator[str]:
    """Yield the class of each error that these statements raise, inner functions left out."""
    waiting: list[ast.AST] = list(body)
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, (*Function.__args__, ast.Lambda, ast.ClassDef)):
            continue
        if isinstance(node, ast.Raise) and node.exc and _last(node.exc)[:1].isupper():
            yield _last(node.exc)
        waiting.extend(ast.iter_child_nodes(node))


def _last(node: ast.expr) -> str:
    """Return the last part of a dotted name, behind a call or a subscript too."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Call(func=inner) | ast.Subscript(value=inner):
            return _last(inner)
    return ""
