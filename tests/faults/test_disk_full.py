"""Every command that writes, on a disk that is full: one coded line, nothing half, and a rerun."""

from __future__ import annotations

import shutil

import pytest
from small_disk import full, small_disk
from tests.faults.conftest import UNCHECKED
from tests.faults.test_bad_installation import checkpointed
from tests.unit.workflow.conftest import AT, Site, built_site  # noqa: F401 - a fixture

from sluicegate.cli.main import main
from sluicegate.workflow.evidence.opening import open_evidence


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    with small_disk(tmp_path_factory.mktemp("disk")) as place:
        yield place


@pytest.fixture(scope="module")
def judged(built_site, tmp_path_factory):  # noqa: F811
    root = tmp_path_factory.mktemp("judged") / "site"
    shutil.copytree(built_site, root)
    site = Site(root)
    site.seal(site.clean)
    site.gate()
    (root / "schema.yaml").write_text("id: id\nlabel: label\n", encoding="utf-8")
    return site


SEAL = "seal {clean} --name src --key {keys}/source.pem --out {disk}/out"
COMMANDS = {
    "keygen": "keygen --out {disk}/out",
    "trust init": "trust init --key ledger={keys}/ledger/key.pub.pem --out {disk}/out",
    "policy init": "policy init {disk}/out",
    "baseline build": "baseline build {clean} --schema {root}/schema.yaml --out {disk}/out",
    "check --json": "check {clean} --baseline {baseline} --json {disk}/out",
    "check --rows": "check {clean} --baseline {baseline} --rows {disk}/out",
    "check --report": "check {clean} --baseline {baseline} --report {disk}/out",
    "seal": SEAL,
    "seal --merkle": f"{SEAL} --merkle",
    "seal --croissant": "seal {clean} --name src --key {keys}/source.pem --out {aside} "
    "--croissant {disk}/out",
    "ledger checkpoint": "ledger checkpoint --home {home} --out {disk}/out",
    "ledger prove": "ledger prove 0 --home {home} --out {disk}/out",
    "ledger cosign": "ledger cosign --home {home} --request {disk}/out",
    "ledger export": "ledger export --home {home} --source src --out {disk}/out",
    "ledger export --tiles": "ledger export --home {home} --tiles --out {disk}/out",
    "export": "export --source src --home {home} --out {disk}/out",
    "export --archive": "export --source src --home {home} --out {aside} --archive {disk}/out",
    "lineage": "lineage --source src --home {home} --svg {disk}/out",
    "audit": "audit --home {home} --save {disk}/out",
}


@pytest.mark.parametrize("name", COMMANDS)
def test_command_on_a_full_disk_says_so_and_leaves_nothing_behind(
    name, judged, disk, tmp_path, capsys
):
    home = judged.home
    arguments = [
        word.format(
            disk=disk, root=judged.root, clean=judged.clean, home=home.root, keys=home.keys,
            baseline=home.baseline_dir("src"), aside=tmp_path / "aside",
        )
        for word in COMMANDS[name].split()
    ]  # fmt: skip
    with full(disk):
        code = main(arguments)
        out, err = capsys.readouterr()
        assert code == UNCHECKED, out + err
        assert err.startswith(("sluicegate: [SYSTEM]", "sluicegate: [LEDGER]")), err
        assert len(err.splitlines()) == 1
        assert "No space left on device" in err
        rest = [path for path in disk.rglob("*") if path.is_file() and path.name != "filling"]
        assert not rest, "nothing that could be taken for a result"
    shutil.rmtree(tmp_path / "aside", ignore_errors=True)
    again = main(arguments)
    assert again == 0, capsys.readouterr().err
    for path in disk.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize(
    "command", ["gate src", "gate src --seal {poisoned}", "quarantine src --reason x"]
)
def test_ledger_on_a_full_disk_says_so_and_stays_whole(command, judged, disk, capsys):
    shutil.copytree(judged.home.root, disk / "sluice")
    shutil.copytree(judged.home.memory.parent, disk / "sluice.remembered")
    site = Site(disk)
    checkpointed(site.home.ledger)  # or its write-ahead log has room for one append
    try:
        with full(disk):
            arguments = [word.format(poisoned=judged.poisoned) for word in command.split()]
            code = main([*arguments, "--home", str(site.home.root)])
            out, err = capsys.readouterr()
            assert code == UNCHECKED, out + err
            # A quarantine that still fits blocks the batch, though its bytes are not kept yet.
            codes = ("[LEDGER]", "[SYSTEM]", "[DATA_UNREADABLE]")
            assert any(code in err for code in codes), err
            assert len(err.splitlines()) == 1
        size = open_evidence(judged.home, at=AT).ledger.audit().size
        assert open_evidence(site.home, at=AT).ledger.audit().size >= size
    finally:
        shutil.rmtree(disk / "sluice")
        shutil.rmtree(disk / "sluice.remembered")
