"""A seal gives back the manifest that was signed, or says that it contradicts itself."""

import json
from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.attest import predicates
from sluicegate.attest.predicates import (
    manifest_from_statement,
    provenance_from_statement,
    provenance_statement,
    seal_payload,
    seal_statement,
)
from sluicegate.attest.statement import Statement, Subject
from sluicegate.digest import canonical
from sluicegate.digest.algorithms import sha256_bytes
from sluicegate.digest.manifest import FileEntry, Manifest
from sluicegate.errors import ConfigError, MalformedEnvelope, SluicegateError, UnsafePath


def _manifest(contents):
    return Manifest.from_entries(
        [FileEntry(path, sha256_bytes(data), len(data)) for path, data in contents.items()]
    )


def _edited(statement, edit):
    predicate = json.loads(json.dumps(dict(statement.predicate)))
    edit(predicate)
    return replace(statement, predicate=predicate)


@given(
    st.dictionaries(
        st.text("xyz-.", min_size=1, max_size=3).filter(lambda name: name.strip(".")),
        st.binary(max_size=3),
        min_size=1,
        max_size=6,
    )
)
def test_seal_gives_back_its_manifest(contents):
    manifest = _manifest({f"d/{path}": data for path, data in contents.items()})
    read = Statement.from_bytes(seal_statement("flights", manifest).to_bytes())
    assert manifest_from_statement(read, locator="seal") == manifest


def test_seal_names_both_digests(manifest):
    (subject,) = seal_statement("flights", manifest).subjects
    assert subject.name == "flights"
    assert dict(subject.digest) == {
        "sha256": manifest.oms_root.hex,
        "dirHash1": manifest.digest.hex,
    }


def test_resources_are_in_the_order_of_model_signing(manifest):
    resources = seal_statement("flights", manifest).predicate["resources"]
    assert [item["name"] for item in resources] == ["a/c.csv", "a-b.csv", "z"]


def _duplicate(predicate):
    predicate["resources"].insert(1, dict(predicate["resources"][0]))


def _relabel(predicate):
    """Say BLAKE3 everywhere in the predicate, so that only the subject contradicts it."""
    predicate["serialization"]["hash_type"] = "blake3"
    for resource in predicate["resources"]:
        resource["algorithm"] = "blake3"


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (_duplicate, "twice"),
        (lambda p: p["resources"].reverse(), "out of order"),
        (lambda p: p["resources"].clear(), "no file"),
        (lambda p: p["resources"].pop(), "do not hash to its sha256"),
        (lambda p: p["resources"][0].update(digest="0" * 64), "do not hash to its sha256"),
        (lambda p: p["resources"][2].update(name="y"), "do not hash to its dirHash1"),
        (lambda p: p["resources"][0].update(algorithm="md5"), "unknown algorithm"),
        (lambda p: p["resources"][0].pop("algorithm"), "unknown algorithm"),
        (lambda p: p["resources"][0].pop("size"), "wrong shape"),
        (lambda p: p["resources"][0].update(size=True), "wrong shape"),
        (lambda p: p["resources"][0].update(size=-1), "size"),
        (lambda p: p["resources"][0].update(extra=1), "wrong shape"),
        (lambda p: p["resources"].append(None), "wrong shape"),
        (lambda p: p["serialization"].update(hash_type="md5"), "another serialization"),
        (lambda p: p["serialization"].update(hash_type=["sha256"]), "another serialization"),
        (lambda p: p["serialization"].update(hash_type="blake3"), "unknown algorithm"),
        (_relabel, "has no dirHash1-blake3"),
        (lambda p: p["serialization"].update(allow_symlinks=True), "another serialization"),
        (lambda p: p["serialization"].update(method="shards"), "another serialization"),
        (lambda p: p["serialization"].update(ignore_paths=["x"]), "another serialization"),
        (lambda p: p["serialization"].update(extra=1), "another serialization"),
        (lambda p: p.pop("serialization"), "no serialization and resources"),
        (lambda p: p.pop("resources"), "no serialization and resources"),
    ],
)
def test_edited_seal_is_malformed(manifest, edit, reason):
    statement = _edited(seal_statement("flights", manifest), edit)
    with pytest.raises(MalformedEnvelope, match=reason):
        manifest_from_statement(statement, locator="seal")


def test_empty_ignore_paths_are_accepted(manifest):
    statement = _edited(
        seal_statement("flights", manifest), lambda p: p["serialization"].update(ignore_paths=[])
    )
    assert manifest_from_statement(statement, locator="seal") == manifest


def test_unsafe_resource_name_is_refused(manifest):
    statement = _edited(
        seal_statement("flights", manifest), lambda p: p["resources"][2].update(name="../z")
    )
    with pytest.raises(UnsafePath):
        manifest_from_statement(statement, locator="seal")


@pytest.mark.parametrize(
    "subjects",
    [
        lambda s: (*s, Subject("other", {"sha256": "0" * 64})),
        lambda s: (Subject("flights", {"sha256": s[0].digest["sha256"]}),),
        lambda s: (Subject("flights", {"dirHash1": s[0].digest["dirHash1"]}),),
        lambda s: (Subject("flights", {**s[0].digest, "dirHash1": "0" * 64}),),
        lambda s: (Subject("flights", {**s[0].digest, "sha256": "0" * 64}),),
        lambda s: (Subject("flights", {**s[0].digest, "sha256": "AB"}),),
    ],
)
def test_seal_of_another_subject_is_malformed(manifest, subjects):
    statement = seal_statement("flights", manifest)
    with pytest.raises(MalformedEnvelope):
        manifest_from_statement(
            replace(statement, subjects=subjects(statement.subjects)), locator="seal"
        )


def test_other_predicate_is_no_seal(manifest, now):
    statement = _provenance(manifest, now)
    with pytest.raises(MalformedEnvelope, match="not a seal of files"):
        manifest_from_statement(statement, locator="x")


def _provenance(manifest, now, **changes):
    arguments = {
        "location": "s3://bucket/flights",
        "version": 3,
        "at": now,
        "run": {"dag_id": "ingest", "run_id": "r1"},
        "code_version": "0.1.0",
        "inputs": (Subject("raw", {"dirHash1": "0" * 64}),),
        **changes,
    }
    return provenance_statement("flights", manifest, **arguments)


def test_provenance_gives_back_what_was_said(manifest, now):
    read = Statement.from_bytes(_provenance(manifest, now).to_bytes())
    found = provenance_from_statement(read, locator="x")
    assert (found.source, found.digest, found.version) == ("flights", manifest.digest, 3)
    assert (found.location, found.sealed_at) == ("s3://bucket/flights", now)
    assert found.run == {"dag_id": "ingest", "run_id": "r1"}
    assert found.inputs == (Subject("raw", {"dirHash1": "0" * 64}),)


def test_connection_is_said_only_if_there_is_one(manifest, now):
    assert "connection" not in _provenance(manifest, now).predicate
    said = _provenance(manifest, now, connection="aws_default")
    found = provenance_from_statement(Statement.from_bytes(said.to_bytes()), locator="x")
    assert found.connection == "aws_default"


@pytest.mark.parametrize("text", ["", "aws://key:secret@", "a b", "x" * 129])
def test_what_may_be_a_secret_is_no_connection(manifest, now, text):
    with pytest.raises(ConfigError, match="not the id of a connection") as error:
        _provenance(manifest, now, connection=text)
    assert not text or text not in str(error.value)


def test_versions_start_at_one(manifest, now):
    with pytest.raises(ConfigError, match="starts at 1"):
        _provenance(manifest, now, version=0)


def test_naive_time_is_refused(manifest):
    with pytest.raises(ConfigError, match="no time zone"):
        _provenance(manifest, datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    "edit",
    [
        lambda p: p.update(version=0),
        lambda p: p.update(version=True),
        lambda p: p.update(version="1"),
        lambda p: p.update(connection=None),
        lambda p: p.update(connection=""),
        lambda p: p.update(connection="s3://user:password@host"),
        lambda p: p.update(sealedAt="yesterday"),
        lambda p: p.update(run={"a": 1}),
        lambda p: p.update(inputs=[None]),
        lambda p: p.update(inputs=[{"name": "x"}]),
        lambda p: p.update(extra=1),
        *[lambda p, key=key: p.pop(key) for key in ("version", "locator", "run", "codeVersion")],
    ],
)
def test_edited_provenance_is_malformed(manifest, now, edit):
    with pytest.raises(MalformedEnvelope):
        provenance_from_statement(_edited(_provenance(manifest, now), edit), locator="x")


def test_seal_is_no_provenance(manifest):
    with pytest.raises(MalformedEnvelope, match="not a provenance"):
        provenance_from_statement(seal_statement("flights", manifest), locator="x")


_KEYS = ["serialization", "resources", "name", "algorithm", "digest", "size", "version", "run"]


@given(
    st.sampled_from([predicates.OMS_SIGNATURE, predicates.PROVENANCE]),
    st.dictionaries(
        st.sampled_from(_KEYS),
        st.recursive(
            st.none() | st.integers(-1, 1) | st.just("sha256") | st.text(max_size=3),
            lambda inner: (
                st.lists(inner, max_size=2)
                | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=4)
            ),
            max_leaves=6,
        ),
    ),
)
def test_any_predicate_is_read_or_refused_by_a_named_error(kind, predicate):
    statement = Statement((Subject("x", {"sha256": "0" * 64}),), kind, predicate)
    for read in (manifest_from_statement, provenance_from_statement):
        with pytest.raises(SluicegateError):
            read(statement, locator="x")


@given(
    st.text(min_size=1, max_size=20),
    st.dictionaries(st.sampled_from(["a", 'q"uote', "back\\slash", "ü", "x/y", "x/z", "x-"]),
                    st.binary(max_size=3), min_size=1),
    st.sampled_from(["sha256", "blake3"]),
)  # fmt: skip
def test_seal_written_as_text_is_the_canonical_statement(source, contents, algorithm):
    files = sorted((path, sha256_bytes(data).hex, len(data)) for path, data in contents.items())
    manifest = Manifest(tuple(files), algorithm)
    written = seal_payload(source, manifest)
    value = canonical.loads(written, locator="seal")
    assert canonical.dumps(value) == written
    assert manifest_from_statement(Statement.from_bytes(written), locator="x") == manifest


def test_hash_types_are_told_apart_in_every_digest(manifest):
    other = Manifest(manifest.files, "blake3")
    (subject,) = seal_statement("flights", other).subjects
    assert set(subject.digest) == {"sha256", "dirHash1-blake3"}
    both = {**subject.digest, "dirHash1": manifest.digest.hex}
    statement = replace(seal_statement("flights", other), subjects=(Subject("flights", both),))
    with pytest.raises(MalformedEnvelope, match="several ways"):
        manifest_from_statement(statement, locator="x")
