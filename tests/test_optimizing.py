"""Optimizing a function: the study, workers, budgets and storages, without a table."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

import autotune
from autotune import Choice, Derived, Float, Int
from autotune.errors import NoSuccessfulTrialError, SettingsError, SpaceError, StudyMismatchError

BOWL = {"x": Float(-5.0, 5.0), "y": Float(-5.0, 5.0)}


def bowl(params: dict[str, float]) -> float:
    return (params["x"] - 1) ** 2 + (params["y"] + 2) ** 2


def curve(params: dict[str, float]) -> Iterator[float]:
    for step in range(1, 41):
        yield (params["x"] - 1) ** 2 + 3 / step


def test_the_best_configuration_is_found_and_reported() -> None:
    found = autotune.optimize(bowl, BOWL, n_trials=60, random_state=0)
    assert found.best_score == pytest.approx(bowl(found.best_params)) and found.best_score < 0.5
    assert len(found.leaderboard()) == 60 and found.leaderboard()["score"].iloc[0] == found.best_score
    assert "best score" in str(found) and "60 complete" in str(found)
    assert isinstance(found.study, optuna.Study) and found.study.best_value == found.best_score


def test_one_seed_gives_one_history_and_maximizing_turns_it_round() -> None:
    one, other = (autotune.optimize(bowl, BOWL, n_trials=15, random_state=3) for _ in range(2))
    assert [record.score for record in one.records] == [record.score for record in other.records]
    largest = autotune.optimize(bowl, BOWL, direction="maximize", n_trials=15, random_state=3)
    assert largest.best_score == max(record.score or 0 for record in largest.records)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_function_that_yields_is_pruned(n_jobs: int) -> None:
    found = autotune.optimize(curve, {"x": Float(-5.0, 5.0)}, n_trials=25, n_jobs=n_jobs, random_state=0)
    states = [record.state for record in found.records]
    assert len(states) == 25 and states.count("pruned") >= 8
    assert found.records[0].state == "complete"


def test_a_study_goes_on_where_it_stopped_and_refuses_another_question(tmp_path: Path) -> None:
    storage = str(tmp_path / "o.db")
    words: dict[str, Any] = {"storage": storage, "study_name": "mine", "random_state": 1}
    first = autotune.optimize(bowl, BOWL, n_trials=5, **words)
    again = autotune.optimize(bowl, BOWL, n_trials=9, **words)
    assert len(again.records) == 9 and again.records[:5] == first.records
    straight = autotune.optimize(bowl, BOWL, n_trials=9, random_state=1)
    assert [record.score for record in straight.records] == [record.score for record in again.records]
    with pytest.raises(StudyMismatchError, match="another space"):
        autotune.optimize(bowl, {"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)}, n_trials=9, **words)
    with pytest.raises(StudyMismatchError, match="another objective"):
        autotune.optimize(curve, BOWL, n_trials=9, **words)


def test_a_finite_space_ends_the_search_with_a_line() -> None:
    found = autotune.optimize(lambda params: params["n"] % 7, {"n": Int(1, 12)}, n_trials=50, random_state=0)
    assert sorted(record.config.params["n"] for record in found.records if record.config) == list(range(1, 13))
    assert found.notes == ("all 12 configurations of the space have been tried: the search ended with them",)
    assert found.best_params == {"n": 7}


def test_a_failing_configuration_is_a_fact() -> None:
    def function(params: dict[str, Any]) -> float:
        if params["mode"] == "bad":
            raise ValueError("no such mode")
        return 1.0 / params["n"]

    found = autotune.optimize(function, {"mode": Choice(["good", "bad"]), "n": Int(1, 5)}, random_state=0)
    failed = [record for record in found.records if record.state == "failed"]
    assert len(failed) == 5 and all("no such mode" in record.reason for record in failed)
    assert found.best_params == {"mode": "good", "n": 5}


def test_a_function_that_always_fails_ends_with_its_reason() -> None:
    with pytest.raises(NoSuccessfulTrialError, match="ZeroDivisionError"):
        autotune.optimize(lambda params: 1 / 0, BOWL, n_trials=3)


def test_derived_values_and_documents_are_spaces_too() -> None:
    space = {"_half": Float(0.0, 1.0), "x": Derived("2 * _half")}
    found = autotune.optimize(lambda params: (params["x"] - 1) ** 2, space, n_trials=5, random_state=0)
    assert found.best_params["x"] == 2 * found.best_params["_half"]
    document = {"version": 1, "mine": {"x": {"int": [1, 3]}}}
    assert autotune.optimize(lambda params: params["x"], document, random_state=0).best_params == {"x": 1}


def test_wrong_words_end_before_the_function_is_called() -> None:
    def never(params: dict[str, Any]) -> float:
        raise AssertionError("called")

    with pytest.raises(SettingsError, match="direction='up'"):
        autotune.optimize(never, BOWL, direction="up")
    with pytest.raises(SpaceError, match="not below"):
        autotune.optimize(never, {"x": {"float": [2, 1]}})


SCRIPT = """
def scored(params, seed):
    for step in range(1, 20):
        yield (params["x"] - 1) ** 2 + 1 / step
"""


def test_the_command_optimizes_a_function_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SCRIPT)
    (tmp_path / "mine.yaml").write_text("version: 1\nobjective:\n  x: {float: [-3, 3], default: 2}\n")
    command = [sys.executable, "-m", "autotune", "optimize", "mine.py:scored", "--space", "mine.yaml"]
    command += ["--n-trials", "8", "--n-jobs", "2", "--random-state", "0", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["n_trials"] == 8 and set(found["best_params"]) == {"x"} and found["best_score"] < 1.2
    assert (tmp_path / "autotune.db").is_file()
