"""No address in a message keeps its credentials, and no other text is touched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.credentials import without_credentials
from sluicegate.errors import ConfigError

HOLDING = [
    "postgresql://u:hunter2@db/rows#t",
    "postgresql://u:hunter2@:5432/rows",
    "postgresql://u:a/hunter2@db/rows",
    "postgresql://u:a@hunter2@db/rows",
    "postgresql:/u:hunter2@db/rows",
    "/srv/gate/postgresql:/u:hunter2@db/trust.json",
    "s3://AKIAIOSFODNN7:hunter2@bucket/x",
    "https://ghp_16C7e42F292c6912E7710c838347hunter2@github.com/x.csv",
    "https://h/x.csv?token=hunter2&page=2",
    "postgresql://u:hunter2-that-was-cut-off",
    "https://h/x?X-Amz-Credential=a&X-Amz-Signature=hunter2",
    "https://h/x?sv=1&sig=hunter2",
    "hsm:01?label=gate&pin-value=hunter2",
    "host=db password=hunter2 user=u",
]
PLAIN = [
    "postgresql://db:5432/rows#SELECT a FROM t",
    "s3://bucket/a@b/c",
    "http://h:8080/x@y",
    "http://h:8080",
    "abfss://container@account.dfs.core.windows.net/x",
    "postgresql://reader@db:5432/rows#t",
    "sqlite:///srv/a:b.db#t",
    'csv:/data/x.csv#{"id":"int64"}',
    "expected ROLE=KEY, of source gate",
    "rows with key=3 and row-key=4",
    "jane@example.org",
    "env:SLUICEGATE_KEY_GATE",
]


@pytest.mark.parametrize("text", HOLDING)
def test_credentials_are_cut_out_of_an_address_in_every_part_of_an_error(text):
    assert "hunter2" not in without_credentials(text)
    for part in ("locator", "expected", "got", "next_step"):
        error = ConfigError("cannot be read", **{part: f"x {text}"})
        assert "hunter2" not in f"{error}{error.to_dict()}{error.args}"


@pytest.mark.parametrize("text", PLAIN)
def test_what_holds_no_credentials_stays_as_it_is(text):
    assert without_credentials(text) == text


@given(st.text(alphabet="a1:/@?&=#. \n", max_size=40))
def test_twice_is_as_good_as_once(text):
    once = without_credentials(text)
    assert without_credentials(once) == once
