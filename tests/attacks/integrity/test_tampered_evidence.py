"""Evidence that was edited, borrowed or outlived is refused, each with its own cause."""

import base64
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from sluicegate.attest import dsse
from sluicegate.attest.dsse import Envelope, Signature
from sluicegate.attest.keys import Algorithm
from sluicegate.attest.predicates import manifest_from_statement, seal_statement
from sluicegate.attest.statement import Statement
from sluicegate.attest.trust import Role, trust_policy
from sluicegate.digest.manifest import build_manifest
from sluicegate.errors import (
    BadSignature,
    ConfigError,
    Expired,
    MalformedEnvelope,
    ManifestMismatch,
    UntrustedKey,
)

DAY = timedelta(days=1)


def _edit_bundle(scene, edit):
    value = json.loads(scene.bundle)
    edit(value)
    scene.bundle = json.dumps(value).encode()


def _edit_payload(value, old, new):
    payload = base64.b64decode(value["dsseEnvelope"]["payload"])
    assert old in payload
    value["dsseEnvelope"]["payload"] = base64.b64encode(payload.replace(old, new, 1)).decode()


def _flip_signature(value):
    signature = bytearray(base64.b64decode(value["dsseEnvelope"]["signatures"][0]["sig"]))
    signature[-1] ^= 1
    value["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(signature).decode()


@pytest.mark.parametrize(
    ("edit", "error", "code"),
    [
        (lambda v: _edit_payload(v, b"flights", b"Flights"), BadSignature, "BAD_SIGNATURE"),
        (lambda v: _edit_payload(v, b'"size":21', b'"size":22'), BadSignature, "BAD_SIGNATURE"),
        (lambda v: v["dsseEnvelope"].update(payload=""), BadSignature, "BAD_SIGNATURE"),
        (
            lambda v: v["dsseEnvelope"].update(payloadType="application/vnd.in-toto+JSON"),
            BadSignature,
            "BAD_SIGNATURE",
        ),
        (_flip_signature, BadSignature, "BAD_SIGNATURE"),
        (lambda v: v.update(mediaType="application/json"), MalformedEnvelope, "MALFORMED"),
        (
            lambda v: v["verificationMaterial"]["publicKey"].update(hint="0" * 64),
            MalformedEnvelope,
            "MALFORMED",
        ),
        (
            lambda v: v["verificationMaterial"].update(certificate={"rawBytes": ""}),
            MalformedEnvelope,
            "MALFORMED",
        ),
        (lambda v: v["dsseEnvelope"]["signatures"].clear(), MalformedEnvelope, "MALFORMED"),
        (
            lambda v: v["dsseEnvelope"]["signatures"].append(
                dict(v["dsseEnvelope"]["signatures"][0])
            ),
            MalformedEnvelope,
            "MALFORMED",
        ),
    ],
)
def test_edited_bundle_is_refused(scene, edit, error, code):
    _edit_bundle(scene, edit)
    with pytest.raises(error) as caught:
        scene.verify()
    assert caught.value.code == code


def test_edited_hint_and_keyid_together_are_an_untrusted_key(scene):
    def edit(value):
        value["verificationMaterial"]["publicKey"]["hint"] = "0" * 64
        value["dsseEnvelope"]["signatures"][0]["keyid"] = "0" * 64

    _edit_bundle(scene, edit)
    with pytest.raises(UntrustedKey) as caught:
        scene.verify()
    assert caught.value.code == "UNTRUSTED_KEY"


def test_two_texts_of_one_bundle_are_malformed(scene):
    """Two equal keys: one reader checks the first, another uses the second."""
    scene.bundle = scene.bundle[:-1] + b',"mediaType":"x"}'
    with pytest.raises(MalformedEnvelope, match="duplicate key"):
        scene.verify()


def test_envelope_of_a_gigabyte_is_refused_unread(scene, monkeypatch):
    class Huge(bytes):
        __slots__ = ()

        def __len__(self):
            return 2**30

        def startswith(self, *_):
            raise AssertionError("was read")

    scene.bundle = Huge(scene.bundle)
    with pytest.raises(MalformedEnvelope, match="too large"):
        scene.verify()


def test_seal_by_an_outsider_is_an_untrusted_key(scene):
    (scene.source / "README").write_bytes(b"poison")
    scene.seal(signer=scene.outsider)
    with pytest.raises(UntrustedKey) as caught:
        scene.verify()
    assert caught.value.code == "UNTRUSTED_KEY"


def test_seal_by_an_outsider_under_a_trusted_name_is_a_bad_signature(scene):
    scene.seal(signer=scene.outsider)

    def edit(value):
        key_id = scene.signer.public_key.key_id
        value["verificationMaterial"]["publicKey"]["hint"] = key_id
        value["dsseEnvelope"]["signatures"][0]["keyid"] = key_id

    _edit_bundle(scene, edit)
    with pytest.raises(BadSignature):
        scene.verify()


def test_seal_of_another_data_set_is_a_manifest_mismatch(scene, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "a").write_bytes(b"a")
    scene.seal(seal_statement("flights", build_manifest(other)))
    with pytest.raises(ManifestMismatch) as caught:
        scene.verify()
    assert caught.value.code == "MANIFEST_MISMATCH"


def test_seal_by_the_gates_key_is_an_untrusted_key(scene):
    """A thief with one role's key cannot act for another."""
    statement = seal_statement("flights", build_manifest(scene.source))
    envelope = dsse.sign(statement.to_bytes(), scene.gate)
    for role, reason in ((Role.SOURCE, "another role"), (Role.GATE, "may not sign")):
        with pytest.raises(UntrustedKey, match=reason):
            scene.policy.verify(envelope, role, at=scene.now)


@pytest.mark.parametrize(
    ("times", "error", "code"),
    [
        (lambda now: {"revoked_at": now - DAY}, UntrustedKey, "UNTRUSTED_KEY"),
        (lambda now: {"not_after": now - DAY}, Expired, "EXPIRED"),
        (lambda now: {"not_before": now + DAY}, Expired, "EXPIRED"),
    ],
    ids=["revoked", "expired", "not yet valid"],
)
def test_key_outside_its_validity_is_refused(scene, times, error, code):
    scene.limit_key(**times(scene.now))
    with pytest.raises(error) as caught:
        scene.verify()
    assert caught.value.code == code


def test_frozen_trust_policy_has_expired(scene):
    """An old policy that still trusts a revoked key cannot be kept in use for ever."""
    scene.now = scene.policy.expires
    with pytest.raises(Expired) as caught:
        scene.verify()
    assert caught.value.code == "EXPIRED"


def test_threshold_met_only_by_counting_a_key_twice_is_an_untrusted_key(scene):
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    keys = [scene.signer.public_key, scene.outsider.public_key]
    policy = trust_policy({Role.SOURCE: keys}, 1, scene.policy.expires, thresholds={Role.SOURCE: 2})
    statement = seal_statement("flights", build_manifest(scene.source))
    once = dsse.sign(statement.to_bytes(), scene.signer)
    again = scene.signer._private_key.sign(once.signed_bytes(), ec.ECDSA(hashes.SHA256()))
    (first,) = once.signatures
    anonymous = replace(once, signatures=(Signature("", first.value), Signature("", again)))
    with pytest.raises(UntrustedKey, match="too few signatures") as caught:
        policy.verify(anonymous, Role.SOURCE, at=scene.now)
    assert caught.value.code == "UNTRUSTED_KEY"
    with pytest.raises(MalformedEnvelope, match="twice"):
        replace(once, signatures=(first, Signature(first.key_id, again)))
    both = dsse.sign(statement.to_bytes(), scene.signer, scene.outsider)
    assert policy.verify(both, Role.SOURCE, at=scene.now) == statement


def test_missing_post_quantum_signature_is_an_untrusted_key(scene):
    keys = [scene.signer.public_key, scene.pq.public_key]
    plain = trust_policy({Role.SOURCE: keys}, 1, scene.policy.expires)
    rule = replace(
        plain.roles[Role.SOURCE],
        required_algorithms=(Algorithm.ECDSA_P256, Algorithm.ML_DSA_65),
    )
    policy = replace(plain, roles={Role.SOURCE: rule})
    payload = seal_statement("flights", build_manifest(scene.source)).to_bytes()
    hybrid = dsse.sign(payload, scene.signer, scene.pq)
    assert policy.verify(hybrid, Role.SOURCE, at=scene.now)
    stripped = replace(hybrid, signatures=hybrid.signatures[:1])
    with pytest.raises(UntrustedKey, match="ml-dsa-65") as caught:
        policy.verify(stripped, Role.SOURCE, at=scene.now)
    assert caught.value.code == "UNTRUSTED_KEY"


def _seal_with(scene, edit):
    """A source key's owner, or a broken tool, signs a seal that is wrong in itself."""
    statement = seal_statement("flights", build_manifest(scene.source))
    predicate = json.loads(json.dumps(dict(statement.predicate)))
    edit(predicate["resources"])
    scene.seal(replace(statement, predicate=predicate))


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda r: r.insert(1, dict(r[0], digest="0" * 64)), "lists a path twice"),
        (lambda r: r[0].update(algorithm="md5", digest="0" * 32), "unknown algorithm"),
        (lambda r: r[0].update(algorithm="none"), "unknown algorithm"),
        (lambda r: r.pop(), "do not hash to its sha256"),
        # Names alone do not change the root of Model Signing, so dirHash1 must catch this.
        (lambda r: r[2].update(name="README.md"), "do not hash to its dirHash1"),
    ],
    ids=["duplicate", "md5", "none", "dropped", "renamed"],
)
def test_signed_seal_that_is_wrong_in_itself_is_malformed(scene, edit, reason):
    _seal_with(scene, edit)
    with pytest.raises(MalformedEnvelope, match=reason) as caught:
        scene.verify()
    assert caught.value.code == "MALFORMED"


def test_model_signing_accepts_the_duplicate_that_we_refuse(scene, tmp_path):
    """Why the rule exists: the second of two equal names silently wins elsewhere."""
    from model_signing._signing.signing import dsse_payload_to_manifest

    statement = seal_statement("flights", build_manifest(scene.source))
    value = json.loads(statement.to_bytes())
    value["predicate"]["resources"].append(dict(value["predicate"]["resources"][-1]))
    import hashlib

    raw = b"".join(bytes.fromhex(item["digest"]) for item in value["predicate"]["resources"])
    value["subject"][0]["digest"]["sha256"] = hashlib.sha256(raw).hexdigest()
    assert dsse_payload_to_manifest(value)
    with pytest.raises(MalformedEnvelope, match="twice"):
        manifest_from_statement(Statement.from_bytes(json.dumps(value).encode()), locator="x")


@pytest.mark.parametrize("algorithm", ["rsa", "none", "ecdsa-p256-sha1"])
def test_unknown_algorithm_cannot_be_configured(scene, algorithm):
    value = json.loads(scene.policy.to_bytes())
    value["roles"]["source"]["required_algorithms"] = [algorithm]
    with pytest.raises(ConfigError, match="unknown algorithm") as caught:
        type(scene.policy).from_bytes(json.dumps(value).encode())
    assert caught.value.code == "CONFIG"


def test_signature_says_nothing_of_its_algorithm(scene):
    """Nothing to downgrade: the algorithm is the key's, and a field that claims one is ignored."""
    value = json.loads(scene.bundle)["dsseEnvelope"]
    value["signatures"][0]["alg"] = "none"
    envelope = Envelope.from_bytes(json.dumps(value).encode())
    assert scene.policy.verify(envelope, Role.SOURCE, at=scene.now)
    value["signatures"][0]["sig"] = base64.b64encode(b"none").decode()
    with pytest.raises(BadSignature):
        scene.policy.verify(
            Envelope.from_bytes(json.dumps(value).encode()), Role.SOURCE, at=scene.now
        )
