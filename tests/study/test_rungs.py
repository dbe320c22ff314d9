"""Who may go on: the rules over rungs and folds."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from autotune.curve import Progress
from autotune.spaces.space import Config
from autotune.study.records import TrialRecord
from autotune.study.rungs import Rungs
from autotune.study.strategies import PRUNERS, Pruner

FIRST_RUNG = 2.5


def complete(number: int, score: float, worth: float = 30.0, rungs: dict[int, float] | None = None) -> TrialRecord:
    config = Config("lightgbm", {})
    return TrialRecord(number, "complete", config, score, (score - 0.1, score + 0.1), 10, worth, rungs or {})


def rungs_of(*records: TrialRecord, pruner: str = "halving", maximize: bool = True) -> Rungs:
    rungs = Rungs(PRUNERS[pruner], maximize=maximize)
    for record in records:
        rungs.finished(record)
    return rungs


PEERS = [complete(number, 0.9, rungs={3: score}) for number, score in enumerate((0.5, 0.6, 0.7, 0.8, 0.9))]


@pytest.mark.parametrize(("score", "goes_on"), [(0.55, False), (0.75, False), (0.85, True), (0.95, True)])
def test_the_best_third_at_a_rung_goes_on(score: float, goes_on: bool) -> None:
    assert rungs_of(*PEERS).may_go_on("lightgbm", 9, Progress(3, 9.0, score), FIRST_RUNG) == goes_on


@pytest.mark.parametrize(("score", "goes_on"), [(0.55, True), (0.65, False), (0.75, False)])
def test_smaller_scores_are_better_when_minimizing(score: float, goes_on: bool) -> None:
    rungs = rungs_of(*PEERS, maximize=False)
    assert rungs.may_go_on("lightgbm", 9, Progress(3, 9.0, score), FIRST_RUNG) == goes_on


def test_few_peers_decide_nothing() -> None:
    assert rungs_of(*PEERS[:3]).may_go_on("lightgbm", 9, Progress(3, 9.0, 0.0), FIRST_RUNG)
    assert not rungs_of(*PEERS[:4]).may_go_on("lightgbm", 9, Progress(3, 9.0, 0.0), FIRST_RUNG)


def test_the_first_trial_is_never_stopped() -> None:
    assert rungs_of(*PEERS).may_go_on("lightgbm", 0, Progress(3, 9.0, 0.0), FIRST_RUNG)


def test_another_learner_is_not_compared() -> None:
    assert rungs_of(*PEERS).may_go_on("mlp", 9, Progress(3, 9.0, 0.0), FIRST_RUNG)


def test_other_rungs_are_not_compared_but_for_trials_that_ended_before() -> None:
    ended_early = [complete(number, 0.9) for number in range(4)]
    assert not rungs_of(*ended_early).may_go_on("lightgbm", 9, Progress(5, 9.0, 0.8), FIRST_RUNG)
    pruned = [TrialRecord(n, "pruned", Config("lightgbm", {}), 0.9, rungs={1: 0.9}) for n in range(4)]
    assert rungs_of(*pruned).may_go_on("lightgbm", 9, Progress(5, 9.0, 0.0), FIRST_RUNG)


def test_no_rung_counts_before_its_time() -> None:
    pruned = [TrialRecord(n, "pruned", Config("lightgbm", {}), 0.9, rungs={3: 0.9}) for n in range(5)]
    assert rungs_of(*pruned).may_go_on("lightgbm", 9, Progress(3, 2.4, 0.0), FIRST_RUNG)  # no complete trial yet
    assert not rungs_of(*pruned).may_go_on("lightgbm", 9, Progress(3, 2.5, 0.0), FIRST_RUNG)
    long = [complete(n, 0.9, worth=200.0, rungs={3: 0.9}) for n in range(5)]
    assert rungs_of(*long).may_go_on("lightgbm", 9, Progress(3, 9.0, 0.0), FIRST_RUNG)  # 5 % of 200
    assert not rungs_of(*long).may_go_on("lightgbm", 9, Progress(3, 10.0, 0.0), FIRST_RUNG)


def test_a_trial_is_no_peer_of_its_own_and_running_ones_are_peers() -> None:
    rungs = rungs_of(*PEERS[:3])
    rungs.reached("lightgbm", 9, 3, 0.0)
    assert rungs.may_go_on("lightgbm", 9, Progress(3, 9.0, 0.0), FIRST_RUNG)
    rungs.reached("lightgbm", 8, 3, 0.7)
    assert not rungs.may_go_on("lightgbm", 9, Progress(3, 9.0, 0.0), FIRST_RUNG)


def test_a_failed_trial_leaves_no_trace() -> None:
    rungs = rungs_of(*PEERS[:3])
    rungs.reached("lightgbm", 8, 3, 0.7)
    rungs.finished(TrialRecord(8, "failed", Config("lightgbm", {}), None))
    assert rungs.may_go_on("lightgbm", 9, Progress(3, 9.0, 0.0), FIRST_RUNG)


@pytest.mark.parametrize(("mean", "goes_on"), [(0.75, False), (0.85, True)])
def test_folds_are_judged_against_the_worst_fold_of_the_best_trial(mean: float, goes_on: bool) -> None:
    rungs = rungs_of(complete(0, 0.5), complete(1, 0.9), complete(2, 0.7))
    assert rungs.may_go_on("lightgbm", 9, Progress(1, 1.0, mean, by_fold=True), 0.0) == goes_on


def test_the_best_trial_is_the_smallest_when_minimizing() -> None:
    rungs = rungs_of(complete(0, 0.5), complete(1, 0.9), maximize=False)
    assert rungs.may_go_on("lightgbm", 9, Progress(1, 1.0, 0.59, by_fold=True), 0.0)
    assert not rungs.may_go_on("lightgbm", 9, Progress(1, 1.0, 0.61, by_fold=True), 0.0)


def test_nothing_is_stopped_without_a_pruner() -> None:
    rungs = rungs_of(*PEERS, pruner="none")
    assert rungs.may_go_on("lightgbm", 9, Progress(3, 9.0, -1.0), FIRST_RUNG)
    assert rungs.may_go_on("lightgbm", 9, Progress(1, 1.0, -1.0, by_fold=True), 0.0)


def test_the_median_pruner_stops_the_worse_half() -> None:
    rungs = rungs_of(*PEERS, pruner="median")
    assert rungs.may_go_on("lightgbm", 9, Progress(3, 9.0, 0.71), FIRST_RUNG)
    assert not rungs.may_go_on("lightgbm", 9, Progress(3, 9.0, 0.69), FIRST_RUNG)


def test_peers_are_what_a_look_at_all_trials_finds() -> None:
    seen: list[Sequence[float]] = []

    def at_rung(own: float, peers: Sequence[float]) -> bool:
        seen.append(list(peers))
        return True

    draw, rungs = random.Random(0), Rungs(Pruner(at_rung, at_rung), maximize=True)
    reached: dict[int, dict[int, float]] = {}
    final: dict[int, float] = {}
    for _ in range(400):
        number, rung, score = draw.randrange(1, 60), draw.randrange(4), round(draw.random(), 1)
        if number in final:
            continue
        if draw.random() < 0.9:
            reached.setdefault(number, {})[rung] = score
            rungs.reached("lightgbm", number, rung, score)
            rungs.may_go_on("lightgbm", number, Progress(rung, 9.0, score), FIRST_RUNG)
            others = {**final, **{other: at[rung] for other, at in reached.items() if rung in at}}
            assert seen.pop() == sorted(each for other, each in others.items() if other != number)
        elif draw.random() < 0.5:
            final[number] = score
            rungs.finished(complete(number, score, 10.0, dict(reached.get(number, {}))))
        else:
            reached.pop(number, None)
            rungs.finished(TrialRecord(number, "failed", Config("lightgbm", {}), None))
    assert len(final) > 9


def test_a_rule_of_ones_own_may_change_its_list_and_may_raise() -> None:
    seen: list[Sequence[float]] = []

    def at_rung(own: float, peers: Sequence[float]) -> bool:
        assert isinstance(peers, list)
        seen.append(list(peers))
        peers.sort(reverse=True)
        peers.append(9.0)
        raise RuntimeError("own rule")

    rungs = Rungs(Pruner(at_rung, at_rung), maximize=True)
    for number, score in enumerate((0.5, 0.3, 0.9, 0.1, 0.3), start=1):
        rungs.reached("lightgbm", number, 3, score)
        with pytest.raises(RuntimeError, match="own rule"):
            rungs.may_go_on("lightgbm", number, Progress(3, 9.0, score), FIRST_RUNG)
    assert seen == [[], [0.5], [0.3, 0.5], [0.3, 0.5, 0.9], [0.1, 0.3, 0.5, 0.9]]
    with pytest.raises(RuntimeError, match="own rule"):
        rungs.may_go_on("lightgbm", 6, Progress(3, 9.0, 0.0), FIRST_RUNG)
    assert seen[-1] == [0.1, 0.3, 0.3, 0.5, 0.9]
