"""From a space to suggestions and back."""

from __future__ import annotations

import warnings
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from autotune.spaces.formula import FormulaError
from autotune.spaces.params import Bool, Choice, Derived, Fixed, Float, Int
from autotune.spaces.space import Config, Space
from autotune.study.suggest import Ask, as_suggestions, distribution_of, from_values, suggest

MLP: dict[str, Any] = {
    "learning_rate": Float(1e-4, 1e-1, log=True),
    "units": Int(16, 64, step=16),
    "optimizer": Choice(("adamw", "sgd")),
    "momentum": Float(0.0, 0.99, when={"optimizer": ("sgd",)}),
    "layers": Fixed(2),
}
ONE = Space({"mlp": MLP})
TWO = Space({"mlp": MLP, "linear": {"C": Float(0.1, 10.0)}})
RICH = Space(
    {
        "mlp": {
            "batch_size": Int(16, 512, scale="pow2"),
            "dropout": Choice([0.0, 0.1, 0.5], ordered=True),
            "weight_decay": Float(1e-6, 1e-2, log=True, special=[0.0, None]),
            "epochs": Int(1, 100, fidelity=True),
            "shape": Choice([(64,), (64, 64)]),
            "nesterov": Bool(),
            "rate": Float(0.1, 0.5, step=0.1),
            "_base": Float(1e-4, 1e-2, log=True),
            "learning_rate": Derived("_base * batch_size / 256"),
            "only": Choice(["this"]),
        }
    }
)


def ask(values: dict[str, Any]) -> optuna.trial.Trial:
    """Return a trial whose sampler proposes these values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of the class itself
        fixed = optuna.samplers.PartialFixedSampler(values, optuna.samplers.RandomSampler(seed=0))
    return optuna.create_study(sampler=fixed).ask()


def from_trial(trial: optuna.trial.Trial) -> Ask:
    """Ask a trial, which writes what its sampler answers."""
    return lambda path, distribution, parameter: trial._suggest(path, distribution)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_parameters_are_called_by_paths_and_exist_under_their_conditions(optimizer: str) -> None:
    trial = ask({"mlp.optimizer": optimizer})
    config = suggest(from_trial(trial), ONE)
    assert config.learner == "mlp"
    assert config.params["layers"] == 2
    assert ("momentum" in config.params) == (optimizer == "sgd") == ("mlp.momentum" in trial.params)
    assert "learner" not in trial.params and "mlp.layers" not in trial.params
    assert trial.distributions["mlp.learning_rate"] == FloatDistribution(1e-4, 1e-1, log=True)
    assert trial.distributions["mlp.units"] == IntDistribution(16, 64, step=16)


def test_several_learners_are_a_choice() -> None:
    trial = ask({"learner": "linear"})
    config = suggest(from_trial(trial), TWO)
    assert config == Config("linear", {"C": trial.params["linear.C"]})
    assert trial.distributions["learner"] == CategoricalDistribution(("mlp", "linear"))


@pytest.mark.parametrize("space", [ONE, TWO, RICH])
def test_a_configuration_goes_there_and_back(space: Space) -> None:
    for config in space.first_configurations():
        assert suggest(from_trial(ask(as_suggestions(config, space))), space) == config
        assert suggest(from_values(as_suggestions(config, space)), space) == config


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_drawn_is_admitted_and_can_be_read_back(seed: int) -> None:
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()
    config = suggest(from_trial(trial), RICH)
    assert RICH.admits(config), config
    assert suggest(from_values(trial.params), RICH) == config
    assert as_suggestions(config, RICH) == trial.params


def test_powers_and_ordered_choices_are_whole_numbers_to_the_sampler_and_natural_to_people() -> None:
    trial = ask({"mlp.batch_size": 9, "mlp.dropout": 1})
    config = suggest(from_trial(trial), RICH)
    assert trial.distributions["mlp.batch_size"] == IntDistribution(4, 9)
    assert trial.distributions["mlp.dropout"] == IntDistribution(0, 2)
    assert (config.params["batch_size"], config.params["dropout"]) == (512, 0.1)


@pytest.mark.parametrize("beside", [0.0, None])
def test_a_value_beside_a_range_is_a_choice_above_it(beside: Any) -> None:
    trial = ask({"mlp.weight_decay:or": beside})
    assert suggest(from_trial(trial), RICH).params["weight_decay"] == beside
    assert "mlp.weight_decay" not in trial.params
    within = ask({"mlp.weight_decay:or": "range"})
    value = suggest(from_trial(within), RICH).params["weight_decay"]
    assert value == within.params["mlp.weight_decay"] and 1e-6 <= value <= 1e-2


def test_what_does_not_vary_is_not_asked_for() -> None:
    trial = ask({})
    config = suggest(from_trial(trial), RICH)
    assert config.params["epochs"] == 100 and config.params["only"] == "this"
    assert not {"mlp.epochs", "mlp.only", "mlp.learning_rate"} & set(trial.params)
    expected = config.params["_base"] * config.params["batch_size"] / 256
    assert config.params["learning_rate"] == expected and "_base" not in config.arguments


def test_lists_are_options_by_their_text() -> None:
    assert distribution_of(RICH.learners["mlp"]["shape"]) == CategoricalDistribution(["[64]", "[64, 64]"])
    assert suggest(from_trial(ask({"mlp.shape": "[64, 64]"})), RICH).params["shape"] == (64, 64)


def test_a_formula_without_a_value_says_so() -> None:
    space = Space({"m": {"a": Int(0, 3, default=1), "b": Derived("1 / a")}})
    with pytest.raises(FormulaError, match="no value"):
        suggest(from_values({"m.a": 0}), space)


def test_a_missing_value_is_a_key_error() -> None:
    with pytest.raises(KeyError, match=r"mlp\.units"):
        suggest(from_values({"mlp.learning_rate": 1e-3}), ONE)


def test_a_trial_that_has_a_configuration_gives_it_again() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    trial = study.ask()
    first = suggest(from_trial(trial), TWO)
    study.sampler = optuna.samplers.RandomSampler(seed=2)
    assert suggest(from_trial(optuna.trial.Trial(study, trial._trial_id)), TWO) == first


def test_steps_of_a_float_are_whole_numbers_to_the_sampler_and_natural_to_people() -> None:
    trial = ask({"mlp.rate": 2})
    assert suggest(from_trial(trial), RICH).params["rate"] == 0.3
    assert trial.distributions["mlp.rate"] == IntDistribution(0, 4)
    thirds = Space({"m": {"x": Float(0, 1, step=1 / 3)}})  # Optuna's own steps would end at 0.667
    assert suggest(from_trial(ask({"m.x": 3})), thirds).params["x"] == 1.0
