"""A certificate counts while it is valid, for signatures, and under a trusted authority only."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sluicegate.attest.certificates import MAX_CHAIN_BYTES, load_certificates, trusted_key
from sluicegate.errors import Expired, MalformedEnvelope, UntrustedKey

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def key(number):
    return ec.derive_private_key(number, ec.SECP256R1())


ROOT, MIDDLE, LEAF, OTHER = (key(number) for number in (11, 12, 13, 14))


def issue(name, own, issuer, signer, *, ca=False, signs=True, before=AT - DAY, after=AT + DAY):
    def named(text):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(own.public_key())
        .serial_number(7)
        .not_valid_before(before)
        .not_valid_after(after)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=signs, key_cert_sign=ca, crl_sign=ca, **usage),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
            critical=False,
        )
    )
    return builder.sign(signer, hashes.SHA256())


ROOT_CERT = issue("root", ROOT, "root", ROOT, ca=True, before=AT - 900 * DAY, after=AT + 900 * DAY)
MIDDLE_CERT = issue(
    "middle", MIDDLE, "root", ROOT, ca=True, before=AT - 90 * DAY, after=AT + 90 * DAY
)


def chain(*certificates):
    return b"".join(item.public_bytes(serialization.Encoding.PEM) for item in certificates)


def checked(*certificates, at=AT, roots=(ROOT_CERT,)):
    return trusted_key(chain(*certificates), roots, at=at, locator="chain.pem")


def test_key_of_a_valid_chain_counts_for_as_long_as_its_certificate():
    leaf = issue("signer", LEAF, "middle", MIDDLE)
    found = checked(leaf, MIDDLE_CERT)
    assert (found.not_before, found.not_after) == (AT - DAY, AT + DAY)
    found.check(AT)
    with pytest.raises(Expired):
        found.check(AT + DAY)


@pytest.mark.parametrize("at", [AT - 2 * DAY, AT + 2 * DAY])
def test_certificate_outside_its_validity_has_expired(at):
    with pytest.raises(Expired, match="not valid when this was signed"):
        checked(issue("signer", LEAF, "middle", MIDDLE), MIDDLE_CERT, at=at)


def test_expired_intermediate_is_untrusted():
    """Each certificate of the chain, not only the first."""
    old = issue("middle", MIDDLE, "root", ROOT, ca=True, before=AT - 9 * DAY, after=AT - DAY)
    with pytest.raises(UntrustedKey, match="no authority"):
        checked(issue("signer", LEAF, "middle", MIDDLE), old)


def test_root_in_the_chain_is_no_authority():
    own = issue("evil", OTHER, "evil", OTHER, ca=True)
    with pytest.raises(UntrustedKey):
        checked(issue("signer", LEAF, "evil", OTHER), own)


def test_leaf_signed_by_another_key_under_the_same_name_is_untrusted():
    with pytest.raises(UntrustedKey):
        checked(issue("signer", LEAF, "middle", OTHER), MIDDLE_CERT)


def test_certificate_that_may_not_sign_or_is_an_authority_is_untrusted():
    with pytest.raises(UntrustedKey):
        checked(issue("signer", LEAF, "middle", MIDDLE, signs=False), MIDDLE_CERT)
    with pytest.raises(UntrustedKey):
        checked(issue("signer", LEAF, "middle", MIDDLE, ca=True), MIDDLE_CERT)


def test_end_certificate_vouches_for_nobody():
    plain = issue("plain", OTHER, "middle", MIDDLE)
    with pytest.raises(UntrustedKey):
        checked(issue("signer", LEAF, "plain", OTHER), plain, MIDDLE_CERT)


def test_role_without_authority_trusts_no_certificate():
    with pytest.raises(UntrustedKey, match="trusts no authority"):
        checked(issue("signer", LEAF, "middle", MIDDLE), MIDDLE_CERT, roots=())


@pytest.mark.parametrize("data", [b"", b"x", b"\n" * (MAX_CHAIN_BYTES + 1)])
def test_text_that_is_no_chain_is_malformed(data):
    with pytest.raises(MalformedEnvelope):
        load_certificates(data, locator="chain.pem")
