"""Plots for the report: bars in SVG inside tables, so that each is also its own text.

Names and numbers are text of the page: they are read aloud, wrap on a narrow screen, and keep their
size. All of them are escaped, and a bar has nothing to load.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

from sluicegate.adapters.reports.words import (
    AT_LEAST,
    BY_SUBJECT,
    CELLS,
    IN_WINDOW,
    LABELS_BY,
    TIED,
    TOLERATED,
    counted,
    number,
)
from sluicegate.signals.decision.correction import percent
from sluicegate.untrusted import html_text, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.signals.decision.shape import Shape

_SUBJECTS: Final = 10
"""Most subjects of one plot."""
_TIED: Final = {"rows", "rows_of_class", "rows_before"}
_WINDOW: Final = {"rows", "explained"}
_CLASSES: Final = 8
"""Classes that have a colour of their own."""
_CLASS: Final = 24
"""Longest name of a class where it is told with its share, in characters."""
_NAME: Final = 60
"""Longest name beside a bar, in characters."""

STYLE: Final = """
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));
gap:.25rem 2rem}
figure{margin:0 0 1rem;max-width:36rem;break-inside:avoid}
figcaption{color:var(--dim);font-size:.85rem;margin-bottom:.2rem}
.plot{width:100%}
.plot th,.plot td{border:0;padding:.1rem .5rem .1rem 0;vertical-align:middle;font-weight:400}
.plot tbody th{color:var(--ink);width:36%}.plot .n,.plot thead th{white-space:nowrap}
.plot .n{width:1%}
.bar{display:block;width:100%;min-width:4rem;height:1rem}
.base{fill:var(--base);background:var(--base)}.now{fill:var(--now);background:var(--now)}
.least{fill:var(--now);opacity:.6}
.class0{fill:#3b7dd8;background:#3b7dd8}.class1{fill:#e07b39;background:#e07b39}
.class2{fill:#2a9d8f;background:#2a9d8f}.class3{fill:#8e6bbf;background:#8e6bbf}
.class4{fill:#d1618f;background:#d1618f}.class5{fill:#b8960c;background:#b8960c}
.class6{fill:#4ba3c7;background:#4ba3c7}.class7{fill:#c0392b;background:#c0392b}
.class8{fill:var(--base);background:var(--base)}figure p,td .dim{font-size:.8rem}
.key{display:inline-block}
.key i{display:inline-block;width:.7rem;height:.7rem;margin:0 .25rem;print-color-adjust:exact}
"""


def plots(record: SignalRecord, shape: Shape | None) -> str:
    """Return the figures of a finding, as HTML; "" if there is nothing to draw.

    Args:
        record: What the signal found.
        shape: Shares of the column's cells in baseline and batch; None draws none.
    """
    spread = "" if shape is None else _spread(shape) + _parts(shape)
    figures = "".join((_size(record), spread, _subjects(record), _tied(record), _windows(record)))
    return f'<div class="plots">{figures}</div>' if figures else ""


def _size(record: SignalRecord) -> str:
    """Draw the effect, its lower bound, and what is tolerated."""
    effect, bound, tolerance = record.effect, record.effect_bound, record.tolerance
    if effect is None or bound is None or tolerance is None or effect <= 0:
        return ""
    most = max(effect, tolerance)
    sizes = (
        (record.effect_unit or "effect", "now", effect),
        (AT_LEAST, "least", bound),
        (TOLERATED, "base", tolerance),
    )
    rows = [_row(name, _rect(kind, size, most), number(size)) for name, kind, size in sizes]
    caption = "Size of the change, its lower 95 % bound, and what is tolerated"
    return _figure(html_text(caption), ("What", "Size", "Number"), rows)


def _spread(shape: Shape) -> str:
    """Draw the shares of baseline and batch, cell by cell."""
    cells = zip(shape.cells, shape.baseline, shape.batch, strict=True)
    shown = [cell for cell in cells if cell[1] or cell[2]]
    rows = " ".join(filter(None, (counted(sum(shape.rows_before), "row"), shape.note)))
    title = f"{visible(shape.column, _NAME)}: share of rows in"
    return _beside(title, shown, f"baseline, {rows}", CELLS.get(shape.kind, ""))


def _parts(shape: Shape) -> str:
    """Draw the labels of each contributor, the baseline's above the batch's."""
    if not shape.parts:
        return ""
    used = [i for i, rows in enumerate(shape.rows_before) if rows or shape.rows_now[i]]
    own, others = used[:_CLASSES], used[_CLASSES:]
    names = [*(shape.cells[i][:_CLASS] for i in own), *(["all others"] if others else [])]

    def shares(rows: Sequence[int]) -> list[float]:
        kept = [*(rows[i] for i in own), *([sum(rows[i] for i in others)] if others else [])]
        return [n / max(sum(rows), 1) for n in kept]

    rows = []
    for part in shape.parts:
        before, now = shares(part.rows_before), shares(part.rows_now)
        told = f"{_listed(names, before)}, now {_listed(names, now)}"
        bars = f'<svg class="bar" aria-hidden="true">{_stacked(before, 5)}{_stacked(now, 55)}</svg>'
        rows.append(
            f'<tr><th scope="row">{html_text(part.subject, _NAME)}</th>'
            f'<td>{bars}<span class="dim">{html_text(told)}</span></td></tr>'
        )
    key = "".join(
        f'<span class="key"><i class="class{i}"></i>{html_text(name, _NAME)}</span> '
        for i, name in enumerate(names)
    )
    heads = ("Contributor", "Shares of its rows")
    return _figure(f"{LABELS_BY} {key}", heads, rows)


def _stacked(shares: Sequence[float], y: int) -> str:
    starts = accumulate(shares, initial=0.0)
    return "".join(
        f'<rect class="class{i}" x="{_at(start, 1.0)}" y="{y}%" width="{_at(share, 1.0)}" '
        'height="40%"/>'
        for i, (start, share) in enumerate(zip(starts, shares, strict=False))
    )


def _listed(names: Sequence[str], shares: Sequence[float]) -> str:
    told = (f"{n} {percent(share)}" for n, share in zip(names, shares, strict=True) if share)
    return ", ".join(told) or "none"


def _subjects(record: SignalRecord) -> str:
    """Draw a bar for each subject that a finding names, as long as its effect."""
    items = _dicts(record.evidence.get("contributors"))
    items = [item for item in items if float(item.get("effect", 0)) > 0]
    shares = [(str(item["subject"]), float(item["effect"])) for item in items[:_SUBJECTS]]
    if not shares:
        return ""
    shares.sort(key=lambda found: -found[1])
    most = shares[0][1]
    rows = [_row(name, _rect("now", share, most), percent(share)) for name, share in shares]
    return _figure(html_text(BY_SUBJECT), ("Subject", "Share", "Of the batch"), rows)


def _tied(record: SignalRecord) -> str:
    """Draw the words or values that a finding ties to a label; they are not named."""
    items = _dicts(record.evidence.get("associations"))
    tied = [item for item in items if item.keys() >= _TIED and item["rows"] > 0]
    cells = [
        (
            f"number {n}: {percent(one['rows_of_class'] / one['rows'])} of its rows have one label",
            one["rows_before"] / max(record.n_baseline, 1),
            one["rows"] / max(record.n_batch, 1),
        )
        for n, one in enumerate(tied[:_SUBJECTS], 1)
    ]
    return _beside(f"{TIED} in", cells, "baseline")


def _windows(record: SignalRecord) -> str:
    """Draw the densest windows of time, and how many of their rows the baseline explains."""
    found = record.evidence.get("windows")
    named = found.items() if isinstance(found, dict) else ()
    n_rows = max(record.n_batch, 1)
    cells = [
        (name, min(one["explained"] / n_rows, 1.0), one["rows"] / n_rows)
        for name, one in list(named)[:_SUBJECTS]
        if one.keys() >= _WINDOW and one["rows"] > 0
    ]
    return _beside(f"{IN_WINDOW}:", cells, "what the baseline explains")


def _dicts(listed: object) -> list[dict[str, Any]]:
    items = listed if isinstance(listed, list) else []
    return [item for item in items if isinstance(item, dict)]


def _beside(
    what: str, cells: Sequence[tuple[str, float, float]], before: str, note: str = ""
) -> str:
    """Draw two bars for each cell: what was expected, and the batch."""
    if not cells:
        return ""
    most = max(max(share, now) for _, share, now in cells)
    rows = [
        _row(
            name,
            _rect("base", share, most, y=10, height=40) + _rect("now", now, most, y=50, height=40),
            percent(share),
            percent(now),
        )
        for name, share, now in cells
    ]
    key = "".join(
        f'<span class="key"><i class="{kind}"></i>{html_text(side)}</span> '
        for kind, side in (("base", before), ("now", "batch"))
    )
    heads = ("Cell", "Share of rows", "Baseline", "Batch")
    return _figure(f"{html_text(what)} {key}", heads, rows, note)


def _at(value: float, most: float) -> str:
    return f"{100.0 * min(max(value / most, 0.0), 1.0):.1f}%"


def _rect(kind: str, value: float, most: float, *, y: int = 10, height: int = 80) -> str:
    width = _at(value, most)
    return f'<rect class="{kind}" y="{y}%" width="{width}" height="{height}%"/>'


def _row(name: str, bars: str, *numbers: str) -> str:
    cells = "".join(f'<td class="n">{html_text(text)}</td>' for text in numbers)
    return (
        f'<tr><th scope="row">{html_text(name, _NAME)}</th>'
        f'<td><svg class="bar" aria-hidden="true">{bars}</svg></td>{cells}</tr>'
    )


def _figure(caption: str, heads: Sequence[str], rows: Sequence[str], note: str = "") -> str:
    head = "".join(f'<th scope="col">{html_text(name)}</th>' for name in heads)
    return (
        f'<figure><figcaption>{caption}</figcaption><table class="plot">'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
        + (f'<p class="dim">{html_text(note)}</p></figure>' if note else "</figure>")
    )
