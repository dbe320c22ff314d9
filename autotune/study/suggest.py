"""From a Space to Optuna's suggestions and back. Parameters are called by paths: ``lightgbm.learning_rate``."""

from __future__ import annotations

from typing import Any

import optuna

from autotune.spaces.params import Choice, Fixed, Float, Int, Parameter
from autotune.spaces.space import Config, Space

LEARNER = "learner"


def suggest(trial: optuna.trial.Trial, space: Space) -> Config:
    """Ask a trial for a configuration of the space; a trial that has one already gives the same again."""
    learners = list(space.learners)
    learner = str(trial.suggest_categorical(LEARNER, learners)) if len(learners) > 1 else learners[0]
    values: dict[str, Any] = {}
    for key, parameter in space.active(learner, values):
        values[key] = _suggest(trial, f"{learner}.{key}", parameter)
    return Config(learner, values)


def as_suggestions(config: Config, space: Space) -> dict[str, Any]:
    """Return the values, by path, that make `suggest` give this configuration."""
    values = {f"{config.learner}.{key}": value for key, value in config.params.items()}
    return {LEARNER: config.learner, **values} if len(space.learners) > 1 else values


def _suggest(trial: optuna.trial.Trial, path: str, parameter: Parameter) -> Any:
    match parameter:
        case Float():
            return trial.suggest_float(path, parameter.low, parameter.high, log=parameter.log)
        case Int():
            return trial.suggest_int(path, parameter.low, parameter.high, step=parameter.step, log=parameter.log)
        case Choice():
            return trial.suggest_categorical(path, parameter.options)
        case Fixed():
            return parameter.value
