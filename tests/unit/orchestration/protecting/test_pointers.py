"""Asset events are hints: cut, compared, and never enough."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from sluicegate.errors import ConfigError, VerificationError
from sluicegate.orchestration.protecting.pointers import (
    pointers_of,
    require_same_batch,
    triggering_sources,
)
from sluicegate.orchestration.settings import Settings


class Named(SimpleNamespace):
    __hash__ = object.__hash__


def asset(uri):
    return Named(name=uri, uri=uri)


def event(minute, **extra):
    return SimpleNamespace(timestamp=datetime(2013, 1, 1, 0, minute, tzinfo=UTC), extra=extra)


def context(**events_by_source):
    events = {asset(f"sluicegate://{name}/"): found for name, found in events_by_source.items()}
    return {"triggering_asset_events": {**events, asset("x://y"): [event(1)], Named(name="a"): []}}


def test_the_newest_event_of_each_source_is_the_pointer():
    found = pointers_of(context(a=[event(2, verdict="new"), event(1, verdict="old")], b=[event(1)]))
    assert found == {"a": {"verdict": "new"}, "b": {}}


@pytest.mark.parametrize("nothing", [{}, {"triggering_asset_events": None}])
def test_a_run_without_events_has_no_pointers(nothing):
    assert pointers_of(nothing) == {}


def test_unknown_fields_are_dropped_and_values_become_short_text():
    (pointer,) = pointers_of(
        context(a=[event(1, source="a", verdict=["x"], digest="d" * 9999, from_rest_api=True)])
    ).values()
    assert pointer["verdict"] == "['x']"
    assert len(pointer["digest"]) == 512
    assert set(pointer) == {"source", "verdict", "digest"}


def test_an_event_that_names_another_source_is_refused():
    with pytest.raises(VerificationError, match=r"another source.*expected a, got b"):
        pointers_of(context(a=[event(1, source="b")]))


def test_a_pointer_to_another_batch_than_the_admitted_one_is_refused():
    admitted = {"source": "a", "digest": "dirHash1:11", "verdict": "sha256:1"}
    require_same_batch({"digest": "dirHash1:11"}, admitted)
    require_same_batch({}, admitted)
    with pytest.raises(VerificationError, match="another batch"):
        require_same_batch({"digest": "dirHash1:22"}, admitted)


def test_only_protected_assets_among_the_events_ask_for_a_verdict():
    assert triggering_sources(context(b=[event(1)], a=[event(1)]), Settings()) == ("a", "b")
    assert triggering_sources(context(), Settings()) == ()


def test_a_protected_asset_without_a_source_is_refused():
    with pytest.raises(ConfigError, match="stands for no source"):
        triggering_sources(context(), Settings(protect_assets=("x://",)))
