"""`sluicegate keygen`: create a key pair."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sluicegate.cli.options import Subparsers, add_json, command, emit

if TYPE_CHECKING:
    import argparse


def register(commands: Subparsers) -> None:
    """Add the command."""
    parser = command(
        commands,
        "keygen",
        run,
        "create a key pair: DIR/key.pem (mode 0600) and DIR/key.pub.pem",
        [
            "sluicegate keygen --out keys/source",
            "sluicegate keygen --out keys/ledger --alg ed25519",
        ],
    )
    parser.add_argument("--out", type=Path, required=True, help="directory for the two files")
    parser.add_argument(
        "--alg",
        choices=["ecdsa-p256", "ed25519", "ml-dsa-44", "ml-dsa-65"],
        default="ecdsa-p256",
        help="seals need ecdsa-p256, and ledgers ed25519; ml-dsa-44 is for witnesses "
        "(default: ecdsa-p256)",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Create the key pair, and print its id; existing files are never replaced."""
    from sluicegate.attest.keys import Algorithm, generate, write_key_pair

    signer = generate(Algorithm(arguments.alg))
    write_key_pair(signer, arguments.out)
    public = signer.public_key
    emit(
        {"algorithm": arguments.alg, "key_id": public.key_id, "directory": str(arguments.out)},
        [
            f"private key  {arguments.out / 'key.pem'}  (keep it from training tasks)",
            f"public key   {arguments.out / 'key.pub.pem'}",
            f"key id       {public.key_id}",
        ],
        as_json=arguments.json,
    )
    return 0
