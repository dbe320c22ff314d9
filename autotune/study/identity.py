"""What a study was made for: written when it is created, compared when it is joined."""

from __future__ import annotations

import time
from collections.abc import Mapping

import optuna

from autotune.errors import StudyMismatchError

IDENTITY = "autotune:identity"
SEED = "autotune:seed"
VERSIONS = "autotune:versions"
STOPS = "autotune:stops"

DESCRIBED_WITHIN_SECONDS = 5.0
"""How long to wait for another process to describe a study that it has just created."""


def batch_identity(batch: int | None) -> dict[str, str]:
    """Return the part of an identity that is about batches: none, where there are none."""
    return {} if batch is None else {"deterministic n_jobs": str(batch)}


def describe(study: optuna.Study, identity: Mapping[str, str], seed: int, versions: Mapping[str, str]) -> None:
    """Write what the study is made for; the identity comes last, since whoever joins waits for it."""
    study.set_user_attr(VERSIONS, dict(versions))
    study.set_user_attr(SEED, seed)
    study.set_user_attr(IDENTITY, dict(identity))


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
        raise StudyMismatchError("the study was not made by autotune", where, "another study_name")
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
        raise StudyMismatchError(
            f"the study was made with random_state={study.user_attrs.get(SEED)}, found {seed}",
            where,
            "leave random_state out to continue the study, or give another study_name",
        )


def n_stops(study: optuna.Study) -> int:
    """Return how often those who work at a study have been asked to stop."""
    return int(study.user_attrs.get(STOPS, 0))


def ask_to_stop(study: optuna.Study) -> None:
    """Ask all who work at a study, on whatever machine, to finish the trials they run and start no more."""
    study.set_user_attr(STOPS, n_stops(study) + 1)
