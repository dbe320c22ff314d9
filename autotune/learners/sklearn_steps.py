"""Which estimators train in steps, and how: by ``warm_start`` or by ``partial_fit``."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_STEPS = 50
"""Steps of what grows by ``warm_start``, up to the horizon: each costs a prediction on the validation rows."""

MOST_STEPS_BINNED = 10
"""Steps of histogram boosting, whose warm start bins all rows anew: 100 rounds on 20,000 × 30 values took 1.2 s in one
go, 3.1 s in 10 steps and 14 s in 50."""

FIRST_EPOCHS = 3.0
"""Epochs of ``partial_fit`` before the earliest comparison."""

PATIENT_EPOCHS = 16
"""Epochs of ``partial_fit`` without a better mean score after which a curve ends."""

PATIENCE = 0.3
"""Steps without a better mean score after which a curve ends, as a share of all steps."""

FIRST_RUNG = 0.1
"""The earliest comparison before any trial has finished, as a share of the horizon that the model was given with."""


@dataclass(frozen=True, slots=True)
class Stepping:
    """How an estimator trains in steps.

    Attributes
    ----------
    parameter : str
        The parameter that says how far, with the step of a pipeline: ``"gradientboostingclassifier__n_estimators"``.
    horizon : int
        Its value.
    by_warm_start : bool
        True where ``warm_start`` adds trees, False where ``partial_fit`` does an epoch.
    rate : float
        The learning rate where it is a number, so that low rates are compared after as much learning; 1 otherwise.
    most_steps : int
        The horizon is cut into at most so many.
    """

    parameter: str
    horizon: int
    by_warm_start: bool
    rate: float = 1.0
    most_steps: int = MOST_STEPS

    @property
    def size(self) -> int:
        """Trees or epochs of a step."""
        return math.ceil(self.horizon / self.most_steps)

    @property
    def patience(self) -> int:
        """Steps without a better mean score after which a curve ends."""
        return math.ceil(PATIENCE * len(self.ends)) if self.by_warm_start else PATIENT_EPOCHS

    @property
    def ends(self) -> list[int]:
        """Trees or epochs after each step."""
        return [min(end, self.horizon) for end in range(self.size, self.horizon + self.size, self.size)]


def stepping_of(estimator: Any) -> Stepping | None:
    """Return how an estimator, or the last step of a pipeline, trains in steps; None for one that trains in one go.

    Repeated ``partial_fit`` is epochs only where a parameter ``max_iter`` counts them. What stops early by itself
    trains in one go.

    Examples
    --------
    >>> from sklearn.ensemble import GradientBoostingClassifier
    >>> from sklearn.naive_bayes import GaussianNB
    >>> stepping_of(GradientBoostingClassifier(n_estimators=200))
    Stepping(parameter='n_estimators', horizon=200, by_warm_start=True, rate=0.1, most_steps=50)
    >>> stepping_of(GaussianNB())
    """
    prefix, final = last_step(estimator)
    if not hasattr(final, "get_params") or not hasattr(final, "predict"):
        return None
    params = final.get_params(deep=False)
    if params.get("early_stopping") is True:
        return None
    parameter, by_warm_start = _counted_by(final, params)
    horizon = params.get(parameter)
    if not isinstance(horizon, (int, np.integer)) or horizon < 2:
        return None
    rate = params.get("learning_rate")
    rate = float(rate) if isinstance(rate, (int, float)) else 1.0
    most_steps = MOST_STEPS_BINNED if _is_binned(final) else MOST_STEPS
    if not by_warm_start:
        most_steps = int(horizon)  # epochs are steps: the horizon is far beyond where most of them end
    return Stepping(prefix + parameter, int(horizon), by_warm_start, rate, most_steps)


def last_step(estimator: Any) -> tuple[str, Any]:
    """Return the last step of a pipeline and what its parameters' names begin with; an estimator itself and ""."""
    if not hasattr(estimator, "steps"):
        return "", estimator
    name, final = estimator.steps[-1]
    return f"{name}__", final


def advance(
    estimator: Any,
    stepping: Stepping,
    X: Any,
    y: NDArray[Any],
    weight: NDArray[np.float64] | None,
    seed: int,
) -> Iterator[int]:
    """Train an estimator in place and yield the number of each step.

    Parameters
    ----------
    estimator : estimator
        Not fitted.
    stepping : Stepping
        Its own; only the parameter's last part counts.
    X, y, weight
        Rows, class codes 0 … or values, and weights where the estimator takes them.
    seed : int
        Orders the rows of each epoch.
    """
    if stepping.by_warm_start:
        yield from _grow(estimator, stepping, X, y, weight)
    else:
        yield from _run_epochs(estimator, stepping, X, y, weight, seed)


def takes(method: Any, argument: str) -> bool:
    """Return whether a method such as ``fit`` has an argument of this name."""
    try:
        return argument in inspect.signature(method).parameters
    except (TypeError, ValueError):  # written in C
        return False


def without_convergence_warnings(method: Any, *arguments: Any, **words: Any) -> Any:
    """Call a method; a solver that stops at its last iteration has a usable model, which the score judges."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return method(*arguments, **words)


def _counted_by(final: Any, params: dict[str, Any]) -> tuple[str, bool]:
    """Return the parameter that counts steps, and whether warm starts make them; "" where nothing does."""
    if _is_binned(final):
        return "max_iter", True
    balanced = isinstance(params.get("class_weight"), str)  # needs all rows at once, and warns of warm starts
    if {"warm_start", "n_estimators"} <= params.keys():
        stops = params.get("n_iter_no_change") is not None or bool(params.get("oob_score"))
        return ("", True) if balanced or stops else ("n_estimators", True)
    if "max_iter" in params and hasattr(final, "partial_fit") and not balanced:
        return "max_iter", False
    return "", False


def _is_binned(final: Any) -> bool:
    return type(final).__name__.startswith("HistGradientBoosting")


def _grow(
    estimator: Any, stepping: Stepping, X: Any, y: NDArray[Any], weight: NDArray[np.float64] | None
) -> Iterator[int]:
    words = {} if weight is None else {"sample_weight": weight}
    own_stop = {"early_stopping": False} if "early_stopping" in estimator.get_params(deep=False) else {}
    estimator.set_params(warm_start=True, **own_stop)
    parameter = stepping.parameter.rpartition("__")[2]
    for number, end in enumerate(stepping.ends, start=1):
        estimator.set_params(**{parameter: end})
        without_convergence_warnings(estimator.fit, X, y, **words)
        yield number


def _run_epochs(
    estimator: Any, stepping: Stepping, X: Any, y: NDArray[Any], weight: NDArray[np.float64] | None, seed: int
) -> Iterator[int]:
    draws = np.random.default_rng(seed)
    shuffled = estimator.get_params(deep=False).get("shuffle") is not False
    words: dict[str, Any] = {"classes": np.unique(y)} if takes(estimator.partial_fit, "classes") else {}
    done = 0
    for number, end in enumerate(stepping.ends, start=1):
        for _ in range(end - done):
            order = draws.permutation(len(y)) if shuffled else np.arange(len(y))
            if weight is not None:
                words["sample_weight"] = weight[order]
            rows = X.iloc[order] if hasattr(X, "iloc") else X[order]
            without_convergence_warnings(estimator.partial_fit, rows, y[order], **words)
        done = end
        yield number
