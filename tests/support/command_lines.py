"""Every command of the parser with arguments that lead it as far as it gets, found by itself.

A new command or option is covered without being named here: what an option asks for is taken from
its name, its type and its choices.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
from dataclasses import dataclass, field
from pathlib import Path

from sluicegate.cli.main import build_parser

KEY_WORDS = {"key", "cosign_key", "root_key", "public_key"}
"""Options that say where a key is; `--key-id` and `--row-key` are another thing."""

# What leads a command past questions that its parser does not ask.
FURTHER = {
    "waive": ("--signal=LABEL_FLIPS", "--reason=a reason", "--out=NEW"),
    "quarantine": ("--reason=a reason",),
    "release": ("--reason=a reason",),
    "export": ("--source=src",),
}


_NUMBERS = itertools.count()


@dataclass(frozen=True)
class CommandLine:
    """One command with all it needs, keys excepted.

    Attributes:
        name: As it is typed, e.g. ``baseline build``.
        given: Arguments that are no keys.
        scratch: Directory of what it writes.
        keys: Options that take a key, and whether they are required.
        json: Whether it has ``--json``.
        options: All others that take a value.
    """

    name: str
    given: tuple[str, ...]
    scratch: str
    keys: dict[str, bool] = field(default_factory=dict)
    json: bool = False
    options: tuple[str, ...] = ()

    def with_each_value(self, text):
        """Return the arguments once for each value of theirs, which is the text then."""
        argv = self.argv("env:NOTHING")
        first = len(self.name.split())
        for place in range(first, len(argv)):
            if not argv[place].startswith("--"):
                yield [*argv[:place], text, *argv[place + 1 :]]
        for option in self.options:
            yield [*argv, f"{option}={text}"]

    def argv(self, key, *, only=None):
        """Return the arguments, with one text for every required key, and for one option."""
        new = f"{self.scratch}/{next(_NUMBERS)}"
        given = [text.replace("NEW", new) for text in self.given]
        found = [*self.name.split(), *given]
        for option, required in self.keys.items():
            if required or option == only:
                found.append(f"{option}={key}")
        return found


class Recorder(dict):
    """An environment that remembers which variables were asked for."""

    def __init__(self, values):
        super().__init__(values)
        self.asked = set()

    def get(self, key, default=None):
        self.asked.add(key)
        return super().get(key, default)

    def __getitem__(self, key):
        self.asked.add(key)
        return super().__getitem__(key)

    def __contains__(self, key):
        self.asked.add(key)
        return super().__contains__(key)

    @property
    def keys_asked(self):
        """Variables of keys that were asked for."""
        words = ("SLUICEGATE_KEY_", "SLUICEGATE_COSIGN_", "SLUICEGATE_PIN_", "CANARY")
        return {name for name in self.asked if name.startswith(words)}


def command_lines(site):
    """Return every command; one that takes an action, once for each."""
    return [
        line
        for names, parser in _leaves(build_parser(), ())
        for line in _lines(names, parser, site)
    ]


def _leaves(parser, names):
    nested = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not nested:
        yield names, parser
    for action in nested:
        for name, child in action.choices.items():
            yield from _leaves(child, (*names, name))


def _lines(names, parser, site):
    actions = [a for a in parser._actions if a.dest not in {"help", "json", "home"}]
    word = next((a for a in actions if not a.option_strings and a.choices), None)
    for choice in word.choices if word else [None]:
        given, keys = [], {}
        for action in actions:
            if action.dest in KEY_WORDS and action.option_strings:
                keys[action.option_strings[-1]] = action.required
                continue
            given.extend(_answer(action, choice if action is word else None, site))
        if any(a.dest == "home" for a in parser._actions):
            given.extend(["--home", str(site.home.root)])
        name = " ".join(names)
        has_json = any(a.dest == "json" and a.nargs == 0 for a in parser._actions)
        given.extend(FURTHER.get(name, ()))
        options = [
            action.option_strings[-1]
            for action in actions
            if action.option_strings and action.nargs is None and action.dest not in KEY_WORDS
        ]
        yield CommandLine(
            name, tuple(given), str(site.root), keys, json=has_json, options=tuple(options)
        )


def _answer(action, choice, site):
    if action.option_strings and not action.required:
        return []
    value = choice or _value(action, site)
    values = [*action.option_strings[-1:], value]
    return values if action.nargs != 0 else action.option_strings[-1:]


def _value(action, site):
    # Where one command asks for the name of a source, others ask for its place.
    named = {
        "source": "src",
        "name": "src",
        "schema": str(site.root / "schema.yaml"),
        "trust": str(site.home.trust),
        "baseline": str(site.home.baseline_dir("src")),
        "policy": str(site.home.policy),
        "digest": "sha256:" + "0" * 64,
        "key_id": "0" * 64,
        "out": "NEW",
        "into": str(site.root / "fetched"),
        "quarantine": str(site.root / "set-aside"),
        "state": str(site.root / "witness.db"),
        "item": "0",
    }
    if action.dest in named:
        return named[action.dest]
    if action.choices:
        return str(next(iter(action.choices)))
    return str(site.clean) if action.type in {Path, None} else "1"


def run_in_process(main, argv, environ, *, monkeypatch, capture, caplog):
    """Run one command; return its answer, its errors and logs, and the variables it asked for."""
    recorder = Recorder(environ)
    with monkeypatch.context() as patch:
        patch.setattr(os, "environ", recorder)
        with contextlib.suppress(SystemExit):  # argparse's own errors
            main(argv)
    shown = capture.readouterr()
    logged = caplog.text
    caplog.clear()
    return shown.out, shown.err + logged, recorder.keys_asked
