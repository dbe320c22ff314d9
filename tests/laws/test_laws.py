"""The laws of the house, each a test with its name; what needs other processes stands in test_laws_of_processes.py."""

from __future__ import annotations

import logging
import os
import random
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest

from autotune.data.tables import read_table
from autotune.data.task import ALL_TASKS, Column, Problem, Rows, Schema, Task
from autotune.errors import NoSuccessfulTrialError
from autotune.evaluation import cross_validate
from autotune.learners import LEARNERS
from autotune.learners.baseline import ConstantModel
from autotune.learners.protocol import Member, Pace, Resources, Step, lockstep
from autotune.metrics import METRICS, Metric
from autotune.plan import Plan, make_plan
from autotune.report import Report
from autotune.settings import make_settings
from autotune.spaces.params import Choice, Float, Int
from autotune.spaces.space import Config, Space
from autotune.study import choosing
from autotune.study.strategies import Pruner, trial_seed
from autotune.tuning import run

BOOSTER = Space(
    {"lightgbm": {"learning_rate": Float(0.02, 0.3, log=True), "num_leaves": Int(2, 12), "max_rounds": 20}},
    name="booster",
)
MIXED = BOOSTER | Space({"linear": {"C": Float(0.1, 10.0, log=True)}, "knn": {"n_neighbors": Int(1, 30)}})


def make_table(n_rows: int = 150, seed: int = 0) -> pd.DataFrame:
    draws = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "size": draws.normal(size=n_rows),
            "age": draws.integers(18, 80, n_rows).astype(float),
            "zone": draws.choice(["north", "south", "west"], n_rows),
        }
    )
    frame.loc[::9, "age"] = np.nan
    frame["price"] = 3 * frame["size"] + (frame["zone"] == "west") + draws.normal(scale=0.5, size=n_rows)
    frame["sold"] = np.where(frame["price"] > frame["price"].median(), "yes", "no")
    return frame


def plan_of(data: Any, target: str = "price", **settings: Any) -> Plan:
    drop = "sold" if target == "price" else "price"
    data = data.drop(columns=drop) if isinstance(data, pd.DataFrame) else data
    words = make_settings("call", **{"random_state": 5, "space": BOOSTER, "n_trials": 5, **settings})
    sides = {name: getattr(words, name) for name in ("groups", "time", "positive", "sample_weight")}
    return make_plan(words, read_table(data, target=target, **sides), started=time.time())


def history(report: Report) -> list[Any]:
    """What a search found, but for how long it took."""
    return [replace(record, seconds=None, training=None, predicting=None) for record in report.records]


# ---- The test rows decide nothing ----


def telling_table() -> pd.DataFrame:
    """A table whose test rows, once spoilt, would change every kind of decision on a column."""
    frame = make_table(200)
    frame["always"] = 1.0
    frame["day"] = pd.date_range("2024-01-01", periods=200).strftime("%Y-%m-%d")
    frame["open"] = np.where(frame["size"] > 0.3, "true", "false")
    frame["count"] = [str(number % 7) for number in range(200)]
    frame["label"] = [f"text {number}" for number in range(200)]
    frame["grade"] = pd.Categorical(np.where(frame["age"] > 40, "high", "low"))
    return frame


def spoil(frame: pd.DataFrame, test: Any) -> pd.DataFrame:
    """Replace X and y of the test rows."""
    frame = frame.copy()
    frame["grade"] = frame["grade"].astype(object)
    rows = frame.index[test]
    frame.loc[rows, "size"] = 1e6
    frame.loc[rows, "age"] = [np.inf, *[np.nan] * (len(rows) - 1)]
    frame.loc[rows, "zone"] = [f"unheard of {number}" for number in range(len(rows))]
    frame.loc[rows, "always"] = np.arange(len(rows), dtype=float)
    frame.loc[rows, "day"] = "the day before yesterday"
    frame.loc[rows, "open"] = "maybe"
    frame.loc[rows, "count"] = "a few"
    frame.loc[rows, "label"] = "the same text"
    frame.loc[rows, "grade"] = "medium"
    frame.loc[rows, "price"] = np.linspace(-900.5, 900.5, len(rows))
    return frame


@pytest.mark.parametrize("form", ["frame", "csv"])
def test_the_test_rows_decide_nothing(form: str, tmp_path: Path) -> None:
    frame = telling_table()
    first = plan_of(frame, space=MIXED)
    assert first.test is not None
    test = np.flatnonzero(~np.isin(first.table.y, first.search.y))
    assert len(test) == len(first.test) == 40
    spoilt = spoil(frame, test)
    assert first.schema.dropped == ("always", "label")
    assert [column.kind for column in first.schema.columns if column.name in ("day", "open", "count")] == [
        *("datetime", "boolean", "numeric")
    ]

    reports = []
    for number, table in enumerate((frame, spoilt)):
        path = tmp_path / f"table_{number}.csv"
        table.drop(columns="sold").to_csv(path, index=False)
        plan = plan_of(table if form == "frame" else path, space=MIXED)
        assert plan.schema == first.schema
        np.testing.assert_array_equal(plan.search.y, first.search.y)
        np.testing.assert_array_equal(plan.search.rows.numeric, first.search.rows.numeric)
        np.testing.assert_array_equal(plan.search.rows.categorical, first.search.rows.categorical)
        reports.append(run(plan))

    same, other = reports
    assert history(other) == history(same)
    assert other.best_params == same.best_params
    assert other.best_score == same.best_score
    np.testing.assert_array_equal(other.predict(frame.iloc[:50]), same.predict(frame.iloc[:50]))
    assert other.test_score is not None and same.test_score is not None
    assert other.test_score.value > 10 * same.test_score.value


def test_the_test_rows_decide_nothing_in_classification(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = make_table()
    test, search = np.arange(0, 150, 5), np.setdiff1d(np.arange(150), np.arange(0, 150, 5))
    monkeypatch.setattr("autotune.plan.split_test", lambda *_: (search, test))  # a stratified draw depends on y
    spoilt = frame.copy()
    spoilt.loc[test, ["size", "zone"]] = [1e9, "elsewhere"]
    spoilt.loc[test, "sold"] = np.where(frame.loc[test, "sold"] == "yes", "no", "yes")

    same, other = (run(plan_of(table, "sold", space=MIXED)) for table in (frame, spoilt))
    assert history(other) == history(same)
    assert other.best_params == same.best_params
    assert str(other.test_score) != str(same.test_score)


def test_the_test_rows_decide_nothing_as_a_table_of_their_own() -> None:
    frame = make_table()
    columns = ["size", "age", "zone", "sold"]
    own = make_table(40, seed=1)[columns]
    spoilt = own.assign(size=-1e5, zone="elsewhere", sold=own["sold"].to_numpy()[::-1])
    same, other = (run(plan_of(frame, "sold", test_size=table)) for table in (own, spoilt))
    assert history(other) == history(same)
    assert other.best_params == same.best_params
    assert str(other.test_score) != str(same.test_score)


# ---- A fold never sees another's statistics ----

QUICK: dict[str, dict[str, Any]] = {
    "random_forest": {"n_estimators": 5},
    "extra_trees": {"n_estimators": 5},
    "lightgbm": {"max_rounds": 8, "min_data_in_leaf": 3, "min_data_per_group": 5},
    "mlp": {"epochs": 3, "units": 16, "batch_size": 32},
    "knn": {"n_neighbors": 5},
}
FOLD_SCHEMA = Schema(
    (Column("a", "numeric"), Column("b", "numeric"), Column("zone", "categorical", levels=("n", "s", "w")))
)


def fold_task(kind: str) -> Task:
    draws = np.random.default_rng(3)
    numeric = draws.normal(size=(90, 2))
    numeric[::11, 1] = np.nan
    zone = draws.integers(0, 4, size=(90, 1)).astype(np.int32)
    values = numeric[:, 0] + 0.1 * zone[:, 0] + np.arange(90) * 1e-6  # each value tells its row
    y = values if kind == "regression" else (values > np.median(values)).astype(np.int64)
    n_classes = 0 if kind == "regression" else 2
    problem = Problem(kind, n_classes, FOLD_SCHEMA, "log" if n_classes else "squared")  # type: ignore[arg-type]
    return Task(Rows(numeric, zone), y, problem)


@pytest.mark.parametrize("kind", ["regression", "binary"])
@pytest.mark.parametrize("name", LEARNERS)
def test_a_fold_never_sees_anothers_statistics(name: str, kind: str) -> None:
    from autotune.data.splits import Folds

    task = fold_task(kind)
    rows = np.arange(90)
    folds = Folds(tuple((rows[rows % 3 != k], rows[rows % 3 == k]) for k in range(3)), "by hand")
    changed = folds.pairs[0][1][::2]  # half of the first fold's validation rows
    numeric, categorical = task.rows.numeric.copy(), task.rows.categorical.copy()
    numeric[changed, 0], numeric[changed, 1] = 1e6, np.nan
    categorical[changed, 0] = np.where(np.arange(len(changed)) % 2, -1, 0)
    other_task = replace(task, rows=Rows(numeric, categorical))

    def seen(of: Task) -> list[Any]:
        """Predictions for the first fold, step by step."""
        kept: list[Any] = []

        def keep(y: Any, predictions: Any, weight: Any) -> float:
            kept.append(predictions)
            return 1.0 / len(kept)

        metric = Metric("kept", ALL_TASKS, "probabilities" if kind == "binary" else "values", False, keep)
        config = Config(name, QUICK.get(name, {}))
        cross_validate(config, of, folds, metric, seed=1, resources=Resources(device="cpu"))
        return kept[::3]

    before, after = seen(task), seen(other_task)
    assert len(before) == len(after)
    for one, two in zip(before, after, strict=True):
        np.testing.assert_allclose(two[1::2], one[1::2], rtol=1e-6, atol=1e-9)
    assert name == "baseline" or not np.allclose(before[-1][::2], after[-1][::2])


# ---- The winner can be replayed ----


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_the_winner_can_be_replayed(n_jobs: int) -> None:
    plan = plan_of(make_table(), space=MIXED, n_trials=6, n_jobs=n_jobs)
    report = run(plan)
    best = min((record for record in report.records if record.state == "complete"), key=lambda record: record.score)
    assert best.config is not None
    assert (best.config.flat(), best.score) == (report.best_params, report.best_score)
    seed = trial_seed(plan.seed, best.number, "model")
    again = cross_validate(best.config, plan.search, plan.folds, plan.metric, seed=seed, resources=plan.resources)
    assert again.score == best.score
    assert (again.fold_scores, again.step) == (best.fold_scores, best.step)


# ---- One job, one seed, one history ----


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "gp"])
def test_one_job_one_seed_one_history(sampler: str) -> None:
    space = MIXED if sampler == "tpe" else Space({"knn": {"n_neighbors": Int(1, 30)}})
    first, second = (run(plan_of(make_table(), space=space, sampler=sampler, n_trials=14)) for _ in range(2))
    assert history(first) == history(second)
    np.testing.assert_array_equal(first.predict(make_table(seed=2)), second.predict(make_table(seed=2)))


def test_the_sampler_that_was_chosen_goes_on_when_a_study_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words: dict[str, Any] = {"space": Space({"knn": {"n_neighbors": Int(1, 60)}}), "pruner": "none", "cv": 3}
    monkeypatch.setattr(choosing, "DEAR_VALUES", 0)
    straight = run(plan_of(make_table(), n_trials=13, **words))
    assert any(note.startswith("sampler 'gp': the one that the study was made with") for note in straight.notes)
    run(plan_of(make_table(), n_trials=6, storage=tmp_path / "s.db", **words))
    monkeypatch.undo()  # by another rule it would be TPE
    assert history(run(plan_of(make_table(), n_trials=13, storage=tmp_path / "s.db", **words))) == history(straight)
    assert history(run(plan_of(make_table(), n_trials=13, **words))) != history(straight)


def test_a_sampler_that_is_asked_for_applies_to_its_call_alone(tmp_path: Path) -> None:
    words: dict[str, Any] = {"space": Space({"knn": {"n_neighbors": Int(1, 60)}}), "cv": 3}

    def noted(name: str, n_trials: int, sampler: Any = "auto") -> list[str]:
        own = {"n_trials": n_trials, "storage": tmp_path / "s.db", "study_name": name, "sampler": sampler}
        return [note for note in run(plan_of(make_table(), **words, **own)).notes if note.startswith("sampler")]

    assert [noted("usual", 1), noted("usual", 2, "random"), noted("usual", 3)] == [[], [], []]
    assert noted("own", 1, optuna.samplers.RandomSampler(seed=0)) == []
    (note,) = noted("own", 2)
    assert note.startswith("sampler 'tpe': the study was made with a sampler of one's own")
    assert noted("own", 3) == [note]


def test_deterministic_jobs_one_seed_one_history() -> None:
    words: dict[str, Any] = {"space": MIXED, "n_jobs": 2, "deterministic": True, "n_trials": 14}
    first, second = (run(plan_of(make_table(), **words)) for _ in range(2))
    assert [replace(record, log="") for record in history(first)] == [
        replace(record, log="")
        for record in history(second)  # a warning that is given once a process is in one of them
    ]
    assert first.weights == second.weights
    assert any(note.startswith("deterministic: batches of 2 trials") for note in first.notes)
    np.testing.assert_array_equal(first.predict(make_table(seed=2)), second.predict(make_table(seed=2)))


def test_another_seed_is_another_history() -> None:
    first, second = (run(plan_of(make_table(), random_state=seed)) for seed in (1, 2))
    assert history(first) != history(second)


# ---- A failing trial is a fact; learners made for these tests ----


@dataclass(frozen=True)
class BrittleParams:
    x: float = 0.25
    fails: str = "never"


class Brittle:
    """Its score is best near x = 0.3; with `fails` it raises, or predicts NaN after five steps, where x > 0.4."""

    name = "brittle"
    tasks = ALL_TASKS
    Params: type[Any] = BrittleParams

    def train(
        self, members: Sequence[Member], params: BrittleParams, *, seed: int, resources: Resources
    ) -> Iterator[Step]:
        return lockstep(_grow, members, params, seed, resources)

    def pace(self, params: BrittleParams) -> Pace:
        return Pace(worth=1.0, first_rung=3.0, patience=100)


def _grow(
    member: Member, params: BrittleParams, seed: int, resources: Resources
) -> Iterator[Callable[[], ConstantModel]]:
    bad = params.x > 0.4 or params.fails == "always"
    if bad and params.fails in ("raises", "always"):
        raise ValueError(f"no model with x = {params.x:.3f}")
    for step in range(1, 13):
        error = abs(params.x - 0.3) + 0.2 / step + 0.001 * (seed % 7)
        value = np.nan if bad and params.fails == "is not finite" and step > 5 else member.y.mean() + error

        def make(value: float = value) -> ConstantModel:
            return ConstantModel(np.asarray(value))

        yield make


@pytest.fixture
def brittle(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Space]:
    monkeypatch.setitem(LEARNERS._entries, "brittle", Brittle)
    return lambda fails: Space({"brittle": {"x": Float(0.0, 1.0, default=0.25), "fails": fails}}, name="brittle")


@pytest.mark.parametrize(
    ("sampler", "fails", "n_trials"), [("tpe", "raises", 50), ("tpe", "is not finite", 50), ("gp", "raises", 25)]
)
def test_a_failing_trial_is_a_fact(brittle: Callable[[str], Space], sampler: str, fails: str, n_trials: int) -> None:
    report = run(plan_of(make_table(), space=brittle(fails), sampler=sampler, n_trials=n_trials, pruner="none"))
    failed = [record for record in report.records if record.state == "failed"]
    reason = "no model with x" if fails == "raises" else "rmse is nan"
    assert failed and all(reason in record.reason for record in failed)
    assert {record.number for record in failed} == {
        record.number for record in report.records if record.config is not None and record.config.params["x"] > 0.4
    }
    baseline = report.study.user_attrs["autotune:baseline"]
    for record in failed:
        trial = report.study.trials[record.number]
        assert trial.state == optuna.trial.TrialState.COMPLETE
        assert trial.value == baseline
        assert max(trial.constraints.values()) > 0
    table = report.leaderboard()
    shown = table[table["state"] == "failed"]
    assert shown["reason"].str.contains(reason).all() and shown["rank"].isna().all() and shown["score"].isna().all()
    assert report.best_params["x"] <= 0.4
    informed = [record for record in report.records if record.number >= 10]
    assert sum(record in failed for record in informed) <= 0.4 * len(informed)  # blind draws would fail in 60 %
    assert "failed ×" in str(report) and reason in str(report)


def test_a_failing_trial_is_a_fact_even_when_all_fail(brittle: Callable[[str], Space]) -> None:
    with pytest.raises(NoSuccessfulTrialError, match=r"all 3 finished trials failed.*ValueError: no model with x"):
        run(plan_of(make_table(), space=brittle("always"), n_trials=3))


# ---- A study cut in two ----


@pytest.mark.parametrize(("sampler", "fails"), [("tpe", "is not finite"), ("qmc", "never")])
def test_a_study_cut_in_two_and_resumed_has_the_history_of_the_uncut_one(
    brittle: Callable[[str], Space], sampler: str, fails: str, tmp_path: Path
) -> None:
    words: dict[str, Any] = {"space": brittle(fails), "sampler": sampler}
    uncut = run(plan_of(make_table(), n_trials=16, storage=tmp_path / "uncut.db", **words))
    half = run(plan_of(make_table(), n_trials=8, storage=tmp_path / "cut.db", **words))
    assert len(half.records) == 8
    whole = run(plan_of(make_table(), n_trials=16, storage=tmp_path / "cut.db", **words))
    assert history(whole) == history(uncut)
    assert {"complete", "pruned"} <= {record.state for record in whole.records}
    assert (whole.look, uncut.look) == (2, 1)


def test_a_study_cut_in_two_with_a_real_learner(tmp_path: Path) -> None:
    uncut = run(plan_of(make_table(), n_trials=12, storage=tmp_path / "uncut.db"))
    run(plan_of(make_table(), n_trials=6, storage=tmp_path / "cut.db"))
    whole = run(plan_of(make_table(), n_trials=12, storage=tmp_path / "cut.db"))
    assert history(whole) == history(uncut)


# ---- A pruned score is never ranked ----


def test_a_pruned_score_is_never_ranked_with_complete_ones(brittle: Callable[[str], Space]) -> None:
    space = brittle("never")
    stop_all = Pruner(at_rung=lambda own, peers: False, after_fold=lambda mean, incumbent: False)
    worst_first = Space({"brittle": {**space.learners["brittle"], "x": Float(0.0, 1.0, default=1.0)}})
    report = run(plan_of(make_table(), space=worst_first, pruner=stop_all, n_trials=8))
    first, *others = report.records
    assert first.state == "complete" and first.score is not None
    assert all(record.state == "pruned" and "pruned at rung" in record.reason for record in others)
    assert min(record.score for record in others if record.score is not None) < first.score  # rmse: better
    assert report.best_score == first.score
    table = report.leaderboard()
    assert table["number"][0] == 0 and table["rank"].notna().sum() == 1


# ---- The library changes nothing global ----


def test_the_library_changes_nothing_global() -> None:
    import torch

    space = MIXED | Space({"mlp": {"epochs": 2, "units": 8, "optimizer": Choice(("sgd", "adamw"))}})
    run(plan_of(make_table(60), space=space, n_trials=6))  # what imports do is not the run's doing

    def everything() -> dict[str, Any]:
        loggers = [logging.getLogger(), *map(logging.getLogger, sorted(logging.root.manager.loggerDict))]
        return {
            "logging": [(logger.name, logger.level, list(logger.handlers), logger.disabled) for logger in loggers],
            "warnings": [tuple(getattr(part, "pattern", part) for part in each) for each in warnings.filters],
            "random": random.getstate(),
            "numpy": str(np.random.get_state()),
            "numpy errors": np.geterr(),
            "torch": torch.get_rng_state().tolist(),
            "torch threads": torch.get_num_threads(),
            "torch determinism": torch.are_deterministic_algorithms_enabled(),
            "torch type": torch.get_default_dtype(),
            "environment": dict(os.environ),
            "folder": Path.cwd(),
            "pandas": pd.get_option("display.max_rows"),
        }

    before = everything()
    report = run(plan_of(make_table(60), space=space, n_trials=6, metric=METRICS["mae"]))
    assert {record.config.learner for record in report.records if record.config} == {"lightgbm", "linear", "knn", "mlp"}
    after = everything()
    for name, value in before.items():
        assert after[name] == value, name
