"""Project Wycheproof's cases: every edge that broke another library is decided as it says.

Origin, commit and licence of the vectors stand in each file under wycheproof/; they are trimmed
to what verification with our keys can meet.
"""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import mldsa

from sluicegate.attest.public_key import Algorithm, load_public_key, public_key_of
from sluicegate.errors import BadSignature, ConfigError

VECTORS = Path(__file__).parent / "wycheproof"

_N_CASES = {
    Algorithm.ED25519: 141,
    Algorithm.ECDSA_P256: 282,
    Algorithm.ML_DSA_44: 15,
    Algorithm.ML_DSA_65: 15,
}
_RAW = (mldsa.MLDSA44PublicKey, mldsa.MLDSA65PublicKey)


def _key(text):
    if text.startswith("-----"):
        return load_public_key(text.encode(), locator="wycheproof")
    for kind in _RAW:  # the two differ in length
        with suppress(ValueError):
            key = kind.from_public_bytes(bytes.fromhex(text))
            return public_key_of(key, locator="wycheproof")
    raise ConfigError("not an ML-DSA key")


def _accepted(key, case):
    try:
        _key(key).verify(bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"]))
    except (BadSignature, ConfigError):
        return False
    return True


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_every_case_is_decided_as_wycheproof_says(algorithm):
    data = json.loads((VECTORS / f"{algorithm.value}.json").read_bytes())
    wrong = [
        (case["tcId"], case["comment"], case["result"])
        for case in data["cases"]
        if _accepted(data["keys"][case["key"]], case) != (case["result"] == "valid")
    ]
    assert wrong == []
    assert len(data["cases"]) >= _N_CASES[algorithm], "vectors were lost"


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_vectors_say_where_they_come_from(algorithm):
    path = VECTORS / f"{algorithm.value}.json"
    data = json.loads(path.read_bytes())
    assert data["origin"].startswith("https://github.com/C2SP/wycheproof/blob/")
    assert data["license"] == "Apache-2.0"
