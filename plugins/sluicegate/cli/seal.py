"""`sluicegate seal`: hash and sign a source into an evidence folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sluicegate.cli.options import (
    Subparsers,
    add_hash,
    add_json,
    add_role_key,
    command,
    command_line_run,
    emit,
    now,
    role_key_of,
    size_of,
)

if TYPE_CHECKING:
    import argparse

    from sluicegate.adapters.sources.protocol import ByteSource, Source
    from sluicegate.attest.contents import Contents
    from sluicegate.attest.keys import Signer
    from sluicegate.digest.manifest import Manifest
    from sluicegate.workflow.sealing.seal import RowRecord, Seal


def register(commands: Subparsers) -> None:
    """Add the command."""
    parser = command(
        commands,
        "seal",
        run,
        "hash a source and sign what was found",
        [
            "sluicegate seal data/2013-04 --name flights --key source/key.pem --out evidence",
            (
                "sluicegate seal data/2013-04 --name flights --key source/key.pem "
                "--cosign-key quantum/key.pem --out evidence"
            ),
            (
                "sluicegate seal postgresql://db.internal/sales#orders --name orders "
                "--key source/key.pem --row-key id --out evidence"
            ),
            (
                "sluicegate seal orders.csv --columns columns.json --name orders "
                "--key source/key.pem --out evidence"
            ),
        ],
    )
    parser.add_argument(
        "source",
        help="file, directory, glob, URL of an object store, or DATABASE-URL#TABLE-OR-SELECT",
    )
    parser.add_argument("--name", required=True, help="name of the source")
    add_role_key(parser, "the source role's P-256 key")
    parser.add_argument(
        "--source-version",
        type=int,
        default=1,
        metavar="N",
        help="position among the seals of this source (default: 1); a ledger counts for itself",
    )
    parser.add_argument("--out", type=Path, required=True, help="evidence folder to create")
    parser.add_argument(
        "--merkle",
        action="store_true",
        help="write the manifest in parts, so that single files can be verified; for more than "
        "100,000 files it always is",
    )
    parser.add_argument(
        "--incremental",
        type=Path,
        metavar="STATE",
        help="read only what changed since the seal whose signed state is in this directory",
    )
    parser.add_argument(
        "--trust",
        type=Path,
        help="with --incremental: trust policy that the state is verified with",
    )
    add_hash(parser)
    parser.add_argument(
        "--croissant", type=Path, metavar="FILE", help="also describe the files as Croissant"
    )
    parser.add_argument("--license", default="", help="licence URL that the Croissant file states")
    parser.add_argument(
        "--columns",
        type=Path,
        metavar="FILE.json",
        help="seal the rows of a CSV or JSON lines file; FILE.json names each column and its type",
    )
    rows = parser.add_argument_group("rows", "keep what `diff` needs to name changed rows later")
    rows.add_argument("--table", action="store_true", help="sign the digest of the rows too")
    rows.add_argument("--row-key", metavar="COLUMN", help="keep a difference sketch by this key")
    rows.add_argument(
        "--label",
        metavar="COLUMN",
        help="with --row-key: column of the label, whose flips `diff` can then count",
    )
    rows.add_argument(
        "--changes",
        type=int,
        default=1200,
        metavar="N",
        help="changed rows that the sketch can name (default: 1200, 0.2 MB)",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Seal without a ledger, and print the digest; SealSourceOperator and `gate` use a ledger."""
    from sluicegate.adapters.sources.open import open_any
    from sluicegate.adapters.sources.protocol import ByteSource
    from sluicegate.workflow.evidence.folder import write_folder
    from sluicegate.workflow.evidence.home import check_source_name
    from sluicegate.workflow.exporting.aside import written_aside
    from sluicegate.workflow.sealing.seal import sign_seal

    check_source_name(arguments.name)
    signer = role_key_of(arguments, "source")
    source = open_any(_location(arguments))
    with written_aside(arguments.out) as folder:
        contents = _contents(arguments, source, signer, folder)
        seal = sign_seal(
            contents,
            arguments.name,
            signer=signer,
            at=now(),
            run=command_line_run(),
            location=source.location,
            version=arguments.source_version,
        )
        envelopes = [seal.provenance]
        record = _row_record(arguments)
        if record is not None and isinstance(source, ByteSource):
            envelopes.append(_table_envelope(seal, source, record, signer))
        write_folder(folder, seal=seal.bundle, envelopes=envelopes)
    if arguments.croissant is not None:
        _write_croissant(arguments, contents)
    kind, n = size_of(contents)
    emit(
        {
            "source": seal.source,
            "digest": str(contents.digest),
            kind: n,
            "key_id": signer.public_key.key_id,
            "evidence": str(arguments.out),
        },
        [f"sealed {seal.source}@{contents.digest} ({n} {kind})"],
        as_json=arguments.json,
    )
    return 0


def _location(arguments: argparse.Namespace) -> str:
    """Return what to open; with --columns, the rows of a text file and not its bytes."""
    if arguments.columns is None:
        return str(arguments.source)
    from sluicegate.adapters.sources.rows import read_columns, text_location

    return text_location(arguments.source, read_columns(arguments.columns))


def _contents(
    arguments: argparse.Namespace, source: Source, signer: Signer, folder: Path
) -> Contents:
    from sluicegate.adapters.sources.protocol import ByteSource
    from sluicegate.errors import ConfigError
    from sluicegate.workflow.evidence.large import MANIFEST_DIRECTORY, build_parts, large_root
    from sluicegate.workflow.sealing.hash_choice import algorithm_for
    from sluicegate.workflow.sealing.seal import contents_of
    from sluicegate.workflow.sealing.sealed_rows import refuse_layout_of

    algorithm = algorithm_for(source, arguments.hash)
    if isinstance(source, ByteSource):
        refuse_layout_of(source, source.names())
        root = _directory(source, "--merkle") if arguments.merkle else large_root(source)
        if root is None:
            return _manifest(arguments, source, signer, algorithm)
        for option in ("incremental", "croissant"):
            if getattr(arguments, option):
                raise ConfigError("does not work with a manifest in parts", locator=f"--{option}")
        return build_parts(root, folder / MANIFEST_DIRECTORY, algorithm=algorithm)
    for option in ("merkle", "incremental", "croissant"):
        if getattr(arguments, option):
            raise ConfigError("rows are sealed whole and have no files", locator=f"--{option}")
    return contents_of(source, _row_record(arguments), algorithm=algorithm)


def _row_record(arguments: argparse.Namespace) -> RowRecord | None:
    from sluicegate.workflow.sealing.seal import RowRecord

    return RowRecord.asked(
        arguments.row_key, arguments.label, digest=arguments.table, changes=arguments.changes
    )


def _table_envelope(seal: Seal, source: ByteSource, record: RowRecord, signer: Signer) -> bytes:
    from sluicegate.workflow.sealing.seal import row_envelopes

    ((_kind, envelope),) = row_envelopes(source, seal.source, seal.contents, record, [signer])
    return envelope


def _manifest(
    arguments: argparse.Namespace, source: ByteSource, signer: Signer, algorithm: str
) -> Manifest:
    """Hash all files; with --incremental, only those that changed."""
    if arguments.incremental is None:
        return source.manifest(algorithm)
    import secrets

    from sluicegate.errors import ConfigError
    from sluicegate.workflow.evidence.opening import read_trust
    from sluicegate.workflow.sealing.incremental import StateFolder, scan_again

    if arguments.trust is None:
        raise ConfigError("--incremental needs --trust", next_step="Name the trust policy.")
    done = scan_again(
        _directory(source, "--incremental"),
        StateFolder(arguments.incremental, arguments.name),
        trust=read_trust(arguments.trust),
        signer=signer,
        at=now(),
        seed=secrets.token_bytes(16),
        algorithm=algorithm,
    )
    return done.manifest


def _directory(source: ByteSource, option: str) -> Path:
    from sluicegate.adapters.sources.local import LocalFiles
    from sluicegate.errors import ConfigError

    if isinstance(source, LocalFiles) and source.root.is_dir():
        return source.root
    raise ConfigError(f"{option} needs a directory", locator=source.location)


def _write_croissant(arguments: argparse.Namespace, contents: Contents) -> None:
    import json

    from sluicegate.adapters.files.named_file import write_named
    from sluicegate.adapters.sources.croissant import croissant_of
    from sluicegate.digest.manifest import Manifest

    assert isinstance(contents, Manifest)  # noqa: S101 - _contents refused anything else
    document = croissant_of(
        contents,
        name=arguments.name,
        at=now(),
        license_url=arguments.license,
        file_name=arguments.source.rstrip("/").rpartition("/")[2],
    )
    data = json.dumps(document, indent=2, ensure_ascii=False).encode()
    write_named(arguments.croissant, data, "the description cannot be written", new=True)
