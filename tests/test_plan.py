"""Settings to a plan: every name resolved, every pairing checked, nothing trained."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import Ridge
from sklearn.metrics import fbeta_score, make_scorer
from sklearn.model_selection import KFold, PredefinedSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from autotune.data.tables import read_table
from autotune.errors import AutotuneError, DataError, SettingsError, SpaceError, StudyMismatchError, UnknownNameError
from autotune.plan import Plan, _describe_cv, make_plan
from autotune.settings import DEFAULTS, Settings, make_settings
from autotune.spaces.params import Choice, Float
from autotune.spaces.space import Space
from autotune.study.opening import open_study


def make_frame(n_rows: int = 100) -> pd.DataFrame:
    draws = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "size": draws.normal(size=n_rows),
            "zone": draws.choice(["n", "s", "w"], n_rows),
            "shop": np.repeat(np.arange(n_rows // 5), 5),
            "day": pd.date_range("2024-01-01", periods=n_rows),
            "empty": None,
            "weight": draws.uniform(0.5, 2, n_rows),
            "sold": draws.choice(["no", "yes"], n_rows),
            "price": draws.normal(size=n_rows),
        }
    )


FRAME = make_frame()


def plan_of(data: Any = FRAME, target: str = "sold", **words: Any) -> Plan:
    settings = make_settings("call", **{"random_state": 0, "space": "linear", **words})
    names = ("task", "groups", "time", "positive", "sample_weight")
    sides = {name: getattr(settings, name) for name in names}
    return make_plan(settings, read_table(data, target=target, **sides), started=time.time())


def test_the_defaults() -> None:
    plan = plan_of()
    assert (plan.metric.name, plan.table.kind, plan.n_trials, plan.n_jobs) == ("roc_auc", "binary", 50, 1)
    assert (len(plan.search), plan.test is not None and len(plan.test), len(plan.folds)) == (80, 20, 5)
    assert plan.deadline == float("inf")
    assert plan.seed == 0
    assert plan.space.first_configurations()[0].flat() == {
        "learner": "linear",
        "C": 1.0,
        "penalty": "l2",
        "class_weight": "none",
    }
    assert set(plan.versions) >= {"autotune-toolkit", "optuna", "numpy"}


def test_everything_decided_is_said() -> None:
    notes = plan_of().notes
    assert notes[0] == "the target holds text with 2 distinct values"
    assert any(note.startswith("empty, left out: 'empty'") for note in notes)
    assert any(note.startswith("column 'day': dates, read as") for note in notes)
    tiny = plan_of(FRAME.assign(sold=["yes"] * 4 + ["no"] * 96))
    assert any("folds instead of 5: class 'yes' has" in note for note in tiny.notes)


@pytest.mark.parametrize(
    ("words", "n_trials", "bounded"),
    [
        ({}, 50, False),
        ({"n_trials": 7}, 7, False),
        ({"timeout": "10m"}, None, True),
        ({"n_trials": 7, "timeout": 60}, 7, True),
        ({"n_trials": 0}, 0, False),
    ],
)
def test_budgets(words: dict[str, Any], n_trials: int | None, bounded: bool) -> None:
    settings = make_settings("call", space="linear", random_state=0, **words)
    plan = make_plan(settings, read_table(FRAME, target="sold"), started=1000.0)
    assert plan.n_trials == n_trials
    assert plan.deadline == (1000.0 + (settings.timeout or 0) if bounded else float("inf"))


def test_the_name_of_a_study_tells_tables_apart(tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "churn.csv", index=False)
    name = plan_of(tmp_path / "churn.csv").study_name
    assert re.fullmatch(r"churn-sold-linear-[0-9a-f]{8}", name)
    assert plan_of(tmp_path / "churn.csv").study_name == name
    assert plan_of(tmp_path / "churn.csv", random_state=4, n_trials=3, n_jobs=2).study_name == name
    FRAME.iloc[1:].to_csv(tmp_path / "churn.csv", index=False)
    assert plan_of(tmp_path / "churn.csv").study_name != name
    assert plan_of(study_name="mine").study_name == "mine"


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ({"space": "knn"}, "space"),
        ({"metric": "accuracy"}, "metric"),
        ({"cv": 3}, "folds"),
        ({"cv": KFold(3)}, "folds"),
        ({"test_size": 0.3}, "test rows"),
        ({"test_size": 0}, "test rows"),
        ({"positive": "no"}, "table"),
        ({"sample_weight": "weight"}, "table"),
    ],
)
def test_each_part_of_the_question_is_in_the_fingerprint(words: dict[str, Any], part: str) -> None:
    first, other = plan_of(), plan_of(**words)
    assert {name for name in first.identity if first.identity[name] != other.identity[name]} == {part}
    assert first.study_name.rsplit("-", 1)[1] != other.study_name.rsplit("-", 1)[1]


def test_a_function_of_one_name_that_is_read_the_other_way_is_another_question() -> None:
    def own(y_true: Any, y_pred: Any) -> float:
        return 0.0

    larger = plan_of(metric=own)
    own.greater_is_better = False  # type: ignore[attr-defined]
    assert larger.identity["metric"].startswith("own (larger is better) ")
    assert plan_of(metric=own).identity["metric"].startswith("own (smaller is better) ")
    assert "metric 'own': larger is taken as better; its attribute greater_is_better decides" in larger.notes


def test_two_functions_of_one_name_are_two_questions() -> None:
    def scaled(factor: float) -> Any:
        return lambda y_true, y_pred: factor * float((y_true == y_pred).mean())

    identities = [plan_of(metric=scaled(factor)).identity["metric"] for factor in (1.0, 1.0, 2.0)]
    assert identities[0] == identities[1] != identities[2]
    soft, hard = (make_scorer(fbeta_score, beta=beta, pos_label="yes") for beta in (0.1, 10))
    assert plan_of(metric=soft).identity["metric"] != plan_of(metric=hard).identity["metric"]


def test_long_given_folds_are_told_apart() -> None:
    first, second = (np.repeat([0, 1], 1000), np.tile([0, 1], 1000))
    assert _describe_cv(PredefinedSplit(first)) != _describe_cv(PredefinedSplit(second))


def test_equal_splitters_are_the_same_question() -> None:
    assert plan_of(cv=KFold(3)).identity == plan_of(cv=KFold(3)).identity
    assert plan_of(cv=KFold(3)).identity != plan_of(cv=KFold(4)).identity
    pairs = [(np.arange(40), np.arange(40, 80)), (np.arange(40, 80), np.arange(40))]
    assert plan_of(cv=pairs).identity == plan_of(cv=iter(pairs)).identity
    assert len(plan_of(cv=iter(pairs)).folds) == 2


def create(plan: Plan) -> None:
    open_study(
        plan.storage,
        plan.study_name,
        space=plan.space,
        sampler=plan.sampler,
        pruner=plan.pruner,
        maximize=plan.metric.maximize,
        identity=plan.identity,
        seed=plan.seed,
        versions=plan.versions,
    )


def test_without_random_state_the_seed_is_the_study_s_own(tmp_path: Path) -> None:
    table = read_table(FRAME, target="sold")
    drawn = make_plan(make_settings("call", space="linear", storage=tmp_path / "study.db"), table, started=0.0)
    create(drawn)
    again = make_plan(make_settings("call", space="linear", storage=tmp_path / "study.db"), table, started=0.0)
    assert again.seed == drawn.seed
    np.testing.assert_array_equal(again.search.y, drawn.search.y)
    other = drawn.seed + 1
    with pytest.raises(StudyMismatchError, match=f"made with random_state={drawn.seed}, found {other}"):
        create(plan_of(storage=tmp_path / "study.db", random_state=other))
    others = {make_plan(make_settings("call", space="linear"), table, started=0.0).seed for _ in range(3)}
    assert len(others) == 3


def test_groups_stay_together_on_both_cuts() -> None:
    plan = plan_of(groups="shop")
    assert plan.search.groups is not None and plan.test is not None and plan.test.groups is not None
    assert not set(plan.search.groups) & set(plan.test.groups)
    for training, validation in plan.folds.pairs:
        assert not set(plan.search.groups[training]) & set(plan.search.groups[validation])
    assert "shop" not in [column.name for column in plan.schema.columns]


def test_time_orders_both_cuts() -> None:
    plan = plan_of(time="day")
    assert plan.search.time is not None and plan.test is not None and plan.test.time is not None
    assert plan.search.time.max() < plan.test.time.min()
    for training, validation in plan.folds.pairs:
        assert plan.search.time[training].max() < plan.search.time[validation].min()
    assert "day" in [column.name for column in plan.schema.columns]


def test_weights_reach_both_tasks() -> None:
    plan = plan_of(sample_weight="weight")
    assert plan.search.weight is not None and plan.test is not None and plan.test.weight is not None
    assert sorted([*plan.search.weight, *plan.test.weight]) == sorted(FRAME["weight"])


def test_a_test_table_of_ones_own() -> None:
    plan = plan_of(test_size=make_frame(30).iloc[::-1])
    assert len(plan.search) == 100 and plan.test is not None and len(plan.test) == 30
    assert plan.identity["test rows"] == "a table of its own"


def test_a_test_table_may_be_a_pair_of_arrays() -> None:
    draws = np.random.default_rng(0)
    X, y = draws.normal(size=(60, 2)), np.tile([0, 1], 30)
    words = make_settings("call", test_size=(X[:10], y[:10]), space="linear")
    plan = make_plan(words, read_table(X, y), started=time.time())
    assert plan.test is not None and len(plan.test) == 10 and len(plan.search) == 60
    assert plan.test_name != "split"


def test_no_test_rows() -> None:
    plan = plan_of(test_size=0)
    assert plan.test is None and len(plan.search) == 100


def test_the_positive_class_is_the_last() -> None:
    assert plan_of(positive="no").table.classes.tolist() == ["yes", "no"]  # type: ignore[union-attr]


def test_the_loss_follows_the_metric() -> None:
    plan = plan_of(FRAME.drop(columns="sold"), "price", metric="mae")
    assert plan.search.problem.loss == "absolute" and not plan.metric.maximize


def test_a_space_may_be_words_a_space_or_learners() -> None:
    assert list(plan_of(space="linear,knn").space.learners) == ["linear", "knn"]
    own = Space({"linear": {"C": Float(0.1, 1.0)}})
    assert plan_of(space=own).space == own.for_task("binary")
    assert plan_of(space={"linear": {"C": Float(0.1, 1.0)}}).space == own.for_task("binary")


def test_one_s_own_model_is_a_learner_of_the_plan() -> None:
    pipeline = make_pipeline(StandardScaler(), SVC())
    plan = plan_of(space={"svc__C": Float(0.1, 10.0)}, model=pipeline)
    assert set(plan.learners) == {"svc", "baseline"}
    assert plan.space.name == "svc" and plan.space.first_configurations()[0].flat() == {
        "learner": "svc",
        "svc__C": 1.0,
    }
    assert any(note.startswith("svc is given a matrix") for note in plan.notes)
    assert any(note.startswith("svc has no predict_proba") for note in plan.notes)
    alone = plan_of(space=DEFAULTS.space, model="sklearn.svm:SVC")
    assert alone.space.first_configurations() == (alone.space.default("svc"),)
    assert "svc: no space was given, so that it keeps its own parameters" in alone.notes


def test_a_plan_holds_the_learners_of_its_space() -> None:
    assert set(plan_of(space="linear,knn").learners) == {"linear", "knn", "baseline"}


def test_another_model_is_another_question() -> None:
    def identity(model: Any) -> Any:
        return plan_of(space={"C": Float(0.1, 10.0)}, model=model).identity

    assert identity(SVC()) == identity(SVC()) == identity("sklearn.svm:SVC")
    other = identity(SVC(kernel="poly"))
    assert {part for part in other if other[part] != identity(SVC())[part]} == {"model"}
    assert "model" not in plan_of().identity
    texts = [Space({"own": {}}, models={"own": model}) for model in (SVC(), SVC(), SVC(C=2))]
    first, equal, another = (plan_of(space=space).identity for space in texts)
    assert first == equal != another and first["space"] == another["space"]


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ({"model": SVC(), "space": {"CC": 1.0}}, SpaceError, "no parameter of learner 'svc' named 'CC'; C"),
        ({"model": Ridge(), "space": {}}, SpaceError, "learner 'ridge' does not learn binary tasks"),
        ({"model": SVC()}, SettingsError, "it is not clear which learner of space 'linear' is the model"),
        (
            {"model": make_pipeline(make_column_transformer((StandardScaler(), ["empty"])), SVC()), "space": {}},
            SettingsError,
            "column 'empty' was left out",
        ),
        ({"metric": "roc_auk"}, UnknownNameError, "no metric named 'roc_auk'\n  try:   roc_auc"),
        ({"metric": "rmse"}, SettingsError, "metric 'rmse' does not fit a binary task"),
        ({"sampler": "tpa"}, UnknownNameError, "no sampler named 'tpa'"),
        ({"pruner": "halve"}, UnknownNameError, "no pruner named 'halve'"),
        ({"space": "linaer"}, AutotuneError, "'linaer'"),
        ({"cv": 90}, DataError, "90 folds do not fit"),
        ({"test_size": 1.5}, SettingsError, "test_size=1.5 is no share"),
        ({"storage": 3}, SettingsError, "storage=3 is no storage"),
        ({"device": "gpu9"}, AutotuneError, "gpu9"),
    ],
)
def test_what_does_not_fit_is_named_before_anything_trains(
    words: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=re.escape(message)):
        plan_of(**words)


def test_all_problems_of_a_space_are_shown_together() -> None:
    space = Space(
        {
            "linear": {"CC": 1.0, "C": Float(-1.0, 1.0), "penalty": Choice(("l2", "l3"))},
            "lightgbn": {"max_rounds": 5},
            "knn": {"n_neighbors": "many"},
        }
    )
    with pytest.raises(SpaceError) as caught:
        plan_of(space=space)
    text = str(caught.value)
    assert text.startswith("5 problems:")
    for part in ("no parameter of learner 'linear' named 'CC'", "C=-1.0", "penalty='l3'", "'lightgbn'", "n_neighbors"):
        assert part in text


def test_no_column_to_learn_from() -> None:
    with pytest.raises(DataError, match="no column is left to learn from"):
        plan_of(pd.DataFrame({"a": [1] * 40, "sold": ["no", "yes"] * 20}))


def test_settings_are_kept() -> None:
    assert isinstance(plan_of(n_trials=3).settings, Settings)
    assert plan_of(n_trials=3).settings.n_trials == 3


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"n_trials": 3}, None),
        ({"n_trials": 3, "n_jobs": 2}, "which of the jobs is over first"),
        ({"timeout": 60}, "the deadline"),
        ({"timeout": 60, "n_jobs": 2}, "the deadline and which of the jobs is over first"),
        ({"n_trials": 3, "n_jobs": 2, "deterministic": True}, None),
    ],
)
def test_what_cannot_be_repeated_is_said(words: dict[str, Any], why: str | None) -> None:
    said = [note for note in plan_of(**words).notes if note.startswith("another run may")]
    assert said == ([f"another run may try other configurations: that depends on {why}"] if why else [])
