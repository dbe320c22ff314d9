"""Functions of a fold as learners."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.linear_model import LogisticRegression, Ridge

import autotune
from autotune.errors import NoSuccessfulTrialError, PlugInError, RefitError, SettingsError
from autotune.learners.function import Fold, FunctionLearner
from autotune.learners.protocol import Resources
from autotune.testing import check_learner, made_members


def matrix(X: pd.DataFrame) -> Any:
    return X.select_dtypes("number").fillna(0.0).to_numpy()


@autotune.learner(space={"alpha": autotune.Float(1e-3, 1e3, log=True)}, tasks=["regression"])
def ridge(fold: Fold, params: dict[str, Any]) -> Any:
    model = Ridge(**params).fit(matrix(fold.X), fold.y, fold.weight)
    return lambda X: model.predict(matrix(X))


@autotune.learner
def descent(fold: Fold, params: dict[str, Any]) -> Iterator[Any]:
    """Logistic regression by gradient descent; it yields a function each time."""
    X = matrix(fold.X)
    mean, spread = X.mean(axis=0), X.std(axis=0) + 1e-9
    weights = np.zeros((X.shape[1] + 1, fold.n_classes))
    inputs = np.column_stack([(X - mean) / spread, np.ones(len(X))])
    target = np.eye(fold.n_classes)[fold.y]

    def predictor(weights: Any) -> Any:
        def predict(table: pd.DataFrame) -> Any:
            inputs = np.column_stack([(matrix(table) - mean) / spread, np.ones(len(table))])
            scores = np.exp(inputs @ weights)
            return scores / scores.sum(axis=1, keepdims=True)

        return predict

    for _ in range(int(params.get("steps", 20))):
        guess = np.exp(inputs @ weights)
        guess /= guess.sum(axis=1, keepdims=True)
        weights = weights - params.get("rate", 0.5) * inputs.T @ (guess - target) / len(X)
        yield predictor(weights)


def test_a_function_keeps_the_contract_of_learners() -> None:
    check_learner(ridge)
    check_learner(
        FunctionLearner(descent.function, "descent", tasks=frozenset({"binary", "multiclass"})),  # type: ignore[arg-type]
    )


def test_a_function_that_yields_is_tuned_pruned_retrained_and_saved(tmp_path: Path) -> None:
    frame = load_breast_cancer(as_frame=True).frame
    space = {"rate": autotune.Float(1e-3, 3.0, log=True), "steps": autotune.Int(1, 30, fidelity=True)}
    report = autotune.tune(frame, target="target", model=descent, space=space, n_trials=10, n_jobs=2, random_state=0)
    assert report.test_score is not None and report.test_score.value > 0.97
    assert {record.state for record in report.records} == {"complete", "pruned"}
    assert report.best_params["learner"] == "descent" and report.best_params["steps"] == 30
    report.save(tmp_path / "mine.model")
    again = autotune.load(tmp_path / "mine.model").predict_proba(frame)
    assert np.array_equal(again, report.predict_proba(frame))


SCRIPT = """
import autotune, numpy as np
from sklearn.datasets import load_diabetes

@autotune.learner(tasks=["regression"])
def level(fold, params):
    centre = fold.y.mean()
    return lambda X: np.full(len(X), centre)

autotune.tune(load_diabetes(as_frame=True).frame, target="target", model=level, n_trials=1, n_jobs=2).save("mine.model")
"""


def test_a_function_of_a_script_travels_to_workers_and_loads_without_it(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", SCRIPT], cwd=tmp_path, check=True, capture_output=True)
    predicted = autotune.load(tmp_path / "mine.model").predict(load_diabetes(as_frame=True).frame)
    assert len(set(predicted)) == 1 and 140 < predicted[0] < 165


def test_its_own_space_is_used_when_nobody_gives_another_one() -> None:
    frame = load_diabetes(as_frame=True).frame
    report = autotune.tune(frame, target="target", model=ridge, n_trials=4, random_state=0)
    assert set(report.best_params) == {"learner", "alpha"} and len(report.records) == 4
    other = autotune.tune(frame, target="target", model=ridge, space={"alpha": 2.0}, n_trials=4, random_state=0)
    assert other.best_params["alpha"] == 2.0 and len(other.records) == 1


def test_a_model_with_predict_proba_or_predict_is_as_good_as_a_function() -> None:
    @autotune.learner(tasks=["multiclass"])
    def logistic(fold: Fold, params: dict[str, Any]) -> Any:
        return LogisticRegression(max_iter=500).fit(fold.X, fold.y)

    frame = load_iris(as_frame=True).frame
    report = autotune.tune(frame, target="target", model=logistic, n_trials=1, random_state=0)
    assert report.test_score is not None and report.test_score.value < 0.4
    members = made_members("multiclass")

    class Labels:
        def predict(self, X: pd.DataFrame) -> Any:
            return np.full(len(X), 2)

    only = FunctionLearner(lambda fold, params: Labels(), "labels")
    (step,) = list(only.train(members[:1], {}, seed=0, resources=Resources()))
    assert step.predictions()[0].tolist() == [[0.0, 0.0, 1.0]] * 40


def test_one_column_of_probabilities_is_the_second_class() -> None:
    half = FunctionLearner(lambda fold, params: lambda X: np.full(len(X), 0.25), "half")
    (step,) = list(half.train(made_members("binary")[:1], {}, seed=0, resources=Resources()))
    assert step.predictions()[0].tolist() == [[0.75, 0.25]] * 40
    model = pickle.loads(pickle.dumps(step.models()[0]))
    assert model.predict(made_members("binary")[0].rows).shape == (120, 2)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (0.5, "gave 0.5, which cannot predict"),
        (lambda X: np.zeros((len(X), 5)), r"predictions have shape \(40, 5\)"),
        (lambda X: np.zeros(3), r"predictions have shape \(3,\)"),
        (lambda X: np.full((len(X), 3), 3.0), r"a row is \(3, 3, 3\), and sums to 9"),
        (lambda X: np.full((len(X), 3), [-1.0, 0.5, 1.5]), "predictions are no probabilities"),
        (SimpleNamespace(predict=lambda X: np.full(len(X), -1)), "a predicted class is -1"),
        (SimpleNamespace(predict=lambda X: np.full(len(X), "yes")), "a predicted class is 'yes'"),
    ],
)
def test_what_cannot_predict_says_so(given: Any, said: str) -> None:
    wrong = FunctionLearner(lambda fold, params: given, "wrong")
    with pytest.raises(PlugInError, match=said):
        next(wrong.train(made_members("multiclass")[:1], {}, seed=0, resources=Resources())).predictions()


def test_a_function_that_yields_scores_is_sent_to_optimize() -> None:
    @autotune.learner
    def scores(fold: Fold, params: dict[str, Any]) -> Iterator[float]:
        yield 0.5

    with pytest.raises(NoSuccessfulTrialError, match=r"autotune\.optimize"):
        autotune.tune(load_iris(as_frame=True).frame, target="target", model=scores, n_trials=1)


def test_the_fold_is_a_copy_of_its_own() -> None:
    seen = []

    def greedy(fold: Fold, params: dict[str, Any]) -> Any:
        seen.append(fold.X.iloc[0, 0])
        fold.X.iloc[:, 0] = 7.0
        fold.y[:] = 0
        fold.weight *= 0.0
        return lambda X: np.zeros(len(X))

    spoiler = FunctionLearner(greedy, "greedy")
    members = made_members("regression", weighted=True)[:1]
    for _ in range(2):
        list(spoiler.train(members, {}, seed=0, resources=Resources()))
    assert seen[0] == seen[1] != 7.0 and members[0].y.any()
    assert members[0].weight is not None and members[0].weight.all()


def test_a_decorator_needs_a_function_and_leaves_it_callable() -> None:
    with pytest.raises(SettingsError, match="cannot be called"):
        autotune.learner(3)
    assert autotune.learner(lambda fold, params: (fold, params))(1, 2) == (1, 2)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        ({"tasks": "regression"}, "tasks='regression' is no list of tasks", 'tasks=["regression"]'),
        ({"tasks": []}, r"tasks=\[\] is no list of tasks", 'tasks=["regression"]'),
        ({"tasks": ["regresion"]}, "no task named 'regresion'", "regression"),
        ({"patience": -1}, "patience=-1 is not a whole number of at least 1", None),
    ],
)
def test_the_decorator_checks_what_it_is_given(words: dict[str, Any], said: str, hint: str | None) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        autotune.learner(**words)(lambda fold, params: None)
    assert caught.value.hint == hint


def test_folds_that_end_earlier_wait_for_the_others_with_their_last_model() -> None:
    def unequal(fold: Fold, params: dict[str, Any]) -> Iterator[Any]:
        for step in range(1, 3 + fold.seed):
            yield lambda X, step=step: np.full(len(X), float(step))

    steps = list(
        FunctionLearner(unequal, "unequal").train(made_members("regression"), {}, seed=0, resources=Resources())
    )
    assert len(steps) == 3 and all(step.advanced == (0, 1) for step in steps)
    assert [float(p[0]) for p in steps[-1].predictions()] == [2.0, 3.0]


def test_a_function_that_yields_nothing_says_so() -> None:
    def empty(fold: Fold, params: dict[str, Any]) -> Iterator[Any]:
        yield from ()

    with pytest.raises(PlugInError, match="without yielding a model"):
        list(FunctionLearner(empty, "empty").train(made_members("regression"), {}, seed=0, resources=Resources()))


def test_a_refit_that_raises_names_the_study_and_keeps_it(tmp_path: Path) -> None:
    @autotune.learner(tasks=["regression"])
    def needy(fold: Fold, params: dict[str, Any]) -> Any:
        assert fold.X_validation is not None, "where are they?"
        return lambda X: np.zeros(len(X))

    words: dict[str, Any] = {
        "target": "target",
        "model": needy,
        "storage": str(tmp_path / "s.db"),
        "study_name": "mine",
    }
    with pytest.raises(RefitError, match=r"(?s)where are they\?.*study 'mine'"):
        autotune.tune(load_diabetes(as_frame=True).frame, n_trials=1, **words)
    assert len(optuna.load_study(study_name="mine", storage=f"sqlite:///{tmp_path / 's.db'}").trials) == 1
