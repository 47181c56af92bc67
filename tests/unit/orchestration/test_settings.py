"""Settings widen protection; none of them can switch it off."""

import pytest

from sluicegate.errors import ConfigError
from sluicegate.orchestration.settings import Settings


def test_nothing_set_protects_the_training_tag_and_our_assets():
    settings = Settings.from_environ({})
    assert settings == Settings()
    assert settings.protect_tags == {"training"}
    assert settings.protect_assets == ("sluicegate://",)


def test_airflows_environment_is_read_without_airflow():
    settings = Settings.from_environ(
        {
            "AIRFLOW__SLUICEGATE__HOME": "/srv/gate",
            "AIRFLOW__SLUICEGATE__PROTECT_TAGS": "training, finetuning,",
            "AIRFLOW__SLUICEGATE__PROTECT_ASSETS": "s3://features/",
        }
    )
    assert str(settings.home().root) == "/srv/gate"
    assert settings.protect_tags == {"training", "finetuning"}
    assert settings.protect_assets == ("s3://features/", "sluicegate://")


def test_what_is_preloaded_is_a_list_that_is_empty_by_default():
    asked = Settings.from_environ({"AIRFLOW__SLUICEGATE__PRELOAD": "gate, suite,"})
    assert asked.preload == ("gate", "suite")
    assert asked.digest == Settings().digest, "it decides nothing, so workers may differ in it"
    assert Settings().preload == ()


@pytest.mark.parametrize("empty", ["", " ", ",", " , "])
def test_an_emptied_list_means_the_default_not_off(empty):
    settings = Settings.read(lambda _option: empty, {})
    assert settings.protect_tags == {"training"}
    assert settings.protect_assets == ("sluicegate://",)


def test_a_missing_home_is_an_error_only_for_who_needs_it():
    settings = Settings.from_environ({})
    with pytest.raises(ConfigError, match="no home directory is set"):
        settings.home()


@pytest.mark.parametrize("option", ["HOME", "LEDGER", "REMEMBERED"])
def test_two_names_that_disagree_refuse_who_needs_them_and_nobody_else(option):
    secret = "postgresql://me:hunter2@db/evidence"
    environ = {f"SLUICEGATE_{option}": "/a", f"AIRFLOW__SLUICEGATE__{option}": secret}
    settings = Settings.from_environ({"SLUICEGATE_HOME": "/a", **environ})
    with pytest.raises(ConfigError, match="two names of one setting") as error:
        settings.home()
    assert f"AIRFLOW__SLUICEGATE__{option}" in str(error.value)
    assert "hunter2" not in str(error.value)


def test_either_name_alone_and_both_alike_are_fine():
    for environ in (
        {"SLUICEGATE_HOME": "/a"},
        {"AIRFLOW__SLUICEGATE__HOME": "/a"},
        {"AIRFLOW__SLUICEGATE__HOME": "/a/", "SLUICEGATE_HOME": "/a"},
        {"AIRFLOW__SLUICEGATE__HOME": "", "SLUICEGATE_HOME": " /a"},
    ):
        assert str(Settings.from_environ(environ).home().root) == "/a"
