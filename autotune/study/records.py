"""TrialRecord: what the study holds of one trial, free of any connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from autotune.spaces.space import Config

if TYPE_CHECKING:
    import pandas as pd

State = Literal["complete", "pruned", "failed", "running"]


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One trial.

    Attributes
    ----------
    number : int
        The trial's number in the study, from 0.
    state : {"complete", "pruned", "failed", "running"}
        What became of it. A failed trial counts as finished: it was told with the baseline's score and marked as
        infeasible.
    config : Config or None
        What was tried.
    score : float or None
        Mean score over the folds at the best step; for a pruned trial, the score at which it was stopped, never
        compared with complete ones.
    fold_scores : tuple of float
        The score of each fold.
    step : int or None
        The best step of the mean curve.
    worth : float or None
        Worth of that step on the scale of the rungs.
    rungs : mapping of int to float
        Best smoothed mean score at each rung that was reached.
    seconds : float or None
        How long it took.
    reason : str
        Why it was pruned or failed.
    cut : bool
        True when a deadline ended it before its time.
    log : str
        The end of what it printed, where it ran in a worker process.
    origin : int or None
        Its number in the older study that it was copied from.
    training, predicting : float or None
        Seconds a fold, of these: for training up to the best step, and for predicting the validation rows once.
    """

    number: int
    state: State
    config: Config | None
    score: float | None
    fold_scores: tuple[float, ...] = ()
    step: int | None = None
    worth: float | None = None
    rungs: Mapping[int, float] | None = None
    seconds: float | None = None
    reason: str = ""
    cut: bool = False
    log: str = ""
    origin: int | None = None
    training: float | None = None
    predicting: float | None = None

    @property
    def seed_number(self) -> int:
        """The number that its seed is made of: where it was run first."""
        return self.number if self.origin is None else self.origin


def show_states(counts: Mapping[Any, int]) -> str:
    """Return numbers of trials by state as people read them.

    Examples
    --------
    >>> show_states({"complete": 3, "failed": 1})
    '3 complete, 1 failed'
    """
    return ", ".join(f"{count} {state}" for state, count in counts.items())


def ranked(records: Sequence[TrialRecord], *, maximize: bool) -> list[TrialRecord]:
    """Return the complete records, best first, ties to the earlier; then the pruned, then the failed ones.

    Parameters
    ----------
    records : sequence of TrialRecord
        In any order.
    maximize : bool
        Whether larger scores are better.
    """
    sign = -1.0 if maximize else 1.0

    def place(record: TrialRecord) -> tuple[int, float, int]:
        order = ("complete", "pruned", "failed", "running").index(record.state)
        score = record.score if order == 0 and record.score is not None else 0.0
        return order, sign * score, record.number

    return sorted(records, key=place)


def leaderboard(records: Sequence[TrialRecord], *, maximize: bool) -> pd.DataFrame:
    """Return a table of the trials, best first.

    Parameters
    ----------
    records : sequence of TrialRecord
        In any order.
    maximize : bool
        Whether larger scores are better.

    Returns
    -------
    DataFrame
        One row a trial: rank (complete trials only), number, state, score, sd (over folds), step, seconds, learner, one
        column a parameter, and reason. A parameter that is called like one of these has ``params.`` before its name.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for rank, record in enumerate(ranked(records, maximize=maximize), start=1):
        complete = record.state == "complete"
        rows.append(
            {
                "rank": rank if complete else None,
                "number": record.number,
                "state": record.state,
                "score": record.score if record.state in ("complete", "pruned") else None,
                "sd": spread(record.fold_scores),
                "step": record.step,
                "seconds": record.seconds,
                **_configuration(record),
                "reason": record.reason,
            }
        )
    table = pd.DataFrame(rows)
    if len(table):
        table = table.astype({"rank": "Int64", "step": "Int64"})
        table.insert(len(table.columns) - 1, "reason", table.pop("reason"))
    return table


OWN_COLUMNS = frozenset({"rank", "number", "state", "score", "sd", "step", "seconds", "learner", "reason"})


def _configuration(record: TrialRecord) -> dict[str, Any]:
    """Return learner and parameters as columns beside the table's own."""
    if record.config is None:
        return {}
    named = {f"params.{name}" if name in OWN_COLUMNS else name: v for name, v in record.config.params.items()}
    return {"learner": record.config.learner, **named}


def spread(scores: Sequence[float]) -> float | None:
    """Return the sample standard deviation over the folds."""
    if len(scores) < 2:
        return None
    mean = sum(scores) / len(scores)
    return float((sum((score - mean) ** 2 for score in scores) / (len(scores) - 1)) ** 0.5)
