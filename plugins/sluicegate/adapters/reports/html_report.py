"""One page about a check that a browser shows without any network: no scripts, no assets.

Everything that comes from data (columns, contributors, messages, row ids) is escaped. Should an
escape ever be missed, a policy in the page forbids the browser to load or run anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.adapters.reports.plots import STYLE, drawings
from sluicegate.signals.decision.record import Status
from sluicegate.untrusted import html_text

if TYPE_CHECKING:
    from sluicegate.signals.decision.record import SignalRecord
    from sluicegate.signals.evaluate import CheckResult

_TOP_ROWS = 50
_COLUMNS = ("Status", "Signal", "Column", "Effect", "At least", "Tolerance", "p", "Finding")
_WORST_FIRST = (Status.FAILED, Status.NOT_EVALUATED, Status.WARNED, Status.PASSED)
_NEXT = {
    "PASSED": "Nothing to do: every signal is within what is tolerated.",
    "WARNED": "Read the warnings; the policy decides whether training may start.",
    "FAILED": "Do not train on this batch. Follow the findings below, worst first.",
}
_STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--dim:#59636e;--page:#fff;--line:#d1d9e0;
--bad:#b3261e;--now:#c2571a;--warn:#8a5a00;--good:#1a6e35}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--dim:#9aa4af;--page:#0f1419;--line:#333c46;
--bad:#ff8a80;--now:#f0884a;--warn:#f0b849;--good:#6fd08c}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);max-width:76rem;
margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%;font-size:13px}
td,th{border-bottom:1px solid var(--line);padding:.35rem .5rem;text-align:left;vertical-align:top;
overflow-wrap:break-word}
th{color:var(--dim)}.FAILED,.NOT_EVALUATED{color:var(--bad)}.WARNED{color:var(--warn)}
.PASSED{color:var(--good)}td:nth-child(n+4):nth-child(-n+7){white-space:nowrap}code{font-size:12px;overflow-wrap:anywhere}
"""


def html_report(
    found: CheckResult, *, verdict: str, reasons: list[str], baseline: str, policy: str
) -> str:
    """Return the page as HTML.

    Args:
        found: Finished check. The page lists its signals worst first, and at most 50 rows.
        verdict: PASSED, WARNED or FAILED.
        reasons: What led to the verdict, worst first.
        baseline: Digest of the baseline, as text.
        policy: Digest of the policy as text, or words that say that there is none.
    """
    why = "".join(f"<li>{html_text(reason)}</li>" for reason in reasons)
    worst_first = sorted(found.records, key=lambda record: _WORST_FIRST.index(record.status))
    fired = [r for r in worst_first if r.status in (Status.FAILED, Status.WARNED)]
    plots = "".join(drawings(record, found.shapes.get(record.column)) for record in fired)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width">'
        f"<title>Sluicegate: {html_text(verdict)}</title>"
        f"<style>{_STYLE}{STYLE}</style></head><body>"
        f'<h1 class="{html_text(verdict)}">{html_text(verdict)}</h1>'
        f"<p>{found.n_rows} rows judged, tolerances are those of {html_text(found.blocks)} of the "
        f"baseline. {_NEXT.get(verdict, '')}</p><ul>{why}</ul>"
        f"<h2>Signals</h2>{_table(_COLUMNS, [_cells(r) for r in worst_first])}"
        f"{plots}{_limit(found)}<h2>Rows to look at</h2>{_rows(found)}"
        f"<h2>Judged with</h2><p>Baseline <code>{html_text(baseline)}</code><br>"
        f"Policy <code>{html_text(policy)}</code></p></body></html>\n"
    )


def _table(heads: tuple[str, ...], rows: list[str]) -> str:
    head = "".join(f"<th>{html_text(name)}</th>" for name in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _cells(record: SignalRecord) -> str:
    numbers = (record.effect, record.effect_bound, record.tolerance)
    shown = ["" if number is None else f"{number:.3g}" for number in numbers]
    p = record.p_value
    shown.append("" if p is None else f"{p:.3g}" if p >= 1e-12 else "< 1e-12")
    status = record.status.value
    texts = (status, record.code, record.column, *shown, record.message)
    cells = "".join(f"<td>{html_text(text)}</td>" for text in texts[1:])
    return f'<tr><td class="{status}">{status}</td>{cells}</tr>'


def _limit(found: CheckResult) -> str:
    for record in found.records:
        if "information_limit" in record.evidence:
            share = 100.0 * float(record.evidence["information_limit"])
            return (
                f"<p>Label flips below about {share:.2g} % of this batch cannot be found reliably "
                "by any test on these features (information limit).</p>"
            )
    return ""


def _rows(found: CheckResult) -> str:
    named = [i for i, codes in enumerate(found.row_reasons) if codes]
    if found.row_scores is None or not named:
        return "<p>No row is named by a signal that fired.</p>"
    scores = found.row_scores
    named.sort(key=lambda i: -scores[i])
    rows = []
    for i in named[:_TOP_ROWS]:
        name = str(i if found.row_ids is None else found.row_ids[i].as_py())[:80]
        texts = (name, f"{scores[i]:.2f}", ", ".join(found.row_reasons[i]))
        rows.append("<tr>" + "".join(f"<td>{html_text(text)}</td>" for text in texts) + "</tr>")
    return f"<p>{len(named)} rows named.</p>" + _table(("Row", "Probability", "Signals"), rows)
