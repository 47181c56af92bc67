"""A secret has a place, and no way into a text but the one that is named for it."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import subprocess
import sys
from dataclasses import dataclass

import pytest

from sluicegate.attest.secret import Secret

SECRET = Secret("hunter2", "env:PASSWORD")


def test_no_text_can_be_made_of_it(caplog):
    for make in (
        str,
        "{}".format,
        "{:>20}".format,
        lambda secret: f"{secret}",
        lambda secret: "%s" % secret,  # noqa: UP031 - the way logging does it
        json.dumps,
        pickle.dumps,
        lambda secret: "a" + secret,
    ):
        with pytest.raises(TypeError) as caught:
            make(SECRET)
        assert "hunter2" not in str(caught.value)


def test_representation_is_its_place():
    @dataclass
    class Holder:
        secret: Secret

    logging.getLogger("test").warning("%r", SECRET)
    assert repr(SECRET) == "Secret(env:PASSWORD)"
    assert "hunter2" not in repr(Holder(SECRET)) + repr([SECRET]) + f"{SECRET!r}"


def test_a_copy_is_the_secret_itself():
    assert copy.deepcopy([SECRET])[0] is copy.copy(SECRET) is SECRET


def test_it_equals_secrets_only():
    assert Secret("hunter2", "elsewhere") == SECRET
    assert Secret("hunter3", "env:PASSWORD") != SECRET
    assert SECRET != "hunter2"
    assert not Secret(" \n", "x")


@pytest.mark.slow
def test_type_checker_keeps_it_out_of_messages(tmp_path):
    pytest.importorskip("mypy")
    wrong = (
        "from sluicegate.attest.secret import Secret\n"
        "from sluicegate.errors import ConfigError\n"
        "def f(secret: Secret) -> None:\n"
        "    raise ConfigError('x', got=secret)\n"
    )
    (tmp_path / "wrong.py").write_text(wrong)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--follow-imports=silent", "wrong.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "incompatible type" in done.stdout, done.stdout + done.stderr
