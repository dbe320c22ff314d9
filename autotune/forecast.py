"""How long what follows the search will take, foreseen from what the trials took."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autotune.ensemble import contenders
from autotune.evaluation import MARGIN

if TYPE_CHECKING:
    from autotune.plan import Plan
    from autotune.study.records import TrialRecord

REPORT_SECONDS = 1.0
"""Set aside for scoring the test rows, drawing intervals and writing the report."""

FURTHER_SHARE = 0.15
"""Of the whole time, what is set aside at most for models beside the best one."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What training a configuration on all search rows takes, and predicting the test rows.

    Attributes
    ----------
    n_folds : int
        Folds that trials were evaluated on.
    n_search, n_test : int
        Rows to train on, and rows to predict.
    n_fold, n_validation : float
        Rows of a fold: trained on, and predicted.

    Examples
    --------
    >>> from autotune.study.records import TrialRecord
    >>> trial = TrialRecord(0, "complete", None, 0.9, training=4.0, predicting=1.0)
    >>> forecast = Forecast(n_folds=5, n_search=1000, n_test=250, n_fold=800, n_validation=200)
    >>> forecast.training(trial), forecast.predicting(trial)
    (5.0, 1.25)
    """

    n_folds: int
    n_search: int
    n_test: int
    n_fold: float
    n_validation: float

    def training(self, record: TrialRecord) -> float:
        """Return the seconds that training on all search rows takes."""
        return self._a_fold(record) * self.n_search / self.n_fold

    def predicting(self, record: TrialRecord) -> float:
        """Return the seconds that predicting the test rows takes.

        Learners that grow keep their predictions up while they train, at next to no cost: predicting a row anew takes
        up to as long as learning from it.
        """
        return max(self.measured(record), self._a_fold(record) / self.n_fold * self.n_test)

    def measured(self, record: TrialRecord) -> float:
        """Return the seconds that predicting the test rows takes at least: what the validation rows took."""
        return (record.predicting or 0.0) / self.n_validation * self.n_test

    def whole(self, records: Iterable[TrialRecord]) -> float:
        """Return the seconds that training and predicting take for all of these."""
        return sum(self.training(record) + self.predicting(record) for record in records)

    @property
    def share(self) -> float:
        """What both take of the seconds of the trial itself."""
        return (self.n_search + self.n_test) / self.n_fold / self.n_folds

    def _a_fold(self, record: TrialRecord) -> float:
        if record.training is not None:
            return record.training
        return (record.seconds or 0.0) / self.n_folds


def make_forecast(plan: Plan) -> Forecast:
    """Return the forecast for the rows and folds of a plan."""
    n_folds = len(plan.folds)
    n_fold, n_validation = (sum(len(pair[side]) for pair in plan.folds.pairs) / n_folds for side in (0, 1))
    return Forecast(n_folds, len(plan.search), 0 if plan.test is None else len(plan.test), n_fold, n_validation)


def reserve(plan: Plan, forecast: Forecast, records: Sequence[TrialRecord]) -> float:
    """Return how long before the deadline the search is to be over, as things stand.

    Parameters
    ----------
    plan : Plan
        What to do.
    forecast : Forecast
        How long it takes.
    records : sequence of TrialRecord
        The best trials so far, see `TuningStudy.leaders`. Set aside is the time of the best one and, within bounds, of
        the untuned default and of half of an ensemble.
    """
    best_first = contenders(records, maximize=plan.metric.maximize)
    best, others = best_first[:1], best_first[1 : 1 + (math.ceil(plan.ensemble / 2) if plan.ensemble > 1 else 0)]
    others += [record for record in best_first[1:] if record.number == 0 and record not in others]
    times = 2 if plan.settings.refit == "all" and plan.test is not None else 1
    further = min(MARGIN * times * forecast.whole(others), FURTHER_SHARE * (plan.settings.timeout or math.inf))
    return REPORT_SECONDS + MARGIN * times * forecast.whole(best) + further
