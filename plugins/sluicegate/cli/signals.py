"""`sluicegate signals`: say what each signal demands of a batch, and what it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sluicegate.cli.options import Subparsers, add_json, command, emit

if TYPE_CHECKING:
    import argparse

    from sluicegate.signals.definition import Signal


def register(commands: Subparsers) -> None:
    """Add the command."""
    parser = command(
        commands,
        "signals",
        run,
        "list the signals: what each demands of a batch, its floor and what it needs",
        ["sluicegate signals", "sluicegate signals --json"],
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print every signal in the order in which findings are reported."""
    from sluicegate.signals.registry import SIGNALS

    emit(
        {"signals": [_fields(signal) for signal in SIGNALS]},
        [line for signal in SIGNALS for line in _lines(signal)],
        as_json=arguments.json,
    )
    return 0


def _fields(signal: Signal) -> dict[str, Any]:
    return {
        "code": signal.code,
        "scope": signal.scope.value,
        "severity": signal.severity.value,
        "escalates": signal.escalates,
        "floor": signal.floor,
        "asks": signal.asks,
        "demand": signal.demand,
        "needs": signal.needs,
    }


def _lines(signal: Signal) -> tuple[str, ...]:
    fires = signal.severity.value
    fires += f", FAILED if {signal.escalates}" if signal.escalates else ""
    floor = "no tolerance" if signal.floor is None else f"floor {100 * signal.floor:g} %"
    return (
        f"{signal.code}: {signal.demand}",
        f"  fires as {fires}; {floor}; needs {signal.needs}",
    )
