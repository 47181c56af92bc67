"""`sluicegate audit`: verify the ledger and its statements, and that nobody went around them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sluicegate.cli.administration.airflow_login import add_login, log_in
from sluicegate.cli.options import (
    Subparsers,
    add_at,
    add_home,
    add_json,
    at_of,
    command,
    emit,
    home_of,
    now,
    table,
)
from sluicegate.errors import ConfigError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from sluicegate.workflow.auditing.audit import Audit
    from sluicegate.workflow.auditing.run_records import RunRecords
    from sluicegate.workflow.auditing.witnesses import Cosigned
    from sluicegate.workflow.evidence.home import SluiceHome
    from sluicegate.workflow.evidence.verified import Evidence

_MAX_LAG_HOURS = 24 * 366


def register(commands: Subparsers) -> None:
    """Add the command."""
    parser = command(
        commands,
        "audit",
        run,
        "verify the whole ledger and each statement in it, and report what went around it",
        [
            "sluicegate audit --home sluice",
            "sluicegate audit --home sluice --remembered checkpoint --only-new --save checkpoint",
            (
                "sluicegate audit --home sluice "
                "--airflow-url https://airflow.example.com --airflow-user auditor"
            ),
            "sluicegate audit --home sluice --airflow-runs runs.json --json",
        ],
    )
    add_home(parser)
    parser.add_argument(
        "--remembered",
        type=Path,
        metavar="FILE",
        help="earlier checkpoint to compare with (default: the installation's)",
    )
    parser.add_argument(
        "--only-new", action="store_true", help="check only what was added since then"
    )
    parser.add_argument(
        "--save", type=Path, metavar="FILE", help="write the newest checkpoint of a sound ledger"
    )
    parser.add_argument(
        "--data",
        nargs="*",
        metavar="SOURCE=PLACE",
        help="hash the newest sealed batches again, where they were sealed, or at a path or URL",
    )
    parser.add_argument(
        "--cosigned",
        type=Path,
        metavar="FILE",
        help="checkpoint that witnesses cosigned (default: the one in the home directory)",
    )
    parser.add_argument(
        "--witness-lag",
        type=float,
        default=24.0,
        metavar="HOURS",
        help="how long new leaves may wait for the witnesses (default: 24)",
    )
    _add_airflow(parser)
    add_at(parser)
    add_json(parser)


def _add_airflow(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("Airflow's records")
    add_login(group, "to read them from")
    group.add_argument(
        "--airflow-runs", type=Path, metavar="FILE", help="records saved by an earlier audit"
    )
    group.add_argument(
        "--save-airflow-runs", type=Path, metavar="FILE", help="save the records that were read"
    )
    group.add_argument(
        "--airflow-since", metavar="TIME", help="leave out tasks that started before, RFC 3339 UTC"
    )
    group.add_argument(
        "--protect-tags",
        default="training",
        metavar="TAGS",
        help="names separated by commas, as in [sluicegate] protect_tags (default: training)",
    )
    group.add_argument(
        "--protect-assets",
        default="",
        metavar="PREFIXES",
        help="prefixes separated by commas, as in [sluicegate] protect_assets; sluicegate:// "
        "always counts too",
    )


def run(arguments: argparse.Namespace) -> int:
    """Audit, print each finding, and return the exit code of the gravest."""
    from sluicegate.adapters.files.named_file import write_named
    from sluicegate.workflow.auditing.audit import audit, open_for_audit
    from sluicegate.workflow.auditing.runs import RunRules

    at, home = at_of(arguments), home_of(arguments)
    evidence = open_for_audit(home, at=at)
    tags = frozenset(_listed(arguments.protect_tags))
    found = audit(
        evidence,
        at=at,
        remembered=_remembered(arguments, home, evidence),
        only_new=arguments.only_new,
        records=_records(arguments),
        rules=RunRules(tags=tags),
        data=arguments.data is not None,
        places=_places(arguments.data or ()),
        cosigned=_cosigned(arguments.cosigned, home, arguments.witness_lag),
    )
    if arguments.save is not None and found.checkpoint:
        write_named(arguments.save, found.checkpoint, "the checkpoint cannot be written")
    emit(found.to_dict(), _lines(found), as_json=arguments.json)
    return found.exit_code


def _remembered(
    arguments: argparse.Namespace, home: SluiceHome, evidence: Evidence
) -> bytes | None:
    """Return the checkpoint to compare with: the auditor's own, otherwise the installation's.

    Only the auditor's own checkpoint may stand for leaves that are not read again.
    """
    from sluicegate.adapters.files.named_file import read_named
    from sluicegate.workflow.evidence.remember import require_remembered

    if arguments.remembered is not None:
        return read_named(arguments.remembered, "the checkpoint cannot be read")
    return None if arguments.only_new else require_remembered(home, evidence) or None


def _cosigned(named: Path | None, home: SluiceHome, hours: float) -> Cosigned:
    from sluicegate.adapters.files.named_file import read_named
    from sluicegate.workflow.auditing.witnesses import Cosigned

    if not 0 <= hours <= _MAX_LAG_HOURS:
        expected = f"0 to {_MAX_LAG_HOURS} hours"
        raise ConfigError("not a time to wait", locator="--witness-lag", expected=expected)
    lag = timedelta(hours=hours)
    if named is None:
        return Cosigned.read(home.cosigned, lag)
    # If a named file is missing, that is a mistake, and not a ledger without witnesses.
    return Cosigned(read_named(named, "the cosigned checkpoint cannot be read"), lag)


def _lines(found: Audit) -> list[str]:
    head = (
        f"{found.n_leaves} of {found.size} leaves, {found.n_statements} statements and "
        f"{found.n_tasks} task tries checked: "
    )
    if not found.findings:
        return [f"{head}nothing found"]
    rows = [
        (item.kind.severity.value, item.code, item.locator, item.message) for item in found.findings
    ]
    steps = {item.code: item.kind.next_step for item in found.findings}
    return [
        f"{head}{len(found.findings)} findings",
        *table(rows, ("SEVERITY", "CODE", "WHERE", "FOUND")),
        "",
        *table(list(steps.items()), ("CODE", "NEXT STEP")),
    ]


def _records(arguments: argparse.Namespace) -> RunRecords | None:
    from sluicegate.adapters.files.named_file import write_named
    from sluicegate.workflow.auditing.run_records import read_records

    if arguments.airflow_url and arguments.airflow_runs:
        raise ConfigError("--airflow-url and --airflow-runs exclude each other", locator="audit")
    if arguments.airflow_runs:
        return read_records(arguments.airflow_runs)
    if not arguments.airflow_url:
        return None
    records = _collect(arguments)
    if arguments.save_airflow_runs is not None:
        what = "the records cannot be written"
        write_named(arguments.save_airflow_runs, records.to_json(), what)
    return records


def _collect(arguments: argparse.Namespace) -> RunRecords:
    from sluicegate.workflow.auditing.collect_records import collect_records

    api = log_in(arguments)
    since = None
    if arguments.airflow_since:
        from sluicegate.attest.timestamps import parse_timestamp

        since = parse_timestamp(arguments.airflow_since, locator="--airflow-since")
    assets = _listed(arguments.protect_assets)
    return collect_records(api, collected=now(), since=since, assets=assets)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _places(pairs: Sequence[str]) -> dict[str, str]:
    places = {}
    for pair in pairs:
        source, equals, path = pair.partition("=")
        if not equals:
            raise ConfigError("not a place", locator=pair, expected="SOURCE=PLACE")
        places[source] = path
    return places
