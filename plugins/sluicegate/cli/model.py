"""`sluicegate model`: judge a trained model against its champion, or ask for the verdict."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sluicegate.cli.options import (
    Subparsers,
    add_installation,
    command,
    command_line_run,
    emit,
    installation_of,
)

if TYPE_CHECKING:
    import argparse

    from sluicegate.workflow.evidence.batch import IssuedVerdict


def register(commands: Subparsers) -> None:
    """Add the command and its actions."""
    parser = command(
        commands,
        "model",
        run,
        "compare a challenger with its champion on a sealed golden set, or verify the verdict",
        [
            (
                "sluicegate model check late --model models/new --golden golden "
                "--schema schema.yaml --champion old.parquet --challenger new.parquet "
                "--trained-on flights --home sluice"
            ),
            "sluicegate model verify late --model models/new --home sluice",
        ],
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = actions.add_parser("check", help="judge the model, sign the verdict and log it")
    verify = actions.add_parser("verify", help="ask whether these files may be promoted")
    for action in (check, verify):
        action.add_argument("name", help="name of the model")
        action.add_argument("--model", type=Path, required=True, help="the challenger's files")
    check.add_argument("--golden", required=True, help="sealed source that is the golden set")
    check.add_argument("--schema", type=Path, required=True, help="YAML with the columns' roles")
    for which in ("champion", "challenger"):
        check.add_argument(
            f"--{which}",
            type=Path,
            required=True,
            metavar="ANSWERS",
            help="Parquet or CSV with the id column and `prediction`, one row for each golden row",
        )
    check.add_argument(
        "--trained-on",
        action="append",
        required=True,
        metavar="SOURCE",
        help="sealed source that the challenger was trained on; repeat",
    )
    add_installation(check, signs=True)
    add_installation(verify)


def run(arguments: argparse.Namespace) -> int:
    """Judge a model, or ask for its verdict; 0 if it may be promoted."""
    return (_check if arguments.action == "check" else _verify)(arguments)


def _check(arguments: argparse.Namespace) -> int:
    """Judge and print; a verdict that does not pass is exit code 1."""
    from sluicegate.adapters.policy_file import read_policy
    from sluicegate.cli.baseline import read_schema
    from sluicegate.workflow.judging.model_gate import Contest, judge_model

    place = installation_of(arguments)
    contest = Contest(
        name=arguments.name,
        model=arguments.model,
        golden=arguments.golden,
        schema=read_schema(arguments.schema),
        champion=arguments.champion,
        challenger=arguments.challenger,
        trained_on=arguments.trained_on,
    )
    policy = read_policy(place.home.policy)
    issued = judge_model(
        place.home,
        contest,
        signers=place.gate_signers(),
        run=command_line_run(),
        at=place.at,
        policy=policy,
    )
    _print(issued, as_json=arguments.json)
    return 0 if policy.for_source(issued.verdict.source).starts(issued.verdict.result) else 1


def _verify(arguments: argparse.Namespace) -> int:
    """Print the verdict that lets the files pass, or raise."""
    from sluicegate.workflow.judging.model_gate import require_model

    place = installation_of(arguments)
    issued = require_model(
        place.home, place.evidence(), arguments.name, arguments.model, at=place.at
    )
    _print(issued, as_json=arguments.json)
    return 0


def _print(issued: IssuedVerdict, *, as_json: bool) -> None:
    verdict = issued.verdict
    emit(
        {
            "verdict": verdict.result.value,
            "model": verdict.source,
            "digest": str(verdict.digest),
            "golden": str(verdict.baseline),
            "index": issued.index,
            "reasons": [reason.message for reason in verdict.reasons],
        },
        [
            (
                f"{verdict.result}  {verdict.source}@{verdict.digest.short}  "
                f"ledger entry {issued.index}"
            ),
            *(f"  {reason.result}  {reason.message}" for reason in verdict.reasons),
        ],
        as_json=as_json,
    )
