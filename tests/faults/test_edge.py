"""No foreign exception leaves a command or a task, and none shows what a library quotes."""

from __future__ import annotations

import errno
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import traceback
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest
from sqlalchemy.exc import OperationalError
from tests.unit.workflow.conftest import built_site, site  # noqa: F401 - fixtures

from sluicegate.cli.administration import doctor
from sluicegate.cli.main import main
from sluicegate.cli.options import now
from sluicegate.errors import ConfigError, SluicegateError
from sluicegate.workflow.admission.read import load_verified
from sluicegate.workflow.evidence.home import ENV_ADMITTED

SECRET = "INSERT INTO leaf VALUES ('hunter2')"
FOREIGN = [
    OSError(errno.ENOSPC, SECRET, "/data/out.json"),
    PermissionError(errno.EACCES, SECRET, "/keys/gate.pem"),
    OSError(errno.EMFILE, SECRET),
    OSError(SECRET),
    BrokenPipeError(errno.EPIPE, SECRET),
    ConnectionResetError(errno.ECONNRESET, SECRET),
    OperationalError(SECRET, {"password": SECRET}, sqlite3.OperationalError(SECRET)),
    UnicodeDecodeError("utf-8", SECRET.encode(), 0, 1, SECRET),
    json.JSONDecodeError(SECRET, SECRET, 0),
    MemoryError(SECRET),
    RecursionError(SECRET),
    pa.ArrowInvalid(SECRET),
    KeyError(SECRET),
    AssertionError(SECRET),
]


def named(error):
    return type(error).__name__ + str(getattr(error, "errno", None) or "")


@pytest.mark.parametrize("error", FOREIGN, ids=named)
@pytest.mark.parametrize("as_json", [False, True])
def test_command_reports_a_foreign_error_with_a_code(error, as_json, monkeypatch, capsys):
    def run(_arguments):
        raise error

    monkeypatch.setattr(doctor, "run", run)
    assert main(["doctor", *(["--json"] if as_json else [])]) == 2
    out, err = capsys.readouterr()
    assert len(err.splitlines()) == 1
    assert err.startswith(("sluicegate: [SYSTEM] ", "sluicegate: [INTERNAL] "))
    assert "hunter2" not in out + err
    assert (json.loads(out)["error"]["outcome"] if as_json else out) == (
        "COULD_NOT_CHECK" if as_json else ""
    )


def test_full_disk_is_named_with_its_file_and_the_next_step(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "run", lambda _arguments: Path("/dev/full").write_text("x"))
    assert main(["doctor"]) == 2
    assert "No space left on device. Free space" in capsys.readouterr().err


def test_key_in_a_path_s_place_is_not_shown(monkeypatch, capsys):
    pem = "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n"
    monkeypatch.setattr(doctor, "run", lambda _arguments: open(pem).read())  # noqa: SIM115, PTH123
    assert main(["doctor"]) == 2
    assert "hunter2" not in capsys.readouterr().err


def test_developers_may_see_where(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "run", lambda _arguments: 1 // 0)
    monkeypatch.setenv("SLUICEGATE_DEBUG", "1")
    assert main(["doctor"]) == 2
    assert "ZeroDivisionError: integer" in capsys.readouterr().err


def command(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "sluicegate.cli.main", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_answer_that_could_not_be_written_is_no_answer(unbuffered):
    env = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("w") as full:
        process = command("doctor", stdout=full, env=env)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "[SYSTEM]" in err
    assert "Exception ignored" not in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_reader_that_has_seen_enough_is_told_nothing(unbuffered):
    reader, writer = os.pipe()
    os.close(reader)
    process = command("doctor", stdout=writer, env={**os.environ, "PYTHONUNBUFFERED": unbuffered})
    os.close(writer)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (2, "")


def test_interrupted_command_exits_as_a_shell_says_it():
    code = (
        "import signal, sys, time; from sluicegate.cli import main; "
        "from sluicegate.cli.administration import doctor; "
        # Whoever runs the tests in the background may have it ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler); "
        "doctor.run = lambda _: (print('up', flush=True), time.sleep(60)); "
        "sys.exit(main.main(['doctor']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "up\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "")


def test_name_that_the_terminal_cannot_write_ends_no_command(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "größe.csv").write_text("x\n1\n")
    process = command(
        "digest",
        str(tmp_path / "a"),
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")


@pytest.mark.parametrize("text", ["{", "[]", '"x"', "null", '{"src": 1}', "[" * 100_000, "\x00"])
def test_malformed_pointer_of_the_guard_is_refused(site, monkeypatch, text):  # noqa: F811
    if "\x00" in text:
        monkeypatch.setattr(os, "environ", {**os.environ, ENV_ADMITTED: text})
    else:
        monkeypatch.setenv(ENV_ADMITTED, text)
    with pytest.raises(ConfigError, match=ENV_ADMITTED):
        load_verified("src", home=site.home, at=now())


@pytest.mark.parametrize("error", FOREIGN, ids=named)
def test_task_ends_with_a_code_and_without_the_library_s_text(error):
    from airflow.sdk.exceptions import AirflowException, AirflowFailException

    from sluicegate.orchestration.protecting.task_edge import mapped_errors

    with pytest.raises(AirflowException) as caught, mapped_errors():
        raise error
    assert not isinstance(caught.value, AirflowFailException), "Airflow may try again"
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    assert str(caught.value).startswith(("[SYSTEM] ", "[INTERNAL] "))


def test_task_of_an_author_keeps_the_author_s_error():
    from sluicegate.orchestration.protecting.task_edge import mapped_errors

    with pytest.raises(ZeroDivisionError), mapped_errors(foreign=False):
        _ = 1 // 0


@pytest.mark.parametrize("error", FOREIGN, ids=named)
def test_guard_that_fails_refuses_without_the_library_s_text(error, monkeypatch):
    from airflow.sdk.exceptions import AirflowFailException

    from sluicegate.orchestration import guard

    def admit(*_arguments):
        raise error

    said = []

    def log(text, *arguments, **_options):
        said.append(text % arguments)

    # Airflow sets logging up anew when it is imported, so what is caught depends on the order.
    monkeypatch.setattr(guard, "_log", SimpleNamespace(error=log, warning=log))
    monkeypatch.setattr(guard, "admit", admit)
    hook = guard.GuardHook(
        guard.Settings.from_airflow({"SLUICEGATE_HOME": "/h", "AIRFLOW__SLUICEGATE__HOME": "/h"}),
        guard.Protection(reason="tag", sources=("src",)),
    )
    context = {"ti": SimpleNamespace(xcom_push=lambda **_note: None)}
    with pytest.raises(AirflowFailException, match="GUARD_ERROR") as caught:
        hook(context)
    shown = "".join(traceback.format_exception(caught.value)) + "".join(said)
    assert "hunter2" not in shown
    assert len(said) == 1


def test_every_foreign_error_says_nothing_was_checked():
    from sluicegate.foreign import coded

    for error in FOREIGN:
        found = coded(error)
        assert isinstance(found, SluicegateError)
        assert found.outcome.name == "COULD_NOT_CHECK"
