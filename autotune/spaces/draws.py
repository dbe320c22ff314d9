"""Configurations drawn at random, or listed one by one where a space is finite; no sampler is needed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import chain
from random import Random
from typing import Any

from autotune.spaces.formula import FormulaError
from autotune.spaces.params import Choice, Derived, Fixed, Float, Int, Parameter
from autotune.spaces.ranges import exponent
from autotune.spaces.space import Config, Space
from autotune.spaces.tree import ancestors

REDRAWS = 100
"""Draws that a forbidden configuration costs at most; then the default stands in."""

LONGEST = 10**6
"""Values of one parameter that listing goes through at most."""

VISITS_A_CONFIGURATION = 50
"""How many dead ends listing may visit for each configuration that it may return."""


def draw(space: Space, random: Random) -> Config:
    """Draw a configuration that the space admits.

    Parameters
    ----------
    space : Space
        What may vary.
    random : random.Random
        Where the draws come from.

    Examples
    --------
    >>> draw(Space({"knn": {"k": Int(1, 3)}}), Random(0)).params["k"] in (1, 2, 3)
    True
    """
    learner = random.choice(list(space.learners))
    default = space.default(learner)
    for held in ({}, _held(space, default)):
        for _ in range(REDRAWS):
            config = _draft(space, learner, random, held)
            if config is not None and space.allows(config):
                return config
    return default


def _held(space: Space, default: Config) -> dict[str, Any]:
    """Return the defaults of what the clauses of a learner speak of, and of what it depends on: a way around them."""
    named = {key for clause in space.forbid if clause.learner == default.learner for key in clause.conditions}
    parameters = space.learners[default.learner]
    named |= {each for key in named for each in ancestors(parameters, key)}
    return {key: default.params[key] for key in named if key in default.params}


def _draft(space: Space, learner: str, random: Random, held: Mapping[str, Any]) -> Config | None:
    values: dict[str, Any] = {}
    try:
        for key, parameter in space.active(learner, values):
            if isinstance(parameter, Derived):
                values[key] = parameter.value(values)
            else:
                values[key] = held[key] if key in held else _drawn(parameter, random)
    except FormulaError:
        return None
    return Config(learner, values)


def enumerate_space(space: Space, limit: int) -> list[Config] | None:
    """Return all configurations of a finite space.

    Parameters
    ----------
    space : Space
        What may vary.
    limit : int
        The longest list that is wanted.

    Returns
    -------
    list of Config or None
        None where there are more, or infinitely many.

    Examples
    --------
    >>> len(enumerate_space(Space({"knn": {"k": Int(1, 3), "p": Choice([1, 2])}}), 100))
    6
    """
    found: list[Config] = []
    for learner in space.learners:
        listed = enumerate_learner(space, learner, limit - len(found))
        if listed is None:
            return None
        found += listed
    return found


def enumerate_learner(space: Space, learner: str, limit: int) -> list[Config] | None:
    """Return all configurations of one learner of a space; None where there are more than the limit.

    Examples
    --------
    >>> space = Space({"knn": {"k": Int(1, 3)}, "linear": {"C": Float(0, 1)}})
    >>> len(enumerate_learner(space, "knn", 100)), enumerate_learner(space, "linear", 100)
    (3, None)
    """
    if any(_options(parameter) is None for parameter in space.learners[learner].values()):
        return None
    found: list[Config] = []
    for visited, values in enumerate(_listed(space, learner, {})):
        config = Config(learner, values)
        if space.allows(config):
            found.append(config)
        if len(found) > limit or visited > limit * VISITS_A_CONFIGURATION:
            return None
    return found


def _listed(space: Space, learner: str, values: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield all ways to fill in what is still open, parents first."""
    open_ones = (each for each in space.active(learner, values) if each[0] not in values)
    key, parameter = next(open_ones, (None, None))
    if key is None or parameter is None:
        yield values
        return
    options = _options(parameter) or ()
    if isinstance(parameter, Derived):
        with suppress(FormulaError):
            options = (parameter.value(values),)
    for option in options:
        yield from _listed(space, learner, {**values, key: option})


def _options(parameter: Parameter) -> Iterable[Any] | None:
    """Return all values of a parameter, made as they are taken; None where they are too many to list."""
    match parameter:
        case Choice(options=options):
            return options
        case Fixed(value=value):
            return (value,)
        case Derived():
            return ()
        case Int(fidelity=True, high=high):
            return (high,)
        case Int(low=low, high=high, scale="pow2"):
            return chain((2**power for power in range(exponent(low), exponent(high) + 1)), parameter.special)
        case Int(low=low, high=high, step=step) if (high - low) // step < LONGEST:
            return chain(range(low, high + 1, step), parameter.special)
        case Float(step=float()) if parameter.n_steps < LONGEST:
            return chain(map(parameter.at_step, range(parameter.n_steps + 1)), parameter.special)
    return None


def _drawn(parameter: Parameter, random: Random) -> Any:
    if isinstance(parameter, (Float, Int)) and parameter.special:
        index = random.randrange(len(parameter.special) + 1)
        if index:
            return parameter.special[index - 1]
    match parameter:
        case Choice(options=options):
            return random.choices(options, parameter.weights)[0]
        case Fixed(value=value):
            return value
        case Int(fidelity=True, high=high):
            return high
        case Int(low=low, high=high, scale="pow2"):
            return 2 ** random.randint(exponent(low), exponent(high))
        case Int(low=low, high=high, log=True):
            return min(high, max(low, math.floor(math.exp(random.uniform(math.log(low), math.log(high + 1))))))
        case Int(low=low, high=high, step=step):
            return low + step * random.randint(0, (high - low) // step)
        case Float(low=low, high=high, log=True):
            return min(high, max(low, math.exp(random.uniform(math.log(low), math.log(high)))))
        case Float(low=low, high=high, step=None):
            return random.uniform(low, high)
        case Float():
            return parameter.at_step(random.randint(0, parameter.n_steps))
    raise AssertionError(parameter)
