"""How a study stands: what it holds, what it shall hold, who works at it, and how long that will take."""

from __future__ import annotations

import time
from collections import Counter
from statistics import median
from typing import TYPE_CHECKING, Any

from autotune.study.identity import Goal, read_ended, read_goal
from autotune.study.opening import running_trials, summary
from autotune.study.patience import waiting_briefly
from autotune.study.rows import ORIGIN, OWNER

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

RECENT = 20
"""Stretches of the search, of as many ends as trials run now, from which it is foreseen how long the others take."""


@waiting_briefly
def standing(study: optuna.Study) -> dict[str, Any]:
    """Return how a study stands, as plain values.

    Parameters
    ----------
    study : optuna.Study
        As it was just loaded.

    Returns
    -------
    dict
        What `summary` says; ``n_finished``; ``goal`` with ``n_trials`` and ``deadline`` (seconds since 1970), each None
        where the study does not say; ``running``; ``finished_by``, trials by the host that ran them; ``seconds_left``,
        None where it cannot be foreseen; ``ended``, why the last search ended before it was
        full; ``is_over``.
    """
    rows = study.get_trials(deepcopy=False)
    finished = [row for row in rows if row.state.is_finished()]
    goal, running = read_goal(study), running_trials(study)
    n_alive = sum(each["is_alive"] for each in running)
    ended = "" if n_alive else read_ended(study)
    is_late = goal.deadline is not None and time.time() > goal.deadline
    is_full = goal.n_trials is not None and len(finished) >= goal.n_trials
    hosts = Counter(row.user_attrs[OWNER].partition("/")[0] for row in finished if row.user_attrs.get(OWNER))
    return {
        **summary(study),
        "n_finished": len(finished),
        "goal": {"n_trials": goal.n_trials, "deadline": goal.deadline},
        "running": running,
        "finished_by": dict(hosts),
        "seconds_left": None if is_full or is_late or not n_alive else _seconds_left(finished, goal, n_alive),
        "ended": ended,
        "is_over": is_full or (not n_alive and (is_late or bool(ended))),
    }


def _seconds_left(finished: list[FrozenTrial], goal: Goal, n_running: int) -> float | None:
    """Return how long the search will go on: at the pace of the last trials, and until its deadline at most.

    The pace is the median over stretches, so that a pause of the search does not count; trials that were copied from
    another study were not run in this one.
    """
    ends = [] if goal.deadline is None else [goal.deadline - time.time()]
    times = sorted(row.datetime_complete for row in finished if row.datetime_complete and ORIGIN not in row.user_attrs)
    if goal.n_trials is not None and len(times) > 1:
        step = min(n_running, len(times) - 1)
        recent = times[-RECENT - step :]
        stretches = [(end - start).total_seconds() for start, end in zip(recent, recent[step:], strict=False)]
        ends.append(median(stretches) / step * (goal.n_trials - len(finished)))
    return min(ends, default=None)
