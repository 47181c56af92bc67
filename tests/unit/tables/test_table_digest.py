"""The table digest is a commutative monoid over rows with multiplicity."""

import io
import tempfile

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sluicegate.digest.algorithms import Digest
from sluicegate.errors import MalformedEnvelope, SchemaMismatch
from sluicegate.tables.row_ids import ascending
from sluicegate.tables.row_schema import TableSchema
from sluicegate.tables.table_digest import N_BUCKETS, TableDigest, bucket_of

SCHEMA = TableSchema(("a",), ("int",))

# Ids that share a bucket or a prefix of eight bytes are where sorting could go wrong.
IDS = st.builds(
    lambda head, tail: head * 8 + tail * 24,
    st.sampled_from([b"\x00", b"\x01", b"\xff"]),
    st.sampled_from([b"\x00", b"\x01", b"\x80", b"\xff"]),
) | st.binary(min_size=32, max_size=32)
TABLES = st.lists(IDS, max_size=12)


def array(ids):
    return np.frombuffer(b"".join(ids), np.uint8).reshape(-1, 32)


def part(ids, **options):
    made = TableDigest(SCHEMA, **options)
    return made.update(array(ids))


def digest(ids):
    return str(part(ids).commitment().digest)


@given(st.lists(IDS, max_size=90))
@example([bytes([n % 3]) * 8 + bytes([n % 7]) * 24 for n in range(90)])
def test_ascending_sorts_by_all_bytes(ids):
    assert [bytes(row) for row in ascending(array(ids))] == sorted(ids)


@given(TABLES, TABLES, TABLES)
def test_merge_is_associative(a, b, c):
    left = part(a).merge(part(b)).merge(part(c))
    right = part(a).merge(part(b).merge(part(c)))
    assert left.to_bytes() == right.to_bytes()


@given(TABLES, TABLES)
def test_merge_is_commutative_and_equals_one_update(a, b):
    merged = part(a).merge(part(b))
    assert merged.commitment() == part(b).merge(part(a)).commitment() == part(a + b).commitment()


@given(TABLES)
def test_empty_is_the_identity(a):
    assert part(a).merge(TableDigest(SCHEMA)).to_bytes() == part(a).to_bytes()
    assert TableDigest(SCHEMA).merge(part(a)).to_bytes() == part(a).to_bytes()


@given(TABLES, st.randoms(use_true_random=False))
def test_order_does_not_matter(ids, random):
    shuffled = ids.copy()
    random.shuffle(shuffled)
    assert digest(shuffled) == digest(ids)


@given(TABLES, st.integers(0, 20))
def test_partitions_do_not_matter(ids, cut):
    assert part(ids[:cut]).update(array(ids[cut:])).to_bytes() == part(ids).to_bytes()


@given(TABLES, IDS, st.integers(1, 5))
def test_every_repetition_shows(ids, extra, times):
    seen = [digest(ids + [extra] * n) for n in range(times + 1)]
    assert len(set(seen)) == times + 1


@pytest.mark.parametrize("times", [2, 256, 65_536])
def test_swapping_equal_numbers_of_two_repeated_rows_shows(times):
    """What a sum modulo 2**16 (LtHash) cannot see: times * a equals times * b."""
    a, b = bytes(32), b"\x01" * 32
    assert digest([a] * times) != digest([b] * times)


@given(TABLES, TABLES)
def test_equal_digests_mean_equal_multisets(a, b):
    assert (digest(a) == digest(b)) == (sorted(a) == sorted(b))


@given(TABLES)
def test_round_trip(ids):
    written = part(ids).to_bytes()
    read = TableDigest.from_bytes(written, locator="x")
    assert read.to_bytes() == written
    assert read.commitment() == part(ids).commitment()


@given(st.lists(TABLES, max_size=5), st.integers(0, 4))
def test_spilling_changes_nothing(tables, max_ids):
    spilled = TableDigest(SCHEMA, spill=io.BytesIO, max_ids=max_ids)
    for ids in tables:
        spilled.update(array(ids))
    merged = TableDigest(SCHEMA, spill=io.BytesIO, max_ids=max_ids)
    merged.merge(spilled).update(array([bytes(32)]))
    together = [row for ids in tables for row in ids] + [bytes(32)]
    assert merged.n_rows == len(together)
    assert merged.to_bytes() == part(together).to_bytes()


def test_ids_beyond_the_limit_leave_memory():
    with tempfile.TemporaryFile() as file:
        made = TableDigest(SCHEMA, spill=lambda: file, max_ids=1000)
        ids = np.random.default_rng(1).integers(0, 256, (100, 100, 32), dtype=np.uint8)
        for chunk in ids:
            made.update(chunk)
            assert sum(len(kept) for kept in made._chunks) <= 1000
        assert made.commitment() == TableDigest(SCHEMA).update(ids.reshape(-1, 32)).commitment()


def test_bucket_is_the_first_twelve_bits():
    ids = array([b"\x00" * 32, b"\xab\xcd" + bytes(30), b"\xff" * 32])
    assert bucket_of(ids).tolist() == [0, 0xABC, N_BUCKETS - 1]


def test_only_the_buckets_of_changed_rows_differ():
    ids = [bytes([i]) * 32 for i in range(256)]
    changed = [*ids[:7], b"\xee\xe0" * 16, *ids[8:]]
    differing = part(ids).commitment().differing_buckets(part(changed).commitment())
    assert np.flatnonzero(differing).tolist() == [0x070, 0xEEE]


def test_columns_are_part_of_the_digest():
    renamed = TableDigest(TableSchema(("b",), ("int",)))
    retyped = TableDigest(TableSchema(("a",), ("float",)))
    ids = array([bytes(32)])
    found = {
        str(t.update(ids).commitment().digest) for t in (TableDigest(SCHEMA), renamed, retyped)
    }
    assert len(found) == 3


def test_merge_of_other_columns_is_refused():
    with pytest.raises(SchemaMismatch, match="tables have different columns"):
        TableDigest(SCHEMA).merge(TableDigest(TableSchema(("a",), ("float",))))


def test_digest_parses_and_names_every_parameter():
    made = part([bytes(32)]).commitment().digest
    assert made.algorithm == "tableHash1-sha256-4096"
    assert Digest.parse(str(made)) == made


WHOLE = part([bytes(32), b"\x01" * 32]).to_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        WHOLE[:-1],
        WHOLE[:-32],
        WHOLE + bytes(32),
        b"x" + WHOLE[1:],
        WHOLE[:-64] + WHOLE[-32:] + WHOLE[-64:-32],
        WHOLE.replace(b'"rows":2', b'"rows":3'),
        WHOLE.replace(b'"rows":2', b'"rows":"'),
        WHOLE.replace(b'{"columns"', b'{"columnz"'),
        WHOLE[:29] + b"\xff" * 8 + WHOLE[37:],
    ],
)
def test_damaged_partial_digest_is_malformed(damaged):
    with pytest.raises(MalformedEnvelope, match="MALFORMED"):
        TableDigest.from_bytes(damaged, locator="part")


@given(st.binary(max_size=200), st.integers(0, len(WHOLE)))
def test_no_bytes_crash_the_reader(noise, cut):
    for data in (noise, WHOLE[:cut] + noise):
        try:
            TableDigest.from_bytes(data, locator="fuzz")
        except (MalformedEnvelope, SchemaMismatch):
            continue
