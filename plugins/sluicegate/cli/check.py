"""`sluicegate check`: judge a batch against a baseline without signing anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sluicegate.cli.options import Subparsers, command, say, table
from sluicegate.errors import Outcome

if TYPE_CHECKING:
    import argparse


_SMALL: Final = (
    "so few rows are not judged alone: `sluicegate gate` judges them together with the batches "
    "before them, which its ledger knows"
)


def register(commands: Subparsers) -> None:
    """Add the command."""
    parser = command(
        commands,
        "check",
        run,
        "judge a batch against a baseline and explain the result",
        [
            "sluicegate check batch.parquet --baseline baseline --json out.json",
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


def run(arguments: argparse.Namespace) -> int:
    """Judge the batch, print and write the result; 0 if training may start, 1 if not."""
    from sluicegate.adapters.files.named_file import write_named, writing
    from sluicegate.signals.comparison import MIN_ROWS
    from sluicegate.workflow.admission.stopped import reason_lines
    from sluicegate.workflow.judging.check import check

    done = check(
        arguments.batch,
        baseline=arguments.baseline,
        policy=arguments.policy,
        history=arguments.history,
        source=arguments.source,
        rows=arguments.rows is not None or arguments.report is not None,
    )
    if arguments.json is not None:
        write_named(arguments.json, done.to_json().encode(), "the result cannot be written")
    if arguments.rows is not None:
        from sluicegate.adapters.reports.rows import write_rows

        with writing(arguments.rows, "the row report cannot be written") as draft:
            write_rows(done.found, draft)
    if arguments.report is not None:
        write_named(arguments.report, done.to_html().encode(), "the report cannot be written")
    rows = [(r.status.value, r.code, r.column, r.message) for r in done.records]
    say(table(rows, ("STATUS", "SIGNAL", "COLUMN", "FINDING")))
    n = len(done.reasons)
    found = f"{n} reason{'s'[: n != 1]}"
    lines = [f"{done.verdict.value}: {done.found.n_rows} rows, {found}"]
    lines += reason_lines(done.reasons)
    lines += [f"  not asked here, the gate does: {name}" for name in done.not_asked]
    lines += [
        f"  does not apply, the baseline has nothing for it: {k}" for k in done.not_applicable
    ]
    if done.found.n_rows < MIN_ROWS:
        lines.append(f"  {_SMALL}")
    lines.append(f"  tolerances are those of {done.found.blocks} of the baseline")
    say(lines)
    return 0 if done.accepted else Outcome.CHECKED_AND_BAD.value
