"""What of a space only its learners know to be wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import autotune
from autotune.errors import SpaceError
from autotune.learners import find_learner
from autotune.learners.custom import find_models
from autotune.learners.declared import parameter_names, space_problems
from autotune.learners.sklearn_learner import SklearnLearner
from autotune.spaces.params import Choice, Derived, Float, Int
from autotune.spaces.space import Space


def problems(parameters: dict[str, Any], learner: Any, kind: str = "binary") -> list[str]:
    space = Space({learner.name: parameters})
    found = space_problems(space, {learner.name: learner}, kind)
    return [f"{problem.problem}; {problem.hint}" if problem.hint else problem.problem for problem in found]


def test_a_formula_that_the_learner_refuses_is_named_with_the_default_that_it_was_computed_from() -> None:
    knn = find_learner("knn")
    formula = {"_a": Int(-3, 3, default=-1), "n_neighbors": Derived("_a * 2")}
    hint = "change the formula, or what it is computed from in the defaults and the starts"
    refused = "n_neighbors=-2 is not a whole number of at least 1; the formula gives it"
    assert problems(formula, knn) == [f"{refused}; {hint}"]
    assert problems(formula | {"_a": Int(-3, 3, default=1)}, knn) == []


def test_trials_are_not_spent_on_computed_values_that_the_learner_refuses() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    space = {"knn": {"_a": Int(-9, 3, default=1), "n_neighbors": Derived("_a * 2")}}
    report = autotune.tune(X, X[:, 0] + rng.normal(size=60), task="regression", space=space, n_trials=9, random_state=0)
    assert {record.state for record in report.records} <= {"complete", "pruned"}
    assert {record.config.params["n_neighbors"] for record in report.records if record.config} == {2, 4, 6}
    assert len(report.records) == 3 and "all 3 configurations" in report.notes[-1]


PIPELINE = SklearnLearner("mine", make_pipeline(StandardScaler(), SVC()))


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"svc__gama": 1.0}, ["no parameter of learner 'mine' named 'svc__gama'; svc__gamma"]),
        ({"C": 1.0}, ["no parameter of learner 'mine' named 'C'; svc__C"]),
        ({"svc__C": Float(-1.0, 1.0)}, ["svc__C=-1.0 is not a float in the range (0.0, inf]"]),
        ({"svc__degree": 2.5}, ["svc__degree=2.5 is not an int in the range [0, inf)"]),
        (
            {"svc__kernel": Choice(("rbf", "ply"))},
            ["svc__kernel='ply' is not a str among 'linear', 'poly', 'precomputed', 'rbf', 'sigmoid' or a callable"],
        ),
        ({"svc__C": 1.0, "standardscaler__with_mean": Choice((True, False))}, []),
        ({"standardscaler": Choice((None, "passthrough"))}, []),
    ],
)
def test_parameters_of_an_estimator_go_the_way_of_those_of_a_dataclass(
    parameters: dict[str, Any], said: list[str]
) -> None:
    assert problems(parameters, PIPELINE) == said


def test_what_has_no_parameters_to_set_says_how_it_could() -> None:
    class Own:
        def fit(self, X: Any, y: Any) -> Own:
            return self

        def predict(self, X: Any) -> Any:
            return X

    said, *_ = problems({"depth": Int(1, 3)}, SklearnLearner("own", Own()))
    assert said == "depth cannot be set: Own has no get_params and set_params; class Own(sklearn.base.BaseEstimator)"


def test_all_problems_come_together() -> None:
    assert len(problems({"CC": 1, "C": Float(-1.0, 1.0), "penalty": "l3"}, find_learner("linear"))) == 3
    assert len(problems({"C": 1, "svc__C": 0, "svc__kernel": 3}, PIPELINE)) == 3


def test_a_learner_says_which_tasks_it_learns() -> None:
    assert problems({}, PIPELINE, "regression") == [
        "learner 'mine' does not learn regression tasks; "
        'it learns binary and multiclass: task="classification" if that is meant'
    ]
    assert problems({}, SklearnLearner("ridge", Ridge()), "multiclass") == [
        "learner 'ridge' does not learn multiclass tasks; it learns regression: task=\"regression\" if that is meant"
    ]


def test_a_learner_that_is_not_there_is_told_the_nearest() -> None:
    (problem,) = space_problems(Space({"lightgbn": {}}), {}, "binary")
    assert (problem.problem, problem.hint) == ("no learner named 'lightgbn'", "lightgbm")
    (problem,) = space_problems(Space({"my_own_thing": {}}), {}, "binary")
    assert 'for a model of your own: model = "module:attribute" in [my_own_thing], or --model' in str(problem)


def test_a_fidelity_is_what_the_learner_is_stepped_by() -> None:
    boosting = SklearnLearner("gb", GradientBoostingClassifier())
    assert problems({"n_estimators": Int(1, 50, fidelity=True)}, boosting) == []
    assert problems({"max_depth": Int(1, 5, fidelity=True)}, boosting) == [
        "max_depth is no fidelity: learner 'gb' trains in steps of n_estimators; "
        "leave fidelity out, or give it to n_estimators"
    ]
    assert problems({"svc__max_iter": Int(1, 5, fidelity=True)}, PIPELINE) == [
        "svc__max_iter is no fidelity: learner 'mine' trains in one go; leave fidelity out"
    ]


def test_what_takes_any_keyword_names_no_parameters() -> None:
    class Open:
        def __init__(self, **words: Any) -> None:
            self.words = words

        def fit(self, X: Any, y: Any) -> Open:
            return self

        def predict(self, X: Any) -> Any:
            return X

        def get_params(self, deep: bool = True) -> dict[str, Any]:
            return dict(self.words)

        def set_params(self, **words: Any) -> Open:
            self.words |= words
            return self

    learner: Any = SklearnLearner("open", Open())
    assert parameter_names(learner) is None
    assert problems({"anything": 3}, learner) == []


@pytest.mark.parametrize("formula", ["1 / (layers - layers)", "import os", "layers * kernel"])
def test_a_formula_that_is_wrong_in_itself_is_said_by_the_space_alone(tmp_path: Path, formula: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(f'version = 1\n[mlp]\nlearning_rate = {{ derived = "{formula}" }}\nlayers = {{ int = [1, 3] }}\n')
    with pytest.raises(SpaceError, match=r"wrong\.toml:3:\d+ mlp\.learning_rate"):
        find_models(str(path), None, "automl", lambda space, learners: list(space_problems(space, learners, "binary")))


def test_an_optional_learner_is_tuned_and_its_version_recorded() -> None:
    pytest.importorskip("xgboost")
    X = np.random.default_rng(0).normal(size=(60, 2))
    rounds = {"xgboost": {"max_rounds": Int(1, 5, fidelity=True)}}
    report = autotune.tune(X, X[:, 0], space=rounds, n_trials=1, random_state=0)
    assert any(name.startswith("xgboost") for name in report.versions)
