"""Docstrings say what a signature cannot, and their examples run."""

from __future__ import annotations

import doctest
import textwrap
from importlib import import_module
from pathlib import Path

import pytest
from docstring_law import Law, Module

ROOT = Path(__file__).parents[2]
PLUGINS = ROOT / "plugins"
PACKAGE = PLUGINS / "sluicegate"

DONE = (
    *(".", "adapters", "attest", "cli", "digest", "gate", "ledger", "orchestration", "profiling"),
    *("signals", "tables", "workflow"),
)
"""Packages that obey the law; "." holds the modules beside them."""


def _name(path):
    return ".".join(path.relative_to(PLUGINS).with_suffix("").parts).removesuffix(".__init__")


TEXTS = {_name(path): path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
LAW = Law({name: Module(text) for name, text in TEXTS.items()}, ROOT)


def _asked():
    for part in DONE:
        folder = PACKAGE / part
        yield from folder.glob("*.py") if part == "." else folder.rglob("*.py")


@pytest.mark.parametrize("name", sorted(map(_name, _asked())))
def test_docstrings_say_what_the_signature_does_not(name):
    path = f"{name.replace('.', '/')}.py"
    assert not [f"{path}:{fault}" for fault in LAW.faults(name)]


@pytest.mark.parametrize("name", sorted(name for name, text in TEXTS.items() if ">>>" in text))
def test_examples_run(name):
    result = doctest.testmod(import_module(name))
    assert result.attempted
    assert not result.failed


MODULE = '''
from typing import Protocol
import numpy as np
from numpy.typing import NDArray
from aliases import Flags

Counts = NDArray[np.int64]


class Broken(ValueError):
    """Of this module."""


class Store(Protocol):
    def put(self, key, value):
        """Keep a value.

        Args:
            key: Hex digits.
            value: At most 1 kB.
        """


def scale(counts: Counts, flags: Flags, factor: int = 1) -> tuple[Counts, Flags]:
    """Multiply counts.

    Args:
        counts: int64, shape (n_rows,).
        flags: bool, shape (n_rows,).
        factor: At least 1.

    Returns:
        The product, int64, and the same flags, bool, both of the same shape.

    Raises:
        ValueError: The factor is 0; see README.md.
    """
    if not factor:
        raise Broken("factor")
    return counts * factor, flags


class Memory:
    """Kept values.

    Attributes:
        kept: bool, shape (n_rows,).
    """

    kept: Flags

    def put(self, key, value):
        """Keep it in memory."""

    def _lock(self, key, value):
        raise OSError


class SmallMemory(Memory):
    def put(self, key, value):
        """Keep it if it is small."""

    def total(self, sizes: Counts) -> int:
        """Return bytes.

        Args:
            sizes: int64, shape (n_rows,).
        """
'''


def _faults(text, folder=ROOT):
    aliases = Module("import numpy as np\nFlags = np.typing.NDArray[np.bool_]\n")
    law = Law({"example": Module(textwrap.dedent(text)), "aliases": aliases}, folder)
    return [fault.split(" ", 1)[1] for fault in law.faults("example")]


def test_a_lawful_module_has_no_faults():
    assert _faults(MODULE) == []


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ('"""Keep it in memory."""', "pass", "Memory.put: no docstring"),
        ("factor: At least 1.", "", "scale: Args lacks factor"),
        ("factor: At least 1.", "factor: The factor.", "scale: Args: factor says only its name"),
        ("counts: int64, shape (n_rows,).", "", "scale: Args lacks counts"),
        ("flags: bool, shape (n_rows,)", "flags: bool", "scale: Args: flags gives no shape"),
        ("flags: bool, shape", "flags: shape", "scale: Args: flags does not say bool"),
        ("kept: bool, shape", "kept: shape", "Memory: Attributes: kept does not say bool"),
        ("same shape.", "same length.", "scale: Returns gives no shape"),
        ("product, int64,", "product", "scale: Returns does not say int64"),
        ("        ValueError: The", "        KeyError: The", "scale: Raises lacks Broken"),
        ("class Store(Protocol):", "class Store:", "Memory.put: Args lacks key"),
        ("kept: Flags\n\n    def put(self, key", "def put(self, name", "Memory.put: Args lacks"),
        ("sizes: int64, shape (n_rows,).", "", "SmallMemory.total: Args lacks sizes"),
        ("README.md", "docs/nowhere.md", "docs/nowhere.md: is not in the repository"),
    ],
)
def test_each_omission_is_found(before, after, fault):
    assert before in MODULE
    assert any(found.startswith(fault) for found in _faults(MODULE.replace(before, after)))


def test_a_comment_that_names_a_missing_page_is_found():
    assert _faults("x = 1  # see STATISTICS.md") == ["STATISTICS.md: is not in the repository"]
