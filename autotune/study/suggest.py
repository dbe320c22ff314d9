"""From a Space to Optuna's suggestions and back. Parameters are called by paths: ``lightgbm.learning_rate``.

The sampler sees powers of two as exponents, a float with a step as the number of steps, and ordered choices as places
in their order, so that neighbours are neighbours to it. A value beside a range is a categorical of its own,
``mlp.weight_decay:or``, and the range below it exists only where that says "range". What people see are the natural
values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from autotune.spaces.params import Choice, Derived, Fixed, Float, Int, Parameter
from autotune.spaces.ranges import exponent, option_label, same_value
from autotune.spaces.space import Config, Space

LEARNER = "learner"
BESIDE = ":or"
IN_RANGE = "range"

Ask = Callable[[str, BaseDistribution, Parameter | None], Any]
"""Answers a path, its distribution and the parameter that it is of with what the sampler says."""


def suggest(ask: Ask, space: Space) -> Config:
    """Ask for a configuration of the space, parameter by parameter.

    Parameters
    ----------
    ask : callable
        Such as `from_values` makes, or a draft's.
    space : Space
        What may vary.

    Raises
    ------
    FormulaError
        When a derived value cannot be computed from what was answered.
    """
    learners = list(space.learners)
    learner = learners[0]
    if len(learners) > 1:
        learner = str(ask(LEARNER, CategoricalDistribution(learners), None))
    values: dict[str, Any] = {}
    for key, parameter in space.active(learner, values):
        values[key] = _asked(ask, f"{learner}.{key}", parameter, values)
    return Config(learner, values)


def from_values(values: Mapping[str, Any]) -> Ask:
    """Answer from known values, by path; KeyError where one is missing."""
    return lambda path, distribution, parameter: values[path]


def suggested(values: Mapping[str, Any], space: Space) -> Config | None:
    """Return the configuration that values say, by path; None where some are missing."""
    try:
        return suggest(from_values(values), space)
    except KeyError:
        return None


def as_suggestions(config: Config, space: Space) -> dict[str, Any]:
    """Return the values, by path, that make `suggest` give this configuration."""
    values: dict[str, Any] = {LEARNER: config.learner} if len(space.learners) > 1 else {}
    for key, parameter in space.learners[config.learner].items():
        if key in config.params:
            values |= _answers(f"{config.learner}.{key}", parameter, config.params[key])
    return values


def distribution_of(parameter: Parameter) -> BaseDistribution | None:
    """Return what the sampler draws a parameter from; None for those that are not drawn.

    Examples
    --------
    >>> distribution_of(Int(16, 512, scale="pow2"))
    IntDistribution(high=9, log=False, low=4, step=1)
    """
    match parameter:
        case Float(step=float()):
            return IntDistribution(0, parameter.n_steps)
        case Float(low=low, high=high, log=log):
            return FloatDistribution(low, high, log=log)
        case Int(fidelity=True):
            return None
        case Int(low=low, high=high, scale="pow2"):
            return IntDistribution(exponent(low), exponent(high))
        case Int(low=low, high=high, log=log, step=step):
            return IntDistribution(low, high, log=log, step=step)
        case Choice(options=options) if len(options) == 1:
            return None
        case Choice(options=options, ordered=True):
            return IntDistribution(0, len(options) - 1)
        case Choice(options=options):
            return CategoricalDistribution([option_label(option) for option in options])
    return None


def _asked(ask: Ask, path: str, parameter: Parameter, values: Mapping[str, Any]) -> Any:
    match parameter:
        case Derived():
            return parameter.value(values)
        case Fixed(value=value):
            return value
        case Int(fidelity=True, high=high):
            return high
        case Choice(options=options) if len(options) == 1:
            return options[0]
    if isinstance(parameter, (Float, Int)) and parameter.special:
        beside = ask(path + BESIDE, CategoricalDistribution([IN_RANGE, *parameter.special]), None)
        if beside != IN_RANGE:
            return beside
    distribution = distribution_of(parameter)
    assert distribution is not None
    return _natural(parameter, ask(path, distribution, parameter))


def _natural(parameter: Parameter, answer: Any) -> Any:
    match parameter:
        case Float(step=float()):
            return parameter.at_step(int(answer))
        case Int(scale="pow2"):
            return 2 ** int(answer)
        case Choice(options=options, ordered=True):
            return options[int(answer)]
        case Choice(options=options):
            return next(option for option in options if same_value(option_label(option), answer))
    return answer


def _answers(path: str, parameter: Parameter, value: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if isinstance(parameter, (Float, Int)) and parameter.special:
        if any(same_value(value, special) for special in parameter.special):
            return {path + BESIDE: value}
        found[path + BESIDE] = IN_RANGE
    match parameter:
        case Float(step=float()):
            found[path] = parameter.step_of(value)
        case Int(scale="pow2"):
            found[path] = exponent(value)
        case Choice(options=options, ordered=True):
            found[path] = next(index for index, option in enumerate(options) if same_value(option, value))
        case Choice():
            found[path] = option_label(value)
        case _:
            found[path] = value
    return found if distribution_of(parameter) is not None else {}
