"""Values that an estimator takes, and what is set without asking."""

from __future__ import annotations

import re
from typing import Any

import pytest
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler
from sklearn.svm import SVC

from autotune.errors import SettingsError
from autotune.learners.protocol import Resources
from autotune.learners.sklearn_params import SklearnParams, check_values, readied

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
