"""The story, from a plan to a report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import autotune
from autotune import Float, Int, Report, Space
from autotune.errors import DataError, NoSuccessfulTrialError, StudyMismatchError
from autotune.evaluation import cross_validate, fit, make_member
from autotune.metrics import METRICS
from autotune.plan import Plan, make_plan
from autotune.spaces.space import Config
from autotune.study.records import TrialRecord
from autotune.study.strategies import trial_seed
from autotune.watcher import Opening

BOOSTER = Space({"lightgbm": {"learning_rate": Float(0.02, 0.3, log=True), "num_leaves": Int(2, 8), "max_rounds": 20}})


def make_frame(n_rows: int = 120) -> pd.DataFrame:
    draws = np.random.default_rng(0)
    frame = pd.DataFrame({"size": draws.normal(size=n_rows), "zone": draws.choice(["n", "s", "w"], n_rows)})
    frame["shop"] = np.repeat(np.arange(n_rows // 5), 5)
    frame["weight"] = draws.uniform(0.5, 2.0, n_rows)
    frame["price"] = 2 * frame["size"] + (frame["zone"] == "w") + 0.3 * draws.normal(size=n_rows)
    return frame.assign(sold=np.where(frame["price"] > 0.3, "yes", "no"))


FRAME = make_frame()
BINARY = FRAME.drop(columns=["price", "shop", "weight"])
REGRESSION = FRAME.drop(columns=["sold", "shop", "weight"])


def tuned(data: Any = BINARY, target: str = "sold", **words: Any) -> Report:
    return autotune.tune(data, target=target, **{"space": "linear", "n_trials": 2, "random_state": 0, **words})


class Log:
    """A watcher that writes down what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.plan: Plan | None = None

    def planned(self, opening: Opening) -> None:
        self.lines.append("planned")

    def joined(self, records: tuple[TrialRecord, ...]) -> None:
        self.lines.append(f"joined {len(records)}")

    def said(self, line: str) -> None:
        self.lines.append(f"said {line}")

    def told(self, record: TrialRecord, best: TrialRecord | None) -> None:
        self.lines.append(f"told {record.number}")

    def stage(self, name: str) -> None:
        self.lines.append(f"stage {name}")

    def over(self) -> None:
        self.lines.append("over")


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    log = Log()

    def planning(*arguments: Any, **words: Any) -> Plan:
        log.plan = make_plan(*arguments, **words)
        return log.plan

    monkeypatch.setattr("autotune.api.make_plan", planning)
    monkeypatch.setattr("autotune.api.watcher_of", lambda settings: log)
    return log


def test_the_story_is_told_in_order(log: Log) -> None:
    report = tuned()
    assert log.lines == [
        *("planned", "stage search", "joined 0", "told 0", "told 1", "stage refit", "stage test", "over")
    ]
    assert list(report.seconds) == ["reading", "search", "refit", "test"]
    assert all(seconds >= 0 for seconds in report.seconds.values())


def test_a_run_that_fails_is_over_too(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("no search today")

    monkeypatch.setattr("autotune.tuning.search", broken)
    with pytest.raises(RuntimeError, match="no search today"):
        tuned()
    assert log.lines[-1] == "over"


def test_the_model_is_the_winner_retrained_on_all_search_rows(log: Log) -> None:
    report = tuned(space=BOOSTER, n_trials=4)
    assert log.plan is not None and log.plan.test is not None
    best = max((r for r in report.records if r.state == "complete"), key=lambda record: record.score or 0.0)
    assert best.config is not None and best.step is not None
    member = make_member(log.plan.search, np.arange(len(log.plan.search)), None)
    seed = trial_seed(0, best.number, "model")
    model = fit(best.config, member, best.step, seed=seed, resources=log.plan.resources).model
    expected = model.predict(log.plan.test.rows)
    np.testing.assert_allclose(report.model.model.predict(log.plan.test.rows), expected)
    assert report.test_score is not None
    assert report.test_score.value == METRICS["roc_auc"].score(log.plan.test.y, expected)
    assert report.baseline_score is not None and report.baseline_score.value == 0.5
    assert report.gains["baseline"].value == pytest.approx(report.test_score.value - 0.5)


def test_the_default_is_judged_beside_it() -> None:
    one = tuned(n_trials=1)
    assert one.default_score == one.test_score
    assert one.gains["default"].value == 0.0
    several = tuned(space=BOOSTER, n_trials=5)
    assert several.default_score is not None


def test_a_second_call_only_reports_and_a_larger_one_goes_on(log: Log, tmp_path: Path) -> None:
    words: dict[str, Any] = {"storage": tmp_path / "study.db", "random_state": None}
    first = tuned(n_trials=3, **words)
    log.lines.clear()
    second = tuned(n_trials=3, **words)
    assert log.lines == ["planned", "stage search", "joined 3", "stage refit", "stage test", "over"]
    assert second.records == first.records and second.seed == first.seed
    assert (first.look, second.look) == (1, 2)
    assert "look 2 at these rows" in str(second) and "look" not in str(first)
    np.testing.assert_array_equal(second.predict(BINARY), first.predict(BINARY))
    fewer = tuned(n_trials=1, **words)
    assert len(fewer.records) == 3
    more = tuned(n_trials=5, **words)
    assert more.records[:3] == first.records and len(more.records) == 5
    assert more.study_name == first.study_name


def test_a_study_of_another_question_is_refused(tmp_path: Path) -> None:
    words: dict[str, Any] = {"storage": tmp_path / "study.db", "study_name": "mine"}
    tuned(**words)
    with pytest.raises(StudyMismatchError, match="made for another metric"):
        tuned(metric="accuracy", **words)
    with pytest.raises(StudyMismatchError, match="made for another table"):
        tuned(BINARY.iloc[:-1], **words)
    with pytest.raises(StudyMismatchError, match="random_state=0, found 1"):
        tuned(random_state=1, **words)


def test_no_trials_is_an_error_that_says_so() -> None:
    with pytest.raises(NoSuccessfulTrialError, match="the study holds no finished trial"):
        tuned(n_trials=0)


def test_regression() -> None:
    report = tuned(REGRESSION, "price")
    assert report.metric == "rmse" and not report.maximize
    assert report.test_score is not None and report.baseline_score is not None
    assert report.test_score.value < report.baseline_score.value / 2
    assert report.gains["baseline"].low > 0
    assert report.best_score == min(record.score for record in report.records if record.score is not None)


def test_three_classes() -> None:
    frame = BINARY.assign(sold=np.digitize(BINARY["size"], [-0.5, 0.5]).astype(str))
    report = tuned(frame)
    assert report.metric == "log_loss"
    assert report.predict_proba(frame).shape == (120, 3)


@pytest.mark.parametrize("words", [{"groups": "shop"}, {"sample_weight": "weight"}, {"time": "shop"}])
def test_sides(words: dict[str, Any]) -> None:
    report = tuned(FRAME.drop(columns="price"), **words)
    assert report.test_score is not None
    assert report.test_score.low <= report.test_score.value <= report.test_score.high


def test_the_positive_class_decides_what_f1_means() -> None:
    yes, no = (tuned(metric="f1", positive=positive, n_trials=1) for positive in ("yes", "no"))
    assert yes.best_score != no.best_score
    assert no.model.classes is not None and no.model.classes.tolist() == ["yes", "no"]
    assert set(no.predict(BINARY)) == {"yes", "no"}


def test_a_test_table_of_ones_own_and_none_at_all() -> None:
    own = tuned(BINARY.iloc[:90], test_size=BINARY.iloc[90:])
    assert (own.data["search_rows"], own.data["test_rows"]) == (90, 30)
    none = tuned(test_size=0)
    assert none.test_score is None and none.look == 0 and none.gains == {}
    assert "no rows were set aside" in str(none)


def test_refit_on_all_rows_comes_after_the_verdict() -> None:
    search, everything = (tuned(refit=refit) for refit in ("search", "all"))
    assert everything.test_score == search.test_score
    assert everything.records[0].score == search.records[0].score
    assert "refit on all rows" in everything.seconds and "refit on all rows" not in search.seconds
    assert np.abs(everything.predict_proba(BINARY) - search.predict_proba(BINARY)).max() > 1e-6


def test_refit_on_all_rows_learns_from_the_test_rows() -> None:
    frame = REGRESSION.assign(price=np.r_[np.zeros(60), np.ones(60)] + 1e-3 * REGRESSION["size"], day=range(120))
    space = Space({"baseline": {}})
    search, everything = (
        tuned(frame, "price", time="day", test_size=60, refit=refit, space=space, cv=2, n_trials=1)
        for refit in ("search", "all")
    )
    assert search.predict(frame)[0] == pytest.approx(0.0, abs=0.01)
    assert everything.predict(frame)[0] == pytest.approx(0.5, abs=0.01)


def own_error(y_true: Any, y_pred: Any) -> float:
    return float(np.abs(y_true - y_pred).max())


def share_right(y_true: Any, y_pred: Any) -> float:
    assert set(y_true) <= {"yes", "no"}
    return float((y_true == y_pred).mean())


@pytest.mark.parametrize(
    ("data", "target", "metric", "maximize"),
    [(REGRESSION, "price", own_error, False), (BINARY, "sold", share_right, True)],
)
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_metric_of_ones_own(
    data: pd.DataFrame, target: str, metric: Callable[..., float], maximize: bool, n_jobs: int
) -> None:
    report = tuned(data, target, metric=metric, n_jobs=n_jobs)
    assert (report.metric, report.maximize) == (metric.__name__, maximize)
    assert report.test_score is not None


def test_a_metric_that_is_undefined_on_these_folds_ends_before_the_search() -> None:
    def never_error(y_true: Any, y_pred: Any) -> float:
        return float("nan")

    with pytest.raises(DataError, match="never_error is nan on fold 0: the metric is undefined on these folds"):
        tuned(metric=never_error)


def test_a_space_may_be_given_in_words() -> None:
    report = tuned(space={"linear": {"C": Float(0.5, 2.0)}, "knn": {"n_neighbors": 5}}, n_trials=3)
    assert [record.config.learner for record in report.records if record.config][:2] == ["linear", "knn"]
    assert all(
        record.config.params == {"n_neighbors": 5}
        for record in report.records
        if record.config and record.config.learner == "knn"
    )


def test_two_jobs_find_what_one_finds_for_the_same_configuration(log: Log) -> None:
    report = tuned(space=BOOSTER, n_trials=4, n_jobs=2)
    assert log.plan is not None
    for record in report.records:
        assert record.config is not None
        seed = trial_seed(0, record.number, "model")
        if record.state == "complete":
            again = cross_validate(
                record.config, log.plan.search, log.plan.folds, log.plan.metric, seed=seed, resources=log.plan.resources
            )
            assert again.score == record.score
    assert report.records[0].config == Config("lightgbm", BOOSTER.default("lightgbm").params)


# ---- people's own models ----


def pipeline() -> Any:
    return make_pipeline(StandardScaler(), SVC())


NUMBERS = BINARY.drop(columns="zone")


def test_one_s_own_pipeline_is_tuned_retrained_saved_and_loaded(tmp_path: Path) -> None:
    words: dict[str, Any] = {"model": pipeline(), "space": {"svc__C": Float(1e-2, 1e2, log=True)}, "n_trials": 4}
    report = tuned(NUMBERS, **words)
    assert report.best_params["learner"] == "svc"
    report.save(tmp_path / "svc.model")
    loaded = autotune.load(tmp_path / "svc.model")
    np.testing.assert_array_equal(loaded.predict(NUMBERS), report.predict(NUMBERS))
    svc: Any = loaded.model.model.estimator.steps[-1][1]  # type: ignore[attr-defined]
    assert pytest.approx(report.best_params["svc__C"]) == svc.C


def test_workers_tune_a_model_of_a_function_s_own_class(tmp_path: Path) -> None:
    class Stubborn(SVC):  # type: ignore[misc]
        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
            if self.C > 3:
                raise RuntimeError(f"C is {self.C:.1f}")
            return super().fit(X, y, sample_weight)

    words: dict[str, Any] = {"model": Stubborn(), "space": {"C": Float(0.1, 10.0, default=1.0)}, "n_trials": 6}
    here, there = tuned(NUMBERS, **words), tuned(NUMBERS, n_jobs=2, **words)
    for report in (here, there):
        failed = [record for record in report.records if record.state == "failed"]
        assert failed and all("RuntimeError: C is" in record.reason for record in failed)
        assert report.best_params["C"] <= 3
    assert here.records[0].fold_scores == there.records[0].fold_scores


def test_a_growing_model_is_pruned_and_cut_at_the_best_step_of_its_curve() -> None:
    space = {"learning_rate": Float(0.01, 1.0, log=True), "max_depth": Int(1, 4)}
    report = tuned(REGRESSION, "price", model=GradientBoostingRegressor(n_estimators=40), space=space, n_trials=8)
    states = {record.state for record in report.records}
    assert states == {"complete", "pruned"}
    best = next(record for record in report.records if record.config and record.config.flat() == report.best_params)
    assert best.step is not None
    assert report.model.model.estimator.n_estimators == best.step  # type: ignore[attr-defined]


def test_a_file_names_several_models(tmp_path: Path) -> None:
    (tmp_path / "two.toml").write_text(
        'version = 1\n[boosting]\nmodel = "sklearn.ensemble:HistGradientBoostingClassifier"\n'
        "max_iter = { int = [1, 20], fidelity = true }\n"
        '[tree]\nmodel = "sklearn.tree:DecisionTreeClassifier"\nmax_depth = { int = [1, 5] }\n'
    )
    report = tuned(space=tmp_path / "two.toml", n_trials=4)
    assert {record.config.learner for record in report.records if record.config} == {"boosting", "tree"}


def test_without_a_space_a_model_is_one_trial() -> None:
    report = tuned(NUMBERS, model=SVC, space="automl", n_trials=None)
    assert len(report.records) == 1 and report.best_params == {"learner": "svc"}


def test_the_same_study_with_another_model_is_refused(tmp_path: Path) -> None:
    words: dict[str, Any] = {"space": {"C": Float(0.1, 10.0)}, "study_name": "mine", "storage": tmp_path / "study.db"}
    tuned(NUMBERS, model=SVC(), **words)
    tuned(NUMBERS, model=SVC(), **words)
    with pytest.raises(StudyMismatchError, match="another model"):
        tuned(NUMBERS, model=SVC(kernel="poly"), **words)


def test_the_estimators_take_a_model() -> None:
    tuner = autotune.AutoTuneClassifier(model=pipeline(), space={"svc__C": Float(0.1, 10.0)}, n_trials=2)
    assert clone(tuner).get_params()["model__svc__kernel"] == "rbf"
    fitted = tuner.fit(NUMBERS[["size"]], NUMBERS["sold"])
    assert fitted.best_params_["learner"] == "svc" and fitted.score(NUMBERS[["size"]], NUMBERS["sold"]) > 0.7
