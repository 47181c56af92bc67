"""`sluicegate fetch`: take a snapshot of a list of URLs with their digests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sluicegate.cli.options import Subparsers, add_json, command, emit

if TYPE_CHECKING:
    import argparse

    from sluicegate.adapters.sources.url_list import UrlItem


def register(commands: Subparsers) -> None:
    """Add the command."""
    parser = command(
        commands,
        "fetch",
        run,
        "download a list of URLs and keep only items with the promised sha256",
        ["sluicegate fetch urls.csv --into snapshot --quarantine rejected"],
    )
    parser.add_argument("urls", type=Path, help="CSV (url, sha256, name, size) or Croissant .json")
    parser.add_argument("--into", type=Path, required=True, help="directory to create")
    parser.add_argument(
        "--quarantine", type=Path, required=True, help="directory for changed items and the report"
    )
    parser.add_argument(
        "--churn-budget",
        type=float,
        default=0.01,
        metavar="SHARE",
        help="share of items that may be gone or changed, 0 to 1 (default: 0.01)",
    )
    parser.add_argument(
        "--timeout", type=float, default=120.0, help="seconds for each item (default: 120)"
    )
    parser.add_argument(
        "--max-bytes", type=int, default=1 << 28, help="longest item, in bytes (default: 256 MiB)"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Fetch the items, and print how many came, changed or were gone.

    Raises:
        UnreadableData: The list cannot be read, or too many items are unreachable.
    """
    from sluicegate.adapters.sources.url_fetch import FetchLimits, State
    from sluicegate.adapters.sources.url_snapshot import take_snapshot
    from sluicegate.errors import UnreadableData

    try:
        data = arguments.urls.read_bytes()
    except OSError as error:
        raise UnreadableData(
            "cannot be read", locator=str(arguments.urls), got=str(error.strerror)
        ) from error
    limits = FetchLimits(
        churn_budget=arguments.churn_budget,
        item_s=arguments.timeout,
        item_bytes=arguments.max_bytes,
    )
    snapshot = take_snapshot(
        _items(data, arguments.urls),
        arguments.into,
        quarantine=arguments.quarantine,
        limits=limits,
        locator=str(arguments.urls),
    )
    counts = {state.value: snapshot.count(state) for state in State}
    emit(
        {"into": str(arguments.into), **counts},
        [", ".join(f"{n} {state}" for state, n in counts.items())],
        as_json=arguments.json,
    )
    return 0


def _items(data: bytes, path: Path) -> tuple[UrlItem, ...]:
    from sluicegate.adapters.sources.croissant import read_croissant, url_items
    from sluicegate.adapters.sources.url_list import read_url_list

    if path.suffix.lower() in {".json", ".jsonld"}:
        return url_items(read_croissant(data, locator=str(path)))
    return read_url_list(data, locator=str(path))
