"""`sluicegate witness`: cosign the checkpoints of other people's ledgers."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sluicegate.cli.options import Subparsers, add_json, command, emit
from sluicegate.errors import ConfigError

if TYPE_CHECKING:
    import argparse

    from sluicegate.ledger.cosigning.witness import Witness

DEFAULT_PORT: Final = 7380


def register(commands: Subparsers) -> None:
    """Add the command and its actions."""
    parser = command(
        commands,
        "witness",
        run,
        "cosign a checkpoint if its ledger only grew since the last one",
        [
            "sluicegate witness serve --key w/key.pem --state w/seen.db --log VKEY",
            (
                "sluicegate witness cosign request --key w/key.pem --state w/seen.db --log VKEY "
                "--out response"
            ),
        ],
    )
    parser.add_argument("action", choices=["serve", "cosign"])
    parser.add_argument("item", nargs="?", type=Path, help="cosign: file of the request")
    parser.add_argument(
        "--key", required=True, help="Ed25519 or ML-DSA-44 private key: file, env:NAME, or URI"
    )
    parser.add_argument("--name", help="name of the witness (default: one made from its key)")
    parser.add_argument(
        "--state",
        type=Path,
        required=True,
        help="SQLite file that keeps what the witness signed last of each log",
    )
    parser.add_argument(
        "--log",
        action="append",
        required=True,
        help="vkey of a ledger to cosign (see `ledger vkey`); repeat",
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="serve: address to listen on (default: 127.0.0.1)"
    )
    parser.add_argument(
        "--port",
        type=int,
        default=DEFAULT_PORT,
        help=f"serve: port; 0 takes any free one (default: {DEFAULT_PORT})",
    )
    parser.add_argument("--out", type=Path, help="cosign: file for the signature lines")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serve until interrupted, or cosign one request; 0 if it was cosigned."""
    return _serve(arguments) if arguments.action == "serve" else _once(arguments)


def _witness(arguments: argparse.Namespace) -> Witness:
    from sluicegate.adapters.keys.sources import KeyPlaces, open_signer
    from sluicegate.adapters.ledgers.witness_store import SqliteWitnessStore
    from sluicegate.ledger.cosigning.cosignature import Cosigner, CosignerKey
    from sluicegate.ledger.cosigning.witness import Witness
    from sluicegate.ledger.keys import Ed25519Verifier, default_origin, raw_witness_key
    from sluicegate.ledger.note import VerifierKey

    places = KeyPlaces(environ=os.environ, role="witness")
    signer = open_signer(arguments.key, places, setting="--key")
    raw = raw_witness_key(signer.public_key, locator="--key")
    name = arguments.name or default_origin(raw).replace("/ledger/", "/witness/")
    parsed = [VerifierKey.parse(text, locator="--log") for text in arguments.log]
    logs = {key.name: [Ed25519Verifier(key.name, key.public_key)] for key in parsed}
    return Witness(
        logs,
        Cosigner(CosignerKey.of(name, raw), signer.sign),
        SqliteWitnessStore(arguments.state),
        lambda: int(time.time()),
    )


def _once(arguments: argparse.Namespace) -> int:
    from sluicegate.adapters.files.named_file import read_named, write_named

    if arguments.item is None or arguments.out is None:
        raise ConfigError("cosign needs a request file and --out", locator="witness cosign")
    request = read_named(arguments.item, "the request cannot be read")
    answer = _witness(arguments).add_checkpoint(request)
    text = answer.body.decode()
    if answer.status == 200:
        write_named(arguments.out, answer.body, "the cosignature cannot be written")
    elif answer.status == 409:
        text = f"this witness knows size {text.strip()}: make the request with --old {text}"
    lines = text.strip().split("\n")
    emit({"status": answer.status, "answer": text}, lines, as_json=arguments.json)
    return 0 if answer.status == 200 else 1


def _serve(arguments: argparse.Namespace) -> int:
    # Only this command needs http.server and ssl; all others start without them.
    from sluicegate.cli.administration.witness_server import build_server

    server = build_server(_witness(arguments), arguments.host, arguments.port)
    host, port = server.server_address[:2]
    print(f"witness on http://{host!s}:{port}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        return 0
    finally:
        server.server_close()
    return 0
