"""Samplers and pruners by name, and the seeds of trials."""

from __future__ import annotations

import importlib
import logging
import sys

import optuna
import pytest

from autotune.errors import SettingsError, UnknownNameError
from autotune.study.strategies import (
    PRUNERS,
    SAMPLERS,
    Pruner,
    find_pruner,
    find_sampler,
    trial_seed,
)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("tpe", optuna.samplers.TPESampler),
        ("random", optuna.samplers.RandomSampler),
        ("gp", optuna.samplers.GPSampler),
        ("qmc", optuna.samplers.QMCSampler),
    ],
)
def test_samplers_go_by_name(name: str, kind: type) -> None:
    assert isinstance(find_sampler(name)(1), kind)
    assert name in SAMPLERS


def test_a_gaussian_process_says_nothing_of_a_package_that_is_not_needed(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module("optuna._gp.batched_lbfgsb")
    monkeypatch.setitem(sys.modules, "greenlet", None)
    monkeypatch.setattr(logging.getLogger("optuna"), "propagate", True)

    def said() -> list[str]:
        caplog.clear()
        importlib.reload(module)
        return caplog.messages

    logging.getLogger(module.__name__).setLevel(logging.NOTSET)
    assert "greenlet" in said()[0]
    find_sampler("gp")(0)
    assert said() == []


def test_a_sampler_of_ones_own_is_used_as_it_is() -> None:
    own = optuna.samplers.RandomSampler()
    assert find_sampler(own)(3) is own


def test_a_wrong_sampler_or_pruner_is_named() -> None:
    with pytest.raises(UnknownNameError, match="no sampler named 'tpee'\n  try:   tpe"):
        find_sampler("tpee")
    with pytest.raises(UnknownNameError, match="no pruner named 'halvin'\n  try:   halving"):
        find_pruner("halvin")
    with pytest.raises(SettingsError, match="sampler=3 is no sampler"):
        find_sampler(3)
    with pytest.raises(SettingsError, match="one of: halving, median, none"):
        find_pruner(3)


def test_a_pruner_of_ones_own_is_used_as_it_is() -> None:
    own = Pruner(lambda own, peers: True, lambda mean, incumbent: True)
    assert find_pruner(own) is own
    assert find_pruner("median") is PRUNERS["median"]


def test_seeds_of_trials_stay_what_they_are() -> None:
    assert trial_seed(0, 0, "model") == 392097088  # a stored study is replayed by later versions
    seeds = {
        trial_seed(seed, number, what) for seed in range(9) for number in range(9) for what in ("model", "sampler")
    }
    assert len(seeds) == 162
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_qmc_goes_on_with_one_sequence_though_each_trial_has_a_sampler_of_its_own() -> None:
    study = optuna.create_study()
    drawn = []
    for number in range(9):
        study.sampler = find_sampler("qmc")(trial_seed(0, number, "sampler"))
        trial = study.ask()
        drawn.append(trial.suggest_float("a", 0, 1))
        study.tell(trial, 0.0)
    assert sorted(int(8 * value) for value in drawn[1:]) == list(range(8))  # trial 0 shows the sampler what there is
