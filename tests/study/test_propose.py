"""Drafts: allowed, not tried before, weighted, and the same for the same seed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import optuna
import pytest

from autotune.spaces.draws import enumerate_space
from autotune.spaces.params import Choice, Float, Int
from autotune.spaces.space import Config, Space
from autotune.study import strategies
from autotune.study.propose import REDRAWS, config_key, propose
from autotune.study.strategies import find_sampler
from autotune.study.suggest import suggest

FREE = Space({"a": {"x": Float(0.0, 1.0), "mode": Choice(["up", "down"])}})
HALF = Space(
    {"a": {"x": Float(0.0, 1.0), "mode": Choice(["up", "down"])}},
    forbid=[{"mode": "up", "x": {"above": 0.5}}, {"mode": "down", "x": {"below": 0.9}}],
)
FINITE = Space({"a": {"k": Int(1, 3), "p": Choice([1, 2])}})


def row(study: optuna.Study) -> Any:
    trial = study.ask()
    return study.get_trials(deepcopy=False)[trial.number]


def proposed(space: Space, sampler: str = "random", n: int = 1, seed: int = 0, **known: Any) -> list[Config]:
    study = optuna.create_study()
    return [propose(study, space, find_sampler(sampler), row(study), seed=seed, **known) for _ in range(n)]


@pytest.mark.parametrize("sampler", ["random", "tpe", "qmc"])
def test_nothing_forbidden_is_proposed(sampler: str) -> None:
    for config in proposed(HALF, sampler, n=40):
        assert HALF.admits(config), config


def test_what_its_learner_refuses_is_not_proposed() -> None:
    half = {"accepts": lambda config: config.params["x"] < 0.1}
    assert all(config.params["x"] < 0.1 for config in proposed(FREE, n=20, **half))
    assert proposed(FREE, accepts=lambda config: False), "one that nothing accepts is still an answer"


def test_a_draft_writes_nothing() -> None:
    study = optuna.create_study()
    trial = row(study)
    propose(study, FREE, find_sampler("tpe"), trial, seed=0)
    assert study.get_trials()[0].params == {} and trial.params == {} and len(study.get_trials()) == 1


def test_a_sampler_whose_asks_are_dear_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(lambda trial: trial.suggest_float("a.x", 0.0, 1.0), n_trials=12)
    space, trial, asked = Space({"a": {"x": Float(0.0, 1.0)}}), row(study), list[str]()

    def asks(name: str) -> int:
        def sampler_of(seed: int) -> Any:
            asked.append(name)
            return find_sampler(name)(seed)

        asked.clear()
        propose(study, space, sampler_of, trial, seed=0, accepts=lambda config: False)
        return len(asked)

    assert (asks("gp"), asks("tpe")) == (1, REDRAWS)
    monkeypatch.setattr(strategies, "GP_TRIALS", 12)
    assert asks("gp") == REDRAWS, "TPE has taken over"


def test_the_same_seed_and_number_give_the_same_proposal_and_others_another() -> None:
    assert proposed(FREE, n=3) == proposed(FREE, n=3)
    assert len({config_key(config) for config in proposed(FREE, n=3) + proposed(FREE, n=3, seed=1)}) == 6


def test_what_is_known_is_not_proposed_again_as_long_as_something_is_left() -> None:
    every = enumerate_space(FINITE, 100) or []
    for left in every:
        known = {config_key(config) for config in every if config != left}
        assert proposed(FINITE, known=known, listed=every) == [left]
    everything = {config_key(config) for config in every}
    assert proposed(FINITE, known=everything, listed=every)[0] in every


def test_the_last_allowed_configuration_among_many_forbidden_ones_is_found() -> None:
    space = Space({"a": {"k": Int(1, 5000, default=7)}}, forbid=[{"k": {"below": 7}}, {"k": {"above": 8}}])
    every = enumerate_space(space, 10_000) or []
    assert [config.params["k"] for config in every] == [7, 8]
    assert proposed(space, known={config_key(every[0])}, listed=every) == [every[1]]


def test_weights_say_how_often_an_option_is_drawn_before_anything_is_known() -> None:
    space = Space({"a": {"mode": Choice(["up", "down"], weights=[9, 1])}})
    drawn = Counter(config.params["mode"] for config in proposed(space, "tpe", n=200))
    assert 160 <= drawn["up"] <= 199  # 180 expected, with a deviation of 4.2


def test_drafts_learn_from_the_trials_that_are_over() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(40):
        trial = study.ask()
        x = trial.suggest_float("a.x", 0.0, 1.0)
        trial.suggest_categorical("a.mode", ["up", "down"])
        study.tell(trial, abs(x - 0.2))
    next_one = row(study)
    xs = [propose(study, FREE, find_sampler("tpe"), next_one, seed=s).params["x"] for s in range(20)]
    assert sum(abs(x - 0.2) < 0.1 for x in xs) >= 18  # 4 blindly


TWO = Space({"a": {"x": Float(0.0, 1.0)}, "b": {"y": Float(0.0, 1.0)}})


def test_avoided_learners_are_not_proposed() -> None:
    assert {config.learner for config in proposed(TWO, n=20)} == {"a", "b"}
    assert {config.learner for config in proposed(TWO, n=20, avoided={"a"})} == {"b"}


@pytest.mark.parametrize("sampler", ["random", "qmc"])
@pytest.mark.parametrize("ordered", [False, True])
def test_weights_count_as_long_as_a_sampler_never_learns(sampler: str, ordered: bool) -> None:
    space = Space({"a": {"mode": Choice(["up", "down"], weights=[9, 1], ordered=ordered)}})
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(12):
        trial = study.ask()
        suggest(lambda path, distribution, parameter, trial=trial: trial._suggest(path, distribution), space)
        study.tell(trial, 0.0)
    drawn = [propose(study, space, find_sampler(sampler), row(study), seed=s).params["mode"] for s in range(200)]
    assert 160 <= drawn.count("up") <= 199
