"""`sluicegate verify`: check evidence, and data against it, with nothing but public keys."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sluicegate.cli.options import (
    Subparsers,
    add_at,
    add_json,
    at_of,
    command,
    emit,
    exit_code_of,
    table,
)

if TYPE_CHECKING:
    import argparse


def register(commands: Subparsers) -> None:
    """Add the command."""
    parser = command(
        commands,
        "verify",
        run,
        "verify an evidence folder offline, and compare data with it",
        [
            "sluicegate verify evidence --trust trust.json",
            "sluicegate verify evidence data/2013-04 --trust trust.json --json",
            (
                "sluicegate verify evidence --trust trust.json --name flights "
                "--remembered-version 7 --require-ledger"
            ),
            "sluicegate verify evidence data/2013-04 --trust trust.json --exit-by-code",
        ],
    )
    parser.add_argument("evidence", type=Path, help="evidence folder")
    parser.add_argument("source", nargs="?", help="data to compare with the seal: path or URL")
    parser.add_argument("--trust", type=Path, required=True, help="trust policy")
    parser.add_argument("--name", metavar="SOURCE", help="refuse evidence of another source")
    parser.add_argument(
        "--remembered-version",
        type=int,
        metavar="N",
        help="refuse evidence of a version below this one, which was seen before",
    )
    parser.add_argument(
        "--remembered-trust-version",
        type=int,
        metavar="N",
        help="refuse a trust policy with a version below this one, which was used before",
    )
    parser.add_argument(
        "--require-ledger", action="store_true", help="refuse evidence without ledger proofs"
    )
    parser.add_argument(
        "--require-pq",
        action="store_true",
        help="refuse statements without a post-quantum signature (ML-DSA-65)",
    )
    parser.add_argument(
        "--log",
        metavar="TILES",
        help="refuse a folder that lacks what this copy of the whole log holds about its batch: "
        "directory or URL of `ledger export --tiles`",
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="PATH",
        help="compare only this file; needs a seal with a Merkle manifest; repeat for more files",
    )
    parser.add_argument(
        "--timestamp-authority",
        type=Path,
        metavar="TSA.pem",
        help="believe this authority's timestamps, which say when a certificate's key signed",
    )
    parser.add_argument(
        "--exit-by-code",
        action="store_true",
        help="exit with the number of the failure (docs/errors.md) instead of 1, 2 or 64",
    )
    add_at(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Verify, print each finding, and return the exit code of the gravest.

    Raises:
        ConfigError: --only was given, but the seal has no Merkle manifest.
    """
    from sluicegate.errors import ConfigError
    from sluicegate.workflow.evidence.large import MANIFEST_DIRECTORY
    from sluicegate.workflow.evidence.opening import read_trust
    from sluicegate.workflow.verification.report import HEADER, Demands
    from sluicegate.workflow.verification.verify import verify_folder

    trust = read_trust(arguments.trust, remembered_version=arguments.remembered_trust_version)
    if arguments.only and not (arguments.evidence / MANIFEST_DIRECTORY).is_dir():
        raise ConfigError("--only needs a seal with a Merkle manifest", locator="--only")
    report = verify_folder(
        arguments.evidence,
        trust,
        at=at_of(arguments),
        data=arguments.source,
        demands=Demands(
            source=arguments.name,
            remembered_version=arguments.remembered_version,
            ledger=arguments.require_ledger,
            post_quantum=arguments.require_pq,
            timestamp_authorities=_authority(arguments.timestamp_authority),
            log=arguments.log or "",
        ),
        only=arguments.only,
    )
    rows = [finding.to_row() for finding in report.findings]
    valid = "VALID" if report.gravest is None else "NOT VALID"
    emit(
        {**report.to_dict(), "trust_version": trust.version},
        [
            f"{report.source or 'unknown source'}: {valid} under trust policy {trust.version}",
            *table(rows, HEADER),
        ],
        as_json=arguments.json,
    )
    gravest = report.gravest
    return exit_code_of(gravest, arguments) if gravest is not None else 0


def _authority(path: Path | None) -> bytes:
    from sluicegate.adapters.files.named_file import read_named

    return b"" if path is None else read_named(path, "the authority cannot be read")
