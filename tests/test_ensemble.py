"""The ensemble: what may join, what is chosen, and when the best trial stays alone."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import autotune
from autotune import shipping
from autotune.data.splits import make_folds
from autotune.data.task import Problem, Rows, Schema, Task
from autotune.ensemble import CONTENDERS, Library, choose_ensemble, contenders
from autotune.errors import RefitError
from autotune.evaluation import Cohort, make_cohort
from autotune.metrics import METRICS, Metric
from autotune.spaces.space import Config
from autotune.study.records import TrialRecord


def record(number: int, score: float | None, learner: str = "knn", state: Any = "complete") -> TrialRecord:
    return TrialRecord(number, state, Config(learner, {}), score)


def make_cohort_of(y: Any) -> Cohort:
    rows = Rows(np.zeros((len(y), 1)), np.zeros((len(y), 0), dtype=np.int32))
    task = Task(rows, np.asarray(y, dtype=np.float64), Problem("regression", 0, Schema(())))
    return make_cohort(task, make_folds(task.y, "regression", None, None, 5, 0), METRICS["rmse"])


def out_of_fold(cohort: Cohort, error: Any) -> list[Any]:
    draws = np.random.default_rng(error)
    return [(y + draws.normal(size=len(y))).astype(np.float32) for y in cohort.y]


Y = np.random.default_rng(0).normal(size=600)


def test_models_with_errors_of_their_own_are_mixed_and_score_better_than_each() -> None:
    cohort = make_cohort_of(Y)
    predictions = {number: out_of_fold(cohort, number) for number in (7, 3, 5)}
    ensemble = choose_ensemble(predictions, cohort, 5)
    assert ensemble is not None
    assert set(ensemble.weights) == {3, 5, 7}
    assert sum(ensemble.weights.values()) == pytest.approx(1)
    assert ensemble.score == pytest.approx(1 / np.sqrt(3), rel=0.1)


def test_no_more_are_mixed_than_asked_for() -> None:
    cohort = make_cohort_of(Y)
    ensemble = choose_ensemble({number: out_of_fold(cohort, number) for number in range(6)}, cohort, 2)
    assert ensemble is not None and len(ensemble.weights) == 2 and 0 in ensemble.weights


def test_the_best_stays_alone_beside_copies_of_itself_and_beside_noise() -> None:
    cohort = make_cohort_of(Y)
    best = out_of_fold(cohort, 0)
    assert choose_ensemble({0: best, 1: best}, cohort, 5) is None
    noise = [best_of_fold + 30 * np.random.default_rng(9).normal(size=len(best_of_fold)) for best_of_fold in best]
    assert choose_ensemble({0: best, 1: noise}, cohort, 5) is None


def test_weights_that_do_not_hold_on_folds_which_did_not_choose_them_are_given_up() -> None:
    """On few rows some weights always fit the rows that chose them."""
    given_up = 0
    for seed in range(20):
        cohort = make_cohort_of(np.random.default_rng(seed).normal(size=15))
        nearly_the_same = [y + np.float32(0.5) for y in cohort.y]
        jitter = np.random.default_rng(100 + seed)
        others = {n: [each + 0.3 * jitter.normal(size=len(each)) for each in nearly_the_same] for n in (1, 2, 3)}
        given_up += choose_ensemble({0: nearly_the_same, **others}, cohort, 5) is None
    assert given_up >= 5


def test_a_choice_is_given_up_between_two_mixtures_at_the_deadline() -> None:
    calls = []

    def slow(y: Any, predictions: Any, weight: Any) -> float:
        calls.append(1)
        time.sleep(0.2)
        return float(np.square(y - predictions).mean())

    cohort = replace(make_cohort_of(Y), metric=Metric("slow", frozenset({"regression"}), "values", False, slow))
    several = {number: out_of_fold(cohort, number) for number in range(6)}
    assert choose_ensemble(several, cohort, 5, deadline=time.time() + 0.5) is None
    assert len(calls) < 10


def test_nothing_is_chosen_after_the_deadline() -> None:
    cohort = make_cohort_of(Y)
    assert choose_ensemble({n: out_of_fold(cohort, n) for n in (0, 1)}, cohort, 5, deadline=1.0) is None


def test_the_best_of_each_learner_and_the_best_others_are_contenders_and_pruned_ones_never() -> None:
    records = [record(number, float(number)) for number in range(2 * CONTENDERS)]
    poor = record(98, 1e6, "linear")
    left_out = [record(99, -1.0, state="pruned"), record(97, None, state="failed")]
    found = contenders([*records, poor, *left_out], maximize=False)
    assert [each.number for each in found] == [*range(CONTENDERS - 1), 98]


@pytest.mark.parametrize("maximize", [True, False])
def test_the_library_keeps_what_the_contenders_predicted_and_no_more(maximize: bool) -> None:
    library, everyone = Library(maximize=maximize), []
    for number in np.random.default_rng(0).permutation(60).tolist():
        everyone.append(record(number, float(number % 50), ("knn", "linear", "mlp")[number % 3]))
        library.add(everyone[-1], [np.array([number])])
    wanted = {each.number for each in contenders(everyone, maximize=maximize)}
    assert {number for number in range(60) if library.get(number) is not None} == wanted
    assert all(library.get(number) == [np.array([number])] for number in wanted)


def made_table() -> tuple[Any, Any]:
    """Return a table that a line and a forest each know a part of."""
    draws = np.random.default_rng(3)
    X = draws.normal(size=(500, 8))
    return X, X.sum(axis=1) + 3 * np.sign(X[:, 0]) * (X[:, 1] > 0) + draws.normal(size=500)


def test_a_run_ships_the_mixture_and_says_so(tmp_path: Any) -> None:
    X, y = made_table()
    words: dict[str, Any] = {"space": "linear,extra_trees,knn", "n_trials": 8, "random_state": 0, "progress": False}
    where: dict[str, Any] = {"storage": tmp_path / "s.db", "study_name": "s"}
    report = autotune.tune(X, y, **words, **where)
    assert len(report.weights) > 1 and sum(report.weights.values()) == pytest.approx(1)
    assert report.ensemble_score is not None and report.ensemble_score < report.best_score
    assert report.test_score is not None and report.best_alone_score is not None
    assert report.gains["best"].value == pytest.approx(report.best_alone_score.value - report.test_score.value)
    states = {each.number: each.state for each in report.records}
    assert {states[number] for number in report.weights} == {"complete"}
    report.save(tmp_path / "a.model")
    np.testing.assert_allclose(autotune.load(tmp_path / "a.model").predict(X), report.predict(X), rtol=1e-12)

    again = autotune.tune(X, y, **words, **where)  # evaluates the contenders again, for their predictions
    assert again.weights == report.weights and again.test_score == report.test_score

    alone = autotune.tune(X, y, ensemble=1, **words)
    assert alone.best_params == report.best_params and alone.ensemble_score is None
    assert alone.test_score == report.best_alone_score


def test_one_learner_alone_is_not_mixed_unless_asked_for() -> None:
    X, y = made_table()
    words: dict[str, Any] = {"space": "extra_trees", "n_trials": 4, "random_state": 0, "progress": False}
    assert "ensemble" not in autotune.tune(X, y, **words).seconds
    assert "ensemble" in autotune.tune(X, y, ensemble=3, **words).seconds


def test_a_member_that_cannot_be_retrained_leaves_its_part_to_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = made_table()
    words: dict[str, Any] = {"space": "linear,extra_trees,knn", "n_trials": 8, "random_state": 0, "progress": False}
    mixed = autotune.tune(X, y, **words)
    members = sorted(mixed.weights, key=mixed.weights.__getitem__, reverse=True)
    best = min(mixed.records, key=lambda each: each.score if each.state == "complete" else np.inf).number
    unlucky = next(number for number in members if number != best)
    fitted = shipping.Shipping._fitted

    def failing(self: shipping.Shipping, each: TrialRecord, *rest: Any, **words: Any) -> Any:
        if each.number == unlucky:
            raise RefitError(f"trial {each.number} cannot be")
        return fitted(self, each, *rest, **words)

    monkeypatch.setattr(shipping.Shipping, "_fitted", failing)
    report = autotune.tune(X, y, **words)
    assert set(report.weights) == set(members) - {unlucky}
    assert sum(report.weights.values()) == pytest.approx(1) and report.ensemble_score is None
    assert any(f"trial {unlucky} cannot be" in warning for warning in report.warnings)


def test_a_metric_that_raises_on_a_mixture_leaves_the_best_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = made_table()

    def raising(*_: Any, **__: Any) -> Any:
        raise ValueError("not for mixtures")

    monkeypatch.setattr(shipping, "choose_ensemble", raising)
    report = autotune.tune(X, y, space="linear,extra_trees,knn", n_trials=8, random_state=0, progress=False)
    assert len(report.weights) == 1 and report.test_score is not None
