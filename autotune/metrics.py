"""One table of metrics, and how a name, a function or a scorer becomes one.

A score that the answers alone leave undefined (one class for an area under a curve, constant values for r2) is NaN,
never an exception or a warning; where only the predictions leave it undefined, it is the worst that the metric can say
of them, as in scikit-learn. Each metric agrees with scikit-learn's function of that meaning.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import CodeType
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from autotune import scores
from autotune.data.task import ALL_TASKS, CLASSIFICATION, TaskKind
from autotune.errors import PlugInError, SettingsError, UnknownNameError
from autotune.registry import Registry

Array: TypeAlias = NDArray[Any]
Needs = Literal["probabilities", "labels", "values"]
Loss = Literal["log", "squared", "absolute", "quantile"]

REGRESSION: frozenset[TaskKind] = ALL_TASKS - CLASSIFICATION
BINARY: frozenset[TaskKind] = frozenset({"binary"})


@dataclass(frozen=True, slots=True)
class Metric:
    """A way to judge predictions.

    Attributes
    ----------
    name : str
        Its name in settings and reports.
    tasks : frozenset of str
        The kinds of task that it can judge.
    needs : {"probabilities", "labels", "values"}
        What `function` is given of the predictions.
    maximize : bool
        Whether larger is better.
    function : callable
        ``function(y, predictions, weight)`` returns the score; `weight` may be None.
    bounds : tuple of float
        The lowest and the highest score there can be.
    loss : {"log", "squared", "absolute", "quantile"}
        What training should make small, so that it fits this metric.
    quantile : float
        The quantile that is sought when the loss is ``"quantile"``.
    digest : str
        For a function from outside: what tells it from another one of the same name.

    Examples
    --------
    >>> print(METRICS["roc_auc"])
    roc_auc [0, 1] (maximize)
    >>> METRICS["rmse"].score(np.array([1.0, 2.0]), np.array([1.0, 4.0]), weight=np.array([3.0, 1.0]))
    1.0
    """

    name: str
    tasks: frozenset[TaskKind]
    needs: Needs
    maximize: bool
    function: Callable[[Array, Array, Array | None], float] = field(repr=False)
    bounds: tuple[float, float] = (0.0, 1.0)
    loss: Loss = "log"
    quantile: float = 0.5
    digest: str = ""

    def score(self, y: Array, predictions: Array, weight: Array | None = None) -> float:
        """Judge predictions.

        Parameters
        ----------
        y : ndarray, shape (n_rows,)
            Class codes 0 … n_classes - 1, or values.
        predictions : ndarray, shape (n_rows, n_classes) or (n_rows,)
            Probabilities of all classes, or values.
        weight : ndarray, shape (n_rows,), optional
            Sample weights, not negative.

        Returns
        -------
        float
            The score; NaN where it is undefined, and for predictions that are not finite.
        """
        predictions = np.asarray(predictions, dtype=np.float64)
        if weight is not None and not np.all(weight > 0):  # a row without weight is not there
            y, predictions, weight = y[weight > 0], predictions[weight > 0], weight[weight > 0]
        if len(y) == 0 or not np.isfinite(predictions).all():
            return float("nan")
        shown = _likeliest(predictions) if self.needs == "labels" else predictions
        with np.errstate(all="ignore"):
            return float(self.function(y, shown, weight))

    def __str__(self) -> str:
        low, high = self.bounds
        return f"{self.name} [{low:g}, {high:g}] ({'maximize' if self.maximize else 'minimize'})"


def _likeliest(probabilities: Array) -> Array:
    """Return the code of the likeliest class of each row, the first of equals."""
    if probabilities.shape[1] == 2:  # a tenth of the time
        return (probabilities[:, 1] > probabilities[:, 0]).astype(np.int64)
    return np.asarray(probabilities.argmax(axis=1))


def resolve_metric(metric: object, kind: TaskKind, classes: Array | None = None) -> Metric:
    """Turn what a person gave for a metric into a `Metric` that fits the task.

    Parameters
    ----------
    metric : None, str, Metric, callable or scorer
        None for the task's default; a name of `METRICS`, or ``"quantile_loss:0.9"``; a function ``f(y_true, y_pred)``,
        with ``sample_weight`` as a third argument if it can take one; or what ``sklearn.metrics.make_scorer`` returns.
        A function is given labels as they came, or values. Larger is better, except where its name ends in ``_error``,
        ``_loss`` or ``_deviance``, is that of a metric of ours which is minimized (``rmse``), or its attribute
        ``greater_is_better`` is false. With an attribute ``needs_proba =
        True`` it is given probabilities: of the positive class for a binary task, of all classes otherwise.
    kind : {"binary", "multiclass", "regression"}
        The kind of task.
    classes : ndarray, optional
        The classes as they came, in the order of the codes, for functions that are given labels.

    Returns
    -------
    Metric
        The metric.

    Raises
    ------
    UnknownNameError
        When no metric has that name.
    SettingsError
        When the metric does not fit the task, or is no metric at all.

    Examples
    --------
    >>> print(resolve_metric(None, "regression"))
    rmse [0, inf] (minimize)
    """
    if metric is None:
        return METRICS[DEFAULT_METRICS[kind]]
    if isinstance(metric, str):
        found = _by_name(metric)
    elif isinstance(metric, Metric):
        found = metric
    elif callable(metric):
        found = _from_callable(metric, kind, classes)
    else:
        raise SettingsError(
            f"metric is {metric!r}", where="metric", hint="a name such as 'rmse', or a function f(y_true, y_pred)"
        )
    if kind not in found.tasks:
        fitting = sorted(name for name in METRICS if kind in METRICS[name].tasks)
        fitting.sort(key=lambda name: not name.startswith(found.name))  # f1 on three classes: f1_macro comes first
        raise SettingsError(
            f"metric {found.name!r} does not fit a {kind} task", where="metric", hint=f"one of: {', '.join(fitting)}"
        )
    return found


def _by_name(name: str) -> Metric:
    if match := re.fullmatch(r"quantile_loss:(.+)", name):
        return _quantile_loss(name, match[1])
    if name not in METRICS and name.lower() in OTHER_NAMES:
        raise UnknownNameError(f"no metric named {name!r}", hint=OTHER_NAMES[name.lower()])
    return METRICS[name]


def _quantile_loss(name: str, text: str) -> Metric:
    try:
        quantile = float(text)
    except ValueError:
        quantile = float("nan")
    if not 0 < quantile < 1:
        raise SettingsError(f"the quantile of {name!r} is not between 0 and 1", "metric", "quantile_loss:0.9")
    return replace(
        METRICS["quantile_loss"], name=name, quantile=quantile, function=partial(scores.pinball, quantile=quantile)
    )


# ---- a function or a scorer from outside ----


@dataclass(frozen=True, slots=True)
class OutsideFunction:
    """A function ``f(y_true, y_pred)`` from outside, called with classes as they came.

    Attributes
    ----------
    function : callable
        The function; cloudpickle carries it to other processes.
    needs : {"probabilities", "labels", "values"}
        What it is given.
    classes : ndarray or None
        The classes in the order of the codes.
    weighted : bool
        Whether it takes ``sample_weight``; one that does not scores all rows alike.
    """

    function: Callable[..., Any]
    needs: Needs
    classes: Array | None
    weighted: bool

    def __call__(self, y: Array, predictions: Array, weight: Array | None) -> float:
        """Return the function's score."""
        if self.classes is not None and self.needs != "values":
            y = self.classes[y]
            predictions = self.classes[predictions] if self.needs == "labels" else predictions
        if self.needs == "probabilities" and predictions.shape[1] == 2:
            predictions = predictions[:, 1]
        extra = {"sample_weight": weight} if self.weighted and weight is not None else {}
        score = self.function(y, predictions, **extra)
        try:
            return float(score)
        except (TypeError, ValueError):
            raise PlugInError(
                f"metric {_name_of(self.function)!r} returned {type(score).__name__}, not a number", where="metric"
            ) from None


def _from_callable(metric: Callable[..., Any], kind: TaskKind, classes: Array | None) -> Metric:
    function, maximize, needs_probabilities = _take_apart(metric)
    name = _name_of(function)
    if name in SKLEARN_PROBABILITIES and function is metric and function.__module__.startswith("sklearn."):
        return METRICS[SKLEARN_PROBABILITIES[name]]  # the same score, and it stands classes that a fold lacks
    needs: Needs = "values" if kind == "regression" else "probabilities" if needs_probabilities else "labels"
    return Metric(
        name=name,
        tasks=frozenset({kind}),
        needs=needs,
        maximize=maximize,
        function=OutsideFunction(function, needs, classes, _takes_weight(function)),
        bounds=(-np.inf, np.inf),
        loss="squared" if kind == "regression" else "log",
        digest=hashlib.blake2b(repr(_makings(function)).encode(), digest_size=4).hexdigest(),
    )


def _take_apart(metric: Callable[..., Any]) -> tuple[Callable[..., Any], bool, bool]:
    """Return a function f(y_true, y_pred), whether larger is better, and whether it wants probabilities."""
    if hasattr(metric, "_score_func"):  # a scorer of scikit-learn, which keeps these three apart in private
        methods = np.atleast_1d(getattr(metric, "_response_method", "predict"))
        arguments: Mapping[str, Any] = getattr(metric, "_kwargs", {})
        function = partial(metric._score_func, **arguments) if arguments else metric._score_func
        return function, getattr(metric, "_sign", 1) > 0, "predict" not in methods
    name = _name_of(metric)
    larger = METRICS[name].maximize if name in METRICS else not name.endswith(("_error", "_loss", "_deviance"))
    wants = getattr(metric, "needs_proba", False) or getattr(metric, "needs", None) in ("proba", "probabilities")
    return metric, bool(getattr(metric, "greater_is_better", larger)), bool(wants)


def _makings(function: Any) -> Any:
    """Return what a function is made of, without addresses: equal for the same source in another process."""
    if isinstance(function, partial):
        return _makings(function.func), function.args, sorted(function.keywords.items())
    code = getattr(function, "__code__", None)
    if code is None:
        return f"{type(function).__module__}.{type(function).__qualname__}", _name_of(function)
    closed = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    return (
        _makings_of_code(code, function.__doc__),
        getattr(function, "__defaults__", None),
        [_name_of(each) if callable(each) else repr(each) for each in closed],
    )


def _makings_of_code(code: CodeType, docstring: str | None = None) -> Any:
    kept = [None if docstring is not None and each == docstring else each for each in code.co_consts]
    constants = [_makings_of_code(each) if isinstance(each, CodeType) else each for each in kept]
    return code.co_code, code.co_names, constants


def _name_of(function: Callable[..., Any]) -> str:
    inner = function.func if isinstance(function, partial) else function
    name = str(getattr(inner, "__name__", type(inner).__name__))
    return "custom" if name == "<lambda>" else name


def _takes_weight(function: Callable[..., Any]) -> bool:
    try:
        return "sample_weight" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # a function written in C says nothing of its arguments
        return False


# ---- the table ----

_signed: tuple[float, float] = (-1.0, 1.0)
_open: tuple[float, float] = (0.0, np.inf)
_probabilities = partial(Metric, tasks=CLASSIFICATION, needs="probabilities")
_labels = partial(Metric, tasks=CLASSIFICATION, needs="labels", maximize=True)
_values = partial(Metric, tasks=REGRESSION, needs="values", maximize=False, bounds=_open)

_TABLE: tuple[Metric, ...] = (
    _probabilities("roc_auc", maximize=True, function=scores.roc_auc),
    _probabilities("average_precision", maximize=True, function=scores.average_precision),
    _probabilities("log_loss", maximize=False, function=scores.log_loss, bounds=_open),
    _probabilities("brier", maximize=False, function=scores.brier, bounds=(0.0, 2.0)),
    _labels("accuracy", function=scores.accuracy),
    _labels("balanced_accuracy", function=scores.balanced_accuracy),
    _labels("f1", tasks=BINARY, function=scores.f1),
    _labels("f1_macro", function=scores.f1_macro),
    _labels("f1_weighted", function=scores.f1_weighted),
    _labels("f1_micro", function=scores.accuracy),  # with one label a row, the same thing
    _labels("precision", tasks=BINARY, function=scores.precision),
    _labels("recall", tasks=BINARY, function=scores.recall),
    _labels("mcc", function=scores.mcc, bounds=_signed),
    _labels("kappa", function=scores.kappa, bounds=_signed),
    _values("rmse", function=scores.rmse, loss="squared"),
    _values("mse", function=scores.mse, loss="squared"),
    _values("mae", function=scores.mae, loss="absolute"),
    _values("r2", function=scores.r2, loss="squared", maximize=True, bounds=(-np.inf, 1.0)),
    _values("mape", function=scores.mape, loss="absolute"),
    _values("median_absolute_error", function=scores.median_absolute_error, loss="absolute"),
    _values("rmsle", function=scores.rmsle, loss="squared"),
    _values("quantile_loss", function=scores.pinball, loss="quantile"),
)

METRICS: Registry[Metric] = Registry("metric", {metric.name: metric for metric in _TABLE})

DEFAULT_METRICS: Mapping[TaskKind, str] = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}

# scikit-learn's functions of probabilities, which it would not know to give them to without a scorer
SKLEARN_PROBABILITIES: Mapping[str, str] = {
    "roc_auc_score": "roc_auc",
    "average_precision_score": "average_precision",
    "log_loss": "log_loss",
    "brier_score_loss": "brier",
}

# what people type for them elsewhere: answered with a hint
OTHER_NAMES: Mapping[str, str] = {
    "auc": "roc_auc",
    "auroc": "roc_auc",
    "roc_auc_ovr": "roc_auc",
    "pr_auc": "average_precision",
    "auprc": "average_precision",
    "ap": "average_precision",
    "logloss": "log_loss",
    "neg_log_loss": "log_loss",
    "multi_logloss": "log_loss",
    "cross_entropy": "log_loss",
    "neg_brier_score": "brier",
    "acc": "accuracy",
    "error_rate": "accuracy",
    "bal_acc": "balanced_accuracy",
    "f1_score": "f1",
    "matthews_corrcoef": "mcc",
    "cohen_kappa": "kappa",
    "root_mean_squared_error": "rmse",
    "neg_root_mean_squared_error": "rmse",
    "mean_squared_error": "mse",
    "neg_mean_squared_error": "mse",
    "mean_absolute_error": "mae",
    "neg_mean_absolute_error": "mae",
    "l1": "mae",
    "l2": "mse",
    "r2_score": "r2",
    "neg_median_absolute_error": "median_absolute_error",
    "mean_absolute_percentage_error": "mape",
    "root_mean_squared_log_error": "rmsle",
    "pinball": "quantile_loss",
    "mean_pinball_loss": "quantile_loss",
    "quantile": "quantile_loss",
}
