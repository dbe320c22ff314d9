"""Everything that can be wrong with a space as a whole, each with its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from autotune.errors import AutotuneError, SpaceError
from autotune.registry import unknown_name
from autotune.spaces.formula import FormulaError
from autotune.spaces.params import Derived, Int, Parameter
from autotune.spaces.ranges import instead, shown
from autotune.spaces.tree import ancestors, contradiction

if TYPE_CHECKING:
    from autotune.spaces.space import Config, Space

TASKS = {"binary", "multiclass", "classification", "regression"}

RESERVED = {
    "learner": "in starts and forbids it names the learner",
    "model": "it names the model that a learner is, as models={...} does in Python",
    "task": "in conditions it is the kind of task",
    "none": "{ none = true } is how a file says that there is no value",
}
"""Names that mean something else in a file."""

_OTHER = "other values, or a formula without that gap"


def space_problems(space: Space, starts: Sequence[Config]) -> list[AutotuneError]:
    """Return what is wrong with a space, its clauses and its start configurations."""
    if not space.learners:
        return [] if space.unread else [SpaceError("a space needs at least one learner", space.place(), "[lightgbm]")]
    found: list[AutotuneError] = []
    for learner, parameters in space.learners.items():
        found += _parameter_problems(space, learner, parameters)
    found += _forbid_problems(space)
    for number, start in enumerate(starts):
        found += _start_problems(space, number, start)
    return found or list(_refused_firsts(space, starts))


def named_wrongly(error: AutotuneError) -> SpaceError:
    """Return the error for an unknown name as an error of a space, which always says what to do."""
    return SpaceError(error.problem, error.where, error.hint or "leave it out: nothing has a name here")


def _named(space: Space, learner: str) -> set[str]:
    """Return the names of a learner's parameters, and of what could not be read as one."""
    return {*space.learners[learner], *(key for broken, key in space.broken if broken == learner and key)}


def _parameter_problems(space: Space, learner: str, parameters: Mapping[str, Parameter]) -> Iterator[AutotuneError]:
    if not parameters and learner not in space.models:
        return
    for key, parameter in parameters.items():
        if key in RESERVED:
            taken = f"no parameter can be called {key}: {RESERVED[key]}"
            yield SpaceError(taken, space.place(learner, key), "another name")
        for problem in parameter.problems():
            yield SpaceError(f"{key}: {problem.what}", space.place(learner, key, problem.at), problem.hint)
        if key in ancestors(parameters, key):
            others = sorted(ancestors(parameters, key) - {key})
            way = f", by way of {', '.join(others)}" if others else ""
            hint = "take one of the conditions or formulas out"
            yield SpaceError(f"{key} depends on itself{way}", space.place(learner, key), hint)
            continue
        yield from _condition_problems(space, learner, key, parameter)
        if isinstance(parameter, Derived):
            yield from _formula_problems(space, learner, key, parameter)
    resources = [key for key, parameter in parameters.items() if isinstance(parameter, Int) and parameter.fidelity]
    for key in resources[1:]:
        where = space.place(learner, key, "fidelity")
        yield SpaceError(f"{key}: {resources[0]} is the fidelity already", where, "leave fidelity out of one of them")


def _condition_problems(space: Space, learner: str, key: str, parameter: Parameter) -> Iterator[AutotuneError]:
    parameters, sound = space.learners[learner], True
    for parent, values in parameter.when.items():
        known = (learner, parent) not in space.broken
        found = list(_parent_problems(space, learner, key, parent, values)) if known else []
        sound = sound and not found
        yield from found
    if sound and (twice := contradiction(parameters, key)):
        problem = f"{key} never exists: {twice} would need two values at once"
        yield SpaceError(problem, space.place(learner, key, "when"), f"look at {_line(parameters, key)}")


def _line(parameters: Mapping[str, Parameter], key: str) -> str:
    """Return the conditions of a parameter and of all that it depends on."""
    line = [key, *(each for each in parameters if each in ancestors(parameters, key))]
    return ", ".join(f"{each} when {_listed(parameters[each].when)}" for each in line if parameters[each].when)


def _listed(when: Mapping[str, tuple[Any, ...]]) -> str:
    return " and ".join(f"{parent} = {' or '.join(map(shown, values))}" for parent, values in when.items())


def _parent_problems(
    space: Space, learner: str, key: str, parent: str, values: tuple[Any, ...]
) -> Iterator[AutotuneError]:
    parameters, where = space.learners[learner], space.place(learner, key, "when", parent)
    if not values:
        yield SpaceError(f"{key} exists for no value of {parent}", where, f"leave when or {key} out")
        return
    if parent == "task":
        for value in sorted(set(map(str, values)) - TASKS):
            yield named_wrongly(unknown_name("kind of task", value, TASKS, where))
        return
    if parent not in parameters:
        yield named_wrongly(unknown_name("parameter to depend on", parent, _named(space, learner) - {key}, where))
        return
    known = parameters[parent]
    if isinstance(known, Derived) or (isinstance(known, Int) and known.fidelity):
        yield SpaceError(f"{key} cannot depend on {parent}, which is not drawn", where, f"leave {parent} out")
    elif not any(known.problems()):
        for value in values:
            if not known.admits(value):
                problem = f"{key} exists when {parent} = {shown(value)}, which {parent} never is"
                yield SpaceError(problem, where, instead(known, value))


def _formula_problems(space: Space, learner: str, key: str, parameter: Derived) -> Iterator[AutotuneError]:
    for name in parameter.names:
        if name not in space.learners[learner] and (learner, name) not in space.broken:
            where = space.place(learner, key, "derived")
            others = _named(space, learner) - {key}
            yield named_wrongly(unknown_name("parameter to compute with", name, others, where))


def _forbid_problems(space: Space) -> Iterator[AutotuneError]:
    for number, clause in enumerate(space.forbid):
        where = space.place("forbid", str(number))
        if clause.learner not in space.learners:
            yield from _learner_problem(space, "a forbid", clause.learner, where)
            continue
        parameters = space.learners[clause.learner]
        if not clause.conditions:
            yield SpaceError("a forbid without conditions forbids everything", where, 'optimizer = "sgd"')
        for key in clause.conditions:
            if key not in parameters and (clause.learner, key) not in space.broken:
                place, names = space.place("forbid", str(number), key), _named(space, clause.learner)
                yield named_wrongly(unknown_name(f"parameter of {clause.learner!r}", key, names, place))
        for key, problem in clause.problems(parameters):
            path = ("forbid", str(number), key, *([problem.at] if problem.at != key else []))
            yield SpaceError(problem.what, space.place(*path), problem.hint)


def _learner_problem(space: Space, what: str, learner: str, where: str) -> Iterator[AutotuneError]:
    if not learner:
        yield SpaceError(f"{what} names no learner", where, f"learner = one of: {', '.join(space.learners)}")
    elif (learner, "") not in space.broken:
        yield named_wrongly(unknown_name("learner of this space", learner, space.learners, where))


def _start_problems(space: Space, number: int, start: Config) -> Iterator[AutotuneError]:
    if start.learner not in space.learners:
        yield from _learner_problem(space, "a start", start.learner, space.place("start", str(number)))
        return
    parameters = space.learners[start.learner]
    existing = _existing(space, start)
    hidden = any(learner == start.learner for learner, _ in space.broken)  # what exists cannot be told then
    for key, value in start.params.items():
        where = space.place("start", str(number), key)
        if key not in parameters:
            if (start.learner, key) not in space.broken:
                names = _named(space, start.learner)
                yield named_wrongly(unknown_name(f"parameter of {start.learner!r}", key, names, where))
            continue
        parameter = parameters[key]
        if isinstance(parameter, Derived):
            if not _is_computed(parameter, value, start.params):
                yield SpaceError(f"{key} is computed from other parameters", where, f"leave {key} out")
        elif key not in existing and not hidden:
            hint = f"leave {key} out; it exists when {_listed(parameter.when)}"
            yield SpaceError(f"{key} does not exist in this start", where, hint)
        elif any(parameter.problems()):
            continue
        elif isinstance(parameter, Int) and parameter.fidelity:
            if value != parameter.high:
                yield SpaceError(f"{key} is the fidelity, which the curve chooses", where, f"leave {key} out")
        elif not parameter.admits(value):
            yield SpaceError(f"{key} is never {shown(value)}", where, instead(parameter, value))


def _existing(space: Space, start: Config) -> dict[str, Any]:
    """Return the parameters that exist under a start, with the values that they take; formulas count as 0."""
    values: dict[str, Any] = {}
    for key, parameter in space.active(start.learner, values):
        values[key] = 0 if isinstance(parameter, Derived) else start.params.get(key, parameter.default)
    return values


def _is_computed(parameter: Derived, value: Any, values: Mapping[str, Any]) -> bool:
    """Return whether a value is what the formula gives, as in a completed configuration."""
    try:
        return bool(parameter.value(values) == value)
    except FormulaError:
        return False


def _refused_firsts(space: Space, starts: Sequence[Config]) -> Iterator[AutotuneError]:
    """Yield where a default or a start is forbidden, or a formula has no value for it."""
    named: list[tuple[str, str, Mapping[str, Any], tuple[str, ...]]] = [
        (f"the default of {learner!r}", learner, {}, (learner,)) for learner in space.learners
    ]
    named += [
        ("this start", start.learner, start.params, ("start", str(number))) for number, start in enumerate(starts)
    ]
    for what, learner, params, path in named:
        if gap := _gap(space, learner, params):
            key, error = gap
            place = space.place(*(path if params else (learner, key, "derived")))
            yield SpaceError(f"{key}: {error} (for {what})", place, _OTHER)
            continue
        config = space.completed(learner, params)
        for number, clause in enumerate(space.forbid):
            if clause.learner == learner and clause.matches(config.params):
                values = ", ".join(f"{key} = {shown(config.params[key])}" for key in clause.conditions)
                problem = f"{what} is forbidden ({values}) by {space.place('forbid', str(number))}"
                yield SpaceError(problem, space.place(*path), "other values, or a narrower forbid")


def _gap(space: Space, learner: str, given: Mapping[str, Any]) -> tuple[str, FormulaError] | None:
    """Return the first derived parameter that has no value beside the given ones, and why."""
    values: dict[str, Any] = {}
    for key, parameter in space.active(learner, values):
        if not isinstance(parameter, Derived):
            values[key] = given.get(key, parameter.default)
            continue
        try:
            values[key] = parameter.value(values)
        except FormulaError as error:
            return key, error
    return None
