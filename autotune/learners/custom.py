"""A person's own model as a learner: scikit-learn estimators, functions that make torch modules, learners."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from autotune.errors import SettingsError, raise_all
from autotune.learners import LEARNERS, find_learner
from autotune.learners.declared import parameter_defaults
from autotune.learners.loading import load_model, made
from autotune.learners.plug_ins import NEEDED
from autotune.learners.protocol import Learner
from autotune.spaces.catalog import find_space
from autotune.spaces.document import EXTRAS, MODEL, TOP
from autotune.spaces.params import UNSET, Choice, Float, Int, Parameter
from autotune.spaces.ranges import same_value
from autotune.spaces.space import Space

Problems = Callable[[Space, Mapping[str, Learner[Any]]], list[Any]]


def custom_learner(name: str, model: Any, where: str = "model") -> Learner[Any]:
    """Make a learner of somebody's own model.

    Parameters
    ----------
    name : str
        What the learner is called.
    model : object
        An estimator or a pipeline of scikit-learn's kind, or a class of these, which is made without arguments; a
        learner or a class of learners; or else a function that builds a torch module.
    where : str
        Where the model was named, for errors.

    Raises
    ------
    SettingsError
        When it is none of these.

    Examples
    --------
    >>> from sklearn.svm import SVC
    >>> sorted(custom_learner("svc", SVC()).tasks)
    ['binary', 'multiclass']
    """
    if isinstance(model, str):
        model = load_model(model, where)
    if all(hasattr(model, attribute) for attribute in NEEDED):
        learner: Learner[Any] = made(model, where) if isinstance(model, type) else model
        return learner
    if hasattr(model, "fit"):
        from autotune.learners.sklearn_learner import SklearnLearner

        estimator = made(model, where) if isinstance(model, type) else model
        return SklearnLearner(name, estimator)  # type: ignore[return-value]  # its attributes are the instance's own
    if callable(model):
        if _takes_a_fold(model):
            problem = f"model {model_name(model)} takes a fold, as a learner's function does, but it is no learner"
            raise SettingsError(problem, where, "@autotune.learner above it")
        from autotune.learners.module import ModuleLearner

        return ModuleLearner(name, model)  # type: ignore[return-value]  # as above
    raise SettingsError(f"model is {model!r}, which has no fit and cannot be called", where, "an estimator")


def find_models(space: Any, model: Any, default_space: Any, problems: Problems) -> tuple[Space, dict[str, Any]]:
    """Find out which space is meant, and which of its learners are people's own models.

    Parameters
    ----------
    space, model : object
        The settings of these names.
    default_space : object
        What `space` is when nobody gave one: then a model has no parameters.
    problems : callable
        ``problems(space, learners)`` returns what is wrong with a space beside what it knows itself.

    Returns
    -------
    tuple of Space and dict
        The space, and the models by the names of their learners. A parameter whose default is but what its range says
        without one (the middle, the first option) begins at the model's own value, where the range admits it.

    Raises
    ------
    SettingsError
        When it is not clear which learner of the space the model is.
    """
    loaded: dict[str, Any] = {}

    def models_of(found: Space) -> dict[str, Any]:
        own = {} if model is None else {_meant(found, model): model}
        return {name: _loaded(each, _place(found, name), loaded) for name, each in found.models.items()} | own

    def check(found: Space) -> list[Any]:
        return problems(found, find_learners(found, models_of(found)))

    if model is not None:
        model = _loaded(model, "model", loaded)
        if isinstance(space, str) and space == default_space:
            declared = getattr(model, "space", None)
            space = {} if declared is None else declared
        if isinstance(space, Mapping) and is_flat(space):
            name = model_name(model)
            found = Space({name: space}, name=name, checked=False)
            raise_all([*found.problems(), *check(found)])
            return _at_own_values(found.replaced(), {name: model}, check), {name: model}
    if isinstance(space, Mapping) and is_flat(space) and isinstance(space.get(MODEL), str):
        hint = f"model={space[MODEL]!r} beside the space, or {{'my_model': {{'model': {space[MODEL]!r}, ...}}}}"
        raise SettingsError("a model is named outside of a learner's table", "space", hint)
    found = find_space(space, check)
    models = models_of(found)
    return _at_own_values(found, models, check), models


def _at_own_values(space: Space, models: Mapping[str, Any], check: Callable[[Space], list[Any]]) -> Space:
    """Return a space that begins at the models as they are given, or as it is where these values are not allowed."""
    learners = find_learners(space, models)
    tables = {
        name: {key: _beginning_at(each, key, parameter_defaults(learners[name])) for key, each in table.items()}
        if name in models
        else table
        for name, table in space.learners.items()
    }
    if tables == space.learners:
        return space
    found = space.replaced(learners=tables, checked=False)
    return space if found.problems() or check(found) else found.replaced()


def _beginning_at(parameter: Parameter, key: str, own: Mapping[str, Any]) -> Parameter:
    if not isinstance(parameter, (Float, Int, Choice)) or getattr(parameter, "fidelity", False) or key not in own:
        return parameter
    says_no_other = same_value(parameter.default, replace(parameter, default=UNSET).default)
    return replace(parameter, default=own[key]) if says_no_other and parameter.admits(own[key]) else parameter


def own_space(model: Any) -> Space:
    """Return the space that a model brings along, or one without parameters.

    Examples
    --------
    >>> list(own_space("sklearn.svm:SVC").learners)
    ['svc']
    """
    model = load_model(model, "model") if isinstance(model, str) else model
    declared = getattr(model, "space", None) or {}
    return (
        Space({model_name(model): declared})
        if isinstance(declared, Mapping) and is_flat(declared)
        else find_space(declared)
    )


def find_learners(space: Space, models: Mapping[str, Any]) -> dict[str, Learner[Any]]:
    """Return the learners of a space that exist, and the baseline, which is always there.

    Parameters
    ----------
    space : Space
        The space.
    models : mapping of str to object
        Which of its learners are people's own models.
    """
    learners = {"baseline": find_learner("baseline")}
    for name in space.learners:
        if name in models:
            where = _place(space, name) if name in space.models else "model"
            learners[name] = custom_learner(name, models[name], where)
        elif name in LEARNERS:
            learners[name] = find_learner(name)
    return learners


def model_name(model: Any) -> str:
    """Return what a learner is called whose model nobody named.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn.linear_model import SGDClassifier
    >>> model_name(make_pipeline(StandardScaler(), SGDClassifier()))
    'sgd_classifier'
    """
    if all(hasattr(model, attribute) for attribute in NEEDED):
        return str(model.name)
    while hasattr(model, "steps") and model.steps:
        model = model.steps[-1][1]
    model = model.func if isinstance(model, partial) else model
    name = model.__name__ if hasattr(model, "__name__") else type(model).__name__
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower().strip("_")
    if not name.isidentifier():  # a lambda
        return "model"
    return f"{name}_model" if name in LEARNERS else name


def _takes_a_fold(function: Callable[..., Any]) -> bool:
    try:
        return next(iter(inspect.signature(function).parameters), None) == "fold"
    except ValueError:  # written in C
        return False


def _meant(space: Space, model: Any) -> str:
    """Return the one learner of a space that is not there without the model."""
    own = [name for name in space.learners if name not in LEARNERS and name not in space.models]
    if len(own) == 1:
        return own[0]
    if not own and space.models:
        named = ", ".join(f"[{name}]" for name in space.models)
        problem = f"space {space.name!r} names its models itself, in {named}"
        raise SettingsError(problem, "model", "leave the model out, or the line from the space")
    found = f"{', '.join(own)} could all be" if own else f"none of {', '.join(space.learners)} is"
    hint = f"one table that is named after it, such as [{model_name(model)}]"
    raise SettingsError(f"it is not clear which learner of space {space.name!r} is the model: {found}", "model", hint)


def _loaded(model: Any, where: str, loaded: dict[str, Any]) -> Any:
    """Return what a text names, imported once."""
    if not isinstance(model, str):
        return model
    if model not in loaded:
        loaded[model] = load_model(model, where)
    return loaded[model]


def _place(space: Space, name: str) -> str:
    return space.place(name, "model")


def is_flat(space: Mapping[str, Any]) -> bool:
    """Return whether a mapping holds parameters, rather than learners that hold parameters."""
    return not any(
        key in TOP or (isinstance(entry, Mapping) and not set(entry) & set(EXTRAS)) for key, entry in space.items()
    )
