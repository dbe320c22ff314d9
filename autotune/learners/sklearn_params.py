"""The parameters of an estimator of scikit-learn's kind: their names, their values, and what is set without asking."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from autotune.errors import SettingsError
from autotune.learners.protocol import Resources

SEEDS = 2**31
"""Every generator takes seeds below this."""

BY_LABEL = ("class_weight", "class_weights")
"""Parameters whose dictionaries name classes."""

BY_ORDER = ("priors", "class_prior", "scale_pos_weight", "class_weights")
"""Parameters whose values go by the order of the classes."""

TYPO = 0.8
"""How like a known parameter a name is that nobody means, where an estimator takes any (1 is equal, by difflib)."""


@dataclass(frozen=True, slots=True)
class SklearnParams:
    """The parameters of a configuration, by the names of ``get_params()``; all others keep the model's own values.

    Examples
    --------
    >>> from sklearn.svm import SVC
    >>> SklearnParams({"C": 10.0}).applied_to(SVC(kernel="poly"))
    SVC(C=10.0, kernel='poly')
    """

    values: Mapping[str, Any] = field(default_factory=dict)

    def applied_to(self, estimator: Any) -> Any:
        """Return a clone with these parameters."""
        fresh = cloned(estimator)
        return fresh.set_params(**deepcopy(dict(self.values))) if self.values else fresh


def has_parameters(estimator: Any) -> bool:
    """Return whether the parameters of something can be read and set, as scikit-learn's can."""
    return hasattr(estimator, "get_params") and hasattr(estimator, "set_params") and not isinstance(estimator, type)


def cloned(estimator: Any) -> Any:
    """Return an estimator of the same parameters, not fitted."""
    from sklearn.base import clone

    return clone(estimator) if has_parameters(estimator) else deepcopy(estimator)


def named_parameters(estimator: Any) -> tuple[str, ...]:
    """Return the names that ``set_params`` takes: what ``get_params`` says, and what constructors of its parts name.

    Some, as CatBoost's, say only what has been set.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.pipeline import make_pipeline
    >>> [name for name in named_parameters(make_pipeline(Ridge())) if "solver" in name]
    ['ridge__solver']
    """
    named = dict.fromkeys(estimator.get_params() if has_parameters(estimator) else ())
    for prefix, part in _parts(estimator):
        words = [each for each in _words(part) if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
        named |= dict.fromkeys(f"{prefix}{each.name}" for each in words)
    return tuple(named)


def open_to_any(estimator: Any) -> bool:
    """Return whether an estimator, or one of its parts, takes keywords beside those that it names."""
    return any(each.kind is each.VAR_KEYWORD for _, part in _parts(estimator) for each in _words(part))


def misspelled(key: str, names: Collection[str]) -> str | None:
    """Return the parameter of the same part that a name is almost, or None where it is one or like none.

    Examples
    --------
    >>> misspelled("gbm__max_dpeth", ["gbm__max_depth", "max_dpeth"])
    'gbm__max_depth'
    """
    if key in names:
        return None
    part, separator, name = key.rpartition("__")
    prefix = part + separator
    beside = [each.removeprefix(prefix) for each in names if each.startswith(prefix)]
    close = get_close_matches(name, beside, n=1, cutoff=TYPO)
    return prefix + close[0] if close else None


def check_values(estimator: Any, values: Mapping[str, Any], where: str) -> None:
    """Raise unless an estimator takes these values, as far as it says before ``fit``.

    Raises
    ------
    SettingsError
        In scikit-learn's words, without those that the place says.
    """
    try:
        set_up = SklearnParams(values).applied_to(estimator)
    except (ValueError, TypeError, AttributeError) as error:
        raise SettingsError(str(error).partition("\n")[0], where) from None
    for key, value in values.items():
        path, _, name = key.rpartition("__")
        owner = set_up.get_params().get(path) if path else set_up
        allowed = getattr(owner, "_parameter_constraints", {})
        if name in allowed:
            _check_value(key, name, value, allowed[name], where)


def readied(estimator: Any, seed: int, resources: Resources, labels: Sequence[Any] = ()) -> Any:
    """Return a clone with the trial's seed and threads wherever the model leaves them open, and weights by position.

    Parameters
    ----------
    estimator : estimator
        Its parameters ``random_state`` that are None get the seed, at any depth; ``n_jobs`` that are None the threads,
        where they are threads and not processes: not in what fits other estimators.
    seed : int
        The fold's seed.
    resources : Resources
        The trial's threads.
    labels : sequence
        The classes that ``class_weight`` names, in the order in which the estimator is given them as 0, 1, 2 ….

    Examples
    --------
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> readied(RandomForestClassifier(), 7, Resources(threads=2))
    RandomForestClassifier(n_jobs=2, random_state=7)
    """
    fresh = cloned(estimator)
    if not has_parameters(fresh):
        return fresh
    params = fresh.get_params()
    words: dict[str, Any] = {
        key: {position: weights[label] for position, label in enumerate(labels) if label in weights}
        for key, weights in weights_by_label(fresh).items()
    }
    for key, value in params.items():
        path, _, name = key.rpartition("__")
        if value is None and name == "random_state":
            words[key] = seed % SEEDS
        if value is None and name == "n_jobs" and _uses_threads(params.get(path) if path else fresh):
            words[key] = resources.threads
    return fresh.set_params(**words) if words else fresh


def weights_by_label(estimator: Any) -> dict[str, Mapping[Any, float]]:
    """Return the parameters, at any depth, that weigh classes by their names."""
    params = estimator.get_params() if has_parameters(estimator) else {}
    return {
        key: value
        for key, value in params.items()
        if key.rpartition("__")[2] in BY_LABEL and isinstance(value, Mapping)
    }


def check_class_weights(estimator: Any, classes: Sequence[Any], where: str) -> None:
    """Raise unless all that ``class_weight`` names are classes.

    Raises
    ------
    SettingsError
        With the classes that there are.
    """
    for key, weights in weights_by_label(estimator).items():
        for label in weights:
            if label not in classes:
                known = ", ".join(map(repr, classes))
                raise SettingsError(f"{key} weighs class {label!r}, which the target does not hold", where, known)


def order_notes(name: str, estimator: Any, classes: Sequence[Any]) -> list[str]:
    """Say in which order classes come where a parameter goes by it, a line for each."""
    params = estimator.get_params() if has_parameters(estimator) else {}
    going = [
        key
        for key, value in params.items()
        if key.rpartition("__")[2] in BY_ORDER and value is not None and not isinstance(value, Mapping)
    ]
    order = ", ".join(map(repr, classes))
    return [f"{name} takes {key} in the order of the classes: {order}" for key in going]


def _parts(estimator: Any) -> Iterator[tuple[str, Any]]:
    """Yield an estimator and the estimators in it, each with what its parameters' names begin with."""
    yield "", estimator
    for key, part in estimator.get_params().items() if has_parameters(estimator) else ():
        if has_parameters(part):
            yield f"{key}__", part


def _words(part: Any) -> list[inspect.Parameter]:
    """Return what the constructor of an estimator takes, where parameters can be set at all."""
    if not has_parameters(part) or type(part).__init__ is object.__init__:
        return []
    return list(inspect.signature(type(part).__init__).parameters.values())[1:]


def _uses_threads(owner: Any) -> bool:
    if not has_parameters(owner) or type(owner).__name__ == "LogisticRegression":  # warns that it uses none
        return False
    own = owner.get_params()
    return (
        not any(each in own for each in ("estimator", "estimators"))
        and not any("__" in each for each in own)
        and ("transformers" not in own and "transformer_list" not in own)
    )


def _check_value(key: str, name: str, value: Any, allowed: Any, where: str) -> None:
    from sklearn.utils._param_validation import InvalidParameterError, validate_parameter_constraints

    try:
        validate_parameter_constraints({name: allowed}, {name: value}, "it")
    except InvalidParameterError as error:
        found = re.search(r"must be (.*)\. Got ", str(error), re.DOTALL)
        law = re.sub(r"\{(.*?)\}", _in_order, found[1] if found else str(error))
        raise SettingsError(f"{key}={value!r} is not {law}", where) from None


def _in_order(words: re.Match[str]) -> str:
    """Return the words of a set in an order that is the same in every process."""
    return ", ".join(sorted(words[1].split(", ")))
