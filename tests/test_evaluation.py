"""Cross-validation with the folds side by side, judged on curves that the tests write themselves."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
import pytest

from autotune.curve import Evaluation, NotFiniteError, Progress, PrunedError, rung_worth
from autotune.data.splits import Folds, make_folds
from autotune.data.task import ALL_TASKS, Column, Problem, Rows, Schema, Task
from autotune.errors import AutotuneError, UnknownNameError
from autotune.evaluation import Limits, cross_validate, fit, judge, make_cohort, make_member
from autotune.learners import LEARNERS
from autotune.learners.baseline import ConstantModel
from autotune.learners.lightgbm import LightGBMParams
from autotune.learners.protocol import Member, Pace, Resources, Step
from autotune.metrics import METRICS, Metric
from autotune.spaces.space import Config

RESOURCES = Resources()
FOLD_SHIFT = 0.001


@dataclass(frozen=True)
class ScriptedParams:
    curve: tuple[float, ...] = ()
    worth: float = 1.0
    first_rung: float = 4.0
    patience: int = 1000
    last: int | None = None
    in_one_go: bool = False
    slow: float = 0.0


class Scripted:
    """A learner whose score after each step is written in its parameters; fold k's is 0.001 k more."""

    name = "scripted"
    tasks = ALL_TASKS
    Params: type[Any] = ScriptedParams

    def train(
        self, members: Sequence[Member], params: ScriptedParams, *, seed: int, resources: Resources
    ) -> Iterator[Step]:
        def step(number: int, who: tuple[int, ...], score: float) -> Step:
            models = [ConstantModel(np.asarray(score + FOLD_SHIFT * k)) for k in who]

            def predictions() -> list[Any]:
                return [model.predict(rows) for model, k in zip(models, who, strict=True) if (rows := of(k))]

            def of(k: int) -> Any:
                return members[k].validation

            return Step(number, who, predictions, lambda: models)

        everyone = tuple(range(len(members)))
        if params.in_one_go:
            yield from (step(1, (k,), score) for k, score in zip(everyone, params.curve, strict=True))
            return
        for number, score in enumerate(params.curve, start=1):
            time.sleep(params.slow)
            yield step(number, everyone, score)

    def pace(self, params: ScriptedParams) -> Pace | None:
        return None if params.in_one_go else Pace(params.worth, params.first_rung, params.patience, params.last)


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LEARNERS._entries, "scripted", Scripted)


def make_task(n_rows: int = 30, kind: str = "regression") -> Task:
    draws = np.random.default_rng(0)
    numeric = draws.normal(size=(n_rows, 3))
    zone = draws.integers(0, 3, size=(n_rows, 1)).astype(np.int32)
    columns = (*(Column(name, "numeric") for name in "abc"), Column("zone", "categorical", levels=("n", "s")))
    value = numeric[:, 0] + 0.5 * zone[:, 0] + 0.3 * draws.normal(size=n_rows)
    y = value if kind == "regression" else (value > 0.4).astype(np.int64)
    problem = Problem(kind, 0 if kind == "regression" else 2, Schema(columns), "squared")  # type: ignore[arg-type]
    return Task(Rows(numeric, zone), y, problem, weight=draws.uniform(0.5, 2.0, n_rows))


def first_prediction(y: Any, predictions: Any, weight: Any) -> float:
    return float(predictions[0])


LARGER = Metric("first", ALL_TASKS, "values", True, first_prediction)
SMALLER = Metric("first", ALL_TASKS, "values", False, first_prediction)
TASK = make_task()
FOLDS = make_folds(TASK.y, "regression", cv=3)


def evaluate(curve: Sequence[float], metric: Metric = LARGER, report: Any = None, **params: Any) -> Evaluation:
    config = Config("scripted", {"curve": tuple(curve), **params})
    return cross_validate(config, TASK, FOLDS, metric, seed=0, resources=RESOURCES, report=report)


def test_a_lone_peak_is_smoothed_away() -> None:
    result = evaluate([0.1, 0.9, 0.1, 0.5, 0.6, 0.5, 0.1])
    assert result.step == 5  # (0.5 + 0.6 + 0.5) / 3 beats (0.1 + 0.9 + 0.1) / 3
    assert result.score == pytest.approx(0.6 + FOLD_SHIFT)  # the plain mean at that step
    assert evaluate([-s for s in (0.1, 0.9, 0.1, 0.5, 0.6, 0.5, 0.1)], SMALLER).step == 5


def test_the_ends_of_the_curve_are_smoothed_over_what_there_is() -> None:
    assert evaluate([0.9, 0.8, 0.1, 0.1]).step == 1
    assert evaluate([0.1, 0.1, 0.8, 0.9]).step == 4
    assert evaluate([0.5]).step == 1


def test_ties_go_to_the_earlier_step() -> None:
    assert evaluate([0.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.0]).step == 3
    assert evaluate([0.5] * 6).step == 1
    assert evaluate([0.5] * 6, SMALLER).step == 1


def test_the_last_step_is_the_best_where_more_are_never_worse() -> None:
    curve = [0.1, 0.9, 0.9, 0.9, *[0.5] * 45, 0.4, 0.6]
    result = evaluate(curve, last=51, patience=5)
    assert (result.step, result.curve[-1][0], result.score) == (51, 51, pytest.approx(0.6 + FOLD_SHIFT))
    assert evaluate(curve, patience=5).step == 3


def test_the_score_is_the_mean_of_the_fold_scores() -> None:
    result = evaluate([0.1, 0.2, 0.3])
    assert result.fold_scores == pytest.approx((0.3, 0.3 + FOLD_SHIFT, 0.3 + 2 * FOLD_SHIFT))
    assert result.score == sum(result.fold_scores) / 3
    assert [step for step, _ in result.curve] == [1, 2, 3]
    assert dict(result.curve)[result.step] == result.score
    assert result.worth == 3.0 and not result.cut


def test_patience_ends_the_curve() -> None:
    result = evaluate([0.5, 0.9, 0.9, 0.9, *[0.1] * 50], patience=5)
    assert result.step == 3
    assert result.curve[-1][0] == 8
    assert evaluate(np.linspace(0, 1, 20), patience=5).curve[-1][0] == 20


def test_steps_are_scored_one_by_one_and_then_every_twentieth_part() -> None:
    steps = [step for step, _ in evaluate(np.linspace(0, 1, 200)).curve]
    assert steps[:40] == list(range(1, 41))
    assert all(step % max(1, step // 20) == 0 for step in steps)
    assert len(steps) < 100


def test_each_rung_is_reported_once_at_its_worth_with_the_best_smoothed_score() -> None:
    seen: list[Progress] = []

    def report(progress: Progress) -> bool:
        seen.append(progress)
        return True

    evaluate([0.1, 0.5, 0.5, 0.5, *[0.0] * 36], worth=0.5, report=report)
    pace = Pace(worth=0.5, first_rung=4.0, patience=1000)
    worths = [rung_worth(pace, rung) for rung in range(5)]
    assert worths == pytest.approx([1, 2, 4, 8, 16])
    assert [progress.rung for progress in seen] == [0, 1, 2, 3, 4]
    assert [progress.worth for progress in seen] == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert not any(progress.by_fold for progress in seen)
    assert [progress.score for progress in seen] == pytest.approx([0.3 + FOLD_SHIFT, *[0.5 + FOLD_SHIFT] * 4])


def test_a_large_step_reaches_several_rungs() -> None:
    seen: list[int] = []

    def report(progress: Progress) -> bool:
        seen.append(progress.rung)
        return True

    evaluate([0.1, 0.2], worth=15.0, report=report)
    assert seen == [0, 1, 2, 3, 4]


def test_a_report_of_false_prunes() -> None:
    with pytest.raises(PrunedError) as caught:
        evaluate([0.1] * 40, report=lambda progress: progress.rung < 2)
    assert (caught.value.progress.rung, caught.value.progress.worth) == (2, 4.0)


def test_one_shot_learners_are_judged_fold_by_fold() -> None:
    seen: list[Progress] = []

    def report(progress: Progress) -> bool:
        seen.append(progress)
        return True

    result = evaluate([0.1, 0.3, 0.8], in_one_go=True, report=report)
    assert result.fold_scores == pytest.approx((0.1, 0.3 + FOLD_SHIFT, 0.8 + 2 * FOLD_SHIFT))
    assert result.score == sum(result.fold_scores) / 3
    assert (result.step, result.worth) == (1, 1.0)
    assert [(p.rung, p.worth, p.by_fold) for p in seen] == [(1, 1.0, True), (2, 2.0, True)]
    assert [p.score for p in seen] == pytest.approx([0.1, 0.2 + FOLD_SHIFT / 2])
    with pytest.raises(PrunedError):
        evaluate([0.1, 0.3, 0.8], in_one_go=True, report=lambda progress: progress.rung < 2)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("in_one_go", [False, True])
def test_a_score_that_is_no_number_raises(value: float, in_one_go: bool) -> None:
    with pytest.raises(NotFiniteError, match="first is nan on fold"):
        evaluate([0.1, value, 0.1], in_one_go=in_one_go)


def test_a_curve_is_cut_at_the_deadline_at_its_best_step() -> None:
    config = Config("scripted", {"curve": (0.1, 0.9, 0.9, 0.9, *[0.2] * 500), "slow": 0.01})
    judging = judge(
        config, make_cohort(TASK, FOLDS, LARGER), seed=0, resources=RESOURCES, limits=Limits(cut=time.time() + 0.5)
    )
    try:
        while True:
            judging.send(None)
    except StopIteration as finished:
        result = finished.value
    assert result.cut
    assert result.step == 3 and result.score == pytest.approx(0.9 + FOLD_SHIFT)
    assert 4 <= result.curve[-1][0] < 200


def test_a_refit_takes_the_steps_that_it_is_told() -> None:
    everything = make_member(TASK, np.arange(len(TASK)), None)
    config = Config("scripted", {"curve": (0.1, 0.2, 0.3, 0.4)})
    for steps, value in ((1, 0.1), (3, 0.3), (9, 0.4)):
        model = fit(config, everything, steps, seed=0, resources=RESOURCES).model
        assert model.predict(TASK.rows)[0] == value
    with pytest.raises(AutotuneError, match="learner 'scripted' made no step"):
        fit(Config("scripted", {}), everything, 1, seed=0, resources=RESOURCES)


def test_rows_answers_and_weights_go_together() -> None:
    cohort = make_cohort(TASK, FOLDS, LARGER)
    for member, y, weight, (training, validation) in zip(
        cohort.members, cohort.y, cohort.weight, FOLDS.pairs, strict=True
    ):
        assert TASK.weight is not None and member.weight is not None and member.validation is not None
        np.testing.assert_array_equal(member.rows.numeric, TASK.rows.numeric[training])
        np.testing.assert_array_equal(member.y, TASK.y[training])
        np.testing.assert_array_equal(member.weight, TASK.weight[training])
        np.testing.assert_array_equal(member.validation.categorical, TASK.rows.categorical[validation])
        np.testing.assert_array_equal(y, TASK.y[validation])
        np.testing.assert_array_equal(weight, TASK.weight[validation])


def test_the_folds_of_a_table_are_no_copies_of_it() -> None:
    n_rows = 2000
    numeric = np.zeros((n_rows, 100))
    task = Task(Rows(numeric, np.empty((n_rows, 0), dtype=np.int32)), np.zeros(n_rows), TASK.problem)
    folds = make_folds(task.y, "regression")
    tracemalloc.start()
    try:
        cohort = make_cohort(task, folds, METRICS["rmse"])
        sizes = [member.rows.n_cells for member in cohort.members]
        assert sizes == [n_rows * 80] * 5 and tracemalloc.get_traced_memory()[1] < numeric.nbytes / 4
    finally:
        tracemalloc.stop()


def test_configurations_name_the_learners_that_are_given() -> None:
    learners: Any = {"mine": Scripted()}
    cohort = make_cohort(TASK, FOLDS, LARGER, learners)
    assert cohort.learners is learners
    config = Config("mine", {"curve": (0.1, 0.4, 0.4, 0.4), "_only_computed_with": 3})
    result = cross_validate(config, TASK, FOLDS, LARGER, seed=0, resources=RESOURCES, learners=learners)
    assert result.score == pytest.approx(0.4 + FOLD_SHIFT)
    everything = make_member(TASK, np.arange(len(TASK)), None)
    model = fit(config, everything, 2, seed=0, resources=RESOURCES, learners=learners).model
    assert model.predict(TASK.rows)[0] == 0.4
    with pytest.raises(UnknownNameError, match="no learner named 'scripted'"):
        fit(Config("scripted", {}), everything, 1, seed=0, resources=RESOURCES, learners=learners)


@pytest.mark.parametrize(("kind", "metric"), [("regression", "rmse"), ("binary", "log_loss")])
def test_lightgbm_in_lockstep_is_lightgbm_fold_by_fold(kind: str, metric: str) -> None:
    task = make_task(240, kind)
    folds: Folds = make_folds(task.y, kind, cv=3)  # type: ignore[arg-type]
    values: dict[str, Any] = {
        "learning_rate": 0.2,
        "num_leaves": 7,
        "min_data_in_leaf": 5,
        "feature_fraction": 0.7,
        "bagging_fraction": 0.8,
        "lambda_l2": 0.5,
        "min_data_per_group": 10,
        "max_rounds": 40,
    }
    config = Config("lightgbm", values)
    result = cross_validate(config, task, folds, METRICS[metric], seed=11, resources=RESOURCES)
    assert result.step < 40

    scores = []
    for number, (training, validation) in enumerate(folds.pairs):
        matrix = np.hstack([task.rows.numeric, task.rows.categorical])
        words = {name: value for name, value in values.items() if name != "max_rounds"}
        words |= {"objective": kind, "seed": 11 + number, "bagging_freq": 1, "num_threads": 1, "verbosity": -1}
        words |= {"max_bin": 255, "feature_pre_filter": False, "deterministic": True, "force_row_wise": True}
        words |= {
            name: getattr(LightGBMParams(), name)
            for name in ("lambda_l1", "extra_trees", "cat_smooth", "cat_l2", "max_cat_to_onehot")
        }
        assert task.weight is not None
        data = lightgbm.Dataset(
            matrix[training],
            task.y[training],
            weight=task.weight[training],
            categorical_feature=[3],
            params={"max_bin": 255, "feature_pre_filter": False, "verbosity": -1},
        )
        booster = lightgbm.train(words, data, num_boost_round=result.step)
        predictions = np.asarray(booster.predict(matrix[validation]))
        shaped = predictions if kind == "regression" else np.column_stack([1 - predictions, predictions])
        scores.append(METRICS[metric].score(task.y[validation], shaped, task.weight[validation]))
    assert result.fold_scores == pytest.approx(scores, rel=1e-9)
