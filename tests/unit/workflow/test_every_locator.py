"""Each kind of location works in each command, and all of them mean the same rows.

The commands are run as a user runs them, on one table in every form.
"""

from __future__ import annotations

import json
import shutil

import pytest
from tests.support.built_once import build_once
from tests.support.locators import (
    COLUMNS,
    DIALECT,
    HALF,
    KINDS,
    http_server,
    of,
    postgres_tables,
    put,
)
from tests.unit.workflow.conftest import SCHEMA, built_site, site  # noqa: F401

from sluicegate.cli import main as cli
from sluicegate.signals.baseline import build
from sluicegate.workflow.admission.read import load_verified, open_verified, stream_verified

pytestmark = pytest.mark.slow  # a baseline for each kind of location

SERVED = ("postgresql:", "postgresql: query", "http:")


@pytest.fixture(scope="module")
def forms(tmp_path_factory):
    """Locations of trusted rows and of a batch by kind, and where they lie."""
    root = tmp_path_factory.mktemp("forms")
    return put(root / "trusted", of(1, 6000)), put(root / "batch", of(2)), root


@pytest.fixture(params=[*KINDS, *SERVED])
def named(request, forms, monkeypatch):
    """Kind of a location, and locations of that kind of the trusted rows and of the batch."""
    kind = request.param
    trusted, batch, root = forms
    if kind in KINDS:
        yield kind, trusted[kind], batch[kind]
    elif kind == "http:":
        with http_server(root) as url:
            yield kind, f"{url}/trusted/whole.parquet", f"{url}/batch/whole.parquet"
    else:
        query = "SELECT * FROM {}" if kind.endswith("query") else "{}"
        with postgres_tables(monkeypatch, [of(1, 6000), of(2)]) as found:
            places = [location.partition("#") for location in found]
            yield kind, *(f"{place}#{query.format(name)}" for place, _, name in places)


def run(capsys, *arguments):
    """One command as a user calls it: its exit code, and all that it said."""
    code = cli.main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return code, said.out + said.err


def expected(kind):
    table = of(2)
    return table.slice(0, 1500) if kind in HALF else table


def require_same(found, kind):
    wanted = expected(kind)
    assert found["id"].to_pylist() == wanted["id"].to_pylist()
    assert found["x"].to_pylist() == wanted["x"].to_pylist()
    assert found["label"].to_pylist() == wanted["label"].to_pylist()
    assert found.schema.names == list(COLUMNS)


def test_location_is_digested_built_checked_sealed_judged_and_read(
    named,
    site,  # noqa: F811
    tmp_path,
    capsys,
    monkeypatch,
):
    # All kinds have the same rows, so one model of them will do.
    monkeypatch.setattr(build, "build_baseline", build_once)
    kind, trusted, batch = named
    home, declares = site.home, "declared" in kind
    monkeypatch.setenv("SLUICEGATE_HOME", str(home.root))
    schema = tmp_path / "schema.yaml"
    section = {"csv": DIALECT} if declares else {}
    schema.write_text(json.dumps({**SCHEMA, **section}))

    code, digest = run(capsys, "digest", batch)
    assert code == 0, digest
    digest = digest.strip()

    shutil.rmtree(home.baseline_dir("src"))
    built = ["baseline", "build", trusted, "--schema", schema, "--source", "src"]
    code, said = run(
        capsys, *built, "--key", home.key("baseline"), "--out", home.baseline_dir("src")
    )
    assert code == 0, said

    code, said = run(capsys, "check", batch, "--baseline", home.baseline_dir("src"))
    assert code == 0, said
    assert f"{expected(kind).num_rows} rows" in said

    sealed = ["seal", batch, "--name", "src", "--key", home.key("source")]
    code, said = run(capsys, *sealed, "--out", tmp_path / "evidence")
    assert code == 0, said
    assert digest in said
    code, said = run(capsys, "verify", tmp_path / "evidence", batch, "--trust", home.trust)
    assert code == 0, said

    code, said = run(capsys, "gate", "src", "--seal", batch, "--home", home.root, "--json")
    assert code == 0, said
    found, _ = json.JSONDecoder().raw_decode(said)  # behind it, what was said of the seal
    assert found["digest"] == digest
    assert found["verdict"] == "PASSED"

    require_same(load_verified("src", as_="arrow"), kind)
    streamed = list(stream_verified("src"))
    assert sum(part.num_rows for part in streamed) == expected(kind).num_rows
    assert [name for part in streamed for name in part["id"].to_pylist()] == (
        expected(kind)["id"].to_pylist()
    )
    if digest.startswith("dirHash1"):
        assert list(open_verified("src"))
