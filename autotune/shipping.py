"""From the trials to the model that ships: what is mixed, trained on all search rows and judged before the deadline.

Whatever is left out because there is no time for it is said. A model always comes out: where the best trial cannot be
trained on all rows in time, it is what the folds of its cross-validation trained, or the next best trial that can, and
in the last resort the dummy baseline.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from autotune.ensemble import Ensemble, Library, OutOfFold, choose_ensemble, contenders
from autotune.errors import RefitError
from autotune.evaluation import MARGIN, Fitted, fit, make_cohort, make_learner, make_member
from autotune.execution.coordinator import KILL_GRACE_SECONDS, evaluate_again, train
from autotune.execution.events import Executor, Failed, Refit, Ticket, Unsent, attempt
from autotune.execution.serial import Serial
from autotune.forecast import REPORT_SECONDS, make_forecast
from autotune.learners.protocol import Model, Resources
from autotune.plan import Plan, threads_of_each
from autotune.predictor import MeanOfModels, predict_until
from autotune.study.records import TrialRecord
from autotune.study.strategies import trial_seed
from autotune.verdict import Verdict, judge_on_test_rows
from autotune.watcher import Watcher

if TYPE_CHECKING:
    from autotune.learners.protocol import Predictions
    from autotune.spaces.space import Config

LAST_SECONDS = 0.2
"""Before the deadline, for what cannot be left out."""

NOT_INTERRUPTED = "the deadline is kept between fits only: here, one that runs cannot be interrupted"

CHOOSING = 0.8
"""Of the time that is left, what the models of an ensemble may take: the rest is for choosing them."""


@dataclass(frozen=True, slots=True)
class Part:
    """A model that ships, alone or in a mixture.

    Attributes
    ----------
    record : TrialRecord
        The trial.
    model : Model
        Its configuration, trained on all search rows.
    predictions : ndarray or None
        Of the test rows; None where there are none, or was no time.
    seconds : float or None
        How long training took; None for what folds trained.
    weight : float
        How much it counts in a mixture.
    """

    record: TrialRecord
    model: Model
    predictions: Predictions | None
    seconds: float | None
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Shipment:
    """What ships: the best trial's model first, then those that are mixed with it; their weights sum to 1."""

    parts: tuple[Part, ...]

    @property
    def model(self) -> Model:
        """The parts as one model."""
        models, weights = tuple(part.model for part in self.parts), tuple(part.weight for part in self.parts)
        return models[0] if len(models) == 1 else MeanOfModels(models, weights)

    @property
    def predictions(self) -> Predictions | None:
        """What that model predicts of the test rows."""
        predictions = [part.predictions for part in self.parts if part.predictions is not None]
        if len(predictions) < len(self.parts) or len(self.parts) == 1:
            return self.parts[0].predictions if len(self.parts) == 1 else None
        weights = [part.weight for part in self.parts]
        return np.asarray(np.average(predictions, axis=0, weights=weights), dtype=np.float64)


class Shipping:
    """What follows the search, step by step.

    Parameters
    ----------
    plan, records
        What to do, and the trials.
    baseline : TrialRecord
        The dummy baseline, cross-validated.
    executor, here : Executor, Serial
        Where trials run, and this process: configurations are trained on all rows in the one or the other.
    library : Library
        Predictions of the trials, and models of their folds.
    watch, stop
        As for `autotune.tuning.run`.

    Attributes
    ----------
    warnings : list of str
        What was left out, a line each.
    """

    def __init__(
        self,
        plan: Plan,
        records: Sequence[TrialRecord],
        baseline: TrialRecord,
        executor: Executor,
        here: Serial,
        library: Library,
        watch: Watcher,
        stop: Callable[[], bool],
    ) -> None:
        self._plan, self._library, self._dummy = plan, library, baseline
        self._executor, self._here = executor, here
        self._forecast, self._watch, self._stop = make_forecast(plan), watch, stop
        self._records = {record.number: record for record in records}
        self._best_first = contenders(records, maximize=plan.metric.maximize)
        self._numbers = count(-2, -1)  # a trial whose process was killed may still be heard of by its own number
        self.warnings: list[str] = []
        if plan.deadline < math.inf and isinstance(executor, Serial):
            self.warnings.append(NOT_INTERRUPTED)

    # ---- what is mixed ----

    def ensemble(self) -> Ensemble | None:
        """Choose what to mix, of trials that can be trained on all rows before the deadline."""
        if len(self._best_first) < 2:
            return None
        plan, (best, *others) = self._plan, self._best_first
        allowed, most = self._affordable(best, others)
        if most < 2:
            self.warnings.append("no time was left for an ensemble: the model is that of one trial")
            return None
        until = self._end - self._dearest([best, *allowed], most)
        predictions = self._predictions([best, *allowed], until)
        if len(predictions) < 2 or best.number not in predictions:
            return None
        cohort = make_cohort(plan.search, plan.folds, plan.metric, plan.learners)
        chosen = attempt(lambda: choose_ensemble(predictions, cohort, most, deadline=until))
        if isinstance(chosen, Failed):  # a metric from outside, undefined on a mixture
            self._watch.said(f"no ensemble: {chosen.reason}")
            return None
        return chosen

    def _affordable(self, best: TrialRecord, others: list[TrialRecord]) -> tuple[list[TrialRecord], int]:
        """Return the trials that may join, in their order, and how many models there may be; the slowest go first."""
        allowed, most = list(others), min(self._plan.ensemble, 1 + len(others))
        while allowed and self._dearest([best, *allowed], most) > CHOOSING * self._left():
            allowed.remove(max(allowed, key=lambda record: self._forecast.whole([record])))
            most = min(most, 1 + len(allowed))
        if allowed and len(allowed) < len(others):
            numbers = ", ".join(str(record.number) for record in others if record not in allowed)
            self.warnings.append(f"left out of the ensemble, as training them on all rows takes too long: {numbers}")
        return allowed, most

    def _dearest(self, best_first: Sequence[TrialRecord], most: int) -> float:
        """Return the most seconds that so many of these can take, the first one among them."""
        first, *seconds = [self._forecast.whole([record]) for record in best_first]
        return first + sum(sorted(seconds, reverse=True)[: most - 1])

    def _predictions(self, records: Sequence[TrialRecord], until: float) -> dict[int, OutOfFold]:
        """Return what trials predicted on their folds; those of earlier calls are evaluated again, as time allows."""
        found = {record.number: self._library.get(record.number) for record in records}
        missing = [record for record in records if found[record.number] is None and not record.cut]
        if missing:
            what = f"evaluating {len(missing)} trials of earlier calls again, for the ensemble; ensemble=1 needs none"
            self._watch.said(what)
            tickets = [
                Ticket(record.number, record.config, trial_seed(self._plan.seed, record.seed_number, "model"))
                for record in missing
                if record.config is not None
            ]
            latest = until - self._executor.startup
            again = evaluate_again(self._executor, tickets, lambda: time.time() < latest and not self._stop())
            found |= {number: evaluation.predictions for number, evaluation in again.items()}
        return {number: each for number, each in found.items() if each is not None}

    # ---- what is trained ----

    def ship(self, best: TrialRecord, ensemble: Ensemble | None = None) -> Shipment:
        """Train what ships on all search rows; what cannot be mixed in leaves its part to the others."""
        first = self._first(best)
        if ensemble is None or first.record is not best:
            return Shipment((first,))
        parts = [replace(first, weight=ensemble.weights.get(best.number, 0.0))]
        for number, weight in ensemble.weights.items():
            if number != best.number and (part := self._joining(self._records[number])):
                parts.append(replace(part, weight=weight))
        total = sum(part.weight for part in parts)
        return Shipment(tuple(replace(part, weight=part.weight / total) for part in parts))

    def _first(self, best: TrialRecord) -> Part:
        """Return the model that must come out: the best trial's, or what stands in for it."""
        if best is self._dummy:
            return self._baseline()
        others = [record for record in self._best_first if record.number != best.number]
        quickest = min((self._forecast.whole([record]) for record in others), default=None)
        spare = 0.0 if quickest is None else quickest + self._executor.startup + min(KILL_GRACE_SECONDS)
        for record in [best, *others]:
            in_time = self._forecast.whole([record]) <= self._left()
            if part := (self._trained(record, self._last, spare) if in_time else None) or self._of_folds(record):
                if record is not best:
                    why = f"no time was left to train trial {best.number}, the best one, on all rows"
                    self.warnings.append(f"{why}: the model is that of trial {record.number}")
                return part
        if self._left() > 0 and (part := self._trained(best, self._last)):
            return part
        self.warnings.append("no time was left to train a trial on all rows: the model is the dummy baseline")
        return self._baseline()

    def _of_folds(self, record: TrialRecord) -> Part | None:
        models = self._library.fold_models(record.number)
        if models is None:
            return None
        mean = MeanOfModels(tuple(models), (1 / len(models),) * len(models))
        why = f"no time was left to train trial {record.number} on all rows"
        self.warnings.append(f"{why}: the model is what the folds of its cross-validation trained ({len(models)})")
        return Part(record, mean, self._predicted(record, mean, self._last, len(models)), None)

    def _joining(self, record: TrialRecord) -> Part | None:
        """Return a further part of a mixture; None where it cannot be trained, or not in time."""
        try:
            in_time = self._forecast.whole([record]) <= self._left()
            part = self._trained(record, self._end) if in_time else None
        except RefitError as error:
            self.warnings.append(f"left out of the mixture: {error.problem}")
            return None
        if part is None or (part.predictions is None and self._plan.test is not None):
            self.warnings.append(
                f"left out of the mixture: no time was left to train trial {record.number} on all rows"
            )
            return None
        return part

    def _trained(self, record: TrialRecord, latest: float, spare: float = 0.0) -> Part | None:
        """Train a trial's configuration on all search rows, and predict the test rows; None without the time for it.

        Where training takes much longer than was foreseen, `spare` seconds are left for another one.
        """
        now = time.time()
        end = self._end - self._forecast.predicting(record)
        enough = min(end, now + MARGIN * self._forecast.training(record))
        fitted = self._fitted(record, max(now + self._left() / 2, enough, end - spare))
        if fitted is None:
            return None
        if fitted.cut:
            done = f"{fitted.step} of its {record.step} steps"
            self.warnings.append(f"trial {record.number} was trained on all rows for {done}: no time was left for more")
        seconds = time.time() - now
        return Part(record, fitted.model, self._predicted(record, fitted.model, latest), seconds)

    def _fitted(self, record: TrialRecord, until: float, *, everything: bool = False) -> Fitted | None:
        assert record.config is not None
        seed, steps = trial_seed(self._plan.seed, record.seed_number, "model"), record.step or 1
        resources = self._plan.resources
        if self._plan.deadline == math.inf:  # else as measured
            resources = Resources(threads=threads_of_each(1), device=resources.device)
        refit = Refit(next(self._numbers), record.config, seed, steps, resources, until, everything)
        outcome = train(self._place(record.config), refit)
        if isinstance(outcome, Unsent):  # a model that stays where it was trained
            self._executor = self._here
            self.warnings.append(NOT_INTERRUPTED)
            outcome = train(self._here, refit)
        if isinstance(outcome, Failed):
            problem = f"trial {record.number} was cross-validated, but training it on all rows failed: {outcome.reason}"
            hint = "the study keeps its trials; at the refit there are no validation rows"
            raise RefitError(problem, f"study {self._plan.study_name!r}", hint)
        return outcome

    def _place(self, config: Config) -> Executor:
        """Return where to train: what trains in one go is killed at a deadline, what trains in steps ends by itself."""
        learner, params = make_learner(config, self._plan.learners)
        is_killed = self._plan.deadline < math.inf and learner.pace(params) is None
        return self._executor if is_killed else self._here

    def _baseline(self) -> Part:
        plan, config = self._plan, self._dummy.config
        assert config is not None
        member = make_member(plan.search, np.arange(len(plan.search), dtype=np.intp), None)
        model = fit(config, member, 1, seed=0, resources=plan.resources, learners=plan.learners).model
        return Part(self._dummy, model, None if plan.test is None else model.predict(plan.test.rows), 0.0)

    def _predicted(self, record: TrialRecord, model: Model, until: float, n_models: int = 1) -> Predictions | None:
        """Return what a model predicts of the test rows; None where there are none, or no time."""
        if self._plan.test is None or time.time() + n_models * self._forecast.measured(record) > until:
            return None
        return predict_until(model, self._plan.test.rows, until)

    # ---- what is judged ----

    def judge(self, shipment: Shipment) -> Verdict | None:
        """Look at the test rows, once: the model beside the best trial alone, the untuned default and the baseline."""
        plan, tuned = self._plan, shipment.predictions
        if plan.test is None:
            return None
        if tuned is None:
            self.warnings.append("no time was left to predict the test rows: there is no test score")
            return None
        found = {"tuned": tuned, "best": shipment.parts[0].predictions if len(shipment.parts) > 1 else None}
        found["default"] = self._default(shipment)
        found["baseline"] = self._baseline().predictions
        predictions = {name: each for name, each in found.items() if each is not None}
        return judge_on_test_rows(plan.metric, plan.test, predictions, seed=plan.seed, deadline=self._last)

    def _default(self, shipment: Shipment) -> Predictions | None:
        """Return what the untuned default predicts."""
        untuned = self._plan.space.first_configurations()[0]
        default = next((record for record in self._records.values() if record.config == untuned), None)
        if default is None or default.state != "complete":
            return None
        known = [part.predictions for part in shipment.parts if part.record is default]
        if known:
            return known[0]
        try:
            in_time = self._forecast.whole([default]) <= self._left()
            part = self._trained(default, self._end) if in_time else None
        except RefitError as error:
            self.warnings.append(f"the untuned default has no score: {error.problem}")
            return None
        predictions = None if part is None else part.predictions
        if predictions is None:
            self.warnings.append("no time was left to score the untuned default")
        return predictions

    # ---- with the test rows too ----

    def on_all_rows(self, shipment: Shipment) -> Shipment:
        """Train what ships again, on search and test rows; it stays as it is where there is no time for that."""
        more = 1 + self._forecast.n_test / self._forecast.n_search
        foreseen = more * sum(math.inf if part.seconds is None else part.seconds for part in shipment.parts)
        parts: list[Part] = []
        try:
            for part in shipment.parts if time.time() + foreseen <= self._last else ():
                fitted = self._fitted(part.record, self._last, everything=True)
                if fitted is not None and not fitted.cut:
                    parts.append(replace(part, model=fitted.model))
        except RefitError as error:
            self.warnings.append(f"the model has learned from the search rows alone: {error.problem}")
            return shipment
        if len(parts) == len(shipment.parts):
            return Shipment(tuple(parts))
        self.warnings.append("no time was left for the fit on all rows: the model has learned from the search rows")
        return shipment

    @property
    def _last(self) -> float:
        return self._plan.deadline - LAST_SECONDS

    @property
    def _end(self) -> float:
        return self._plan.deadline - REPORT_SECONDS

    def _left(self) -> float:
        return self._end - time.time()
