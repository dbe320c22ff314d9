"""Records of trials, their order, and the leaderboard."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from autotune.spaces.space import Config
from autotune.study.records import TrialRecord, beaten_learners, leaderboard, ranked, spread

C = Config("linear", {"C": 1.0})
RECORDS = (
    TrialRecord(0, "complete", C, 0.7, (0.6, 0.8), 3, 3.0, {}, 1.5),
    TrialRecord(1, "pruned", Config("knn", {"p": 2.0}), 0.99, reason="pruned at rung 2", seconds=0.5),
    TrialRecord(2, "failed", C, None, reason="ValueError: no"),
    TrialRecord(3, "complete", C, 0.8, (0.7, 0.9), 4, 4.0, {}, 2.5),
    TrialRecord(4, "running", None, None),
    TrialRecord(5, "complete", C, 0.8, (0.8, 0.8), 5, 5.0, {}, 2.5, "cut at the deadline", True),
    TrialRecord(6, "failed", C, None, reason="ValueError: no"),
)


@pytest.mark.parametrize(("maximize", "order"), [(True, [3, 5, 0, 1, 2, 6, 4]), (False, [0, 3, 5, 1, 2, 6, 4])])
def test_complete_trials_come_first_best_first_ties_to_the_earlier(maximize: bool, order: list[int]) -> None:
    assert [record.number for record in ranked(RECORDS, maximize=maximize)] == order
    assert [record.number for record in ranked(RECORDS[::-1], maximize=maximize)] == order


def test_the_leaderboard_ranks_complete_trials_only() -> None:
    table = leaderboard(RECORDS, maximize=True)
    assert list(table.columns) == [
        *("rank", "number", "state", "score", "sd", "step", "seconds", "learner", "C", "p", "reason")
    ]
    assert table["rank"].tolist()[:3] == [1, 2, 3] and table["rank"][3:].isna().all()
    assert table["score"].tolist()[:4] == [0.8, 0.8, 0.7, 0.99]
    assert table["score"][4:].isna().all()
    assert table["learner"].tolist()[:4] == ["linear", "linear", "linear", "knn"]
    assert table["reason"].tolist()[1:5] == ["cut at the deadline", "", "pruned at rung 2", "ValueError: no"]
    assert str(table["step"].dtype) == str(table["rank"].dtype) == "Int64"
    assert table["sd"][2] == pytest.approx(pd.Series([0.6, 0.8]).std())


def test_the_leaderboard_of_nothing_is_empty() -> None:
    assert len(leaderboard((), maximize=True)) == 0


def test_one_fold_has_no_spread() -> None:
    assert spread([]) is None
    assert spread([0.5]) is None
    assert spread([1.0, 2.0, 4.0]) == pytest.approx(pd.Series([1.0, 2.0, 4.0]).std())


def scored(number: int, learner: str, *folds: float, state: Any = "complete") -> TrialRecord:
    score = sum(folds) / len(folds) if folds else None
    return TrialRecord(number, state, Config(learner, {}), score, folds)


def test_a_learner_is_beaten_when_its_best_is_worse_than_the_best_trials_worst_fold() -> None:
    records = [scored(0, "good", 0.90, 0.94), *(scored(n, "near", 0.80, 1.0) for n in (1, 2))]
    records += [scored(n, "far", 0.80, 0.98) for n in (3, 4)]
    assert beaten_learners(records, maximize=True) == {"far"}
    assert beaten_learners(records, maximize=False) == set()  # the smallest is 0.89, its worst fold 0.98
    better = [*records, scored(5, "far", 0.99, 0.99)]
    assert beaten_learners(better, maximize=True) == {"near"}  # good had but one trial


def test_a_beaten_learner_gets_its_share_all_the_same() -> None:
    records = [scored(number, "good", 0.9, 0.9) for number in range(60)]
    for n_far, beaten in ((1, set()), (3, set()), (4, {"far"})):
        far = [scored(60 + n, "far", 0.1, 0.1) for n in range(n_far)]
        assert beaten_learners([*records, *far], maximize=True) == beaten


def test_nobody_is_beaten_by_a_trial_without_folds_or_without_a_score() -> None:
    assert beaten_learners([], maximize=True) == set()
    alone = [scored(0, "a", 0.9), scored(1, "b", 0.1), scored(2, "b", 0.1)]
    assert beaten_learners(alone, maximize=True) == set()  # objectives have a single score
    assert beaten_learners([scored(0, "a"), scored(1, "b", 0.5, state="pruned")], maximize=True) == set()


def test_a_parameter_called_like_a_column_stands_beside_it() -> None:
    record = TrialRecord(0, "complete", Config("model", {"step": 0.5, "score": "x", "rate": 1}), 0.9, (0.9,), step=7)
    row = leaderboard([record], maximize=True).iloc[0]
    assert (row["step"], row["score"], row["params.step"], row["params.score"], row["rate"]) == (7, 0.9, 0.5, "x", 1)
