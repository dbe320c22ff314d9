"""What stands in a row of the storage beside what Optuna itself writes there, and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from optuna.study._constrained_optimization import _CONSTRAINTS_KEY
from optuna.trial import FrozenTrial, TrialState

from autotune.spaces.ranges import frozen_value
from autotune.spaces.space import Config
from autotune.study.records import TrialRecord

if TYPE_CHECKING:
    import optuna

OWNER = "autotune:owner"
"""Who runs the trial; empty where it was given back."""

CONFIG = "autotune:config"
"""The learner and its parameters, in natural values."""

OUTCOME = "autotune:outcome"
"""What came of the trial."""

DEATHS = "autotune:deaths"
"""How many worker processes have died of the trial; the death of a coordinator does not count."""

ORIGIN = "autotune:origin"
"""Of a trial that was copied from an older study: that study, the trial's number there, and its owner."""

CONSTRAINT = f"{_CONSTRAINTS_KEY}:failed"
"""Violated by failed trials, by the name under which Optuna's samplers look for it."""


def record_of(trial: FrozenTrial) -> TrialRecord:
    """Return what a row says, free of any connection."""
    outcome: Mapping[str, Any] = trial.user_attrs.get(OUTCOME, {})
    flat = {name: frozen_value(value) for name, value in trial.user_attrs.get(CONFIG, {}).items()}
    config = Config(flat.pop("learner"), flat) if flat else None
    rungs = dict(trial.intermediate_values)
    common: dict[str, Any] = {"number": trial.number, "config": config, "seconds": outcome.get("seconds")}
    common |= {"log": outcome.get("log", ""), "origin": trial.user_attrs.get(ORIGIN, {}).get("number")}
    if trial.state.is_finished() and not outcome:
        told = f"told {trial.state.name} by another program"
        return TrialRecord(state="failed", score=None, reason=told, **common)
    if not trial.state.is_finished():
        return TrialRecord(state="running", score=None, rungs=rungs, **common)
    if outcome.get("failed"):
        return TrialRecord(state="failed", score=None, reason=outcome["reason"], **common)
    if trial.state == TrialState.PRUNED:
        return TrialRecord(state="pruned", score=outcome["score"], reason=outcome["reason"], rungs=rungs, **common)
    return TrialRecord(
        state="complete",
        score=outcome["score"],
        fold_scores=tuple(outcome["fold_scores"]),
        step=outcome["step"],
        worth=outcome["worth"],
        rungs=rungs,
        cut=outcome["cut"],
        training=outcome.get("training"),
        predicting=outcome.get("predicting"),
        reason="cut at the deadline" if outcome["cut"] else "",
        **common,
    )


def records_of(study: optuna.Study) -> tuple[TrialRecord, ...]:
    """Return what a study's rows say, by number."""
    return tuple(record_of(row) for row in study.get_trials(deepcopy=False))
