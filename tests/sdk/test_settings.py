"""The SDK's settings: defaults, environment, misspelt names."""

import warnings

import pytest

from holdfast._settings import SdkSettings, load_sdk_settings
from holdfast_contract.settings import SettingError


def test_defaults_are_those_of_the_documentation() -> None:
    settings = load_sdk_settings({"HOLDFAST_CONFIG": "/nonexistent"})
    assert settings == SdkSettings(
        entity="local", project="uncategorized", artifact_dir="./artifacts", start_timeout_s=30.0, progress=True
    )


def test_environment_wins() -> None:
    environ = {"HOLDFAST_CONFIG": "/nonexistent", "HOLDFAST_ENTITY": "team", "HOLDFAST_PROGRESS": "no"}
    settings = load_sdk_settings(environ)
    assert (settings.entity, settings.progress) == ("team", False)


def test_misspelt_name_is_reported() -> None:
    with pytest.warns(UserWarning, match="HOLDFAST_PROJET"):
        load_sdk_settings({"HOLDFAST_CONFIG": "/nonexistent", "HOLDFAST_PROJET": "x"})


def test_names_of_the_other_processes_are_left_to_them() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_sdk_settings({"HOLDFAST_CONFIG": "/nonexistent", "HOLDFAST_DAEMON_IDLE_EXIT_S": "1"})


def test_value_that_does_not_fit_is_refused() -> None:
    with pytest.raises(SettingError, match="HOLDFAST_START_TIMEOUT_S"):
        load_sdk_settings({"HOLDFAST_CONFIG": "/nonexistent", "HOLDFAST_START_TIMEOUT_S": "soon"})


def test_variables_of_one_run_are_no_misspelt_settings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_sdk_settings({"HOLDFAST_CONFIG": "/nonexistent", "HOLDFAST_RUN_ID": "r", "HOLDFAST_MODE": "offline"})
