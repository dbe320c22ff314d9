"""Every setting stands at every Python door, with one default and a help text."""

import inspect
from dataclasses import fields

import pytest

from autotune import AutoTuneClassifier, AutoTuneRegressor, tune
from autotune.settings import DOOR_DEFAULTS, NAMES, Settings, make_settings

DOORS = {"call": [tune], "estimator": [AutoTuneClassifier, AutoTuneRegressor]}
PYTHON_DOORS = [(name, door) for name, doors in DOORS.items() for door in doors]


@pytest.mark.parametrize(("name", "door"), PYTHON_DOORS)
def test_a_door_takes_every_setting_and_nothing_else(name, door):
    own = {"data", "y", "target"} if name == "call" else set()
    assert set(inspect.signature(door).parameters) - own == set(NAMES)


@pytest.mark.parametrize(("name", "door"), PYTHON_DOORS)
def test_a_door_has_the_defaults_of_the_settings(name, door):
    parameters = inspect.signature(door).parameters
    settings = make_settings(name)
    assert {setting: parameters[setting].default for setting in NAMES} == {
        setting: getattr(settings, setting) for setting in NAMES
    }


@pytest.mark.parametrize(("name", "door"), PYTHON_DOORS)
def test_settings_are_given_by_name(name, door):
    parameters = inspect.signature(door).parameters
    assert {parameters[setting].kind for setting in NAMES} == {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize(("name", "door"), PYTHON_DOORS)
def test_a_door_names_every_setting_in_its_docstring(name, door):
    assert [setting for setting in NAMES if setting not in inspect.getdoc(door)] == []


def test_every_setting_has_a_help_text_and_a_known_flag():
    for setting in fields(Settings):
        assert len(setting.metadata["help"]) > 10, setting.name
        assert not setting.metadata["help"].endswith("."), f"{setting.name}: the doors end the sentence"
        assert setting.metadata["flag"] in {"text", "int", "float", "bool"}, setting.name


@pytest.mark.parametrize("door", DOOR_DEFAULTS)
def test_what_differs_by_door_is_a_setting_that_differs(door):
    plain = Settings()
    for name, value in DOOR_DEFAULTS[door].items():
        assert getattr(plain, name) != value
