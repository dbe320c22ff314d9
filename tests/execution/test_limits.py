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
        ({"trial_timeout": "soon"}, "trial_timeout='soon' is no length of time"),
        ({"ensemble": 0}, "ensemble=0 is no whole number of at least 1"),
    ],
)
def test_wrong_limits_are_refused_before_anything_runs(words: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        autotune.optimize(hangs, X, **words) if "ensemble" not in words else autotune.tune([[1]], [1], **words)
