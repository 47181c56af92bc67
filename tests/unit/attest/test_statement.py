"""A statement has named subjects with digests and a predicate with a type."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.attest.statement import STATEMENT_TYPE, Statement, Subject
from sluicegate.errors import ConfigError, MalformedEnvelope

_TEXT = st.text("abé", min_size=1, max_size=4)
_DIGESTS = st.dictionaries(_TEXT, _TEXT, min_size=1, max_size=2)
_SUBJECTS = st.lists(
    st.builds(Subject, _TEXT, _DIGESTS), min_size=1, max_size=3, unique_by=lambda s: s.name
)
_PREDICATES = st.dictionaries(_TEXT, st.integers(-9, 9) | st.text(max_size=3), max_size=3)
STATEMENTS = st.builds(
    Statement, _SUBJECTS.map(tuple), st.just("https://example.org/p/v1"), _PREDICATES
)


@given(STATEMENTS)
def test_statement_written_then_read_is_unchanged(statement):
    read = Statement.from_bytes(statement.to_bytes())
    assert read == statement
    assert read.to_bytes() == statement.to_bytes()


@given(st.binary(max_size=200))
def test_any_bytes_are_a_statement_or_malformed(data):
    with contextlib.suppress(MalformedEnvelope):
        Statement.from_bytes(data)


@given(STATEMENTS, st.integers(0, 10_000), st.integers(0, 255))
def test_any_changed_byte_is_a_statement_or_malformed(statement, position, byte):
    data = bytearray(statement.to_bytes())
    data[position % len(data)] = byte
    with contextlib.suppress(MalformedEnvelope):
        Statement.from_bytes(bytes(data))


def _json(**changes):
    value = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": "flights", "digest": {"sha256": "ab"}}],
        "predicateType": "https://example.org/p/v1",
        "predicate": {},
        **changes,
    }
    return json.dumps({key: item for key, item in value.items() if item is not ...}).encode()


@pytest.mark.parametrize(
    "changes",
    [
        {"_type": "https://in-toto.io/Statement/v0.1"},
        {"_type": ...},
        {"subject": ...},
        {"subject": []},
        {"subject": {}},
        {"subject": [None]},
        {"subject": [{"name": "a"}]},
        {"subject": [{"name": "", "digest": {"sha256": "ab"}}]},
        {"subject": [{"name": "a", "digest": {}}]},
        {"subject": [{"name": "a", "digest": {"sha256": 1}}]},
        {"subject": [{"name": "a", "digest": {"sha256": ""}}]},
        {"subject": [{"name": "a", "digest": {"": "ab"}}]},
        {"subject": [{"name": "a", "digest": {"x": "y"}}] * 2},
        {"predicateType": ...},
        {"predicateType": "not a uri"},
        {"predicateType": ""},
        {"predicateType": 1},
        {"predicate": ...},
        {"predicate": []},
        {"predicate": None},
    ],
)
def test_other_statement_is_malformed(changes):
    assert Statement.from_bytes(_json())
    with pytest.raises(MalformedEnvelope):
        Statement.from_bytes(_json(**changes))


def test_unknown_fields_are_ignored_as_the_specification_demands():
    assert Statement.from_bytes(_json(note=1)) == Statement.from_bytes(_json())


def test_subject_cannot_be_changed_through_the_mapping_it_was_made_from():
    digest = {"sha256": "ab"}
    subject = Subject("a", digest)
    digest["sha256"] = "cd"
    assert subject.digest["sha256"] == "ab"
    with pytest.raises(TypeError):
        subject.digest["sha256"] = "cd"


def test_equal_subjects_have_equal_hashes():
    one, other = Subject("a", {"x": "1", "y": "2"}), Subject("a", {"y": "2", "x": "1"})
    assert one == other
    assert hash(one) == hash(other)


def test_predicate_that_json_cannot_hold_is_not_written():
    statement = Statement((Subject("a", {"x": "y"}),), "https://e.org/p", {"a": float("nan")})
    with pytest.raises(ConfigError):
        statement.to_bytes()
