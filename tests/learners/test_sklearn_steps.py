"""Which estimators train in steps, and that steps are what one fit would have done."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import IncrementalPCA
from sklearn.ensemble import (
    BaggingRegressor,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Perceptron, SGDClassifier, SGDRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from autotune.learners.sklearn_steps import Stepping, advance, stepping_of

DRAWS = np.random.default_rng(0)
X = DRAWS.normal(size=(80, 4))
VALUES = X[:, 0] + X[:, 1] ** 2
CODES = np.digitize(VALUES, [1.0]).astype(np.int64)


@pytest.mark.parametrize(
    ("estimator", "parameter", "horizon", "size"),
    [
        (GradientBoostingClassifier(), "n_estimators", 100, 2),
        (RandomForestRegressor(n_estimators=120), "n_estimators", 120, 3),
        (BaggingRegressor(), "n_estimators", 10, 1),
        (HistGradientBoostingClassifier(), "max_iter", 100, 10),
        (SGDClassifier(), "max_iter", 1000, 1),
        (Perceptron(max_iter=30), "max_iter", 30, 1),
        (MLPClassifier(), "max_iter", 200, 1),
        (make_pipeline(StandardScaler(), SGDClassifier(max_iter=5)), "sgdclassifier__max_iter", 5, 1),
    ],
)
def test_what_trains_in_steps(estimator: Any, parameter: str, horizon: int, size: int) -> None:
    stepping = stepping_of(estimator)
    assert stepping is not None
    assert (stepping.parameter, stepping.horizon, stepping.size) == (parameter, horizon, size)
    assert stepping.ends[-1] == horizon and (len(stepping.ends) <= 50 or not stepping.by_warm_start)


@pytest.mark.parametrize(
    "estimator",
    [
        SVC(),
        GaussianNB(),  # learns rows twice when it sees them twice
        LogisticRegression(warm_start=True),
        MLPClassifier(solver="lbfgs"),
        MLPClassifier(early_stopping=True),
        SGDClassifier(early_stopping=True),
        SGDClassifier(class_weight="balanced"),
        HistGradientBoostingClassifier(early_stopping=True),
        GradientBoostingClassifier(n_iter_no_change=5),
        RandomForestClassifier(class_weight="balanced"),
        RandomForestClassifier(oob_score=True),
        GradientBoostingClassifier(n_estimators=1),
        make_pipeline(IncrementalPCA()),
        make_pipeline(SGDClassifier(), "passthrough"),
    ],
)
def test_what_trains_in_one_go(estimator: Any) -> None:
    assert stepping_of(estimator) is None


def test_an_outlier_forest_is_stepped_by_nobody_who_asks_for_classes() -> None:
    assert stepping_of(IsolationForest()) is not None  # the learner refuses it by its task


def test_low_rates_are_worth_less() -> None:
    assert stepping_of(GradientBoostingClassifier(learning_rate=0.01)).rate == 0.01  # type: ignore[union-attr]
    assert stepping_of(MLPClassifier()).rate == 1.0  # type: ignore[union-attr]


def test_steps_end_at_the_horizon() -> None:
    assert Stepping("n_estimators", 7, True).ends == [1, 2, 3, 4, 5, 6, 7]
    assert Stepping("n_estimators", 75, True).ends[-2:] == [74, 75]
    assert Stepping("max_iter", 25, True, most_steps=10).ends == [3, 6, 9, 12, 15, 18, 21, 24, 25]


@pytest.mark.parametrize(
    "estimator",
    [
        GradientBoostingRegressor(n_estimators=12, random_state=0),
        RandomForestRegressor(n_estimators=12, random_state=0),
        ExtraTreesRegressor(n_estimators=12, random_state=0),
        BaggingRegressor(n_estimators=12, random_state=0),
        HistGradientBoostingRegressor(max_iter=12, random_state=0),
    ],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_growing_in_steps_is_growing_at_once(estimator: Any, weighted: bool) -> None:
    weight = DRAWS.uniform(0.5, 2, 80) if weighted else None
    whole, estimator = clone(estimator).fit(X, VALUES, sample_weight=weight), clone(estimator)
    stepping = stepping_of(estimator)
    assert stepping is not None
    assert list(advance(estimator, stepping, X, VALUES, weight, 0)) == list(range(1, len(stepping.ends) + 1))
    np.testing.assert_allclose(estimator.predict(X), whole.predict(X))


def test_each_epoch_sees_every_row_once_in_an_order_of_its_own() -> None:
    class Counter(SGDRegressor):  # type: ignore[misc]
        def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
            seen.append(X[:, 0].copy())
            np.testing.assert_array_equal(sample_weight, y)
            return super().partial_fit(X, y, sample_weight)

    seen: list[Any] = []
    estimator = Counter(max_iter=3)
    positive = np.abs(VALUES)
    stepping = stepping_of(estimator)
    assert stepping is not None
    assert list(advance(estimator, stepping, X, positive, positive, 5)) == [1, 2, 3]
    assert len(seen) == 3 and not np.array_equal(seen[0], seen[1])
    for rows in seen:
        np.testing.assert_array_equal(np.sort(rows), np.sort(X[:, 0]))
    assert estimator.t_ == 1 + 3 * 80


def test_a_network_is_the_same_for_the_same_seed() -> None:
    def trained(seed: int) -> Any:
        estimator = MLPClassifier((5,), max_iter=4, batch_size=16, random_state=0)
        stepping = stepping_of(estimator)
        assert stepping is not None
        for _ in advance(estimator, stepping, X, CODES, None, seed):
            pass
        return estimator.predict_proba(X)

    np.testing.assert_array_equal(trained(1), trained(1))
    assert not np.array_equal(trained(1), trained(2))
