"""Limits of a trial, and searches that end early."""

from __future__ import annotations

import time
from typing import Any

import pytest

import autotune
from autotune.errors import SettingsError
from autotune.settings import parse_bytes

X = {"x": autotune.Float(0, 1)}
WORDS: dict[str, Any] = {"random_state": 0, "sampler": "random", "pruner": "none", "progress": False}


def hangs(params: dict[str, Any]) -> float:
    if params["x"] > 0.6:
        time.sleep(600)
    return params["x"]


def hoards(params: dict[str, Any]) -> float:
    if params["x"] > 0.6:
        return float(len(bytearray(8 * 10**9)))
    return params["x"]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_trial_that_hangs_is_killed_at_its_limit_and_the_others_go_on(n_jobs: int) -> None:
    found = autotune.optimize(hangs, X, n_trials=6, trial_timeout=1, n_jobs=n_jobs, **WORDS)
    slow = [record.config is not None and record.config.params["x"] > 0.6 for record in found.records]
    assert any(slow) and not all(slow)
    assert [record.state == "failed" for record in found.records] == slow
    assert {record.reason for record in found.records if record.state == "failed"} == {
        "it ran longer than trial_timeout=1 s"
    }


def test_a_trial_that_needs_too_much_memory_fails_alone() -> None:
    found = autotune.optimize(hoards, X, n_trials=6, memory_limit="4GB", **WORDS)
    greedy = [record.config is not None and record.config.params["x"] > 0.6 for record in found.records]
    assert any(greedy) and not all(greedy)
    assert [record.state == "failed" for record in found.records] == greedy
    assert all(record.reason.startswith("MemoryError") for record in found.records if record.state == "failed")


def test_the_search_ends_when_patience_does() -> None:
    found = autotune.optimize(lambda params: params["x"], X, n_trials=60, patience=5, **WORDS)
    best = min(found.records, key=lambda record: record.score or 0.0)
    assert len(found.records) == best.number + 1 + 5
    assert found.notes == (f"the search ended: 5 trials after trial {best.number} were no better",)


@pytest.mark.parametrize(("direction", "target"), [("minimize", 0.1), ("maximize", 0.9)])
def test_the_search_ends_at_the_target(direction: str, target: float) -> None:
    words = {**WORDS, "direction": direction, "target_score": target}
    found = autotune.optimize(lambda params: params["x"], X, n_trials=200, **words)
    good = [
        (record.score or 0.0) <= target if direction == "minimize" else record.score >= target
        for record in found.records
    ]
    assert good == [False] * (len(good) - 1) + [True]
    assert found.notes == (f"the search ended with trial {len(good) - 1}: target_score={target:g} is reached",)


@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_the_search_ends_when_less_is_to_be_gained_in_units_of_the_metric(scale: float) -> None:
    def square(params: dict[str, Any]) -> float:
        return scale * (params["x"] - 0.4) ** 2

    words = {**WORDS, "sampler": "tpe", "n_trials": 100}
    far, near = (autotune.optimize(square, X, min_gain=scale * gain, **words) for gain in (0.01, 0.0003))
    assert 20 <= len(far.records) <= len(near.records) < 100
    assert far.best_score < 0.01 * scale and near.best_score < 0.0003 * scale  # the optimum is 0
    (note,) = near.notes
    assert note.startswith("the search ended: no more than ")
    assert note.endswith(f"by a bound of 90 % (min_gain={0.0003 * scale:g})")
    assert float(note.split()[6]) < 0.0003 * scale


def test_what_is_to_be_gained_is_seen_in_conditional_spaces_with_pruned_and_failed_trials() -> None:
    def objective(params: dict[str, Any], learner: str) -> Any:
        if params.get("x", 0.0) > 0.9:
            raise ValueError("too far")
        for step in range(1, 9):
            yield params.get("x", 0.0) ** 2 + params.get("y", 0.01) + (learner == "poor") + 1 / step

    near = {"x": autotune.Float(0, 1), "k": autotune.Choice(["a", "b"])}
    space = autotune.Space({"near": {**near, "y": autotune.Float(0, 0.02, when={"k": "b"})}, "poor": {"n": 3}})
    words = {**WORDS, "pruner": "median", "n_trials": 150}
    found = autotune.optimize(objective, space, min_gain=0.3, **words)
    assert {"complete", "pruned", "failed"} == {record.state for record in found.records}
    assert len(found.records) < 150 and "with near, by a bound" in found.notes[0]
    fixed = autotune.Space({"near": {"n": 2}, "poor": {"x": autotune.Float(0, 1)}})
    blind = autotune.optimize(lambda params: params.get("x", -1.0), fixed, min_gain=9.0, n_trials=25, **WORDS)
    assert len(blind.records) == 25  # the best one's learner has no parameter: nothing is known


@pytest.mark.parametrize(
    ("text", "n_bytes"), [("4GB", 4 * 10**9), ("1.5 GiB", 3 * 2**29), (1000, 1000), ("10k", 10**4)]
)
def test_amounts_of_memory(text: Any, n_bytes: int) -> None:
    assert parse_bytes(text) == n_bytes


@pytest.mark.parametrize("text", ["much", "-1GB", "0", True, "4 XB"])
def test_wrong_amounts_of_memory(text: Any) -> None:
    with pytest.raises(SettingsError, match="is no amount of memory"):
        parse_bytes(text)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"patience": 0}, "patience=0 is no whole number of at least 1"),
        ({"target_score": "high"}, "target_score='high' is no number"),
        ({"target_score": float("nan")}, "target_score=nan is no number"),
        ({"min_gain": 0}, "min_gain=0 is no gain above zero"),
        ({"min_gain": True}, "min_gain=True is no number"),
        ({"deterministic": "yes"}, "deterministic='yes' is neither True nor False"),
        ({"trial_timeout": "soon"}, "trial_timeout='soon' is no length of time"),
        ({"ensemble": 0}, "ensemble=0 is no whole number of at least 1"),
    ],
)
def test_wrong_limits_are_refused_before_anything_runs(words: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        autotune.optimize(hangs, X, **words) if "ensemble" not in words else autotune.tune([[1]], [1], **words)
