"""The page of a check: what it shows first, how large it gets, and that text stays text."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pytest

from sluicegate.adapters.reports.html_report import html_report
from sluicegate.adapters.reports.told import told
from sluicegate.adapters.reports.words import IN_WINDOW, LABELS_BY, PARTS, TIED
from sluicegate.gate.judgement import Compared, judge
from sluicegate.signals.decision.record import Family, SignalRecord, Status
from sluicegate.signals.decision.shape import MAX_CELLS, MAX_PARTS, Drawn, Part, Shape
from sluicegate.signals.evaluate import CheckResult

HOSTILE = "</pre><script>alert(1)</script><img src=x onerror=\"a()\">' style='x:url(//y)&lt;\x1b[2J"
WORST = "'" * 400
"""Each character takes six bytes in HTML."""


def record(code="DRIFT_NUMERIC", column="x", status=Status.WARNED, **other):
    sizes = {"effect": 0.4, "effect_bound": 0.3, "tolerance": 0.1, "p_value": 1e-20}
    given = {"family": Family.DRIFT, "effect_unit": "share of rows", "n_batch": 100, **sizes}
    where = f"{code}: column {column}" if column else code
    message = f"{where}: the distribution moved (p < 1e-12). Expect worse predictions."
    return SignalRecord(
        code=code, column=column, status=status, **{**given, "message": message, **other}
    )


def page(records, *, name="x", ids=None, shapes=None, n_rows=100, **other):
    """Return the page about a batch whose rows are all named."""
    judged = judge(None, [Compared(tuple(records))])
    found = CheckResult(
        records=tuple(records),
        n_rows=n_rows,
        batch_score=1.0,
        row_scores=np.linspace(0, 1, n_rows),
        row_reasons=((f"CODE {name}",),) * n_rows,
        row_ids=pa.chunked_array([ids if ids is not None else [name] * n_rows]),
        shapes=shapes or {},
        blocks=f"blocks {name}",
    )
    given = {
        "batch": f"batch {name}",
        "judged_with": {"baseline": f"sha256:{name}"},
        "again": [f"sluicegate check {name}"],
        "hints": [f"hint {name}"],
        "notes": [f"note {name}"],
    }
    return html_report(found, verdict=judged.result, reasons=judged.reasons, **{**given, **other})


def spread(*names, before=(90, 10), now=(60, 40), parts=()):
    return Shape("x", Drawn.NUMBERS, (*names, "missing"), before, now, parts, f"note {names[0]}")


def by_contributor(name):
    return spread(name, parts=(Part(f"contributor {name}", (50, 0), (0, 30)),))


def accusing(name):
    """Return records that hold a text wherever data may bring one."""
    listed = [{"subject": f"contributor {name}", "effect": 0.2}]
    return [
        record(column=name, effect_unit=f"unit {name}", evidence={"contributors": listed}),
        record("LABEL_FLIPS", name, Status.FAILED, message=f"LABEL_FLIPS: {name}. Review {name}."),
        record("OUTLIERS", name, Status.NOT_EVALUATED, message=f"OUTLIERS: not evaluated: {name}"),
        record("LEAKAGE", name, Status.NOT_EVALUATED, message=f"LEAKAGE: not evaluated: {name}"),
        record("COMPLETENESS", name, Status.PASSED),
    ]


class Tags(HTMLParser):
    """The elements of a page with their attributes, the headings, and what is folded."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.headings, self.texts, self._open = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, *attrs))
        if tag not in {"meta", "rect"}:
            self._open.append(tag)
        if re.fullmatch(r"h\d", tag):
            self.headings.append(int(tag[1]))

    def handle_endtag(self, tag):
        if tag != "rect":
            assert self._open.pop() == tag, "elements are closed in order"

    def handle_data(self, data):
        self.texts.append((data, "details" in self._open))


def test_text_from_data_never_becomes_an_element():
    """The same findings under harmless names make the same elements with the same attributes."""
    found = Tags(page(accusing(HOSTILE), name=HOSTILE, shapes={HOSTILE: by_contributor(HOSTILE)}))
    harmless = Tags(page(accusing("calm"), name="calm", shapes={"calm": by_contributor("calm")}))
    assert found.tags == harmless.tags
    shown = "".join(text for text, _ in found.texts)
    assert shown.count("<script>alert(1)</script>") > 20, "each text that data bring is shown"
    assert "\x1b" not in shown


def test_page_runs_and_loads_nothing_should_an_escape_be_missed():
    assert (
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    ) in page(accusing("x"))


def test_what_a_person_needs_comes_first():
    text = page(accusing("x"), shapes={"x": spread("x")})
    assert re.findall(r"<h2>([^<]*)</h2>", text) == list(PARTS)
    above = text.partition("<h2>")[0]
    assert "✕" in above
    assert "And 2 more findings." in above, "two that lack the same are one"


def test_headings_are_in_order_and_tables_have_heads():
    found = Tags(page(accusing("x"), shapes={"x": spread("x")}))
    assert found.headings[0] == 1
    steps = zip(found.headings, found.headings[1:], strict=False)
    assert all(after - before <= 1 for before, after in steps)
    tables = sum(tag == "table" for tag, *_ in found.tags)
    assert tables == sum(tag == "thead" for tag, *_ in found.tags) > 3
    assert all(("scope", "col") in a or ("scope", "row") in a for t, *a in found.tags if t == "th")


def test_plot_is_text_too():
    """Who hears the page gets each number that a bar shows."""
    found = Tags(page(accusing("x"), shapes={"x": spread("low", before=(25, 75), now=(75, 25))}))
    assert all(("aria-hidden", "true") in a for tag, *a in found.tags if tag == "svg")
    texts = [text for text, _ in found.texts]
    at = texts.index("low")
    assert texts[at + 1 : at + 3] == ["25.0 %", "75.0 %"]


def test_words_and_windows_of_a_finding_are_drawn_without_their_text():
    tied = [{"token": "secret", "rows": 40, "rows_of_class": 30, "rows_before": 1}]
    windows = {"hours": {"explained": 5.0, "rows": 50, "from_ms": 0, "to_ms": 1}}
    evidence = {"associations": tied, "windows": windows}
    text = page([record("TRIGGER_TOKENS", n_baseline=100, evidence=evidence)])
    assert f"{TIED} in " in text
    assert "number 1: 75.0 % of its rows have one label" in text
    assert html.escape(IN_WINDOW) in text
    assert "secret" not in text


def test_labels_of_a_contributor_are_drawn_and_told():
    text = page([record("LABEL_FLIPS", "x")], shapes={"x": by_contributor("spam")})
    assert LABELS_BY in text
    assert "spam 100.0 %, now missing 100.0 %" in text
    assert 'class="class0"' in text


def test_column_of_several_findings_is_drawn_once():
    records = [record("DRIFT_NUMERIC"), record("OUTLIERS")]
    assert page(records, shapes={"x": spread("x")}).count("missing</th>") == 1


def test_what_passed_is_folded():
    found = Tags(page([record("COMPLETENESS", "calm column", Status.PASSED)]))
    assert ("calm column", True) in found.texts
    assert not [text for text, folded in found.texts if text == "calm column" and not folded]
    assert ("1 finding passed", True) in found.texts


def test_passed_page_says_that_there_is_nothing_to_do():
    text = page([record(status=Status.PASSED)], hints=[])
    assert "No signal fired." in text
    assert "Nothing to do" in text
    assert "<figure>" not in text
    assert "<h2>Findings</h2>" not in text


@pytest.mark.parametrize("status", [Status.WARNED, Status.PASSED])
def test_page_of_two_thousand_columns_is_below_a_megabyte(status):
    columns = [f"{n:04d}{WORST}" for n in range(2000)]
    listed = [{"subject": WORST, "effect": 0.1}] * 500
    records = [
        record(
            code,
            column,
            status,
            evidence={"contributors": listed},
            message=f"{code}: column {column}: {column * 5}.",
        )
        for code in ("DRIFT_NUMERIC", "COMPLETENESS", "OUTLIERS")
        for column in columns
    ]
    rows = (1,) * MAX_CELLS
    parts = (Part(WORST, rows, rows),) * MAX_PARTS
    shape = spread(*(WORST,) * (MAX_CELLS - 1), before=rows, now=rows, parts=parts)
    text = page(records, name=WORST, shapes=dict.fromkeys(columns, shape), notes=[WORST] * 2000)
    assert len(text.encode()) < 1_000_000
    assert re.search("And 5,[78]50 more, which <code>check --json OUT.json</code> writes", text)


def test_page_of_many_flagged_rows_is_below_a_megabyte():
    n_rows = 100_000
    ids = pa.array([f"{n:06d}{WORST}" for n in range(n_rows)])
    text = page([record()], name=WORST, ids=ids, n_rows=n_rows)
    assert len(text.encode()) < 1_000_000
    assert "100,000 rows of 100,000 named by what fired." in text
    assert re.findall(r"<td>(\d{6})&#x27;", text)[:2] == ["099999", "099998"], "worst first"
    assert len(re.findall(r"<td>\d{6}&#x27;", text)) == 50


def test_told_keeps_what_lacks_the_same_apart_from_its_records():
    records = accusing("x")
    said = told(records, judge(None, [Compared(tuple(records))]).reasons)
    assert [one.record and one.record.code for one in said.against] == [
        "LABEL_FLIPS",
        None,
        "DRIFT_NUMERIC",
    ]
    assert [one.code for one in said.passed] == ["COMPLETENESS"]
