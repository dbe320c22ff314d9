"""The scikit-learn door: AutoTuneClassifier and AutoTuneRegressor."""

from __future__ import annotations

import time as clock
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d, validate_data

from autotune.api import tune_with
from autotune.errors import SettingsError
from autotune.registry import unknown_name
from autotune.settings import DEFAULTS, DOOR_DEFAULTS, NAMES, make_settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DOOR = DOOR_DEFAULTS["estimator"]
_WITH_FIT = ("groups", "time", "sample_weight")
"""Settings of one value a row, which may also be given to ``fit``."""


class _AutoTune(BaseEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """What both estimators share: settings in, a tuned model out."""

    _task: str

    def __init__(
        self,
        *,
        task: Any = DEFAULTS.task,
        metric: Any = DEFAULTS.metric,
        space: Any = DEFAULTS.space,
        model: Any = DEFAULTS.model,
        n_trials: int | None = DEFAULTS.n_trials,
        timeout: Any = DEFAULTS.timeout,
        cv: Any = DEFAULTS.cv,
        test_size: Any = _DOOR["test_size"],
        sampler: Any = DEFAULTS.sampler,
        pruner: Any = DEFAULTS.pruner,
        trial_timeout: Any = DEFAULTS.trial_timeout,
        memory_limit: Any = DEFAULTS.memory_limit,
        patience: int | None = DEFAULTS.patience,
        target_score: float | None = DEFAULTS.target_score,
        min_gain: float | None = DEFAULTS.min_gain,
        n_jobs: int = DEFAULTS.n_jobs,
        deterministic: bool = DEFAULTS.deterministic,
        storage: Any = DEFAULTS.storage,
        study_name: str | None = DEFAULTS.study_name,
        from_study: str | None = DEFAULTS.from_study,
        random_state: Any = DEFAULTS.random_state,
        groups: Any = DEFAULTS.groups,
        time: Any = DEFAULTS.time,
        positive: Any = DEFAULTS.positive,
        sample_weight: Any = DEFAULTS.sample_weight,
        ensemble: int | None = DEFAULTS.ensemble,
        refit: str = DEFAULTS.refit,
        device: str | None = DEFAULTS.device,
        progress: bool | None = _DOOR["progress"],
    ) -> None:
        given = locals()
        for name in NAMES:  # scikit-learn's convention: each argument is an attribute, as it came
            setattr(self, name, given[name])

    def fit(self, X: Any, y: Any, **params: Any) -> Any:
        """Search, and keep the retrained winner.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_columns)
            The features; a frame may hold texts, categories and dates.
        y : array-like of shape (n_rows,)
            The target.
        **params
            ``groups``, ``time`` and ``sample_weight``: one value a row.

        Returns
        -------
        self
            Fitted: ``report_``, ``best_params_``, ``best_score_``, ``n_features_in_``.

        Raises
        ------
        AutotuneError
            When anything is wrong with the data or the settings: before any training.
        """
        started = clock.time()
        for name in params:
            if name not in _WITH_FIT:
                raise unknown_name("parameter of fit", name, _WITH_FIT)
        X, y = self._checked(X, y)
        given = {**self.get_params(deep=False), **params}
        given["task"] = self._task_of(given["task"])
        if isinstance(given["random_state"], np.random.RandomState):
            given["random_state"] = int(check_random_state(given["random_state"]).randint(2**31 - 1))
        settings = make_settings("estimator", **given)
        self.report_ = tune_with(settings, X, y, target=None, started=started, lone_rows=True)
        self.best_params_ = self.report_.best_params
        self.best_score_ = self.report_.best_score
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict with the retrained winner.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_columns)
            As for `fit`, with the same columns in the same order.

        Returns
        -------
        ndarray, shape (n_rows,)
        """
        check_is_fitted(self)
        return self.report_.predict(self._features(X))

    def _checked(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Check as scikit-learn's conventions ask, and remember number and names of the features."""
        if not hasattr(X, "columns"):
            X, y = validate_data(self, X, y, dtype=None, ensure_all_finite=False, y_numeric=False, multi_output=True)
        elif y is None:
            validate_data(self, X, y, skip_check_array=True)  # raises in scikit-learn's words
        else:
            validate_data(self, X, skip_check_array=True)
            check_consistent_length(X, y)
        return X, column_or_1d(y, warn=True, dtype=None)

    def _features(self, X: Any) -> Any:
        if hasattr(X, "columns"):
            validate_data(self, X, reset=False, skip_check_array=True)
            return X
        X = validate_data(self, X, reset=False, dtype=None, ensure_all_finite=False)
        if not hasattr(self, "feature_names_in_"):
            return X
        import pandas as pd

        return pd.DataFrame(X, columns=self.feature_names_in_)

    def _task_of(self, task: Any) -> Any:
        regression = self._task == "regression"
        if task is not None and (task == "regression") != regression:
            raise SettingsError(f"task={task!r} is not what {type(self).__name__} learns", "task", "leave task out")
        return self._task if task is None else task

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.non_deterministic = self.random_state is None
        return tags


class AutoTuneClassifier(ClassifierMixin, _AutoTune):  # type: ignore[misc]  # as above
    """A classifier that tunes itself, by scikit-learn's conventions.

    Parameters
    ----------
    task, metric, space, model, n_trials, timeout, cv, test_size, sampler, pruner, \
trial_timeout, memory_limit, patience, target_score, min_gain, n_jobs, deterministic, storage, study_name, \
from_study, random_state, groups, time, positive, sample_weight, ensemble, refit, device, progress
        The settings; `autotune.settings.Settings` says what each means. No test rows are set aside by default, since
        whoever fits an estimator holds them.

    Attributes
    ----------
    report_ : Report
        What the search found out.
    classes_ : ndarray, shape (n_classes,)
        The classes as they came.
    best_params_ : dict
        The best configuration.
    best_score_ : float
        Its cross-validation score, optimistic.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> AutoTuneClassifier(space="linear", n_trials=2, random_state=0).fit(X, y).score(X, y) > 0.9
    True
    """

    _task = "classification"

    def fit(self, X: Any, y: Any, **params: Any) -> Any:
        """Search, and keep the retrained winner.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_columns)
            The features; a frame may hold texts, categories and dates.
        y : array-like of shape (n_rows,)
            The classes.
        **params
            ``groups``, ``time`` and ``sample_weight``: one value a row.

        Returns
        -------
        self
        """
        super().fit(X, y, **params)
        self.classes_ = self.report_.model.classes
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Predict the probabilities of the classes.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_columns)
            As for `fit`.

        Returns
        -------
        ndarray, shape (n_rows, n_classes)
            In the order of ``classes_``.
        """
        check_is_fitted(self)
        return self.report_.predict_proba(self._features(X))

    def _checked(self, X: Any, y: Any) -> tuple[Any, Any]:
        X, y = super()._checked(X, y)
        check_classification_targets(y)
        return X, y


class AutoTuneRegressor(RegressorMixin, _AutoTune):  # type: ignore[misc]  # as above
    """A regressor that tunes itself, by scikit-learn's conventions.

    Parameters
    ----------
    task, metric, space, model, n_trials, timeout, cv, test_size, sampler, pruner, \
trial_timeout, memory_limit, patience, target_score, min_gain, n_jobs, deterministic, storage, study_name, \
from_study, random_state, groups, time, positive, sample_weight, ensemble, refit, device, progress
        The settings; `autotune.settings.Settings` says what each means. No test rows are set aside by default, since
        whoever fits an estimator holds them.

    Attributes
    ----------
    report_ : Report
        What the search found out.
    best_params_ : dict
        The best configuration.
    best_score_ : float
        Its cross-validation score, optimistic.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> AutoTuneRegressor(space="linear", n_trials=2, random_state=0).fit(X, y).score(X, y) > 0.3
    True
    """

    _task = "regression"
