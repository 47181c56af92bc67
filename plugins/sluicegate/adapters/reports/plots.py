"""Drawings for the report: SVG inside the page, with escaped text and nothing to load."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from sluicegate.untrusted import html_text

if TYPE_CHECKING:
    from sluicegate.signals.columns.shapes import Shape
    from sluicegate.signals.decision.record import SignalRecord

_BARS = 10
_NAME, _BAR = 250, 300  # widths of names and of the longest bar, in pixels
STYLE = """
svg{display:block;max-width:100%;height:auto}svg text{fill:var(--ink);font-size:12px}
.base{fill:var(--dim)}.now{fill:var(--now)}.mark{stroke:var(--ink);stroke-width:2}
figure{margin:.5rem 0 1.5rem}figcaption{color:var(--dim);font-size:13px;margin-bottom:.25rem}
"""


def drawings(record: SignalRecord, shape: Shape | None) -> str:
    """Return the figures of a signal that fired, as HTML; "" if there is nothing to draw.

    Args:
        record: What the signal found.
        shape: Shares of the column's cells in baseline and batch; None draws none.
    """
    parts = [_limit(record), _shape(shape), _subjects(record)]
    drawn = "".join(part for part in parts if part)
    title = record.code + (f": {record.column}" if record.column else "")
    said = would_pass(record)
    hint = f"<p>{html_text(said)}</p>" if said else ""
    return f"<h3>{html_text(title)}</h3>{hint}{drawn}" if drawn else ""


def would_pass(record: SignalRecord) -> str:
    """Say which tolerance, or how many fewer affected rows, would have passed; "" if none is known.

    Args:
        record: What the signal found.
    """
    bound, tolerance = record.effect_bound, record.tolerance
    if record.p_value is None or bound is None or tolerance is None or bound <= tolerance:
        return ""
    rows = math.ceil((bound - tolerance) * record.n_batch)
    enough = bound * 1.006  # rounded to three digits, it is never below the bound
    return (
        f"Would pass if {enough:.3g} were tolerated, or if about {rows} fewer rows of "
        f"{record.n_batch} were affected."
    )


def _limit(record: SignalRecord) -> str:
    """Draw the effect with its lower bound, and what is tolerated."""
    effect, bound, tolerance = record.effect, record.effect_bound, record.tolerance
    if effect is None or bound is None or tolerance is None or effect <= 0:
        return ""
    most = max(effect, tolerance)
    at = [_NAME + _BAR * min(max(v, 0.0), most) / most for v in (effect, bound, tolerance)]
    body = (
        f'<text x="0" y="15">{html_text(record.effect_unit or "effect")}</text>'
        f'<rect class="now" x="{_NAME}" y="3" height="15" width="{at[0] - _NAME:.1f}"/>'
        f'<line class="mark" x1="{at[1]:.1f}" x2="{at[1]:.1f}" y1="1" y2="20"/>'
        f'<text x="{at[0] + 8:.1f}" y="15">{effect:.3g} (at least {bound:.3g})</text>'
        '<text x="0" y="37">tolerated</text>'
        f'<rect class="base" x="{_NAME}" y="25" height="15" width="{at[2] - _NAME:.1f}"/>'
        f'<text x="{at[2] + 8:.1f}" y="37">{tolerance:.3g}</text>'
    )
    return _figure("Size of the change, its lower 95 % bound, and what is tolerated", body, 44)


def _shape(shape: Shape | None) -> str:
    """Draw the shares of baseline and batch, cell by cell."""
    if shape is None:
        return ""
    cells = zip(shape.cells, shape.baseline, shape.batch, strict=True)
    shown = [cell for cell in cells if cell[1] or cell[2]]
    most = max(max(before, now) for _, before, now in shown)
    body = "".join(
        f'<text x="0" y="{30 * k + 17}">{html_text(name[:36])}</text>'
        + _bar("base", 30 * k + 2, before, most)
        + _bar("now", 30 * k + 15, now, most)
        for k, (name, before, now) in enumerate(shown)
    )
    return _figure("Share of rows: baseline (grey) and batch", body, 30 * len(shown) + 4)


def _subjects(record: SignalRecord) -> str:
    """Draw a bar for each subject that a fired signal names, as long as its effect."""
    listed = record.evidence.get("contributors")
    items: list[dict[str, Any]] = listed if isinstance(listed, list) else []
    items = [i for i in items if isinstance(i, dict) and float(i.get("effect", 0)) > 0][:_BARS]
    if not items:
        return ""
    most = max(float(item["effect"]) for item in items)
    body = "".join(
        f'<text x="0" y="{22 * k + 14}">{html_text(str(item["subject"])[:36])}</text>'
        + _bar("now", 22 * k + 3, float(item["effect"]), most, height=14)
        for k, item in enumerate(items)
    )
    return _figure("Share of the batch, by subject", body, 22 * len(items) + 6)


def _bar(kind: str, y: int, share: float, most: float, *, height: int = 11) -> str:
    width = _BAR * share / most
    return (
        f'<rect class="{kind}" x="{_NAME}" y="{y}" height="{height}" width="{width:.1f}"/>'
        f'<text x="{_NAME + width + 8:.1f}" y="{y + height - 1}">{100 * share:.2g} %</text>'
    )


def _figure(caption: str, body: str, height: int) -> str:
    return (
        f"<figure><figcaption>{html_text(caption)}</figcaption>"
        f'<svg role="img" aria-label="{html_text(caption)}" viewBox="0 0 720 {height}" '
        f'width="720" height="{height}">{body}</svg></figure>'
    )
