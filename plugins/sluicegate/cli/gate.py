"""`sluicegate gate`: judge a sealed batch of a source and sign the verdict."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sluicegate.cli.options import (
    MOST_SHOWN,
    Subparsers,
    add_hash,
    add_installation,
    command,
    command_line_run,
    emit,
    installation_of,
)
from sluicegate.cli.terminal import progress
from sluicegate.errors import SluicegateError

if TYPE_CHECKING:
    import argparse


def register(commands: Subparsers) -> None:
    """Add the command."""
    parser = command(
        commands,
        "gate",
        run,
        "seal a batch if a path is given, judge it, and record the signed verdict",
        [
            "sluicegate gate flights --home sluice",
            "sluicegate gate flights --home sluice --seal data/2013-04 --suite tabular.json",
            (
                "sluicegate gate flights --home sluice --key gate=gate.pem "
                "--key gate=gate-quantum.pem"
            ),
        ],
    )
    parser.add_argument("source", help="name of the source")
    parser.add_argument(
        "--seal", metavar="DATA", help="seal this path or URL first, and judge that batch"
    )
    add_hash(parser, "with --seal: ")
    parser.add_argument("--suite", type=Path, help="Great Expectations suite (default: none)")
    add_installation(parser, signs=True)


def run(arguments: argparse.Namespace) -> int:
    """Seal if asked, judge, append the verdict, and print it; 0 if training may start."""
    from sluicegate.adapters.policy_file import read_policy
    from sluicegate.workflow.admission.stopped import reason_lines
    from sluicegate.workflow.judging.gate import gate_source
    from sluicegate.workflow.judging.runners import evaluate_directly, suite_runner, watched
    from sluicegate.workflow.sealing.own_batch import batch_of_run
    from sluicegate.workflow.sealing.seal import seal_into_ledger

    place, by = installation_of(arguments), command_line_run()
    home, at = place.home, place.at
    if arguments.seal is None:
        named = batch_of_run(place.evidence(), arguments.source, by, at=at)
    else:
        named = seal_into_ledger(
            arguments.seal,
            arguments.source,
            evidence=place.evidence(append=True),
            signer=place.signer("source"),
            at=at,
            run=by,
            algorithm=arguments.hash,
        )
        # Whoever is killed while judging cannot say it any more, as when memory ends.
        sys.stderr.write(
            f"sealed {arguments.source}@{named.digest.short}, which has no verdict yet; if none "
            f"follows, run `sluicegate gate {arguments.source}`\n"
        )
        sys.stderr.flush()
    policy = read_policy(home.policy)
    runner = suite_runner(arguments.suite) if arguments.suite else evaluate_directly
    with progress("rows", quiet=arguments.json) as on_rows:
        issued, batch = gate_source(
            home,
            arguments.source,
            signers=place.gate_signers(),
            at=at,
            run=by,
            runner=watched(runner, on_rows),
            digest=None if named is None else named.digest,
            policy=policy,
        )
    verdict = issued.verdict
    emit(
        {
            "verdict": verdict.result.value,
            "source": batch.source,
            "digest": str(batch.digest),
            "index": issued.index,
            "envelope": str(issued.envelope),
            "reasons": [reason.message for reason in verdict.reasons],
            **({} if verdict.pool is None else {"pool": verdict.pool.to_json()}),
        },
        [
            (
                f"{verdict.result.value}  {batch.source}@{batch.digest.short}"
                f"  ledger entry {issued.index}"
            ),
            *([] if verdict.pool is None else [f"  {verdict.pool.text}"]),
            *reason_lines(verdict.reasons, most=MOST_SHOWN, rest="--json lists them"),
        ],
        as_json=arguments.json,
    )
    try:
        verdict.require_passed(policy, at=at)
    except SluicegateError as error:
        # The result was printed already: a second JSON object would break its reader.
        sys.stderr.write(f"sluicegate: {error}\n")
        return int(error.outcome.value)
    return 0
