"""Every parser refuses with our own errors, and what it writes it reads back the same."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fuzz import targets

# Pieces that decide something in one format or another.
TOKENS = [
    *(b"", b"\x00", b"\xff", b"\xef\xbb\xbf", b"\n", b"\r\n", b" ", b'"', b"\\", b",", b":", b"="),
    *(b"{", b"}", b"[", b"]", b"null", b"true", b"NaN", b"-0.0", b"1e999", b"9" * 400),
    *(
        b"[" * 2000,
        b'{"a":' * 500,
        b"\\ud800",
        b"../",
        b"&a [*a]",
        b"!!python/object",
        b"- ",
        b"-1",
    ),
]


@st.composite
def mutated(draw, seed):
    """Return the seed with up to three cuts, each filled with a token or with other bytes."""
    data = seed
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 12)))
        filling = draw(st.one_of(st.sampled_from(TOKENS), st.binary(max_size=6)))
        data = data[:start] + filling + data[end:]
    return data


@pytest.mark.parametrize("name", targets.TARGETS)
def test_seed_is_accepted(name):
    assert targets.check(name, targets.TARGETS[name].seed)


@pytest.mark.parametrize("name", targets.TARGETS)
def test_changed_input_is_read_stably_or_refused(name):
    @settings(max_examples=60, derandomize=True, deadline=None, database=None)
    @given(data=st.one_of(mutated(targets.TARGETS[name].seed), st.binary(max_size=64)))
    def run(data):
        targets.check(name, data)

    run()


OTHERS = [None, True, 5, -1, 2**63, 1.5, "", "x", "é\x00", "9" * 40, [], [[]], {}, {"a": 1}]
N_SWAPS = 120


def places(value, path=()):
    """Return where each value of a JSON document stands."""
    inner = []
    if isinstance(value, dict | list):
        inner = list(value.items() if isinstance(value, dict) else enumerate(value))
    found = [path]
    for key, item in inner:
        found += places(item, (*path, key))
    return found


def swapped(value, path, other):
    """Return the document with one value replaced."""
    if not path:
        return other
    made = json.loads(json.dumps(value))
    *way, last = path
    inner = made
    for key in way:
        inner = inner[key]
    inner[last] = other
    return made


def _documents():
    for name, target in targets.TARGETS.items():
        try:
            yield name, json.loads(target.seed)
        except ValueError:
            continue


DOCUMENTS = dict(_documents())


@pytest.mark.parametrize("name", DOCUMENTS)
def test_value_of_another_type_is_read_stably_or_refused(name):
    """Bytes changed at random seldom stay JSON; these always do."""
    document = DOCUMENTS[name]
    pairs = [(path, other) for path in places(document) for other in OTHERS]
    draw = random.Random(name)
    for path, other in draw.sample(pairs, min(N_SWAPS, len(pairs))):
        data = json.dumps(swapped(document, path, other), sort_keys=True, separators=(",", ":"))
        targets.check(name, data.encode())


@pytest.mark.parametrize("name", targets.TARGETS)
@pytest.mark.parametrize("token", TOKENS, ids=lambda token: repr(token[:12]))
def test_bare_token_is_refused_without_a_foreign_error(name, token):
    targets.check(name, token)
