"""`sluicegate home`: publish a home directory for many machines, fetch it, and compare them."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

from sluicegate.cli.options import (
    Subparsers,
    add_home,
    add_json,
    command,
    emit,
    home_of,
    now,
)
from sluicegate.errors import ConfigError, Outcome
from sluicegate.workflow.evidence.home import ENV_HOME_CACHE, ENV_HOME_PIN

if TYPE_CHECKING:
    import argparse

    from sluicegate.workflow.evidence.publishing import Difference


def register(commands: Subparsers) -> None:
    """Add the command and its actions."""
    parser = command(
        commands,
        "home",
        run,
        "publish trust policy, policy and baselines in a store, fetch them, compare them",
        [
            "sluicegate home push s3://bucket/sluice --home sluice --root-key root.pem",
            "sluicegate home diff s3://bucket/sluice --home sluice --pin trust:HEX --json",
            "sluicegate home pull s3://bucket/sluice --home copy --pin trust:HEX",
        ],
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    push = actions.add_parser("push", help="publish the directory as the next release")
    push.add_argument(
        "--root-key",
        action="append",
        default=[],
        metavar="KEY",
        help="private root key that signs the release: file, env:NAME, or URI of a KMS or HSM; "
        "repeat for a threshold",
    )
    push.add_argument(
        "--days", type=int, default=90, help="how long the release may be used (default: 90)"
    )
    push.add_argument(
        "--over",
        type=int,
        metavar="VERSION",
        help="replace this newest release, of which the directory is no copy",
    )
    pull = actions.add_parser("pull", help="make the directory the copy of the newest release")
    pull.add_argument(
        "--discard", action="store_true", help="overwrite changes that were never published"
    )
    diff = actions.add_parser("diff", help="say how the directory differs from the release")
    for action in (push, pull, diff):
        action.add_argument("store", help="URL, such as s3://CONNECTION@bucket/prefix")
        add_home(action)
        add_json(action)
    for action in (pull, diff):
        action.add_argument(
            "--pin", help=f"what vouches for the release: trust:HEX, index:HEX ({ENV_HOME_PIN})"
        )


def run(arguments: argparse.Namespace) -> int:
    """Publish, fetch or compare, and print the result."""
    return _push(arguments) if arguments.action == "push" else _hold(arguments)


def _push(arguments: argparse.Namespace) -> int:
    from sluicegate.adapters.home_store import HomeStore
    from sluicegate.attest.home_index import FLOOR
    from sluicegate.cli.administration.trust import root_signers
    from sluicegate.workflow.evidence.publishing import pins_of, push

    if arguments.days < 1:
        raise ConfigError("must be positive", locator="--days", got=str(arguments.days))
    done = push(
        home_of(arguments),
        HomeStore.open(arguments.store),
        signers=root_signers(arguments),
        at=now(),
        ttl=timedelta(days=arguments.days),
        over=arguments.over,
    )
    pins = dict(pins_of(done))
    remembers = FLOOR in done.index.documents
    lines = [f"published version {done.index.version}: {len(done.index.documents)} documents"]
    lines += [f"  home_pin = {pin}   {means}" for pin, means in pins.items()]
    if not remembers:
        lines.append("  nothing is remembered here, so a new machine has nothing to begin with")
    if not done.exclusive:
        lines.append(
            "  this store does not refuse to overwrite: two administrators at once may undo each "
            "other's release; let only one publish"
        )
    emit(
        {
            "version": done.index.version,
            "documents": sorted(done.index.documents),
            "pins": sorted(pins),
            "remembered": remembers,
            "exclusive": done.exclusive,
        },
        lines,
        as_json=arguments.json,
    )
    return 0


def _hold(arguments: argparse.Namespace) -> int:
    from sluicegate.workflow.evidence.published import Published
    from sluicegate.workflow.evidence.publishing import difference, documents_of, pull

    home = home_of(arguments)
    pin = arguments.pin or os.environ.get(ENV_HOME_PIN, "")
    published = Published(arguments.store, pin, os.environ.get(ENV_HOME_CACHE, ""))
    store, index, data, _ = published.release(now())
    if arguments.action == "pull":
        different = pull(home, store, index, data, discard=arguments.discard)
        _say(different, index.version, arguments, "the directory is now a copy of")
        return 0
    different = difference(documents_of(home), index)
    _say(different, index.version, arguments, "the directory differs from" * bool(different))
    return Outcome.CHECKED_AND_BAD.value if different else 0


def _say(different: Difference, version: int, arguments: argparse.Namespace, what: str) -> None:
    marks = {"+": different.added, "~": different.changed, "-": different.removed}
    lines = [f"{what or 'the directory is a copy of'} version {version}"]
    lines += [f"  {mark} {path}" for mark, paths in marks.items() for path in paths]
    emit(
        {
            "version": version,
            "added": different.added,
            "changed": different.changed,
            "removed": different.removed,
        },
        lines,
        as_json=arguments.json,
    )
