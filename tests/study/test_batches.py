"""A study in batches: what is claimed when, and what sampler and pruner see of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from autotune.curve import Evaluation, Progress
from autotune.errors import StudyMismatchError
from autotune.spaces.params import Choice, Float
from autotune.spaces.space import Config, Space
from autotune.study.claims import Claim
from autotune.study.identity import batch_identity
from autotune.study.opening import open_study
from autotune.study.storage import open_storage
from autotune.study.strategies import find_pruner, find_sampler
from autotune.study.study import TuningStudy

SPACE = Space(
    {
        "near": {"x": Float(0.0, 1.0), "kind": Choice(["a", "b"]), "y": Float(0.0, 1.0, when={"kind": "b"})},
        "far": {"z": Float(0.0, 1.0)},
    }
)


@pytest.fixture(params=["memory", "sqlite"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> BaseStorage:
    return open_storage(None if request.param == "memory" else tmp_path / "study.db")


def join(storage: BaseStorage, batch: int | None = 3, name: str = "study", pruner: str = "median") -> TuningStudy:
    return open_study(
        storage,
        name,
        space=SPACE,
        sampler=find_sampler("tpe"),
        pruner=find_pruner(pruner),
        maximize=False,
        identity=batch_identity(batch),
        seed=0,
        versions={},
        batch=batch,
    )


def claims(study: TuningStudy, limit: int | None = None) -> list[Claim]:
    return list(iter(lambda: study.claim(limit), None))  # type: ignore[arg-type]


def end(study: TuningStudy, number: int, config: Config) -> None:
    """Finish a trial as its configuration says: far ones are poor, some fail, some are pruned."""
    score = sum(value for value in config.params.values() if isinstance(value, float)) + 2.0 * (config.learner == "far")
    if config.params.get("x", 0.0) > 0.7:
        study.fail(number, "ValueError: too far", 0.1)
        return
    for rung in (0, 1):
        if not study.may_go_on(number, Progress(rung, 30.0 + rung, score + 1 - rung), 1.0):
            study.prune(number, Progress(rung, 30.0 + rung, score), 0.1)
            return
    study.complete(number, Evaluation(score, (score, score + 0.1), 1, 30.0, ((1, score),), 0.1))


def test_a_batch_begins_when_the_one_before_is_over(storage: BaseStorage) -> None:
    study = join(storage)
    first = claims(study)
    assert [claim.number for claim in first] == [0, 1, 2] and not study.is_between_batches
    for claim in (first[2], first[0]):
        end(study, claim.number, claim.config)
    assert claims(study) == [] and not study.awaits_others(None)
    end(study, 1, first[1].config)
    assert study.is_between_batches
    assert [claim.number for claim in claims(study, limit=5)] == [3, 4]


def test_a_batch_that_others_have_just_ended_is_not_the_end(storage: BaseStorage) -> None:
    study, other = join(storage), join(storage)
    first = claims(other)
    assert claims(study) == [] and study.awaits_others(None)
    for claim in first:
        end(other, claim.number, claim.config)
    assert study.awaits_others(None) and [claim.number for claim in claims(study)] == [3, 4, 5]


def test_what_comes_of_a_batch_is_shown_when_it_is_over_but_told_at_once(storage: BaseStorage) -> None:
    study = join(storage)
    first = claims(study)
    end(study, 0, first[0].config)
    assert [record.state for record in study.records()] == ["complete", "running", "running"]
    assert study.optuna.trials[0].state.is_finished() and study.best() is not None
    assert shown(study) == shown(join(storage)) == [TrialState.RUNNING] * 3
    assert study._memory.shown_tally.best is None
    for claim in first[1:]:
        end(study, claim.number, claim.config)
    assert shown(study) == shown(join(storage)) == [row.state for row in study.optuna.trials]
    assert study._memory.shown_tally.best == study.best()


def shown(study: TuningStudy) -> list[TrialState]:
    return [row.state for row in study._memory.shown.rows()]


def test_a_trial_is_judged_against_earlier_batches_only() -> None:
    study = join(open_storage(None), batch=8, pruner="median")
    first = claims(study)
    good, poor = Progress(0, 30.0, 0.0), Progress(0, 30.0, 9.0)
    near = [claim.number for claim in first if claim.config.learner == "near"]
    assert len(near) >= 3
    for number in near[:-1]:
        assert study.may_go_on(number, good, 1.0)
    assert study.may_go_on(near[-1], poor, 1.0)
    for claim in first:
        study.complete(claim.number, Evaluation(1.0, (0.9, 1.1), 1, 30.0, ((1, 1.0),), 0.1))
    second = next(claim.number for claim in claims(study) if claim.config.learner == "near")
    assert not study.may_go_on(second, poor, 1.0)


def history(study: TuningStudy) -> list[object]:
    return [(record.state, record.score, record.config, record.rungs) for record in study.records()]


def test_neither_the_order_of_results_nor_a_cut_inside_a_batch_makes_a_difference(tmp_path: Path) -> None:
    forward, cut = join(open_storage(None)), join(open_storage(tmp_path / "cut.db"))
    for _ in range(8):
        for claim in claims(forward):
            end(forward, claim.number, claim.config)
        mine = claims(cut, limit=cut.n_finished + 2)
        end(cut, mine[1].number, mine[1].config)
        cut.give_back(mine[0].number)
        cut = join(open_storage(tmp_path / "cut.db"))
        for claim in reversed(claims(cut)):
            end(cut, claim.number, claim.config)
    assert history(cut) == history(forward)
    assert {"complete", "pruned", "failed"} == {record.state for record in forward.records()}


def test_batches_of_one_have_the_history_of_a_study_without_them() -> None:
    studies = [join(open_storage(None), batch) for batch in (1, None)]
    for study in studies:
        for _ in range(25):
            claim = study.claim()
            assert claim is not None
            end(study, claim.number, claim.config)
    assert history(studies[0]) == history(studies[1])


@pytest.mark.parametrize(("then", "now"), [(2, 3), (2, None), (None, 2)])
def test_joining_with_other_batches_is_refused(storage: BaseStorage, then: int | None, now: int | None) -> None:
    join(storage, then)
    was, found = (None if batch is None else str(batch) for batch in (then, now))
    with pytest.raises(StudyMismatchError) as caught:
        join(storage, now)
    assert caught.value.problem == (
        f"the study was made for another deterministic n_jobs (deterministic n_jobs: {was!r} then, {found!r} now)"
    )
