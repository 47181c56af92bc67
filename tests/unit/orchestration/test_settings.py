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


@pytest.mark.parametrize("empty", ["", " ", ",", " , "])
def test_an_emptied_list_means_the_default_not_off(empty):
    settings = Settings.read(lambda _option: empty, {})
    assert settings.protect_tags == {"training"}
    assert settings.protect_assets == ("sluicegate://",)


def test_a_missing_home_is_an_error_only_for_who_needs_it():
    settings = Settings.from_environ({})
    with pytest.raises(ConfigError, match="no home directory is set"):
        settings.home()


def test_sluicegate_home_is_the_fallback_only():
    both = {"SLUICEGATE_HOME": "/a", "AIRFLOW__SLUICEGATE__HOME": "/b"}
    assert Settings.from_environ(both).home_text == "/b"
    assert Settings.from_environ({"SLUICEGATE_HOME": "/a"}).home_text == "/a"
