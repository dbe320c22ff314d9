"""What a learner declares of its parameters, and what of a space does not fit it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from autotune.data.task import CLASSIFICATION
from autotune.errors import AutotuneError, SettingsError, SpaceError
from autotune.learners import LEARNERS
from autotune.learners.optional import missing_package
from autotune.learners.protocol import Learner
from autotune.registry import nearest, unknown_name
from autotune.spaces.params import Derived, Int, Parameter
from autotune.spaces.space import Space


def space_problems(space: Space, learners: Mapping[str, Learner[Any]], kind: str | None) -> Iterator[AutotuneError]:
    """Yield everything of a space that only its learners know to be wrong, each with its place.

    Parameters
    ----------
    space : Space
        The space.
    learners : mapping of str to Learner
        Those of the space that exist.
    kind : {"binary", "multiclass", "regression"} or None
        The kind of task; None where it is not known yet.

    Examples
    --------
    >>> from autotune.learners import find_learner
    >>> space = Space({"linear": {"CC": 1.0}})
    >>> [problem.problem for problem in space_problems(space, {"linear": find_learner("linear")}, "binary")]
    ["no parameter of learner 'linear' named 'CC'"]
    """
    first = () if space.problems() else (space if kind is None else space.for_task(kind)).first_configurations()
    for name, parameters in space.learners.items():
        learner = learners.get(name)
        if learner is None:
            yield _unknown_learner(name, space.place(name))
            continue
        if error := missing_package(learner, space.place(name)):
            yield error
            continue
        if kind is not None and kind not in learner.tasks:
            yield SpaceError(f"learner {name!r} does not learn {kind} tasks", space.place(name), _learns(learner, kind))
        for key, parameter in parameters.items():
            if not key.startswith("_"):  # those are only computed with
                computed = [each.params[key] for each in first if each.learner == name and key in each.params]
                yield from _parameter_problems(space, learner, name, key, parameter, computed)


def parameter_names(learner: Learner[Any]) -> Collection[str] | None:
    """Return the names of a learner's parameters; None where it takes any.

    A learner whose ``Params`` is no dataclass says so itself, in an attribute ``parameter_names``.

    Examples
    --------
    >>> from autotune.learners import find_learner
    >>> parameter_names(find_learner("linear"))
    ('C', 'penalty', 'class_weight')
    """
    if hasattr(learner, "parameter_names"):
        names: Collection[str] | None = learner.parameter_names
        return names
    return tuple(field.name for field in fields(learner.Params)) if is_dataclass(learner.Params) else None


def parameter_defaults(learner: Learner[Any]) -> dict[str, Any]:
    """Return the names of a learner's parameters with what they are unless somebody says otherwise.

    Examples
    --------
    >>> from autotune.learners import find_learner
    >>> parameter_defaults(find_learner("linear"))
    {'C': 1.0, 'penalty': 'l2', 'class_weight': 'none'}
    """
    if hasattr(learner, "defaults"):
        return dict(learner.defaults)
    if is_dataclass(learner.Params):
        params = learner.Params()
        return {field.name: getattr(params, field.name) for field in fields(params)}
    return {}


def takes(learner: Learner[Any], values: Mapping[str, Any]) -> bool:
    """Return whether a learner takes these values of its parameters.

    Examples
    --------
    >>> from autotune.learners import find_learner
    >>> takes(find_learner("linear"), {"C": -1.0})
    False
    """
    try:
        learner.Params(**values)
    except (SettingsError, TypeError):
        return False
    return True


def _parameter_problems(
    space: Space, learner: Learner[Any], name: str, key: str, parameter: Parameter, computed: Sequence[Any]
) -> Iterator[AutotuneError]:
    where, known = space.place(name, key), parameter_names(learner)
    if known is not None and key not in known:
        nested = [each for each in known if each.endswith(f"__{key}")]
        error = unknown_name(f"parameter of learner {name!r}", key, known, where)
        yield SpaceError(error.problem, where, nested[0] if nested else error.hint)
        return
    if isinstance(parameter, Int) and parameter.fidelity:
        yield from _fidelity_problems(learner, key, where)
    if isinstance(parameter, Derived):
        found = (_value_problem(learner, key, value) for value in computed)
        if problem := next(filter(None, found), None):
            hint = "change the formula, or what it is computed from in the defaults and the starts"
            yield SpaceError(f"{problem.problem}; the formula gives it", where, hint)
        return
    for value in parameter.extremes():
        if problem := _value_problem(learner, key, value):
            yield SpaceError(problem.problem, where, problem.hint)


def _value_problem(learner: Learner[Any], key: str, value: Any) -> SettingsError | None:
    """Return what a learner has against one value of a parameter."""
    try:
        learner.Params(**{key: value})
    except SettingsError as error:
        return error
    except TypeError:
        return SettingsError(f"{key} = {value!r} is of a wrong type")
    return None


def _fidelity_problems(learner: Learner[Any], key: str, where: str) -> Iterator[AutotuneError]:
    """Ask a learner that says what it is stepped by, in an attribute ``fidelity``, whether it is this parameter."""
    stepped_by = getattr(learner, "fidelity", key)
    if stepped_by is None:
        problem = f"{key} is no fidelity: learner {learner.name!r} trains in one go"
        yield SpaceError(problem, where, "leave fidelity out")
    elif stepped_by != key:
        problem = f"{key} is no fidelity: learner {learner.name!r} trains in steps of {stepped_by}"
        yield SpaceError(problem, where, f"leave fidelity out, or give it to {stepped_by}")


def _unknown_learner(name: str, where: str) -> SpaceError:
    error = unknown_name("learner", name, LEARNERS, where)
    own = f'; for a model of your own: model = "module:attribute" in [{name}], or --model'
    return SpaceError(error.problem, where, error.hint if nearest(name, LEARNERS) else f"{error.hint}{own}")


def _learns(learner: Learner[Any], kind: str) -> str:
    """Say what a learner learns instead of one kind of task, and how to make it that where the target allows."""
    learned = f"it learns {' and '.join(sorted(learner.tasks)) or 'nothing'}"
    if kind == "regression":
        return f'{learned}: task="classification" if that is meant' if learner.tasks >= CLASSIFICATION else learned
    return f'{learned}: task="regression" if that is meant' if learner.tasks == {"regression"} else learned
