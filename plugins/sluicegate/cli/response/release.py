"""`sluicegate release`: judge a quarantined batch again, and end its quarantine if it passes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.cli.options import (
    Installation,
    Subparsers,
    add_installation,
    command,
    command_line_run,
    emit,
    installation_of,
)
from sluicegate.digest.algorithms import DIR_HASH_1, Digest
from sluicegate.errors import ConfigError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from sluicegate.workflow.evidence.batch import IssuedVerdict, SealedBatch


def register(commands: Subparsers) -> None:
    """Add the command."""
    parser = command(
        commands,
        "release",
        run,
        "judge a quarantined batch again, and end its quarantine if it passes",
        ['sluicegate release flights --reason "supplier confirmed the labels" --home sluice'],
    )
    parser.add_argument("source", help="name of the source")
    parser.add_argument("--digest", help="dirHash1 digest of the batch (default: the newest)")
    parser.add_argument("--reason", default="", help="why, in words")
    add_installation(parser, signs=True)


def run(arguments: argparse.Namespace) -> int:
    """Judge the batch, release it if it passes, and print the verdict."""
    from sluicegate.workflow.judging.runners import evaluate_directly
    from sluicegate.workflow.response.quarantine import release_batch

    place = installation_of(arguments)
    issued = release_batch(
        place.home,
        arguments.source,
        digest_of(arguments.digest),
        reason=arguments.reason,
        signers=place.gate_signers(),
        runner=evaluate_directly,
        run=command_line_run(),
        at=place.at,
    )
    _print(issued, "released", as_json=arguments.json)
    return 0


def digest_of(text: str | None) -> Digest | None:
    """Return the digest of the batch that an option names; None if it names none.

    Args:
        text: ``algorithm:hex``, or the hexadecimal digits of a dirHash1.

    Raises:
        ConfigError: The text is not a digest that identifies a batch.
    """
    from sluicegate.attest.contents import IDENTITIES, is_identity

    if text is None:
        return None
    algorithm, _, value = text.rpartition(":")
    if algorithm and not is_identity(algorithm):
        expected = " or ".join(IDENTITIES)
        raise ConfigError("not the digest of a batch", locator=text[:80], expected=expected)
    return Digest(algorithm or DIR_HASH_1, value)


def gate_and_print(
    place: Installation, batch: SealedBatch, by: Mapping[str, str], *, as_json: bool
) -> int:
    """Judge a batch, log and print the verdict, and return 0.

    Args:
        place: Policy, ledger and keys.
        batch: Batch that is sealed already.
        by: Who runs the command, for the verdict.
        as_json: Print one JSON object.

    Raises:
        SluicegateError: The verdict does not let training start; it was printed before.
    """
    from sluicegate.adapters.policy_file import read_policy
    from sluicegate.workflow.judging.gate import gate_source
    from sluicegate.workflow.judging.runners import evaluate_directly

    policy = read_policy(place.home.policy)
    issued, _ = gate_source(
        place.home,
        batch.source,
        signers=place.gate_signers(),
        at=place.at,
        run=by,
        runner=evaluate_directly,
        digest=batch.digest,
        policy=policy,
    )
    _print(issued, "judged", as_json=as_json)
    issued.verdict.require_passed(policy, at=place.at)
    return 0


def _print(issued: IssuedVerdict, what: str, *, as_json: bool) -> None:
    verdict = issued.verdict
    emit(
        {
            "source": verdict.source,
            "digest": str(verdict.digest),
            "verdict": verdict.result.value,
            "index": issued.index,
        },
        [f"{what} {verdict.source}@{verdict.digest.short}: {verdict.result}, {verdict.summary()}"],
        as_json=as_json,
    )
