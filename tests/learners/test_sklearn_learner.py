"""An estimator as a learner: one fit is scikit-learn's own, steps are replayed, models stand alone."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    IsolationForest,
    StackingClassifier,
)
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.metaestimators import available_if

import autotune
from autotune.data.task import Column, Problem, Rows, Schema
from autotune.errors import PlugInError, SettingsError
from autotune.learners.protocol import Member, Resources
from autotune.learners.sklearn_learner import SklearnLearner

DRAWS = np.random.default_rng(0)
X = DRAWS.normal(size=(90, 3))
SIGNAL = X[:, 0] + 0.5 * X[:, 1]
CODES = {2: (SIGNAL > 0).astype(np.int64), 3: np.digitize(SIGNAL, [-0.5, 0.5]).astype(np.int64)}
SCHEMA = Schema(tuple(Column(name, "numeric") for name in "abc"))
ROWS = Rows(X, np.empty((90, 0), dtype=np.int32))
RESOURCES = Resources()


def member(y: Any = None, n_classes: int = 2, weight: Any = None, validation: bool = True) -> Member:
    kind: Any = {0: "regression", 2: "binary", 3: "multiclass"}[n_classes]
    y = (CODES[n_classes] if n_classes else SIGNAL) if y is None else y
    return Member(Problem(kind, n_classes, SCHEMA), ROWS, y, weight, ROWS if validation else None)


def steps(estimator: Any, *members: Member, seed: int = 3, **params: Any) -> list[tuple[int, Any, Any]]:
    learner = SklearnLearner("mine", estimator)
    taken = learner.train(members, learner.Params(**params), seed=seed, resources=RESOURCES)
    return [(step.number, step.predictions()[0], step.models()[0]) for step in taken]


def test_one_fit_is_scikit_learn_s_own() -> None:
    ((number, predictions, model),) = steps(LogisticRegression(C=0.5), member())
    assert number == 1
    np.testing.assert_allclose(predictions, LogisticRegression(C=0.5).fit(X, CODES[2]).predict_proba(X))
    np.testing.assert_array_equal(model.predict(ROWS), predictions)
    ((_, values, _),) = steps(Ridge(), member(n_classes=0), alpha=2.0)
    np.testing.assert_allclose(values, Ridge(alpha=2.0).fit(X, SIGNAL).predict(X))


def test_weights_reach_the_last_step() -> None:
    weight = np.where(X[:, 2] > 0, 1.0, 0.0)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    ((_, predictions, _),) = steps(pipeline, member(weight=weight))
    alone = make_pipeline(StandardScaler(), LogisticRegression()).fit(
        X, CODES[2], logisticregression__sample_weight=weight
    )
    np.testing.assert_allclose(predictions, alone.predict_proba(X))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_decisions_become_probabilities(n_classes: int) -> None:
    ((_, predictions, _),) = steps(LinearSVC(random_state=0), member(n_classes=n_classes))
    decision = LinearSVC(random_state=0).fit(X, CODES[n_classes]).decision_function(X)
    expected = softmax(decision, axis=1) if n_classes == 3 else np.column_stack([expit(-decision), expit(decision)])
    np.testing.assert_allclose(predictions, expected)


def test_decisions_between_pairs_are_no_probabilities() -> None:
    ((_, predictions, _),) = steps(SVC(decision_function_shape="ovo"), member(n_classes=3))
    np.testing.assert_array_equal(predictions.argmax(axis=1), SVC().fit(X, CODES[3]).predict(X))
    assert set(np.unique(predictions)) == {0.0, 1.0}


@pytest.mark.parametrize(
    "estimator", [GaussianNB(), SGDClassifier(max_iter=3), GradientBoostingClassifier(n_estimators=3)]
)
def test_classes_that_training_rows_lack_have_no_probability(estimator: Any) -> None:
    y = np.where(CODES[3] == 1, 2, CODES[3])
    predictions = steps(estimator, member(y, 3))[-1][1]
    assert predictions.shape == (90, 3) and (predictions[:, 1] == 0).all()
    only = steps(estimator, member(np.full(90, 2), 3))[-1][1]
    np.testing.assert_array_equal(only, np.tile([0.0, 0.0, 1.0], (90, 1)))


def test_the_refit_replays_the_steps() -> None:
    for estimator in (
        GradientBoostingRegressor(n_estimators=9, subsample=0.5),
        HistGradientBoostingRegressor(max_iter=9),
    ):
        curve = steps(estimator, member(n_classes=0))
        learner = SklearnLearner("mine", estimator)
        refit = learner.train([member(n_classes=0, validation=False)], learner.Params(), seed=3, resources=RESOURCES)
        for (number, predictions, _), step in zip(curve[:4], refit, strict=False):
            assert step.number == number
            np.testing.assert_array_equal(step.models()[0].predict(ROWS), predictions)


def test_a_model_stays_as_it_was_when_training_goes_on() -> None:
    taken = steps(make_pipeline(StandardScaler(), SGDClassifier(loss="log_loss", max_iter=5)), member())
    assert [number for number, _, _ in taken] == [1, 2, 3, 4, 5]
    for _, predictions, model in taken:
        np.testing.assert_allclose(model.predict(ROWS), predictions)
    assert not np.allclose(taken[0][1], taken[-1][1])


def test_the_steps_before_are_fitted_once_a_trial() -> None:
    fits = []

    class Scaler(StandardScaler):  # type: ignore[misc]
        def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
            fits.append(len(X))
            return super().fit(X, y)

    steps(make_pipeline(Scaler(), SGDClassifier(max_iter=6)), member(), member())
    assert fits == [90, 90]


def test_what_a_transformer_does_to_its_rows_does_not_stay() -> None:
    def spoil(X: Any) -> Any:
        X *= 0
        return X

    one = member()
    steps(make_pipeline(FunctionTransformer(spoil), DecisionTreeClassifier()), one)
    ((_, predictions, _),) = steps(LogisticRegression(), one)
    np.testing.assert_allclose(predictions, LogisticRegression().fit(X, CODES[2]).predict_proba(X))


def test_folds_have_seeds_of_their_own() -> None:
    learner = SklearnLearner("mine", GradientBoostingClassifier(n_estimators=4, subsample=0.5))
    (*_, last) = learner.train([member(), member()], learner.Params(), seed=0, resources=RESOURCES)
    first, second = last.predictions()
    assert not np.allclose(first, second)


def test_pace() -> None:
    learner = SklearnLearner("mine", GradientBoostingClassifier(n_estimators=200, learning_rate=0.1))
    pace = learner.pace(learner.Params(learning_rate=0.01))
    assert pace is not None
    assert (pace.worth, pace.first_rung, pace.patience) == (pytest.approx(0.04), pytest.approx(2.0), 15)
    assert SklearnLearner("mine", SVC()).pace(learner.Params()) is None
    mixed = SklearnLearner("mine", SGDClassifier())
    assert mixed.pace(mixed.Params(class_weight="balanced")) is None and mixed.pace(mixed.Params()) is not None


def test_tasks() -> None:
    def tasks(estimator: Any) -> set[str]:
        return set(SklearnLearner("mine", estimator).tasks)

    assert tasks(make_pipeline(SVC())) == tasks(StackingClassifier([("a", GaussianNB())])) == {"binary", "multiclass"}
    assert tasks(Ridge()) == {"regression"}
    assert tasks(Silent()) == {"binary", "multiclass", "regression"}


class Silent:
    """Says nothing of itself."""

    def fit(self, X: Any, y: Any) -> Silent:
        self.value = float(np.mean(y))
        return self

    def predict(self, X: Any) -> Any:
        return np.full((len(X), 1), self.value)


def test_what_is_no_estimator_of_scikit_learn_s_will_do() -> None:
    ((_, predictions, _),) = steps(Silent(), member(n_classes=0))
    np.testing.assert_allclose(predictions, SIGNAL.mean())
    with pytest.raises(SettingsError, match="width cannot be set: Silent has no get_params and set_params") as caught:
        SklearnLearner("mine", Silent()).Params(width=3)
    assert caught.value.hint == "class Silent(sklearn.base.BaseEstimator)"


class Answers(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    def __init__(self, probabilities: Any = None, classes: Any = None) -> None:
        self.probabilities, self.classes = probabilities, classes

    def fit(self, X: Any, y: Any) -> Answers:
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.classes)

    @available_if(lambda self: self.probabilities is not None)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Any:
        return np.tile(self.probabilities, (len(X), 1))


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (Answers([0.2, 0.3, 0.5]), "predictions have shape (90, 3)"),
        (Answers([-3.0, 5.0]), "predictions are no probabilities: a row is (-3, 5), and sums to 2"),
        (Answers([3.0, 3.0]), "a row is (3, 3), and sums to 6"),
        (Answers(["a", "b"]), "predictions are no numbers"),
        (Answers(classes="yes"), "a predicted class is 'yes', but y holds codes 0 … 1"),
        (Answers(classes=2), "a predicted class is 2"),
        (Answers(classes=-1), "a predicted class is -1"),
        (Answers(classes=0.5), "a predicted class is 0.5"),
    ],
)
def test_what_is_no_prediction_is_said(answers: Any, said: str) -> None:
    with pytest.raises(PlugInError, match=re.escape(said)):
        steps(answers, member())


def test_probabilities_of_single_precision_and_classes_as_floats_will_do() -> None:
    third = np.full(3, 1 / 3, dtype=np.float32)
    ((_, shares, _),) = steps(Answers(third), member(n_classes=3))
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-12)
    ((_, shares, _),) = steps(Answers(classes=1.0), member())
    assert shares[0].tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("model", "what"), [(KMeans(3), "KMeans (clusterer)"), (make_pipeline(IsolationForest()), "(outlier detector)")]
)
def test_what_learns_no_target_is_refused(model: Any, what: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(f"{what} learns no target")):
        SklearnLearner("mine", model)


# ---- classes by their names ----


def named(*classes: Any) -> Member:
    kind: Any = "binary" if len(classes) == 2 else "multiclass"
    problem = Problem(kind, len(classes), SCHEMA, classes=classes)
    return Member(problem, ROWS, CODES[len(classes)], None, ROWS)


@pytest.mark.parametrize("classes", [("no", "yes"), (1, 0), (False, True), (1, 2, 3)])
def test_class_weights_are_those_of_the_classes_that_they_name(classes: tuple[Any, ...]) -> None:
    heavy = {label: 50.0 if label == classes[1] else 1.0 for label in classes}
    codes = CODES[len(classes)]
    expected = LogisticRegression(class_weight={0: 1.0, 1: 50.0, 2: 1.0}).fit(X, codes).predict_proba(X)
    for estimator in (
        LogisticRegression(class_weight=heavy),
        make_pipeline(LogisticRegression(class_weight=heavy)),
    ):
        ((_, predictions, _),) = steps(estimator, named(*classes))
        np.testing.assert_allclose(predictions, expected)


def test_a_class_weight_of_a_class_that_a_fold_lacks_waits() -> None:
    one = named("a", "b", "c")
    lacking = Member(one.problem, ROWS, np.where(CODES[3] == 0, 1, CODES[3]), None, ROWS)
    ((_, predictions, _),) = steps(LogisticRegression(class_weight={"a": 2.0, "b": 1.0, "c": 9.0}), lacking)
    y = np.where(CODES[3] == 2, 1, 0)
    alone = LogisticRegression(class_weight={0: 1.0, 1: 9.0}).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(predictions[:, 1:], alone)


def test_class_weights_of_no_class_are_found_before_anything_trains() -> None:
    learner = SklearnLearner("mine", make_pipeline(LogisticRegression(class_weight={"yes": 2, "maybe": 1})))
    said = "logisticregression__class_weight weighs class 'maybe', which the target does not hold"
    with pytest.raises(SettingsError, match=said) as caught:
        learner.check(named("no", "yes").problem)
    assert caught.value.hint == "'no', 'yes'"


def test_what_goes_by_the_order_of_the_classes_is_noted() -> None:
    learner = SklearnLearner("mine", GaussianNB(priors=[0.1, 0.9]))
    notes = learner.notes(named("yes", "no").problem, {}, weighted=False)
    assert "mine takes priors in the order of the classes: 'yes', 'no'" in notes


def test_class_weights_reach_a_run_in_the_labels_of_its_target() -> None:
    y = np.where(np.arange(90) % 3 == 0, "yes", "no")  # nothing to learn, so that the weights decide
    for positive in ("yes", "no"):
        model = LogisticRegression(class_weight={"yes": 50, "no": 1})
        report = autotune.tune(X, y, model=model, positive=positive, n_trials=1, random_state=0)
        assert (report.predict(X) == "yes").all()


def test_columns_that_are_not_there_are_found_before_anything_trains() -> None:
    schema = Schema((Column("size", "numeric"), Column("day", "datetime", parts=("month",))), dropped=("constant_one",))
    problem = Problem("binary", 2, schema)

    def check(*columns: str) -> None:
        parts = ColumnTransformer([("one", OneHotEncoder(), list(columns))])
        SklearnLearner("mine", make_pipeline(parts, SVC())).check(problem)

    check("size", "day.month")
    for column, said, hint in (
        ("siez", "no column named 'siez'", "size"),
        ("constant_one", "was left out", None),
        ("day", "holds dates, which come in parts", "day.month"),
    ):
        with pytest.raises(SettingsError, match=said) as caught:
            check(column)
        assert hint is None or caught.value.hint == hint


def by_type(*kinds: Any) -> Any:
    parts = [("numbers", "passthrough", make_column_selector(dtype_include="number"))]
    parts += [(str(kind), OneHotEncoder(), make_column_selector(dtype_include=kind)) for kind in kinds]
    return SklearnLearner("mine", make_pipeline(ColumnTransformer(parts), SVC()))


TOWNS = Schema((Column("size", "numeric"), Column("town", "categorical", levels=("Bonn", "Ulm"))))


@pytest.mark.parametrize("kind", [object, "str"])
def test_a_selector_that_picks_no_text_is_refused(kind: Any) -> None:
    with pytest.raises(SettingsError, match="the selector picks no column, and town would be dropped") as caught:
        by_type(kind).check(Problem("binary", 2, TOWNS))
    assert 'dtype_include="category"' in (caught.value.hint or "")
    by_type(kind).check(Problem("binary", 2, SCHEMA))  # where there is no text


def test_dropped_columns_are_noted() -> None:
    problem = Problem("binary", 2, TOWNS)

    def dropped(learner: SklearnLearner) -> list[str]:
        learner.check(problem)
        return [note for note in learner.notes(problem, {}, weighted=False) if "drops" in note]

    assert dropped(by_type()) == ["mine: its ColumnTransformer drops town"]
    assert dropped(by_type("category")) == []
    for columns in ([0, 1], slice(0, 2), slice("size", "town"), [True, True], lambda rows: rows.columns):
        parts = ColumnTransformer([("some", "passthrough", columns)])
        assert dropped(SklearnLearner("mine", make_pipeline(parts, SVC()))) == []
    parts = ColumnTransformer([("some", "passthrough", [0])], remainder="passthrough")
    assert dropped(SklearnLearner("mine", make_pipeline(parts, SVC()))) == []
    with pytest.raises(SettingsError, match=r"columns \[9\] are not there"):
        SklearnLearner("mine", make_pipeline(ColumnTransformer([("some", "drop", [9])]), SVC())).check(problem)


def test_notes() -> None:
    problem = Problem("binary", 2, SCHEMA)

    def notes(estimator: Any, weighted: bool = False) -> str:
        return "\n".join(SklearnLearner("mine", estimator).notes(problem, {}, weighted=weighted))

    assert "a squashed decision_function" in notes(SVC())
    assert "predict_proba" not in notes(LogisticRegression()) + notes(StackingClassifier([("a", GaussianNB())]))
    assert "in steps of 2 n_estimators" in notes(GradientBoostingClassifier())
    assert "takes no sample_weight" in notes(KNeighborsClassifier(), weighted=True)
    assert "sample_weight" not in notes(KNeighborsClassifier()) + notes(SVC(), weighted=True)


def test_a_model_of_a_script_loads_in_another_process(tmp_path: Path) -> None:
    script = (
        "import pickle, numpy as np\n"
        "from sklearn.base import BaseEstimator, RegressorMixin\n"
        "from autotune.data.task import Column, Problem, Rows, Schema\n"
        "from autotune.learners.protocol import Member, Resources\n"
        "from autotune.learners.sklearn_learner import SklearnLearner\n"
        "class Own(RegressorMixin, BaseEstimator):\n"
        "    def fit(self, X, y): self.mean_ = y.mean(); return self\n"
        "    def predict(self, X): return np.full(len(X), self.mean_)\n"
        "rows = Rows(np.arange(4.0)[:, None], np.empty((4, 0), dtype=np.int32))\n"
        "member = Member(Problem('regression', 0, Schema((Column('a', 'numeric'),))), rows, np.arange(4.0))\n"
        "learner = SklearnLearner('own', Own())\n"
        "(step,) = learner.train([member], learner.Params(), seed=0, resources=Resources())\n"
        "pickle.dump((step.models()[0], rows), open('own.pickle', 'wb'))\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    model, rows = pickle.loads((tmp_path / "own.pickle").read_bytes())
    np.testing.assert_array_equal(model.predict(rows), [1.5] * 4)
