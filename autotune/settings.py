"""Settings: the one place of every setting's name, default and help text.

The three doors (`autotune.tune`, the estimators, the ``tune`` command) build one `Settings` from loose words. Where a
door's default differs, it stands in `DOOR_DEFAULTS`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from operator import index
from typing import Any

from autotune.errors import SettingsError
from autotune.registry import unknown_name

DEFAULT_N_TRIALS = 50


def _setting(default: Any, text: str, *, flag: str = "text", option: str | None = None) -> Any:
    """Declare a setting. `flag` says how the command line reads it, `option` what it is called there besides."""
    return field(default=default, metadata={"help": text, "flag": flag, "option": option})


@dataclass(frozen=True, slots=True)
class Settings:
    """What a person may choose, by the same names at every door; each field carries its help text."""

    task: Any = _setting(
        None, "kind of task: binary, multiclass, classification or regression [default: read off the target]"
    )
    metric: Any = _setting(
        None, "metric to optimize [default: roc_auc for binary, log_loss for multiclass, rmse for regression]"
    )
    space: Any = _setting(
        "automl", "search space: a built-in name, several joined by commas, or a TOML, YAML or JSON file"
    )
    model: Any = _setting(
        None, 'your own model, which the space then is for: "sklearn.svm:SVC", or "my_model.py:build" for a file'
    )
    n_trials: int | None = _setting(
        None,
        f"finished trials that the study shall hold in all [default: {DEFAULT_N_TRIALS}, or unbounded with a timeout]",
        flag="int",
    )
    timeout: Any = _setting(None, 'seconds, or a text such as "90s", "10m" or "2h": one deadline for everything')
    cv: Any = _setting(None, 'number of folds, or "5x2" for 5 folds repeated twice [default: 5, fewer for tiny tables]')
    test_size: Any = _setting(
        0.2, "share or number of rows set aside for the final test, 0 for none, or a table of its own"
    )
    sampler: Any = _setting(
        "auto",
        "sampler: tpe, random, qmc or gp (tpe from trial 250 on, counted from 0);"
        " auto is gp where it learns faster and its cost is small, or else tpe",
    )
    pruner: Any = _setting("halving", "pruner: halving, median or none")
    trial_timeout: Any = _setting(None, 'seconds, or a text such as "5m", after which a trial counts as failed')
    memory_limit: Any = _setting(None, 'memory a trial may take, as "4GB" or in bytes; one that needs more fails alone')
    patience: int | None = _setting(
        None, "finished trials without a better one after which the search ends", flag="int"
    )
    target_score: float | None = _setting(None, "score at which the search ends", flag="float")
    min_gain: float | None = _setting(
        None,
        "the search ends when no more than this, in units of the metric, is to be gained with the best trial's learner",
        flag="float",
    )
    n_jobs: int = _setting(1, "trials at a time, each in a process of its own; -1 for all cores", flag="int")
    deterministic: bool = _setting(
        False,
        "the same history each time, with several jobs too: trials run in batches of n_jobs, and sampler and pruner"
        " see only batches that are over",
        flag="bool",
    )
    storage: Any = _setting(None, "where the study lives: the path of a SQLite or .journal file, or a URL")
    study_name: str | None = _setting(None, "name of the study [default: made of what it is for, and a fingerprint]")
    from_study: str | None = _setting(
        None,
        "an older study in this storage, of the same question but for its space: a new study begins with its trials",
        option="from",
    )
    random_state: int | None = _setting(
        None, "seed of all that is drawn at random [default: the study's own]", flag="int"
    )
    groups: Any = _setting(None, "column whose rows must stay together in one fold")
    time: Any = _setting(None, "column that orders the rows in time: folds train on the past only")
    positive: Any = _setting(None, "the positive class of a binary task [default: the last one when sorted]")
    sample_weight: Any = _setting(None, "column of row weights, used in training and in scores")
    ensemble: int | None = _setting(
        None,
        "most trials that the model may be a weighted mean of, 1 for the best alone"
        " [default: 5 where the space has several learners, or else 1]",
        flag="int",
    )
    refit: str = _setting("search", "rows that the shipped model learns from: search, or all (test rows too)")
    device: str | None = _setting(None, "device for networks: cpu, cuda, cuda:1 or mps [default: the best]")
    progress: bool | None = _setting(None, "show progress [default: only on a terminal]", flag="bool")


NAMES: tuple[str, ...] = tuple(setting.name for setting in fields(Settings))
DEFAULTS = Settings()

DOOR_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "call": {},
    "estimator": {"test_size": 0, "progress": False},
    "cli": {"storage": "autotune.db"},
}


def make_settings(door: str, **given: Any) -> Settings:
    """Make settings from loose words, with the defaults of a door.

    Parameters
    ----------
    door : {"call", "estimator", "cli"}
        Which door the words came through.
    **given
        Settings by name. None stands for the default, where the default is not None.

    Returns
    -------
    Settings
        Values of the right shape; what names mean is resolved by `autotune.plan`.

    Raises
    ------
    UnknownNameError
        When a name is no setting.
    SettingsError
        When a value has the wrong type or range.

    Examples
    --------
    >>> make_settings("call", timeout="10m").timeout
    600.0
    """
    for name in given:
        if name not in NAMES:
            raise unknown_name("setting", name, NAMES)
    own = {name: _python_number(value) for name, value in given.items() if value is not None}
    words = {**DOOR_DEFAULTS[door], **own}
    for name in ("timeout", "trial_timeout"):
        words[name] = parse_duration(words.get(name), name)
    words["memory_limit"] = parse_bytes(words.get("memory_limit"))
    settings = Settings(**words)
    _check(settings)
    return settings


def _python_number(value: Any) -> Any:
    """Return a number of NumPy's as one of Python's, which a study can hold; anything else as it is."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return value
    return index(value) if isinstance(value, Integral) else float(value)


def trial_budget(settings: Settings) -> int | None:
    """Return the number of finished trials to reach; None means that only the deadline ends the search."""
    if settings.n_trials is None and settings.timeout is None:
        return DEFAULT_N_TRIALS
    return settings.n_trials


_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|sec|m|min|h|d|)", re.IGNORECASE)
_UNIT_SECONDS = {"": 1, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


def parse_duration(value: Any, name: str = "timeout") -> float | None:
    """Read a length of time: seconds as a number, or a text such as "90s", "10m", "1.5h".

    Raises
    ------
    SettingsError
        When it is no length of time above zero.

    Examples
    --------
    >>> parse_duration("1.5h")
    5400.0
    """
    if value is None:
        return None
    match = _DURATION.fullmatch(str(value).strip())
    if match is None or isinstance(value, bool) or float(match[1]) <= 0:
        raise SettingsError(f"{name}={value!r} is no length of time", name, f'{name}=600 or {name}="10m"')
    return float(match[1]) * _UNIT_SECONDS[match[2].lower()]


_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?", re.IGNORECASE)


def parse_bytes(value: Any) -> int | None:
    """Read an amount of memory: bytes as a number, or a text such as "500MB", "4GB", "2GiB".

    Raises
    ------
    SettingsError
        When it is no amount of memory above zero.

    Examples
    --------
    >>> parse_bytes("2GiB"), parse_bytes("500 MB")
    (2147483648, 500000000)
    """
    if value is None:
        return None
    match = _SIZE.fullmatch(str(value).strip())
    if match is None or isinstance(value, bool) or float(match[1]) <= 0:
        problem = f"memory_limit={value!r} is no amount of memory"
        raise SettingsError(problem, "memory_limit", 'memory_limit="4GB", or a number of bytes')
    unit = (match[2] or "").lower()
    power = "kmgt".index(unit[0]) + 1 if unit else 0
    return int(float(match[1]) * float(1024 if unit.endswith("i") else 1000) ** power)


def _check(settings: Settings) -> None:
    _require_integer("n_trials", settings.n_trials, at_least=0, none=True)
    _require_integer("n_jobs", settings.n_jobs, at_least=-1)
    _require_integer("random_state", settings.random_state, at_least=0, none=True)
    _require_integer("patience", settings.patience, at_least=1, none=True)
    for name in ("target_score", "min_gain"):
        value = getattr(settings, name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or value != value):
            raise SettingsError(f"{name}={value!r} is no number", name)
    if settings.min_gain is not None and settings.min_gain <= 0:
        raise SettingsError(f"min_gain={settings.min_gain!r} is no gain above zero", "min_gain", "min_gain=0.001")
    _require_integer("ensemble", settings.ensemble, at_least=1, none=True)
    if not isinstance(settings.deterministic, bool):
        raise SettingsError(f"deterministic={settings.deterministic!r} is neither True nor False", "deterministic")
    if settings.n_jobs == 0:
        raise SettingsError("n_jobs=0 is no number of jobs", "n_jobs", "1, or -1 for all cores")
    if settings.refit not in ("search", "all"):
        raise SettingsError(f"refit={settings.refit!r} is not known", "refit", "'search' or 'all'")
    if settings.study_name is not None and not (isinstance(settings.study_name, str) and settings.study_name):
        raise SettingsError(f"study_name={settings.study_name!r} is no name", "study_name", "a text")


def _require_integer(name: str, value: object, *, at_least: int, none: bool = False) -> None:
    if none and value is None:
        return
    integral = hasattr(value, "__index__") and not isinstance(value, bool)
    if not integral or int(value) < at_least:  # type: ignore[call-overload]  # checked one line above
        raise SettingsError(f"{name}={value!r} is no whole number of at least {at_least}", name)
