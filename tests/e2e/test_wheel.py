"""What is built from the tree is whole: it installs anywhere and finds its examples."""

import configparser
import os
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]

# As an auditor's machine: the wheel's directory and what `cryptography` needs, nothing else.
ISOLATED = """
import sys
sys.path[:0] = sys.argv.pop(1).split(":")
from sluicegate.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
LOCATE = """
import sys
sys.path[:0] = sys.argv.pop(1).split(":")
from sluicegate.cli.demo.installation import examples
print(examples())
"""


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def build(into, kind="wheel"):
    """Build with the installed hatchling: no network, no isolated environment."""
    program = f"import hatchling.build as b; print(b.build_{kind}({str(into)!r}))"
    done = run(sys.executable, "-W", "ignore", "-c", program, cwd=REPO)
    assert done.returncode == 0, done.stderr
    return into / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    target = tmp_path_factory.mktemp("target")
    pip = ("-m", "pip", "install", "--disable-pip-version-check", "--no-deps", "--no-index")
    done = run(sys.executable, *pip, "--target", str(target), str(wheel))
    assert done.returncode == 0, done.stderr
    return target


def metadata(wheel, name):
    with zipfile.ZipFile(wheel) as archive:
        (member,) = [item for item in archive.namelist() if item.endswith(f".dist-info/{name}")]
        return archive.read(member).decode()


def test_wheel_holds_every_tracked_module_and_nothing_else(names):
    tracked = run("git", "ls-files", "plugins/sluicegate", cwd=REPO)
    if tracked.returncode != 0:
        pytest.skip("not a git checkout")
    expected = {line.removeprefix("plugins/") for line in tracked.stdout.split()}
    code = {name for name in names if name.startswith("sluicegate/")}
    examples = {name for name in code if name.startswith("sluicegate/examples/")}
    untracked = run("git", "ls-files", "-o", "--exclude-standard", "plugins/sluicegate", cwd=REPO)
    new = {line.removeprefix("plugins/") for line in untracked.stdout.split()}
    assert expected <= code
    assert code - expected - examples <= new, "only files that are about to be tracked"


def test_wheel_carries_examples_types_and_licence(names):
    for folder in ("dags", "expectations"):
        files = {path.name for path in (REPO / folder).iterdir() if path.is_file()}
        assert {f"sluicegate/examples/{folder}/{name}" for name in files} <= names
    assert "sluicegate/py.typed" in names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert not any("test" in Path(name).name or "__pycache__" in name for name in names)


def test_wheel_declares_its_entry_points_and_requirements(wheel):
    points = configparser.ConfigParser(delimiters="=")
    points.read_string(metadata(wheel, "entry_points.txt"))
    assert dict(points["console_scripts"]) == {"sluicegate": "sluicegate.cli.main:main"}
    assert dict(points["airflow.policy"]) == {"sluicegate": "sluicegate.orchestration.guard"}
    assert len(points["airflow.plugins"]) == len(points["apache_airflow_provider"]) == 1
    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    text = metadata(wheel, "METADATA")
    assert all(f"Requires-Dist: {item}\n" in text for item in project["dependencies"])
    assert "License-Expression: Apache-2.0" in text


def test_editable_installation_is_only_a_path(tmp_path):
    """A folder `sluicegate` beside the path file would shadow or split the package."""
    with zipfile.ZipFile(build(tmp_path, "editable")) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"_sluicegate.pth"}


def test_two_builds_give_the_same_bytes(wheel, tmp_path):
    assert build(tmp_path).read_bytes() == wheel.read_bytes()


def test_console_script_starts_from_the_installed_wheel(installed):
    done = run(
        installed / "bin" / "sluicegate", "--version", env={"PYTHONPATH": installed}, cwd="/"
    )
    assert (done.returncode, done.stderr) == (0, "")


def isolated(program, *arguments, path):
    command = (sys.executable, "-I", "-S", "-W", "error", "-c", program, path, *arguments)
    return run(*command, env={"PATH": os.defpath}, cwd="/")


def auditors_path(installed, extra):
    """Link what `cryptography` needs into a directory of its own."""
    for name in ("cryptography", "cffi", "pycparser"):
        for file in distribution(name).files or ():
            top = file.parts[0]
            if top != ".." and not (extra / top).exists():
                (extra / top).symlink_to(str(distribution(name).locate_file(top)))
    return f"{installed}:{extra}"


@pytest.mark.parametrize("arguments", [("verify",), ("demo",), ("seal",), ("ledger",)])
def test_help_works_without_airflow_or_any_engine(installed, arguments):
    done = isolated(ISOLATED, *arguments, "--help", path=str(installed))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"usage: sluicegate {arguments[0]}" in done.stdout


def test_installed_wheel_seals_and_verifies_with_cryptography_alone(installed, tmp_path):
    (tmp_path / "path").mkdir()
    path = auditors_path(installed, tmp_path / "path")
    data = tmp_path / "data.csv"
    data.write_text("id,label\n1,0\n")
    key, trust, out = (str(tmp_path / name) for name in ("key", "trust.json", "evidence"))
    steps = [
        ("keygen", "--out", key),
        ("trust", "init", "--key", f"source={key}/key.pub.pem", "--out", trust),
        ("seal", str(data), "--name", "src", "--key", f"{key}/key.pem", "--out", out),
        ("verify", out, str(data), "--trust", trust),
    ]
    for step in steps:
        done = isolated(ISOLATED, *step, path=path)
        assert (done.returncode, done.stderr) == (0, ""), step
    data.write_text("id,label\n1,1\n")
    assert isolated(ISOLATED, *steps[-1], path=path).returncode == 1


def test_installed_demo_takes_its_dags_from_inside_the_package(installed):
    done = run(sys.executable, "-I", "-c", LOCATE, str(installed), cwd="/")
    assert done.returncode == 0, done.stderr
    root = Path(done.stdout.strip())
    assert root == installed / "sluicegate" / "examples"
    assert (root / "dags" / "flights_gate.py").is_file()
    assert (root / "expectations" / "flights.json").is_file()
