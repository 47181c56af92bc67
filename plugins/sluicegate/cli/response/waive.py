"""`sluicegate waive`: two people accept, for a while, that a signal fired on one batch."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sluicegate.adapters.files.named_file import read_named, write_named
from sluicegate.cli.options import (
    Installation,
    Subparsers,
    add_installation,
    add_role_key,
    command,
    emit,
    installation_of,
    role_key_of,
    user_name,
)
from sluicegate.errors import ConfigError

if TYPE_CHECKING:
    import argparse


def register(commands: Subparsers) -> None:
    """Add the command."""
    parser = command(
        commands,
        "waive",
        run,
        "ask for an exception for the newest failed verdict, confirm one, or revoke one",
        [
            (
                'sluicegate waive flights --signal LABEL_FLIPS --reason "relabelled on purpose" '
                "--hours 24 --key person1.pem --out waiver.json"
            ),
            "sluicegate waive --confirm waiver.json --key person2.pem --home sluice",
            'sluicegate waive flights --revoke --reason "a mistake" --key person1.pem',
        ],
    )
    parser.add_argument("source", nargs="?", help="name of the source")
    parser.add_argument(
        "--signal",
        action="append",
        default=[],
        metavar="CODE",
        help="code of the signal to accept; repeat",
    )
    parser.add_argument("--reason", default="", help="why, in words; it is signed and kept")
    parser.add_argument("--hours", type=float, default=24, help="how long it holds (default: 24)")
    add_role_key(parser, "your own key of the waiver role")
    parser.add_argument("--by", help="your name (default: the login name)")
    parser.add_argument("--second", default="", help="name of the person who will confirm")
    parser.add_argument("--out", type=Path, help="file that the second person confirms")
    parser.add_argument(
        "--confirm", type=Path, metavar="WAIVER.json", help="sign this waiver as the second person"
    )
    parser.add_argument("--revoke", action="store_true", help="end all waivers of the newest batch")
    add_installation(parser)


def run(arguments: argparse.Namespace) -> int:
    """Ask for a waiver, confirm one or revoke all, and print what now holds.

    Raises:
        ConfigError: The options do not fit together, or one is missing.
    """
    place = installation_of(arguments)
    by = arguments.by or user_name()
    if arguments.confirm is not None:
        if arguments.source or arguments.revoke or arguments.out:
            raise ConfigError("--confirm takes the waiver file, and nothing else to decide")
        return _confirm(arguments, place, by)
    if not arguments.source:
        raise ConfigError("name the source to waive for, or a waiver to --confirm")
    if arguments.revoke:
        return _revoke(arguments, place, by)
    return _request(arguments, place, by)


def _request(arguments: argparse.Namespace, place: Installation, by: str) -> int:
    from sluicegate.adapters.policy_file import read_policy
    from sluicegate.workflow.response.waiver import request_waiver

    if arguments.out is None:
        raise ConfigError("a waiver needs --out: a second person has to sign the file")
    if not 0 < arguments.hours < 24 * 366:
        raise ConfigError("--hours is out of range", got=str(arguments.hours))
    request = request_waiver(
        place.evidence(),
        read_policy(place.home.policy),
        arguments.source,
        signals=arguments.signal,
        reason=arguments.reason,
        by=by,
        second=arguments.second,
        ttl=timedelta(seconds=round(3600 * arguments.hours)),
        signer=role_key_of(arguments, "waiver"),
        at=place.at,
    )
    write_named(arguments.out, request, "the waiver cannot be written", new=True)
    emit(
        {"requested_by": by, "signals": sorted(arguments.signal), "out": str(arguments.out)},
        [
            (
                f"asked by {by}: {', '.join(sorted(arguments.signal))} for {arguments.hours:g} h; "
                f"it counts once another person runs `sluicegate waive --confirm {arguments.out}`"
            )
        ],
        as_json=arguments.json,
    )
    return 0


def _confirm(arguments: argparse.Namespace, place: Installation, by: str) -> int:
    from sluicegate.workflow.response.waiver import confirm_waiver

    waiver = confirm_waiver(
        place.home,
        place.evidence(append=True),
        read_named(arguments.confirm, "the waiver cannot be read"),
        by=by,
        signer=role_key_of(arguments, "waiver"),
        at=place.at,
        locator=str(arguments.confirm),
    )
    said = {
        "source": waiver.source,
        "digest": str(waiver.digest),
        "signals": sorted(waiver.signals),
        "requested_by": waiver.requested_by,
        "confirmed_by": by,
        "expires": waiver.expires.isoformat(),
    }
    emit(
        said,
        [
            (
                f"waived on {waiver.source}@{waiver.digest.short} until {said['expires']}: "
                f"{', '.join(sorted(waiver.signals))}, by {waiver.requested_by} and {by}"
            )
        ],
        as_json=arguments.json,
    )
    return 0


def _revoke(arguments: argparse.Namespace, place: Installation, by: str) -> int:
    from sluicegate.workflow.response.waiver import revoke_waivers

    revoke_waivers(
        place.evidence(append=True),
        arguments.source,
        reason=arguments.reason,
        by=by,
        signer=role_key_of(arguments, "waiver"),
        at=place.at,
    )
    emit(
        {"source": arguments.source, "revoked_by": by},
        [f"every waiver of the newest batch of {arguments.source} is revoked by {by}"],
        as_json=arguments.json,
    )
    return 0
