"""What a study was made for: written when it is created, compared when it is joined."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna

from autotune.errors import SeedMismatchError, StudyError, StudyMismatchError
from autotune.study.databases import database_of
from autotune.study.patience import briefly, waiting_briefly
from autotune.study.sql_studies import describe_rows
from autotune.study.storage import alone

IDENTITY = "autotune:identity"
BATCH = "deterministic n_jobs"
"""The part of an identity that is about batches."""

SEED = "autotune:seed"
VERSIONS = "autotune:versions"
STOPS = "autotune:stops"
SETUP = "autotune:setup"
SAMPLER = "autotune:sampler"
"""The name of the sampler that the study was made with; empty for one of somebody's own, and where none was chosen."""

IMPORTER = "autotune:importer"
"""Who imports the study; empty when all of it is there."""

GOAL = "autotune:goal"
ENDED = "autotune:ended"

DESCRIBED_WITHIN_SECONDS = 5.0
"""How long to wait for another process to describe a study that it has just created."""


def batch_identity(batch: int | None) -> dict[str, str]:
    """Return the part of an identity that is about batches: none, where there are none."""
    return {} if batch is None else {BATCH: str(batch)}


@waiting_briefly
def stored_batch(study: optuna.Study) -> int | None:
    """Return the trials of a batch; None where the study knows no batches."""
    batch = study.user_attrs.get(IDENTITY, {}).get(BATCH)
    return None if batch is None else int(batch)


@waiting_briefly
def describe(
    study: optuna.Study,
    identity: Mapping[str, str],
    seed: int,
    versions: Mapping[str, str],
    setup: Mapping[str, Any] | None,
) -> None:
    """Write what the study is made for, unless somebody has; the identity comes last, since whoever joins waits for it.

    Who stands still after creating a study finds that another process has taken it for one that was left bare.
    """
    attrs = {VERSIONS: dict(versions), SEED: seed, IDENTITY: dict(identity)}
    if setup is not None:
        attrs = {SETUP: dict(setup), SAMPLER: setup["settings"].get("sampler", ""), **attrs}
    database = database_of(study._storage)
    if database is not None:
        describe_rows(database, study._study_id, attrs, unless=IDENTITY)
        return
    with alone(study._storage):
        for key, attr in attrs.items():
            if IDENTITY not in study.user_attrs:
                study.set_user_attr(key, attr)


def was_left_bare(study: optuna.Study, maximize: bool) -> bool:
    """Wait for the process that just created the study to describe it; True when it died before it could."""
    waited_until = time.monotonic() + DESCRIBED_WITHIN_SECONDS
    while IDENTITY not in study.user_attrs and not study.get_trials(deepcopy=False):
        if time.monotonic() > waited_until:
            return (study.direction == optuna.study.StudyDirection.MAXIMIZE) == maximize
        time.sleep(0.05)
    return False


def check_identity(study: optuna.Study, identity: Mapping[str, str], seed: int) -> None:
    """Raise StudyMismatchError where a study was made for something else; the parts that differ are named."""
    stored = study.user_attrs.get(IDENTITY)
    where = f"study {study.study_name!r}"
    if stored is None:
        half = bool(study.user_attrs.get(IMPORTER))
        problem = "the study is imported by half" if half else "the study was not made by autotune"
        raise StudyMismatchError(problem, where, "tune import again" if half else "another study_name")
    parts = {**stored, **identity}
    differing = [part for part in parts if stored.get(part) != identity.get(part)]
    if differing:
        listed = "; ".join(f"{part}: {stored.get(part)!r} then, {identity.get(part)!r} now" for part in differing)
        raise StudyMismatchError(
            f"the study was made for another {' and '.join(differing)} ({listed})",
            where,
            "another study_name, or leave study_name out",
        )
    if study.user_attrs.get(SEED) != seed:
        raise SeedMismatchError(
            f"the study was made with random_state={study.user_attrs.get(SEED)}, found {seed}",
            where,
            "leave random_state out to continue the study, or give another study_name",
        )


def n_stops(study: optuna.Study) -> int:
    """Return how often those who work at a study have been asked to stop."""
    return int(study.user_attrs.get(STOPS, 0))


def ask_to_stop(study: optuna.Study) -> None:
    """Ask all who work at a study, on whatever machine, to finish the trials they run and start no more."""
    wanted = briefly(lambda: n_stops(study)) + 1

    def ask() -> None:
        if n_stops(study) < wanted:
            study.set_user_attr(STOPS, wanted)

    briefly(ask)


def read_ended(study: optuna.Study) -> str:
    """Return why the last search ended before it was full; an empty text where it did not, or one goes on."""
    return str(study.user_attrs.get(ENDED, ""))


def set_ended(study: optuna.Study, why: str) -> None:
    """Write why a search ended, or with an empty text that one has begun."""
    if read_ended(study) != why:
        study.set_user_attr(ENDED, why)


@dataclass(frozen=True, slots=True)
class Goal:
    """When the search of a study ends: with so many finished trials, or at a time on the clock of `time.time`.

    Attributes
    ----------
    n_trials : int or None
        Finished trials that it shall hold; None is unbounded.
    deadline : float or None
        When whoever searches has to be done; None is never.
    """

    n_trials: int | None
    deadline: float | None

    @classmethod
    def of(cls, n_trials: int | None, deadline: float) -> Goal:
        """Return the goal of a budget, whose deadline is infinity where there is none."""
        return cls(n_trials, None if deadline == float("inf") else deadline)


@waiting_briefly
def read_goal(study: optuna.Study) -> Goal:
    """Return what the last search wanted, for those who join it; nothing, where it was made by an earlier version."""
    return Goal(*study.user_attrs.get(GOAL, (None, None)))


@waiting_briefly
def set_goal(study: optuna.Study, goal: Goal) -> None:
    """Write what a search wants; what another one wants beyond that stays."""
    wanted = _both(read_goal(study), goal) if GOAL in study.user_attrs else goal
    study.set_user_attr(GOAL, [wanted.n_trials, wanted.deadline])


def _both(known: Goal, new: Goal) -> Goal:
    """Return what two searches want: the larger number, with its deadline unless that has passed."""
    if new.n_trials == known.n_trials:
        return Goal.of(new.n_trials, max(goal.deadline or float("inf") for goal in (known, new)))
    if known.n_trials is None or new.n_trials is None or new.n_trials > known.n_trials:
        return new
    has_passed = known.deadline is not None and known.deadline <= time.time()
    return Goal(known.n_trials, new.deadline) if has_passed else known


@waiting_briefly
def set_setup(study: optuna.Study, setup: Mapping[str, Any]) -> None:
    """Write what is needed to join a study, as the last search had it; what only an earlier one knew stays."""
    known = study.user_attrs.get(SETUP, {})
    study.set_user_attr(SETUP, {name: known.get(name) if value is None else value for name, value in setup.items()})


@waiting_briefly
def read_setup(study: optuna.Study) -> Mapping[str, Any]:
    """Return what is needed to join a study.

    Raises
    ------
    StudyError
        When it does not say: another program made it, or an earlier version.
    """
    found: Mapping[str, Any] | None = study.user_attrs.get(SETUP)
    if found is None:
        problem = "the study does not say how it is set up: another program made it, or an earlier version"
        raise StudyError(problem, f"study {study.study_name!r}", "the command that made it goes on with it")
    return found
