"""How a study stands, and how long it will take."""

from __future__ import annotations

from datetime import datetime, timedelta

import optuna
from optuna.trial import TrialState, create_trial

from autotune.study.identity import Goal, set_goal
from autotune.study.owner import this_owner
from autotune.study.rows import ORIGIN, OWNER
from autotune.study.standing import standing
from autotune.study_commands import status_lines

DEAD = this_owner().rpartition("/")[0] + "/1.a"
NOON = datetime(2030, 1, 1, 12)


def ended(study: optuna.Study, seconds: float, **attrs: object) -> None:
    """Add a trial that ended so long after noon."""
    row = create_trial(value=1.0, user_attrs=attrs)
    row.datetime_complete = NOON + timedelta(seconds=seconds)
    study.add_trial(row)


def made(owner: str) -> optuna.Study:
    """A study that shall hold 33 trials, two of which were copied, with a pause in the middle and one that runs."""
    study = optuna.create_study()
    set_goal(study, Goal(33, None))
    for number in range(2):
        ended(study, -86_400.0, **{ORIGIN: {"study": "old", "number": number, "owner": ""}})
    for number in range(20):
        ended(study, 10.0 * number + (3600.0 if number > 10 else 0.0))
    study.add_trial(create_trial(state=TrialState.RUNNING, user_attrs={OWNER: owner}))
    return study


def test_neither_copies_nor_a_pause_count_for_the_pace() -> None:
    assert standing(made(this_owner()))["seconds_left"] == 110.0


def test_nothing_is_foreseen_of_trials_whose_process_is_gone() -> None:
    found = standing(made(DEAD))
    assert found["seconds_left"] is None
    assert status_lines(found)[-1].endswith("(that process is gone; tune run or tune work takes it up)")
