"""Values that an estimator takes, and what is set without asking."""

from __future__ import annotations

import re
from typing import Any

import pytest
from sklearn.base import BaseEstimator
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler
from sklearn.svm import SVC

from autotune.errors import SettingsError
from autotune.learners.protocol import Resources
from autotune.learners.sklearn_learner import SklearnLearner
from autotune.learners.sklearn_params import (
    SklearnParams,
    check_values,
    misspelled,
    named_parameters,
    open_to_any,
    readied,
)

PIPELINE = make_pipeline(QuantileTransformer(), RandomForestClassifier(), memory=None)


def test_seeds_and_threads_go_where_the_model_leaves_them_open() -> None:
    params = readied(PIPELINE, 2**31 + 5, Resources(threads=3)).get_params()
    assert params["quantiletransformer__random_state"] == params["randomforestclassifier__random_state"] == 5
    assert params["randomforestclassifier__n_jobs"] == 3
    assert PIPELINE.get_params()["randomforestclassifier__n_jobs"] is None


def test_what_the_model_says_stays() -> None:
    forest = readied(RandomForestClassifier(random_state=1, n_jobs=1), 7, Resources(threads=3))
    assert (forest.random_state, forest.n_jobs) == (1, 1)


@pytest.mark.parametrize("estimator", [BaggingClassifier(), LogisticRegression()])
def test_no_processes_are_started_for_threads(estimator: Any) -> None:
    assert readied(estimator, 0, Resources(threads=3)).n_jobs is None


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"svc__C": -1.0}, "svc__C=-1.0 is not a float in the range (0.0, inf]"),
        ({"svc__kernel": 3}, "svc__kernel=3 is not a str among"),
        ({"svc__nothing": 3}, "Invalid parameter 'nothing'"),
    ],
)
def test_wrong_values(values: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(said)):
        check_values(make_pipeline(StandardScaler(), SVC()), values, "learner 'svc'")


def test_right_values() -> None:
    check_values(make_pipeline(StandardScaler(), SVC()), {"svc__C": 2, "standardscaler": "passthrough"}, "")


def test_parameters_do_not_touch_the_model() -> None:
    svc = SVC(C=3.0)
    assert SklearnParams({"C": 5.0}).applied_to(svc).C == 5.0 and svc.C == 3.0


class Sparing(BaseEstimator):  # type: ignore[misc]
    """Says only what has been set, as CatBoost's estimators do."""

    def __init__(self, depth: Any = None, rounds: Any = None) -> None:
        self.depth, self.rounds = depth, rounds

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if value is not None}


def test_parameters_that_an_estimator_says_only_once_they_are_set_can_be_set() -> None:
    assert named_parameters(Sparing(depth=3)) == ("depth", "rounds")
    assert "sparing__rounds" in named_parameters(make_pipeline(Sparing()))
    assert not open_to_any(make_pipeline(Sparing(), StandardScaler()))


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("max_dpeth", "max_depth"),
        ("num_leavess", "num_leaves"),
        ("lambda_l1", None),
        ("max_depth", None),
        ("gbm__max_depth", None),
    ],
)
def test_a_name_that_is_almost_a_known_one_is_a_misspelled_one(key: str, meant: str | None) -> None:
    assert misspelled(key, ("max_depth", "num_leaves", "reg_lambda", "eta")) == meant


def test_an_estimator_that_takes_any_keyword_refuses_misspelled_ones() -> None:
    lightgbm = pytest.importorskip("lightgbm")
    learner = SklearnLearner("gbm", make_pipeline(lightgbm.LGBMClassifier()))
    learner.Params(lgbmclassifier__bagging_fraction=0.5)
    with pytest.raises(SettingsError, match="named 'lgbmclassifier__num_leavess'") as caught:
        learner.Params(lgbmclassifier__num_leavess=3)
    assert caught.value.hint == "lgbmclassifier__num_leaves"
