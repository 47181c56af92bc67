"""`sluicegate check`: judge a batch against a baseline without signing anything."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from sluicegate.cli.options import MOST_SHOWN, Subparsers, command, say, table
from sluicegate.cli.terminal import progress
from sluicegate.errors import Outcome

if TYPE_CHECKING:
    import argparse

    from sluicegate.workflow.judging.check import Checked


def register(commands: Subparsers) -> None:
    """Add the command."""
    parser = command(
        commands,
        "check",
        run,
        "judge a batch against a baseline and explain the result",
        [
            "sluicegate check batch.parquet --baseline baseline",
            "sluicegate check batch.parquet --baseline baseline --all --report report.html",
            "sluicegate check batch --baseline baseline --json out.json --rows rows.parquet",
            "sluicegate check july.parquet --baseline b --history past --json past/007.json",
        ],
    )
    parser.add_argument("batch", help="file, directory, glob, URL, or location of rows")
    parser.add_argument("--baseline", type=Path, required=True, help="baseline directory")
    parser.add_argument(
        "--history",
        type=Path,
        metavar="DIR",
        help="directory with the OUT.json of each earlier check of this source, in order of name; "
        "a change that is too small to show in one batch adds up over them; only read",
    )
    parser.add_argument("--policy", type=Path, help="policy file (default: each signal counts)")
    parser.add_argument("--source", default="", help="with --policy: use the rules of this source")
    parser.add_argument("--json", type=Path, metavar="OUT.json", help="write the findings here")
    parser.add_argument(
        "--rows", type=Path, metavar="ROWS.parquet", help="write a score for each row here"
    )
    parser.add_argument(
        "--report", type=Path, metavar="REPORT.html", help="write a page for a browser here"
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help=f"print every finding (default: up to {MOST_SHOWN} that speak against the batch, and "
        "how many passed)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Judge the batch, print and write the result; 0 if training may start, 1 if not."""
    from sluicegate.adapters.files.named_file import write_named, writing
    from sluicegate.workflow.judging.check import check

    with progress("rows", quiet=arguments.json is not None) as on_rows:
        done = check(
            arguments.batch,
            baseline=arguments.baseline,
            policy=arguments.policy,
            history=arguments.history,
            source=arguments.source,
            rows=arguments.rows is not None or arguments.report is not None,
            on_rows=on_rows,
        )
    if arguments.json is not None:
        write_named(arguments.json, done.to_json().encode(), "the result cannot be written")
    if arguments.rows is not None:
        from sluicegate.adapters.reports.rows import write_rows

        with writing(arguments.rows, "the row report cannot be written") as draft:
            write_rows(done.found, draft)
    if arguments.report is not None:
        write_named(arguments.report, done.to_html().encode(), "the report cannot be written")
    say(_said(done, whole=arguments.all, report=arguments.report is not None))
    return 0 if done.accepted else Outcome.CHECKED_AND_BAD.value


def _said(done: Checked, *, whole: bool, report: bool) -> list[str]:
    """Return what a person reads: what fired and what to do next, then what passed."""
    from sluicegate.adapters.reports.told import told
    from sluicegate.adapters.reports.words import counted, untitled
    from sluicegate.workflow.admission.stopped import reason_lines

    n, passed = len(done.reasons), told(done.records, done.reasons).passed
    lines = [f"{done.verdict.value}: {done.found.n_rows} rows, {n} reason{'s'[: n != 1]}"]
    most = None if whole else MOST_SHOWN
    lines += reason_lines(done.reasons, most=most, rest="--all lists them")
    lines += [f"  {done.hint}"] if done.hint else []
    if n and not report:
        lines.append("  Next: --report REPORT.html draws what fired and names the worst rows.")
    counts = Counter(record.code for record in passed).most_common()
    several = [f"{n:,} {code}" for code, n in counts if n > 1]
    one_each = counted(len(counts) - len(several), "other signal")
    lines.append(
        f"  {counted(len(passed), 'finding')} passed: {', '.join([*several, one_each])}"
        + ("" if whole else " (--all lists them)")
    )
    notes = done.notes
    lines += [f"  {note}" for note in notes[:most]]
    if notes[MOST_SHOWN:] and not whole:
        lines.append(
            f"  and {counted(len(notes) - MOST_SHOWN, 'more such note')} (--all lists them)"
        )
    lines.append(f"  Tolerances are those of {done.found.blocks} of the baseline.")
    if not whole:
        return lines
    rows = [(r.code, r.column, untitled(r.message, r.code, r.column)) for r in passed]
    return [*lines, "", *table(rows, ("PASSED", "COLUMN", "FINDING"))]
