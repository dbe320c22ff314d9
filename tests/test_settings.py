from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from autotune.errors import SettingsError, UnknownNameError
from autotune.settings import (
    DEFAULT_N_TRIALS,
    DOOR_DEFAULTS,
    NAMES,
    Settings,
    make_settings,
    parse_duration,
    trial_budget,
)


def message_of(error=SettingsError, **given):
    with pytest.raises(error) as caught:
        make_settings("call", **given)
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        (90, 90.0),
        (0.5, 0.5),
        (np.float64(2.5), 2.5),
        ("90", 90.0),
        ("90s", 90.0),
        ("90 sec", 90.0),
        ("10m", 600.0),
        ("10 min", 600.0),
        ("1.5h", 5400.0),
        ("2H", 7200.0),
        (" 1d ", 86400.0),
    ],
)
def test_lengths_of_time(value, seconds):
    assert parse_duration(value) == seconds


@pytest.mark.parametrize("value", [0, -1, "0s", "-5m", "soon", "", "5 weeks", "1h30", "5ms", True, float("nan"), "inf"])
def test_what_is_no_length_of_time(value):
    assert message_of(timeout=value) == (
        f'timeout={value!r} is no length of time\n  where: timeout\n  try:   timeout=600 or timeout="10m"'
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n_trials": -1}, "n_trials=-1 is no whole number of at least 0\n  where: n_trials"),
        ({"n_trials": 2.5}, "n_trials=2.5 is no whole number of at least 0\n  where: n_trials"),
        ({"n_trials": True}, "n_trials=True is no whole number of at least 0\n  where: n_trials"),
        ({"n_trials": "5"}, "n_trials='5' is no whole number of at least 0\n  where: n_trials"),
        ({"n_jobs": 0}, "n_jobs=0 is no number of jobs\n  where: n_jobs\n  try:   1, or -1 for all cores"),
        ({"n_jobs": -2}, "n_jobs=-2 is no whole number of at least -1\n  where: n_jobs"),
        ({"random_state": -1}, "random_state=-1 is no whole number of at least 0\n  where: random_state"),
        ({"random_state": 1.0}, "random_state=1.0 is no whole number of at least 0\n  where: random_state"),
        ({"refit": "test"}, "refit='test' is not known\n  where: refit\n  try:   'search' or 'all'"),
        ({"study_name": ""}, "study_name='' is no name\n  where: study_name\n  try:   a text"),
        ({"study_name": 5}, "study_name=5 is no name\n  where: study_name\n  try:   a text"),
    ],
)
def test_what_a_setting_cannot_be(given, message):
    assert message_of(**given) == message


def test_a_wrong_name_of_a_setting_gives_the_nearest():
    assert message_of(UnknownNameError, n_trial=5) == "no setting named 'n_trial'\n  try:   n_trials"
    shown = ", ".join(sorted(NAMES)[:20])
    assert message_of(UnknownNameError, flavour=5) == (
        f"no setting named 'flavour'\n  try:   one of: {shown}, … ({len(NAMES)} in all)"
    )


def test_none_stands_for_the_default():
    assert make_settings("call", space=None, test_size=None, n_jobs=None, refit=None) == Settings()


def test_whole_numbers_may_be_numpys():
    given = {
        "n_trials": np.int64(3),
        "n_jobs": np.int32(-1),
        "cv": np.int64(3),
        "patience": np.uint8(2),
    }
    given |= {"target_score": np.float64(0.5), "min_gain": np.float32(0.25), "timeout": np.int64(5)}
    settings = make_settings("call", **given)
    assert {name: getattr(settings, name) for name in given} == given
    assert all(type(getattr(settings, name)) in (int, float) for name in given)


def test_a_duration_is_read_into_seconds():
    assert make_settings("cli", timeout="10m").timeout == 600.0


def test_the_defaults_that_differ_by_door():
    assert {door: dict(words) for door, words in DOOR_DEFAULTS.items()} == {
        "call": {},
        "estimator": {"test_size": 0, "progress": False},
        "cli": {"storage": "autotune.db"},
    }
    assert make_settings("estimator").test_size == 0
    assert make_settings("estimator", test_size=0.3).test_size == 0.3
    assert make_settings("call").test_size == 0.2
    assert make_settings("cli").storage == "autotune.db"


def test_settings_do_not_change():
    settings = make_settings("call")
    with pytest.raises(FrozenInstanceError):
        settings.n_trials = 5
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize(
    ("given", "budget"),
    [
        ({}, DEFAULT_N_TRIALS),
        ({"n_trials": 7}, 7),
        ({"n_trials": 0}, 0),
        ({"n_trials": 7, "timeout": 60}, 7),
        ({"timeout": 60}, None),
    ],
)
def test_the_budget_of_trials(given, budget):
    assert trial_budget(make_settings("call", **given)) == budget
