"""`sluicegate signals` says of each signal what its record says."""

from __future__ import annotations

import json

from sluicegate.cli.main import main
from sluicegate.signals.registry import SIGNALS


def test_every_signal_is_listed_with_what_it_demands_and_needs(capsys):
    assert main(["signals"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[::2] == [f"{signal.code}: {signal.demand}" for signal in SIGNALS]
    for signal, said in zip(SIGNALS, lines[1::2], strict=True):
        assert said.startswith(f"  fires as {signal.severity.value}")
        assert said.endswith(f"; needs {signal.needs}")


def test_json_holds_what_each_asks_and_its_floor(capsys):
    assert main(["signals", "--json"]) == 0
    listed = {item["code"]: item for item in json.loads(capsys.readouterr().out)["signals"]}
    assert list(listed) == [signal.code for signal in SIGNALS]
    for signal in SIGNALS:
        found = listed[signal.code]
        assert (found["asks"], found["floor"]) == (signal.asks, signal.floor)
        assert (found["demand"], found["needs"]) == (signal.demand, signal.needs)
    assert listed["TIME_BURST"]["escalates"]
    assert listed["UNJUDGED"]["floor"] is None
