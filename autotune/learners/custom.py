"""A person's own model as a learner: scikit-learn estimators, functions that make torch modules, learners."""

from __future__ import annotations

import hashlib
import re
import site
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache, partial
from pathlib import Path
from types import CodeType
from typing import Any

from autotune.errors import SettingsError, raise_all
from autotune.learners import LEARNERS, find_learner
from autotune.learners.loading import load_model
from autotune.learners.plug_ins import NEEDED
from autotune.learners.protocol import Learner
from autotune.spaces.catalog import find_space
from autotune.spaces.document import EXTRAS, TOP
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
        learner: Learner[Any] = _made(model, where) if isinstance(model, type) else model
        return learner
    if hasattr(model, "fit"):
        from autotune.learners.sklearn_learner import SklearnLearner

        estimator = _made(model, where) if isinstance(model, type) else model
        return SklearnLearner(name, estimator)  # type: ignore[return-value]  # its attributes are the instance's own
    if callable(model):
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
        The space, and the models by the names of their learners.

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
            return found.replaced(), {name: model}
    found = find_space(space, check)
    return found, models_of(found)


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


def describe_model(model: Any) -> str:
    """Return what tells a model from another one: equal for the same source and settings in another process.

    Examples
    --------
    >>> from sklearn.svm import SVC
    >>> describe_model(SVC) == describe_model(SVC()) != describe_model(SVC(C=2))
    True
    """
    if isinstance(model, type) and hasattr(model, "get_params"):
        model = _made(model, "model")
    made = hashlib.blake2b("\n".join(_makings(model)).encode(), digest_size=8).hexdigest()
    return f"{_path(model if hasattr(model, '__qualname__') else type(model))} {made}"


def _meant(space: Space, model: Any) -> str:
    """Return the one learner of a space that is not there without the model."""
    own = [name for name in space.learners if name not in LEARNERS and name not in space.models]
    if len(own) == 1:
        return own[0]
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


def _made(model: type[Any], where: str) -> Any:
    try:
        return model()
    except TypeError as error:
        raise SettingsError(
            f"{model.__qualname__} cannot be made without arguments: {error}", where, "an instance of it"
        ) from None


def _makings(thing: Any, seen: set[int] | None = None) -> Iterator[str]:
    """Yield what something is made of, without addresses and without line numbers."""
    seen = set() if seen is None else seen
    if isinstance(thing, type) or hasattr(thing, "__code__"):
        if id(thing) in seen:  # methods hold their class, functions may call themselves
            return
        seen.add(id(thing))
    if isinstance(thing, partial):
        yield from _makings((thing.func, thing.args, thing.keywords), seen)
    elif isinstance(thing, Mapping):
        for key in sorted(thing, key=repr):
            yield repr(key)
            yield from _makings(thing[key], seen)
    elif isinstance(thing, (list, tuple)):
        for each in thing:
            yield from _makings(each, seen)
    elif isinstance(thing, (set, frozenset)):
        yield from sorted(line for each in thing for line in _makings(each, seen))
    elif isinstance(thing, CodeType):
        yield f"{thing.co_code.hex()} {thing.co_names}"
        yield from _makings(thing.co_consts, seen)
    elif isinstance(thing, type):
        yield _path(thing)
        if _is_own(thing):
            yield from _makings({key: each for key, each in vars(thing).items() if hasattr(each, "__code__")}, seen)
    elif hasattr(thing, "__code__"):
        yield _path(thing)
        closed = [cell.cell_contents for cell in thing.__closure__ or ()]
        yield from _makings([thing.__code__, thing.__defaults__, thing.__kwdefaults__ or {}, closed], seen)
        for name, used in _globals_of(thing):
            yield name
            yield from _makings(used, seen)
    elif is_dataclass(thing):  # a learner that is made of a function, whose repr is but an address
        parts = {each.name: getattr(thing, each.name) for each in fields(thing) if each.name != "space"}
        yield from _makings([type(thing), parts], seen)
    elif hasattr(thing, "get_params"):
        yield from _makings([type(thing), thing.get_params(deep=False)], seen)
    else:
        yield f"{type(thing).__qualname__} {_plain(thing)}"


def _globals_of(function: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a function uses of its own file: functions, classes and plain constants."""
    codes = [function.__code__]
    for code in codes:
        codes += [each for each in code.co_consts if isinstance(each, CodeType)]
    for name in sorted({name for code in codes for name in code.co_names} & set(function.__globals__)):
        used = function.__globals__[name]
        beside = getattr(used, "__module__", None) == function.__module__ and hasattr(used, "__qualname__")
        if beside or isinstance(used, (bool, int, float, str, tuple)):
            yield name, used


def _path(thing: Any) -> str:
    return str(thing.__qualname__) if _is_own(thing) else f"{thing.__module__}.{thing.__qualname__}"


def _is_own(thing: Any) -> bool:
    """Return whether a class or function comes from a script, a notebook or a file, where people edit."""
    import cloudpickle

    name = thing.__module__
    if name == "__main__" or name in cloudpickle.list_registry_pickle_by_value():
        return True
    if name.partition(".")[0] == "autotune":
        return False
    file = getattr(sys.modules.get(name), "__file__", None)
    return file is not None and not any(Path(file).is_relative_to(folder) for folder in _installed())


@cache
def _installed() -> frozenset[Path]:
    """Return the folders that packages are installed to, which nobody edits."""
    paths = sysconfig.get_paths()
    of_python = (paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    return frozenset(Path(folder) for folder in (*of_python, *site.getsitepackages(), site.getusersitepackages()))


def _plain(thing: Any) -> str:
    if hasattr(thing, "tobytes") and hasattr(thing, "shape"):  # an array, whose repr is cut short
        return f"{thing.shape} {hashlib.blake2b(thing.tobytes(), digest_size=8).hexdigest()}"
    return re.sub(r" at 0x[0-9a-f]+", "", repr(thing))
