"""From a space to suggestions and back."""

from __future__ import annotations

from typing import Any

import optuna
import pytest

from autotune.spaces.params import Choice, Fixed, Float, Int
from autotune.spaces.space import Config, Space
from autotune.study.strategies import fixed_sampler
from autotune.study.suggest import as_suggestions, suggest

MLP: dict[str, Any] = {
    "learning_rate": Float(1e-4, 1e-1, log=True),
    "units": Int(16, 64, step=16),
    "optimizer": Choice(("adamw", "sgd")),
    "momentum": Float(0.0, 0.99, when={"optimizer": ("sgd",)}),
    "layers": Fixed(2),
}
ONE = Space({"mlp": MLP})
TWO = Space({"mlp": MLP, "linear": {"C": Float(0.1, 10.0)}})


def ask(values: dict[str, Any]) -> optuna.trial.Trial:
    return optuna.create_study(sampler=fixed_sampler(values, 0)).ask()


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_parameters_are_called_by_paths_and_exist_under_their_conditions(optimizer: str) -> None:
    trial = ask({"mlp.optimizer": optimizer})
    config = suggest(trial, ONE)
    assert config.learner == "mlp"
    assert config.params["layers"] == 2
    assert ("momentum" in config.params) == (optimizer == "sgd") == ("mlp.momentum" in trial.params)
    assert "learner" not in trial.params and "mlp.layers" not in trial.params
    assert isinstance(trial.distributions["mlp.learning_rate"], optuna.distributions.FloatDistribution)
    assert trial.distributions["mlp.learning_rate"].log
    assert trial.distributions["mlp.units"] == optuna.distributions.IntDistribution(16, 64, step=16)


def test_several_learners_are_a_choice() -> None:
    trial = ask({"learner": "linear"})
    config = suggest(trial, TWO)
    assert config == Config("linear", {"C": trial.params["linear.C"]})
    assert trial.distributions["learner"] == optuna.distributions.CategoricalDistribution(("mlp", "linear"))


@pytest.mark.parametrize("space", [ONE, TWO])
def test_a_configuration_goes_there_and_back(space: Space) -> None:
    for config in space.first_configurations():
        assert suggest(ask(as_suggestions(config, space)), space) == config


def test_a_trial_that_has_a_configuration_gives_it_again() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    trial = study.ask()
    first = suggest(trial, TWO)
    study.sampler = optuna.samplers.RandomSampler(seed=2)
    assert suggest(optuna.trial.Trial(study, trial._trial_id), TWO) == first
