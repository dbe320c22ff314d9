"""An ensemble of the study's own trials: a weighted mean of models, where it is better than the best one alone.

Models join one by one, as in Caruana et al., "Ensemble selection from libraries of models" (ICML 2004): each time the
one with which the mixture scores best on the rows that its folds did not train on. Where theirs join with equal weight,
ours take one of a few shares of the mixture.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from autotune.study.tally import LEADING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from autotune.evaluation import Cohort
    from autotune.learners.protocol import Model
    from autotune.study.records import TrialRecord

CONTENDERS = LEADING
"""Trials that may join; the best one of each learner is always among them."""

ROUNDS = 12
"""Times that a model may join, the same one again among them."""

SHARES = (0.5, 0.25, 0.1)
"""What a model may take of the mixture when it joins."""

ROWS_A_FOLD = 20_000
"""Rows of each fold that mixtures are scored on, evenly taken; enough to tell them apart."""

OutOfFold: TypeAlias = "Sequence[NDArray[Any]]"
"""Predictions on the validation rows of each fold."""


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Trials with weights.

    Attributes
    ----------
    weights : mapping of int to float
        By number of the trial, the heaviest first; they sum to 1.
    score : float
        Mean over the folds, each scored with weights that were chosen on the others.
    """

    weights: Mapping[int, float]
    score: float


def contenders(records: Iterable[TrialRecord], *, maximize: bool) -> list[TrialRecord]:
    """Return the trials that may join an ensemble: complete ones, the best first.

    Parameters
    ----------
    records : iterable of TrialRecord
        In any order; pruned and failed ones are left out.
    maximize : bool
        Whether larger scores are better.
    """
    sign = -1.0 if maximize else 1.0
    complete = [(sign * r.score, r.number, r) for r in records if r.state == "complete" and r.score is not None]
    ordered = [record for _, _, record in sorted(complete, key=lambda each: each[:2])]
    best_of = {record.config.learner: record for record in reversed(ordered) if record.config is not None}
    leaders = {record.number for record in best_of.values()}
    others = [record.number for record in ordered if record.number not in leaders]
    chosen = leaders | set(others[: max(0, CONTENDERS - len(leaders))])
    return [record for record in ordered if record.number in chosen]


def choose_ensemble(
    predictions: Mapping[int, OutOfFold], cohort: Cohort, most: int, *, deadline: float = float("inf")
) -> Ensemble | None:
    """Choose what to mix.

    Parameters
    ----------
    predictions : mapping of int to sequence of ndarray
        By number of the trial, the best trial first: predictions on the validation rows of each fold.
    cohort : Cohort
        The folds' answers and weights, and the metric.
    most : int
        How many trials may be mixed.
    deadline : float
        On the clock of `time.time`: a choice that is not made by then is given up.

    Returns
    -------
    Ensemble or None
        None where a mixture is no better than the first trial alone: its score is taken on folds that did not choose
        its weights, while the first trial was chosen on all of them.
    """
    try:
        return _choose(_Scorer(predictions, cohort, deadline), list(predictions), most)
    except _LateError:
        return None


def _choose(scorer: _Scorer, numbers: Sequence[int], most: int) -> Ensemble | None:
    folds = range(scorer.n_folds)
    weights = _grow(scorer, numbers, folds, most)
    if len(weights) < 2:
        return None
    unseen = []
    for fold in folds:
        chosen = _grow(scorer, numbers, [each for each in folds if each != fold], most)
        unseen.append(scorer.score(chosen, fold))
    score = float(np.mean(unseen))
    if scorer.sign * score <= scorer.mean({numbers[0]: 1.0}, folds):
        return None
    return Ensemble(dict(sorted(weights.items(), key=lambda each: -each[1])), score)


class Library:
    """What the trials that may join an ensemble predicted, gathered while the search goes on.

    It holds the models of their folds too, where they came so late that none can be trained on all rows.

    Parameters
    ----------
    maximize : bool
        Whether larger scores are better.
    """

    def __init__(self, *, maximize: bool) -> None:
        self._maximize = maximize
        self._held: dict[int, tuple[TrialRecord, OutOfFold | None, Sequence[Model] | None]] = {}

    def add(
        self, record: TrialRecord, predictions: OutOfFold | None, fold_models: Sequence[Model] | None = None
    ) -> None:
        """Keep what there is of a trial, as long as it is a contender among those that were added."""
        if predictions is None and fold_models is None:
            return
        self._held[record.number] = (record, predictions, fold_models)
        kept = contenders((record for record, *_ in self._held.values()), maximize=self._maximize)
        self._held = {each.number: self._held[each.number] for each in kept}

    def get(self, number: int) -> OutOfFold | None:
        """Return the predictions of a trial; None where they are not here."""
        return self._held[number][1] if number in self._held else None

    def fold_models(self, number: int) -> Sequence[Model] | None:
        """Return the models of a trial's folds; None where they were not kept."""
        return self._held[number][2] if number in self._held else None


class _LateError(Exception):
    """The deadline came before the choice was made."""


class _Scorer:
    """Scores of mixtures on the folds."""

    def __init__(self, predictions: Mapping[int, OutOfFold], cohort: Cohort, deadline: float) -> None:
        self._deadline, self.n_folds = deadline, len(cohort.y)
        strides = [slice(None, None, 1 + (len(y) - 1) // ROWS_A_FOLD) for y in cohort.y]
        self._metric = cohort.metric
        self._y = [y[rows] for y, rows in zip(cohort.y, strides, strict=True)]
        self._weight = [None if w is None else w[rows] for w, rows in zip(cohort.weight, strides, strict=True)]
        self._predictions = {
            number: [np.asarray(each[rows], dtype=np.float64) for each, rows in zip(of_folds, strides, strict=True)]
            for number, of_folds in predictions.items()
        }
        self.sign = 1.0 if cohort.metric.maximize else -1.0

    def score(self, weights: Mapping[int, float], fold: int) -> float:
        if time.time() > self._deadline:
            raise _LateError
        mixed: Any = sum(self._predictions[number][fold] * weight for number, weight in weights.items())
        return self._metric.score(self._y[fold], mixed, self._weight[fold])

    def mean(self, weights: Mapping[int, float], folds: Sequence[int]) -> float:
        return self.sign * float(np.mean([self.score(weights, fold) for fold in folds]))


def _grow(scorer: _Scorer, numbers: Sequence[int], folds: Sequence[int], most: int) -> dict[int, float]:
    """Let models join, beginning with the first, as long as the mean over these folds gets better."""
    weights = {numbers[0]: 1.0}
    best = scorer.mean(weights, folds)
    for _ in range(ROUNDS):
        open_ones = numbers if len(weights) < most else list(weights)
        grown = [_joined(weights, number, share) for number in open_ones for share in SHARES]
        scores = [scorer.mean(each, folds) for each in grown]
        if not max(scores) > best:
            break
        best = max(scores)
        weights = grown[scores.index(best)]
    return weights


def _joined(weights: Mapping[int, float], number: int, share: float) -> dict[int, float]:
    others = {each: weight * (1 - share) for each, weight in weights.items()}
    return {**others, number: others.get(number, 0.0) + share}
