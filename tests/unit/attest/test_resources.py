"""A seal by shards is read back exactly; whatever else could be read into it is refused."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.attest.predicates import (
    manifest_from_statement,
    seal_payload,
    seal_statement,
)
from sluicegate.attest.resources import manifest_of, predicate_of, resources_text
from sluicegate.attest.statement import Statement
from sluicegate.digest import canonical
from sluicegate.digest.algorithms import shards_of
from sluicegate.digest.hashers import hasher_of
from sluicegate.digest.manifest import Manifest
from sluicegate.errors import MalformedEnvelope, SluicegateError

FILES = {"a-b": b"x" * 25, "a/b": b"y" * 30, "empty": b"", "z": b"z"}


def manifest(files=FILES, n_bytes=10):
    algorithm = shards_of(n_bytes)
    hashed = [
        (path, hasher_of(algorithm)(data).hexdigest(), len(data)) for path, data in files.items()
    ]
    return Manifest(tuple(sorted(hashed)), algorithm)


@given(
    files=st.dictionaries(st.text("ab/.é", min_size=1, max_size=5), st.binary(max_size=50)),
    n_bytes=st.integers(1, 60),
    data=st.data(),
)
def test_any_shards_in_any_order_of_files_give_the_same_seal(files, n_bytes, data):
    try:
        made = manifest(files, n_bytes)
    except SluicegateError:
        return  # names that no manifest may hold
    mixed = dict(data.draw(st.permutations(list(files.items()))))
    payload = seal_payload("flights", made)
    assert seal_payload("flights", manifest(mixed, n_bytes)) == payload
    assert manifest_from_statement(Statement.from_bytes(payload), locator="seal") == made
    assert canonical.dumps(canonical.loads(payload, locator="seal")) == payload


def test_shards_are_named_as_model_signing_names_them():
    said = predicate_of(manifest())
    assert said["serialization"] == {
        "method": "shards",
        "hash_type": "sha256",
        "shard_size": 10,
        "allow_symlinks": False,
    }
    assert said["emptyFiles"] == ["empty"]
    resources = canonical.loads(b"[" + resources_text(manifest()) + b"]", locator="resources")
    assert [item["name"] for item in resources] == [
        *("a/b:0:10", "a/b:10:20", "a/b:20:30"),
        *("a-b:0:10", "a-b:10:20", "a-b:20:25", "z:0:1"),
    ]
    assert {item["algorithm"] for item in resources} == {"sha256-sharded-10"}


def swap(value, one, two):
    value[one], value[two] = value[two], value[one]


CHANGES = {
    "shard missing in the middle": lambda p: p["resources"].pop(1),
    "two shards swapped": lambda p: swap(p["resources"], 0, 1),
    "two files swapped": lambda p: swap(p["resources"], 2, 3),
    "shard named twice": lambda p: p["resources"].append(p["resources"][-1]),
    "gap": lambda p: p["resources"][1].update(name="a/b:11:20"),
    "overlap": lambda p: p["resources"][1].update(name="a/b:9:20"),
    "long shard": lambda p: p["resources"][6].update(name="z:0:11"),
    "no shard": lambda p: p["resources"][6].update(name="z:0:0"),
    "no colon": lambda p: p["resources"][6].update(name="z"),
    "leading zero": lambda p: p["resources"][6].update(name="z:0:01"),
    "sign": lambda p: p["resources"][6].update(name="z:+0:1"),
    "huge": lambda p: p["resources"][6].update(name="z:0:" + "9" * 5000),
    "other algorithm": lambda p: p["resources"][6].update(algorithm="sha256"),
    "other length": lambda p: p["resources"][6].update(algorithm="sha256-sharded-11"),
    "short digest": lambda p: p["resources"][6].update(digest="00"),
    "extra field": lambda p: p["resources"][6].update(size=1),
    "no digest": lambda p: p["resources"][6].pop("digest"),
    "no object": lambda p: p["resources"].append("z:0:1"),
    "empty file twice": lambda p: p["emptyFiles"].append("empty"),
    "empty file with bytes": lambda p: p["emptyFiles"].append("z"),
    "empty files out of order": lambda p: p["emptyFiles"].insert(0, "f"),
    "no empty files": lambda p: p.update(emptyFiles=[]),
    "empty files are no list": lambda p: p.update(emptyFiles="empty"),
    "empty file is no text": lambda p: p.update(emptyFiles=[1]),
    "no length": lambda p: p["serialization"].pop("shard_size"),
    "length of nothing": lambda p: p["serialization"].update(shard_size=0),
    "length below nothing": lambda p: p["serialization"].update(shard_size=-10),
    "length is a truth": lambda p: p["serialization"].update(shard_size=True),
    "length is a text": lambda p: p["serialization"].update(shard_size="10"),
    "another length": lambda p: p["serialization"].update(shard_size=30),
    "files": lambda p: p["serialization"].update(method="files"),
    "blake3": lambda p: p["serialization"].update(hash_type="blake3"),
    "symlinks": lambda p: p["serialization"].update(allow_symlinks=True),
    "ignored": lambda p: p["serialization"].update(ignore_paths=["z"]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_seal_by_shards_is_refused_if(change):
    predicate = copy.deepcopy(dict(seal_statement("flights", manifest()).predicate))
    assert manifest_of(predicate, locator="seal") == manifest()
    change(predicate)
    with pytest.raises(SluicegateError):
        manifest_of(predicate, locator="seal")


@pytest.mark.parametrize("change", [CHANGES["gap"], CHANGES["two shards swapped"]])
def test_the_refusal_of_shards_says_why(change):
    predicate = copy.deepcopy(dict(seal_statement("flights", manifest()).predicate))
    change(predicate)
    with pytest.raises(MalformedEnvelope, match="shards out of order, or not all of a file"):
        manifest_of(predicate, locator="seal")


def test_a_file_without_its_last_shard_has_another_digest():
    statement = seal_statement("flights", manifest())
    fewer = copy.deepcopy(dict(statement.predicate))
    del fewer["resources"][5]
    assert manifest_of(fewer, locator="seal").entry("a-b").size_bytes == 20
    wrong = Statement(statement.subjects, statement.predicate_type, fewer)
    with pytest.raises(MalformedEnvelope, match="do not hash to its sha256"):
        manifest_from_statement(wrong, locator="seal")


def test_a_subject_with_the_identity_of_other_shards_is_refused():
    statement = seal_statement("flights", manifest())
    digests = dict(statement.subjects[0].digest)
    digests["dirHash1-shards-11"] = digests.pop("dirHash1-shards-10")
    subject = type(statement.subjects[0])("flights", digests)
    wrong = Statement((subject,), statement.predicate_type, statement.predicate)
    with pytest.raises(MalformedEnvelope, match="no dirHash1-shards-10"):
        manifest_from_statement(wrong, locator="seal")
    both = Statement(
        (type(subject)("flights", {**statement.subjects[0].digest, **digests}),),
        statement.predicate_type,
        statement.predicate,
    )
    with pytest.raises(MalformedEnvelope, match="several ways"):
        manifest_from_statement(both, locator="seal")
