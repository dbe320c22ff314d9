"""The parameters of an estimator of scikit-learn's kind: their names, their values, and what is set without asking."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from autotune.errors import SettingsError
from autotune.learners.protocol import Resources

SEEDS = 2**31
"""Every generator takes seeds below this."""


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


def cloned(estimator: Any) -> Any:
    """Return an estimator of the same parameters, not fitted."""
    from sklearn.base import clone

    return clone(estimator) if hasattr(estimator, "get_params") else deepcopy(estimator)


def open_to_any(estimator: Any) -> bool:
    """Return whether an estimator, or one of its parts, takes keywords beside those that ``get_params`` names."""
    inner = estimator.get_params().values() if hasattr(estimator, "get_params") else ()
    parts = [part for part in (estimator, *inner) if hasattr(part, "set_params") and not isinstance(part, type)]
    kinds = [each.kind for part in parts for each in inspect.signature(type(part).__init__).parameters.values()]
    return inspect.Parameter.VAR_KEYWORD in kinds


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


def readied(estimator: Any, seed: int, resources: Resources) -> Any:
    """Return a clone with the trial's seed and threads, wherever the model leaves them open.

    Parameters
    ----------
    estimator : estimator
        Its parameters ``random_state`` that are None get the seed, at any depth; ``n_jobs`` that are None the threads,
        where they are threads and not processes: not in what fits other estimators.
    seed : int
        The fold's seed.
    resources : Resources
        The trial's threads.

    Examples
    --------
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> readied(RandomForestClassifier(), 7, Resources(threads=2))
    RandomForestClassifier(n_jobs=2, random_state=7)
    """
    fresh = cloned(estimator)
    if not hasattr(fresh, "get_params"):
        return fresh
    params = fresh.get_params()
    words: dict[str, Any] = {}
    for key, value in params.items():
        path, _, name = key.rpartition("__")
        if value is None and name == "random_state":
            words[key] = seed % SEEDS
        if value is None and name == "n_jobs" and _uses_threads(params.get(path) if path else fresh):
            words[key] = resources.threads
    return fresh.set_params(**words) if words else fresh


def _uses_threads(owner: Any) -> bool:
    if not hasattr(owner, "get_params") or type(owner).__name__ == "LogisticRegression":  # warns that it uses none
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
