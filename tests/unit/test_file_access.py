"""Files that anyone may write decide nothing; what deployments really look like is no alarm."""

from __future__ import annotations

import os
import subprocess

import pytest
from capabilities import modes_hold
from small_disk import small_disk
from tests.unit.workflow.conftest import AT, built_site, site  # noqa: F401 - fixtures

from sluicegate.cli.main import main
from sluicegate.errors import ConfigError
from sluicegate.file_access import Insiders, readers, require_safe, writers
from sluicegate.workflow.admission.admit import admit_training

OTHER, GROUP = 12_345, 12_346

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def home(tmp_path):
    (tmp_path / "home").mkdir(mode=0o755)
    (tmp_path / "home" / "trust.json").touch(0o644)
    (tmp_path / "home").chmod(0o755)
    return tmp_path / "home"


def refused(home):
    with pytest.raises(ConfigError, match=r"others may replace it: .*Run: chmod go-w"):
        require_safe(home, home / "trust.json")


def test_installation_of_one_user_is_safe(home):
    require_safe(home, home / "trust.json")


@pytest.mark.parametrize("name", [".", "trust.json"])
@pytest.mark.parametrize("mode", [0o777, 0o757, 0o666, 0o646])
def test_world_writable_file_or_home_is_refused(home, name, mode):
    (home / name).chmod(mode | 0o111 if name == "." else mode)
    refused(home)


def test_file_of_another_user_is_refused(home):
    os.chown(home / "trust.json", OTHER, 0)
    refused(home)


def test_file_that_a_foreign_group_may_write_is_refused(home):
    os.chown(home / "trust.json", 0, GROUP)
    (home / "trust.json").chmod(0o664)
    refused(home)


def test_home_of_another_user_is_the_administrators_choice(home):
    """Training reads what the gate's user owns: the documented split of users."""
    for path in (home, home / "trust.json"):
        os.chown(path, OTHER, GROUP)
    require_safe(home, home / "trust.json")
    (home / "trust.json").chmod(0o664)
    home.chmod(0o775)
    require_safe(home, home / "trust.json")


def test_group_of_this_process_may_write(home):
    """Umask 002 with a private group, or OpenShift's group 0."""
    (home / "trust.json").chmod(0o664)
    home.chmod(0o775)
    require_safe(home, home / "trust.json")


def test_file_of_root_is_safe_for_everybody(home):
    require_safe(home, home / "trust.json")
    insiders = Insiders(frozenset({0, OTHER}), frozenset({OTHER}))
    assert writers(home / "trust.json", insiders) == ""


def test_sticky_home_keeps_its_files(home):
    home.chmod(0o1777)
    require_safe(home, home / "trust.json")


def test_link_into_a_versioned_directory_is_judged_by_its_target(home, tmp_path):
    (tmp_path / "v2").mkdir()
    (tmp_path / "v2" / "trust.json").touch(0o644)
    (home / "trust.json").unlink()
    (home / "trust.json").symlink_to(tmp_path / "v2" / "trust.json")
    require_safe(home, home / "trust.json")
    (tmp_path / "v2" / "trust.json").chmod(0o666)
    refused(home)


def test_read_only_mount_has_no_writers(tmp_path):
    """A ConfigMap's directory has mode 0777 and nobody can write it."""
    (tmp_path / "volume").mkdir()
    with small_disk(tmp_path / "volume") as volume:
        (volume / "trust.json").touch(0o666)
        (volume / "trust.json").chmod(0o666)
        volume.chmod(0o777)
        refused(volume)
        subprocess.run(["mount", "-o", "remount,ro", str(volume)], check=True)
        require_safe(volume, volume / "trust.json")


@pytest.mark.parametrize(
    ("mode", "owner", "group", "said"),
    [
        (0o600, OTHER, GROUP, ""),
        (0o400, 0, GROUP, ""),
        (0o440, 0, GROUP, "group 12346"),
        (0o440, 0, 0, ""),  # a mounted secret with fsGroup
        (0o640, 0, 0, "group 0"),
        (0o440, OTHER, 0, "group 0"),
        (0o444, 0, 0, "every user"),
        (0o604, 0, 0, "every user"),
    ],
)
def test_group_reads_a_key_only_as_a_pod_gets_it(tmp_path, mode, owner, group, said):
    key = tmp_path / "key.pem"
    key.touch()
    os.chown(key, owner, group)
    key.chmod(mode)
    assert readers(key.stat(), Insiders(frozenset({0, 50_000}), frozenset({0}))) == said


@pytest.mark.parametrize("name", [".", "trust.json", "policy.yaml"])
def test_guard_gate_and_doctor_refuse_what_anyone_may_write(site, capsys, name):  # noqa: F811
    site.seal(site.clean)
    site.gate()
    admit_training(site.home, ["src"], at=AT)
    (site.home.root / name).chmod(0o777)
    with pytest.raises(ConfigError, match="others may replace it: every user"):
        admit_training(site.home, ["src"], at=AT)
    home = ["--home", str(site.home.root)]
    assert main(["gate", "src", *home]) == 64
    assert "others may replace it" in capsys.readouterr().err
    assert main(["doctor", *home]) == 2
    assert "unusable" in capsys.readouterr().out


def test_doctor_warns_of_a_ledger_that_anyone_may_write(site, capsys):  # noqa: F811
    site.home.ledger.chmod(0o666)
    assert main(["doctor", "--home", str(site.home.root)]) == 0
    (line,) = [s for s in capsys.readouterr().out.splitlines() if s.startswith("ledger file")]
    assert "warning" in line
    assert "every user" in line


@pytest.mark.parametrize(
    "command", ["gate src", "gate src --seal {clean}", "quarantine src --reason x", "doctor"]
)
def test_user_who_may_not_read_the_keys_is_told_so(site, capsys, command):  # noqa: F811
    """The documented split: keys belong to another user than the one that trains."""
    site.seal(site.clean)
    site.gate()
    os.chown(site.home.keys, OTHER, OTHER)
    for path in site.home.keys.rglob("*"):
        os.chown(path, OTHER, OTHER)
    with modes_hold():
        code = main([*command.format(clean=site.clean).split(), "--home", str(site.home.root)])
        out, err = capsys.readouterr()
    assert code in {2, 64}
    assert "Permission denied" in out + err
    assert "[INTERNAL]" not in out + err
    if command == "doctor":
        assert "trust policy" in out
        assert "[CONFIG]" in out
    else:
        assert err.startswith("sluicegate: [CONFIG]"), err
        assert len(err.splitlines()) == 1
    admit_training(site.home, ["src"], at=AT)
