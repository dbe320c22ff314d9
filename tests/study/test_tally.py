"""What is kept up trial by trial says what a look at all trials would."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from autotune.ensemble import contenders
from autotune.spaces.space import Config
from autotune.study.records import TrialRecord, ranked
from autotune.study.tally import Tally


def tally_of(records: Sequence[TrialRecord], *, maximize: bool = True) -> Tally:
    tally = Tally(maximize=maximize)
    for record in records:
        if record.config is not None:
            tally.began(record.number, record.config.learner)
        if record.state != "running":
            tally.ended(record)
    return tally


def beaten(records: Sequence[TrialRecord], *, maximize: bool) -> set[str]:
    return tally_of(records, maximize=maximize).beaten(len(records))


def scored(number: int, learner: str, *folds: float, state: Any = "complete") -> TrialRecord:
    score = sum(folds) / len(folds) if folds else None
    return TrialRecord(number, state, Config(learner, {}), score, folds)


def test_a_learner_is_beaten_when_its_best_is_worse_than_the_best_trials_worst_fold() -> None:
    records = [scored(0, "good", 0.90, 0.94), *(scored(n, "near", 0.80, 1.0) for n in (1, 2))]
    records += [scored(n, "far", 0.80, 0.98) for n in (3, 4)]
    assert beaten(records, maximize=True) == {"far"}
    assert beaten(records, maximize=False) == set()  # the smallest is 0.89, its worst fold 0.98
    better = [*records, scored(5, "far", 0.99, 0.99)]
    assert beaten(better, maximize=True) == {"near"}  # good had but one trial


def test_a_beaten_learner_gets_its_share_all_the_same() -> None:
    records = [scored(number, "good", 0.9, 0.9) for number in range(60)]
    for n_far, expected in ((1, set()), (3, set()), (4, {"far"})):
        far = [scored(60 + n, "far", 0.1, 0.1) for n in range(n_far)]
        assert beaten([*records, *far], maximize=True) == expected


def test_nobody_is_beaten_by_a_trial_without_folds_or_without_a_score() -> None:
    assert beaten([], maximize=True) == set()
    alone = [scored(0, "a", 0.9), scored(1, "b", 0.1), scored(2, "b", 0.1)]
    assert beaten(alone, maximize=True) == set()  # objectives have a single score
    assert beaten([scored(0, "a"), scored(1, "b", 0.5, state="pruned")], maximize=True) == set()


@pytest.mark.parametrize("maximize", [False, True])
def test_the_order_in_which_trials_end_is_all_the_same(maximize: bool) -> None:
    draw = random.Random(0)
    states = ["complete"] * 6 + ["pruned", "failed", "running"]
    scores = [round(draw.random(), 1) for _ in range(60)]
    records = [
        scored(number, draw.choice("abc"), score, score + 0.1, state=draw.choice(states))
        for number, score in enumerate(scores)
    ]
    shuffled = draw.sample(records, len(records))
    best_first = [each for each in ranked(records, maximize=maximize) if each.state == "complete"]
    for tally in (tally_of(records, maximize=maximize), tally_of(shuffled, maximize=maximize)):
        assert (tally.best, tally.worst) == (best_first[0], best_first[-1])
        assert tally.beaten(60) == tally_of(records, maximize=maximize).beaten(60)
        leaders, everything = (contenders(each, maximize=maximize) for each in (tally.leaders(), records))
        assert leaders == everything and len(tally.leaders()) < len(best_first)
        over = [each.number for each in records if each.state != "running"]
        assert [tally.n_ended_after(n) for n in range(60)] == [sum(each > n for each in over) for n in range(60)]


def test_a_trial_that_is_heard_of_twice_counts_once() -> None:
    tally = tally_of([scored(0, "good", 0.9, 0.9), scored(1, "poor", 0.1, 0.1)])
    tally.began(1, "poor")
    assert tally.beaten(2) == set()
    tally.began(2, "poor")
    assert tally.beaten(3) == {"poor"}
