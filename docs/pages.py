"""Write what documents, suites and schemas say of signals and metrics from their registries.

``python docs/pages.py`` (or ``make pages``) writes the files; a test fails when one is stale.
What is written stands between two markers, or is one list; the rest of a file stays as it is.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sluicegate.adapters.gx.catalog import CATALOG, expectation_type
from sluicegate.orchestration.observing.metrics import METRICS
from sluicegate.signals.registry import OF_BATCHES, OF_POLICIES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.orchestration.observing.metrics import Metric
    from sluicegate.signals.definition import Signal

ROOT = Path(__file__).resolve().parents[1]
TABLE = re.compile(r"(?<=<!-- written by make pages -->\n).*?(?=<!-- to here -->)", re.DOTALL)
LISTED = re.compile(r'(?<="expectations": \[\n).*?(?=  \]\n)', re.DOTALL)
CODES = re.compile(r'(?<="examples": \[\n).*?(?=      \],\n)', re.DOTALL)
SUITES = ("tabular", "flights")
"""Suites that list every signal."""
KWARGS = {key: {"$PARAMETER": key} for key in ("baseline", "limits")}


def written() -> Mapping[Path, str]:
    """Return each file as it should be."""
    signals, policy = Path("docs/signals.md"), Path("docs/formats/policy.schema.json")
    metrics = Path("docs/metrics.md")
    codes = ", ".join(f'"{signal.code}"' for signal in OF_POLICIES)
    suites = (Path(f"expectations/{name}.json") for name in SUITES)
    return {
        signals: _with(TABLE, signals, "".join(map(_row, (None, *OF_BATCHES)))),
        metrics: _with(TABLE, metrics, "".join(map(_metric, (None, *METRICS)))),
        policy: _with(CODES, policy, _wrapped(codes, "        ")),
        **{path: _with(LISTED, path, _expectations(_read(path))) for path in suites},
    }


def _read(path: Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def _with(place: re.Pattern[str], path: Path, text: str) -> str:
    """Return a file with the text in its one place."""
    before, found = _read(path), place.findall(_read(path))
    if len(found) != 1:
        raise SystemExit(f"{path}: {len(found)} places to write to, expected 1")
    return place.sub(lambda _: text, before)


def _row(signal: Signal | None) -> str:
    """Return a row of the table; the head for None."""
    if signal is None:
        return "| code | asks | fires as | floor | needs |\n|---|---|---|---|---|\n"
    fires = signal.severity.value
    fires += f"; FAILED if {signal.escalates}" if signal.escalates else ""
    floor = "0" if not signal.floor else f"{100 * signal.floor:g} %"
    return f"| `{signal.code}` | {signal.asks} | {fires} | {floor} | {signal.needs} |\n"


def _metric(metric: Metric | None) -> str:
    """Return a row of the table; the head for None."""
    if metric is None:
        return "| name | kind | unit | tags | when | in Prometheus |\n|---|---|---|---|---|---|\n"
    tags = ", ".join(f"`{tag}`" for tag in metric.tags)
    facts = f"{metric.kind} | {metric.unit} | {tags} | {metric.when}"
    return f"| `{metric.name}` | {facts} | `{metric.exported}` |\n"


def _wrapped(text: str, indent: str, width: int = 100) -> str:
    lines = [indent]
    for word in text.split(" "):
        if len(lines[-1]) + len(word) > width:
            lines.append(indent)
        lines[-1] += f"{word} "
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _expectations(suite: str) -> str:
    """Return the lines of a suite: those that are there in their order, then the new ones."""
    listed = [item["meta"]["signal"] for item in json.loads(suite)["expectations"]]
    codes = [code for code in dict.fromkeys([*listed, *CATALOG]) if code in CATALOG]
    return ",\n".join(f"    {json.dumps(_expectation(code))}" for code in codes) + "\n"


def _expectation(code: str) -> dict[str, Any]:
    kind = expectation_type(CATALOG[code])
    return {"type": kind, "kwargs": KWARGS, "meta": {"signal": code}}


if __name__ == "__main__":
    for path, text in written().items():
        (ROOT / path).write_text(text, encoding="utf-8")
