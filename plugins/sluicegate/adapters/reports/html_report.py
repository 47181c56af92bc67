"""One page about a check that a browser shows without any network: no scripts, no assets.

What a person needs comes first: why, plots of what fired, and the worst rows. What passed is
folded. Every part has a most, so that the page stays below 1 MB whatever the batch. Everything that
comes from data (columns, contributors, messages, row ids) is escaped. Should an escape ever be
missed, a policy in the page forbids the browser to load or run anything.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Final

from sluicegate import __version__
from sluicegate.adapters.reports import plots
from sluicegate.adapters.reports.told import told
from sluicegate.adapters.reports.words import (
    AT_LEAST,
    NO_SIGNAL,
    PARTS,
    PASSED_HEADS,
    SIGNS,
    TOLERATED,
    chance,
    counted,
    in_two,
    number,
    titled,
    untitled,
    would_pass,
)
from sluicegate.signals.decision.record import UNEVALUATED, Status
from sluicegate.untrusted import html_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sluicegate.adapters.reports.told import Against
    from sluicegate.gate.verdict import Reason
    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.signals.evaluate import CheckResult

_PLOTTED: Final = (3, 9)
"""Findings whose plots are shown, and folded."""
_WHOLE: Final = (8, 150)
"""Findings that are shown whole, and folded as a line each."""
_ROWS: Final = (10, 50)
"""Rows that are shown, and folded."""
_PASSED: Final = 250
"""Findings that passed, as a line each."""
_NOTES: Final = 20
"""Notes that are shown."""
_NOTE: Final = 500
"""Longest note, in characters."""
_TEXT: Final = 100
"""Longest name or id in a table, in characters."""

_NEXT: Final = {
    Status.PASSED: "Nothing to do: every signal is within what is tolerated.",
    Status.WARNED: "Read the warnings; the policy decides whether training may start.",
    Status.FAILED: "Do not train on this batch.",
}
_STYLE: Final = """
:root{color-scheme:light dark;--ink:#1b1f24;--dim:#59636e;--page:#fff;--line:#d1d9e0;--base:#8c959f;
--now:#c2571a;--bad:#b3261e;--on-bad:#fdeceb;--warn:#855600;--on-warn:#fdf3dd;--good:#1a6e35;
--on-good:#e6f5ea;--code:#f3f5f7}
@media screen and (prefers-color-scheme:dark){:root{--ink:#e6edf3;--dim:#9aa4af;--page:#0f1419;
--line:#333c46;--base:#6b7681;--now:#f0884a;--bad:#ff8a80;--on-bad:#3b1715;--warn:#f0b849;
--on-warn:#33270d;--good:#6fd08c;--on-good:#12301c;--code:#1a2129}}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);max-width:72rem;
margin:0 auto;padding:1rem;overflow-wrap:anywhere}
h1{font-size:1.35rem;margin:.5rem 0}h2{font-size:1.15rem;margin:2rem 0 .5rem}
h3{font-size:1rem;margin:1rem 0 .25rem}p{margin:.4rem 0}.why{font-size:1.1rem}.dim{color:var(--dim)}
.look{border-radius:.3rem;padding:.1rem .45rem;print-color-adjust:exact}
.FAILED{color:var(--bad);background:var(--on-bad)}.WARNED{color:var(--warn);background:var(--on-warn)}
.PASSED{color:var(--good);background:var(--on-good)}
table{border-collapse:collapse;min-width:min(100%,34rem);font-size:.85rem;font-variant-numeric:tabular-nums}
td,th{border-bottom:1px solid var(--line);padding:.3rem 1rem .3rem 0;text-align:left;
vertical-align:top}
th{color:var(--dim);font-weight:500}tbody th{color:var(--ink)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:.4rem 0;
font-size:.9rem}
dt{color:var(--dim)}dd{margin:0}.sizes{display:flex;flex-wrap:wrap;gap:.1rem 1.5rem}
.sizes div{display:flex;gap:.4rem}
article{border:1px solid var(--line);border-radius:.4rem;padding:.25rem .8rem .5rem;margin:.6rem 0;
break-inside:avoid}
summary{cursor:pointer;padding:.3rem 0}a{color:inherit}
code,pre{font-size:.85rem}
pre{background:var(--code);padding:.6rem;white-space:pre-wrap;margin:.4rem 0}
@media(max-width:30rem){dl.facts{grid-template-columns:1fr}.facts dd{margin-bottom:.4rem}}
"""


def html_report(
    found: CheckResult,
    *,
    verdict: Status,
    reasons: Sequence[Reason],
    batch: str,
    judged_with: Mapping[str, str],
    again: Sequence[str],
    hints: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> str:
    """Return the page as HTML, less than 1 MB of it.

    Args:
        found: Finished check.
        verdict: PASSED, WARNED or FAILED.
        reasons: What led to the verdict, worst first.
        batch: Locator of the batch, without credentials.
        judged_with: What the verdict rests on: digests by name.
        again: Commands that show the same digests and findings again.
        hints: What else to do, a sentence each.
        notes: What was not asked or not judged, a sentence each.
    """
    said = told(found.records, reasons)
    head = f"{_look(verdict, verdict)} {html_text(batch)}"
    bodies = (
        _drawn(said.against, found),
        _rows(found, fired=bool(said.against)),
        _findings(said.against),
        _passed(said.passed, notes),
        _evidence(judged_with, again),
    )
    parts = (
        f"<h1>{head}</h1>{_why(found, verdict, said.against, hints)}",
        *(f"<h2>{name}</h2>{body}" for name, body in zip(PARTS, bodies, strict=True) if body),
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width">'
        f"<title>{verdict}: {html_text(batch, _TEXT)}</title>"
        f"<style>{_STYLE}{plots.STYLE}</style></head><body><main>{''.join(parts)}</main></body></html>\n"
    )


def _look(result: Status, text: str) -> str:
    sign = f'<span aria-hidden="true">{SIGNS[result]}</span>'
    return f'<span class="look {result}">{sign} {html_text(text)}</span>'


def _why(
    found: CheckResult, verdict: Status, against: Sequence[Against], hints: Sequence[str]
) -> str:
    """Return the sentence that says why, and what to do next."""
    first, then = NO_SIGNAL, ""
    if against:
        worst = against[0].reason
        first, then = in_two(untitled(worst.message, worst.code))
        more = len(against) - 1
        first += f" And {counted(more, 'more finding')}." if more else ""
    blocks = f" Tolerances are those of {found.blocks} of the baseline." if found.blocks else ""
    facts = f"{counted(found.n_rows, 'row')} judged.{blocks}{_information_limit(found)}"
    return (
        f'<p class="why">{html_text(first)}</p>'
        f"<p>{html_text(' '.join([_NEXT[verdict], then, *hints]))}</p>"
        f'<p class="dim">{html_text(facts)}</p>'
    )


def _information_limit(found: CheckResult) -> str:
    for record in found.records:
        if "information_limit" in record.evidence:
            share = 100.0 * float(record.evidence["information_limit"])
            return (
                f" Label flips below about {share:.2g} % of this batch cannot be found reliably "
                "by any test on these features (information limit)."
            )
    return ""


def _drawn(against: Sequence[Against], found: CheckResult) -> str:
    """Return the plots of what fired; a column is drawn once, below its worst finding."""
    shapes = dict(found.shapes)
    drawn: list[str] = []
    for number_, one in enumerate(against, 1):
        if one.record is not None and len(drawn) < _PLOTTED[1]:
            figures = plots.plots(one.record, shapes.pop(one.record.column, None))
            if figures:
                drawn.append(f"<section>{_heading(one, number_, link=True)}{figures}</section>")
    if not drawn:
        return ""
    shown, more = drawn[: _PLOTTED[0]], drawn[_PLOTTED[0] :]
    return "".join(shown) + _folded(counted(len(more), "more plotted finding"), "".join(more))


def _heading(one: Against, number_: int, *, link: bool) -> str:
    reason = one.reason
    title = titled(reason.code, reason.column) if one.record is not None else reason.code
    if one.record is None and UNEVALUATED in reason.message:
        title = "Not evaluated"
    look = _look(reason.result, title)
    if link:
        return f'<h3><a href="#f{number_}">{look}</a></h3>'
    return f'<h3 id="f{number_}">{look}</h3>'


def _findings(against: Sequence[Against]) -> str:
    """Return what speaks against the batch, with sizes and what would pass."""
    if not against:
        return ""
    whole = "".join(_finding(one, n) for n, one in enumerate(against[: _WHOLE[0]], 1))
    lines = [
        [one.reason.result.value, one.reason.code, one.reason.column, *_sizes(one.record)]
        for one in against[_WHOLE[0] : _WHOLE[1]]
    ]
    heads = ("Result", "Signal", "Column", "Effect", "At least", "Tolerated", "p")
    more = len(against) - _WHOLE[0]
    rest = _folded(
        counted(more, "more finding"), _table(heads, lines) + _beyond(against, _WHOLE[1])
    )
    return f"{whole}{rest if more > 0 else ''}"


def _finding(one: Against, number_: int) -> str:
    reason, record = one.reason, one.record
    message = untitled(reason.message, reason.code, reason.column)
    text = f"{_heading(one, number_, link=False)}<p>{html_text(message)}</p>"
    if record is None or record.effect is None:
        return f"<article>{text}</article>"
    unit = f"effect ({record.effect_unit})" if record.effect_unit else "effect"
    names = (unit, AT_LEAST, TOLERATED, "p")
    shown = ((name, size) for name, size in zip(names, _sizes(record), strict=True) if size)
    sizes = "".join(
        f"<div><dt>{html_text(name)}</dt><dd>{html_text(size)}</dd></div>" for name, size in shown
    )
    said = would_pass(record)
    hint = f"<p>{html_text(said)}</p>" if said else ""
    return f'<article>{text}<dl class="sizes">{sizes}</dl>{hint}</article>'


def _sizes(record: SignalRecord | None) -> list[str]:
    if record is None:
        return [""] * 4
    numbers = (record.effect, record.effect_bound, record.tolerance)
    return [*map(number, numbers), chance(record.p_value)]


def _rows(found: CheckResult, *, fired: bool) -> str:
    """Return the rows that findings name, the most probable ones first."""
    named = [i for i, codes in enumerate(found.row_reasons) if codes]
    if found.row_scores is None or not named:
        return "<p>No row is named by a signal that fired.</p>" if fired else ""
    scores = found.row_scores
    worst = heapq.nsmallest(_ROWS[1], named, key=lambda i: (-scores[i], i))
    lines = [
        [
            str(i if found.row_ids is None else found.row_ids[i].as_py()),
            f"{scores[i]:.2f}",
            ", ".join(found.row_reasons[i]),
        ]
        for i in worst
    ]
    heads = ("Row", "Probability", "Signals")
    more = lines[_ROWS[0] :]
    every = "<code>check --rows ROWS.parquet</code> writes a score for each row."
    return (
        f"<p>{counted(len(named), 'row')} of {found.n_rows:,} named by what fired. {every}</p>"
        + _table(heads, lines[: _ROWS[0]])
        + (_folded(f"The next {counted(len(more), 'row')}", _table(heads, more)) if more else "")
    )


def _passed(records: Sequence[SignalRecord], notes: Sequence[str]) -> str:
    lines = [
        [record.code, record.column, number(record.effect), number(record.tolerance),
         chance(record.p_value)]
        for record in records[:_PASSED]
    ]  # fmt: skip
    title = counted(len(records), "finding") + " passed"
    said = "".join(f"<p>{html_text(note, _NOTE)}</p>" for note in notes[:_NOTES])
    return (
        _folded(title, _table(PASSED_HEADS, lines) + _beyond(records, _PASSED))
        + said
        + _beyond(notes, _NOTES)
    )


def _evidence(judged_with: Mapping[str, str], again: Sequence[str]) -> str:
    facts = "".join(
        f"<dt>{html_text(name)}</dt><dd><code>{html_text(value)}</code></dd>"
        for name, value in {**judged_with, "Sluicegate": __version__}.items()
    )
    commands = "\n".join(html_text(line) for line in again)
    return (
        f'<dl class="facts">{facts}</dl><p>Nobody signed this page. Whoever has the same '
        "files sees these digests and findings again with</p>"
        f"<pre>{commands}</pre><p>A verdict that anybody can verify, without Airflow and without "
        "this page, is signed by the gate: <code>sluicegate gate SOURCE --seal BATCH</code></p>"
    )


def _table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{html_text(name)}</th>' for name in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{html_text(text, _TEXT)}</td>" for text in line) + "</tr>"
        for line in lines
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _folded(title: str, body: str) -> str:
    return f"<details><summary>{html_text(title)}</summary>{body}</details>" if body else ""


def _beyond(items: Sequence[object], most: int) -> str:
    """Say how many are left out, and where they are."""
    left = len(items) - most
    where = "<code>check --json OUT.json</code>"
    return f"<p>And {left:,} more, which {where} writes.</p>" if left > 0 else ""
