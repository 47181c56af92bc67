"""The report: what was found, what was missed, how often clean data was stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from report_clean import clean_section, control_section, ramp_section, sizes_section
from report_found import by_rate, found_section, peer_section, ranking_section, row_section
from report_table import at_rate_and_size, shortfall

if TYPE_CHECKING:
    from units import Record

_HEAD = """# Detection: what is found, what is missed

Written by `python benchmarks/detection/run.py --write docs/detection.md`: {done} of {n_units} units
of work done{cut}.

Real data from wheels (flights, diamonds, handwriting with a pen, film reviews, images of digits as
vectors), split at random into a clean baseline, a golden set and a batch;
poison replaces rows of the batch. *Found* means that the verdict is FAILED because a signal fired.
The attacker knows everything: data, model and baseline. The rows of jittered and pair triggers,
dictionary, phrase, fixed trigger in texts, and near copies are **in-sample**: `TRIGGER_PAIRS`,
`DICTIONARY`, the size of text tables and the cells and group sizes of copies were designed while
looking at some of these very splits. The others were not fitted to these cases.

*met* rests on at least 20 batches; *so far* is a goal reached on fewer, which proves little;
*missed* is missed on any number.
"""

_NOT_BUILT = """## Missed, and why

- A trigger with noise in one column only, or in two where one already decides the label, crowds no
  place of its own; neither does one whose noise is wider than about a fifteenth of the rows.
- Columns of dates and times without a role are judged by their course if they grow, else counted
  as present or missing.
- Random flips below the information limit (flights and reviews at 1,500 rows) cannot be told from
  the natural error of labels. The limit is that of random flips: boundary flips carry less, since
  the attacker flips what the model is unsure of. In one split of the flights (10,000 rows, 3 %)
  they moved the estimated share of flips by 0.2 points, and no band of margins differed more than
  in the clean batch.
- Near copies are told from natural ones by the size of their groups; groups of fewer than four are
  left to their number.
- One per cent of 1,500 rows is fifteen: what is new in so few rows is near what clean batches show.
"""


def report(records: list[Record], *, n_units: int, n_old: int) -> str:
    """Return Markdown."""
    done = len({r["unit"] for r in records})
    cut = shortfall(n_units, done, n_old)
    missing = sorted({r["source"] for r in records if r["part"] == "missing"})
    parts = [_HEAD.format(done=done, n_units=n_units, cut=cut)]
    if missing:
        parts.append(f"Left out, because their wheels are not installed: {', '.join(missing)}.\n")
    attacks = [r for r in records if r["part"] == "attacks" and r["rate"] > 0]
    parts += [
        _NOT_BUILT,
        clean_section([r for r in records if r["part"] == "clean"]),
        control_section([r for r in records if r["part"] == "controls"]),
        found_section(attacks),
        by_rate(attacks),
        row_section([r for r in attacks if at_rate_and_size(r, 0.03, 1500)]),
        ranking_section([r for r in attacks if r.get("peer_roc")]),
        sizes_section([r for r in records if r["part"] == "sizes"]),
        ramp_section([r for r in records if r["part"] == "ramp"]),
        peer_section([r for r in records if r.get("peers") and r["rate"] in (0.0, 0.03)]),
    ]
    return "\n".join(part for part in parts if part)
