"""`sluicegate ledger`: create the log, look into it, verify it, and take evidence out of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sluicegate.cli.options import (
    Subparsers,
    add_installation,
    at_of,
    command,
    emit,
    home_of,
    installation_of,
    table,
)
from sluicegate.credentials import without_credentials
from sluicegate.errors import ConfigError, Outcome

if TYPE_CHECKING:
    import argparse

    from sluicegate.cli.options import Installation
    from sluicegate.workflow.evidence.home import SluiceHome
    from sluicegate.workflow.evidence.verified import Evidence

_NOW_SWITCH: Final = (
    "Now set [sluicegate] ledger on every machine, and let nobody append to the old store."
)
_STILL_GROWS: Final = (
    "The old store has grown since. Do not switch: stop all that appends, and run this again."
)
_TOLD: Final = 64_000
"""Leaves between two lines of progress; a multiple of what is copied at once."""


def register(commands: Subparsers) -> None:
    """Add the command and its actions."""
    parser = command(
        commands,
        "ledger",
        run,
        "create, remember, move, extend, list, verify, prove and export the evidence ledger",
        [
            "sluicegate ledger init --home sluice",
            "sluicegate ledger remember --home sluice",
            (
                "sluicegate ledger append envelope.json --kind release --source flights "
                "--digest dirHash1:2a1b... --home sluice"
            ),
            "sluicegate ledger migrate --home sluice",
            "sluicegate ledger migrate sluice/ledger.db env:SLUICEGATE_LEDGER --home sluice",
            "sluicegate ledger backup /backup/ledger.db --home sluice",
            "sluicegate ledger restore /backup/ledger.db --home sluice",
            "sluicegate ledger verify --home sluice --remembered checkpoint.txt",
            "sluicegate ledger cosign --home sluice --witness http://127.0.0.1:7380",
            "sluicegate ledger timestamp 7 --home sluice --request seal.tsq",
            "sluicegate ledger prove 7 --home sluice --out verdict.tlog-proof",
            "sluicegate ledger export --home sluice --source flights --out evidence",
            "sluicegate ledger export --home sluice --tiles --out public/log",
            "sluicegate ledger export --home sluice --tiles --out s3://public/log",
        ],
    )
    parser.add_argument(
        "action",
        choices=[
            "init",
            "remember",
            "migrate",
            "backup",
            "restore",
            "append",
            "list",
            "checkpoint",
            "vkey",
            "cosign",
            "timestamp",
            "verify",
            "prove",
            "export",
        ],
    )
    parser.add_argument(
        "item",
        nargs="?",
        help="prove, timestamp: index of the leaf; append: file of the envelope; "
        "migrate: the store to copy from, a file, a URL of PostgreSQL, or env:NAME of a variable "
        "that holds one; without it, tables of an older version are brought up to date; "
        "backup: the store to copy to; restore: the store to copy back from",
    )
    parser.add_argument("to", nargs="?", help="migrate: the store to copy to")
    parser.add_argument("--kind", help="append: what the envelope states")
    parser.add_argument(
        "--remembered", type=Path, help="verify: earlier checkpoint that the ledger must extend"
    )
    parser.add_argument(
        "--only-new",
        action="store_true",
        help="verify: read only leaves that are newer than what is remembered",
    )
    parser.add_argument(
        "--forget",
        default="",
        metavar="REASON",
        help="init, remember: give up what this installation remembered until now, and say why",
    )
    parser.add_argument(
        "--witnessed",
        action="store_true",
        help="verify: require a checkpoint that the trust policy's quorum of witnesses cosigned",
    )
    parser.add_argument("--witness", action="append", help="cosign: URL of a witness; repeat")
    parser.add_argument("--request", type=Path, help="cosign, timestamp: write the request here")
    parser.add_argument(
        "--old", type=int, default=0, help="cosign: size that the witness knows (default: 0)"
    )
    parser.add_argument("--response", type=Path, help="cosign, timestamp: file with the answer")
    parser.add_argument("--source", help="list, export, append: name of the source")
    parser.add_argument(
        "--digest", help="export, append: digest of the batch (export: the newest by default)"
    )
    parser.add_argument(
        "--out",
        type=_out,
        help="file or folder to write; with --tiles, it may be a URL such as s3://...",
    )
    parser.add_argument(
        "--tiles", action="store_true", help="export: the whole ledger as C2SP tlog-tiles"
    )
    add_installation(parser, signs=True, at=True)


def _out(text: str) -> Path | str:
    return text if "://" in text else Path(text)


def run(arguments: argparse.Namespace) -> int:
    """Do the action, and print its result.

    Raises:
        ConfigError: --out is a URL without --tiles, or the action lacks an option.
    """
    if isinstance(arguments.out, str) and not arguments.tiles:
        raise ConfigError("only tiles can be written to a URL", locator=arguments.out)
    from sluicegate.workflow.evidence.recall import MemoryRule

    place = installation_of(arguments)
    home = place.home
    if arguments.action == "init":
        from sluicegate.workflow.evidence.opening import create_ledger

        signer = place.signer("ledger")
        where = create_ledger(home, at=place.at, signer=signer, forget=arguments.forget)
        emit(
            {"ledger": where, "memory": str(home.memory)},
            [f"created {where}"],
            as_json=arguments.json,
        )
        return 0
    if arguments.to is not None and arguments.action != "migrate":
        raise ConfigError("only migrate takes a second place", locator=f"ledger {arguments.action}")
    if arguments.action == "migrate":
        return _migrate(home, arguments) if arguments.item is None else _copy(place, arguments)
    if arguments.action in {"backup", "restore"}:
        return _copy(place, arguments)
    if arguments.action == "remember":
        return _remember(place, arguments)
    # For a ledger that went back: `verify` reports it, and `append` repairs it.
    unasked = MemoryRule.UNASKED if arguments.action in {"append", "verify"} else None
    evidence = place.evidence(append=arguments.action == "append", memory=unasked)
    return _ACTIONS[arguments.action](evidence, arguments)


def _remember(place: Installation, arguments: argparse.Namespace) -> int:
    from sluicegate.workflow.evidence.remember import remember_ledger

    memory = place.home.memory
    done = remember_ledger(place.home, at=place.at, forget=arguments.forget)
    lines = [f"{done.size} leaves verified and remembered in {memory}"]
    if arguments.forget:
        before = "an unknown number of" if done.before is None else str(done.before)
        lines.append(f"given up: what was remembered of {before} leaves")
    if done.kept is not None:
        lines.append(f"kept: {done.kept}")
    emit(
        {
            "memory": str(memory),
            "size": done.size,
            "before": done.before,
            "kept": None if done.kept is None else str(done.kept),
        },
        lines,
        as_json=arguments.json,
    )
    return 0


def _migrate(home: SluiceHome, arguments: argparse.Namespace) -> int:
    from sluicegate.workflow.evidence.opening import migrate_ledger

    applied = migrate_ledger(home)
    text = f"migrated to version {applied[-1]}" if applied else "nothing to migrate"
    emit({"applied": applied}, [text], as_json=arguments.json)
    return 0


def _copy(place: Installation, arguments: argparse.Namespace) -> int:
    """Copy the ledger: to move it, for a backup, or back from one."""
    from sluicegate.workflow.evidence.migrating import copy_of_ledger, place_of

    action = arguments.action
    if (arguments.item if action != "migrate" else arguments.to) is None:
        raise ConfigError(f"ledger {action} needs a store", locator="ledger")
    named = _store(arguments.item)
    source, target = {
        "migrate": lambda: (named, _store(arguments.to)),
        "backup": lambda: (place_of(place.home), named),
        "restore": lambda: (named, place_of(place.home)),
    }[action]()
    done, n_missing = copy_of_ledger(
        place.home, source, target, at=place.at, tell=_progress, restoring=action == "restore"
    )
    lines = [f"copied {done.n_new} leaves; {done.size} verified, root {done.root.hex()[:12]}"]
    if action == "migrate":
        lines.append(_STILL_GROWS if done.grew else _NOW_SWITCH)
    if n_missing:
        lines.append(f"{n_missing} leaves that are remembered are missing: append them again")
    emit(
        {
            "copied": done.n_new,
            "size": done.size,
            "root": done.root.hex(),
            "grew": done.grew,
            "missing": n_missing,
        },
        lines,
        as_json=arguments.json,
    )
    if n_missing:
        return Outcome.CHECKED_AND_BAD.value
    return Outcome.COULD_NOT_CHECK.value if done.grew and action == "migrate" else 0


def _progress(n_leaves: int, n_all: int) -> None:
    if n_leaves == n_all or n_leaves % _TOLD == 0:
        print(f"copied {n_leaves:,} of {n_all:,} leaves", file=sys.stderr, flush=True)


def _store(text: str) -> str:
    """Return the path or URL that an argument names; a password comes from the environment."""
    if text.startswith("env:"):
        name = text.removeprefix("env:")
        if not os.environ.get(name):
            raise ConfigError("the variable is not set", locator=text)
        return os.environ[name]
    if "://" in text and without_credentials(text) != text:
        raise ConfigError(
            "the URL holds a password, which every user of this machine can read",
            locator="ledger migrate",
            next_step="Put the URL into a variable and name it: env:SLUICEGATE_LEDGER.",
        )
    return text


def _append(evidence: Evidence, arguments: argparse.Namespace) -> int:
    """Append an envelope that was made elsewhere; its readers verify its signatures."""
    from sluicegate.adapters.files.named_file import read_named
    from sluicegate.attest.dsse import Envelope
    from sluicegate.attest.seal_form import read_seal
    from sluicegate.ledger.entry import Entry, Kind
    from sluicegate.workflow.evidence.remember import append_again

    if not all((arguments.item, arguments.kind, arguments.source, arguments.digest)):
        raise ConfigError("append needs a file, --kind, --source and --digest", locator="ledger")
    envelope = read_named(Path(arguments.item), "the envelope cannot be read")
    if arguments.kind == Kind.SEAL:
        read_seal(envelope, locator=arguments.item)  # the seal of files is a Sigstore bundle
    else:
        Envelope.from_bytes(envelope, locator=arguments.item)
    entry = Entry.of(arguments.kind, arguments.source, arguments.digest, envelope)
    receipt, n_missing = append_again(home_of(arguments), evidence, entry, envelope)
    lines = [f"leaf {receipt.index} of {receipt.size}: {entry.envelope}"]
    if n_missing:
        lines.append(f"{n_missing} leaves that are remembered are still missing")
    emit(
        {
            "index": receipt.index,
            "size": receipt.size,
            "envelope": entry.envelope,
            "missing": n_missing,
        },
        lines,
        as_json=arguments.json,
    )
    return 0


def _list(evidence: Evidence, arguments: argparse.Namespace) -> int:
    # All leaves are hashed, also for one source: an edit may have moved a row to another source.
    rows = [
        (str(index), str(entry.kind), entry.source, entry.subject)
        for index, entry in evidence.ledger.leaves().items()
        if arguments.source in (None, entry.source)
    ]
    emit(
        {
            "entries": [
                dict(zip(("index", "kind", "source", "subject"), row, strict=True)) for row in rows
            ]
        },
        table(rows, ("INDEX", "KIND", "SOURCE", "SUBJECT")),
        as_json=arguments.json,
    )
    return 0


def _checkpoint(evidence: Evidence, arguments: argparse.Namespace) -> int:
    from sluicegate.adapters.files.named_file import write_named

    checkpoint = evidence.ledger.checkpoint()
    if arguments.out is not None:
        write_named(arguments.out, checkpoint, "the checkpoint cannot be written")
    text = checkpoint.decode()
    emit({"checkpoint": text}, text.rstrip().split("\n"), as_json=arguments.json)
    return 0


def _vkey(evidence: Evidence, arguments: argparse.Namespace) -> int:
    from sluicegate.ledger.note import VerifierKey

    verifier = evidence.ledger.verifier
    text = str(VerifierKey(verifier.name, verifier.public_key))
    emit({"vkey": text}, [text], as_json=arguments.json)
    return 0


def _cosign(evidence: Evidence, arguments: argparse.Namespace) -> int:
    from sluicegate.adapters.files.named_file import read_named, write_named
    from sluicegate.workflow.evidence import witnessing

    if arguments.request is not None:
        request = witnessing.request(evidence, arguments.old)
        write_named(arguments.request, request, "the request cannot be written")
        emit(
            {"request": str(arguments.request)},
            [f"wrote {arguments.request}: give it to `sluicegate witness cosign`"],
            as_json=arguments.json,
        )
        return 0
    home, at = home_of(arguments), at_of(arguments)
    if arguments.response is not None:
        lines = read_named(arguments.response, "the response cannot be read")
        found = witnessing.accept(evidence, home, lines, at=at)
    elif arguments.witness:
        found = witnessing.collect(evidence, home, arguments.witness, at=at)
    else:
        raise ConfigError("cosign needs --witness, --request or --response", locator="ledger")
    emit(
        {"cosigned": str(home.cosigned), "witnesses": sorted(key.hex() for key in found)},
        [f"{len(found)} witnesses cosigned, kept in {home.cosigned}"],
        as_json=arguments.json,
    )
    return 0


def _verify(evidence: Evidence, arguments: argparse.Namespace) -> int:
    from sluicegate.adapters.files.named_file import read_named
    from sluicegate.workflow.evidence.remember import require_remembered

    note = require_remembered(home_of(arguments), evidence) or None
    if arguments.remembered is not None:
        if note is not None:
            evidence.ledger.require_extends(note)
        note = read_named(arguments.remembered, "the checkpoint cannot be read")
    if arguments.witnessed:
        from sluicegate.workflow.evidence.witnessing import require_witnessed

        home = home_of(arguments)
        witnessed = require_witnessed(evidence, home, at=at_of(arguments))
        evidence.ledger.require_extends(witnessed)
        note = note or witnessed
    report = evidence.ledger.audit(note, only_new=arguments.only_new)
    emit(
        {"size": report.size, "root": report.root_hex, "valid": True},
        [f"{report.size} leaves verified, root {report.root_hex[:12]}"],
        as_json=arguments.json,
    )
    return 0


def _prove(evidence: Evidence, arguments: argparse.Namespace) -> int:
    from sluicegate.adapters.files.named_file import write_named

    if not (arguments.item or "").isdecimal():
        raise ConfigError("no leaf is named", locator="ledger prove", expected="an index")
    proof = evidence.ledger.proof(int(arguments.item))
    if arguments.out is not None:
        write_named(arguments.out, proof, "the proof cannot be written")
    emit({"proof": proof.decode()}, proof.decode().rstrip().split("\n"), as_json=arguments.json)
    return 0


def _timestamp(evidence: Evidence, arguments: argparse.Namespace) -> int:
    """Write the request for an RFC 3161 timestamp of a leaf's envelope, or keep the answer."""
    from sluicegate.adapters.files.named_file import read_named, write_named
    from sluicegate.adapters.timestamping import request_for
    from sluicegate.workflow.evidence.certified import keep_timestamp

    if not (arguments.item or "").isdecimal():
        raise ConfigError("no leaf is named", locator="ledger timestamp", expected="an index")
    if (arguments.request is None) == (arguments.response is None):
        raise ConfigError("timestamp needs --request or --response", locator="ledger")
    record = evidence.ledger.get_verified(int(arguments.item))
    if arguments.request is not None:
        request = request_for(record.envelope)
        write_named(arguments.request, request, "the request cannot be written")
        said, line = {"request": str(arguments.request)}, f"wrote {arguments.request}"
    else:
        answer = read_named(arguments.response, "the answer cannot be read")
        at = keep_timestamp(home_of(arguments), evidence.pinned, record, answer)
        said = {"time": at.isoformat(), "index": str(record.index)}
        line = f"leaf {record.index} existed at {at.isoformat()}"
    emit(said, [line], as_json=arguments.json)
    return 0


def _export(evidence: Evidence, arguments: argparse.Namespace) -> int:
    from sluicegate.digest.algorithms import Digest
    from sluicegate.workflow.evidence.folder import export_folder
    from sluicegate.workflow.exporting.aside import written_aside

    if arguments.tiles and arguments.out is not None:
        return _export_tiles(evidence, arguments)
    if not arguments.source or arguments.out is None:
        raise ConfigError("export needs --source or --tiles, and --out", locator="ledger export")
    at = at_of(arguments)
    batch = (
        evidence.seal_of(arguments.source, Digest.parse(arguments.digest), at=at)
        if arguments.digest
        else evidence.latest_seal(arguments.source, at=at)
    )
    with written_aside(arguments.out) as folder:
        count = export_folder(evidence, batch, folder)
    emit(
        {"out": str(arguments.out), "digest": str(batch.digest), "envelopes": count},
        [f"exported {batch.source}@{batch.digest.short}: seal and {count} statements"],
        as_json=arguments.json,
    )
    return 0


def _export_tiles(evidence: Evidence, arguments: argparse.Namespace) -> int:
    from sluicegate.adapters.ledgers.tile_files import export_tiles, read_tile, tile_place
    from sluicegate.ledger.tiles import verify_tiles

    place = tile_place(arguments.out)
    export_tiles(evidence.ledger, place)
    # What was written is read again: an export that does not verify is worth nothing.
    head = verify_tiles(read_tile(place), evidence.ledger.verifier, locator=place.locator)
    emit(
        {"out": place.locator, "size": head.size, "root": head.root.hex()},
        [f"exported and verified {head.size} leaves as tiles, root {head.root.hex()[:12]}"],
        as_json=arguments.json,
    )
    return 0


_ACTIONS = {
    "append": _append,
    "list": _list,
    "checkpoint": _checkpoint,
    "vkey": _vkey,
    "cosign": _cosign,
    "timestamp": _timestamp,
    "verify": _verify,
    "prove": _prove,
    "export": _export,
}
