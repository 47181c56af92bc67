"""`sluicegate trust`: write the policy that says which keys may sign what, and its versions."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sluicegate.adapters.files.named_file import read_named
from sluicegate.cli.options import (
    Subparsers,
    add_at,
    add_json,
    at_of,
    command,
    emit,
    now,
    table,
)
from sluicegate.errors import ConfigError, MalformedEnvelope

if TYPE_CHECKING:
    import argparse

    from sluicegate.attest.keys import Signer
    from sluicegate.attest.trust_file import TrustFile
    from sluicegate.workflow.evidence.trust_admin import Change

_ROLE_KEY = "public key of a role (source, gate, baseline, waiver, ledger, witness or root); repeat"


def register(commands: Subparsers) -> None:
    """Add the command and its actions."""
    parser = command(
        commands,
        "trust",
        run,
        "write, sign, rotate, revoke and show a trust policy",
        [
            (
                "sluicegate trust init --key source=source.pub.pem --key gate=gate.pub.pem "
                "--key baseline=baseline.pub.pem --key ledger=ledger.pub.pem --out trust.json"
            ),
            "sluicegate trust init --key source=s.pub.pem --root-key root.pem --out trust.json",
            (
                "sluicegate trust rotate --trust trust.json --key source=new.pub.pem "
                "--remove 4ff54db1aa9e --root-key root.pem --out next.json"
            ),
            (
                "sluicegate trust revoke --trust trust.json --key-id 4ff54db1aa9e "
                "--root-key root.pem --out next.json"
            ),
            "sluicegate trust accept --trust pinned.json --next next.json",
            "sluicegate trust show --trust trust.json --json",
        ],
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    begin = _action(actions, "init", "write version 1 from public keys")
    _add_change(begin)
    begin.add_argument(
        "--authority",
        action="append",
        default=[],
        metavar="ROLE=CA.pem",
        help="X.509 authority that may vouch for keys of the role; repeat",
    )
    begin.add_argument(
        "--allow-shared-keys",
        action="store_true",
        help="let one key act both as gate and as waiver, which gives up the rule of four eyes",
    )
    rotate = _action(actions, "rotate", "write the next version with other keys", reads=True)
    _add_change(rotate)
    rotate.add_argument(
        "--remove",
        action="append",
        default=[],
        metavar="KEYID",
        help="key to leave out, by its id or a unique beginning of it; repeat",
    )
    revoke = _action(actions, "revoke", "write the next version without one key", reads=True)
    revoke.add_argument(
        "--key-id", required=True, help="id of the key, or a unique beginning of it"
    )
    add_at(revoke)
    for action in (begin, rotate, revoke, _action(actions, "sign", "add signatures", reads=True)):
        action.add_argument("--out", type=Path, required=True, help="file for the new policy")
        action.add_argument(
            "--root-key",
            action="append",
            default=[],
            metavar="KEY",
            help="private root key that signs the policy: file, env:NAME, or URI of a KMS or HSM; "
            "repeat for a threshold",
        )
    accept = _action(actions, "accept", "replace a pinned policy by its successor", reads=True)
    accept.add_argument(
        "--next",
        type=Path,
        required=True,
        action="append",
        metavar="NEXT.json",
        help="successor of the policy; repeat for several versions, in their order",
    )
    add_at(_action(actions, "show", "say what a policy allows", reads=True))


def run(arguments: argparse.Namespace) -> int:
    """Do the action, and print what the policy then says."""
    from sluicegate.attest.trust_file import TrustFile
    from sluicegate.workflow.evidence import trust_admin

    action = arguments.action
    if action == "show":
        return _show(arguments)
    if action == "accept":
        return _accept(arguments)
    if action == "init":
        return _write(arguments, TrustFile(_begin(arguments)))
    pinned = _read(arguments.trust)
    if action == "sign":
        return _write(arguments, pinned)
    policy = pinned.verified(locator=str(arguments.trust))
    if action == "revoke":
        changed = trust_admin.revoke(policy, arguments.key_id, at=at_of(arguments))
    else:
        changed = trust_admin.rotate(policy, _change(arguments), expires=_expires(arguments))
    return _write(arguments, TrustFile(changed), pinned)


def _action(
    actions: Subparsers, name: str, help_: str, *, reads: bool = False
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=help_, description=help_)
    if reads:
        parser.add_argument("--trust", type=Path, required=True, help="current policy")
    add_json(parser)
    return parser


def _add_change(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--key", action="append", default=[], metavar="ROLE=PUB.pem", help=_ROLE_KEY)
    add(
        "--threshold",
        action="append",
        default=[],
        metavar="ROLE=N",
        help="how many signatures the role needs; repeat",
    )
    add(
        "--require",
        action="append",
        default=[],
        metavar="ROLE=ALGORITHM",
        help="algorithm that must be among the role's signatures; two of them demand a hybrid",
    )
    add(
        "--timestamp-authority",
        action="append",
        default=[],
        type=Path,
        metavar="TSA.pem",
        help="root of an RFC 3161 authority that may say when a certificate's key signed; repeat",
    )
    add("--days", type=int, default=365, help="validity in days (default: 365)")


def _begin(arguments: argparse.Namespace) -> Any:
    from sluicegate.workflow.evidence.trust_admin import begin

    if not arguments.key and not arguments.authority:
        raise ConfigError("no key is named", locator="--key", expected="ROLE=PUB.pem")
    if arguments.out.exists() and _read(arguments.out).envelope is not None:
        raise ConfigError(
            "a signed trust policy lies there already",
            locator=str(arguments.out),
            next_step="Write the next version of it with `sluicegate trust rotate`.",
        )
    return begin(
        _change(arguments),
        expires=_expires(arguments),
        four_eyes=not arguments.allow_shared_keys,
    )


def _change(arguments: argparse.Namespace) -> Change:
    """Return the change that the options ask for; private root keys stand for their public ones."""
    from sluicegate.adapters.keys.sources import read_public_key
    from sluicegate.attest.public_key import Algorithm, PublicKey
    from sluicegate.attest.trust import Role
    from sluicegate.workflow.evidence.trust_admin import Change

    keys: dict[Role, list[PublicKey]] = {}
    for role, name in _by_role(arguments.key, "--key", "a file"):
        keys.setdefault(Role(role), []).append(read_public_key(Path(name)))
    if arguments.action == "init" and Role.ROOT not in keys and arguments.root_key:
        keys[Role.ROOT] = [signer.public_key for signer in root_signers(arguments)]
    required: dict[Role, list[Algorithm]] = {}
    for role, text in _by_role(arguments.require, "--require", "an algorithm"):
        if text not in set(Algorithm):
            raise ConfigError("unknown algorithm", locator="--require", got=text[:40])
        required.setdefault(Role(role), []).append(Algorithm(text))
    thresholds = {
        Role(role): _count(text)
        for role, text in _by_role(arguments.threshold, "--threshold", "a number")
    }
    remove = getattr(arguments, "remove", [])
    authorities: dict[Role, list[str]] = {}
    for role, name in _by_role(getattr(arguments, "authority", []), "--authority", "a file"):
        authorities.setdefault(Role(role), []).append(_authority(Path(name)))
    stampers = [_authority(path) for path in arguments.timestamp_authority]
    return Change(
        timestamp_authorities=stampers,
        add=keys,
        remove=remove,
        thresholds=thresholds,
        required=required,
        authorities=authorities,
    )


def _authority(path: Path) -> str:
    """Return one certificate as PEM; a text that could not be read again is refused."""
    from sluicegate.attest.certificates import load_certificates

    pem = read_named(path, "the authority cannot be read")
    try:
        one = len(load_certificates(pem, locator=str(path))) == 1
    except MalformedEnvelope as error:
        raise ConfigError(error.what, locator=str(path)) from error
    if not one:
        raise ConfigError("each authority is one certificate", locator=str(path))
    return pem.decode("ascii", "replace")


def _by_role(items: list[str], locator: str, value: str) -> list[tuple[str, str]]:
    from sluicegate.attest.trust import Role

    found = []
    for item in items:
        role, _, text = item.partition("=")
        if role not in set(Role) or not text:
            # The message does not show the text: somebody may have pasted a private key.
            raise ConfigError(
                f"not a role and {value}",
                locator=locator,
                expected=f"one of {' '.join(Role)}, '=', and {value}",
            )
        found.append((role, text))
    return found


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 3):
        raise ConfigError("not a number of signatures", locator="--threshold", got=text[:40])
    return int(text)


def _expires(arguments: argparse.Namespace) -> Any:
    if arguments.days < 1:
        raise ConfigError("validity must be positive", locator="--days", got=str(arguments.days))
    return now() + timedelta(days=arguments.days)


def root_signers(arguments: argparse.Namespace) -> list[Signer]:
    """Return what signs for the root role, as ``--root-key`` names it."""
    import os

    from sluicegate.adapters.keys.sources import KeyPlaces, open_signer

    places = KeyPlaces(environ=os.environ, role="root")
    return [open_signer(key, places, setting="--root-key") for key in arguments.root_key]


def _write(arguments: argparse.Namespace, file: TrustFile, before: TrustFile | None = None) -> int:
    """Sign, write and say what is missing; a half-signed file can be written, but not used."""
    from sluicegate.workflow.evidence.trust_admin import describe, sign, write_trust

    file = sign(file, root_signers(arguments))
    write_trust(arguments.out, file)
    shown = describe(file, at=now())
    lines = [f"version {shown['version']}, signed: {shown['signed']}", *_role_lines(shown)]
    if before is not None and file.envelope is not None:
        shown["follows"] = _follows(before, file)
        lines.append(f"follows version {before.policy.version}: {shown['follows']}")
    emit(
        {
            **shown,
            "out": str(arguments.out),
            "roles": {role: len(rule["keys"]) for role, rule in shown["roles"].items()},
        },
        lines,
        as_json=arguments.json,
    )
    return 0


def _follows(before: TrustFile, file: TrustFile) -> str:
    from sluicegate.errors import SluicegateError

    try:
        before.accept(file)
    except SluicegateError as error:
        return f"not yet: {error}"
    return "yes"


def _accept(arguments: argparse.Namespace) -> int:
    from sluicegate.workflow.evidence.trust_admin import write_trust

    file = _read(arguments.trust)
    file.verified(locator=str(arguments.trust))
    for path in arguments.next:
        successor = _read(path)
        file.accept(successor, locator=str(path))
        file = successor
    write_trust(arguments.trust, file)
    version = file.policy.version
    emit({"version": version}, [f"accepted version {version}"], as_json=arguments.json)
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from sluicegate.workflow.evidence.trust_admin import describe

    shown = describe(_read(arguments.trust), at=at_of(arguments))
    head = [
        f"version {shown['version']}, expires {shown['expires']}",
        f"signed: {shown['signed']}",
        *([] if shown["four_eyes"] else ["gate and waiver MAY share a key"]),
    ]
    lines = [*head, *_role_lines(shown), *_authority_lines(shown)]
    emit(shown, lines, as_json=arguments.json)
    return 0 if shown["current"] and not shown["signed"].startswith("not valid") else 1


def _role_lines(shown: dict[str, Any]) -> list[str]:
    rows = [
        (
            role,
            f"{rule['threshold']} of {len(rule['keys'])}",
            key["algorithm"],
            key["state"],
            key["key_id"],
        )
        for role, rule in shown["roles"].items()
        for key in rule["keys"]
    ]
    return table(rows, ("ROLE", "NEEDS", "ALGORITHM", "STATE", "KEY"))


def _authority_lines(shown: dict[str, Any]) -> list[str]:
    by_role = {f"keys of {role}": rule["authorities"] for role, rule in shown["roles"].items()}
    return [
        f"authority for {what}: {item['subject']}, until {item['until']}, {item['sha256'][:12]}"
        for what, items in {**by_role, "timestamps": shown["timestamp_authorities"]}.items()
        for item in items
    ]


def _read(path: Path) -> TrustFile:
    from sluicegate.attest.trust_file import TrustFile

    data = read_named(path, "the trust policy cannot be read")
    return TrustFile.from_bytes(data, locator=str(path))
