"""One value, one byte string; and no text that two readers could understand differently."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.digest import canonical
from sluicegate.errors import ConfigError, MalformedEnvelope, SluicegateError

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-canonical.MAX_INTEGER, canonical.MAX_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
JSON = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(JSON)
def test_value_written_then_read_is_unchanged(value):
    assert canonical.loads(canonical.dumps(value), locator="x") == value


@given(JSON)
def test_bytes_read_then_written_are_unchanged(value):
    data = canonical.dumps(value)
    assert canonical.dumps(canonical.loads(data, locator="x")) == data


@given(st.dictionaries(st.text("abcé", max_size=3), st.integers(0, 9)))
def test_order_of_insertion_does_not_show(value):
    assert canonical.dumps(dict(reversed(value.items()))) == canonical.dumps(value)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_as_malformed(data):
    with contextlib.suppress(MalformedEnvelope):
        canonical.loads(data, locator="x")


@given(JSON, st.integers(0, 10_000), st.integers(0, 255))
def test_any_changed_byte_is_read_or_refused_as_malformed(value, position, byte):
    data = bytearray(canonical.dumps(value))
    data[position % len(data)] = byte
    with contextlib.suppress(MalformedEnvelope):
        canonical.loads(bytes(data), locator="x")


def test_text_is_compact_sorted_utf8_without_newline():
    assert canonical.dumps({"é": 1, "b": [1.5, True, None], "a": "\n/"}) == (
        '{"a":"\\n/","b":[1.5,true,null],"é":1}'.encode()
    )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"a":1,"a":2}', "duplicate key"),
        (b'[{"a":{"b":1,"b":1}}]', "duplicate key"),
        (b"[NaN]", "no number NaN"),
        (b"[Infinity]", "no number Infinity"),
        (b"[-Infinity]", "no number -Infinity"),
        (b"[1e999]", "not finite"),
        (b"[9223372036854775808]", "64 bit"),
        (b"[-9223372036854775808]", "64 bit"),
        (b"[" + b"1" * 5000 + b"]", "64 bit"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b'["\xff"]', "not UTF-8"),
        ('["a"]'.encode("utf-16"), "not UTF-8"),
        (b'["\\ud800"]', "surrogate"),
        (b'{"\\udfff":1}', "surrogate"),
        (b"[" * 65 + b"]" * 65, "nested too deeply"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b"", "not JSON"),
        (b"{}{}", "not JSON"),
        (b"{'a':1}", "not JSON"),
        (b"[01]", "not JSON"),
        (b'["\n"]', "not JSON"),
    ],
)
def test_text_that_readers_differ_on_is_refused(data, reason):
    with pytest.raises(MalformedEnvelope, match=reason) as caught:
        canonical.loads(data, locator="file.json")
    assert caught.value.locator == "file.json"


def test_limits_themselves_are_accepted():
    assert canonical.loads(b"[9223372036854775807]", locator="x") == [2**63 - 1]
    assert canonical.loads(b"[" * 64 + b"]" * 64, locator="x")


def test_text_over_the_size_limit_is_refused_unread():
    with pytest.raises(MalformedEnvelope, match="too large"):
        canonical.loads(b"not even JSON", locator="x", max_bytes=5)


def test_message_does_not_quote_the_text():
    with pytest.raises(MalformedEnvelope) as caught:
        canonical.loads(b'{"secret-value"', locator="x")
    assert "secret-value" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        [float("inf")],
        2**63,
        {"a": -(2**63)},
        {1: "a"},
        {None: 1},
        "\ud800",
        {"\ud800": 1},
        b"bytes",
        {"a": {1, 2}},
        json.loads("[" * 65 + "]" * 65),
    ],
)
def test_value_that_could_not_be_read_back_is_not_written(value):
    with pytest.raises(ConfigError):
        canonical.dumps(value)


def test_value_that_holds_itself_is_refused():
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(SluicegateError):
        canonical.dumps(loop)
