"""A study that begins with the trials of an older one."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState
from sklearn.datasets import load_breast_cancer

import autotune
from autotune import Choice, Fixed, Float, Int
from autotune.errors import SettingsError, StudyMismatchError, UnknownNameError
from autotune.optimizing import Optimization
from autotune.spaces.space import Config, Space
from autotune.study.records import TrialRecord
from autotune.study.rows import CONFIG, ORIGIN
from autotune.study.seeding import translated

NARROW = {"x": Float(0, 5)}
WIDE = {"x": Float(-5, 5)}


def square(params: dict[str, Any]) -> float:
    if params["x"] > 4.5:
        raise ValueError("too far")
    return float(params["x"] - 2) ** 2


def optimized(storage: Any, space: Any, name: str, n_trials: int, **words: Any) -> Optimization:
    return autotune.optimize(square, space, storage=storage, study_name=name, n_trials=n_trials, **words)


@pytest.fixture(params=["sqlite", "journal"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / {"sqlite": "s.db", "journal": "s.journal"}[request.param]


def told(records: tuple[TrialRecord, ...]) -> list[Any]:
    return [(each.config, each.state, each.score, each.fold_scores) for each in records]


def test_a_wider_study_begins_with_all_trials_and_goes_on(storage: Path) -> None:
    old = optimized(storage, NARROW, "old", 10, random_state=1)
    assert {record.state for record in old.records} == {"complete", "failed"}
    new = optimized(storage, WIDE, "new", 14, from_study="old")
    assert told(new.records[:10]) == told(old.records) and new.seed == old.seed
    assert [record.origin for record in new.records] == [*range(10), *[None] * 4]
    assert len({str(record.config) for record in new.records}) == 14
    again = optimized(storage, WIDE, "new", 16, from_study="old")
    assert told(again.records[:14]) == told(new.records), "nothing is copied twice"
    third = optimized(storage, {"x": Float(-9, 9)}, "third", 16, from_study="new")
    assert [record.origin for record in third.records][:10] == list(range(10)), "the seed stays that of the first run"
    assert all(autotune.replay(storage, "third", n, objective=square).agrees for n in range(16))


def test_what_is_none_of_the_new_space_is_left(storage: Path) -> None:
    old = optimized(storage, NARROW, "old", 10, random_state=1)
    kept = [each for each in old.records if each.config and each.config.params["x"] <= 3]
    assert 0 < len(kept) < 10
    new = optimized(storage, {"x": Float(-5, 3, default=0.5)}, "new", len(kept) + 1, from_study="old")
    assert told(new.records[:-1]) == told(tuple(kept))
    assert [each.origin for each in new.records[:-1]] == [each.number for each in kept]
    last = new.records[-1].config
    assert last is not None and last.params == {"x": 0.5}, "the default of the new space is tried first"


def test_trials_that_another_program_told_are_left(storage: Path) -> None:
    old = optimized(storage, NARROW, "old", 3, random_state=1)
    trial = old.study.ask()
    old.study._storage.set_trial_user_attr(trial._trial_id, CONFIG, {"learner": "objective", "x": 1.0})
    old.study.tell(trial, state=TrialState.FAIL)
    new = optimized(storage, WIDE, "new", 4, from_study="old")
    assert told(new.records[:3]) == told(old.records)
    assert [record.origin for record in new.records] == [0, 1, 2, None]


def test_two_who_begin_at_once_copy_each_trial_once(tmp_path: Path) -> None:
    storage = tmp_path / "s.db"
    optimized(storage, NARROW, "old", 20, random_state=1)
    threads = [
        threading.Thread(target=optimized, args=(storage, WIDE, "new", 20), kwargs={"from_study": "old"})
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    new = optimized(storage, WIDE, "new", 20)
    assert sorted(record.origin for record in new.records if record.origin is not None) == list(range(20))


def test_another_question_is_no_beginning(tmp_path: Path) -> None:
    storage = tmp_path / "s.db"
    optimized(storage, NARROW, "old", 2, random_state=1)
    with pytest.raises(StudyMismatchError, match="of another direction"):
        optimized(storage, WIDE, "new", 3, from_study="old", direction="maximize")
    with pytest.raises(SettingsError, match="has random_state=1, found 2"):
        optimized(storage, WIDE, "new", 3, from_study="old", random_state=2)
    with pytest.raises(SettingsError, match="cannot begin with itself"):
        optimized(storage, WIDE, "old", 3, from_study="old")
    with pytest.raises(UnknownNameError, match="no study in this storage named 'odl'"):
        optimized(storage, WIDE, "new", 3, from_study="odl")
    assert len(optimized(storage, NARROW, "old", 0).records) == 2


def test_a_table_s_study_is_widened_and_its_trials_mix_and_replay(tmp_path: Path) -> None:
    bunch = load_breast_cancer(as_frame=True)
    words: dict[str, Any] = {
        "data": bunch.frame.iloc[:200, [0, 1, 2, 3, -1]],
        "target": "target",
        "storage": tmp_path / "s.db",
        "progress": False,
    }
    old = autotune.tune(**words, space={"linear": {"C": Float(0.1, 1)}}, n_trials=3, study_name="old", random_state=0)
    space = {"linear": {"C": Float(0.01, 10, log=True), "penalty": Choice(["l1", "l2"])}, "knn": {}}
    new = autotune.tune(**words, space=space, n_trials=6, study_name="new", from_study="old", ensemble=3)
    assert [each.score for each in new.records[:3]] == [each.score for each in old.records]
    assert new.records[2].config is not None and new.records[2].config.params["penalty"] == "l2"
    assert new.look == 2, "the same rows have been looked at before"
    tried = [each.config for each in new.records]
    assert Config("knn", {}) in tried[3:5], "the default of a new learner"
    assert autotune.replay(words["storage"], "new", 2, words["data"]).agrees
    assert new.study.trials[0].user_attrs[ORIGIN]["study"] == "old"


@pytest.mark.parametrize(
    ("params", "space", "found"),
    [
        ({"k": 5}, {"k": Int(1, 9)}, {"k": 5}),
        ({"k": 5}, {"k": Int(6, 9)}, None),
        ({"k": 5}, {"k": Int(1, 9), "p": Int(1, 3)}, {"k": 5, "p": 2}),
        ({"k": 5}, {"k": Int(1, 9), "p": Int(3, 4)}, None),
        ({"k": 5}, {"k": Int(1, 9), "unknown": Int(3, 4)}, None),
        ({"k": 5, "p": 2}, {"k": Int(1, 9)}, {"k": 5}),
        ({"k": 5, "p": 1}, {"k": Int(1, 9)}, None),
        ({"k": 5}, {"k": Fixed(5)}, {"k": 5}),
        ({"k": 5}, {"k": Fixed(6)}, None),
        ({"k": 5}, {"k": Int(1, 9), "p": Int(1, 3, when={"k": [7]})}, {"k": 5}),
        ({"k": 5}, {"k": Int(1, 9, fidelity=True)}, None),
        ({"k": 9}, {"k": Int(1, 9, fidelity=True)}, {"k": 9}),
    ],
)
def test_a_configuration_is_read_in_another_space(params: Any, space: Any, found: Any) -> None:
    config = translated(Config("a", params), Space({"a": space}), {"k": 15, "p": 2})
    assert (config.params if config else None) == found
