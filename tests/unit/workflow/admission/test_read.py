"""Training code gets only bytes that match the sealed manifest."""

from __future__ import annotations

import os
import shutil

import pandas as pd
import pyarrow.parquet as pq
import pytest
from tests.unit.workflow.conftest import AT, flipped, judge_clean, rows

from sluicegate import load_verified, open_verified
from sluicegate.errors import (
    BadProof,
    ConfigError,
    DigestMismatch,
    EvidenceMissing,
    IntegrityError,
    ManifestMismatch,
    UnreadableData,
)
from sluicegate.workflow.admission.admit import admit_training
from sluicegate.workflow.admission.admitted import Admitted
from sluicegate.workflow.admission.read import stream_verified
from sluicegate.workflow.evidence.home import (
    ENV_ADMITTED,
    ENV_AIRFLOW_HOME_SETTING,
    ENV_HOME,
    SluiceHome,
)


@pytest.fixture
def admitted(site):
    site.once(judge_clean)
    return site


def test_load_returns_every_row_as_pandas_or_arrow(admitted):
    frame = load_verified("src", home=admitted.home)
    assert isinstance(frame, pd.DataFrame)
    assert len(frame) == 3000
    assert load_verified("src", home=admitted.home, as_="arrow").num_rows == 3000


def test_label_flipped_after_the_verdict_is_found_although_size_and_times_match(admitted):
    path = admitted.clean / "part.parquet"
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(DigestMismatch):
        load_verified("src", home=admitted.home)


def test_first_file_is_not_handed_over_when_a_file_was_added(admitted):
    (admitted.clean / "extra.parquet").write_bytes(b"x")
    with pytest.raises(ManifestMismatch, match=r"extra\.parquet"):
        next(open_verified("src", home=admitted.home))


def test_removed_file_is_named(admitted):
    (admitted.clean / "part.parquet").rename(admitted.clean / "renamed.parquet")
    with pytest.raises(ManifestMismatch, match="1 missing"):
        load_verified("src", home=admitted.home)


def test_vanished_batch_could_not_be_checked(admitted):
    shutil.rmtree(admitted.clean)
    with pytest.raises(UnreadableData):
        load_verified("src", home=admitted.home)


def test_symlink_in_place_of_the_file_is_refused(admitted):
    path = admitted.clean / "part.parquet"
    path.rename(admitted.root / "elsewhere.parquet")
    path.symlink_to(admitted.root / "elsewhere.parquet")
    with pytest.raises(IntegrityError):
        load_verified("src", home=admitted.home)


def test_read_without_a_verdict_is_refused(site):
    site.seal(site.clean)
    with pytest.raises(EvidenceMissing):
        load_verified("src", home=site.home)


def test_home_and_pointer_come_from_the_environment_the_guard_sets(admitted, monkeypatch):
    monkeypatch.setenv(ENV_HOME, str(admitted.home.root))
    assert len(load_verified("src")) == 3000
    admit(admitted.home, {"src": "sha256:" + "0" * 64}, monkeypatch)
    with pytest.raises(BadProof):
        load_verified("src")


def admit(home, verdicts, monkeypatch):
    """Leave what the guard leaves, until the test ends."""
    environ = {}
    Admitted(home, verdicts).leave(environ, task={})
    for name, value in environ.items():
        monkeypatch.setenv(name, value)


def test_a_source_that_the_task_was_not_admitted_to_is_refused(admitted, monkeypatch):
    """It has a verdict; the task does not declare it, so nobody would know that it was read."""
    admit(admitted.home, {"other": "sha256:" + "0" * 64}, monkeypatch)
    with pytest.raises(ConfigError, match=r'src: .*add verified_asset\("src"\)'):
        load_verified("src")
    with pytest.raises(ConfigError, match="not admitted"):
        next(stream_verified("src", home=admitted.home))
    with pytest.raises(ConfigError, match="not admitted"):
        next(open_verified("src"))


def test_what_admitted_is_what_reads(admitted, monkeypatch, tmp_path):
    """Both names of the home may say something else by now."""
    (verdict,) = admit_training(admitted.home, ["src"], at=AT).values()
    admit(admitted.home, {"src": verdict.pointer["verdict"]}, monkeypatch)
    monkeypatch.setenv(ENV_HOME, str(tmp_path / "rogue"))
    monkeypatch.setenv(ENV_AIRFLOW_HOME_SETTING, str(tmp_path / "rogue"))
    assert len(load_verified("src")) == 3000
    assert len(load_verified("src", home=admitted.home)) == 3000
    with pytest.raises(ConfigError, match="another installation"):
        load_verified("src", home=SluiceHome(tmp_path / "rogue"))
    with pytest.raises(ConfigError, match="another installation"):
        load_verified("src", home=SluiceHome(admitted.home.root, "postgresql://rogue"))


def test_the_admission_of_an_earlier_task_of_the_process_is_not_this_ones(admitted, monkeypatch):
    environ = {}
    first = {"AIRFLOW_CTX_TASK_ID": "first"}
    Admitted(admitted.home, {"other": "sha256:0"}).leave(environ, task=first)
    for name, value in {**environ, "AIRFLOW_CTX_TASK_ID": "second"}.items():
        monkeypatch.setenv(name, value)
    assert len(load_verified("src")) == 3000
    monkeypatch.setenv("AIRFLOW_CTX_TASK_ID", "first")
    with pytest.raises(ConfigError, match="not admitted"):
        load_verified("src")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "null",
        "7",
        '"x"',
        "{}",
        '{"src": "sha256:0"}',
        '{"by": {}, "sources": [], "task": []}',
        '{"by": {}, "sources": {"src": 1}, "task": []}',
        '{"by": {}, "sources": {"src": "x"}, "task": "x"}',
        "[" * 100_000,
    ],
)
def test_an_admission_that_no_guard_left_is_called_wrongly(admitted, monkeypatch, text):
    monkeypatch.setenv(ENV_ADMITTED, text)
    with pytest.raises(ConfigError, match=ENV_ADMITTED):
        load_verified("src", home=admitted.home)


def test_no_home_is_called_wrongly(monkeypatch):
    monkeypatch.delenv(ENV_HOME, raising=False)
    with pytest.raises(ConfigError, match=ENV_HOME):
        load_verified("src")


def test_reader_sees_the_bytes_that_were_hashed(admitted):
    """A swap right after the check cannot reach training: parsing uses the checked bytes."""
    files = open_verified("src", home=admitted.home, at=AT)
    name, data = next(files)
    pq.write_table(flipped(rows(2), "c0"), admitted.clean / name)
    import pyarrow as pa

    assert pq.read_table(pa.BufferReader(data)).equals(rows(2))
