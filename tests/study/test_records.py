"""Records of trials, their order, and the leaderboard."""

from __future__ import annotations

import pandas as pd
import pytest

from autotune.spaces.space import Config
from autotune.study.records import TrialRecord, leaderboard, ranked, spread

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


def test_a_parameter_called_like_a_column_stands_beside_it() -> None:
    record = TrialRecord(0, "complete", Config("model", {"step": 0.5, "score": "x", "rate": 1}), 0.9, (0.9,), step=7)
    row = leaderboard([record], maximize=True).iloc[0]
    assert (row["step"], row["score"], row["params.step"], row["params.score"], row["rate"]) == (7, 0.9, 0.5, "x", 1)
