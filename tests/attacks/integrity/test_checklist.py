"""Every case of the tamper list, as an auditor meets it: one command, one code, one cause.

What the other files of this directory vary in depth, this one names once each, in the words of
the promise. `CHECKLIST` is the table: case, what is done, the code of `sluicegate verify`, and
the words in which it says why.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from tests.attacks.integrity.test_tampered_data import MD5_ONE, MD5_TWO

from sluicegate.attest.keys import load_public_key, read_signer
from sluicegate.cli import main as cli

if TYPE_CHECKING:
    from collections.abc import Callable

A, B = Path("data/a.csv"), Path("data/b.csv")
SEAL, LINES = Path("evidence/seal.sigstore.json"), Path("evidence/evidence.intoto.jsonl")
DATABASE = "sqlite:///rows.db#SELECT id, label FROM t"
NOW = "2026-06-01T00:00:00Z"


class Case(NamedTuple):
    """What an attacker does, and how `verify` must answer."""

    do: Callable[[], object]
    code: str
    cause: str = ""
    data: str = "data"
    options: tuple[str, ...] = ()


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    """Keys, files and rows, sealed once."""
    root, before = tmp_path_factory.mktemp("sealed"), Path.cwd()
    os.chdir(root)
    try:
        for name, algorithm in {
            "one": "ecdsa-p256",
            "two": "ecdsa-p256",
            "pq": "ml-dsa-65",
        }.items():
            assert cli.main(["keygen", "--out", name, "--alg", algorithm]) == 0
        A.parent.mkdir()
        A.write_bytes(b"id,label\n1,cat\n2,dog\n")
        B.write_bytes(b"id,label\n3,dog\n4,cat\n")
        Path("data/c.bin").write_bytes(MD5_ONE)
        with closing(sqlite3.connect("rows.db")) as made:
            made.execute("CREATE TABLE t (id INTEGER, label TEXT)")
            made.executemany("INSERT INTO t VALUES (?, ?)", [(1, "cat"), (2, "dog"), (3, "dog")])
            made.commit()
        trust()
        seal()
        seal(data=DATABASE, out="rows")
        seal(data="data/a.csv", name="weather", out="other")
    finally:
        os.chdir(before)
    return root


@pytest.fixture
def work(sealed, tmp_path, monkeypatch):
    shutil.copytree(sealed, tmp_path / "work", symlinks=True)
    monkeypatch.chdir(tmp_path / "work")


def trust(*options: str, keys: tuple[str, ...] = ("one",)) -> None:
    named = [item for key in keys for item in ("--key", f"source={key}/key.pub.pem")]
    assert cli.main(["trust", "init", *named, *options, "--out", "trust.json"]) == 0


def seal(*more: str, data: str = "data", name: str = "flights", out: str = "evidence") -> None:
    shutil.rmtree(out, ignore_errors=True)
    options = ["--name", name, "--key", "one/key.pem", "--out", out, *more]
    assert cli.main(["seal", data, *options]) == 0


def edit(path: Path, change: Callable[[dict], object]) -> None:
    value = json.loads(path.read_bytes())
    change(value)
    path.write_bytes(json.dumps(value).encode())


def limit_key(**times: str) -> None:
    def change(value: dict) -> None:
        (key_id,) = value["roles"]["source"]["keys"]
        value["keys"][key_id].update(times)

    edit(Path("trust.json"), change)


def sql(statement: str) -> None:
    with closing(sqlite3.connect("rows.db")) as made:
        made.execute(statement)
        made.commit()


def reorder() -> None:
    sql("CREATE TABLE u AS SELECT * FROM t ORDER BY id DESC")
    sql("DROP TABLE t")
    sql("ALTER TABLE u RENAME TO t")


def split() -> None:
    """Two partitions under one name."""
    sql("CREATE TABLE p1 AS SELECT * FROM t WHERE id <> 2")
    sql("CREATE TABLE p2 AS SELECT * FROM t WHERE id = 2")
    sql("DROP TABLE t")
    sql("CREATE VIEW t AS SELECT * FROM p1 UNION ALL SELECT * FROM p2")


def flip_byte() -> None:
    data = bytearray(A.read_bytes())
    data[9] ^= 1
    A.write_bytes(data)


def flip_label_with_old_mtime() -> None:
    before = A.stat()
    A.write_bytes(A.read_bytes().replace(b"1,cat", b"1,dog"))
    os.utime(A, ns=(before.st_atime_ns, before.st_mtime_ns))


def swap_names() -> None:
    A.rename("t")
    B.rename(A)
    Path("t").rename(B)


def in_envelope(**changes: str) -> None:
    edit(SEAL, lambda v: v["dsseEnvelope"].update(changes))


def flip_signature(value: dict) -> None:
    signature = bytearray(base64.b64decode(value["dsseEnvelope"]["signatures"][0]["sig"]))
    signature[-1] ^= 1
    value["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(signature).decode()


def edit_payload(value: dict) -> None:
    payload = base64.b64decode(value["dsseEnvelope"]["payload"]).replace(b"a.csv", b"z.csv")
    value["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()


def duplicate_resource() -> None:
    """Signed by the rightful key: a broken tool, or its owner."""
    from sluicegate.attest import dsse
    from sluicegate.attest.bundle import to_bundle

    bundle = json.loads(SEAL.read_bytes())
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    resources = statement["predicate"]["resources"]
    resources.append(dict(resources[-1]))
    signer = read_signer(Path("one/key.pem"))
    SEAL.write_bytes(
        to_bundle(dsse.sign(json.dumps(statement).encode(), signer), signer.public_key)
    )


def count_one_key_twice() -> None:
    trust("--threshold", "source=2", keys=("one", "two"))

    def twice(value: dict) -> None:
        (only,) = value["signatures"]
        # The same signature under no name, so that two lines differ.
        value["signatures"] = [only, {"sig": only["sig"]}]

    edit(LINES, twice)


def strip_post_quantum() -> None:
    trust("--require", "source=ml-dsa-65", keys=("one", "pq"))
    seal("--cosign-key", "pq/key.pem")
    edit(LINES, lambda v: v["signatures"].pop())


def downgrade() -> None:
    trust("--require", "source=ml-dsa-65", keys=("one", "pq"))
    seal("--cosign-key", "pq/key.pem")

    def change(value: dict) -> None:
        classical, quantum = value["signatures"]
        value["signatures"] = [{"keyid": quantum["keyid"], "sig": classical["sig"]}]

    edit(LINES, change)


def revoke() -> None:
    key_id = load_public_key(Path("one/key.pub.pem").read_bytes(), locator="one").key_id
    options = ["--trust", "trust.json", "--key-id", key_id, "--out", "trust.json"]
    assert cli.main(["trust", "revoke", *options, "--at", "2026-01-01T00:00:00Z"]) == 0


def borrow_envelope() -> None:
    """Data and evidence of another source, each valid."""
    shutil.rmtree("evidence")
    Path("other").rename("evidence")
    B.unlink()
    Path("data/c.bin").unlink()


def at_rows(do: Callable[[], object], code: str, cause: str = "") -> Case:
    def there() -> None:
        shutil.rmtree("evidence")
        Path("rows").rename("evidence")
        do()

    return Case(there, code, cause, DATABASE)


CHANGED_ROWS = "are not the rows that were sealed"
CHECKLIST = {
    "nothing": Case(lambda: None, "OK"),
    "flipped byte": Case(flip_byte, "MANIFEST_MISMATCH", "changed 'a.csv'"),
    "flipped label": at_rows(
        lambda: sql("UPDATE t SET label = 'dog' WHERE id = 1"), "DIGEST_MISMATCH", CHANGED_ROWS
    ),
    "row removed": at_rows(
        lambda: sql("DELETE FROM t WHERE id = 2"), "DIGEST_MISMATCH", CHANGED_ROWS
    ),
    "row duplicated": at_rows(
        lambda: sql("INSERT INTO t SELECT * FROM t WHERE id = 2"), "DIGEST_MISMATCH", CHANGED_ROWS
    ),
    "row duplicated twice": at_rows(
        lambda: [sql("INSERT INTO t SELECT * FROM t WHERE id = 2 LIMIT 1") for _ in range(2)],
        "DIGEST_MISMATCH",
        CHANGED_ROWS,
    ),
    "rows re-ordered": at_rows(reorder, "OK"),
    "rows moved between partitions": at_rows(split, "OK"),
    "file added": Case(lambda: Path("data/d").touch(), "MANIFEST_MISMATCH", "added 'd'"),
    "file removed": Case(B.unlink, "MANIFEST_MISMATCH", "removed 'b.csv'"),
    "file renamed": Case(
        lambda: B.rename("data/d.csv"), "MANIFEST_MISMATCH", "renamed 'b.csv' to 'd.csv'"
    ),
    "two names swapped": Case(swap_names, "MANIFEST_MISMATCH", "changed 'a.csv', 'b.csv'"),
    "duplicate resource name": Case(duplicate_resource, "MALFORMED", "lists a path twice"),
    "signature edited": Case(lambda: edit(SEAL, flip_signature), "BAD_SIGNATURE"),
    "payload edited": Case(lambda: edit(SEAL, edit_payload), "BAD_SIGNATURE"),
    "payloadType edited": Case(lambda: in_envelope(payloadType="text/plain"), "BAD_SIGNATURE"),
    "mediaType edited": Case(
        lambda: edit(SEAL, lambda v: v.update(mediaType="text/plain")),
        "MALFORMED",
        "another kind of bundle",
    ),
    "hint edited": Case(
        lambda: edit(SEAL, lambda v: v["verificationMaterial"]["publicKey"].update(hint="0" * 64)),
        "MALFORMED",
        "hint",
    ),
    "envelope of another source": Case(
        borrow_envelope, "BAD_PROOF", "another source", options=("--name", "flights")
    ),
    "older version with its valid seal": Case(
        lambda: None, "ROLLBACK", options=("--remembered-version", "2")
    ),
    "revoked key": Case(revoke, "UNTRUSTED_KEY", "revoked"),
    "expired key": Case(
        lambda: limit_key(not_after="2026-05-01T00:00:00Z"), "EXPIRED", "2026-05-01"
    ),
    "not-yet-valid key": Case(
        lambda: limit_key(not_before="2090-01-01T00:00:00Z"), "EXPIRED", "2090-01-01"
    ),
    "threshold met only by counting a key twice": Case(
        count_one_key_twice, "UNTRUSTED_KEY", "too few signatures"
    ),
    "algorithm downgrade": Case(downgrade, "BAD_SIGNATURE"),
    "missing post-quantum signature": Case(strip_post_quantum, "UNTRUSTED_KEY", "ml-dsa-65"),
    "MD5-collision pair": Case(
        lambda: Path("data/c.bin").write_bytes(MD5_TWO), "MANIFEST_MISMATCH", "changed 'c.bin'"
    ),
    "label flip with restored mtime": Case(
        flip_label_with_old_mtime, "MANIFEST_MISMATCH", "changed 'a.csv'"
    ),
}
"""All but "swap during hashing and during the verified read", which no command can stage:
test_tampered_data.py stages them, CHANGED_DURING_READ and DIGEST_MISMATCH."""


@pytest.mark.parametrize("name", CHECKLIST)
def test_case_is_answered_by_its_own_code_and_cause(work, capsys, name):
    case = CHECKLIST[name]
    case.do()
    capsys.readouterr()
    command = ["verify", "evidence", case.data, "--trust", "trust.json", "--at", NOW, "--json"]
    exit_code = cli.main([*command, *case.options])
    report = json.loads(capsys.readouterr().out)
    bad = [finding for finding in report["findings"] if finding["code"] != "OK"]
    assert {finding["code"] for finding in bad} == ({case.code} - {"OK"})
    assert exit_code == (1 if bad else 0)
    assert case.cause in json.dumps(bad, ensure_ascii=False)
