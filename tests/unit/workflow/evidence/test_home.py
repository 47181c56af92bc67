"""One home, one ledger: whoever reads the setting gets the same paths."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.errors import ConfigError
from sluicegate.workflow.evidence.home import SluiceHome, check_source_name


def test_paths_lie_below_the_root():
    home = SluiceHome(Path("/srv/gate"))
    assert home.ledger == Path("/srv/gate/ledger.db")
    assert home.trust == Path("/srv/gate/trust.json")
    assert home.policy == Path("/srv/gate/policy.yaml")
    assert home.key("gate") == Path("/srv/gate/keys/gate.pem")
    assert home.baseline_dir("flights") == Path("/srv/gate/baselines/flights")


def test_either_name_of_a_setting_is_read():
    assert SluiceHome.from_environ({"SLUICEGATE_HOME": "/a"}).root == Path("/a")
    assert SluiceHome.from_environ({"AIRFLOW__SLUICEGATE__HOME": "/a"}).root == Path("/a")


@pytest.mark.parametrize("option", ["HOME", "LEDGER", "REMEMBERED"])
def test_two_names_that_disagree_are_refused_without_their_values(option):
    environ = {f"SLUICEGATE_{option}": "/hunter2", f"AIRFLOW__SLUICEGATE__{option}": "/b"}
    with pytest.raises(ConfigError, match="two names of one setting") as error:
        SluiceHome.from_environ({"SLUICEGATE_HOME": "/a", **environ})
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("place", ["~nobody-of-this-name/sluice", "/a\0b", "/a\ud800b"])
@pytest.mark.parametrize("option", ["HOME", "REMEMBERED"])
def test_a_place_that_no_machine_has_is_a_wrong_setting(option, place):
    with pytest.raises(ConfigError, match="expected an absolute path"):
        SluiceHome.from_environ({"SLUICEGATE_HOME": "/a", f"SLUICEGATE_{option}": place})


@pytest.mark.parametrize("ending", ["_CMD", "_SECRET"])
def test_a_value_that_only_airflow_can_find_is_not_replaced_by_a_default(ending):
    environ = {"SLUICEGATE_HOME": "/a", f"AIRFLOW__SLUICEGATE__LEDGER{ending}": "vault ledger"}
    with pytest.raises(ConfigError, match="only Airflow can find") as error:
        SluiceHome.from_environ(environ)
    assert "vault" not in str(error.value)
    found = SluiceHome.from_environ({**environ, "SLUICEGATE_LEDGER": "postgresql://db"})
    assert found.ledger_url.reveal() == "postgresql://db"


def test_an_exported_home_is_what_every_name_says():
    rogue = {f"AIRFLOW__SLUICEGATE__{name}": "/rogue" for name in ("HOME", "LEDGER", "REMEMBERED")}
    environ = {**rogue, "AIRFLOW__SLUICEGATE__LEDGER_CMD": "cat rogue", "SLUICEGATE_HOME": "/rogue"}
    home = SluiceHome(Path("/a"), remembered_at=Path("/m"))
    home.export(environ)
    assert SluiceHome.from_environ(environ) == home
    assert "rogue" not in str(environ)


@pytest.mark.parametrize("environ", [{}, {"SLUICEGATE_HOME": ""}, {"SLUICEGATE_HOME": "  "}])
def test_no_home_is_refused_with_the_setting_to_make(environ):
    with pytest.raises(ConfigError, match=r"no home directory is set.*SLUICEGATE_HOME"):
        SluiceHome.from_environ(environ)


@pytest.mark.parametrize(
    "text",
    [
        "hunter2",
        "postgresql://u:hunter2@db/evidence",
        "/hunter2AAAAAABBBBBBCCCCCC11111/DDDDDDEEEEEEFFFFFF222222",
        "/hunter2AAAAAABBBBBBCCCCCC11111",
    ],
)
def test_what_is_no_absolute_path_is_refused_and_not_shown(text):
    for settings in ({"value": text}, {"value": "/srv/gate", "remembered": text}):
        with pytest.raises(ConfigError, match=r"not an absolute path|not pinned") as caught:
            SluiceHome.from_text(**settings)
        assert "hunter2" not in str(caught.value)


def test_long_name_is_a_home_where_its_directory_is(tmp_path):
    for home in (tmp_path / ("a" * 40), tmp_path / ("a" * 40) / "sluice"):
        assert SluiceHome.from_text(str(home)).root == home
        home.mkdir()


def test_ledgers_url_is_in_no_text_of_a_home():
    home = SluiceHome.from_text("/srv/gate", ledger="postgresql://u:hunter2@db/evidence")
    assert "hunter2" not in repr(home)
    assert home == SluiceHome.from_text("/srv/gate", ledger="postgresql://u:hunter2@db/evidence")
    assert SluiceHome.from_environ(home.environ) == home


@pytest.mark.parametrize(
    "source",
    ["", ".", "..", "../x", "a/b", "a b", "-a", ".a", "a:b", "a\n", "é", "a" * 129, "a\x00"],
)
def test_a_name_that_a_path_or_uri_would_rewrite_is_refused(source):
    with pytest.raises(ConfigError, match="not a source name"):
        check_source_name(source)


@given(st.text(max_size=140))
def test_every_accepted_name_is_one_component_of_path_and_uri(source):
    try:
        check_source_name(source)
    except ConfigError:
        return
    assert Path("/x") / source == Path(f"/x/{source}")
    assert (Path("/x") / source).resolve().parent == Path("/x").resolve()
    assert not set("/?#@:%\\") & set(source)
