"""Which key an operator signs with, and what must never show it."""

from __future__ import annotations

import pytest

from sluicegate.attest.keys import Algorithm, generate
from sluicegate.errors import ConfigError
from sluicegate.orchestration import keys
from sluicegate.workflow.evidence.home import SluiceHome


@pytest.fixture
def home(tmp_path):
    (tmp_path / "keys").mkdir(mode=0o700)
    return SluiceHome(tmp_path)


def write(home, role, signer):
    path = home.key(role)
    path.touch(mode=0o600)
    path.write_bytes(signer.private_pem())
    return path


def signer_for(home, environ=None, **options):
    return keys.signer_for("gate", home, environ=environ or {}, option=options.get)


def test_variable_goes_before_option_and_option_before_file(home):
    in_home, in_option, in_variable = (generate(Algorithm.ED25519) for _ in range(3))
    write(home, "gate", in_home)
    assert signer_for(home).public_key == in_home.public_key
    option = f"file:{write(home, 'option', in_option)}"
    assert signer_for(home, key_gate=option).public_key == in_option.public_key
    environ = {"SLUICEGATE_KEY_GATE": in_variable.private_pem().decode()}
    found = signer_for(home, environ, key_gate=option)
    assert found.public_key == in_variable.public_key


def test_key_of_another_role_is_never_taken(home):
    write(home, "source", generate(Algorithm.ED25519))
    environ = {"SLUICEGATE_KEY_SOURCE": generate(Algorithm.ED25519).private_pem().decode()}
    with pytest.raises(ConfigError, match="cannot be read"):
        signer_for(home, environ)


def test_private_key_in_the_configuration_is_refused_and_not_shown(home):
    pem = generate(Algorithm.ED25519).private_pem().decode()
    with pytest.raises(ConfigError, match="instead of its place") as caught:
        signer_for(home, key_gate=pem)
    assert pem.split("\n")[1] not in str(caught.value)


def test_connection_and_variable_are_asked_by_name(home, monkeypatch):
    signer = generate(Algorithm.ED25519)
    held = {"gate_key": signer.private_pem().decode()}
    for scheme, name in (("airflow-connection", "_connection"), ("airflow-variable", "_variable")):
        monkeypatch.setattr(keys, name, held.__getitem__)
        assert signer_for(home, key_gate=f"{scheme}:gate_key").public_key == signer.public_key
