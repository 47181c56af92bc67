"""A directory behind a link, as git-sync publishes it: what is sealed is the target.

``current`` points at one of several directories and is switched while others read.
"""

from __future__ import annotations

import json
import os
import shutil

import pyarrow as pa
import pytest
from tests.support.locators import COLUMNS, csv, of
from tests.unit.workflow.conftest import AT, built_site, flipped, rows, site, write  # noqa: F401

from sluicegate.adapters.sources.open import open_any, open_source
from sluicegate.adapters.sources.tables import open_table
from sluicegate.errors import DigestMismatch, UnreadableData, UnsafePath
from sluicegate.profiling.csv_dialect import UNDECLARED
from sluicegate.signals.decision.record import Status
from sluicegate.workflow.admission.read import load_verified, stream_verified


def point(link, target):
    """Switch a link as git-sync does: whole, in one step."""
    link.with_name("next").symlink_to(target)
    link.with_name("next").replace(link)


@pytest.fixture
def worktrees(site):  # noqa: F811
    """A clean directory that ``current`` points at, and a poisoned one beside it."""
    root = site.root / "git"
    write(rows(2), root / ".worktrees" / "v1")
    write(flipped(rows(3), "c1"), root / ".worktrees" / "v2")
    point(root / "current", ".worktrees/v1")
    return root


def sealed(site, worktrees):  # noqa: F811
    site.seal(worktrees / "current")
    return site.gate()[0].verdict


def load(site):  # noqa: F811
    return load_verified("src", as_="arrow", home=site.home, at=AT)


def test_target_is_recorded_and_has_the_digest_of_the_link(site, worktrees):  # noqa: F811
    target = worktrees / ".worktrees" / "v1"
    batch = site.seal(worktrees / "current")
    assert batch.location == str(target)
    assert batch.digest == open_source(target).manifest().digest


def test_link_that_is_switched_after_the_seal_changes_nothing(site, worktrees):  # noqa: F811
    site.seal(worktrees / "current")
    point(worktrees / "current", ".worktrees/v2")
    assert site.gate()[0].verdict.result is not Status.FAILED
    assert load(site)["id"].to_pylist() == rows(2)["id"].to_pylist()


def test_new_target_is_another_batch(site, worktrees):  # noqa: F811
    assert sealed(site, worktrees).result is not Status.FAILED
    point(worktrees / "current", ".worktrees/v2")
    assert sealed(site, worktrees).result is Status.FAILED


def test_link_that_is_switched_while_it_is_read_changes_nothing(worktrees):
    opened = open_source(worktrees / "current")
    point(worktrees / "current", ".worktrees/v2")
    assert opened.manifest() == open_source(worktrees / ".worktrees" / "v1").manifest()
    assert opened.location == str(worktrees / ".worktrees" / "v1")


def test_target_that_was_cleaned_up_is_missed_and_not_replaced(site, worktrees):  # noqa: F811
    sealed(site, worktrees)
    point(worktrees / "current", ".worktrees/v2")
    shutil.rmtree(worktrees / ".worktrees" / "v1")
    with pytest.raises(UnreadableData, match="v1"):
        load(site)


def test_link_in_place_of_the_sealed_target_is_refused(site, worktrees):  # noqa: F811
    """Even to the very bytes: a sealed place is a place and no link."""
    sealed(site, worktrees)
    place = worktrees / ".worktrees" / "v1"
    point(place.rename(place.with_name("moved")).with_name("v1"), "moved")
    for read in (load, site.gate.__func__, lambda s: list(stream_verified("src", home=s.home))):
        with pytest.raises(UnsafePath, match="v1: is a symbolic link"):
            read(site)


@pytest.mark.parametrize(
    "make",
    [
        lambda root: root / "current",
        lambda root: root.with_name("alias") / "current",
        lambda root: root / "latest",
        lambda root: root / "absolute",
        lambda root: root / "current" / "." / ".." / "v1",
        lambda root: f"file://{root}/current",
        lambda root: f"{root}/current/*.parquet",
        lambda root: f"glob:{root}/current/*.parquet",
        lambda root: os.path.relpath(root / "current"),
    ],
)
def test_every_way_through_a_link_leads_to_the_target(worktrees, make):
    (worktrees.with_name("alias")).symlink_to(worktrees)
    (worktrees / "latest").symlink_to("current")
    (worktrees / "absolute").symlink_to(worktrees / ".worktrees" / "v1")
    source = open_source(make(worktrees))
    assert source.manifest().paths == ["part.parquet"]
    assert "/.worktrees/v1" in source.location
    assert "current" not in source.location
    assert sum(batch.num_rows for batch in open_table(make(worktrees))) == 3000


def test_links_inside_are_refused_behind_a_link_too(site, worktrees):  # noqa: F811
    (worktrees / ".worktrees" / "v1" / "more.parquet").symlink_to("part.parquet")
    with pytest.raises(UnsafePath, match=r"more\.parquet: is a symbolic link"):
        site.seal(worktrees / "current")


@pytest.mark.parametrize("target", ["v3", "current", "../nowhere/else"])
def test_link_to_nothing_is_nothing_to_read(site, worktrees, target):  # noqa: F811
    point(worktrees / "current", target)
    with pytest.raises((UnreadableData, UnsafePath)):
        site.seal(worktrees / "current")
    with pytest.raises(UnreadableData):
        list(open_table(worktrees / "current"))


def test_link_to_a_file_stays_refused(site, worktrees):  # noqa: F811
    (worktrees / "latest.parquet").symlink_to(".worktrees/v1/part.parquet")
    with pytest.raises(UnsafePath, match="symbolic link"):
        site.seal(worktrees / "latest.parquet")


def test_rows_of_text_behind_a_link_name_the_target_too(worktrees):
    for version, table in (("v1", of(2, 100)), ("v2", of(3, 100))):
        shutil.rmtree(worktrees / ".worktrees" / version)
        (worktrees / ".worktrees" / version).mkdir()
        (worktrees / ".worktrees" / version / "a.csv").write_bytes(csv(table))
    declared = json.dumps(COLUMNS)
    for place in ("current", "current/a.csv", "current/*.csv"):
        rows_ = open_any(f"csv:{worktrees}/{place}#{declared}")
        point(worktrees / "current", ".worktrees/v2")
        found = pa.Table.from_batches(list(rows_.batches()))
        assert found["id"].to_pylist() == of(2, 100)["id"].to_pylist()
        assert "/.worktrees/v1" in rows_.location
        point(worktrees / "current", ".worktrees/v1")


def test_sealed_rows_behind_a_switched_link_are_still_the_sealed_ones(site, worktrees):  # noqa: F811
    for version, table in (("v1", of(2, 100)), ("v2", of(3, 100))):
        (worktrees / ".worktrees" / version / "part.parquet").unlink()
        (worktrees / ".worktrees" / version / "a.csv").write_bytes(csv(table))
    batch = site.seal(f"csv:{worktrees}/current#{json.dumps(COLUMNS)}")
    point(worktrees / "current", ".worktrees/v2")
    from sluicegate.workflow.sealing.sealed_rows import batch_table

    assert batch_table(batch, dialect=UNDECLARED)["id"].to_pylist() == of(2, 100)["id"].to_pylist()
    place = worktrees / ".worktrees" / "v1"
    shutil.rmtree(place)
    place.symlink_to("v2")
    with pytest.raises((UnsafePath, DigestMismatch)):
        batch_table(batch, dialect=UNDECLARED)
