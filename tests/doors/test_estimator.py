from __future__ import annotations

from sklearn.utils.estimator_checks import parametrize_with_checks

from autotune import AutoTuneClassifier, AutoTuneRegressor


@parametrize_with_checks(
    [
        AutoTuneClassifier(space="linear", n_trials=2, cv=2, random_state=0),
        AutoTuneRegressor(space="linear", n_trials=2, cv=2, random_state=0),
    ]
)
def test_scikit_learn_conventions(estimator, check):
    check(estimator)
