"""The study: claims, finished rows, what it is made for, and who takes up what was left."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from autotune.curve import Evaluation, Progress
from autotune.errors import StudyMismatchError, UnknownNameError
from autotune.spaces.params import Choice, Float
from autotune.spaces.space import Config, Space
from autotune.study.noted import BASELINE
from autotune.study.opening import load_study, open_study, stored_seed, summary
from autotune.study.rows import CONFIG, OWNER, records_of
from autotune.study.storage import open_storage
from autotune.study.strategies import PRUNERS, find_pruner, find_sampler, trial_seed
from autotune.study.study import STALE_SECONDS, TuningStudy

SPACE = Space({"linear": {"C": Float(0.1, 10.0, log=True)}}, starts=[Config("linear", {"C": 5.0})])
IDENTITY = {"space": "linear 1", "table": "2", "target": "y (binary)", "metric": "roc_auc", "folds": "default"}


@pytest.fixture(params=["memory", "sqlite"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> BaseStorage:
    return open_storage(None if request.param == "memory" else tmp_path / "study.db")


def join(storage: BaseStorage, seed: int = 0, sampler: str = "random", **identity: str) -> TuningStudy:
    study = open_study(
        storage,
        "study",
        space=SPACE,
        sampler=find_sampler(sampler),
        pruner=PRUNERS["halving"],
        maximize=True,
        identity={**IDENTITY, **identity},
        seed=seed,
        versions={"optuna": "5"},
    )
    study.set_baseline(0.5)
    return study


def evaluation(score: float) -> Evaluation:
    return Evaluation(score, (score - 0.1, score + 0.1), 7, 0.35, ((7, score),), 0.25)


def test_starts_come_first_and_then_the_sampler(storage: BaseStorage) -> None:
    study = join(storage)
    claims = [study.claim() for _ in range(4)]
    assert [claim.number for claim in claims] == [0, 1, 2, 3]
    assert claims[0].config == SPACE.default("linear")
    assert claims[1].config.params["C"] == 5.0
    assert len({claim.config.params["C"] for claim in claims}) == 4
    assert [claim.seed for claim in claims] == [trial_seed(0, number, "model") for number in range(4)]


def test_each_trial_has_a_sampler_made_from_its_number() -> None:
    made: list[int] = []

    def sampler(seed: int) -> optuna.samplers.BaseSampler:
        made.append(seed)
        return optuna.samplers.RandomSampler(seed=seed)

    study = join(open_storage(None))
    study._drafter._sampler = sampler
    for _ in range(4):
        study.claim()
    assert made == [trial_seed(0, 2, "sampler"), trial_seed(0, 3, "sampler")]


def test_a_complete_trial_comes_back_as_it_was(storage: BaseStorage) -> None:
    study = join(storage)
    claim = study.claim()
    study.may_go_on(claim.number, Progress(0, 1.0, 0.6), 1.0)
    told = study.complete(claim.number, evaluation(0.7))
    assert (told.number, told.state, told.config, told.score) == (0, "complete", claim.config, 0.7)
    assert (told.fold_scores, told.step, told.worth, told.seconds) == ((0.6, 0.7 + 0.1), 7, 0.35, 0.25)
    assert dict(told.rungs or {}) == {0: 0.6}
    assert join(storage).records() == (told,)
    assert study.optuna.trials[0].value == 0.7


def test_finished_are_complete_and_pruned_ones(storage: BaseStorage) -> None:
    study = join(storage)
    for _ in range(4):
        study.claim()
    study.complete(0, evaluation(0.7))
    study.prune(1, Progress(2, 4.0, 0.9), 0.1)
    study.fail(2, "ValueError: no", 0.2)
    assert study.n_finished == 3
    assert [trial.state for trial in study.optuna.trials] == [
        *(TrialState.COMPLETE, TrialState.PRUNED, TrialState.COMPLETE, TrialState.RUNNING)
    ]
    states = [(record.state, record.score, record.reason) for record in study.records()]
    assert states == [
        ("complete", 0.7, ""),
        ("pruned", 0.9, "pruned at rung 2"),
        ("failed", None, "ValueError: no"),
        ("running", None, ""),
    ]
    best = study.best()
    assert best is not None and best.number == 0


def test_a_failed_trial_is_told_with_the_baseline_and_as_infeasible(storage: BaseStorage) -> None:
    study = join(storage)
    study.claim()
    study.claim()
    study.fail(0, "ValueError: no", 0.2)
    study.complete(1, evaluation(0.4))
    failed, complete = study.optuna.trials
    assert failed.value == 0.5 == study.optuna.user_attrs[BASELINE]
    assert failed.constraints == {"failed": 1.0}
    assert complete.constraints == {"failed": 0.0}
    best = study.best()
    assert best is not None and best.number == 1  # though the failed one was told a better score


def test_a_study_of_failures_has_no_best(storage: BaseStorage) -> None:
    study = join(storage)
    assert study.best() is None
    study.claim()
    study.fail(0, "ValueError: no", 0.2)
    assert study.best() is None


def test_the_baseline_is_set_once(storage: BaseStorage) -> None:
    study = join(storage)
    study.set_baseline(0.9)
    assert study.optuna.user_attrs[BASELINE] == 0.5


def test_looks_are_counted_across_sessions(storage: BaseStorage) -> None:
    assert [join(storage).look("split") for _ in range(3)] == [1, 2, 3]
    assert join(storage).look("another table") == 1


def test_a_trial_given_back_is_taken_up_with_its_number_and_parameters(storage: BaseStorage) -> None:
    study = join(storage)
    first, second = study.claim(), study.claim()
    study.may_go_on(first.number, Progress(0, 1.0, 0.6), 1.0)
    study.give_back(first.number)
    again = join(storage).claim()
    assert again == first and again != second


def test_deaths_of_a_trial_are_counted_in_its_row(storage: BaseStorage) -> None:
    study = join(storage)
    study.claim()
    for deaths in (1, 2):
        study.note_death(0)
        assert study.deaths(0) == deaths
    study.give_back(0)
    successor = join(storage)
    successor.claim()
    assert successor.deaths(0) == 2
    study.claim()
    assert study.deaths(1) == 0


@pytest.mark.parametrize("end", ["complete", "prune", "fail"])
def test_what_a_trial_printed_is_kept(storage: BaseStorage, end: str) -> None:
    study = join(storage)
    study.claim()
    ends = {
        "complete": lambda: study.complete(0, evaluation(0.7), log="some\nwords \0"),
        "prune": lambda: study.prune(0, Progress(2, 4.0, 0.9), 0.1, log="some\nwords \0"),
        "fail": lambda: study.fail(0, "ValueError: no", 0.2, log="some\nwords \0"),
    }
    ends[end]()
    assert join(storage).records()[0].log == "some\nwords \0"


def test_a_trial_of_a_dead_owner_is_taken_up_and_reaches_its_rungs_again_quietly(storage: BaseStorage) -> None:
    study = join(storage)
    claims = [study.claim() for _ in range(3)]
    study.may_go_on(2, Progress(0, 1.0, 0.6), 1.0)
    row = study.optuna.trials[2]
    study.optuna._storage.set_trial_user_attr(row._trial_id, OWNER, row.user_attrs[OWNER].rsplit("/", 1)[0] + "/1")
    successor = join(storage)
    assert successor.claim() == claims[2]
    assert successor.may_go_on(2, Progress(0, 1.0, 0.6), 1.0)
    assert successor.claim().number == 3  # those of a living owner are left alone
    assert successor.complete(2, evaluation(0.7)).rungs == {0: 0.6}


def test_the_late_result_of_a_trial_that_another_took_over_is_dropped_and_said(storage: BaseStorage) -> None:
    study = join(storage)
    study.claim()
    row = study.optuna.trials[0]
    study.optuna._storage.set_trial_user_attr(row._trial_id, OWNER, row.user_attrs[OWNER].rsplit("/", 1)[0] + "/1")
    assert study.complete(0, evaluation(0.9)) is None
    assert "taken over by another process" in study.notes()[0]
    successor = join(storage)
    successor.claim()
    assert successor.complete(0, evaluation(0.7)).score == 0.7
    assert study.optuna.trials[0].value == 0.7


def test_no_more_rows_are_created_than_the_limit_says(storage: BaseStorage) -> None:
    study, other = join(storage), join(storage)
    claims = [claim.number for each in (study, other, study, other) if (claim := each.claim(limit=3))]
    assert claims == [0, 1, 2]
    assert study.awaits_others(3) and other.awaits_others(3)
    for each, number in ((study, 0), (other, 1), (study, 2)):
        each.complete(number, evaluation(0.7))
    assert join(storage).n_finished == 3 and not join(storage).awaits_others(3)


def test_what_others_finish_is_known_to_the_next_claim(storage: BaseStorage) -> None:
    study, other = join(storage), join(storage)
    other.claim()
    other.may_go_on(0, Progress(0, 1.0, 0.6), 1.0)
    study.claim()
    other.complete(0, evaluation(0.9))
    time.sleep(STALE_SECONDS)
    study.claim()
    best = study.best()
    assert best is not None and (best.number, best.score) == (0, 0.9)
    assert study.records()[0] == other.records()[0]


def test_joining_needs_the_same_question_and_each_part_is_named(storage: BaseStorage) -> None:
    join(storage)
    join(storage)
    for part, value in IDENTITY.items():
        with pytest.raises(StudyMismatchError) as caught:
            join(storage, **{part: "other"})
        assert str(caught.value) == (
            f"the study was made for another {part} ({part}: {value!r} then, 'other' now)\n"
            "  where: study 'study'\n"
            "  try:   another study_name, or leave study_name out"
        )
    with pytest.raises(StudyMismatchError) as caught:
        join(storage, table="3", folds="3")
    assert caught.value.problem == (
        "the study was made for another table and folds (table: '2' then, '3' now; folds: 'default' then, '3' now)"
    )


def test_joining_with_another_seed_is_refused(storage: BaseStorage) -> None:
    join(storage, seed=3)
    with pytest.raises(StudyMismatchError) as caught:
        join(storage, seed=4)
    assert str(caught.value) == (
        "the study was made with random_state=3, found 4\n"
        "  where: study 'study'\n"
        "  try:   leave random_state out to continue the study, or give another study_name"
    )


def test_the_seed_is_stored(storage: BaseStorage) -> None:
    assert stored_seed(storage, "study") is None
    join(storage, seed=3)
    assert stored_seed(storage, "study") == 3


def with_a_trial(study: optuna.Study) -> None:
    study.tell(study.ask(), 1.0)


def empty(study: optuna.Study) -> None:
    pass


@pytest.mark.parametrize(("direction", "what"), [("maximize", with_a_trial), ("minimize", empty)])
def test_a_study_of_somebody_else_is_refused(
    storage: BaseStorage, direction: str, what: Callable[[optuna.Study], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autotune.study.identity.DESCRIBED_WITHIN_SECONDS", 0.1)
    what(optuna.create_study(storage=storage, study_name="study", direction=direction))
    with pytest.raises(StudyMismatchError, match="the study was not made by autotune\n  where: study 'study'"):
        join(storage)


def test_a_study_whose_creator_died_before_describing_it_is_taken_over(
    storage: BaseStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autotune.study.identity.DESCRIBED_WITHIN_SECONDS", 0.1)
    optuna.create_study(storage=storage, study_name="study", direction="maximize")
    assert join(storage).claim().number == 0
    assert join(storage).name == "study"


def test_records_are_read_without_the_question(storage: BaseStorage) -> None:
    study = join(storage)
    study.claim()
    study.complete(0, evaluation(0.7))
    read = load_study(storage, "study")
    assert records_of(read) == study.records()
    assert (summary(read)["identity"], summary(read)["maximize"]) == (IDENTITY, True)
    with pytest.raises(UnknownNameError, match="no study in this storage named 'studdy'\n  try:   study"):
        load_study(storage, "studdy")


def test_optuna_reads_the_study(storage: BaseStorage) -> None:
    study = join(storage, sampler="tpe")
    for number in range(3):
        study.claim()
        study.complete(number, evaluation(0.5 + number / 10))
    read = optuna.load_study(storage=storage, study_name="study")
    assert read.best_value == 0.7
    assert read.best_trial.user_attrs[CONFIG] == {"learner": "linear", "C": read.best_params["linear.C"]}


def test_a_learner_whose_configurations_are_all_tried_is_not_trained_again() -> None:
    space = Space({"mlp": {"units": Float(0.0, 1.0)}, "fixed": {"a": Choice([1, 2])}})
    study = open_study(
        optuna.storages.InMemoryStorage(),
        "mixed",
        space=space,
        sampler=find_sampler("random"),
        pruner=find_pruner("none"),
        maximize=True,
        identity={},
        seed=0,
        versions={},
    )
    tried = []
    for _ in range(20):
        claim = study.claim()
        assert claim is not None
        tried.append(claim.config)
        study.complete(claim.number, Evaluation(0.5, (0.4, 0.6), 1, 1.0, (), 0.0))
    assert sum(config.learner == "fixed" for config in tried) == 2
    assert not study.is_exhausted


def test_rows_beyond_the_limit_are_left_alone(storage: BaseStorage) -> None:
    study = join(storage)
    for _ in range(4):
        study.claim()
    study.complete(0, evaluation(0.7))
    for number in (1, 2, 3):
        study.give_back(number)
    successor = join(storage)
    assert [claim.number for claim in iter(lambda: successor.claim(limit=3), None)] == [1, 2]


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_rows_of_other_programs_are_named_so_and_trouble_nobody(storage: BaseStorage, sampler: str) -> None:
    study = join(storage, sampler=sampler)
    study.claim()
    study.complete(0, evaluation(0.7))
    theirs = optuna.load_study(storage=storage, study_name="study")
    theirs.optimize(lambda trial: trial.suggest_float("linear.C", 0.1, 10.0, log=True), n_trials=1)
    theirs.ask()
    study = join(storage, sampler=sampler)
    assert [record.reason for record in study.records()] == ["", "told COMPLETE by another program", ""]
    for _ in range(12):
        claim = study.claim()
        assert claim is not None
        study.complete(claim.number, evaluation(0.6))
    best = study.best()
    assert best is not None and best.number == 0
