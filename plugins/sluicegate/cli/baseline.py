"""`sluicegate baseline`: build the trusted profile that batches are judged against."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sluicegate.adapters.files.named_file import read_named
from sluicegate.attest.timestamps import format_timestamp
from sluicegate.cli.options import (
    Subparsers,
    add_installation,
    add_json,
    add_role_key,
    command,
    command_line_run,
    emit,
    given_role_key_of,
    installation_of,
    now,
    role_key_of,
    table,
)
from sluicegate.errors import ConfigError
from sluicegate.untrusted import visible

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from sluicegate.gate.limits import Limits
    from sluicegate.profiling.schema import BatchSchema
    from sluicegate.signals.baseline.rehearsal import Obstacle
    from sluicegate.signals.baseline.stored import Baseline


def register(commands: Subparsers) -> None:
    """Add the command and its actions."""
    parser = command(
        commands,
        "baseline",
        run,
        "build a baseline from trusted data, promote one from batches that passed, or show both",
        [
            "sluicegate baseline build data/2013-0[1-3] --schema schema.yaml --out baseline",
            (
                "sluicegate baseline build data --schema schema.yaml --out baseline "
                "--source flights --key baseline/key.pem"
            ),
            "sluicegate baseline promote flights --lane rolling --last 3 --key mine.pem",
            "sluicegate baseline promote flights --lane rolling --confirm --key theirs.pem",
            "sluicegate baseline show flights --home sluice",
        ],
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    build = actions.add_parser("build", help="build one from data that somebody trusts")
    build.add_argument(
        "data", nargs="+", help="trusted files, directories, globs, URLs or locations of rows"
    )
    build.add_argument(
        "--schema", type=Path, required=True, help="YAML: the columns' roles, how CSV is written"
    )
    build.add_argument("--out", type=Path, required=True, help="baseline directory")
    add_role_key(build, "baseline role's key; gates need a signed one", required=False)
    build.add_argument("--policy", type=Path, help="policy file; its limits of a batch count")
    build.add_argument("--source", default="", help="source that it may judge; required with --key")
    promote = actions.add_parser(
        "promote", help="propose one from sealed batches that a gate passed, or confirm it"
    )
    promote.add_argument("source", help="name of the source")
    promote.add_argument("--lane", choices=["anchored", "rolling"], default="rolling")
    add_role_key(promote, "your own key of the baseline role")
    promote.add_argument(
        "--batch", action="append", default=[], help="dirHash1 digest of a batch to use; repeat"
    )
    promote.add_argument(
        "--last",
        type=int,
        default=3,
        help="use this many of the newest passed batches (default: 3)",
    )
    promote.add_argument("--confirm", action="store_true", help="sign what another person proposed")
    promote.add_argument(
        "--schema",
        type=Path,
        help="YAML with the columns' roles (default: as in the baseline in force)",
    )
    show = actions.add_parser("show", help="show which baselines judge a source")
    show.add_argument("source", help="name of the source")
    for action in (build, promote):
        action.add_argument("--golden", help="held-out data that no batch may contain")
        action.add_argument("--days", type=int, default=365, help="validity in days (default: 365)")
        action.add_argument(
            "--seed", type=int, default=0, help="seed of all random choices (default: 0)"
        )
    for action in (promote, show):
        add_installation(action)
    add_json(build)


def run(arguments: argparse.Namespace) -> int:
    """Build, promote or show, and print the result."""
    return {"build": _build, "promote": _promote, "show": _show}[arguments.action](arguments)


def _promote(arguments: argparse.Namespace) -> int:
    """Propose or confirm a promotion."""
    from sluicegate.cli.response.release import digest_of
    from sluicegate.gate.promotion import Lane
    from sluicegate.workflow.baselines.in_force import baselines_in_force
    from sluicegate.workflow.baselines.inputs import passed_batches
    from sluicegate.workflow.baselines.promotion import confirm, propose

    place, source = installation_of(arguments), arguments.source
    home, at, evidence = place.home, place.at, place.evidence(append=True)
    lane, signer = Lane(arguments.lane), role_key_of(arguments, "baseline")
    if arguments.confirm:
        done = confirm(
            home, evidence, source, lane=lane, signer=signer, at=at, golden=arguments.golden
        )
    else:
        _require_positive(arguments.days, "--days")
        _require_positive(arguments.last, "--last")
        if arguments.schema is None:
            in_force = baselines_in_force(home, evidence, source, at=at)
            schema = in_force[Lane.ANCHORED].baseline.schema
        else:
            schema = read_schema(arguments.schema)
        named = [digest for text in arguments.batch if (digest := digest_of(text)) is not None]
        done = propose(
            home,
            evidence,
            source,
            lane=lane,
            digests=named or passed_batches(evidence, source, last=arguments.last, at=at),
            schema=schema,
            signer=signer,
            run=command_line_run(),
            at=at,
            ttl=timedelta(days=arguments.days),
            golden=arguments.golden,
            seed=arguments.seed,
        )
    said = done.promotion
    state = (
        f"waits for more signatures ({done.n_signatures} so far): "
        f"`sluicegate baseline promote {source} --lane {lane} --confirm`"
        if done.index is None
        else f"in force, ledger entry {done.index}"
    )
    emit(
        {
            "baseline": str(said.baseline),
            "lane": lane.value,
            "inputs": [str(digest) for digest in said.inputs],
            "signatures": done.n_signatures,
            "index": done.index,
        },
        [f"{lane} baseline {said.baseline.short} of {len(said.inputs)} batches: {state}"],
        as_json=arguments.json,
    )
    return 0


def _show(arguments: argparse.Namespace) -> int:
    """List the baselines in force."""
    from sluicegate.workflow.baselines.in_force import baselines_in_force

    place = installation_of(arguments)
    found = baselines_in_force(place.home, place.evidence(), arguments.source, at=place.at)
    shown = {
        lane.value: {
            "baseline": str(signed.baseline.digest),
            "rows": signed.baseline.n_rows,
            "batches": len(signed.inputs),
            "created": format_timestamp(signed.baseline.created),
            "expires": format_timestamp(signed.baseline.expires),
        }
        for lane, signed in found.items()
    }
    rows = [
        (
            lane.value,
            signed.baseline.digest.short,
            str(signed.baseline.n_rows),
            str(len(signed.inputs)),
            format_timestamp(signed.baseline.expires),
        )
        for lane, signed in found.items()
    ]
    header = ("LANE", "BASELINE", "ROWS", "BATCHES", "EXPIRES")
    emit(shown, table(rows, header), as_json=arguments.json)
    return 0


def _require_positive(number: int, option: str) -> None:
    if number < 1:
        raise ConfigError("must be positive", locator=option, got=str(number))


def _build(arguments: argparse.Namespace) -> int:
    """Build a baseline; sign it if a key is given."""
    from sluicegate.workflow.baselines.signed import write_baseline
    from sluicegate.workflow.evidence.home import check_source_name

    if arguments.key is not None:
        check_source_name(arguments.source)
    _require_positive(arguments.days, "--days")
    obstacles: list[Obstacle] = []
    baseline = write_baseline(
        arguments.data,
        read_schema(arguments.schema),
        out=arguments.out,
        at=now(),
        golden=arguments.golden,
        source=arguments.source,
        signer=given_role_key_of(arguments, "baseline"),
        ttl=timedelta(days=arguments.days),
        seed=arguments.seed,
        limits=_limits(arguments.policy, arguments.source),
        obstacles=obstacles,
    )
    moving = [column.name for column in baseline.layout.counters]
    emit(
        {
            "baseline": str(baseline.digest),
            "rows": baseline.n_rows,
            "signed": arguments.key is not None,
            "out": str(arguments.out),
            "counters": moving,
            "ignored": list(baseline.schema.ignore),
            "obstacles": [
                {"certain": o.certain, "code": o.record.code, "message": o.record.message}
                for o in obstacles
            ],
        },
        [
            (
                f"baseline {baseline.digest.short}: {baseline.n_rows} rows, "
                f"{'signed' if arguments.key else 'not signed (checks only, no gate)'}"
            ),
            *(f"column {visible(n)} moves by nature: COUNTER judges it, no other" for n in moving),
            *(f"column {visible(n)} is ignored: nobody judges it" for n in baseline.schema.ignore),
            *_label_lines(baseline),
            *_obstacle_lines(obstacles),
        ],
        as_json=arguments.json,
    )
    return 0


def _label_lines(baseline: Baseline) -> Iterator[str]:
    """Yield what is made of a label, where that may surprise."""
    from sluicegate.signals.labels.information import TELL_LITTLE, tells

    name, label = baseline.schema.label, baseline.layout.label
    if name is not None and label is None:
        yield f"  label {name} is not judged: it holds neither classes nor numbers"
    elif baseline.labels is not None and not tells(baseline.labels):
        yield f"  whether labels {name} are flipped is not judged: {TELL_LITTLE}"
    elif label is not None and label.binned and baseline.schema.label_kind is None:
        yield (
            f"  label {name} holds numbers, as its fractions say. Write "
            f"`label: {{column: {name}, kind: number}}` into the schema, or kind: class"
        )


def _obstacle_lines(obstacles: list[Obstacle]) -> Iterator[str]:
    for said, certain in (
        ("its own rows cannot pass", True),
        ("a block of its rows fails beside the rows before it", False),
    ):
        yield from (f"  {said}: {o.record.message}" for o in obstacles if o.certain is certain)
    if obstacles:
        yield (
            "  Correct the data or the schema and build again, or set the signal's tolerance or "
            "`not_evaluated: REASON` in the policy."
        )


def _limits(path: Path | None, source: str) -> Limits:
    from sluicegate.adapters.policy_file import read_policy
    from sluicegate.gate.limits import DEFAULT

    return DEFAULT if path is None else read_policy(path).for_source(source).limits


def read_schema(path: Path) -> BatchSchema:
    """Read the YAML file that names the columns' roles.

    Raises:
        ConfigError: The file is missing, is not YAML, or has unknown keys.
    """
    from sluicegate.adapters.files.declared import DeclaredSchema
    from sluicegate.adapters.policy_file import load_yaml
    from sluicegate.profiling.schema import BatchSchema

    raw = read_named(path, "the schema cannot be read")
    schema = BatchSchema.from_mapping(load_yaml(raw, locator=str(path)), locator=str(path))
    if schema.csv.columns:
        DeclaredSchema(schema.csv.columns)  # raises for a type that nobody knows
    return schema
